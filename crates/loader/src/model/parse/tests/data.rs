use super::*;
use crate::model::{Linkage, MapOrigin, Variable};
use crate::testing::{GLOBAL, LOCAL, NOTYPE, OBJECT, PROGBITS, WEAK};
use bpfsys::MapType;
use bpfsys::uapi::flags::MapFlags;
use btf::build::SecVar;
use btf::{Kind, Type, TypeId, encoding};

#[test]
fn sections_become_maps() {
    let mut file = File::native();
    file.section(".data", PROGBITS, 3, &[1, 2, 3, 4]);
    file.section(".rodata.cst8", PROGBITS, 2, &[5; 8]);
    file.zeros(".bss", 100);
    file.section(".data.empty", PROGBITS, 3, &[]);
    file.section(".database", PROGBITS, 3, &[1]);
    file.section(".rodata", PROGBITS, 2, &[6; 3]);
    let object = parse(&file);
    let maps: Vec<_> = object
        .maps()
        .iter()
        .map(|map| {
            (
                map.name.as_str(),
                map.origin.clone(),
                map.spec.value_size,
                map.data.len(),
            )
        })
        .collect();
    let expected = [
        ("obj.data", MapOrigin::Data, 4, 4),
        (".rodata.cst8", MapOrigin::Constants, 8, 8),
        ("obj.bss", MapOrigin::Data, 100, 0),
        ("obj.rodata", MapOrigin::Constants, 3, 3),
    ];
    assert_eq!(maps, expected);
    for map in object.maps() {
        assert_eq!(
            (map.spec.map_type, map.spec.key_size, map.spec.max_entries),
            (MapType::ARRAY, 4, 1)
        );
        let constant = map.origin == MapOrigin::Constants;
        assert_eq!(map.spec.flags == MapFlags::RDONLY_PROG, constant);
    }
    let note = "section 6 '.database' is of no kind that is known, it is left out";
    assert_eq!(object.notes, [note]);
}

#[test]
fn sections_that_no_map_can_hold() {
    let mut file = File::native();
    file.zeros(".bss", 1 << 32);
    assert_eq!(
        error(&file),
        "section '.bss' of 4294967296 bytes does not fit in a map"
    );
}

/// Section `.data` with variables as clang describes them: without sizes and places.
fn described(file: &mut File) -> u16 {
    let data = file.section(".data", PROGBITS, 3, &[0; 24]);
    file.types(|b| {
        let int = b.add_int(b"int", 4, encoding::SIGNED);
        let array = b.add_array(int, int, 2);
        let vars = [
            (&b"second"[..], 1, int),
            (b"first", 1, int),
            (b"quiet", 0, array),
        ];
        let vars: Vec<_> = vars
            .iter()
            .map(|(name, linkage, id)| SecVar {
                type_id: b.add_var(name, *linkage, *id),
                // only the places of static variables are known to the compiler
                offset: if *linkage == 0 { 16 } else { 0 },
                size: if *linkage == 0 { 8 } else { 4 },
            })
            .collect();
        b.add_datasec(b".data", 0, &vars);
    });
    data
}

#[test]
fn places_of_variables_come_from_symbols() {
    let mut file = File::native();
    let data = described(&mut file);
    file.symbol("first", data, (4, 4), GLOBAL | OBJECT);
    file.hide();
    file.symbol("second", data, (8, 4), WEAK | OBJECT);
    file.symbol("quiet", data, (16, 8), LOCAL | OBJECT);
    file.symbol("untyped", data, (12, 4), GLOBAL | OBJECT);
    file.symbol("label", data, (0, 0), GLOBAL | NOTYPE);
    let object = parse(&file);
    let variables: Vec<_> = object
        .variables()
        .iter()
        .map(
            |Variable {
                 name,
                 offset,
                 size,
                 linkage,
                 type_id,
                 ..
             }| {
                (
                    name.as_str(),
                    *offset,
                    *size,
                    *linkage,
                    type_id.map(TypeId::get),
                )
            },
        )
        .collect();
    let expected = [
        ("first", 4, 4, Linkage::Hidden, Some(1)),
        ("second", 8, 4, Linkage::Weak, Some(1)),
        ("untyped", 12, 4, Linkage::Global, None),
        ("quiet", 16, 8, Linkage::Static, Some(2)),
    ];
    assert_eq!(variables, expected);

    let btf = object.btf.as_ref().unwrap();
    let id = btf.find_by_name_kind(b".data", Kind::Datasec).unwrap();
    let Ok(Type::Datasec(section)) = btf.type_by_id(id) else {
        panic!()
    };
    assert_eq!(section.size(), 24);
    let places: Vec<_> = section.vars().map(|var| (var.offset, var.size)).collect();
    assert_eq!(places, [(4, 4), (8, 4), (16, 8)]);
    let linkages: Vec<_> = section
        .vars()
        .map(|var| match btf.type_by_id(var.type_id) {
            Ok(Type::Var(var)) => var.linkage(),
            _ => 9,
        })
        .collect();
    assert_eq!(
        linkages,
        [0, 1, 0],
        "hidden variables are static for the kernel"
    );
    let map = object.map(".data").unwrap();
    assert_eq!(map.spec.value_type, id);
    assert_eq!(map.spec.flags, MapFlags::MMAPABLE);
}

#[test]
fn only_seen_variables_make_maps_mappable() {
    let mut file = File::native();
    let data = described(&mut file);
    file.symbol("first", data, (4, 4), GLOBAL | OBJECT);
    file.hide();
    file.symbol("second", data, (8, 4), GLOBAL | OBJECT);
    file.hide();
    let object = parse(&file);
    assert_eq!(object.map(".data").unwrap().spec.flags, MapFlags::empty());
}

#[test]
fn variables_that_are_not_there() {
    let mut file = File::native();
    let data = described(&mut file);
    file.symbol("first", data, (22, 4), GLOBAL | OBJECT);
    file.symbol("far", data, (u64::MAX, 4), GLOBAL | OBJECT);
    let object = parse(&file);
    let names: Vec<_> = object.variables().iter().map(|v| v.name.as_str()).collect();
    assert_eq!(names, ["second", "quiet"]);
    let notes = [
        "variable 'second' of section '.data' has no symbol",
        "variable 'first' is not in section '.data'",
    ];
    assert_eq!(object.notes, notes);
}

#[test]
fn arenas_hold_their_data() {
    let object = |arenas: usize| {
        let mut file = File::native();
        let legacy: Vec<u8> = [33u32, 0, 0, 100, 0]
            .iter()
            .flat_map(|w| w.to_ne_bytes())
            .collect();
        let maps = file.section("maps", PROGBITS, 3, &legacy.repeat(arenas.max(1)));
        let data = file.section(".addr_space.1", PROGBITS, 3, &[1, 2, 3, 4]);
        for (at, name) in ["a", "b"].iter().enumerate().take(arenas) {
            file.symbol(name, maps, (20 * at as u64, 20), GLOBAL | OBJECT);
        }
        file.symbol("v", data, (0, 4), GLOBAL | OBJECT);
        parse(&file)
    };
    let one = object(1);
    assert_eq!(one.map("a").unwrap().data, [1, 2, 3, 4]);
    assert_eq!(one.variables()[0].name, "v");
    assert!(one.notes.is_empty());
    let note = "section '.addr_space.1' is left out: there is no arena to hold it";
    assert_eq!(object(0).notes, [note]);
    let note = "section '.addr_space.1' is left out: there is more than one arena";
    assert_eq!(object(2).notes, [note]);
}
