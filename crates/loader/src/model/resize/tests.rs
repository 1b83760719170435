#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test may fail"
)]

use super::*;
use crate::model::ParseOptions;
use crate::testing::{File, GLOBAL, NOTYPE, OBJECT, PROGBITS};
use btf::build::SecVar;
use btf::{Endian, Kind, encoding};

/// `.data`: an integer and an array of two; `.bss`: zeros; `.rodata`: no array; a map by numbers.
fn object(endian: Endian) -> Object {
    let mut file = File::new(endian);
    let data = file.section(".data", PROGBITS, 3, &[1, 0, 0, 0, 2, 2, 2, 2, 3, 3, 3, 3]);
    let zeros = file.zeros(".bss", 8);
    file.section(".rodata", PROGBITS, 2, &[9; 4]);
    let legacy: Vec<u8> = [2, 4, 4, 1, 0].iter().flat_map(|w| file.word(*w)).collect();
    let maps = file.section("maps", PROGBITS, 3, &legacy);
    file.types(|b| {
        let int = b.add_int(b"int", 4, encoding::SIGNED);
        let two = b.add_array(int, int, 2);
        let two = b.add_typedef(b"two", two);
        type Var = (&'static str, TypeId, u32);
        let sections: [(&[u8], &[Var]); 4] = [
            (b".data", &[("first", int, 4), ("list", two, 8)]),
            (b".bss", &[("zeros", two, 8)]),
            (b".rodata", &[("single", int, 4)]),
            (b".kconfig", &[]),
        ];
        for (name, vars) in sections {
            let mut at = 0;
            let mut written = Vec::new();
            for (name, id, size) in vars {
                written.push(SecVar {
                    type_id: b.add_var(name.as_bytes(), 1, *id),
                    offset: at,
                    size: *size,
                });
                at += size;
            }
            b.add_datasec(name, at, &written);
        }
    });
    file.symbol("first", data, (0, 4), GLOBAL | OBJECT);
    file.symbol("list", data, (4, 8), GLOBAL | OBJECT);
    file.symbol("zeros", zeros, (0, 8), GLOBAL | OBJECT);
    file.symbol("table", maps, (0, 20), GLOBAL | OBJECT);
    file.symbol("unheard", 0, (0, 0), GLOBAL | NOTYPE);
    Object::parse(&file.build(), &ParseOptions::named("obj")).unwrap()
}

#[test]
fn the_last_array_grows() {
    for endian in [Endian::Little, Endian::Big] {
        let mut object = object(endian);
        let types = object.btf.as_ref().unwrap().len();
        object.set_value_size(".data", 24).unwrap();
        let map = object.map(".data").unwrap();
        assert_eq!(map.spec.value_size, 24);
        assert_eq!(map.data.len(), 24);
        assert_eq!(map.data[4..16], [2, 2, 2, 2, 3, 3, 3, 3, 0, 0, 0, 0]);
        let btf = object.btf.as_ref().unwrap();
        assert_eq!(btf.len(), types + 1);
        assert_eq!(btf.size_of(map.spec.value_type).unwrap(), 24);
        let Ok(Type::Datasec(section)) = btf.type_by_id(map.spec.value_type) else {
            unreachable!()
        };
        let last = section.vars().last().unwrap();
        assert_eq!((last.offset, last.size), (4, 20));
        assert_eq!(btf.size_of(last.type_id).unwrap(), 20);
        let list = object
            .variables()
            .iter()
            .find(|v| v.name == "list")
            .unwrap();
        assert_eq!(list.size, 20);
        assert_eq!(btf.size_of(list.type_id.unwrap()).unwrap(), 20);
        object.set_variable("list[4]", "7").unwrap();
        assert_eq!(
            object.map(".data").unwrap().data[20..].iter().sum::<u8>(),
            7
        );
        assert!(object.set_variable("list[5]", "7").is_err());

        // other variables of the type keep it
        let btf = object.btf.as_ref().unwrap();
        let bss = btf.find_by_name_kind(b".bss", Kind::Datasec).unwrap();
        let Ok(Type::Datasec(section)) = btf.type_by_id(bss) else {
            unreachable!()
        };
        let zeros = section.vars().next().unwrap();
        assert_eq!(btf.size_of(zeros.type_id).unwrap(), 8);
    }
}

#[test]
fn it_may_shrink() {
    let mut object = object(Endian::NATIVE);
    object.set_value_size("obj.data", 8).unwrap();
    assert_eq!(object.map(".data").unwrap().data.len(), 8);
    assert_eq!(object.variables()[1].size, 4);
}

#[test]
fn zeros_stay_zeros() {
    let mut object = object(Endian::NATIVE);
    object.set_value_size(".bss", 4000).unwrap();
    let map = object.map(".bss").unwrap();
    assert_eq!((map.spec.value_size, map.data.len()), (4000, 0));
    assert!(!map.spec.value_type.is_void());
}

#[test]
fn maps_that_lose_their_types() {
    let mut object = object(Endian::NATIVE);
    object.set_value_size(".rodata", 8).unwrap();
    object.set_value_size(".data", 13).unwrap();
    for name in [".rodata", ".data"] {
        assert!(object.map(name).unwrap().spec.value_type.is_void());
    }
    let notes = &object.notes[object.notes.len() - 2..];
    let expected = [
        "map '.rodata' loses its types: the last variable, 'single', is no array",
        "map '.data' loses its types: 9 bytes are no number of elements of 'list', of 4 bytes each",
    ];
    assert_eq!(notes, expected);
    assert_eq!(
        object.map(".rodata").unwrap().data,
        [9, 9, 9, 9, 0, 0, 0, 0]
    );
}

#[test]
fn sizes_that_cannot_be() {
    let mut object = object(Endian::NATIVE);
    for (map, size, why) in [
        (
            ".data",
            0,
            "map '.data' cannot have values of 0 bytes: it holds variables",
        ),
        (
            ".data",
            4,
            "map '.data' cannot have values of 4 bytes: its last variable would not be in it",
        ),
        (".dota", 4, "no map '.dota', did you mean '.data'?"),
    ] {
        let error = object.set_value_size(map, size).unwrap_err();
        assert_eq!(error.to_string(), why);
    }
    object.set_value_size("table", 16).unwrap();
    assert_eq!(object.map("table").unwrap().spec.value_size, 16);
}
