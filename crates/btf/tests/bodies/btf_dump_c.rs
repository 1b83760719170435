//! Bytes as BTF: C declarations of all of it, and of single types, end soon and stay bounded.

use std::sync::Arc;

use btf::c_dump::{Declarations, Declarator, DumpError, Options, sorted_ids, write};
use btf::{Btf, Kind, TypeId};

pub(crate) fn run(data: &[u8]) {
    // The first byte chooses: sorted or not; split on itself or not.
    let Some((choice, data)) = data.split_first() else {
        return;
    };
    let Ok(btf) = Btf::parse(data) else { return };
    if choice & 2 == 0 {
        dump(&btf, choice & 1 == 0);
    } else if let Ok(split) = Btf::parse_split(data, Arc::new(btf)) {
        dump(&split, choice & 1 == 0);
    }
}

fn dump(btf: &Btf<'_>, sorted: bool) {
    let all = write_checked(btf, &[], sorted);
    let first = [TypeId(1)];
    if all
        && btf
            .kind_of(1)
            .is_ok_and(|kind| Kind::ALL[1..].contains(&kind))
    {
        // what can be part of a whole can be written by itself
        assert!(write_checked(btf, &first, sorted));
    }

    let mut ids = sorted_ids(btf);
    ids.sort_unstable();
    let before = ids.len();
    ids.dedup();
    assert_eq!(ids.len(), before, "an id comes twice");

    let mut types = Declarations::new(btf);
    let mut text = Vec::new();
    for id in 0..btf.len().min(64) {
        let before = text.clone();
        if types.write_type(&mut text, id).is_err() {
            assert_eq!(text, before);
            break;
        }
        let again = text.len();
        assert!(types.write_type(&mut text, id).is_ok());
        assert_eq!(text.len(), again, "type {id} is written twice");
        let how = Declarator {
            name: b"name",
            indent: id,
            strip_modifiers: id % 2 == 0,
        };
        let _ = types.write_declarator(&mut text, id, how);
        text.clear();
    }
}

/// Whether it could be written.
fn write_checked(btf: &Btf<'_>, roots: &[TypeId], sorted: bool) -> bool {
    let mut bytes = btf.data().len();
    if let Some(base) = btf.base() {
        bytes += base.data().len();
    }
    let mut written = 0;
    let result = write(btf, Options { roots, sorted }, |text| {
        written += text.len();
        let controls = text
            .iter()
            .any(|b| b.is_ascii_control() && !b"\n\t".contains(b));
        assert!(!controls && std::str::from_utf8(text).is_ok());
        Ok::<(), ()>(())
    });
    // names are escaped to four bytes for one, and one name may come after the limit
    assert!(written <= (5 << 20) + 24 * bytes, "{written} bytes of text");
    match result {
        Ok(()) => true,
        Err(DumpError::Btf(error)) => {
            let text = error.to_string();
            assert!(!text.contains('\n') && !text.ends_with('.'));
            false
        }
        Err(DumpError::Sink(())) => unreachable!("the sink does not fail"),
    }
}
