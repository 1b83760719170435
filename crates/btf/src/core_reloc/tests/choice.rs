//! Which types of the target are looked at, and what if several fit.

use std::cell::Cell;
use std::sync::Arc;

use super::*;
use RelocKind::{FieldByteOffset as Offset, FieldExists as Exists};

#[test]
fn flavours_on_both_sides_do_not_count() {
    let w = little(
        |b| b.composite(STRUCT, "s___mine", 4, &[("a", INT, 0)]),
        |b| {
            b.composite(STRUCT, "s____odd", 8, &[("a", INT, 32)]);
            b.composite(STRUCT, "s___theirs", 16, &[("a", INT, 64)]);
        },
    );
    w.check(9, "0:0", Offset, (0, Some(8)));
}

#[test]
fn candidates_that_fit_must_agree_on_the_place() {
    let target = |second: u32| {
        move |b: &mut Blob| {
            b.composite(STRUCT, "s", 16, &[("a", INT, 64)]); // 9
            b.composite(STRUCT, "s", 16, &[("b", INT, 32)]); // 10
            b.composite(STRUCT, "s___2", 16, &[("x", PTR, 0), ("a", INT, second)]); // 11
        }
    };
    let local = |b: &mut Blob| b.composite(STRUCT, "s", 4, &[("a", INT, 0)]);
    let fixup = little(local, target(64)).ask(9, "0:0", Offset).unwrap();
    assert_eq!(
        (fixup.target, fixup.candidates, fixup.rejected.len()),
        (8, 3, 1)
    );
    assert_eq!(fixup.candidate.unwrap().id, TypeId(9));
    let (error, why) = little(local, target(96)).ask_why(9, "0:0", Exists);
    assert!(matches!(error, Err(CoreError::AmbiguousOffset { .. })));
    let expect = "ambiguous: the field is at bit 64 of type 9 and at bit 96 of type 11";
    assert_eq!(why.unwrap(), expect);
}

#[test]
fn candidates_that_fit_must_agree_on_the_value() {
    let w = little(
        |b| b.composite(STRUCT, "s", 4, &[("a", INT, 0)]),
        |b| {
            b.composite(STRUCT, "s", 16, &[("a", INT, 64)]);
            b.composite(STRUCT, "s", 16, &[("a", LONG, 64)]);
        },
    );
    w.check(9, "0:0", Offset, (0, Some(8)));
    w.check_why(
        9,
        "0:0",
        RelocKind::FieldByteSize,
        "ambiguous: the value is 4 with type 9 and 8 with type 10",
    );
    assert!(w.ask(9, "0", RelocKind::TypeIdTarget).is_err());
    assert!(w.ask(9, "0", RelocKind::TypeSize).is_ok());
}

/// Relocations of one resolver, in order.
fn in_turn(
    local: &Blob,
    target: &[u8],
    asked: &[(u32, &str, RelocKind)],
) -> Vec<Result<Fixup, CoreError>> {
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
    let local = local.build();
    let (local, target) = (Btf::parse(&local).unwrap(), Btf::parse(target).unwrap());
    let one_by_one: Vec<_> = {
        let mut resolver = Resolver::new(&local, &target);
        relos.iter().map(|relo| resolver.resolve(relo)).collect()
    };
    let at_once = Resolver::new(&local, &target).resolve_all(relos);
    assert_eq!(one_by_one, at_once);
    at_once
}

#[test]
fn candidates_that_did_not_fit_are_not_asked_again() {
    let w = little(
        |b| {
            b.composite(
                STRUCT,
                "s",
                8,
                &[("a", INT, 0), ("b", INT, 32), ("c", INT, 32)],
            )
        },
        |b| {
            b.composite(STRUCT, "s", 8, &[("a", INT, 0)]);
            b.composite(STRUCT, "s", 8, &[("a", INT, 32), ("b", INT, 0)]);
        },
    );
    let alone = in_turn(&w.local, &w.target, &[(9, "0:0", Offset)]);
    assert!(alone[0].is_err());
    let after = in_turn(
        &w.local,
        &w.target,
        &[
            (9, "0:2", Exists),
            (9, "0:1", Offset),
            (9, "0:0", Offset),
            (9, "0:2", Exists),
        ],
    );
    let values: Vec<u64> = after.into_iter().map(|f| f.unwrap().target).collect();
    assert_eq!(values, [0, 0, 4, 0]);
}

#[test]
fn modules_are_looked_through_when_the_kernel_has_no_such_type() {
    let mut local = ints(Endian::Little);
    local.composite(STRUCT, "both", 4, &[("a", INT, 0)]); // 9
    local.composite(STRUCT, "mod", 4, &[("a", INT, 0)]); // 10
    local.composite(STRUCT, "none", 4, &[("a", INT, 0)]); // 11
    local.composite(UNION, "both", 4, &[("a", INT, 0)]); // 12
    let path = local.str(b"0:0");
    let local = local.build();
    let local = Btf::parse(&local).unwrap();

    let mut main = ints(Endian::Little);
    main.composite(STRUCT, "both", 8, &[("a", INT, 32)]);
    let mut one = Blob::split(&main);
    one.composite(STRUCT, "both", 16, &[("a", INT, 64)]); // 10
    let mut two = Blob::split(&main);
    two.composite(STRUCT, "mod", 16, &[("a", INT, 96)]); // 10
    two.composite(UNION, "both", 16, &[("a", INT, 0)]); // 11
    let (main, one, two) = (main.build(), one.build(), two.build());
    let main = Arc::new(Btf::parse(&main[..]).unwrap());
    let one = Btf::parse_split(&one[..], main.clone()).unwrap();
    let two = Btf::parse_split(&two[..], main.clone()).unwrap();

    let calls = Cell::new(0);
    let mut resolver = Resolver::new(&local, &main).modules(|| {
        calls.set(calls.get() + 1);
        vec![
            Module {
                name: "one",
                btf: &one,
            },
            Module {
                name: "two",
                btf: &two,
            },
        ]
    });
    let mut ask = |root| {
        let relo = CoreRelo {
            insn_off: 0,
            type_id: TypeId(root),
            access_str_off: path,
            kind: Offset,
        };
        let fixup = resolver.resolve(&relo).unwrap();
        let why = resolver.explain(&relo, &fixup);
        (
            calls.get(),
            fixup.target,
            fixup.candidate.map(|c| (c.module, c.id.0)),
            why,
        )
    };
    assert_eq!(ask(9), (0, 4, Some((None, 9)), None));
    assert_eq!(ask(10), (1, 12, Some((Some(1), 10)), None));
    assert_eq!(ask(12), (1, 0, Some((Some(1), 11)), None));
    assert_eq!(
        ask(11),
        (1, 0, None, Some("the target has no struct none".into()))
    );
}

#[test]
fn hostile_targets_come_to_an_end() {
    // anonymous structs in anonymous structs, two by two, down to where no path reaches
    let tree = |b: &mut Blob| {
        for at in 0..63 {
            b.composite(STRUCT, "", 8, &[("", 10 + at, 0), ("", 10 + at, 0)]);
        }
        b.composite(STRUCT, "", 8, &[("x", INT, 0)]);
        b.composite(STRUCT, "s", 8, &[("", 9, 0)]);
    };
    let local = |b: &mut Blob| b.composite(STRUCT, "s", 8, &[("a", INT, 0)]);
    let error = little(local, tree).ask(9, "0:0", Exists).unwrap_err();
    assert!(
        matches!(
            error,
            CoreError::TooComplex { .. } | CoreError::TooDeep { .. }
        ),
        "{error}"
    );
    // the same for matching, where members without a name are all alike
    let deep = |b: &mut Blob| {
        for at in 0..40 {
            b.composite(
                STRUCT,
                "",
                8,
                &[("", 10 + at, 0), ("", 10 + at, 0), ("", PTR, 0)],
            );
        }
        b.composite(STRUCT, "", 8, &[("x", INT, 0)]);
        b.composite(STRUCT, "s", 8, &[("", 9, 0)]);
    };
    let w = little(
        |b| {
            deep(b);
            b.composite(STRUCT, "s", 8, &[("", 9, 0)]);
        },
        deep,
    );
    let error = w.ask(51, "0", RelocKind::TypeMatches).unwrap_err();
    assert!(matches!(error, CoreError::TooComplex { .. }), "{error}");
    // a struct that has itself in it
    let knot = |b: &mut Blob| b.composite(STRUCT, "s", 8, &[("b", INT, 0), ("", 9, 0)]);
    let knotted = little(local, knot).ask(9, "0:0", Exists).unwrap_err();
    assert!(matches!(knotted, CoreError::TooDeep { .. }), "{knotted}");
    // pointers in a circle
    let circle = |b: &mut Blob| {
        b.record(b"", 2, 0, 9, &[]);
        b.record(b"t", TYPEDEF, 0, 9, &[]);
    };
    for kind in [RelocKind::TypeExists, RelocKind::TypeMatches] {
        let error = little(circle, circle).ask(10, "0", kind).unwrap_err();
        assert!(matches!(error, CoreError::TooComplex { .. }), "{error}");
    }
}
