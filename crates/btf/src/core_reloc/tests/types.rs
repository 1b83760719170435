//! Questions about types and constants.

use super::*;
use RelocKind::{
    EnumvalExists, EnumvalValue, TypeExists as Exists, TypeIdLocal, TypeIdTarget,
    TypeMatches as Matches, TypeSize,
};

/// Whether a typedef `t` of the one type stands for one of the other.
#[track_caller]
fn check(
    kind: RelocKind,
    expect: bool,
    local: impl FnOnce(&mut Blob) -> u32,
    target: impl FnOnce(&mut Blob) -> u32,
) {
    let mut root = 0;
    let w = little(
        |b| {
            let id = local(b);
            b.record(b"t", TYPEDEF, 0, id, &[]);
            let blob = b.build();
            root = Btf::parse(&blob).unwrap().len() - 1;
        },
        |b| {
            let id = target(b);
            b.record(b"t", TYPEDEF, 0, id, &[]);
        },
    );
    w.check(root, "0", kind, (1, Some(expect.into())));
}

/// One more type, whose id is 9.
fn one(make: impl Fn(&mut Blob) + Copy) -> impl Fn(&mut Blob) -> u32 + Copy {
    move |b| {
        make(b);
        9
    }
}

fn composite(
    kind: u32,
    name: &'static str,
    members: &'static [(&'static str, u32, u32)],
) -> impl Fn(&mut Blob) -> u32 + Copy {
    one(move |b| b.composite(kind, name, 8, members))
}

#[test]
fn local_ids_need_no_target() {
    let w = little(|b| b.composite(STRUCT, "", 8, &[]), |_| ());
    let fixup = w.ask(9, "0", TypeIdLocal).unwrap();
    assert_eq!((fixup.local, fixup.target), (9, 9));
    assert!(!fixup.sure && !fixup.poison);
    w.check(0, "0", TypeIdLocal, (0, Some(0)));
}

#[test]
fn target_ids_are_zero_without_the_type() {
    let w = little(
        |b| {
            b.composite(STRUCT, "s", 8, &[]);
            b.composite(STRUCT, "gone", 8, &[]);
        },
        |b| {
            b.record(b"pad", TYPEDEF, 0, INT, &[]);
            b.composite(STRUCT, "s", 8, &[]);
        },
    );
    w.check(9, "0", TypeIdTarget, (9, Some(10)));
    w.check(10, "0", TypeIdTarget, (10, Some(0)));
    assert!(!w.ask(9, "0", TypeIdTarget).unwrap().sure);
}

#[test]
fn sizes_are_zero_without_the_type() {
    let w = little(
        |b| {
            b.composite(STRUCT, "s", 8, &[]);
            b.composite(STRUCT, "gone", 8, &[]);
            b.record(b"f", FWD, 0, 0, &[]);
        },
        |b| {
            b.composite(STRUCT, "s", 24, &[]);
            b.record(b"f", FWD, 0, 0, &[]);
        },
    );
    w.check(9, "0", TypeSize, (8, Some(24)));
    w.check(10, "0", TypeSize, (8, Some(0)));
    w.check_why(11, "0", TypeSize, "defect in the object's btf");
}

#[test]
fn types_exist_by_name_and_kind() {
    let w = little(
        |b| {
            b.composite(STRUCT, "s", 8, &[("gone", INT, 0)]);
            b.composite(STRUCT, "u", 8, &[]);
        },
        |b| {
            b.composite(STRUCT, "s", 24, &[]);
            b.composite(UNION, "u", 8, &[]);
        },
    );
    w.check(9, "0", Exists, (1, Some(1)));
    w.check(10, "0", Exists, (1, Some(0)));
    w.check_why(10, "0", Exists, "the target has no struct u");
}

#[test]
fn types_fit_by_kind_below_the_name() {
    let enums =
        |kind: u32, name: &'static str| one(move |b| b.record(name.as_bytes(), kind, 0, 4, &[]));
    check(
        Exists,
        true,
        composite(STRUCT, "a", &[]),
        composite(STRUCT, "b", &[("x", INT, 0)]),
    );
    check(
        Exists,
        false,
        composite(STRUCT, "a", &[]),
        composite(UNION, "a", &[]),
    );
    check(Exists, true, enums(ENUM, "a"), enums(ENUM64, "b"));
    check(Exists, true, enums(FWD, "a"), enums(FWD, "b"));
    check(Exists, true, |_| INT, |_| ULONG);
    check(Exists, false, |_| INT, one(|b| b.int("i", 4, 1, 3, 5)));
    check(Exists, false, |_| INT, |_| PTR);
    check(Exists, true, |_| 0, |_| 0);
    check(Exists, false, |_| 0, |_| INT);
    // floating point is not supported here
    let float = one(|b| b.record(b"float", FLOAT, 0, 4, &[]));
    check(Exists, false, float, float);
    // through pointers and arrays
    let pointer = |to: u32| one(move |b| b.record(b"", 2, 0, to, &[]));
    check(Exists, true, pointer(INT), pointer(ULONG));
    check(Exists, false, pointer(INT), pointer(PTR));
    let array = |elem: u32, len: u32| one(move |b| b.array(elem, len));
    check(Exists, true, array(INT, 3), array(ULONG, 4));
    check(Exists, false, array(INT, 3), array(PTR, 3));
}

#[test]
fn functions_fit_by_parameters() {
    let proto = |returns: u32, params: &'static [u32]| one(move |b| b.proto(returns, params));
    for kind in [Exists, Matches] {
        check(kind, true, proto(INT, &[INT, PTR]), proto(INT, &[INT, PTR]));
        check(kind, false, proto(INT, &[INT]), proto(INT, &[INT, INT]));
        check(kind, false, proto(INT, &[INT]), proto(INT, &[PTR]));
        check(kind, false, proto(INT, &[INT]), proto(PTR, &[INT]));
    }
    check(Exists, true, proto(INT, &[INT]), proto(ULONG, &[CHAR]));
    check(Matches, false, proto(INT, &[INT]), proto(INT, &[CHAR]));
}

#[test]
fn types_match_down_to_members() {
    let s = |members: &'static [(&'static str, u32, u32)]| composite(STRUCT, "s", members);
    check(
        Matches,
        true,
        s(&[("a", INT, 0)]),
        s(&[("b", PTR, 0), ("a", INT, 64)]),
    );
    check(Matches, true, s(&[]), s(&[("a", INT, 0)]));
    check(Matches, false, s(&[("a", INT, 0)]), s(&[("b", INT, 0)]));
    check(Matches, false, s(&[("a", INT, 0)]), s(&[]));
    check(Matches, false, s(&[("a", INT, 0)]), s(&[("a", UINT, 0)]));
    check(Matches, true, s(&[("a___x", INT, 0)]), s(&[("a", INT, 0)]));
    check(
        Matches,
        false,
        composite(STRUCT, "s", &[]),
        composite(STRUCT, "r", &[]),
    );
    check(
        Matches,
        true,
        composite(STRUCT, "s___1", &[]),
        composite(STRUCT, "s", &[]),
    );
    check(
        Matches,
        false,
        composite(STRUCT, "s", &[]),
        composite(UNION, "s", &[]),
    );
    // several of a name, as anonymous ones have: one must match
    check(
        Matches,
        true,
        composite(UNION, "u", &[("", INT, 0)]),
        composite(UNION, "u", &[("", PTR, 0), ("", INT, 0)]),
    );
    let w = little(
        |b| b.composite(STRUCT, "s", 8, &[("a", INT, 0), ("gone", INT, 32)]),
        |b| b.composite(STRUCT, "s", 8, &[("a", INT, 0), ("b", INT, 32)]),
    );
    w.check_why(
        9,
        "0",
        Matches,
        "struct s [9] of the target: 'struct s' has no 'gone' that matches that of 'struct s'",
    );
}

#[test]
fn integers_match_by_size_and_sign() {
    check(Matches, true, |_| INT, |_| INT);
    check(Matches, false, |_| INT, |_| UINT);
    check(Matches, false, |_| LONG, |_| INT);
    check(
        Matches,
        false,
        |_| INT,
        one(|b| b.int("other", 4, 1, 0, 32)),
    );
    let array = |len: u32| one(move |b| b.array(INT, len));
    check(Matches, true, array(3), array(3));
    check(Matches, false, array(3), array(4));
    let float = one(|b| b.record(b"float", FLOAT, 0, 4, &[]));
    check(Matches, false, float, float);
}

#[test]
fn behind_pointers_names_and_kinds_match() {
    let to = |kind: u32, name: &'static str, members: &'static [(&'static str, u32, u32)]| {
        move |b: &mut Blob| {
            b.composite(kind, name, 8, members);
            b.record(b"", 2, 0, 9, &[]);
            10
        }
    };
    let fwd = |union: bool| {
        move |b: &mut Blob| {
            b.record(b"s", if union { FWD | FLAG } else { FWD }, 0, 0, &[]);
            b.record(b"", 2, 0, 9, &[]);
            10
        }
    };
    check(
        Matches,
        true,
        to(STRUCT, "s", &[("a", INT, 0)]),
        to(STRUCT, "s", &[]),
    );
    check(Matches, false, to(STRUCT, "s", &[]), to(STRUCT, "r", &[]));
    check(Matches, false, to(STRUCT, "s", &[]), to(UNION, "s", &[]));
    check(Matches, true, to(STRUCT, "s", &[]), fwd(false));
    check(Matches, false, to(STRUCT, "s", &[]), fwd(true));
    check(Matches, true, to(UNION, "s", &[]), fwd(true));
    check(Matches, true, fwd(false), to(STRUCT, "s", &[]));
    check(Matches, false, fwd(true), to(STRUCT, "s", &[]));
    check(Matches, true, fwd(true), fwd(true));
    check(Matches, false, fwd(true), fwd(false));
    // not behind one, a declaration is none of the type
    let bare = one(|b| b.record(b"s", FWD, 0, 0, &[]));
    check(Matches, false, bare, composite(STRUCT, "s", &[]));
    check(Matches, false, composite(STRUCT, "s", &[]), bare);
    check(Matches, true, bare, bare);
}

#[test]
fn enumerations_match_by_names_of_constants() {
    let e = |size: u32, names: &'static [(&'static str, u32)]| {
        one(move |b| b.enumeration("e", size, names))
    };
    check(
        Matches,
        true,
        e(4, &[("A", 1)]),
        e(4, &[("B", 1), ("A", 7)]),
    );
    check(Matches, true, e(4, &[("A___1", 1)]), e(4, &[("A", 1)]));
    check(Matches, false, e(4, &[("A", 1)]), e(4, &[("B", 1)]));
    check(
        Matches,
        false,
        e(4, &[("A", 1), ("B", 2)]),
        e(4, &[("A", 1)]),
    );
    check(Matches, false, e(4, &[("A", 1)]), e(8, &[("A", 1)]));
    check(
        Matches,
        true,
        e(8, &[("A", 1)]),
        one(|b| b.enumeration64("e", 8, &[("A", 1)])),
    );
}

#[test]
fn constants_are_found_by_name() {
    let w = little(
        |b| {
            b.enumeration(
                "e",
                4,
                &[("A", 1), ("GONE", 2), ("F___x", 3), ("N", u32::MAX)],
            )
        },
        |b| {
            b.enumeration(
                "e",
                4,
                &[("X", 0), ("F", 30), ("A", 10), ("N", 0x8000_0000)],
            )
        },
    );
    w.check(9, "0", EnumvalValue, (1, Some(10)));
    w.check(9, "1", EnumvalValue, (2, None));
    w.check(9, "2", EnumvalValue, (3, Some(30)));
    w.check(9, "0", EnumvalExists, (1, Some(1)));
    w.check(9, "1", EnumvalExists, (1, Some(0)));
    // 32 bits are extended by sign, whatever the enumeration says
    w.check(
        9,
        "3",
        EnumvalValue,
        (u64::MAX, Some(0xffff_ffff_8000_0000)),
    );
    w.check_why(
        9,
        "1",
        EnumvalValue,
        "enum e [9] of the target: 'enum e' has no constant 'GONE'",
    );
}

#[test]
fn enumerations_of_both_widths_stand_for_each_other() {
    let w = little(
        |b| b.enumeration("e", 4, &[("A", 1)]),
        |b| b.enumeration64("e", 8, &[("A", 0x1_0000_0002)]),
    );
    w.check(9, "0", EnumvalValue, (1, Some(0x1_0000_0002)));
    let w = little(
        |b| b.enumeration64("e", 8, &[("A", 5)]),
        |b| b.enumeration("e", 4, &[("A", 6)]),
    );
    w.check(9, "0", EnumvalValue, (5, Some(6)));
    // through a typedef on one side only there is no type of that kind and name
    let w = little(
        |b| b.enumeration("e", 4, &[("A", 1)]),
        |b| {
            b.enumeration("", 4, &[("A", 1)]);
            b.record(b"e", TYPEDEF, 0, 9, &[]);
        },
    );
    w.check(9, "0", EnumvalExists, (1, Some(0)));
    let typedef = |b: &mut Blob| {
        b.enumeration("", 4, &[("A", 4)]);
        b.record(b"e", TYPEDEF, 0, 9, &[]);
    };
    little(typedef, typedef).check(10, "0", EnumvalValue, (4, Some(4)));
}

#[test]
fn types_are_compared_without_a_relocation() {
    let mut local = ints(Endian::Little);
    local.record(b"", FUNC_PROTO, 1, INT, &[0, INT]);
    let mut target = Blob::new(Endian::Little);
    target.int("long", 8, 1, 0, 64);
    target.record(b"", FUNC_PROTO, 1, 1, &[0, 1]);
    target.record(b"", FUNC_PROTO, 0, 1, &[]);
    let (local, target) = (local.build(), target.build());
    let (local, target) = (Btf::parse(&local).unwrap(), Btf::parse(&target).unwrap());
    let fits = |here, there| types_fit(&local, TypeId(here), &target, TypeId(there));
    // sizes of integers do not count, numbers of parameters do
    assert_eq!(fits(FIRST, 2), Ok(true));
    assert_eq!(fits(FIRST, 3), Ok(false));
    assert_eq!(fits(INT, 2), Ok(false));
    assert!(fits(99, 2).is_err());
}
