//! When two types of one name are the same.

use btf::build::{Builder, Member};
use btf::{Btf, Endian, TypeId};

use crate::link_objects::agree::agree;

/// Adds a type.
type Make<'m> = dyn Fn(&mut Builder<'_>) -> TypeId + 'm;

/// Compares what two objects say a variable's type is.
fn compare(found: &Make<'_>, want: &Make<'_>) -> String {
    let make = |make: &Make<'_>| {
        let mut types = Builder::new(Endian::Little);
        let id = make(&mut types);
        (types.finish().unwrap(), id)
    };
    let ((found, one), (want, other)) = (make(found), make(want));
    let (found, want) = (Btf::parse(found).unwrap(), Btf::parse(want).unwrap());
    match agree((&found, one), (&want, other)) {
        Ok(()) => "same".into(),
        Err(why) => why.to_string(),
    }
}

#[test]
fn types_agree_as_far_as_compilers_rely_on_them() {
    let int = |b: &mut Builder<'_>| b.add_int(b"int", 4, 1);
    let unsigned = |b: &mut Builder<'_>| b.add_int(b"unsigned", 4, 0);
    let long = |b: &mut Builder<'_>| b.add_int(b"long", 8, 1);
    assert_eq!(compare(&int, &unsigned), "same");
    assert_eq!(compare(&int, &long), "INT 'int' of 4 bytes instead of 8");
    let constant = |b: &mut Builder<'_>| {
        let int = int(b);
        let int = b.add_typedef(b"number", int);
        b.add_const(int)
    };
    assert_eq!(compare(&constant, &int), "same");
    let array = |len: u32| {
        move |b: &mut Builder<'_>| {
            let int = int(b);
            b.add_array(int, int, len)
        }
    };
    assert_eq!(compare(&array(3), &array(0)), "same");
    assert_eq!(compare(&array(3), &int), "ARRAY instead of INT");

    let pair = |second: &'static [u8], at: u32| {
        move |b: &mut Builder<'_>| {
            let int = int(b);
            let members = [Member::new(b"a", int, 0), Member::new(second, int, at)];
            b.add_struct(b"pair", 12, &members)
        }
    };
    let other = pair(b"c", 32);
    let moved = pair(b"b", 64);
    let pair = pair(b"b", 32);
    assert_eq!(compare(&pair, &pair), "same");
    let why = "member 1 of STRUCT 'pair' is 'b' instead of 'c'";
    assert_eq!(compare(&pair, &other), why);
    let why = "member 'b' of STRUCT 'pair' is at bit 32 instead of 64";
    assert_eq!(compare(&pair, &moved), why);
    let declared = |is_union: bool| move |b: &mut Builder<'_>| b.add_fwd(b"pair", is_union);
    assert_eq!(compare(&pair, &declared(false)), "STRUCT instead of FWD");

    // behind a pointer the name suffices
    let to = |make: &Make<'_>, b: &mut Builder<'_>| {
        let to = make(b);
        b.add_ptr(to)
    };
    let to_pair = |b: &mut Builder<'_>| to(&pair, b);
    assert_eq!(compare(&to_pair, &|b| to(&moved, b)), "same");
    assert_eq!(compare(&to_pair, &|b| to(&declared(false), b)), "same");
    let why = "'pair' is declared as UNION and defined as STRUCT";
    assert_eq!(compare(&to_pair, &|b| to(&declared(true), b)), why);
    let named = |b: &mut Builder<'_>| b.add_struct(b"other", 4, &[]);
    let why = "STRUCT 'pair' instead of 'other'";
    assert_eq!(compare(&to_pair, &|b| to(&named, b)), why);

    let func = |linkage: u32, params: usize| {
        move |b: &mut Builder<'_>| {
            let int = int(b);
            let proto = b.add_func_proto(int, &vec![(&b"x"[..], int); params]);
            b.add_func(b"f", linkage, proto)
        }
    };
    assert_eq!(compare(&func(2, 1), &func(1, 1)), "same");
    let why = "FUNC_PROTO '(anon)' with 1 parameters instead of 2";
    assert_eq!(compare(&func(1, 1), &func(1, 2)), why);
    let why = "FUNC 'f' is static in one of them";
    assert_eq!(compare(&func(0, 1), &func(1, 1)), why);
}

#[test]
fn types_that_go_in_circles_are_compared_in_bounded_steps() {
    // two circles of arrays whose lengths have no common divisor
    let circle = |len: u32| {
        move |b: &mut Builder<'_>| {
            for id in 1..=len {
                b.add_array(id % len + 1, 1u32, 2);
            }
            TypeId(1)
        }
    };
    assert_eq!(compare(&circle(5), &circle(7)), "same");
    let why = "cannot be compared in as many steps as there are types";
    assert!(compare(&circle(101), &circle(103)).ends_with(why));
}
