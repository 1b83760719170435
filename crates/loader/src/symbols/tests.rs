//! Look-ups in files made in memory.

use super::testing::{
    DYNSYM, FUNC, Forge, GLOBAL, IFUNC, LOCAL, NOTE, OBJECT, PROGBITS, Symbol, WEAK,
};
use super::*;

/// Where code is loaded to.
const TEXT: u64 = 0x40_1000;

fn all_forms() -> [Forge; 4] {
    [(true, false), (true, true), (false, false), (false, true)]
        .map(|(wide, big)| Forge::new(wide, big))
}

/// A file with 64 bytes of code and these symbols of all, and of the dynamic linker.
fn with_symbols(mut forge: Forge, all: &[Symbol<'_>], dynamic: &[Symbol<'_>]) -> Vec<u8> {
    forge.loaded(".text", TEXT, true, &[0x90; 64]);
    if !all.is_empty() {
        forge.symbols(false, all);
    }
    if !dynamic.is_empty() {
        forge.symbols(true, dynamic);
    }
    forge.build()
}

fn find(bytes: &[u8], query: &str) -> Result<Match, String> {
    let file = ElfFile::parse(bytes).unwrap();
    let query = Query::parse(query).unwrap();
    file.function(&query).map_err(|error| error.to_string())
}

/// How far into the code a function is found.
#[track_caller]
fn check(bytes: &[u8], query: &str, into: u64) {
    let file = ElfFile::parse(bytes).unwrap();
    let text = file.section_by_name(b".text").unwrap();
    let found = find(bytes, query).unwrap();
    assert_eq!(found.offset, text.offset + into, "{query}");
    assert_eq!(found.address, TEXT + into, "{query}");
}

#[test]
fn every_class_and_order() {
    for forge in all_forms() {
        let symbols: &[Symbol<'_>] = &[
            ("main", GLOBAL | FUNC, 1, TEXT + 16, 8),
            ("helper", LOCAL | FUNC, 1, TEXT + 32, 8),
            ("data", GLOBAL | OBJECT, 1, TEXT, 4),
            ("elsewhere", GLOBAL | FUNC, 0, 0, 0),
            ("number", GLOBAL | FUNC, 0xfff1, TEXT, 0),
            ("far", GLOBAL | FUNC, 1, TEXT + 64, 0),
        ];
        let what = format!("{forge:?}");
        let bytes = with_symbols(forge, symbols, &[]);
        check(&bytes, "main", 16);
        check(&bytes, "helper", 32);
        for missing in ["mai", "ain", "data", "elsewhere", "number", "nothing"] {
            let error = find(&bytes, missing).unwrap_err();
            assert_eq!(error, format!("there is no function `{missing}`"), "{what}");
        }
        assert_eq!(
            find(&bytes, "far").unwrap_err(),
            "address 0x401040 of function `far` is not in a segment that is loaded from the file"
        );
        let file = ElfFile::parse(bytes.as_slice()).unwrap();
        let at = |into| file.function_at(TEXT + into).unwrap();
        assert_eq!(at(20), Some(("main".to_owned(), TEXT + 16, 8)));
        assert_eq!(at(39), Some(("helper".to_owned(), TEXT + 32, 8)));
        assert_eq!(at(24), None);
        let text = file.section_by_name(b".text").unwrap();
        assert_eq!(file.address_of(text.offset + 3), Some(TEXT + 3));
    }
}

#[test]
fn names_that_end_others_are_found() {
    // linkers let the name `main` start within the name `domain`
    let mut forge = Forge::new(true, false);
    forge.loaded(".text", TEXT, true, &[0x90; 64]);
    let (_, _) = forge.symbols(false, &[("domain", GLOBAL | FUNC, 1, TEXT, 1)]);
    let mut bytes = forge.build();
    let file = ElfFile::parse(bytes.as_slice()).unwrap();
    let table = file.table_of(false).unwrap();
    let second = usize::try_from(table.section.offset).unwrap() + 24;
    assert_eq!(bytes[second], 1);
    bytes[second] = 3;
    check(&bytes, "main", 0);
    assert!(find(&bytes, "domain").is_err());
}

#[test]
fn names_across_pieces_are_found() {
    // pieces of names are searched one by one, and a name may be in two
    let long = "x".repeat((128 << 10) - 7);
    for pad in 0..12 {
        let filler = format!("{long}{}", "y".repeat(pad));
        let symbols = [
            (filler.as_str(), GLOBAL | FUNC, 1, TEXT, 1),
            ("wanted", GLOBAL | FUNC, 1, TEXT + 8, 1),
        ];
        let bytes = with_symbols(Forge::new(true, false), &symbols, &[]);
        check(&bytes, "wanted", 8);
        check(&bytes, &filler, 0);
    }
}

#[test]
fn one_of_several() {
    let strong = |name, into| (name, GLOBAL | FUNC, 1, TEXT + into, 1);
    let weak = |name, into| (name, WEAK | FUNC, 1, TEXT + into, 1);
    for (symbols, into) in [
        ([weak("f", 0), strong("f", 8)], 8),
        ([strong("f", 8), weak("f", 0)], 8),
        ([weak("f", 16), weak("f", 8)], 16),
        ([strong("f", 8), strong("f", 8)], 8),
    ] {
        check(
            &with_symbols(Forge::new(true, false), &symbols, &[]),
            "f",
            into,
        );
    }
    let symbols = [strong("f", 0), ("f", LOCAL | FUNC, 1, TEXT + 8, 1)];
    let bytes = with_symbols(Forge::new(true, false), &symbols, &[]);
    let file = ElfFile::parse(bytes.as_slice()).unwrap();
    let text = file.section_by_name(b".text").unwrap().offset;
    assert_eq!(
        find(&bytes, "f").unwrap_err(),
        format!(
            "`f` names two functions: `f` at {text:#x} and `f` at {:#x}",
            text + 8
        )
    );
}

#[test]
fn the_dynamic_linkers_symbols_come_first() {
    let all = [
        ("f", GLOBAL | FUNC, 1, TEXT, 1),
        ("g", LOCAL | FUNC, 1, TEXT + 8, 1),
    ];
    let dynamic = [("f", GLOBAL | FUNC, 1, TEXT + 16, 1)];
    let bytes = with_symbols(Forge::new(true, false), &all, &dynamic);
    check(&bytes, "f", 16);
    check(&bytes, "g", 8);
    let stripped = with_symbols(Forge::new(true, false), &[], &dynamic);
    check(&stripped, "f", 16);
    assert_eq!(
        find(&stripped, "g").unwrap_err(),
        "there is no function `g`; the symbols are stripped"
    );
}

#[test]
fn indirect_functions_are_refused() {
    let symbols = [("memcpy", GLOBAL | IFUNC, 1, TEXT, 1)];
    let bytes = with_symbols(Forge::new(true, false), &symbols, &[]);
    let error = find(&bytes, "memcpy").unwrap_err();
    assert!(
        error.starts_with("`memcpy` is an indirect function"),
        "{error}"
    );
    // a function of the same name is one still
    let both = [symbols[0], ("memcpy", GLOBAL | FUNC, 1, TEXT + 8, 1)];
    check(
        &with_symbols(Forge::new(true, false), &both, &[]),
        "memcpy",
        8,
    );
}

#[test]
fn versions_choose() {
    for mut forge in all_forms() {
        forge.loaded(".text", TEXT, true, &[0x90; 64]);
        forge.symbols(
            true,
            &[
                ("api", GLOBAL | FUNC, 1, TEXT, 1),
                ("api", GLOBAL | FUNC, 1, TEXT + 8, 1),
                ("same", GLOBAL | FUNC, 1, TEXT + 16, 1),
                ("plain", GLOBAL | FUNC, 1, TEXT + 24, 1),
            ],
        );
        forge.versions(&[0x8002, 3, 3, 1], &[(2, "LIB_1.0"), (3, "LIB_2.0")]);
        let bytes = forge.build();
        check(&bytes, "api@LIB_1.0", 0);
        check(&bytes, "api@LIB_2.0", 8);
        check(&bytes, "api@@LIB_2.0", 8);
        check(&bytes, "same", 16);
        check(&bytes, "same@LIB_2.0", 16);
        check(&bytes, "plain", 24);
        assert_eq!(find(&bytes, "api@LIB_1.0").unwrap().symbol, "api@LIB_1.0");
        let error = find(&bytes, "api").unwrap_err();
        assert!(error.contains("`api@LIB_1.0` at 0x"), "{error}");
        assert!(error.contains("and `api@@LIB_2.0` at 0x"), "{error}");
        assert_eq!(
            find(&bytes, "api@LIB_3.0").unwrap_err(),
            "there is no function `api@LIB_3.0`, only api@LIB_1.0, api@@LIB_2.0"
        );
    }
}

#[test]
fn versions_in_names_choose() {
    let symbols = [
        ("api@LIB_1.0", GLOBAL | FUNC, 1, TEXT, 1),
        ("api@@LIB_2.0", GLOBAL | FUNC, 1, TEXT + 8, 1),
    ];
    let bytes = with_symbols(Forge::new(true, false), &symbols, &[]);
    check(&bytes, "api@LIB_1.0", 0);
    check(&bytes, "api@LIB_2.0", 8);
    assert!(
        find(&bytes, "api")
            .unwrap_err()
            .contains("names two functions")
    );
}

#[test]
fn patterns_give_each_place_once() {
    let symbols = [
        ("f_local", LOCAL | FUNC, 1, TEXT + 8, 4),
        ("f_global", GLOBAL | FUNC, 1, TEXT + 8, 4),
        ("f_first", GLOBAL | FUNC, 1, TEXT, 4),
        ("f_weak", WEAK | FUNC, 1, TEXT + 8, 4),
        ("g", GLOBAL | FUNC, 1, TEXT + 16, 4),
        ("f_data", GLOBAL | OBJECT, 1, TEXT + 24, 4),
    ];
    let bytes = with_symbols(Forge::new(true, true), &symbols, &[]);
    let file = ElfFile::parse(bytes.as_slice()).unwrap();
    let names = |pattern: Option<&str>| -> Vec<String> {
        let glob = pattern.map(Glob::new);
        let found = file.functions(glob.as_ref()).unwrap();
        found
            .iter()
            .map(|f| String::from_utf8_lossy(f.name).into_owned())
            .collect()
    };
    assert_eq!(names(Some("f_*")), ["f_first", "f_global"]);
    assert_eq!(names(None), ["f_first", "f_global", "g"]);
    assert_eq!(names(Some("h*")), [""; 0]);
}

#[test]
fn tables_outside_of_the_file() {
    let symbols = [("f", GLOBAL | FUNC, 1, TEXT, 1)];
    let bytes = with_symbols(Forge::new(true, false), &symbols, &[]);
    let file = ElfFile::parse(bytes.as_slice()).unwrap();
    let index = file.table_of(false).unwrap().section.index;
    let table = usize::from_le_bytes(bytes[40..48].try_into().unwrap());
    let mut damaged = bytes.clone();
    let size_at = table + index * 64 + 32;
    damaged[size_at..size_at + 8].copy_from_slice(&u64::MAX.to_le_bytes());
    let error = find(&damaged, "f").unwrap_err();
    assert!(error.starts_with("the table of symbols of "), "{error}");
    for len in 0..bytes.len() {
        drop(ElfFile::parse(&bytes[..len]).map(|file| file.functions(None).map(drop)));
    }
    assert_eq!(
        ElfFile::parse(&b"#!/bin/sh"[..]).unwrap_err().to_string(),
        "not an elf file: it starts with other bytes"
    );
}

#[test]
fn static_probes_of_every_form() {
    for mut forge in all_forms() {
        let what = format!("{forge:?}");
        forge.loaded(".text", TEXT, true, &[0x90; 64]);
        forge.loaded(".probes", 0x50_0000, false, &[0; 8]);
        forge.section(".stapsdt.base", PROGBITS, &[0]);
        forge.address(0x60_0000);
        let mut data = forge.note(b"other", 3, b"x");
        // as if the file had been moved by 0x1000 after it was linked
        data.extend(forge.probe(
            [TEXT - 0x1000 + 4, 0x5f_f000, 0x4f_f002],
            ["app", "request", "-4@%edi 8@%rax"],
        ));
        data.extend(forge.probe([TEXT + 8, 0, 0], ["app", "done", ":"]));
        data.extend(forge.probe([TEXT + 4096, 0, 0], ["app", "far", ""]));
        data.extend(forge.probe([0x50_0000, 0, 0], ["app", "data", ""]));
        forge.section(".note.stapsdt", NOTE, &data);
        let bytes = forge.build();
        let file = ElfFile::parse(bytes.as_slice()).unwrap();
        let found = usdt::probes(&file).unwrap();
        let titles: Vec<_> = found.iter().map(usdt::Probe::title).collect();
        assert_eq!(titles, ["app:request", "app:done", "app:far", "app:data"]);
        let text = file.section_by_name(b".text").unwrap().offset;
        let probes = file.section_by_name(b".probes").unwrap().offset;
        let place = found[0].place(&file).unwrap();
        assert_eq!(place.offset, text + 4, "{what}");
        assert_eq!(place.ref_ctr_offset, probes + 2, "{what}");
        assert_eq!(found[0].arguments(62).unwrap().len(), 2);
        let place = found[1].place(&file).unwrap();
        assert_eq!((place.offset, place.ref_ctr_offset), (text + 8, 0));
        assert_eq!(found[1].arguments(62).unwrap(), []);
        assert_eq!(
            found[2].place(&file).unwrap_err().to_string(),
            "address 0x402000 of static probe `app:far` is not in a segment that is loaded from the file"
        );
        assert_eq!(
            found[3].place(&file).unwrap_err().to_string(),
            "address 0x500000 of static probe `app:data` is in a segment without code"
        );
    }
}

#[test]
fn damaged_notes_say_which() {
    let mut forge = Forge::new(true, false);
    let mut data = forge.probe([1, 0, 0], ["a", "b", ""]);
    data.extend(forge.note(b"stapsdt", 3, &[0; 10]));
    forge.section(".note.stapsdt", NOTE, &data);
    let bytes = forge.build();
    let file = ElfFile::parse(bytes.as_slice()).unwrap();
    let error = usdt::probes(&file).unwrap_err();
    assert_eq!(error.to_string(), "usdt note 1: it is cut");
}

#[test]
fn build_ids_and_links_name_debug_files() {
    let mut forge = Forge::new(false, true);
    let id = forge.note(b"GNU", 3, &[0xab, 0xcd, 0xef]);
    forge.section(".note.gnu.build-id", NOTE, &id);
    let mut link = b"prog.debug\0\0".to_vec();
    link.extend(forge.number(0x1234_5678, 4));
    forge.section(".gnu_debuglink", PROGBITS, &link);
    let bytes = forge.build();
    let file = ElfFile::parse(bytes.as_slice()).unwrap();
    let id = debug_file::build_id(&file).unwrap();
    assert_eq!(id, [0xab, 0xcd, 0xef]);
    let link = debug_file::debug_link(&file).unwrap();
    assert_eq!(link.crc, 0x1234_5678);
    let found = debug_file::candidates(
        "/opt/bin/prog".as_ref(),
        Some(&id),
        Some(&link),
        "/d".as_ref(),
    );
    let found: Vec<_> = found.iter().map(|path| path.to_str().unwrap()).collect();
    assert_eq!(
        found,
        [
            "/d/.build-id/ab/cdef.debug",
            "/opt/bin/prog.debug",
            "/opt/bin/.debug/prog.debug",
            "/d/opt/bin/prog.debug",
        ]
    );
    assert_eq!(debug_file::crc(&b"123456789"[..]).unwrap(), 0xcbf4_3926);
}

#[test]
fn symbols_of_sections_that_are_not_there() {
    // debug files have the section of the dynamic linker's symbols, but not its bytes
    let mut forge = Forge::new(true, false);
    forge.section(".dynsym", 8, &[]);
    let bytes = forge.build();
    let file = ElfFile::parse(bytes.as_slice()).unwrap();
    assert!(file.section_by_kind(DYNSYM).is_none());
    assert!(file.functions(None).unwrap().is_empty());
}
