use super::*;
use crate::model::{MapIdx, MapOrigin, ProgIdx};
use crate::model::{Pinning, Slot, SlotValue};
use crate::testing::{EXIT, GLOBAL, OBJECT, PROGBITS};
use bpfsys::MapType;
use bpfsys::uapi::flags::MapFlags;
use btf::TypeId;
use btf::build::{Builder, Member, SecVar};
use btf::{Endian, encoding};

/// Types for definitions.
struct Types<'b> {
    b: &'b mut Builder<'static>,
    int: TypeId,
}

impl<'b> Types<'b> {
    fn new(b: &'b mut Builder<'static>) -> Self {
        let int = b.add_int(b"int", 4, encoding::SIGNED);
        Self { b, int }
    }

    /// `__uint(name, value)`.
    fn uint(&mut self, value: u32) -> TypeId {
        let array = self.b.add_array(self.int, self.int, value);
        self.b.add_ptr(array)
    }

    /// A struct with these members, 8 bytes each.
    fn body(&mut self, members: &[(&str, TypeId)]) -> TypeId {
        let places = (0u32..).step_by(64);
        let written: Vec<_> = members
            .iter()
            .zip(places)
            .map(|((name, id), bit)| Member::new(name.as_bytes(), *id, bit))
            .collect();
        self.b.add_struct(b"", 8 * members.len() as u32, &written)
    }

    /// Section `.maps` with variables of these types at multiples of 64 bytes.
    fn section(&mut self, vars: &[(&str, TypeId)]) {
        let places = (0u32..).step_by(64);
        let vars: Vec<_> = vars
            .iter()
            .zip(places)
            .map(|((name, id), offset)| SecVar {
                type_id: self.b.add_var(name.as_bytes(), 1, *id),
                offset,
                size: 64,
            })
            .collect();
        let size = 64 * vars.len() as u32;
        self.b.add_datasec(b".maps", size, &vars);
    }
}

/// An object with one map `m`, the definition of which has these members.
fn object_with(members: impl FnOnce(&mut Types<'_>) -> Vec<(&'static str, TypeId)>) -> File {
    let mut file = File::native();
    file.section(".maps", PROGBITS, 3, &[0; 64]);
    file.types(|b| {
        let mut types = Types::new(b);
        let members = members(&mut types);
        let body = types.body(&members);
        types.section(&[("m", body)]);
    });
    file
}

#[test]
fn members_of_definitions() {
    let file = object_with(|t| {
        let pointer = t.b.add_ptr(t.int);
        vec![
            ("type", t.uint(1)),
            ("max_entries", t.uint(10)),
            ("map_flags", t.uint(1)),
            ("numa_node", t.uint(2)),
            ("key_size", t.uint(4)),
            ("key", pointer),
            ("value", pointer),
        ]
    });
    let object = parse(&file);
    let map = object.map("m").unwrap();
    assert_eq!(map.spec.map_type, MapType::HASH);
    assert_eq!(
        (map.spec.key_size, map.spec.value_size, map.spec.max_entries),
        (4, 4, 10)
    );
    assert_eq!(map.spec.flags, MapFlags::NO_PREALLOC);
    assert_eq!(map.spec.numa_node, Some(2));
    assert_eq!(
        (map.spec.key_type, map.spec.value_type),
        (TypeId(1), TypeId(1))
    );
    assert_eq!(map.origin, MapOrigin::Definition);
    assert!(map.autocreate && map.pinning == Pinning::None);

    let file = object_with(|t| {
        let extra = t.b.add_enum64(b"", 8, false, &[(b"EXTRA", 1 << 40)]);
        vec![
            ("type", t.uint(2)),
            ("value_size", t.uint(12)),
            ("pinning", t.uint(1)),
            ("map_extra", extra),
        ]
    });
    let object = parse(&file);
    let map = object.map("m").unwrap();
    assert_eq!(map.spec.map_extra, 1 << 40);
    assert_eq!(map.pinning, Pinning::ByName);
    assert_eq!((map.spec.key_size, map.spec.value_size), (0, 12));

    // a constant of 32 bits is signed
    let file = object_with(|t| {
        let extra = t.b.add_enum(b"", 4, false, &[(b"EXTRA", 0xffff_fffe)]);
        vec![("type", t.uint(2)), ("map_extra", extra)]
    });
    assert_eq!(parse(&file).maps()[0].spec.map_extra, u64::MAX - 1);
}

#[test]
fn names_are_cut_for_the_kernel() {
    let mut file = File::native();
    file.section(".maps", PROGBITS, 3, &[0; 64]);
    file.types(|b| {
        let mut types = Types::new(b);
        let members = [("type", types.uint(2))];
        let body = types.body(&members);
        types.section(&[("a_name_of_more_bytes", body)]);
    });
    let object = parse(&file);
    assert_eq!(object.maps()[0].name, "a_name_of_more_");
    assert_eq!(object.map_index("a_name_of_more_bytes"), Some(MapIdx(0)));
}

#[test]
fn definitions_that_are_wrong() {
    let wrong = |members: fn(&mut Types<'_>) -> Vec<(&'static str, TypeId)>, expected: &str| {
        let file = object_with(members);
        assert_eq!(error(&file), format!("map 'm': {expected}"));
    };
    wrong(|_| vec![], "it has no member 'type'");
    wrong(|t| vec![("type", t.uint(0))], "it has no member 'type'");
    wrong(
        |t| vec![("type", t.int)],
        "member 'type' must be a pointer to an array, it is INT",
    );
    wrong(
        |t| {
            let pointer = t.b.add_ptr(t.int);
            vec![("type", pointer)]
        },
        "member 'type' must be a pointer to an array, it is INT",
    );
    wrong(
        |t| vec![("type", t.uint(1)), ("colour", t.uint(1))],
        "member 'colour' is not known (relaxed parsing would ignore it)",
    );
    wrong(
        |t| {
            let pointer = t.b.add_ptr(t.int);
            vec![
                ("type", t.uint(1)),
                ("key_size", t.uint(8)),
                ("key", pointer),
            ]
        },
        "member 'key' says 4 bytes, an earlier one says 8",
    );
    wrong(
        |t| {
            let pointer = t.b.add_ptr(TypeId::VOID);
            vec![("type", t.uint(1)), ("value", pointer)]
        },
        "member 'value': type 0 (void) has no size",
    );
    wrong(
        |t| vec![("type", t.uint(1)), ("value", t.int)],
        "member 'value' must be a pointer, it is INT",
    );
    wrong(
        |t| vec![("type", t.uint(1)), ("pinning", t.uint(2))],
        "member 'pinning': 2 means nothing",
    );
    wrong(
        |t| {
            let two = t.b.add_enum(b"", 4, false, &[(b"A", 1), (b"B", 2)]);
            vec![("type", t.uint(1)), ("map_extra", two)]
        },
        "member 'map_extra' must be a pointer to an array or an enum of one constant, it is ENUM",
    );
    wrong(
        |t| {
            let pointer = t.b.add_ptr(t.int);
            let values = t.b.add_array(pointer, t.int, 0);
            vec![("type", t.uint(1)), ("values", values)]
        },
        "member 'values': only maps of maps and arrays of programs have values",
    );
    wrong(
        |t| {
            let pointer = t.b.add_ptr(t.int);
            let values = t.b.add_array(pointer, t.int, 0);
            vec![
                ("type", t.uint(12)),
                ("values", values),
                ("key_size", t.uint(4)),
            ]
        },
        "member 'values': it must be the last",
    );
    wrong(
        |t| {
            let pointer = t.b.add_ptr(t.int);
            let values = t.b.add_array(pointer, t.int, 1);
            vec![("type", t.uint(12)), ("values", values)]
        },
        "member 'values' must be an array of no size, it is ARRAY",
    );
    wrong(
        |t| {
            let pointer = t.b.add_ptr(t.int);
            let values = t.b.add_array(pointer, t.int, 0);
            vec![("type", t.uint(12)), ("values", values)]
        },
        "member 'values' must be an array of pointers to structs, it is INT",
    );
    wrong(
        |t| {
            let members = [("type", t.uint(2)), ("pinning", t.uint(1))];
            let inner = t.body(&members);
            let pointer = t.b.add_ptr(inner);
            let values = t.b.add_array(pointer, t.int, 0);
            vec![("type", t.uint(12)), ("values", values)]
        },
        "map inside: member 'pinning': a map inside of a map is not pinned",
    );
}

#[test]
fn unknown_members_may_be_ignored() {
    let file = object_with(|t| vec![("type", t.uint(2)), ("colour", t.int)]);
    let options = ParseOptions::named("obj").relaxed_maps(true);
    let object = Object::parse(&file.build(), &options).unwrap();
    assert_eq!(object.maps()[0].spec.map_type, MapType::ARRAY);
}

#[test]
fn variables_that_are_no_definitions() {
    let wrong = |var: fn(&mut Types<'_>) -> SecVar, expected: &str| {
        let mut file = File::native();
        file.section(".maps", PROGBITS, 3, &[0; 64]);
        file.types(|b| {
            let mut types = Types::new(b);
            let var = var(&mut types);
            types.b.add_datasec(b".maps", 64, &[var]);
        });
        assert_eq!(error(&file), expected);
    };
    wrong(
        |t| SecVar {
            type_id: t.b.add_var(b"m", 1, t.int),
            offset: 0,
            size: 4,
        },
        "map 'm': a definition must be a struct, this one is INT",
    );
    wrong(
        |t| SecVar {
            type_id: t.int,
            offset: 0,
            size: 4,
        },
        "map 'int': a definition must be a struct, this one is INT",
    );
    wrong(
        |t| {
            let body = t.body(&[]);
            SecVar {
                type_id: t.b.add_var(b"", 1, body),
                offset: 0,
                size: 4,
            }
        },
        "map '?': definition 0 of section '.maps' has no name",
    );
    wrong(
        |t| {
            let body = t.body(&[]);
            SecVar {
                type_id: t.b.add_var(b"m", 0, body),
                offset: 0,
                size: 4,
            }
        },
        "map 'm': a map must be a global variable, this one is static",
    );
    wrong(
        |t| {
            let body = t.body(&[]);
            SecVar {
                type_id: t.b.add_var(b"m", 1, body),
                offset: u32::MAX,
                size: 2,
            }
        },
        "map 'm': 2 bytes at offset 4294967295 are not in section '.maps' of 64 bytes",
    );
    wrong(
        |t| {
            let members = [("type", t.uint(1))];
            let body = t.body(&members);
            SecVar {
                type_id: t.b.add_var(b"m", 1, body),
                offset: 0,
                size: 4,
            }
        },
        "map 'm': its type has 8 bytes, the variable 4",
    );
}

#[test]
fn definitions_need_types() {
    let mut file = File::native();
    file.section(".maps", PROGBITS, 3, &[0; 64]);
    let no_btf = "no section '.BTF', which section '.maps' needs: compile with '-g'";
    assert_eq!(error(&file), no_btf);
    let mut bad = file.clone();
    bad.section(".BTF", PROGBITS, 0, &[1, 2, 3]);
    assert_eq!(
        error(&bad),
        "section '.BTF', which section '.maps' needs, cannot be read: btf header needs 24 bytes at \
         offset 0, 3 are there"
    );
    file.types(|b| {
        Types::new(b);
    });
    assert_eq!(error(&file), "no type of kind DATASEC is named '.maps'");
}

/// Maps of maps and of programs: an array `outer` with slots for `inner`, and one for programs.
fn nested() -> (File, [u32; 3]) {
    let mut file = File::native();
    let maps = file.section(".maps", PROGBITS, 3, &[0; 192]);
    let tc = file.code("tc", &[EXIT]);
    let text = file.code(".text", &[EXIT]);
    file.types(|b| {
        let mut t = Types::new(b);
        let members = [("type", t.uint(2)), ("max_entries", t.uint(1))];
        let inner = t.body(&members);
        let pointer = t.b.add_ptr(inner);
        let values = t.b.add_array(pointer, t.int, 0);
        let members = [
            ("type", t.uint(12)),
            ("key_size", t.uint(4)),
            ("values", values),
        ];
        let outer = t.body(&members);
        let proto = t.b.add_func_proto(t.int, &[]);
        let pointer = t.b.add_ptr(proto);
        let values = t.b.add_array(pointer, t.int, 0);
        let members = [
            ("type", t.uint(3)),
            ("key_size", t.uint(4)),
            ("values", values),
        ];
        let progs = t.body(&members);
        t.section(&[("inner", inner), ("outer", outer), ("progs", progs)]);
    });
    let inner = file.symbol("inner", maps, (0, 64), GLOBAL | OBJECT);
    let prog = file.func("prog", tc, 0, 1);
    let sub = file.func("sub", text, 0, 1);
    (file, [inner, prog, sub])
}

#[test]
fn slots_are_filled_by_relocations() {
    let (mut file, [inner, prog, _]) = nested();
    // slots are behind two members of 8 bytes
    let places = [(96, inner), (80, inner), (152, prog), (96, inner)];
    file.relocs(2, &places);
    let object = parse(&file);
    let outer = object.map("outer").unwrap();
    let map = SlotValue::Map(MapIdx(0));
    let slots = [
        Slot {
            index: 0,
            value: map,
        },
        Slot {
            index: 2,
            value: map,
        },
    ];
    assert_eq!(outer.slots, slots);
    assert_eq!(outer.spec.value_size, 4);
    let inside = outer.inner.as_ref().unwrap();
    assert_eq!((inside.map_type, inside.max_entries), (MapType::ARRAY, 1));
    let slot = Slot {
        index: 1,
        value: SlotValue::Prog(ProgIdx(0)),
    };
    assert_eq!(object.map("progs").unwrap().slots, [slot]);
    let note = "map 'outer': slots are filled more than once";
    assert_eq!(object.notes.last().unwrap(), note);
}

#[test]
fn slots_that_cannot_be_filled() {
    let wrong = |place: u64, which: usize, why: &str| {
        let (mut file, symbols) = nested();
        file.relocs(2, &[(place, symbols[which])]);
        let name = ["inner", "prog", "sub"][which];
        let expected =
            format!("section '.maps': relocation at offset {place} against '{name}': {why}");
        assert_eq!(error(&file), expected);
    };
    wrong(80, 1, "it is no map");
    wrong(144, 0, "it is no program");
    wrong(144, 2, "it is no program");
    wrong(64, 0, "it is not for a slot of 'values'");
    wrong(84, 0, "it is not for a slot of 'values'");
    wrong(0, 0, "it is not for a slot of 'values'");
    wrong(192, 0, "no map is defined there");
    wrong(u64::MAX - 3, 0, "no map is defined there");
    // a slot that ends behind the variable
    wrong(124, 0, "no map is defined there");
}

#[test]
fn maps_by_numbers() {
    let words = |file: &File, words: &[u32]| -> Vec<u8> {
        words.iter().flat_map(|word| file.word(*word)).collect()
    };
    for endian in [Endian::Little, Endian::Big] {
        let mut file = File::new(endian);
        let mut bytes = words(&file, &[1, 4, 8, 32, 1]);
        bytes.extend(words(&file, &[2, 4, 8, 2]));
        bytes.extend(words(&file, &[2, 4, 8, 2, 0, 0, 1]));
        bytes.extend(words(&file, &[2, 4, 8, 3, 0, 0, 0, 0, 0]));
        let maps = file.section("maps", PROGBITS, 3, &bytes);
        let more = file.section("maps/more", PROGBITS, 3, &bytes[..20]);
        file.symbol("full", maps, (0, 20), GLOBAL | OBJECT);
        file.symbol("short", maps, (20, 16), GLOBAL | OBJECT);
        file.symbol("pinned", maps, (36, 28), GLOBAL | OBJECT);
        file.symbol("long", maps, (64, 0), GLOBAL | OBJECT);
        file.symbol("other", more, (0, 20), GLOBAL | OBJECT);
        let object = parse(&file);
        let names: Vec<_> = object
            .maps()
            .iter()
            .map(|map| map.symbol.as_str())
            .collect();
        assert_eq!(names, ["full", "short", "pinned", "long", "other"]);
        let full = &object.maps()[0];
        assert_eq!(
            (full.spec.map_type, full.origin.clone()),
            (MapType::HASH, MapOrigin::Legacy)
        );
        assert_eq!(
            (
                full.spec.key_size,
                full.spec.value_size,
                full.spec.max_entries
            ),
            (4, 8, 32)
        );
        assert_eq!(full.spec.flags, MapFlags::NO_PREALLOC);
        assert_eq!(object.maps()[1].spec.flags, MapFlags::empty());
        assert_eq!(object.maps()[2].pinning, Pinning::ByName);
        assert_eq!(object.maps()[3].spec.max_entries, 3);
    }
}

#[test]
fn maps_by_numbers_that_are_wrong() {
    let wrong = |words: &[u32], size: u64, why: &str| {
        let mut file = File::native();
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        let maps = file.section("maps", PROGBITS, 3, &bytes);
        file.symbol("m", maps, (0, size), GLOBAL | OBJECT);
        let expected = format!("map 'm' in section 'maps' at offset 0: {why}");
        assert_eq!(error(&file), expected);
    };
    wrong(
        &[1, 4, 8],
        12,
        "12 bytes are less than the 16 of type, sizes and entries",
    );
    wrong(&[0, 4, 8, 1, 0], 20, "it has no type");
    wrong(
        &[1, 4, 8, 1, 0],
        24,
        "24 bytes are not in the section of 20",
    );
    let byte = if cfg!(target_endian = "little") {
        24
    } else {
        27
    };
    let why = format!("byte {byte} of the definition means nothing and is not zero");
    wrong(&[1, 4, 8, 1, 0, 0, 2], 28, &why);
    wrong(&[1, 4, 8, 1, 0, 0, 1, 0, 0], 36, &why);
}
