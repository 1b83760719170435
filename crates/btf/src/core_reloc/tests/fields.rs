//! Questions about fields.

use super::*;
use RelocKind::{
    FieldByteOffset as Offset, FieldByteSize as Size, FieldExists as Exists,
    FieldLshiftU64 as Lshift, FieldRshiftU64 as Rshift, FieldSigned as Signed,
};

const BOTH: [Endian; 2] = [Endian::Little, Endian::Big];

/// `struct s { int a; struct { int x; union { int y; long z; }; }; }`, in the target with other
/// things between, and `a` moved into an anonymous union.
fn moved() -> World {
    little(
        |b| {
            b.composite(UNION, "", 8, &[("y", INT, 0), ("z", LONG, 0)]); // 9
            b.composite(STRUCT, "", 16, &[("x", INT, 0), ("", 9, 64)]); // 10
            b.composite(STRUCT, "s", 24, &[("a", INT, 0), ("", 10, 64)]); // 11
        },
        |b| {
            b.composite(UNION, "", 8, &[("pad", LONG, 0), ("a", INT, 0)]); // 9
            b.composite(
                STRUCT,
                "s",
                48,
                &[
                    ("x", INT, 0),
                    ("", 9, 128),
                    ("z", LONG, 256),
                    ("y", INT, 320),
                ],
            );
        },
    )
}

#[test]
fn offset_is_that_of_the_member_of_that_name() {
    let w = moved();
    w.check(11, "0:0", Offset, (0, Some(16)));
    w.check(11, "0:1:0", Offset, (8, Some(0)));
    w.check(11, "0:1:1:0", Offset, (16, Some(40)));
    w.check(11, "0:1:1:1", Offset, (16, Some(32)));
    // the first number counts whole structs
    w.check(11, "2:0", Offset, (48, Some(112)));
    w.check(11, "1", Offset, (24, Some(48)));
}

#[test]
fn what_is_not_there_poisons_but_for_existence() {
    let w = little(
        |b| b.composite(STRUCT, "s", 8, &[("a", INT, 0), ("b", INT, 32)]),
        |b| b.composite(STRUCT, "s", 4, &[("a", INT, 0)]),
    );
    for kind in [Offset, Size, Signed, Lshift, Rshift] {
        assert!(w.ask(9, "0:1", kind).unwrap().poison, "{kind}");
        assert!(!w.ask(9, "0:0", kind).unwrap().poison, "{kind}");
    }
    w.check(9, "0:1", Exists, (1, Some(0)));
    w.check(9, "0:0", Exists, (1, Some(1)));
    w.check_why(
        9,
        "0:1",
        Offset,
        "struct s [9] of the target: 'struct s' has no member 'b'",
    );
    let none = little(
        |b| b.composite(STRUCT, "s", 4, &[("a", INT, 0)]),
        |b| {
            b.composite(UNION, "s", 4, &[("a", INT, 0)]);
        },
    );
    none.check(9, "0:0", Offset, (0, None));
    none.check(9, "0:0", Exists, (1, Some(0)));
    none.check_why(9, "0:0", Offset, "the target has no struct s");
}

#[test]
fn size_is_that_of_the_field_or_element() {
    let w = little(
        |b| {
            b.array(INT, 4); // 9
            b.array(9, 2); // 10
            b.composite(STRUCT, "s", 36, &[("a", 10, 0), ("c", CHAR, 256)]); // 11
        },
        |b| {
            b.array(LONG, 8); // 9
            b.array(9, 2); // 10
            b.composite(STRUCT, "s", 136, &[("c", CHAR, 0), ("a", 10, 64)]); // 11
        },
    );
    w.check(11, "0:0", Size, (32, Some(128)));
    w.check(11, "0:0:1", Size, (16, Some(64)));
    w.check(11, "0:0:1:1", Size, (4, Some(8)));
    w.check(11, "0:1", Size, (1, Some(1)));
    w.check(11, "0", Size, (36, Some(136)));
    w.check(11, "0:0:1:3", Offset, (28, Some(96)));
}

#[test]
fn elements_must_be_inside_of_the_targets_array() {
    let w = little(
        |b| {
            b.array(INT, 8); // 9
            b.composite(STRUCT, "s", 36, &[("a", 9, 0), ("p", INT, 256)]); // 10
        },
        |b| {
            b.array(INT, 4); // 9
            b.composite(STRUCT, "s", 16, &[("a", 9, 0), ("p", PTR, 128)]); // 10
        },
    );
    w.check(10, "0:0:3", Exists, (1, Some(1)));
    w.check(10, "0:0:4", Exists, (1, Some(0)));
    w.check_why(
        10,
        "0:0:4",
        Offset,
        "struct s [10] of the target: 'int[4]' has no element 4",
    );
}

#[test]
fn flexible_arrays_have_any_element() {
    let flexible = |last: bool| {
        move |b: &mut Blob| {
            b.array(INT, 0); // 9
            if last {
                b.composite(STRUCT, "s", 8, &[("n", INT, 0), ("a", 9, 64)]);
            } else {
                b.composite(STRUCT, "s", 8, &[("a", 9, 0), ("n", INT, 0)]);
            }
        }
    };
    let fixed = |b: &mut Blob| {
        b.array(INT, 3); // 9
        b.composite(STRUCT, "s", 16, &[("n", INT, 0), ("a", 9, 32)]);
    };
    little(flexible(true), flexible(true)).check(10, "0:1:7", Offset, (36, Some(36)));
    little(flexible(true), fixed).check(10, "0:1:2", Offset, (16, Some(12)));
    little(flexible(true), fixed).check(10, "0:1:3", Offset, (20, None));
    little(fixed, flexible(true)).check(10, "0:1:2", Offset, (12, Some(16)));
    // of no length and not last: no array of that style
    little(fixed, flexible(false)).check(10, "0:1:2", Offset, (12, None));
    assert!(
        little(flexible(false), fixed)
            .ask(10, "0:0:1", Offset)
            .is_err()
    );
}

#[test]
fn typedefs_and_qualifiers_do_not_count() {
    let w = little(
        |b| {
            b.composite(STRUCT, "in", 8, &[("x", INT, 0), ("y", INT, 32)]); // 9
            b.record(b"", CONST, 0, 9, &[]); // 10
            b.record(b"in_t", TYPEDEF, 0, 10, &[]); // 11
            b.composite(STRUCT, "s", 8, &[("m", 11, 0)]); // 12
            b.record(b"s_t", TYPEDEF, 0, 12, &[]); // 13
        },
        |b| {
            b.composite(STRUCT, "other", 16, &[("y", LONG, 64)]); // 9
            b.record(b"", VOLATILE, 0, 9, &[]); // 10
            b.record(b"tag", TYPE_TAG, 0, 10, &[]); // 11
            b.composite(STRUCT, "s", 24, &[("m", 11, 64)]); // 12
            b.record(b"s_t", TYPEDEF, 0, 12, &[]); // 13
        },
    );
    w.check(12, "0:0:1", Offset, (4, Some(16)));
    w.check(13, "0:0:1", Offset, (4, Some(16)));
}

/// A struct of the one member type on each side.
#[track_caller]
fn fits(expect: bool, local: impl FnOnce(&mut Blob) -> u32, target: impl FnOnce(&mut Blob) -> u32) {
    let mut root = 0;
    let w = little(
        |b| {
            let id = local(b);
            b.composite(STRUCT, "s", 64, &[("m", id, 0)]);
            let blob = b.build();
            root = Btf::parse(&blob).unwrap().len() - 1;
        },
        |b| {
            let id = target(b);
            b.composite(STRUCT, "s", 64, &[("m", id, 0)]);
        },
    );
    w.check(root, "0:0", Exists, (1, Some(expect.into())));
}

#[test]
fn fields_of_one_kind_fit() {
    type Make = fn(&mut Blob) -> u32;
    let made = |kind: u32, name: &'static str| {
        move |b: &mut Blob| {
            b.composite(kind, name, 4, &[]);
            9
        }
    };
    // integers of any size and sign
    fits(true, |_| INT, |_| ULONG);
    fits(true, |_| BOOL, |_| CHAR);
    // structs and unions of any name
    fits(true, made(STRUCT, "a"), made(UNION, "b"));
    fits(false, made(STRUCT, "a"), |_| INT);
    // pointers to anything
    fits(
        true,
        |_| PTR,
        |b| {
            b.record(b"", 2, 0, INT, &[]);
            9
        },
    );
    fits(false, |_| PTR, |_| ULONG);
    // floating point of any size
    let float: [Make; 2] = [
        |b| {
            b.record(b"float", FLOAT, 0, 4, &[]);
            9
        },
        |b| {
            b.record(b"double", FLOAT, 0, 8, &[]);
            9
        },
    ];
    fits(true, float[0], float[1]);
    // arrays of any length, elements as fields
    let array = |elem: u32, len: u32| {
        move |b: &mut Blob| {
            b.array(elem, len);
            9
        }
    };
    fits(true, array(INT, 3), array(ULONG, 9));
    fits(false, array(INT, 3), array(PTR, 3));
    fits(false, array(INT, 3), |_| INT);
    // integers that are a part of their storage
    fits(
        false,
        |_| INT,
        |b| {
            b.int("int", 4, 1, 3, 5);
            9
        },
    );
    // functions have no fields of their kind
    let proto: Make = |b| {
        b.proto(0, &[]);
        9
    };
    fits(false, proto, proto);
}

#[test]
fn enumerations_and_declared_types_fit_by_name() {
    let named = |kind: u32, name: &'static str| {
        move |b: &mut Blob| {
            b.record(
                name.as_bytes(),
                kind,
                0,
                if kind == FWD { 0 } else { 4 },
                &[],
            );
            9
        }
    };
    for kind in [ENUM, FWD] {
        fits(true, named(kind, "e"), named(kind, "e"));
        fits(true, named(kind, "e___old"), named(kind, "e___new"));
        fits(true, named(kind, "e"), named(kind, ""));
        fits(true, named(kind, ""), named(kind, "e"));
        fits(false, named(kind, "e"), named(kind, "f"));
    }
    fits(true, named(ENUM, "e"), named(ENUM64, "e"));
    fits(false, named(ENUM, "e"), named(ENUM64, "f"));
    fits(false, named(ENUM, "e"), |_| INT);
    fits(false, named(FWD, "e"), |b| {
        b.composite(STRUCT, "e", 4, &[]);
        9
    });
}

#[test]
fn a_member_of_that_name_and_another_kind_ends_the_search() {
    let w = little(
        |b| b.composite(STRUCT, "s", 8, &[("m", INT, 0)]),
        |b| {
            b.composite(STRUCT, "", 8, &[("m", PTR, 0)]); // 9
            b.composite(STRUCT, "s", 16, &[("", 9, 0), ("m", INT, 64)]); // 10
        },
    );
    w.check(9, "0:0", Exists, (1, Some(0)));
    w.check_why(
        9,
        "0:0",
        Offset,
        "struct s [10] of the target: member 'm' is a 'void *', not a 'int'",
    );
}

/// Two bit fields in `unsigned int`s, in the target at other bits.
fn bits(endian: Endian) -> World {
    world(
        endian,
        |b| {
            b.composite(
                STRUCT | FLAG,
                "s",
                8,
                &[
                    ("a", UINT, 3 << 24 | 2),
                    ("b", INT, 5 << 24 | 37),
                    ("c", UINT, 32),
                ],
            );
        },
        |b| {
            b.composite(
                STRUCT | FLAG,
                "s",
                24,
                &[
                    ("a", UINT, 7 << 24 | 66),
                    ("b", U16, 6 << 24 | 109),
                    ("c", UINT, 4 << 24 | 96),
                ],
            );
        },
    )
}

#[test]
fn offset_and_size_of_a_bit_field_are_those_of_its_word() {
    for endian in BOTH {
        let w = bits(endian);
        w.check(9, "0:0", Offset, (0, Some(8)));
        w.check(9, "0:1", Offset, (4, Some(12)));
        w.check(9, "0:0", Size, (4, Some(4)));
        // bits 13 to 18 of a word of 16: the next larger word has them
        w.check(9, "0:1", Size, (4, Some(4)));
        assert!(!w.ask(9, "0:0", Offset).unwrap().sure);
        assert!(!w.ask(9, "0:0", Size).unwrap().sure);
        assert!(w.ask(9, "0:2", Offset).unwrap().sure);
    }
}

#[test]
fn shifts_leave_the_bits_of_the_field() {
    let little = bits(Endian::Little);
    little.check(9, "0:0", Lshift, (64 - 5, Some(64 - 9)));
    little.check(9, "0:1", Lshift, (64 - 10, Some(64 - 19)));
    // no bit field here, one there
    little.check(9, "0:2", Lshift, (32, Some(60)));
    let big = bits(Endian::Big);
    big.check(9, "0:0", Lshift, (32 + 2, Some(32 + 2)));
    big.check(9, "0:1", Lshift, (32 + 5, Some(32 + 13)));
    big.check(9, "0:2", Lshift, (32, Some(32)));
    for endian in BOTH {
        let w = bits(endian);
        w.check(9, "0:0", Rshift, (61, Some(57)));
        w.check(9, "0:1", Rshift, (59, Some(58)));
        w.check(9, "0:2", Rshift, (32, Some(60)));
        assert!(w.ask(9, "0:0", Rshift).unwrap().sure);
        assert!(!w.ask(9, "0:0", Lshift).unwrap().sure);
    }
}

#[test]
fn bit_fields_that_no_load_reads_are_errors() {
    let w = |target: u32, size: u32| {
        little(
            |b| b.composite(STRUCT | FLAG, "s", 8, &[("a", ULONG, 5 << 24)]),
            move |b| {
                b.int("big", 16, 0, 0, 128); // 9
                b.composite(STRUCT | FLAG, "s", 24, &[("a", target, size)]);
            },
        )
    };
    let expect = "byte_off relocation of a field of 5 bits at bit 62: no load reads it";
    w(ULONG, 5 << 24 | 62).check_why(9, "0:0", Offset, expect);
    w(9, 0).check(9, "0:0", Size, (8, Some(16)));
}

#[test]
fn shifts_of_what_no_register_holds_poison() {
    let wide = |b: &mut Blob| {
        b.int("big", 16, 0, 0, 128); // 9
        b.composite(STRUCT, "s", 16, &[("a", 9, 0)]);
    };
    let w = little(|b| b.composite(STRUCT, "s", 8, &[("a", ULONG, 0)]), wide);
    w.check(9, "0:0", Lshift, (0, None));
    w.check(9, "0:0", Rshift, (0, None));
    let why = "the field has more than 64 bits, no shift gives them";
    w.check_why(9, "0:0", Rshift, why);
    little(wide, wide).check(10, "0:0", Lshift, (0, None));
}

#[test]
fn signed_are_signed_integers_and_enumerations() {
    let w = little(
        |b| {
            b.enumeration("e", 4, &[("A", 1)]); // 9
            b.composite(
                STRUCT,
                "s",
                40,
                &[
                    ("a", INT, 0),
                    ("b", UINT, 32),
                    ("c", PTR, 64),
                    ("d", 9, 128),
                ],
            ); // 10
        },
        |b| {
            b.record(b"e", ENUM | FLAG, 0, 4, &[]); // 9
            b.composite(
                STRUCT,
                "s",
                40,
                &[
                    ("a", ULONG, 0),
                    ("b", LONG, 64),
                    ("c", PTR, 128),
                    ("d", 9, 192),
                ],
            );
        },
    );
    w.check(10, "0:0", Signed, (1, Some(0)));
    w.check(10, "0:1", Signed, (0, Some(1)));
    w.check(10, "0:2", Signed, (0, Some(0)));
    w.check(10, "0:3", Signed, (0, Some(1)));
}

#[test]
fn widths_change_for_pointers_and_unsigned_integers_only() {
    let w = little(
        |b| {
            b.array(UINT, 4); // 9
            b.composite(
                STRUCT | FLAG,
                "s",
                64,
                &[
                    ("a", UINT, 0),
                    ("b", INT, 32),
                    ("c", 9, 64),
                    ("d", INT, 192),
                    ("e", BOOL, 224),
                    ("f", UINT, 4 << 24 | 256),
                ],
            ); // 10
        },
        |b| {
            b.array(ULONG, 9); // 9
            b.composite(
                STRUCT,
                "s",
                128,
                &[
                    ("a", ULONG, 0),
                    ("b", LONG, 64),
                    ("c", 9, 128),
                    ("d", UINT, 704),
                    ("e", UINT, 736),
                    ("f", UINT, 768),
                ],
            );
        },
    );
    let check = |path, expect: (u64, u64, Resize)| {
        let memory = w.ask(10, path, Offset).unwrap().memory.unwrap();
        assert_eq!(
            (memory.local.size, memory.target.size, memory.resize),
            expect,
            "{path}"
        );
    };
    check("0:0", (4, 8, Resize::Adjust));
    check("0:1", (4, 8, Resize::Unsafe));
    // arrays as wholes: elements count, and they are no integers
    check("0:2", (4, 8, Resize::Unsafe));
    check("0:2:1", (4, 8, Resize::Adjust));
    check("0:3", (4, 4, Resize::Same));
    check("0:4", (1, 4, Resize::Adjust));
    check("0:5", (0, 4, Resize::Unsafe));
    w.check_why(
        10,
        "0:1",
        Offset,
        "the program loads or stores a 'int' (signed, 4 bytes), the target has a 'long' \
         (signed, 8 bytes): only pointers and unsigned integers may differ in size",
    );
}

#[test]
fn pointers_have_the_size_of_their_blob() {
    let narrow = |b: &mut Blob| {
        *b = Blob::new(Endian::Little);
        b.int("unsigned long", 4, 0, 0, 32);
        b.record(b"", 2, 0, 0, &[]);
        b.composite(STRUCT, "s", 8, &[("a", 1, 0), ("p", 2, 32)]);
    };
    let w = little(
        |b| b.composite(STRUCT, "s", 16, &[("a", ULONG, 0), ("p", PTR, 64)]),
        narrow,
    );
    w.check(9, "0:1", Size, (8, Some(4)));
    let memory = w.ask(9, "0:1", Offset).unwrap().memory.unwrap();
    assert_eq!(memory.resize, Resize::Adjust);
}
