//! Objects that none should make: each is refused, with what is wrong and where.

use btf::Endian;
use btf::build::{Builder, SecVar};
use btf::ext::{ExtBuilder, FuncInfo, LineInfo};

use super::{by_section, refused, variable};
use crate::link_objects::Linker;
use crate::link_objects::testing::{
    DATA, Elf, FIRST, FUNC, GLOBAL, LOCAL, NOTYPE, OBJECT, Part, SECTION,
};

#[test]
fn objects_of_other_sorts_are_refused() {
    let sound = by_section(Endian::Little);
    let mut elf = sound.clone();
    elf.kind = 2;
    let why = "2.o: e_type of the elf header is 2 instead of 1";
    assert_eq!(refused(&[&sound, &elf]), why);
    elf = sound.clone();
    elf.machine = 62;
    let why = "2.o: e_machine of the elf header is 62 instead of 247";
    assert_eq!(refused(&[&sound, &elf]), why);
    let why = "2.o: the object is big-endian and '1.o' is little-endian";
    assert_eq!(refused(&[&sound, &by_section(Endian::Big)]), why);
    assert_eq!(refused(&[]), "there is no object to link");
}

#[test]
fn sections_that_are_not_sound_are_refused() {
    let check = |change: &dyn Fn(&mut Elf), why: &str| {
        let mut elf = by_section(Endian::Big);
        change(&mut elf);
        assert_eq!(refused(&[&elf]), format!("1.o: {why}"));
    };
    // by number: 3 code, 4 .data, 5 .relcode
    check(
        &|elf| elf.parts[3].align = 3,
        "section 4 ('.data') has alignment 3, which is not a power of two",
    );
    check(
        &|elf| elf.parts[3].align = 1 << 17,
        "section 4 ('.data') has alignment 131072, which is above 65536",
    );
    check(&|elf| elf.parts[3].name = "", "section 4 ('') has no name");
    check(
        &|elf| elf.parts[3].kind = 7,
        "section 4 ('.data') has type 0x7, which bpf objects do not have",
    );
    check(
        &|elf| elf.parts[2].size = 28,
        "section 3 ('code') has code of 28 bytes, which is not a multiple of 8",
    );
    check(
        &|elf| elf.parts[1].entsize = 16,
        "section 2 ('.symtab') has entries of 16 bytes instead of 24",
    );
    check(
        &|elf| elf.parts[1].size -= 1,
        "section 2 ('.symtab') of 71 bytes is not a multiple of its entries of 24 bytes",
    );
    check(
        &|elf| elf.parts[1].link = 4,
        "section 2 ('.symtab') has its names in section 4, which is no string table",
    );
    check(&|elf| elf.parts[1].kind = 3, "there is no symbol table");
    check(
        &|elf| elf.parts[4].entsize = 24,
        "section 5 ('.relcode') has entries of 24 bytes instead of 16",
    );
    check(
        &|elf| elf.parts[4].link = 1,
        "section 5 ('.relcode') has its symbols in section 1, the symbol table is 2",
    );
    check(
        &|elf| elf.parts[4].info = 9,
        "section 5 ('.relcode') relocates section 9, which is not there",
    );
    check(
        &|elf| elf.parts[4].info = 4,
        "section 5 ('.relcode') is not named after the section that it relocates, 4",
    );
    check(
        &|elf| {
            elf.parts[4].info = 1;
            elf.parts[4].name = ".rel.strtab";
        },
        "section 5 ('.rel.strtab') relocates section 1, which is neither code nor data",
    );
    check(
        &|elf| {
            let second = elf.parts[1].clone();
            elf.part(second);
        },
        "section 6 ('.symtab') is a second symbol table",
    );
    check(
        &|elf| {
            elf.section(
                ".BTF.ext",
                0,
                4,
                &ExtBuilder::new(Endian::Big).finish().unwrap(),
            );
        },
        "there is a section .BTF.ext and no .BTF",
    );
    check(
        &|elf| {
            elf.section(".BTF", 0, 4, b"none");
        },
        "cannot read section .BTF: btf header needs 24 bytes at offset 0, 4 are there",
    );
    check(
        &|elf| {
            let types = Builder::new(Endian::Big).finish().unwrap();
            elf.section(".BTF", 0, 4, &types);
            elf.section(".BTF.ext", 0, 4, b"none");
        },
        "cannot read section .BTF.ext: .BTF.ext header needs 8 bytes at offset 0, 4 are there",
    );
}

#[test]
fn symbols_that_are_not_sound_are_refused() {
    let check = |kind, binding, section, value, why: &str| {
        let mut elf = by_section(Endian::Little);
        elf.symbol("s", kind, binding, section, value, 0);
        assert_eq!(refused(&[&elf]), format!("1.o: symbol 3 ('s') {why}"));
    };
    check(FUNC, 3, FIRST, 0, "has binding 3");
    check(
        FUNC,
        GLOBAL,
        0,
        0,
        "is undefined and not a plain external name",
    );
    check(
        NOTYPE,
        LOCAL,
        0,
        0,
        "is undefined and not a plain external name",
    );
    check(FUNC, GLOBAL, 77, 0, "is in section 77, which is not there");
    check(
        OBJECT,
        GLOBAL,
        0xfff2,
        0,
        "is global and in reserved section 0xfff2",
    );
    check(
        SECTION,
        LOCAL,
        FIRST,
        8,
        "stands for a section and has value 0x8",
    );
    let mut elf = by_section(Endian::Little);
    elf.parts[1].data[5] = 1;
    let why = "1.o: symbol 0 ('') is the first and not empty";
    assert_eq!(refused(&[&elf]), why);
    elf = by_section(Endian::Little);
    elf.symbol("s", FUNC, GLOBAL, FIRST, 0, 0);
    *elf.parts[1].data.get_mut(3 * 24 + 5).unwrap() = 3;
    assert_eq!(refused(&[&elf]), "1.o: symbol 3 ('s') has visibility 3");
    elf = by_section(Endian::Little);
    elf.symbol("s", FUNC, GLOBAL, FIRST, u64::MAX, 0);
    let why = "2.o: symbol 3 ('s') has value 0xffffffffffffffff, which overflows when its section is moved";
    assert_eq!(refused(&[&by_section(Endian::Little), &elf]), why);
}

#[test]
fn relocations_that_are_not_sound_are_refused() {
    let check = |reloc, why: &str| {
        let mut elf = by_section(Endian::Little);
        elf.parts.pop();
        elf.relocs(".relcode", FIRST, &[reloc]);
        let head = format!(
            "1.o: relocation 0 of section 3 ('code') at offset {:#x}",
            reloc.0
        );
        assert_eq!(refused(&[&elf]), format!("{head} {why}"));
    };
    check((0, 1, 4), "has type 4, which is not one of 1, 2, 3 and 10");
    check((0, 0, 1), "is against symbol 0, which is not there");
    check((0, 3, 1), "is against symbol 3, which is not there");
    check((4, 1, 1), "is not at an instruction");
    check((32, 1, 10), "is outside the section of 32 bytes");
    check((u64::MAX - 7, 1, 10), "is outside the section of 32 bytes");

    let mut elf = by_section(Endian::Little);
    let bss = elf.zeros(".bss", 8, 8);
    elf.relocs(".rel.bss", bss, &[(0, 1, 2)]);
    let why = "1.o: relocation 0 of section 6 ('.bss') at offset 0x0 has no bytes to change";
    assert_eq!(refused(&[&elf]), why);

    let mut elf = by_section(Endian::Little);
    let debug = elf.section(".debug_str", 0, 1, &[0; 8]);
    let symbol = elf.symbol("", SECTION, LOCAL, debug, 0, 0);
    elf.parts[4].data.clear();
    elf.parts[4].size = 0;
    elf.relocs(".rel.data", FIRST + 1, &[(0, symbol, 2)]);
    let why = "1.o: relocation 0 of section 4 ('.data') at offset 0x0 is against symbol 3, whose section is not linked";
    assert_eq!(refused(&[&elf]), why);
}

#[test]
fn sections_of_one_name_that_differ_are_refused() {
    let sound = by_section(Endian::Little);
    let check = |change: &dyn Fn(&mut Part), why: &str| {
        let mut elf = sound.clone();
        change(&mut elf.parts[3]);
        let refused = refused(&[&sound, &elf]);
        assert_eq!(refused, format!("2.o: section 4 ('.data') {why} in '1.o'"));
    };
    check(&|part| part.kind = 8, "has type 0x8, and 0x1");
    check(&|part| part.flags = 2, "has flags 0x2, and 0x3");
    check(&|part| part.entsize = 4, "has entry size 0x4, and 0x0");
    let mut elf = Elf::new(Endian::Little);
    elf.zeros(".bss", 8, u64::from(u32::MAX));
    let why = "2.o: section 3 ('.bss') would have 4 gib or more";
    assert_eq!(refused(&[&elf, &elf]), why);
}

#[test]
fn small_sections_do_not_come_to_large_files() {
    let mut elf = Elf::new(Endian::Little);
    for _ in 0..1000 {
        elf.section(".data", DATA, 65536, b"x");
    }
    let why = "1.o: the linked object would have more padding than its sections can need";
    assert_eq!(refused(&[&elf]), why);
}

#[test]
fn types_that_are_not_sound_are_refused() {
    let with = |types: Builder<'_>| {
        let mut elf = by_section(Endian::Little);
        elf.section(".BTF", 0, 4, &types.finish().unwrap());
        elf
    };
    let mut types = Builder::new(Endian::Little);
    types.add_ptr(9u32);
    let why = "1.o: type 1 of section .BTF refers to type 9, which cannot be referred to";
    assert_eq!(refused(&[&with(types)]), why);

    let mut types = Builder::new(Endian::Little);
    let int = types.add_int(b"int", 4, 1);
    let var = types.add_var(b"x", 1, int);
    let line = SecVar {
        type_id: var,
        offset: 0,
        size: 4,
    };
    let section = types.add_datasec(b".data", 0, &[line]);
    let elf = with(types.clone());
    let why = "1.o: variable 'x' of section '.data' in .BTF has no symbol";
    assert_eq!(refused(&[&elf]), why);
    types.add_ptr(section);
    let why = "1.o: type 4 of section .BTF refers to type 3, which cannot be referred to";
    assert_eq!(refused(&[&with(types)]), why);

    let mut types = Builder::new(Endian::Little);
    let int = types.add_int(b"int", 4, 1);
    types.add_var(b"s", 1, int);
    types.add_var(b"s", 1, int);
    let mut elf = with(types);
    elf.symbol("s", OBJECT, GLOBAL, FIRST + 1, 0, 4);
    let why = "1.o: symbol 3 ('s') has types 2 and 3 in section .BTF";
    assert_eq!(refused(&[&elf]), why);
}

#[test]
fn variables_out_of_reach_of_types_are_refused() {
    let mut elf = by_section(Endian::Little);
    let mut types = Builder::new(Endian::Little);
    let int = types.add_int(b"int", 4, 1);
    let var = types.add_var(b"far", 1, int);
    let line = SecVar {
        type_id: var,
        offset: 0,
        size: 4,
    };
    types.add_datasec(b".data", 0, &[line]);
    elf.section(".BTF", 0, 4, &types.finish().unwrap());
    elf.symbol("far", OBJECT, GLOBAL, FIRST + 1, 1 << 32, 4);
    let why = "1.o: symbol 3 ('far') is 4 gib or more from the start of its section";
    assert_eq!(refused(&[&elf]), why);
}

#[test]
fn records_that_are_not_sound_are_refused() {
    let check = |section: &str, fill: &dyn Fn(&mut ExtBuilder, u32), why: &str| {
        let mut elf = by_section(Endian::Little);
        let mut types = Builder::new(Endian::Little);
        types.add_int(b"int", 4, 1);
        let name = types.string(section.as_bytes()).0;
        elf.section(".BTF", 0, 4, &types.finish().unwrap());
        let mut ext = ExtBuilder::new(Endian::Little);
        fill(&mut ext, name);
        elf.section(".BTF.ext", 0, 4, &ext.finish().unwrap());
        assert_eq!(refused(&[&elf]), format!("1.o: {why}"));
    };
    let start = |type_id: u32| FuncInfo {
        insn_off: 8,
        type_id: type_id.into(),
    };
    check(
        "nowhere",
        &|ext, name| drop(ext.func_info(name, [start(1)]).clone()),
        "func_info table of .BTF.ext is about section 'nowhere', which is not there",
    );
    check(
        "code",
        &|ext, name| drop(ext.func_info(name, [start(7)]).clone()),
        "func_info record of .BTF.ext for section 'code' at offset 0x8 has a type that is not in section .BTF",
    );
    let line = LineInfo {
        insn_off: 16,
        line_off: 999,
        ..LineInfo::default()
    };
    check(
        "code",
        &|ext, name| drop(ext.line_info(name, [line]).clone()),
        "line_info record of .BTF.ext for section 'code' at offset 0x10 has a string that is not in section .BTF",
    );
}

#[test]
fn bytes_that_end_early_are_refused_at_every_length() {
    let whole = variable("x", GLOBAL, Some(1), ".data", 4).build();
    for len in 0..whole.len() {
        let mut linker = Linker::new();
        let added = linker.add("cut.o", &whole[..len]);
        assert!(added.is_err(), "{len} bytes");
        assert!(linker.finish().is_err(), "nothing was added");
    }
}
