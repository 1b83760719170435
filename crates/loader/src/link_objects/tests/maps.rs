//! Map definitions: what is one, and when two are the same.

use btf::build::{Builder, Member};
use btf::{Btf, Endian, TypeId};

use crate::link_objects::map_def::{MapDef, MapDefect};

/// Adds members of a definition, and the types that they need.
type Fill<'f> = dyn Fn(&mut Builder<'_>, &mut Vec<(&'static [u8], TypeId)>) + 'f;

/// What a map definition says, or why it is none.
fn map_def(make: &Fill<'_>) -> Vec<u8> {
    let mut types = Builder::new(Endian::Little);
    let mut members = Vec::new();
    make(&mut types, &mut members);
    let members: Vec<_> = members
        .iter()
        .map(|(name, id)| Member::new(name, *id, 0))
        .collect();
    let definition = types.add_struct(b"", 8, &members);
    types.add_var(b"map", 1, definition);
    types.finish().unwrap()
}

fn number(b: &mut Builder<'_>, value: u32) -> TypeId {
    let int = b.add_int(b"int", 4, 1);
    let array = b.add_array(int, int, value);
    b.add_ptr(array)
}

/// The type of `values` with one definition inside: its type, and one more attribute.
fn inner(b: &mut Builder<'_>, attribute: &[u8], value: u32) -> TypeId {
    let members = [
        Member::new(b"type", number(b, 1), 0),
        Member::new(attribute, number(b, value), 0),
    ];
    let inner = b.add_struct(b"inner", 8, &members);
    let pointer = b.add_ptr(inner);
    b.add_array(pointer, pointer, 0)
}

fn parse_map(blob: &[u8], then: impl FnOnce(Result<MapDef<'_>, MapDefect>) -> String) -> String {
    let btf = Btf::parse(blob).unwrap();
    let last = btf.ids().next_back().unwrap();
    then(MapDef::parse(&btf, last))
}

#[test]
fn map_definitions_that_are_none_are_refused() {
    let why = |make: &Fill<'_>| {
        parse_map(&map_def(make), |def| {
            def.map_or_else(|e| e.to_string(), |_| "sound".into())
        })
    };
    assert_eq!(why(&|b, m| m.push((b"type", number(b, 1)))), "sound");
    assert_eq!(
        why(&|b, m| m.push((b"max_entries", number(b, 1)))),
        "there is no member 'type'"
    );
    assert_eq!(
        why(&|b, m| m.push((b"entries", number(b, 1)))),
        "member 'entries' is not known"
    );
    let mut no_struct = Builder::new(Endian::Little);
    let int = no_struct.add_int(b"int", 4, 1);
    no_struct.add_var(b"map", 1, int);
    assert_eq!(
        parse_map(&no_struct.finish().unwrap(), |def| def
            .unwrap_err()
            .to_string()),
        "INT instead of STRUCT"
    );
    for (inside, expect) in [
        (&b"pinning"[..], "member 'pinning' of an inner map"),
        (&b"values"[..], "member 'values' of an inner map"),
        (&b"max_entries"[..], "sound"),
    ] {
        let found = why(&|b, m| {
            m.push((b"type", number(b, 12)));
            m.push((b"values", inner(b, inside, 1)));
        });
        assert_eq!(found, expect);
    }
    assert_eq!(
        why(&|b, m| m.push((b"type", b.add_int(b"int", 4, 1)))),
        "member 'type' has type INT instead of PTR"
    );
    assert_eq!(
        why(&|b, m| m.push((b"key", b.add_int(b"int", 4, 1)))),
        "member 'key' has type INT instead of PTR"
    );
    assert_eq!(
        why(&|b, m| {
            m.push((b"key_size", number(b, 8)));
            let int = b.add_int(b"int", 4, 1);
            m.push((b"key", b.add_ptr(int)));
        }),
        "member 'key' gives size 4 after 8"
    );
    assert_eq!(
        why(&|b, m| {
            m.push((b"type", number(b, 1)));
            m.push((b"pinning", number(b, 2)));
        }),
        "member 'pinning' is 2, not 0 or 1"
    );
    let values = |b: &mut Builder<'_>| {
        let inner = b.add_struct(b"inner", 0, &[]);
        let pointer = b.add_ptr(inner);
        b.add_array(pointer, pointer, 0)
    };
    assert_eq!(
        why(&|b, m| {
            m.push((b"type", number(b, 1)));
            m.push((b"values", values(b)));
        }),
        "member 'values' of map type 1, which has none"
    );
    assert_eq!(
        why(&|b, m| {
            m.push((b"type", number(b, 12)));
            m.push((b"values", values(b)));
            m.push((b"max_entries", number(b, 1)));
        }),
        "member 'values' is not the last"
    );
    assert_eq!(
        why(&|b, m| {
            m.push((b"type", number(b, 12)));
            m.push((b"values", values(b)));
        }),
        "there is no member 'type'"
    );
    assert_eq!(
        why(&|b, m| {
            m.push((b"type", number(b, 3)));
            m.push((b"values", values(b)));
        }),
        "member 'values' has type STRUCT instead of FUNC_PROTO"
    );
}

/// Whether two definitions say the same.
fn compared(one: &[u8], other: &[u8]) -> String {
    parse_map(one, |found| {
        parse_map(other, |want| {
            let same = found.unwrap().agree(&want.unwrap());
            same.map_or_else(|why| why.to_string(), |()| "same".into())
        })
    })
}

#[test]
fn what_is_in_map_definitions_must_be_the_same() {
    let sized = |b: &mut Builder<'_>, m: &mut Vec<(&'static [u8], TypeId)>| {
        m.push((b"type", number(b, 1)));
        m.push((b"key_size", number(b, 4)));
    };
    let typed = |b: &mut Builder<'_>, m: &mut Vec<(&'static [u8], TypeId)>| {
        m.push((b"type", number(b, 1)));
        let int = b.add_int(b"int", 4, 1);
        m.push((b"key", b.add_ptr(int)));
    };
    assert_eq!(compared(&map_def(&typed), &map_def(&typed)), "same");
    assert_eq!(
        compared(&map_def(&sized), &map_def(&typed)),
        "only one of them has key"
    );
    let of_maps = |entries: Option<u32>| {
        map_def(&|b, m| {
            m.push((b"type", number(b, 12)));
            m.push((b"value_size", number(b, 4)));
            if let Some(entries) = entries {
                m.push((b"values", inner(b, b"max_entries", entries)));
            }
        })
    };
    assert_eq!(compared(&of_maps(Some(1)), &of_maps(Some(1))), "same");
    assert_eq!(
        compared(&of_maps(Some(1)), &of_maps(None)),
        "only one of them has an inner map"
    );
    assert_eq!(
        compared(&of_maps(Some(1)), &of_maps(Some(2))),
        "inner map: max_entries is 1 instead of 2"
    );
}

#[test]
fn map_definitions_must_say_the_same() {
    let differ = |one: &[(&'static [u8], u32)], other: &[(&'static [u8], u32)]| {
        let make = |attributes: &[(&'static [u8], u32)]| {
            map_def(&|b, m| {
                m.push((b"type", number(b, 1)));
                for (name, value) in attributes {
                    m.push((name, number(b, *value)));
                }
            })
        };
        compared(&make(one), &make(other))
    };
    let cases: [(&'static [u8], &str); 6] = [
        (b"key_size", "key_size is 1 instead of 2"),
        (b"value_size", "value_size is 1 instead of 2"),
        (b"max_entries", "max_entries is 1 instead of 2"),
        (b"map_flags", "map_flags is 1 instead of 2"),
        (b"numa_node", "numa_node is 1 instead of 2"),
        (b"map_extra", "same"),
    ];
    for (name, why) in cases {
        assert_eq!(differ(&[(name, 1)], &[(name, 1)]), "same");
        assert_eq!(differ(&[(name, 1)], &[(name, 2)]), why);
    }
    assert_eq!(differ(&[(b"pinning", 1)], &[]), "pinning is 1 instead of 0");
}
