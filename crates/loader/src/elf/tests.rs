#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test may fail"
)]

use super::*;
use crate::testing::{EXEC, EXIT, File, GLOBAL, NOBITS, OBJECT, PROGBITS};
use btf::Endian;

fn sample(endian: Endian) -> File {
    let mut file = File::new(endian);
    let code = file.code("tc", &[EXIT, EXIT]);
    let data = file.section(".data", PROGBITS, 3, &[1, 2, 3, 4]);
    file.zeros(".bss", 1 << 40);
    file.func("run", code, 0, 2);
    let counter = file.symbol("counter", data, (0, 4), GLOBAL | OBJECT);
    file.relocs(code, &[(8, counter)]);
    file
}

#[test]
fn both_orders_read_the_same() {
    for endian in [Endian::Little, Endian::Big] {
        let bytes = sample(endian).build();
        let elf = Elf::parse(&bytes).unwrap();
        assert_eq!(elf.endian(), endian);
        let names: Vec<_> = elf.sections().iter().map(Section::text).collect();
        let expected = ["", "tc", ".data", ".bss", ".reltc", ".symtab", ".strtab"];
        assert_eq!(names, expected);
        let code = elf.section(1).unwrap();
        assert!(code.is_code() && code.flags == EXEC);
        assert_eq!(code.data().unwrap().len(), 16);
        let zeros = elf.section_by_name(b".bss").unwrap();
        assert_eq!((zeros.kind, zeros.size), (NOBITS, 1 << 40));
        assert_eq!(zeros.data().unwrap(), []);
        assert_eq!(elf.symbols().len(), 3);
        let run = elf.symbol(1).unwrap();
        assert_eq!(run.name, Some(&b"run"[..]));
        assert_eq!((run.kind, run.binding), (SymbolKind::Func, Binding::Global));
        assert_eq!((run.section, run.value, run.size), (1, 0, 16));
        let relocs: Vec<_> = elf.relocs(elf.section(4).unwrap()).unwrap().collect();
        let expected = Reloc {
            offset: 8,
            symbol: 2,
            kind: 1,
            addend: None,
        };
        assert_eq!(relocs, [expected]);
        assert!(elf.relocs(code).unwrap().next().is_none());
        assert!(elf.section(0).is_none() && elf.section(99).is_none());
    }
}

/// Changes bytes of a sound file, and tells what is wrong with it then.
fn broken(change: impl FnOnce(&mut Vec<u8>)) -> ElfError {
    let mut bytes = sample(Endian::Little).build();
    change(&mut bytes);
    Elf::parse(&bytes).unwrap_err()
}

#[test]
fn headers_that_are_none() {
    assert_eq!(
        broken(Vec::clear),
        ElfError::Truncated { need: 64, have: 0 }
    );
    assert_eq!(
        broken(|bytes| bytes.truncate(24)),
        ElfError::Truncated { need: 64, have: 24 }
    );
    assert!(matches!(broken(|b| b[1] = b'X'), ElfError::Magic { .. }));
    assert!(matches!(
        Elf::parse(b"#!/bin/sh").unwrap_err(),
        ElfError::Magic { .. }
    ));
    assert_eq!(broken(|bytes| bytes[4] = 1), ElfError::Class { found: 1 });
    assert_eq!(broken(|b| b[5] = 3), ElfError::ByteOrder { found: 3 });
    assert_eq!(broken(|bytes| bytes[16] = 2), ElfError::Type { found: 2 });
    assert_eq!(broken(|b| b[18] = 62), ElfError::Machine { found: 62 });
}

#[test]
fn a_machine_may_be_left_out() {
    let mut file = sample(Endian::Little);
    file.machine = 0;
    Elf::parse(&file.build()).unwrap();
}

#[test]
fn tables_of_sections_that_are_not_there() {
    let table = |change: fn(&mut Vec<u8>)| {
        assert!(matches!(broken(change), ElfError::SectionTable { .. }));
    };
    table(|bytes| bytes[0x28..0x30].fill(0));
    table(|bytes| bytes[0x28..0x30].fill(0xff));
    table(|bytes| bytes[0x3a] = 0); // entries of no size
    table(|bytes| bytes[0x3a] = 63);
    table(|bytes| bytes[0x3c] = 200); // more sections than bytes
    // the number is in the first section, and too large
    table(|bytes| {
        let at = usize::from(u16::from_le_bytes([bytes[0x28], bytes[0x29]]));
        bytes[0x3c] = 0;
        bytes[at + 0x20..at + 0x28].fill(0xff);
    });
    assert!(matches!(
        broken(|bytes| bytes[0x3e] = 0),
        ElfError::SectionNames { index: 0 }
    ));
    assert!(matches!(
        broken(|bytes| bytes[0x3e] = 1),
        ElfError::SectionNames { index: 1 }
    ));
    assert!(matches!(
        broken(|bytes| bytes[0x3e] = 99),
        ElfError::SectionNames { index: 99 }
    ));
}

#[test]
fn numbers_in_the_first_section() {
    let mut bytes = sample(Endian::Little).build();
    let at = usize::from(u16::from_le_bytes([bytes[0x28], bytes[0x29]]));
    let (count, names) = (bytes[0x3c], bytes[0x3e]);
    bytes[0x3c] = 0;
    bytes[0x3e..0x40].fill(0xff);
    bytes[at + 0x20] = count;
    bytes[at + 0x28] = names;
    assert_eq!(Elf::parse(&bytes).unwrap().sections().len(), 7);
}

#[test]
fn symbols_that_are_not_there() {
    let mut file = sample(Endian::Little);
    file.symbol_table = false;
    assert_eq!(Elf::parse(&file.build()).unwrap_err(), ElfError::NoSymbols);

    let mut file = sample(Endian::Little);
    file.section(".symtab", 2, 0, &[0; 24]);
    assert_eq!(
        Elf::parse(&file.build()).unwrap_err(),
        ElfError::TwoSymbolTables {
            first: 5,
            second: 6
        }
    );

    // names behind the strings
    let mut file = sample(Endian::Little);
    file.name_shift = 1 << 20;
    let bytes = file.build();
    let elf = Elf::parse(&bytes).unwrap();
    assert_eq!(elf.symbol(1).unwrap().name, None);
    assert_eq!(elf.symbol(1).unwrap().text(), "?");
}

#[test]
fn entries_of_another_size() {
    let header = |bytes: &[u8], section: usize| {
        usize::from(u16::from_le_bytes([bytes[0x28], bytes[0x29]])) + section * 64
    };
    assert_eq!(
        broken(|bytes| {
            let at = header(bytes, 5);
            bytes[at + 0x38] = 0;
        }),
        ElfError::SymbolSize { index: 5, found: 0 }
    );
    assert_eq!(
        broken(|bytes| {
            let at = header(bytes, 5);
            bytes[at + 0x28] = 3;
        }),
        ElfError::SymbolNames {
            index: 5,
            strings: 3
        }
    );
    let mut file = sample(Endian::Little);
    file.sections[3].entry_size = 0;
    let bytes = file.build();
    let elf = Elf::parse(&bytes).unwrap();
    assert!(matches!(
        elf.relocs(elf.section(4).unwrap()),
        Err(ElfError::RelocationSize {
            found: 0,
            expected: 16,
            ..
        })
    ));
}

#[test]
fn sections_matter_when_they_are_read() {
    let mut file = sample(Endian::Little);
    file.section(".debug_info", PROGBITS, 0, b"");
    file.sections.last_mut().unwrap().size = Some(u64::MAX);
    file.section(".zipped", PROGBITS, consts::SHF_COMPRESSED, b"zip");
    let bytes = file.build();
    let elf = Elf::parse(&bytes).unwrap();
    let error = elf.section(5).unwrap().data().unwrap_err();
    assert!(
        error
            .to_string()
            .contains("section 5 '.debug_info' of 18446744073709551615 bytes")
    );
    assert!(matches!(
        elf.section(6).unwrap().data(),
        Err(ElfError::Compressed { index: 6, .. })
    ));
}

#[test]
fn names_end() {
    let strings = b"\0abc\0def";
    assert_eq!(name(strings, 0), Some(&b""[..]));
    assert_eq!(name(strings, 1), Some(&b"abc"[..]));
    assert_eq!(name(strings, 2), Some(&b"bc"[..]));
    assert_eq!(name(strings, 5), None);
    assert_eq!(name(strings, 100), None);
    assert_eq!(name(&[b'a'; MAX_NAME + 1], 0), None);
}
