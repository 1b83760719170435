//! What the fuzz targets for programs of user space do, on random bytes and on sound files with
//! random damage.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test may fail")]

use proptest::prelude::*;

#[path = "bodies/elf_symbols.rs"]
mod elf_symbols;
#[allow(dead_code, reason = "shared with the unit tests")]
#[path = "../src/symbols/testing.rs"]
mod testing;
#[path = "bodies/usdt_notes.rs"]
mod usdt_notes;

use testing::{FUNC, Forge, GLOBAL, IFUNC, LOCAL, NOTE, PROGBITS, WEAK};

const TEXT: u64 = 0x1000;

/// A file with a bit of everything.
fn zoo(wide: bool, big: bool) -> Vec<u8> {
    let mut forge = Forge::new(wide, big);
    forge.entry = TEXT;
    forge.loaded(".text", TEXT, true, &[0x90; 64]);
    forge.loaded(".probes", 0x5000, false, &[0; 8]);
    let symbols = [
        ("main", GLOBAL | FUNC, 1, TEXT, 8),
        ("a", LOCAL | FUNC, 1, TEXT + 8, 8),
        ("a", WEAK | FUNC, 1, TEXT + 16, 0),
        ("f", GLOBAL | IFUNC, 1, TEXT + 24, 8),
    ];
    forge.symbols(false, &symbols);
    forge.symbols(true, &[("api", GLOBAL | FUNC, 1, TEXT + 32, 8), symbols[0]]);
    forge.versions(&[0x8002, 3], &[(2, "V"), (3, "W")]);
    forge.section(".stapsdt.base", PROGBITS, &[0]);
    forge.address(0x6000);
    let mut probes = forge.probe(
        [TEXT + 4, 0x6000, 0x5002],
        ["app", "x", "-4@%edi 8@-8(%rbp,%rax,4)"],
    );
    probes.extend(forge.probe([TEXT + 8, 0, 0], ["app", "y", "4@[sp, 8]"]));
    forge.section(".note.stapsdt", NOTE, &probes);
    let id = forge.note(b"GNU", 3, &[1, 2, 3, 4]);
    forge.section(".note.gnu.build-id", NOTE, &id);
    let mut link = b"a.debug\0".to_vec();
    link.extend(forge.number(7, 4));
    forge.section(".gnu_debuglink", PROGBITS, &link);
    let mut go = forge.number(0xffff_fff1, 4);
    go.extend([0, 0, 1, if wide { 8 } else { 4 }]);
    let header = (8 + 8 * if wide { 8 } else { 4 }) as u64;
    for word in [1, 0, TEXT, header, 0, 0, 0, header + 8] {
        go.extend(forge.word(word));
    }
    go.extend(b"main.a\0\0");
    for number in [0, 12, 8, 0, 0] {
        go.extend(forge.number(number, 4));
    }
    forge.section(".gopclntab", PROGBITS, &go);
    lines(&mut forge);
    forge.build()
}

/// The least that debug information can be: a unit with a name and one row for line 1 of `a.c`.
fn lines(forge: &mut Forge) {
    let abbrev = [1, 0x11, 0, 0x03, 0x08, 0x10, 0x17, 0, 0, 0];
    forge.section(".debug_abbrev", PROGBITS, &abbrev);
    let size = if forge.wide { 8 } else { 4 };
    let mut unit = forge.number(4, 2);
    unit.extend(forge.number(0, 4));
    unit.push(size);
    unit.push(1);
    unit.extend(b"a.c\0");
    unit.extend(forge.number(0, 4));
    let mut info = forge.number(unit.len() as u64, 4);
    info.extend(unit);
    forge.section(".debug_info", PROGBITS, &info);
    let mut header = vec![1, 1, 1, 0xfb, 14, 13];
    header.extend([0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1]);
    header.extend(b"\0a.c\0\0\0\0\0");
    let mut program = vec![0, 1 + size, 2];
    program.extend(forge.word(TEXT));
    program.extend([1, 2, 8, 0, 1, 1]);
    let mut body = forge.number(4, 2);
    body.extend(forge.number(header.len() as u64, 4));
    body.extend(header);
    body.extend(program);
    let mut line = forge.number(body.len() as u64, 4);
    line.extend(body);
    forge.section(".debug_line", PROGBITS, &line);
}

/// A file, then a few words overwritten.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        any::<u32>(),
        0u32..64,
        (0u32..16).prop_map(|n| n * 8),
        Just(u32::MAX),
        Just(1 << 31),
    ];
    let damage = prop::collection::vec((any::<prop::sample::Index>(), word), 0..8);
    (any::<bool>(), any::<bool>(), damage).prop_map(|(wide, big, damage)| {
        let mut bytes = zoo(wide, big);
        for (at, word) in damage {
            let at = at.index(bytes.len() / 4) * 4;
            let new = match big {
                true => word.to_be_bytes(),
                false => word.to_le_bytes(),
            };
            if let Some(place) = bytes.get_mut(at..at + 4) {
                place.copy_from_slice(&new);
            }
        }
        bytes
    })
}

fn run(bytes: &[u8]) {
    elf_symbols::run(bytes);
    usdt_notes::run(bytes);
}

#[test]
fn the_undamaged_file_has_everything() {
    use loader::symbols::{ElfFile, Lines, Query, debug_file, go, usdt};

    for (wide, big) in [(false, false), (false, true), (true, false), (true, true)] {
        let bytes = zoo(wide, big);
        run(&bytes);
        let file = ElfFile::parse(bytes.as_slice()).unwrap();
        let find = |name: &str| file.function(&Query::parse(name).unwrap());
        assert_eq!(find("api@V").unwrap().address, TEXT + 32);
        assert_eq!(find("a").unwrap().address, TEXT + 8);
        assert_eq!(usdt::probes(&file).unwrap().len(), 2);
        assert_eq!(debug_file::build_id(&file).unwrap(), [1, 2, 3, 4]);
        assert_eq!(debug_file::debug_link(&file).unwrap().crc, 7);
        assert!(go::GoTable::read(&file).unwrap().is_some());
        let lines = Lines::read(&file).unwrap();
        let places = lines.places("a.c", 1).unwrap();
        let addresses: Vec<_> = places.iter().map(|place| place.address).collect();
        assert_eq!(addresses, [TEXT]);
        let line = lines.line_of(TEXT + 1).unwrap();
        assert_eq!(
            line.map(|place| (place.address, place.line)),
            Some((TEXT, 1))
        );
        let error = lines.places("a.c", 7).unwrap_err().to_string();
        assert_eq!(error, "line 7 of `a.c` has no code");
        let error = lines.places("b.c", 1).unwrap_err().to_string();
        assert_eq!(error, "no source file `b.c` in the line information");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn read_when_bytes_are_random(data in prop::collection::vec(any::<u8>(), 0..400)) {
        run(&data);
    }

    #[test]
    fn read_when_file_is_damaged(data in damaged()) {
        run(&data);
    }

    #[test]
    fn read_when_file_is_cut(wide in any::<bool>(), at in any::<prop::sample::Index>()) {
        let bytes = zoo(wide, false);
        run(bytes.get(..at.index(bytes.len())).unwrap_or_default());
    }

    #[test]
    fn arguments_are_read_when_they_are_words(
        words in "( ?-?[1248]@[-$%(),a-z0-9\\[\\]#]{0,12}){0,14}"
    ) {
        usdt_notes::run(words.as_bytes());
    }
}
