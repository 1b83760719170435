use std::sync::Arc;

use super::*;
use crate::testing::{Blob, zoo};
use crate::{Kind, Section};

#[test]
fn parse_when_either_order_then_the_same_types() {
    for endian in [Endian::Little, Endian::Big] {
        let blob = zoo(endian).build();
        let btf = Btf::parse(&blob).unwrap();
        assert_eq!(btf.endian(), endian);
        assert_eq!((btf.start_id(), btf.len(), btf.ids().len()), (1, 30, 29));
        let kinds: Vec<u8> = btf.types().map(|(_, ty)| ty.kind().raw()).collect();
        let mut sorted = kinds.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted, (1..20).collect::<Vec<u8>>(), "every kind is there");
        assert_eq!(btf.type_by_id(13).unwrap().name(), b"all");
        assert_eq!(btf.type_by_id(13).unwrap().record().unwrap().vlen(), 8);
        assert_eq!(btf.pointer_size(), 8);
    }
}

#[test]
fn type_by_id_when_beyond_the_last_then_error() {
    let blob = zoo(Endian::Little).build();
    let btf = Btf::parse(&blob).unwrap();
    assert!(matches!(btf.type_by_id(0), Ok(Type::Void)));
    for id in [30, u32::MAX] {
        assert_eq!(
            btf.type_by_id(id).unwrap_err(),
            BtfError::NoSuchType { id, end: 30 }
        );
    }
}

#[test]
fn parse_when_header_is_long_then_read_as_usual() {
    for len in [24, 28, 32, 40, 64] {
        let blob = zoo(Endian::Big).header_len(len).build();
        let btf = Btf::parse(&blob).unwrap();
        assert_eq!(btf.len(), 30, "header of {len}");
        assert!(!btf.has_unknown_header());
    }
    let mut blob = zoo(Endian::Little).header_len(40).build();
    blob[39] = 1;
    assert!(Btf::parse(&blob).unwrap().has_unknown_header());
}

/// Changes a byte of a good blob and gives the error.
fn broken(at: usize, byte: u8) -> BtfError {
    let mut blob = zoo(Endian::Little).build();
    blob[at] = byte;
    Btf::parse(&blob).unwrap_err()
}

#[test]
fn parse_when_header_is_wrong_then_says_where() {
    assert_eq!(broken(0, 0x7f), BtfError::Magic { found: 0xeb7f });
    assert_eq!(broken(2, 2), BtfError::Version { found: 2 });
    assert_eq!(broken(4, 23), BtfError::HeaderLen { found: 23 });
    assert!(matches!(broken(7, 1), BtfError::HeaderTruncated { .. }));
    assert!(matches!(
        broken(8, 2),
        BtfError::SectionAlign {
            section: Section::Types,
            offset: 26
        }
    ));
    assert!(matches!(
        broken(23, 0x80),
        BtfError::SectionBounds {
            section: Section::Strings,
            ..
        }
    ));
    assert!(matches!(
        broken(17, 0),
        BtfError::SectionOverlap {
            section: Section::Strings,
            ..
        }
    ));
    assert_eq!(
        Btf::parse(&[][..]).unwrap_err(),
        BtfError::HeaderTruncated { need: 24, have: 0 }
    );
    let blob = zoo(Endian::Little).build();
    let end = blob.len() - 1;
    assert!(matches!(
        broken(end, b'x'),
        BtfError::StringsTerminator { .. }
    ));
}

#[test]
fn parse_when_record_is_cut_then_says_which() {
    let mut blob = Blob::new(Endian::Little);
    blob.int("int", 4, 1, 0, 32);
    blob.record(b"s", 4, 0x00ff_ffff, 4, &[0, 1, 0]);
    assert_eq!(
        Btf::parse(blob.build()).unwrap_err(),
        BtfError::TypeTruncated {
            id: 2,
            offset: 40,
            need: 12 + 12 * 0x00ff_ffff,
            have: 24
        }
    );
    let mut blob = Blob::new(Endian::Little);
    blob.word(0).word(0);
    assert_eq!(
        Btf::parse(blob.build()).unwrap_err(),
        BtfError::TypeTruncated {
            id: 1,
            offset: 24,
            need: 12,
            have: 8
        }
    );
}

#[test]
fn vlen_when_above_16_bits_then_all_24_count() {
    let mut blob = Blob::new(Endian::Big);
    let count = 0x0001_0002;
    let name = blob.str(b"V");
    let words: Vec<u32> = (0..count).flat_map(|n| [name, n]).collect();
    blob.record(b"many", 6, count, 4, &words);
    blob.int("int", 4, 1, 0, 32);
    let blob = blob.build();
    let btf = Btf::parse(&blob).unwrap();
    let Type::Enum(many) = btf.type_by_id(1).unwrap() else {
        panic!("an enum")
    };
    assert_eq!(many.enumerators().len(), count as usize);
    assert_eq!(
        many.enumerators().last().unwrap().value,
        i128::from(count - 1)
    );
    assert_eq!(btf.type_by_id(2).unwrap().name(), b"int");
}

#[test]
fn unknown_kind_when_in_the_layout_then_skipped() {
    let mut entries = vec![(0, 0); 20];
    entries.resize(102, (8, 4));
    let mut blob = Blob::new(Endian::Big);
    blob.record(b"odd", 101, 3, 7, &[1, 2, 3, 4, 5]);
    blob.int("int", 4, 1, 0, 32);
    let without = blob.build();
    let with = blob.header_len(32).layout(&entries);
    let built = with.build();
    let btf = Btf::parse(&built).unwrap();
    assert!(btf.has_layout());
    let Type::Unknown(odd) = btf.type_by_id(1).unwrap() else {
        panic!("unknown")
    };
    assert_eq!(
        (odd.kind(), odd.size_or_type(), odd.raw().len()),
        (Kind::Unknown(101), 7, 32)
    );
    assert_eq!(btf.type_by_id(2).unwrap().name(), b"int");
    assert_eq!(
        Btf::parse(&without).unwrap_err(),
        BtfError::UnknownKind {
            id: 1,
            kind: 101,
            offset: 24
        }
    );

    let mut split = Blob::split(&with);
    split.record(b"more", 101, 0, 0, &[1, 2]);
    let base = Arc::new(Btf::parse(&built).unwrap());
    let blob = split.build();
    let split = Btf::parse_split(&blob, base).unwrap();
    assert_eq!(
        split.type_by_id(3).unwrap().kind(),
        Kind::Unknown(101),
        "layout of the base"
    );
}

#[test]
fn unknown_kind_when_layout_is_odd_then_error() {
    let mut blob = Blob::new(Endian::Little)
        .header_len(32)
        .layout(&[(0, 0), (0, 0), (0, 0)]);
    blob.record(b"odd", 30, 0, 0, &[]);
    assert_eq!(
        Btf::parse(blob.build()).unwrap_err(),
        BtfError::UnknownKind {
            id: 1,
            kind: 30,
            offset: 32
        }
    );
    let blob = blob.layout(&[(3, 0); 31]);
    assert_eq!(
        Btf::parse(blob.build()).unwrap_err(),
        BtfError::LayoutEntry {
            kind: 30,
            info_sz: 3,
            elem_sz: 0
        }
    );
}

#[test]
fn split_when_on_a_base_then_ids_and_strings_continue() {
    for endian in [Endian::Little, Endian::Big] {
        let base_blob = zoo(endian);
        let mut own = Blob::split(&base_blob);
        own.record(b"mine", 8, 0, 13, &[]);
        // A name of the base: offset 1 is "int".
        own.word(1).word(8 << 24).word(30);
        let own = own.build();
        let bytes = base_blob.build();
        let base = Arc::new(Btf::parse(&bytes).unwrap());
        let btf = Btf::parse_split(&own, Arc::clone(&base)).unwrap();
        assert_eq!((btf.start_id(), btf.len()), (30, 32));
        assert_eq!(btf.type_by_id(30).unwrap().name(), b"mine");
        assert_eq!(btf.type_by_id(31).unwrap().name(), b"int");
        assert_eq!(btf.type_by_id(13).unwrap().name(), b"all");
        assert_eq!(
            btf.type_by_id(32).unwrap_err(),
            BtfError::NoSuchType { id: 32, end: 32 }
        );
        assert_eq!(btf.size_of(31).unwrap(), 40);
        assert!(matches!(
            Btf::parse(&own).unwrap_err(),
            BtfError::StringsFirst { .. }
        ));

        // Of both that are called "int", the own one comes first.
        let ids: Vec<_> = btf.find_by_name(b"int").collect();
        assert_eq!(ids, [TypeId(31), TypeId(1)]);
        assert_eq!(btf.find_by_name_kind(b"int", Kind::Int), Some(TypeId(1)));
        assert_eq!(
            btf.find_by_name_kind(b"mine", Kind::Typedef),
            Some(TypeId(30))
        );
        assert_eq!(base.find_by_name_kind(b"mine", Kind::Typedef), None);
    }
}

#[test]
fn split_when_without_strings_then_those_of_the_base() {
    let base = zoo(Endian::Little);
    let mut own = Blob::split(&base);
    own.word(1).word(8 << 24).word(1);
    let (own, bytes) = (own.build(), base.build());
    let base = Arc::new(Btf::parse(&bytes).unwrap());
    let btf = Btf::parse_split(&own, base).unwrap();
    assert_eq!(btf.type_by_id(30).unwrap().name(), b"int");
}

#[test]
fn name_when_offset_is_wrong_then_error_and_label() {
    let mut blob = Blob::new(Endian::Little);
    blob.word(999).word(8 << 24).word(0);
    let bytes = blob.build();
    let btf = Btf::parse(&bytes).unwrap();
    let ty = btf.type_by_id(1).unwrap();
    let name = ty.record().unwrap().name();
    assert_eq!(
        name.bytes().unwrap_err(),
        BtfError::NoSuchString {
            offset: 999,
            end: 1
        }
    );
    assert_eq!(
        (name.or_empty(), name.label()),
        (&b""[..], &b"(invalid)"[..])
    );
}

#[test]
fn btf_is_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Btf<'static>>();
    shared::<Type<'static>>();
}
