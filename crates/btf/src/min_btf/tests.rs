use expect_test::{Expect, expect};

use super::*;
use crate::Endian;
use crate::testing::{Blob, FLAG};

const INT: u32 = 1;
const PTR: u32 = 2;
const CHAR: u32 = 3;

/// int, pointer, char.
fn ints(endian: Endian) -> Blob {
    let mut b = Blob::new(endian);
    b.int("int", 4, 1, 0, 32);
    b.record(b"", 2, 0, 0, &[]);
    b.int("char", 1, 1, 0, 8);
    b
}

type Ask<'a> = (u32, &'a str, RelocKind);

/// The smallest blob for the relocations, after seeing that they have the same answers there.
#[track_caller]
fn smallest(local: &Blob, target: &Blob, asked: &[Ask<'_>]) -> Vec<u8> {
    let mut local = local.clone();
    let relos: Vec<CoreRelo> = asked
        .iter()
        .map(|(root, path, kind)| CoreRelo {
            insn_off: 0,
            type_id: TypeId(*root),
            access_str_off: local.str(path.as_bytes()),
            kind: *kind,
        })
        .collect();
    let (local, target) = (local.build(), target.build());
    let (local, target) = (Btf::parse(&local).unwrap(), Btf::parse(&target).unwrap());
    let mut min = MinBtf::new(&target);
    min.record(&local, relos.iter().copied()).unwrap();
    let blob = min.finish().unwrap();
    let small = Btf::parse(&blob).unwrap();
    let answers = |target| {
        let mut resolver = Resolver::new(&local, target);
        let fixups = resolver.resolve_all(relos.iter().copied());
        let plain = |fixup: Result<crate::core_reloc::Fixup, _>| {
            let fixup: crate::core_reloc::Fixup = fixup.unwrap();
            let sizes = fixup.memory.map(|m| (m.target.size, m.resize));
            let value = match fixup.kind {
                RelocKind::TypeIdTarget => fixup.target.min(1),
                _ => fixup.target,
            };
            (value, fixup.poison, sizes)
        };
        fixups.into_iter().map(plain).collect::<Vec<_>>()
    };
    assert_eq!(answers(&small), answers(&target));
    drop(small);
    blob
}

fn check(local: &Blob, target: &Blob, asked: &[Ask<'_>], expect: &Expect) {
    let blob = smallest(local, target, asked);
    let btf = Btf::parse(&blob).unwrap();
    let mut text = Vec::new();
    for id in btf.ids() {
        crate::raw_dump::write_type(&mut text, &btf, id).unwrap();
    }
    expect.assert_eq(core::str::from_utf8(&text).unwrap());
}

use RelocKind::{EnumvalValue, FieldByteOffset, FieldExists, TypeExists, TypeMatches};

#[test]
fn of_structs_the_members_on_the_path_are_kept() {
    for endian in [Endian::Little, Endian::Big] {
        let mut local = ints(endian);
        local.record(b"", 3, 0, 0, &[INT, INT, 4]); // 4
        local.composite(4, "in", 16, &[("list", 4, 0)]); // 5
        local.composite(4, "out", 24, &[("x", INT, 0), ("in", 5, 64)]); // 6
        let mut target = ints(endian);
        target.record(b"", 3, 0, 0, &[INT, INT, 8]); // 4
        target.composite(4, "in", 40, &[("n", INT, 0), ("list", 4, 64)]); // 5
        target.record(b"in_t", 8, 0, 5, &[]); // 6
        target.composite(5, "", 48, &[("c", CHAR, 0), ("in", 6, 0)]); // 7
        target.composite(
            4 | FLAG,
            "out",
            64,
            &[("p", PTR, 0), ("", 7, 64), ("x", INT, 3 << 24 | 448)],
        );
        check(
            &local,
            &target,
            &[(6, "0:1:0:2", FieldByteOffset), (6, "0:0", FieldExists)],
            &expect![[r#"
                [1] INT 'int' size=4 bits_offset=0 nr_bits=32 encoding=SIGNED
                [2] ARRAY '(anon)' type_id=1 index_type_id=1 nr_elems=8
                [3] STRUCT 'in' size=40 vlen=1
                	'list' type_id=2 bits_offset=64
                [4] TYPEDEF 'in_t' type_id=3
                [5] UNION '(anon)' size=48 vlen=1
                	'in' type_id=4 bits_offset=0
                [6] STRUCT 'out' size=64 vlen=2
                	'(anon)' type_id=5 bits_offset=64
                	'x' type_id=1 bits_offset=448 bitfield_size=3
            "#]],
        );
    }
}

#[test]
fn of_enumerations_the_constants_asked_for_are_kept() {
    let mut local = ints(Endian::Little);
    let (a, b, c) = (local.str(b"A"), local.str(b"B"), local.str(b"C"));
    local.record(b"e", 6, 3, 4, &[a, 1, b, 2, c, 3]);
    let mut target = ints(Endian::Little);
    let (x, b, a) = (target.str(b"X"), target.str(b"B"), target.str(b"A"));
    target.record(b"e", 6, 3, 4, &[x, 0, b, 7, a, 8]);
    check(
        &local,
        &target,
        &[(4, "1", EnumvalValue), (4, "2", EnumvalValue)],
        &expect![[r#"
            [1] ENUM 'e' encoding=UNSIGNED size=4 vlen=1
            	'B' val=7
        "#]],
    );
}

#[test]
fn what_is_not_there_keeps_nothing() {
    let mut local = ints(Endian::Little);
    local.composite(4, "s", 4, &[("a", INT, 0)]);
    let mut target = ints(Endian::Little);
    target.composite(4, "s", 4, &[("a", PTR, 0)]);
    check(
        &local,
        &target,
        &[(4, "0:0", FieldExists), (4, "0:0", FieldByteOffset)],
        &expect![""],
    );
}

#[test]
fn what_is_compared_is_kept_whole() {
    let mut local = ints(Endian::Little);
    local.composite(4, "s", 16, &[("a", INT, 0), ("p", 5, 64)]); // 4
    local.record(b"", 2, 0, 6, &[]); // 5
    local.composite(4, "behind", 8, &[("a", INT, 0)]); // 6
    let mut target = ints(Endian::Little);
    target.composite(4, "s", 24, &[("p", 5, 0), ("a", INT, 64), ("b", CHAR, 96)]); // 4
    target.record(b"", 2, 0, 6, &[]); // 5
    target.composite(4, "behind", 8, &[("gone", INT, 0)]); // 6
    check(
        &local,
        &target,
        &[(4, "0", TypeMatches)],
        &expect![[r#"
            [1] INT 'int' size=4 bits_offset=0 nr_bits=32 encoding=SIGNED
            [2] INT 'char' size=1 bits_offset=0 nr_bits=8 encoding=SIGNED
            [3] STRUCT 's' size=24 vlen=3
            	'p' type_id=4 bits_offset=0
            	'a' type_id=1 bits_offset=64
            	'b' type_id=2 bits_offset=96
            [4] PTR '(anon)' type_id=5
            [5] STRUCT 'behind' size=8 vlen=0
        "#]],
    );
}

#[test]
fn all_candidates_that_fit_are_kept() {
    let mut local = ints(Endian::Little);
    local.composite(4, "s", 8, &[("a", INT, 0), ("b", INT, 32)]);
    let mut target = ints(Endian::Little);
    target.composite(4, "s", 8, &[("a", INT, 32)]);
    target.composite(4, "s", 8, &[("b", INT, 0), ("a", INT, 32)]);
    // the second relocation is answered by the second struct only
    let blob = smallest(
        &local,
        &target,
        &[(4, "0:0", FieldByteOffset), (4, "0:1", FieldByteOffset)],
    );
    assert_eq!(Btf::parse(&blob).unwrap().ids().len(), 3);
}

#[test]
fn losing_members_makes_no_array_open() {
    let mut local = ints(Endian::Little);
    local.record(b"", 3, 0, 0, &[INT, INT, 4]); // 4
    local.composite(4, "s", 16, &[("a", 4, 0)]); // 5
    let mut target = ints(Endian::Little);
    target.record(b"", 3, 0, 0, &[INT, INT, 0]); // 4
    target.composite(4, "s", 16, &[("a", 4, 0), ("c", CHAR, 0), ("b", CHAR, 0)]);
    smallest(
        &local,
        &target,
        &[(5, "0:0", FieldExists), (5, "0:0:1", FieldExists)],
    );
}

#[test]
fn losing_types_makes_nothing_fit() {
    let mut local = ints(Endian::Little);
    local.record(b"", 2, 0, PTR, &[]); // 4
    local.record(b"t", 8, 0, 4, &[]); // 5
    local.composite(4, "s", 16, &[("t", 5, 0)]); // 6
    let mut target = ints(Endian::Little);
    target.record(b"", 2, 0, INT, &[]); // 4
    target.record(b"t", 8, 0, 4, &[]); // 5
    target.composite(4, "s", 16, &[("t", 5, 0)]); // 6
    // what the pointer leads to decides the first, and the second does not need it
    smallest(
        &local,
        &target,
        &[(5, "0", TypeExists), (6, "0:0", FieldByteOffset)],
    );
    smallest(
        &local,
        &target,
        &[(5, "0", TypeMatches), (6, "0:0", FieldByteOffset)],
    );
}

#[test]
fn small_pointers_stay_small() {
    let mut local = ints(Endian::Little);
    local.composite(4, "s", 16, &[("p", PTR, 64)]);
    let mut target = ints(Endian::Little);
    target.int("long int", 4, 1, 0, 32);
    target.composite(4, "s", 16, &[("p", PTR, 32)]);
    smallest(
        &local,
        &target,
        &[
            (4, "0:0", RelocKind::FieldByteSize),
            (4, "0:0", FieldByteOffset),
        ],
    );
}

#[test]
fn relocations_without_an_answer_are_named() {
    let mut local = ints(Endian::Little);
    local.composite(4, "s", 4, &[("a", INT, 0)]);
    let path = local.str(b"0:0");
    let mut target = ints(Endian::Little);
    target.composite(4, "s", 8, &[("a", INT, 0)]);
    target.composite(4, "s", 8, &[("a", INT, 32)]);
    let (local, target) = (local.build(), target.build());
    let (local, target) = (Btf::parse(&local).unwrap(), Btf::parse(&target).unwrap());
    let relo = |id| CoreRelo {
        insn_off: 0,
        type_id: TypeId(id),
        access_str_off: path,
        kind: FieldByteOffset,
    };
    let mut min = MinBtf::new(&target);
    let error = min.record(&local, [relo(4)]).unwrap_err();
    assert_eq!(error.to_string(), "core relocation 0");
    assert!(matches!(error.source, CoreError::AmbiguousOffset { .. }));
}
