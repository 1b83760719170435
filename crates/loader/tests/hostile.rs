//! What the fuzz target does, on random bytes and on sound objects with random damage.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test may fail")]

use btf::Endian;
use btf::build::{Member, SecVar};
use btf::encoding;
use proptest::prelude::*;

#[path = "bodies/elf_object.rs"]
mod elf_object;
#[allow(dead_code, reason = "shared with the unit tests")]
#[path = "../src/testing.rs"]
mod testing;

use testing::{EXIT, FUNC, File, GLOBAL, LOCAL, NOTYPE, OBJECT, PROGBITS, SECOND, call, load};

/// An object with a bit of everything.
fn zoo(endian: Endian) -> Vec<u8> {
    let mut file = File::new(endian);
    file.section("license", PROGBITS, 0, b"GPL\0");
    let text = file.code(".text", &[EXIT, EXIT]);
    let body = [
        call(-1),
        load(0, 0),
        SECOND,
        load(0, 0),
        SECOND,
        load(4, 0),
        SECOND,
        EXIT,
    ];
    let tc = file.code("tc", &body);
    let ops = file.code("struct_ops/init", &[EXIT]);
    let maps = file.section(".maps", PROGBITS, 3, &[0; 64]);
    let data = file.section(".data", PROGBITS, 3, &[1; 32]);
    let constants = file.section(".rodata", PROGBITS, 2, &[2; 8]);
    let zeros = file.zeros(".bss", 64);
    let values = file.section(".struct_ops.link", PROGBITS, 3, &[0; 16]);
    let tables = file.section(".jumptables", PROGBITS, 0, &[0; 16]);
    let arena = file.section(".addr_space.1", PROGBITS, 3, &[3; 8]);
    let legacy: Vec<u8> = [2, 4, 4, 1, 0].iter().flat_map(|w| file.word(*w)).collect();
    let old = file.section("maps", PROGBITS, 3, &legacy);
    file.types(|b| {
        let int = b.add_int(b"int", 4, encoding::SIGNED);
        let number = |b: &mut btf::build::Builder<'static>, n| {
            let array = b.add_array(int, int, n);
            b.add_ptr(array)
        };
        let kind = number(b, 33);
        let entries = number(b, 4);
        let members = [
            Member::new(b"type", kind, 0),
            Member::new(b"max_entries", entries, 64),
        ];
        let def = b.add_struct(b"", 16, &members);
        let list = b.add_array(int, int, 4);
        let proto = b.add_func_proto(int, &[(b"", int)]);
        let pointer = b.add_ptr(proto);
        let members = [Member::new(b"a", list, 0)];
        let config = b.add_struct(b"config", 16, &members);
        let members = [Member::new(b"init", pointer, 0), Member::new(b"n", int, 64)];
        let kernel_ops = b.add_struct(b"ops", 16, &members);
        let kfunc = b.add_func(b"kfunc", 2, proto);
        let main = b.add_func(b"main", 1, proto);
        b.add_decl_tag(b"exception_callback:f", main, -1);
        let var =
            |b: &mut btf::build::Builder<'static>, name: &str, linkage, id, offset, size| SecVar {
                type_id: b.add_var(name.as_bytes(), linkage, id),
                offset,
                size,
            };
        let vars = [var(b, "arena", 1, def, 0, 16)];
        b.add_datasec(b".maps", 0, &vars);
        let vars = [
            var(b, "config", 1, config, 0, 16),
            var(b, "list", 1, list, 16, 16),
        ];
        b.add_datasec(b".data", 0, &vars);
        let vars = [var(b, "limit", 1, int, 0, 4)];
        b.add_datasec(b".rodata", 8, &vars);
        let vars = [var(b, "ops", 1, kernel_ops, 0, 16)];
        b.add_datasec(b".struct_ops.link", 0, &vars);
        let vars = [var(b, "CONFIG_HZ", 2, int, 0, 4)];
        b.add_datasec(b".kconfig", 0, &vars);
        let ksym = var(b, "ksym", 2, int, 0, 4);
        let kfunc = SecVar {
            type_id: kfunc,
            offset: 0,
            size: 0,
        };
        b.add_datasec(b".ksyms", 0, &[ksym, kfunc]);
    });
    let f = file.func("f", text, 0, 1);
    file.symbol("g", text, (8, 8), LOCAL | FUNC);
    file.func("main", tc, 0, 8);
    let init = file.func("init", ops, 0, 1);
    file.symbol("arena", maps, (0, 16), GLOBAL | OBJECT);
    let config = file.symbol("config", data, (0, 16), GLOBAL | OBJECT);
    file.symbol("list", data, (16, 16), GLOBAL | OBJECT);
    file.symbol("limit", constants, (0, 4), GLOBAL | OBJECT);
    file.symbol("zero", zeros, (0, 8), GLOBAL | OBJECT);
    file.symbol("ops", values, (0, 16), GLOBAL | OBJECT);
    let table = file.symbol("BPF.JT.0", tables, (0, 16), LOCAL | OBJECT);
    file.symbol("shared", arena, (0, 8), GLOBAL | OBJECT);
    file.symbol("old", old, (0, 20), GLOBAL | OBJECT);
    for name in ["CONFIG_HZ", "ksym", "kfunc"] {
        file.symbol(name, 0, (0, 0), GLOBAL | NOTYPE);
    }
    file.relocs(tc, &[(0, f), (8, config), (24, table), (40, f)]);
    file.relocs(values, &[(0, init)]);
    file.build()
}

/// An object, then a few words overwritten: anywhere, or with a number that stands for something
/// (sections, symbols, sizes, kinds of types).
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        any::<u32>(),
        0u32..64,
        (0u32..32, 0u32..4).prop_map(|(kind, vlen)| kind << 24 | vlen),
        (0u32..8).prop_map(|n| n * 8),
        Just(u32::MAX),
    ];
    let damage = prop::collection::vec((any::<prop::sample::Index>(), word), 0..8);
    (any::<bool>(), damage).prop_map(|(big, damage)| {
        let endian = if big { Endian::Big } else { Endian::Little };
        let mut bytes = zoo(endian);
        for (at, word) in damage {
            let at = at.index(bytes.len() / 4) * 4;
            let new = if big {
                word.to_be_bytes()
            } else {
                word.to_le_bytes()
            };
            if let Some(place) = bytes.get_mut(at..at + 4) {
                place.copy_from_slice(&new);
            }
        }
        bytes
    })
}

#[test]
fn the_undamaged_object_has_everything() {
    for endian in [Endian::Little, Endian::Big] {
        let bytes = zoo(endian);
        let options = loader::model::ParseOptions::named("zoo");
        let object = loader::model::Object::parse(&bytes, &options).expect("it is sound");
        let text = object.to_string();
        assert!(!text.contains("broken"), "{text}");
        for part in [
            "exceptions to 'f'",
            "arena, key 0",
            "legacy, array",
            "options, array",
            "member 0: 'init'",
            "jump table 0",
            "kfunc",
            "address of 'f'",
            "variable 'shared': 'arena' at 0",
        ] {
            assert!(text.contains(part), "{part} in\n{text}");
        }
        elf_object::run(&bytes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn read_when_bytes_are_random(data in prop::collection::vec(any::<u8>(), 0..400)) {
        elf_object::run(&data);
    }

    #[test]
    fn read_when_object_is_damaged(data in damaged()) {
        elf_object::run(&data);
    }

    #[test]
    fn read_when_object_is_cut(big in any::<bool>(), at in any::<prop::sample::Index>()) {
        let bytes = zoo(if big { Endian::Big } else { Endian::Little });
        elf_object::run(bytes.get(..at.index(bytes.len())).unwrap_or_default());
    }
}
