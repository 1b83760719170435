use super::*;
use crate::Endian;
use crate::testing::{Blob, FLAG, zoo};

#[test]
fn size_and_align_of_every_kind() {
    let bytes = zoo(Endian::Big).build();
    let btf = Btf::parse(&bytes).unwrap();
    for (id, size, align) in [
        (1, 4, 4),
        (5, 16, 8),
        (6, 8, 8),
        (7, 8, 1),
        (8, 24, 4),
        (11, 8, 8),
        (12, 8, 4),
        (13, 40, 8),
        (17, 40, 8),
        (21, 40, 8),
        (25, 4, 4),
        (26, 16, 8),
        (29, 4, 4),
    ] {
        assert_eq!(btf.size_of(id), Ok(size), "size of {id}");
        assert_eq!(btf.align_of(id), Ok(align), "alignment of {id}");
    }
    assert_eq!(btf.size_of(22), Ok(40));
    for (id, kind) in [
        (0, Kind::Void),
        (14, Kind::Fwd),
        (19, Kind::FuncProto),
        (20, Kind::Func),
    ] {
        let id = TypeId(id);
        assert_eq!(btf.size_of(id), Err(BtfError::NoSize { id, kind }));
        assert_eq!(btf.align_of(id), Err(BtfError::NoSize { id, kind }));
    }
}

#[test]
fn resolve_when_qualified_then_what_is_behind() {
    let bytes = zoo(Endian::Little).build();
    let btf = Btf::parse(&bytes).unwrap();
    assert_eq!(btf.resolve(17).unwrap().0, TypeId(13));
    assert_eq!(btf.strip_modifiers(17).unwrap().0, TypeId(15));
    assert_eq!(btf.resolve(25).unwrap().0, TypeId(1));
    assert_eq!(btf.resolve(21).unwrap().0, TypeId(21));
    assert_eq!(
        btf.resolve(99).unwrap_err(),
        BtfError::NoSuchType { id: 99, end: 30 }
    );
}

#[test]
fn walks_when_references_loop_then_cycle() {
    let mut blob = Blob::new(Endian::Little);
    blob.record(b"a", 8, 0, 2, &[]); // 1 typedef -> 2
    blob.record(b"", 10, 0, 1, &[]); // 2 const -> 1
    blob.record(b"", 3, 0, 0, &[3, 3, 4]); // 3 array of itself
    blob.composite(4, "self", 4, &[("me", 4, 0)]); // 4 struct of itself
    blob.composite(4, "", 4, &[("", 6, 0)]); // 5 <-> 6
    blob.composite(5, "", 4, &[("", 5, 0)]);
    let bytes = blob.build();
    let btf = Btf::parse(&bytes).unwrap();
    for id in [1, 2] {
        assert!(
            matches!(btf.size_of(id), Err(BtfError::Cycle { .. })),
            "{id}"
        );
        assert!(
            matches!(btf.align_of(id), Err(BtfError::Cycle { .. })),
            "{id}"
        );
        assert!(
            matches!(btf.resolve(id), Err(BtfError::Cycle { .. })),
            "{id}"
        );
    }
    // Two dimensions of 4 elements each go round until the product overflows or the loop shows.
    assert!(btf.size_of(3).is_err());
    assert!(matches!(btf.align_of(3), Err(BtfError::Cycle { .. })));
    assert!(matches!(btf.align_of(4), Err(BtfError::Cycle { .. })));
    assert!(matches!(btf.flatten(5), Err(BtfError::Cycle { .. })));
    assert_eq!(
        btf.flatten(4).unwrap().len(),
        1,
        "a named member is not entered"
    );
}

#[test]
fn size_when_product_overflows_then_error() {
    let mut blob = Blob::new(Endian::Little);
    blob.int("int", 4, 1, 0, 32);
    for inner in 1..4 {
        blob.record(b"", 3, 0, 0, &[inner, 1, u32::MAX]);
    }
    let bytes = blob.build();
    let btf = Btf::parse(&bytes).unwrap();
    assert_eq!(btf.size_of(2), Ok(4 * u64::from(u32::MAX)));
    assert_eq!(
        btf.size_of(4),
        Err(BtfError::SizeOverflow { id: TypeId(4) })
    );
}

#[test]
fn flatten_when_members_are_anonymous_then_their_members() {
    let bytes = zoo(Endian::Little).build();
    let btf = Btf::parse(&bytes).unwrap();
    let flat = btf.flatten(17).unwrap();
    let names: Vec<_> = flat
        .iter()
        .map(|m| (m.name.to_text().into_owned(), m.bit_offset, m.parent.0))
        .collect();
    assert_eq!(
        names[5..9],
        [
            ("p".to_owned(), 128, 13),
            ("n".to_owned(), 192, 12),
            ("text".to_owned(), 192, 12),
            ("d".to_owned(), 256, 13)
        ]
    );
    assert_eq!(
        btf.flatten(1).unwrap_err(),
        BtfError::NotComposite {
            id: TypeId(1),
            kind: Kind::Int
        }
    );
}

/// Structs that each hold the next one twice: 2^40 members, but little work.
#[test]
fn walks_when_members_multiply_then_bounded() {
    let mut blob = Blob::new(Endian::Little);
    for id in 1..41 {
        blob.composite(4, "", 8, &[("", id + 1, 0), ("", id + 1, 0)]);
    }
    blob.int("int", 4, 1, 0, 32);
    let bytes = blob.build();
    let btf = Btf::parse(&bytes).unwrap();
    assert_eq!(btf.align_of(1), Ok(4));
    assert!(matches!(
        btf.flatten(1),
        Err(BtfError::TooManyMembers { .. })
    ));
}

#[test]
fn walks_when_nested_deeply_then_error() {
    let mut blob = Blob::new(Endian::Little);
    for id in 1..2000 {
        blob.composite(4, "", 8, &[("", id + 1, 0)]);
    }
    for id in 2000..4000 {
        blob.record(b"t", 8, 0, id + 1, &[]);
    }
    blob.int("int", 4, 1, 0, 32);
    let bytes = blob.build();
    let btf = Btf::parse(&bytes).unwrap();
    assert!(matches!(btf.align_of(1), Err(BtfError::TooDeep { .. })));
    assert!(matches!(btf.flatten(1), Err(BtfError::TooDeep { .. })));
    assert!(matches!(btf.size_of(2000), Err(BtfError::TooDeep { .. })));
    assert_eq!(btf.size_of(3500), Ok(4));
}

#[test]
fn align_when_packed_then_one() {
    let mut blob = Blob::new(Endian::Little);
    blob.int("int", 4, 1, 0, 32);
    blob.int("char", 1, 1, 0, 8);
    blob.composite(4, "packed", 5, &[("c", 2, 0), ("i", 1, 8)]);
    blob.composite(
        4 | FLAG,
        "fields",
        4,
        &[("a", 1, 3 << 24), ("b", 1, 7 << 24 | 3)],
    );
    let bytes = blob.build();
    let btf = Btf::parse(&bytes).unwrap();
    assert_eq!(btf.align_of(3), Ok(1));
    assert_eq!(btf.align_of(4), Ok(4));
}
