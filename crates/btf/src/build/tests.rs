use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::testing::{Blob, zoo};
use crate::{Type, encoding};

/// All types of a blob as text.
pub(crate) fn text(btf: &Btf<'_>) -> String {
    let mut out = Vec::new();
    for id in btf.ids() {
        crate::raw_dump::write_type(&mut out, btf, id).unwrap();
    }
    String::from_utf8(out).unwrap()
}

/// The zoo of the reader's tests, made with the writer.
pub(crate) fn built_zoo(endian: Endian) -> Builder<'static> {
    let mut b = Builder::new(endian);
    b.add_int(b"int", 4, encoding::SIGNED);
    b.add_int(b"char", 1, encoding::SIGNED);
    b.add_int(b"unsigned char", 1, 0);
    b.add_int(b"_Bool", 1, encoding::BOOL);
    b.add_int(b"unsigned __int128", 16, 0);
    b.add_ptr(1);
    b.add_array(2, 1, 8);
    b.add_array(27, 1, 3);
    b.add_enum(b"colour", 4, false, &[(b"RED", 0), (b"GREEN", u32::MAX)]);
    b.add_enum(b"level", 1, true, &[(b"LOW", 0xffff_fffe)]);
    b.add_enum64(b"huge", 8, false, &[(b"BIG", 1 << 63 | 1)]);
    let m = |name, id: u32, bit| Member::new(name, TypeId(id), bit);
    let bits = |name, id: u32, bit, bitfield_size| Member {
        bitfield_size,
        ..Member::new(name, TypeId(id), bit)
    };
    b.add_union(b"", 8, &[m(b"n", 1, 0), m(b"text", 7, 0)]);
    b.add_struct(
        b"all",
        40,
        &[
            m(b"a", 1, 0),
            bits(b"f1", 1, 32, 3),
            bits(b"f2", 3, 35, 5),
            m(b"flag", 4, 40),
            m(b"c", 9, 64),
            m(b"p", 6, 128),
            m(b"", 12, 192),
            m(b"d", 23, 256),
        ],
    );
    b.add_fwd(b"later", false);
    b.add_typedef(b"all_t", 13);
    b.add_volatile(15);
    b.add_const(16);
    b.add_restrict(6);
    b.add_func_proto(1, &[(b"x", TypeId(6)), (b"", TypeId::VOID)]);
    b.add_func(b"run", 1, 19);
    b.add_var(b"state", 1, 17);
    let place = SecVar {
        type_id: TypeId(21),
        offset: 0,
        size: 40,
    };
    b.add_datasec(b".data", 40, &[place]);
    b.add_float(b"double", 8);
    b.add_decl_tag(b"tag", 13, -1);
    b.add_type_tag(b"user", 1);
    b.add_float(b"long double", 16);
    b.add_array(1, 1, 2);
    b.add_int(b"long int", 8, encoding::SIGNED);
    b.add_float(b"float", 4);
    b
}

#[test]
fn every_kind_is_written_as_the_reader_reads_it() {
    for endian in [Endian::Little, Endian::Big] {
        let by_hand = zoo(endian).build();
        let blob = built_zoo(endian).finish().unwrap();
        let (one, other) = (Btf::parse(&by_hand).unwrap(), Btf::parse(&blob).unwrap());
        assert_eq!(text(&one), text(&other));
        assert_eq!(other.endian(), endian);
        assert!(!other.has_layout());
        // the bit widths of an integer of 16 bytes are in 8 bits
        let Type::Int(wide) = other.type_by_id(5).unwrap() else {
            panic!("an int")
        };
        assert_eq!(wide.bits(), 128);
    }
}

#[test]
fn attributes_are_tags_with_the_flag() {
    let mut b = Builder::new(Endian::Big);
    let int = b.add_int_bits(b"bits", 4, 0, 3, 5);
    let tag = b.add_type_attr(b"aligned(8)", int);
    let decl = b.add_decl_attr(b"packed", tag, 2);
    let blob = b.finish().unwrap();
    let btf = Btf::parse(&blob).unwrap();
    let Type::Int(int) = btf.type_by_id(int).unwrap() else {
        panic!("an int")
    };
    assert_eq!((int.bit_offset(), int.bits(), int.encoding()), (3, 5, 0));
    for id in [tag, decl] {
        assert!(btf.record(id).unwrap().kind_flag());
    }
    let Type::DeclTag(decl) = btf.type_by_id(decl).unwrap() else {
        panic!("a tag")
    };
    assert_eq!(decl.component_idx(), 2);
}

#[test]
fn from_btf_when_nothing_is_added_then_the_same_bytes() {
    for endian in [Endian::Little, Endian::Big] {
        let layout: Vec<_> = (0..25).map(|_| (8, 4)).collect();
        let mut odd = zoo(endian).header_len(32).layout(&layout);
        odd.record(b"newer", 23, 2, 7, &[1, 2, 3, 4]);
        for blob in [zoo(endian), zoo(endian).header_len(32), odd] {
            let blob = blob.build();
            let btf = Btf::parse(&blob).unwrap();
            let again = Builder::from_btf(&btf).unwrap().finish().unwrap();
            assert!(again == blob);
        }
    }
    let future = Blob::new(Endian::Little).header_len(36);
    let mut blob = future.build();
    assert!(Builder::from_btf(&Btf::parse(&blob).unwrap()).is_ok());
    blob[33] = 1;
    let btf = Btf::parse(&blob).unwrap();
    let error = Builder::from_btf(&btf).unwrap_err();
    assert_eq!(error, BtfError::UnknownHeader);
}

#[test]
fn layout_when_asked_for_then_sizes_of_all_known_kinds() {
    let mut b = built_zoo(Endian::Big);
    b.add_layout();
    let blob = b.finish().unwrap();
    let btf = Btf::parse(&blob).unwrap();
    assert!(btf.has_layout());
    assert_eq!(btf.own_layout().len(), 20 * 4);
    assert_eq!(
        btf.own_layout().get(..8),
        Some(&[0, 0, 0, 0, 4, 0, 0, 0][..])
    );
    assert_eq!(
        text(&btf),
        text(&Btf::parse(zoo(Endian::Big).build()).unwrap())
    );
    let again = Builder::from_btf(&btf).unwrap().finish().unwrap();
    assert!(again == blob);
}

#[test]
fn split_when_strings_are_in_the_base_then_from_there() {
    let base = Btf::parse(zoo(Endian::Little).build()).unwrap();
    let mut b = Builder::split(&base);
    assert_eq!(b.next_id(), base.len());
    let ptr = b.add_ptr(13);
    let own = b.add_struct(b"all", 8, &[Member::new(b"fresh", ptr, 0)]);
    assert!(u64::from(b.string(b"double").0) < base.strings_end());
    let blob = b.finish().unwrap();
    let split = Btf::parse_split(blob, Arc::new(Btf::parse(base.data()).unwrap())).unwrap();
    assert_eq!(split.strings(), b"fresh\0");
    assert_eq!(
        split.find_by_name(b"all").collect::<Vec<_>>(),
        [own, TypeId(13)]
    );
    let again = Builder::from_btf(&split).unwrap().finish().unwrap();
    assert_eq!(again, split.data());
}

#[test]
fn append_when_byte_order_differs_then_translated() {
    let other = Btf::parse(zoo(Endian::Big).build()).unwrap();
    let mut b = built_zoo(Endian::Little);
    let first = b.append(&other).unwrap();
    assert_eq!(first.map(TypeId::VOID), TypeId::VOID);
    assert_eq!(first.map(TypeId(13)), TypeId(42));
    let strings = b.pool.bytes().len();
    let blob = b.finish().unwrap();
    let btf = Btf::parse(&blob).unwrap();
    assert_eq!(btf.strings().len(), strings);
    assert_eq!(btf.ids().len(), 58);
    let Type::Typedef(typedef) = btf.type_by_id(44).unwrap() else {
        panic!("a typedef")
    };
    assert_eq!(typedef.type_id(), TypeId(42));
    assert_eq!(btf.find_by_name(b"all").count(), 2);
    assert_eq!(built_zoo(Endian::Little).pool.bytes().len(), strings);
}

#[test]
fn append_when_it_fails_then_nothing_is_added() {
    let mut unknown = zoo(Endian::Little).header_len(32).layout(&[(0, 0); 30]);
    unknown.record(b"newer", 29, 0, 1, &[]);
    let unknown = Btf::parse(unknown.build()).unwrap();
    let mut bad_name = zoo(Endian::Little);
    bad_name.word(9999).word(16 << 24).word(4);
    let bad_name = Btf::parse(bad_name.build()).unwrap();
    let base = Arc::new(Btf::parse(zoo(Endian::Little).build()).unwrap());
    let split = Btf::parse_split(Blob::split(&zoo(Endian::Little)).build(), base).unwrap();

    let mut b = built_zoo(Endian::Little);
    let before = text(&Btf::parse(b.clone().finish().unwrap()).unwrap());
    let kind = 29;
    let id = TypeId(30);
    assert_eq!(
        b.append(&unknown),
        Err(BtfError::UnknownReferences { id, kind })
    );
    assert!(matches!(
        b.append(&bad_name),
        Err(BtfError::NoSuchString { offset: 9999, .. })
    ));
    assert_eq!(b.append(&split), Err(BtfError::BaseMismatch));
    assert_eq!(text(&Btf::parse(b.finish().unwrap()).unwrap()), before);
}

#[test]
fn copy_type_takes_what_the_map_says() {
    let from = Btf::parse(zoo(Endian::Big).build()).unwrap();
    let mut b = Builder::new(Endian::Little);
    let int = b.copy_type(&from, TypeId(1), &mut |id| id).unwrap();
    let ptr = b.copy_type(&from, TypeId(6), &mut |_| int).unwrap();
    let proto = b.copy_type(&from, TypeId(19), &mut |id| match id.0 {
        1 => int,
        6 => ptr,
        other => panic!("{other} is not referred to"),
    });
    let blob = b.clone().finish().unwrap();
    let btf = Btf::parse(&blob).unwrap();
    let Type::FuncProto(proto) = btf.type_by_id(proto.unwrap()).unwrap() else {
        panic!("a signature")
    };
    assert_eq!(proto.return_type(), int);
    let params: Vec<_> = proto.params().map(|p| p.type_id).collect();
    assert_eq!(params, [ptr, TypeId::VOID]);
    assert!(b.copy_type(&from, TypeId::VOID, &mut |id| id).is_err());
    assert!(b.copy_type(&from, TypeId(99), &mut |id| id).is_err());
    assert_eq!(b.finish().unwrap(), blob);
}

#[test]
fn copy_type_when_kind_is_unknown_then_with_its_layout() {
    let mut from = Blob::new(Endian::Big).header_len(32).layout(&[(4, 8); 40]);
    from.record(b"newer", 33, 1, 5, &[6, 7, 8]);
    let from = Btf::parse(from.build()).unwrap();
    let mut b = built_zoo(Endian::Little);
    let id = b.copy_type(&from, TypeId(1), &mut |_| TypeId(9)).unwrap();
    assert_eq!(b.copy_type(&from, TypeId(1), &mut |id| id), Ok(TypeId(31)));
    let mut other = Blob::new(Endian::Big).header_len(32).layout(&[(8, 8); 40]);
    other.record(b"newer", 33, 0, 5, &[6, 7]);
    let other = Btf::parse(other.build()).unwrap();
    assert_eq!(
        b.copy_type(&other, TypeId(1), &mut |id| id),
        Err(BtfError::LayoutConflict { kind: 33 })
    );
    let blob = b.finish().unwrap();
    let btf = Btf::parse(&blob).unwrap();
    let record = btf.record(id).unwrap();
    assert!(record.name().is(b"newer"));
    assert_eq!(
        (record.kind(), record.size_or_type()),
        (Kind::Unknown(33), 5)
    );
    assert_eq!(record.raw().len(), 24);
}

#[test]
fn what_cannot_be_written_is_told_at_the_end() {
    let mut b = Builder::new(Endian::Little);
    b.add_func(b"f", 1 << 24, 0);
    b.add_int(b"a\0b", 4, 0);
    let id = TypeId(1);
    let kind = Kind::Func;
    let error = BtfError::TooManyElements { id, kind };
    assert_eq!(b.error(), Some(error));
    assert_eq!(b.finish(), Err(error));

    let mut b = Builder::new(Endian::Little);
    let wide = Member {
        bitfield_size: 256,
        ..Member::new(b"x", TypeId(1), 0)
    };
    b.add_struct(b"s", 4, &[wide]);
    assert!(matches!(
        b.finish(),
        Err(BtfError::BitField { width: 256, .. })
    ));
    let mut b = Builder::new(Endian::Little);
    b.add_int(b"a\0b", 4, 0);
    assert_eq!(b.finish(), Err(BtfError::NameWithNul));
}

#[test]
fn sort_by_name_puts_types_without_name_first() {
    let unsorted = Btf::parse(zoo(Endian::Big).build()).unwrap();
    let mut b = Builder::from_btf(&unsorted).unwrap();
    let moved = b.sort_by_name().unwrap();
    assert_eq!(moved.removed(), 0);
    let sorted = Btf::parse(b.clone().finish().unwrap()).unwrap();
    let names: Vec<_> = sorted.types().map(|(_, ty)| ty.name().to_vec()).collect();
    assert!(names.is_sorted(), "{names:?}");
    for (id, ty) in unsorted.types() {
        let new = sorted.type_by_id(moved.map(id)).unwrap();
        assert_eq!((new.kind(), new.name()), (ty.kind(), ty.name()));
        assert_eq!(
            new.referenced(),
            ty.referenced().map(|id| moved.map(id)),
            "{id}"
        );
        if !ty.name().is_empty() {
            let found = sorted.find_by_name_kind(ty.name(), ty.kind());
            assert_eq!(found, Some(moved.map(id)));
        }
    }
    let again = b.sort_by_name().unwrap();
    assert!(sorted.ids().all(|id| again.map(id) == id));
    assert_eq!(b.finish().unwrap(), sorted.data());
}

#[test]
fn sort_by_name_when_names_are_equal_then_in_their_order() {
    let mut b = Builder::new(Endian::Little);
    for (name, size) in [
        (&b"b\xff"[..], 1),
        (b"b", 2),
        (b"a", 3),
        (b"b", 4),
        (b"b\x01", 5),
    ] {
        b.add_float(name, size);
    }
    b.sort_by_name().unwrap();
    let blob = b.finish().unwrap();
    let btf = Btf::parse(&blob).unwrap();
    let sizes: Vec<_> = btf.ids().map(|id| btf.size_of(id).unwrap()).collect();
    assert_eq!(sizes, [3, 2, 4, 5, 1]);

    let mut b = Builder::new(Endian::Little);
    b.add_ptr(2);
    assert_eq!(
        b.sort_by_name(),
        Err(BtfError::NoSuchType { id: 2, end: 2 })
    );
}

#[test]
fn names_that_are_parts_of_one_long_string_are_bounded() {
    let mut blob = Blob::new(Endian::Little);
    let long = blob.str(&[b'x'; 20_000]);
    for at in 0..20_000 {
        blob.word(long + at).word(16 << 24).word(4);
    }
    let btf = Btf::parse(blob.build()).unwrap();
    let overlap = |result| matches!(result, Err(BtfError::NamesOverlap { .. }));
    assert!(overlap(Builder::new(Endian::Big).append(&btf).map(|_| ())));
    let mut b = Builder::from_btf(&btf).unwrap();
    assert!(overlap(b.sort_by_name().map(|_| ())));
    assert!(overlap(b.dedup().map(|_| ())));
    assert_eq!(b.finish().unwrap(), btf.data());
    let mut b = Builder::new(Endian::Big);
    let mut one = |id| b.copy_type(&btf, id, &mut |id| id);
    assert!(btf.ids().any(|id| overlap(one(id).map(|_| ()))));
}

/// One random type; references may lead anywhere.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Int(String, u32, u8),
    Refer(u8, String, u32),
    Array(u32, u32, u32),
    Composite(bool, String, Vec<(String, u32, u32, u32)>),
    Enum(String, bool, Vec<(String, u64)>),
    Proto(u32, Vec<(String, u32)>),
    Var(String, u32, u32),
    Datasec(String, Vec<(u32, u32, u32)>),
}

pub(crate) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let name = || "[a-c]{0,2}";
    let id = || 0u32..12;
    let step = prop_oneof![
        (name(), 0u32..20, any::<u8>()).prop_map(|(n, s, e)| Step::Int(n, s, e & 15)),
        (0u8..9, name(), id()).prop_map(|(k, n, i)| Step::Refer(k, n, i)),
        (id(), id(), any::<u32>()).prop_map(|(a, b, c)| Step::Array(a, b, c)),
        (
            any::<bool>(),
            name(),
            prop::collection::vec((name(), id(), 0u32..1 << 24, 0u32..20), 0..4)
        )
            .prop_map(|(u, n, m)| Step::Composite(u, n, m)),
        (
            name(),
            any::<bool>(),
            prop::collection::vec((name(), any::<u64>()), 0..3)
        )
            .prop_map(|(n, w, v)| Step::Enum(n, w, v)),
        (id(), prop::collection::vec((name(), id()), 0..3)).prop_map(|(r, p)| Step::Proto(r, p)),
        (name(), 0u32..3, id()).prop_map(|(n, l, i)| Step::Var(n, l, i)),
        (
            name(),
            prop::collection::vec((id(), any::<u32>(), any::<u32>()), 0..3)
        )
            .prop_map(|(n, v)| Step::Datasec(n, v)),
    ];
    prop::collection::vec(step, 0..12)
}

pub(crate) fn run(b: &mut Builder<'_>, steps: &[Step]) {
    for step in steps {
        match step {
            Step::Int(n, size, enc) => b.add_int(n.as_bytes(), *size, *enc),
            Step::Refer(kind, n, id) => match kind {
                0 => b.add_ptr(*id),
                1 => b.add_const(*id),
                2 => b.add_volatile(*id),
                3 => b.add_restrict(*id),
                4 => b.add_typedef(n.as_bytes(), *id),
                5 => b.add_func(n.as_bytes(), 2, *id),
                6 => b.add_type_tag(n.as_bytes(), *id),
                7 => b.add_decl_tag(n.as_bytes(), *id, -1),
                _ => b.add_fwd(n.as_bytes(), id % 2 == 0),
            },
            Step::Array(element, index, len) => b.add_array(*element, *index, *len),
            Step::Composite(union, n, members) => {
                let members: Vec<_> = members
                    .iter()
                    .map(|(n, id, bit_offset, bitfield_size)| Member {
                        name: n.as_bytes(),
                        type_id: TypeId(*id),
                        bit_offset: *bit_offset,
                        bitfield_size: *bitfield_size,
                    })
                    .collect();
                if *union {
                    b.add_union(n.as_bytes(), 8, &members)
                } else {
                    b.add_struct(n.as_bytes(), 8, &members)
                }
            }
            Step::Enum(n, wide, values) => {
                let wide_values: Vec<_> = values.iter().map(|(n, v)| (n.as_bytes(), *v)).collect();
                let values: Vec<_> = values
                    .iter()
                    .map(|(n, v)| (n.as_bytes(), u32::try_from(v >> 32).unwrap()))
                    .collect();
                if *wide {
                    b.add_enum64(n.as_bytes(), 8, true, &wide_values)
                } else {
                    b.add_enum(n.as_bytes(), 4, false, &values)
                }
            }
            Step::Proto(returns, params) => {
                let params: Vec<_> = params
                    .iter()
                    .map(|(n, id)| (n.as_bytes(), TypeId(*id)))
                    .collect();
                b.add_func_proto(*returns, &params)
            }
            Step::Var(n, linkage, id) => b.add_var(n.as_bytes(), *linkage, *id),
            Step::Datasec(n, vars) => {
                let vars: Vec<_> = vars
                    .iter()
                    .map(|(id, offset, size)| SecVar {
                        type_id: TypeId(*id),
                        offset: *offset,
                        size: *size,
                    })
                    .collect();
                b.add_datasec(n.as_bytes(), 8, &vars)
            }
        };
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Written, read, written: the same bytes; and the same text in the other byte order.
    #[test]
    fn write_read_write_is_identity(first in steps(), second in steps(), layout: bool) {
        let mut b = Builder::new(Endian::Little);
        run(&mut b, &first);
        if layout {
            b.add_layout();
        }
        let blob = b.clone().finish().unwrap();
        let btf = Btf::parse(&blob).unwrap();
        prop_assert_eq!(btf.ids().len(), first.len());
        let again = Builder::from_btf(&btf).unwrap();
        prop_assert_eq!(&again.clone().finish().unwrap(), &blob);

        b.set_endian(Endian::Big);
        let big = Btf::parse(b.finish().unwrap()).unwrap();
        prop_assert_eq!(text(&big), text(&btf));
        let mut copy = Builder::new(Endian::Little);
        copy.append(&big).unwrap();
        let mut plain = again;
        plain.layout.clear();
        plain.long_header = false;
        prop_assert_eq!(copy.finish().unwrap(), plain.finish().unwrap());

        let mut split = Builder::split(&btf);
        run(&mut split, &second);
        let own = split.finish().unwrap();
        let base = Arc::new(Btf::parse(&blob).unwrap());
        let split = Btf::parse_split(&own, base).unwrap();
        prop_assert_eq!(split.ids().len(), second.len());
        prop_assert_eq!(Builder::from_btf(&split).unwrap().finish().unwrap(), own);
    }
}
