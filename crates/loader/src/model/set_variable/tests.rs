#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test may fail"
)]

use super::*;
use crate::model::{MapIdx, ParseOptions};
use crate::testing::{File, GLOBAL, LOCAL, OBJECT, PROGBITS};
use btf::build::{Member, SecVar};

/// Variables of every kind in `.data`, and one in `.bss`.
fn object(endian: Endian) -> Object {
    let mut file = File::new(endian);
    let data = file.section(".data", PROGBITS, 3, &[0xa5; 160]);
    let zeros = file.zeros(".bss", 16);
    let mut places = Vec::new();
    file.types(|b| {
        let u8_ = b.add_int(b"u8", 1, 0);
        let letter = b.add_int(b"char", 1, encoding::SIGNED);
        let flag = b.add_int(b"_Bool", 1, encoding::BOOL);
        let s16 = b.add_int(b"short", 2, encoding::SIGNED);
        let u32_ = b.add_int(b"unsigned int", 4, 0);
        let s64 = b.add_int(b"long", 8, encoding::SIGNED);
        let u128_ = b.add_int(b"__int128", 16, 0);
        let s128 = b.add_int(b"__int128", 16, encoding::SIGNED);
        let colour = b.add_enum(b"colour", 4, true, &[(b"RED", 0), (b"BLUE", u32::MAX)]);
        let big = b.add_enum64(b"big", 8, false, &[(b"HUGE", 1 << 40)]);
        let f32_ = b.add_float(b"float", 4);
        let f64_ = b.add_float(b"double", 8);
        let pointer = b.add_ptr(u32_);
        let text = b.add_array(letter, u32_, 8);
        let row = b.add_array(s16, u32_, 3);
        let grid = b.add_array(row, u32_, 2);
        let inside = b.add_struct(b"", 4, &[Member::new(b"deep", u32_, 0)]);
        let bits = |name, bit, width| Member {
            name,
            type_id: u32_,
            bit_offset: bit,
            bitfield_size: width,
        };
        let old = b.add_int_bits(b"unsigned int", 4, 0, 4, 8);
        let old = b.add_struct(b"old", 4, &[Member::new(b"field", old, 0)]);
        let members = [
            bits(&b"low"[..], 0, 3),
            bits(b"high", 3, 10),
            Member::new(b"", inside, 32),
            Member::new(b"row", row, 64),
        ];
        let config = b.add_struct(b"config", 16, &members);
        let typedef = b.add_typedef(b"config_t", config);
        let constant = b.add_const(typedef);
        let mut at = 0;
        let mut vars = Vec::new();
        for (name, id, size, align) in [
            ("u8", u8_, 1u32, 1u32),
            ("letter", letter, 1, 1),
            ("flag", flag, 1, 1),
            ("s16", s16, 2, 2),
            ("u32", u32_, 4, 4),
            ("s64", s64, 8, 8),
            ("u128", u128_, 16, 16),
            ("s128", s128, 16, 16),
            ("colour", colour, 4, 4),
            ("big", big, 8, 8),
            ("float", f32_, 4, 4),
            ("double", f64_, 8, 8),
            ("pointer", pointer, 8, 8),
            ("text", text, 8, 1),
            ("grid", grid, 12, 2),
            ("config", constant, 16, 4),
            ("old", old, 4, 4),
        ] {
            at = at / align * align + if at % align == 0 { 0 } else { align };
            vars.push(SecVar {
                type_id: b.add_var(name.as_bytes(), 1, id),
                offset: at,
                size,
            });
            places.push((name, at, size));
            at += size;
        }
        b.add_datasec(b".data", 160, &vars);
        let zero = SecVar {
            type_id: b.add_var(b"zero.part", 0, u32_),
            offset: 8,
            size: 4,
        };
        b.add_datasec(b".bss", 16, &[zero]);
    });
    for (name, at, size) in places {
        file.symbol(name, data, (at.into(), size.into()), GLOBAL | OBJECT);
    }
    file.symbol("untyped", data, (156, 4), GLOBAL | OBJECT);
    file.symbol("zero.part", zeros, (8, 4), LOCAL | OBJECT);
    Object::parse(&file.build(), &ParseOptions::named("obj")).unwrap()
}

/// The bytes of a variable after it was set, in the order of the object.
fn set(endian: Endian, path: &str, value: &str) -> Vec<u8> {
    let mut object = object(endian);
    let before = object.maps()[0].data.clone();
    object.set_variable(path, value).unwrap();
    let variable = object.find_variable(path).unwrap().0;
    let (start, size) = (variable.offset as usize, variable.size as usize);
    let after = &object.maps()[0].data;
    assert_eq!(before[..start], after[..start], "{path}");
    assert_eq!(before[start + size..], after[start + size..], "{path}");
    after[start..start + size].to_vec()
}

#[test]
fn numbers_of_every_kind() {
    let check = |path: &str, value: &str, expected: u128, size: usize| {
        let little = expected.to_le_bytes()[..size].to_vec();
        let big = expected.to_be_bytes()[16 - size..].to_vec();
        assert_eq!(set(Endian::Little, path, value), little, "{path}={value}");
        assert_eq!(set(Endian::Big, path, value), big, "{path}={value}");
    };
    check("u8", "255", 255, 1);
    check("u8", "0x7F", 127, 1);
    check("u8", "-0", 0, 1);
    check("letter", "'x'", u128::from(b'x'), 1);
    check("letter", "-128", 128, 1);
    check("flag", "true", 1, 1);
    check("flag", "0", 0, 1);
    check("s16", "-2", 0xfffe, 2);
    check("s16", "0b101", 5, 2);
    check("u32", "4294967295", 0xffff_ffff, 4);
    check("u32", "0o17", 15, 4);
    check("u32", "+3", 3, 4);
    check("s64", "-9223372036854775808", 1 << 63, 8);
    check(
        "u128",
        "340282366920938463463374607431768211455",
        u128::MAX,
        16,
    );
    check("s128", "-1", u128::MAX, 16);
    check(
        "s128",
        "-170141183460469231731687303715884105728",
        1 << 127,
        16,
    );
    check("colour", "BLUE", 0xffff_ffff, 4);
    check("colour", "-5", 0xffff_fffb, 4);
    check("big", "HUGE", 1 << 40, 8);
    check("big", "7", 7, 8);
    check("float", "1.5", 1.5f32.to_bits().into(), 4);
    check("double", "-0.25", (-0.25f64).to_bits().into(), 8);
    check("pointer", "0xffff888000000000", 0xffff_8880_0000_0000, 8);
}

#[test]
fn texts() {
    let check = |value: &str, expected: &[u8]| {
        assert_eq!(set(Endian::Little, "text", value), expected, "{value}");
    };
    check("eth0", b"eth0\0\0\0\0");
    check("", b"\0\0\0\0\0\0\0\0");
    check("\"a b\"", b"a b\0\0\0\0\0");
    check("seven77", b"seven77\0");
    check("\"", b"\"\0\0\0\0\0\0\0");
    assert_eq!(
        set(Endian::Little, "text[1]", "'b'"),
        b"\xa5b\xa5\xa5\xa5\xa5\xa5\xa5"
    );
}

#[test]
fn parts() {
    let part = |path: &str, value: &str| {
        let little = set(Endian::Little, path, value);
        let big = set(Endian::Big, path, value);
        (little, big)
    };
    let (little, big) = part("grid[1][2]", "-3");
    assert_eq!(little[10..], [0xfd, 0xff]);
    assert_eq!(big[10..], [0xff, 0xfd]);
    assert!(little[..10].iter().all(|byte| *byte == 0xa5));
    let (little, big) = part("config.deep", "9");
    assert_eq!(little[4..8], [9, 0, 0, 0]);
    assert_eq!(big[4..8], [0, 0, 0, 9]);
    let (little, big) = part("config.row[0x1]", "7");
    assert_eq!(little[10..12], [7, 0]);
    assert_eq!(big[10..12], [0, 7]);
    // bits that are around: 0xa5a5
    let (little, big) = part("config.low", "7");
    assert_eq!(little[..2], [0xa7, 0xa5]);
    assert_eq!(big[..2], [0xe5, 0xa5]);
    let (little, big) = part("old.field", "0");
    assert_eq!(little[..2], [0x05, 0xa0]);
    assert_eq!(big[..2], [0xa0, 0x05]);
    let (little, big) = part("config.high", "0");
    assert_eq!(little[..2], [0x05, 0xa0]);
    assert_eq!(big[..2], [0xa0, 0x05]);
}

#[test]
fn sections_of_zeros_get_bytes() {
    let mut object = object(Endian::Little);
    assert!(object.maps()[1].data.is_empty());
    object.set_variable("zero.part", "5").unwrap();
    let expected = [0, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(object.maps()[1].data, expected);
}

#[test]
fn what_cannot_be_set() {
    for (path, value, expected) in [
        ("u9", "1", "no variable 'u9', did you mean 'u8'?"),
        (
            "configg.deep",
            "1",
            "no variable 'configg', did you mean 'config'?",
        ),
        ("nothing_like_it", "1", "no variable 'nothing_like_it'"),
        ("", "1", "no variable ''"),
        (
            "u8",
            "256",
            "variable 'u8': 256 does not fit in u8: 0 to 255",
        ),
        ("u8", "-1", "variable 'u8': -1 does not fit in u8: 0 to 255"),
        (
            "s16",
            "32768",
            "variable 's16': 32768 does not fit in short: -32768 to 32767",
        ),
        (
            "config.low",
            "8",
            "variable 'config.low': 8 does not fit in unsigned int: 0 to 7",
        ),
        (
            "colour",
            "0x80000000",
            "variable 'colour': 0x80000000 does not fit in colour: -2147483648 to 2147483647",
        ),
        ("u32", "many", "variable 'u32': 'many' is no number"),
        ("u32", "0x", "variable 'u32': '0x' is no number"),
        ("u32", "--1", "variable 'u32': '--1' is no number"),
        ("u32", "0x+1", "variable 'u32': '0x+1' is no number"),
        (
            "flag",
            "2",
            "variable 'flag': '2' is no truth value: true or false",
        ),
        (
            "colour",
            "BLU",
            "variable 'colour': 'BLU' is no constant of its type, did you mean 'BLUE'?",
        ),
        ("float", "x", "variable 'float': 'x' is no number"),
        (
            "text",
            "eight888",
            "variable 'text': 8 bytes and a zero do not fit in 8 bytes",
        ),
        (
            "text[8]",
            "1",
            "variable 'text': it has 8 elements, and none at 8",
        ),
        ("text[-1]", "1", "variable 'text': '-1' is no index"),
        ("text[1", "1", "variable 'text': '[' has no ']'"),
        (
            "text[1]x",
            "1",
            "variable 'text[1]': '.' or '[' must follow",
        ),
        (
            "text.x",
            "1",
            "variable 'text': it is ARRAY, and has no members",
        ),
        (
            "u32[0]",
            "1",
            "variable 'u32': it is INT, and has no elements",
        ),
        (
            "config",
            "1",
            "variable 'config': set its members: 'low', 'high', 'deep', 'row'",
        ),
        (
            "config.depe",
            "1",
            "variable 'config': it has no member 'depe', did you mean 'deep'?",
        ),
        ("config.", "1", "variable 'config': it has no member ''"),
        (
            "grid",
            "1",
            "variable 'grid': it is an array: set its elements, 'grid[0]'",
        ),
        (
            "untyped",
            "1",
            "variable 'untyped': the object does not say of what type it is",
        ),
    ] {
        let mut object = object(Endian::Little);
        let before = object.maps()[0].data.clone();
        let error = object.set_variable(path, value).unwrap_err();
        assert_eq!(error.to_string(), expected);
        assert_eq!(object.maps()[0].data, before);
    }
}

#[test]
fn static_variables_may_share_a_name() {
    let mut object = object(Endian::Little);
    let twin = |name: &str, offset, linkage| Variable {
        name: name.to_owned(),
        map: MapIdx(0),
        offset,
        size: 4,
        type_id: object.variables[4].type_id,
        linkage,
    };
    let twins = [
        twin("twin", 0, Linkage::Static),
        twin("twin", 4, Linkage::Static),
        twin("seen", 8, Linkage::Static),
        twin("seen", 12, Linkage::Global),
    ];
    object.variables.extend(twins);
    let error = object.set_variable("twin", "1").unwrap_err();
    let expected = "variable 'twin': more than one variable has this name";
    assert_eq!(error.to_string(), expected);
    object.set_variable("seen", "1").unwrap();
    assert_eq!(object.maps()[0].data[12..16], [1, 0, 0, 0]);
}
