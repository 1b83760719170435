use std::sync::Arc;

use super::*;
use crate::build::tests::text;
use crate::build::{Member, SecVar};
use crate::testing::{Blob, zoo};
use crate::{Endian, encoding};

const BOTH: [Endian; 2] = [Endian::Little, Endian::Big];

fn parse(b: Builder<'_>) -> Btf<'static> {
    Btf::parse(b.finish().unwrap()).unwrap()
}

fn on<'b>(base: &Arc<Btf<'static>>, add: impl FnOnce(&mut Builder<'_>)) -> Btf<'b> {
    let mut b = Builder::split(base);
    add(&mut b);
    Btf::parse_split(b.finish().unwrap(), Arc::clone(base)).unwrap()
}

fn m(name: &'static [u8], id: impl Into<TypeId>, bit: u32) -> Member<'static> {
    Member::new(name, id.into(), bit)
}

/// A base of all that a distilled one can have, and types that refer to it.
fn kernel(endian: Endian) -> Arc<Btf<'static>> {
    let mut b = Builder::new(endian);
    b.add_int(b"int", 4, encoding::SIGNED); // 1
    b.add_int(b"unused", 2, 0); // 2
    b.add_float(b"float", 4); // 3
    b.add_struct(b"list", 16, &[m(b"next", 5, 0), m(b"prev", 5, 64)]); // 4
    b.add_ptr(4); // 5
    b.add_union(b"either", 8, &[m(b"a", 1, 0), m(b"b", 3, 0)]); // 6
    b.add_enum(b"colour", 4, false, &[(b"RED", 0), (b"BLUE", 1)]); // 7
    b.add_enum64(b"large", 8, false, &[(b"MANY", 1 << 40)]); // 8
    b.add_fwd(b"hidden", false); // 9
    b.add_ptr(9); // 10
    b.add_struct(b"", 12, &[m(b"inner", 1, 0), m(b"hide", 10, 32)]); // 11
    b.add_typedef(b"number", 1); // 12
    b.add_array(12, 1, 3); // 13
    b.add_enum(b"", 4, false, &[(b"ONE", 1)]); // 14
    b.add_func_proto(1, &[(b"colour", TypeId(7))]); // 15
    b.add_func(b"run", 1, 15); // 16
    Arc::new(parse(b))
}

fn module(kernel: &Arc<Btf<'static>>) -> Btf<'static> {
    on(kernel, |b| {
        let first = b.next_id();
        b.add_struct(
            b"mine",
            64,
            &[
                m(b"list", 4, 0),
                m(b"e", first + 1, 128),
                m(b"l", 8, 192),
                m(b"anon", 11, 256),
                m(b"arr", 13, 352),
                m(b"one", 14, 448),
                m(b"f", 3, 480),
            ],
        );
        b.add_ptr(6);
        b.add_ptr(15);
        b.add_typedef(b"mine_t", first);
    })
}

#[test]
fn distilled_when_types_are_split_then_names_and_sizes_are_left() {
    for endian in BOTH {
        let module = module(&kernel(endian));
        let parts = distill_base(&module).unwrap();
        let base = Btf::parse(parts.base).unwrap();
        assert_eq!(base.endian(), endian);
        let expected = "\
[1] INT 'int' size=4 bits_offset=0 nr_bits=32 encoding=SIGNED
[2] FLOAT 'float' size=4
[3] STRUCT 'list' size=16 vlen=0
[4] UNION 'either' size=8 vlen=0
[5] ENUM 'colour' encoding=UNSIGNED size=4 vlen=0
[6] ENUM 'large' encoding=UNSIGNED size=8 vlen=0
[7] FWD 'hidden' fwd_kind=struct
";
        assert_eq!(text(&base), expected);
        let split = Btf::parse_split(parts.split, Arc::new(base)).unwrap();
        assert_eq!(split.endian(), endian);
        let expected = "\
[8] STRUCT 'mine' size=64 vlen=7
\t'list' type_id=3 bits_offset=0
\t'e' type_id=9 bits_offset=128
\t'l' type_id=6 bits_offset=192
\t'anon' type_id=13 bits_offset=256
\t'arr' type_id=15 bits_offset=352
\t'one' type_id=16 bits_offset=448
\t'f' type_id=2 bits_offset=480
[9] PTR '(anon)' type_id=4
[10] PTR '(anon)' type_id=17
[11] TYPEDEF 'mine_t' type_id=8
[12] PTR '(anon)' type_id=7
[13] STRUCT '(anon)' size=12 vlen=2
\t'inner' type_id=1 bits_offset=0
\t'hide' type_id=12 bits_offset=32
[14] TYPEDEF 'number' type_id=1
[15] ARRAY '(anon)' type_id=14 index_type_id=1 nr_elems=3
[16] ENUM '(anon)' encoding=UNSIGNED size=4 vlen=1
\t'ONE' val=1
[17] FUNC_PROTO '(anon)' ret_type_id=1 vlen=1
\t'colour' type_id=5
";
        assert_eq!(text(&split), expected);
    }
}

#[test]
fn relocated_when_base_is_the_same_then_deduplicated_as_before() {
    for endian in BOTH {
        let kernel = kernel(endian);
        let module = module(&kernel);
        let parts = distill_base(&module).unwrap();
        let base = Arc::new(Btf::parse(parts.base).unwrap());
        let split = Btf::parse_split(parts.split, base).unwrap();
        let moved = relocate(&split, &kernel).unwrap();
        let back = Btf::parse_split(moved.into_data(), Arc::clone(&kernel)).unwrap();
        assert_eq!(back.endian(), endian);
        // what went along is in the base
        let mut b = Builder::from_btf(&back).unwrap();
        assert_eq!(b.dedup().unwrap().removed(), 6);
        let once = Btf::parse_split(b.finish().unwrap(), kernel).unwrap();
        assert_eq!(text(&once), text(&module));
    }
}

#[test]
fn relocated_when_byte_orders_differ_then_that_of_the_types_stays() {
    let module = module(&kernel(Endian::Little));
    let parts = distill_base(&module).unwrap();
    let base = Arc::new(Btf::parse(parts.base).unwrap());
    let split = Btf::parse_split(parts.split, base).unwrap();
    let other = kernel(Endian::Big);
    let moved = relocate(&split, &other).unwrap();
    let back = Btf::parse_split(moved.into_data(), other).unwrap();
    assert_eq!(back.endian(), Endian::Little);
    let same = relocate(&split, &kernel(Endian::Little)).unwrap();
    let same = Btf::parse_split(same.into_data(), kernel(Endian::Little)).unwrap();
    assert_eq!(text(&back), text(&same));
}

#[test]
fn ids_when_relocated_then_told() {
    let kernel = kernel(Endian::Little);
    let module = module(&kernel);
    let parts = distill_base(&module).unwrap();
    let base = Arc::new(Btf::parse(parts.base).unwrap());
    let split = Btf::parse_split(parts.split, Arc::clone(&base)).unwrap();
    let moved = relocate(&split, &kernel).unwrap();
    let back = Btf::parse_split(moved.data().to_vec(), Arc::clone(&kernel)).unwrap();
    assert_eq!(moved.map(TypeId::VOID), TypeId::VOID);
    for (id, ty) in base.types().chain(split.types()) {
        let new = back.type_by_id(moved.map(id)).unwrap();
        assert_eq!(new.name(), ty.name(), "{id}");
    }
    assert_eq!(moved.map(TypeId(u32::MAX)), TypeId(u32::MAX));
}

/// A distilled base with one type, a pointer to it (2) and a typedef of that with its name (3); if
/// `embedded` also a struct that contains it.
fn split_of(one: impl FnOnce(&mut Builder<'_>), embedded: bool) -> Btf<'static> {
    let mut b = Builder::new(Endian::Little);
    one(&mut b);
    let base = Arc::new(parse(b));
    let name = base.types().next().unwrap().1.name().to_vec();
    on(&base, |b| {
        b.add_ptr(1);
        b.add_typedef(&name, 2);
        if embedded {
            let alias = b.add_typedef(b"alias", 1);
            let many = b.add_array(alias, 1, 2);
            let constant = b.add_const(many);
            b.add_struct(b"outer", 64, &[m(b"many", constant, 0)]);
        }
    })
}

/// What the type of a distilled base is found as in a base of `types`: an id, or an error.
#[track_caller]
fn check(
    one: impl FnOnce(&mut Builder<'_>),
    embedded: bool,
    types: impl FnOnce(&mut Builder<'_>),
    expected: Result<u32, &str>,
) {
    let split = split_of(one, embedded);
    let mut b = Builder::new(Endian::Little);
    types(&mut b);
    let base = Arc::new(parse(b));
    let found = match relocate(&split, &base) {
        Err(error) => Err(error.to_string()),
        Ok(moved) => {
            let id = moved.map(TypeId(1)).0;
            let back = Btf::parse_split(moved.into_data(), Arc::clone(&base)).unwrap();
            let first = back.type_by_id(base.len()).unwrap();
            assert_eq!(first.record().unwrap().size_or_type(), id);
            let (_, second) = back.types().nth(1).unwrap();
            assert_eq!(second.name(), split.types().nth(1).unwrap().1.name());
            assert_eq!(second.referenced(), Some(TypeId(base.len())));
            Ok(id)
        }
    };
    assert_eq!(
        found.as_ref().map_err(String::as_str),
        expected.as_ref().map_err(|e| *e)
    );
}

fn structure(size: u32) -> impl Fn(&mut Builder<'_>) {
    move |b| _ = b.add_struct(b"s", size, &[])
}

#[test]
fn integers_are_found_by_size_and_encoding() {
    let int = |b: &mut Builder<'_>| _ = b.add_int(b"long", 8, encoding::SIGNED);
    let types = |b: &mut Builder<'_>| {
        b.add_int(b"long", 4, encoding::SIGNED);
        b.add_int(b"long", 8, 0);
        b.add_float(b"long", 8);
        b.add_int(b"long", 8, encoding::SIGNED);
    };
    check(int, false, types, Ok(4));
    let none = Err("the base has no integer 'long' of 8 bytes");
    check(int, false, |b| _ = b.add_int(b"long", 8, 0), none);
    check(
        int,
        false,
        |b| _ = b.add_int(b"lon", 8, encoding::SIGNED),
        none,
    );
    let twice = |b: &mut Builder<'_>| {
        b.add_int(b"long", 8, encoding::SIGNED);
        b.add_int(b"long", 8, encoding::SIGNED);
        b.add_int(b"long", 8, encoding::SIGNED);
    };
    let more = "the base has more than one integer 'long' of 8 bytes: types 1 and 2";
    check(int, false, twice, Err(more));
}

#[test]
fn enumerations_and_floating_point_types_are_found_by_size() {
    let types = |b: &mut Builder<'_>| {
        b.add_enum(b"e", 4, true, &[(b"A", 1)]);
        b.add_enum64(b"e", 8, false, &[(b"B", 1)]);
        b.add_float(b"e", 4);
    };
    check(|b| _ = b.add_enum(b"e", 4, false, &[]), false, types, Ok(1));
    check(|b| _ = b.add_enum(b"e", 8, false, &[]), false, types, Ok(2));
    check(|b| _ = b.add_float(b"e", 4), false, types, Ok(3));
    check(
        |b| _ = b.add_float(b"e", 8),
        false,
        types,
        Err("the base has no floating-point type 'e' of 8 bytes"),
    );
}

#[test]
fn structs_are_found_by_name_alone_where_that_is_enough() {
    check(structure(8), false, structure(16), Ok(1));
    check(structure(8), true, structure(8), Ok(1));
    // contained in another its size is laid down
    let none = Err("the base has no struct 's' of 8 bytes");
    check(structure(8), true, structure(16), none);
    let two = |b: &mut Builder<'_>| {
        structure(16)(b);
        structure(8)(b);
    };
    check(structure(8), false, two, Ok(2));
    check(structure(16), true, two, Ok(1));
    let none = Err("the base has no struct 's' of 24 bytes");
    check(structure(24), false, two, none);
    let four = |b: &mut Builder<'_>| {
        two(b);
        two(b);
    };
    let more = "the base has more than one struct 's' of 8 bytes: types 2 and 4";
    check(structure(8), false, four, Err(more));
    // a union is another type, and makes the name say too little
    let union = |b: &mut Builder<'_>| _ = b.add_union(b"s", 8, &[]);
    check(
        structure(8),
        false,
        union,
        Err("the base has no struct 's'"),
    );
    let both = |b: &mut Builder<'_>| {
        union(b);
        structure(8)(b);
    };
    check(structure(8), false, both, Ok(2));
    check(
        structure(16),
        false,
        both,
        Err("the base has no struct 's' of 16 bytes"),
    );
}

#[test]
fn declarations_and_definitions_stand_for_each_other() {
    let fwd = |is_union| move |b: &mut Builder<'_>| _ = b.add_fwd(b"s", is_union);
    check(fwd(false), false, fwd(false), Ok(1));
    check(fwd(false), false, structure(8), Ok(1));
    check(structure(8), false, fwd(false), Ok(1));
    check(
        structure(8),
        true,
        fwd(false),
        Err("the base has no struct 's' of 8 bytes"),
    );
    check(
        fwd(true),
        false,
        structure(8),
        Err("the base has no declaration of union 's'"),
    );
    check(
        structure(8),
        false,
        fwd(true),
        Err("the base has no struct 's'"),
    );
    // bit fields have the flag that unions have in declarations
    let bits = |b: &mut Builder<'_>| {
        let int = b.add_int(b"int", 4, 0);
        let bit = Member {
            bitfield_size: 1,
            ..m(b"b", int, 0)
        };
        b.add_struct(b"s", 4, &[bit]);
    };
    check(fwd(false), false, bits, Ok(2));
    // there are both
    let both = |b: &mut Builder<'_>| {
        fwd(false)(b);
        structure(8)(b);
    };
    check(structure(8), false, both, Ok(2));
    check(fwd(false), false, both, Ok(1));
    // which of two is meant a declaration does not tell
    let two = |b: &mut Builder<'_>| {
        structure(8)(b);
        structure(16)(b);
    };
    check(
        fwd(false),
        false,
        two,
        Err("the base has no declaration of struct 's'"),
    );
}

#[test]
fn names_when_a_file_chose_them_then_shown_escaped_and_cut() {
    check(
        |b| _ = b.add_struct(b"a\x1b[2J", 8, &[]),
        false,
        |_| (),
        Err(r"the base has no struct 'a\x1b[2J'"),
    );
    let long = "x".repeat(200);
    let error = format!("the base has no struct '{}...'", "x".repeat(128));
    let one = |b: &mut Builder<'_>| _ = b.add_struct(long.as_bytes(), 8, &[]);
    check(one, false, |_| (), Err(&error));
}

#[test]
fn strings_of_the_old_base_that_name_nothing_are_taken_along() {
    // "other" is a string of the distilled base that no type there has
    let mut base = Blob::new(Endian::Little);
    base.int("int", 4, 1, 0, 32);
    let other = base.str(b"other");
    let int = base.str(b"int");
    let mut split = Blob::split(&base);
    for name in [other, int, 1] {
        split.word(name).word(8 << 24).word(1);
    }
    split.record(b"own", 8, 0, 1, &[]);
    let old = Arc::new(Btf::parse(base.build()).unwrap());
    let split = Btf::parse_split(split.build(), old).unwrap();
    let mut b = Builder::new(Endian::Little);
    b.add_int(b"char", 1, 0);
    b.add_int(b"int", 4, encoding::SIGNED);
    let new = Arc::new(parse(b));
    let moved = relocate(&split, &new).unwrap();
    let back = Btf::parse_split(moved.into_data(), new).unwrap();
    let expected = "\
[3] TYPEDEF 'other' type_id=2
[4] TYPEDEF 'int' type_id=2
[5] TYPEDEF 'int' type_id=2
[6] TYPEDEF 'own' type_id=2
";
    assert_eq!(text(&back), expected);
}

#[test]
fn bases_that_nothing_distilled_are_refused() {
    let new = kernel(Endian::Little);
    let relocated = |add: &dyn Fn(&mut Blob)| {
        let mut base = Blob::new(Endian::Little);
        add(&mut base);
        let mut split = Blob::split(&base);
        split.record(b"", 2, 0, 1, &[]);
        let base = Arc::new(Btf::parse(base.build()).unwrap());
        relocate(&Btf::parse_split(split.build(), base).unwrap(), &new)
    };
    let (id, kind) = (TypeId(1), Kind::Ptr);
    assert_eq!(
        relocated(&|b| b.record(b"", 2, 0, 0, &[])),
        Err(DistillError::NotDistilled { id, kind })
    );
    let kind = Kind::Enum64;
    assert_eq!(
        relocated(&|b| b.record(b"large", 19, 0, 8, &[])),
        Err(DistillError::NotDistilled { id, kind })
    );
    let kind = Kind::Struct;
    assert_eq!(
        relocated(&|b| b.record(b"", 4, 0, 8, &[])),
        Err(DistillError::NoName { id, kind })
    );
    assert_eq!(
        relocated(&|b| {
            b.word(1000).word(4 << 24).word(8);
        }),
        Err(BtfError::NoSuchString {
            offset: 1000,
            end: 1
        }
        .into())
    );
    assert_eq!(
        relocate(&new, &new).unwrap_err().to_string(),
        "the types have no base"
    );
    assert_eq!(distill_base(&new), Err(DistillError::NoBase));
}

#[test]
fn references_to_what_is_no_type_are_refused() {
    let kernel = kernel(Endian::Little);
    let error = |add: &dyn Fn(&mut Builder<'_>)| {
        let split = on(&kernel, add);
        (
            distill_base(&split).unwrap_err().to_string(),
            relocate(&split, &kernel).unwrap_err().to_string(),
        )
    };
    let (distilled, _) = error(&|b| _ = b.add_ptr(16));
    assert_eq!(
        distilled,
        "type 17 refers to type 16 of the base, which is FUNC"
    );
    let (distilled, _) = error(&|b| _ = b.add_ptr(99));
    assert_eq!(distilled, "no type with id 99: ids end at 18");

    let base = {
        let mut b = Builder::new(Endian::Little);
        b.add_int(b"int", 4, encoding::SIGNED);
        Arc::new(parse(b))
    };
    let split = on(&base, |b| _ = b.add_ptr(99));
    assert_eq!(
        relocate(&split, &kernel),
        Err(BtfError::NoSuchType { id: 99, end: 3 }.into())
    );
    let split = on(&base, |b| {
        let var = b.add_var(b"v", 1, 1);
        let place = SecVar {
            type_id: var,
            offset: 0,
            size: 4,
        };
        b.add_datasec(b".data", 4, &[place]);
        b.add_decl_tag(b"tag", var, -1);
    });
    let moved = relocate(&split, &kernel).unwrap();
    let back = Btf::parse_split(moved.into_data(), Arc::clone(&kernel)).unwrap();
    let expected = "\
[17] VAR 'v' type_id=1, linkage=global
[18] DATASEC '.data' size=4 vlen=1
\ttype_id=17 offset=0 size=4 (VAR 'v')
[19] DECL_TAG 'tag' type_id=17 component_idx=-1
";
    assert_eq!(text(&back), expected);
}

#[test]
fn empty_names_with_an_offset_are_none() {
    let mut base = Blob::new(Endian::Little);
    // behind "s" there is the empty string
    let empty = base.str(b"s") + 1;
    base.word(empty).word(4 << 24).word(8);
    let bytes = base.build();
    let mut split = Blob::split(&base);
    split.record(b"", 2, 0, 1, &[]);
    let base = Arc::new(Btf::parse(bytes).unwrap());
    let split = Btf::parse_split(split.build(), Arc::clone(&base)).unwrap();
    let parts = distill_base(&split).unwrap();
    let small = Arc::new(Btf::parse(parts.base).unwrap());
    assert!(small.is_empty());
    let apart = Btf::parse_split(parts.split, small).unwrap();
    let expected = "[1] PTR '(anon)' type_id=2\n[2] STRUCT '(anon)' size=8 vlen=0\n";
    assert_eq!(text(&apart), expected);
    let (id, kind) = (TypeId(1), Kind::Struct);
    assert_eq!(
        relocate(&split, &base),
        Err(DistillError::NoName { id, kind })
    );
}

#[test]
fn cycles_of_typedefs_end() {
    let base = {
        let mut b = Builder::new(Endian::Little);
        b.add_struct(b"s", 8, &[]);
        Arc::new(parse(b))
    };
    let split = on(&base, |b| {
        b.add_typedef(b"a", 3);
        b.add_typedef(b"b", 2);
        b.add_struct(b"t", 8, &[m(b"m", 2, 0), m(b"n", 5, 0), m(b"s", 1, 0)]);
        b.add_array(5, 5, 1);
    });
    let moved = relocate(&split, &base).unwrap();
    assert_eq!(moved.data(), split.data());
}

#[test]
fn names_that_overlap_are_bounded() {
    // each name is the rest of one long string
    let length = 2000;
    let mut base = Blob::new(Endian::Little);
    base.str(&vec![b'x'; length]);
    for at in 0..length {
        base.word(u32::try_from(at).unwrap() + 1)
            .word(4 << 24)
            .word(8);
    }
    let bytes = base.build();
    let mut split = Blob::split(&base);
    for at in 1..=length {
        split.record(b"", 2, 0, u32::try_from(at).unwrap(), &[]);
    }
    let base = Arc::new(Btf::parse(bytes).unwrap());
    let split = Btf::parse_split(split.build(), Arc::clone(&base)).unwrap();
    let overlap = |result: Result<(), DistillError>| {
        assert!(matches!(
            result,
            Err(DistillError::Btf(BtfError::NamesOverlap { .. }))
        ));
    };
    overlap(relocate(&split, &base).map(|_| ()));
    let sound = on(&kernel(Endian::Little), |_| ());
    let parts = distill_base(&sound).unwrap();
    let none = Arc::new(Btf::parse(parts.base).unwrap());
    let sound = Btf::parse_split(parts.split, none).unwrap();
    overlap(relocate(&sound, &base).map(|_| ()));
}

#[test]
fn every_kind_goes_there_and_back() {
    for endian in BOTH {
        let base = Arc::new(Btf::parse(zoo(endian).build()).unwrap());
        // a pointer to each that can be referred to
        let split = on(&base, |b| {
            for (id, _) in base.types().filter(|(_, ty)| is_part_of_types(ty.kind())) {
                b.add_ptr(id);
            }
        });
        let parts = distill_base(&split).unwrap();
        let small = Arc::new(Btf::parse(parts.base).unwrap());
        let apart = Btf::parse_split(parts.split, small).unwrap();
        let moved = relocate(&apart, &base).unwrap();
        let back = Btf::parse_split(moved.into_data(), Arc::clone(&base)).unwrap();
        let once = |btf: &Btf<'static>| {
            let mut b = Builder::from_btf(btf).unwrap();
            b.dedup().unwrap();
            text(&Btf::parse_split(b.finish().unwrap(), Arc::clone(&base)).unwrap())
        };
        assert_eq!(once(&back), once(&split));
    }
}
