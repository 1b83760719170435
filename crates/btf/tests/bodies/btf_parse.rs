//! Bytes as BTF: whatever parses can be looked at in every way.

use std::sync::Arc;

use btf::{Btf, Kind, Type};

pub(crate) fn run(data: &[u8]) {
    // A first byte above 127 makes the rest split BTF on what is in front of it.
    let Some((first, data)) = data.split_first() else {
        return;
    };
    let Ok(btf) = Btf::parse(data) else { return };
    view(&btf);
    if *first >= 128 {
        let base = Arc::new(btf);
        if let Ok(split) = Btf::parse_split(data, base) {
            view(&split);
        }
    }
}

/// Reads all there is to read; checks that answers agree with each other.
fn view(btf: &Btf<'_>) {
    assert!(btf.len() >= btf.start_id());
    assert_eq!(btf.ids().len(), btf.types().count());
    assert!(
        btf.types().count() <= btf.data().len() / 12,
        "a record has 12 bytes"
    );

    let mut text = Vec::new();
    let mut names = Vec::new();
    for (id, ty) in btf.types() {
        assert_eq!(btf.kind_of(id), Ok(ty.kind()));
        names.extend(elements(&ty));
        if let Some(record) = ty.record() {
            assert!(record.offset() < btf.data().len() as u64);
            names.push(record.name().or_empty());
            assert!(!record.name().to_text().contains(char::is_control));
            assert!(!format!("{ty:?}").is_empty());
        }

        let before = text.len();
        btf::raw_dump::write_type(&mut text, btf, id).expect("an own id");
        let line = String::from_utf8(text.split_off(before)).expect("text");
        assert!(line.starts_with(&format!("[{id}] ")) && line.ends_with('\n'));
        assert!(!line.contains(|c: char| c.is_control() && c != '\n' && c != '\t'));

        let size = btf.size_of(id);
        if btf.align_of(id).is_ok() {
            assert!(size.is_ok() || matches!(size, Err(btf::BtfError::SizeOverflow { .. })));
        }
        if let Ok((behind, ty)) = btf.resolve(id) {
            assert!(!ty.kind().is_modifier() && ty.kind() != Kind::Typedef);
            assert!(behind.get() < btf.len());
        }
        let _ = btf.strip_modifiers(id);
        if ids_few(btf) {
            drop(btf.flatten(id));
        }
    }

    // The first look-up, those after it, and all at once: three ways to the same answer.
    names.truncate(8);
    let queries: Vec<_> = names.iter().map(|name| (*name, None)).collect();
    let many = btf.find_many(&queries);
    for (name, first) in names.iter().zip(many) {
        let found: Vec<_> = btf.find_by_name(name).collect();
        assert_eq!(found.first().copied(), first);
        for id in found {
            let ty = btf.type_by_id(id).expect("a type that was found");
            assert_eq!(ty.name(), *name);
            assert!(btf.find_by_name_kind(name, ty.kind()).is_some());
        }
    }
    let _ = btf.find_by_name_kind(b"task_struct", Kind::Struct);
    for id in [btf.len(), u32::MAX] {
        assert!(btf.type_by_id(id).is_err());
    }
}

/// Flattening is bounded by a constant, not by the input: too slow for all of many types.
fn ids_few(btf: &Btf<'_>) -> bool {
    btf.ids().len() < 16
}

/// Names of members, constants, parameters and variables.
fn elements<'a>(ty: &Type<'a>) -> Vec<&'a [u8]> {
    match ty {
        Type::Struct(t) | Type::Union(t) => t.members().map(|m| m.name.or_empty()).collect(),
        Type::Enum(t) => t.enumerators().map(|e| e.name.or_empty()).collect(),
        Type::Enum64(t) => t.enumerators().map(|e| e.name.or_empty()).collect(),
        Type::FuncProto(t) => t.params().map(|p| p.name.or_empty()).collect(),
        Type::Datasec(t) => t
            .vars()
            .filter_map(|v| v.target())
            .map(|(_, name)| name.or_empty())
            .collect(),
        _ => Vec::new(),
    }
}
