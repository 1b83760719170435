//! Bytes as BTF, with nothing twice: what is left parses, says the same, and stays as it is.

use std::sync::Arc;

use btf::build::Builder;
use btf::{Btf, Kind};

pub(crate) fn run(data: &[u8]) {
    // A first byte above 127 puts the rest on itself as base, others append it to itself.
    let Some((first, data)) = data.split_first() else {
        return;
    };
    let Ok(btf) = Btf::parse(data) else { return };
    if let Ok(b) = Builder::from_btf(&btf) {
        let again = b.clone().finish().expect("a blob that was read");
        let again = Btf::parse(again).expect("a blob that was written");
        assert_eq!(again.ids().len(), btf.ids().len());
        shrink(b, None);
    }
    let mut b = if *first >= 128 {
        Builder::split(&btf)
    } else {
        Builder::from_btf(&btf).unwrap_or_else(|_error| Builder::new(btf.endian()))
    };
    if b.append(&btf).is_ok() {
        shrink(b, (*first >= 128).then_some(data));
    }
}

fn shrink(mut b: Builder<'_>, base: Option<&[u8]>) {
    let parse = |b: &Builder<'_>| -> Btf<'static> {
        let blob = b.clone().finish().expect("nothing was added that is wrong");
        match base {
            None => Btf::parse(blob),
            Some(base) => {
                let base = Btf::parse(base.to_vec()).expect("it was read before");
                Btf::parse_split(blob, Arc::new(base))
            }
        }
        .expect("a blob that was written")
    };
    let old = parse(&b);
    let Ok(map) = b.dedup() else { return };
    let new = parse(&b);
    assert_eq!(new.ids().len() + map.removed(), old.ids().len());
    for (id, ty) in old.types() {
        let to = new.type_by_id(map.map(id)).expect("a type that was kept");
        assert_eq!(to.name(), ty.name());
        let declared = matches!(ty.kind(), Kind::Fwd | Kind::Enum | Kind::Enum64);
        assert!(to.kind() == ty.kind() || declared, "{id}");
    }
    let blob = b.clone().finish().expect("as before");
    let again = b.dedup().expect("what was left is sound");
    assert_eq!(again.removed(), 0);
    assert_eq!(b.clone().finish().expect("as before"), blob);

    let sorted = b.sort_by_name().expect("what was left is sound");
    let new = parse(&b);
    assert!(new.types().map(|(_, ty)| ty.name()).is_sorted());
    assert!(new.ids().all(|id| sorted.map(id).get() < new.len()));
}
