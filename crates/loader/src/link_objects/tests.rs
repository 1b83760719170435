//! Objects that no compiler at hand makes, and those that none should.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use btf::Endian;
use btf::build::{Builder, Member, SecVar};
use btf::ext::{ExtBuilder, FuncInfo, LineInfo};

use super::input::{Input, Place};
use super::testing::{
    CODE, DATA, Elf, FIRST, FUNC, GLOBAL, LOCAL, NOTYPE, OBJECT, Part, SECTION, WEAK,
};
use super::*;

const ORDERS: [Endian; 2] = [Endian::Little, Endian::Big];

fn link(objects: &[&Elf]) -> Result<Vec<u8>, LinkError> {
    let bytes: Vec<_> = objects.iter().map(|elf| elf.build()).collect();
    let mut linker = Linker::new();
    for (number, bytes) in bytes.iter().enumerate() {
        linker.add(&format!("{}.o", number + 1), bytes)?;
    }
    linker.finish()
}

/// Links, and reads the result with the linker's own reader.
fn linked<T>(objects: &[&Elf], look: impl FnOnce(&Input<'_>) -> T) -> T {
    let bytes = link(objects).unwrap_or_else(|error| panic!("{error}"));
    look(&Input::parse("linked", &bytes).unwrap())
}

fn refused(objects: &[&Elf]) -> String {
    let error = link(objects).expect_err("they cannot be linked");
    match core::error::Error::source(&error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

fn data<'i>(input: &'i Input<'_>, section: &str) -> &'i [u8] {
    let index = input.section_by_name(section.as_bytes()).unwrap();
    input.sections[index].data
}

fn value(input: &Input<'_>, symbol: &str) -> u64 {
    let mut named = input.symbols.iter().filter(|s| s.name == symbol.as_bytes());
    let value = named.next_back().unwrap().value;
    assert!(named.next().is_none(), "{symbol} is there twice");
    value
}

/// An instruction in the object's order.
fn insn(elf: &Elf, code: u8, imm: u32) -> Vec<u8> {
    [&[code, 0, 0, 0][..], &elf.u32(imm)].concat()
}

const CALL: u8 = 0x85;
const LOAD: u8 = 0x18;
const EXIT: u8 = 0x95;

/// Code that calls a static function by its section, and loads a static variable so.
fn by_section(endian: Endian) -> Elf {
    let mut elf = Elf::new(endian);
    let code = [
        insn(&elf, CALL, 1),
        insn(&elf, LOAD, 4),
        insn(&elf, 0, 0),
        insn(&elf, EXIT, 0),
    ]
    .concat();
    let text = elf.section("code", CODE, 8, &code);
    let variables = elf.section(".data", DATA, 4, &[1, 2, 3, 4, 5, 6, 7, 8]);
    let of_text = elf.symbol("", SECTION, LOCAL, text, 0, 0);
    let of_data = elf.symbol("", SECTION, LOCAL, variables, 0, 0);
    elf.relocs(".relcode", text, &[(0, of_text, 10), (8, of_data, 1)]);
    elf
}

#[test]
fn what_is_relative_to_a_section_moves_with_it() {
    for endian in ORDERS {
        let elf = by_section(endian);
        linked(&[&elf, &elf], |all| {
            let code = data(all, "code");
            assert_eq!(code.len(), 64);
            assert_eq!(code[..8], insn(&elf, CALL, 1));
            assert_eq!(code[8..16], insn(&elf, LOAD, 4));
            assert_eq!(code[32..40], insn(&elf, CALL, 1 + 4));
            assert_eq!(code[40..48], insn(&elf, LOAD, 4 + 8));
            assert_eq!(data(all, ".data").len(), 16);
            let relocs = &all.relocs[0].relocs;
            let places: Vec<_> = relocs
                .iter()
                .map(|r| (r.offset, r.symbol, r.kind))
                .collect();
            // one symbol for each section
            assert_eq!(places, [(0, 1, 10), (8, 2, 1), (32, 1, 10), (40, 2, 1)]);
        });
    }
}

#[test]
fn data_that_is_relative_to_a_section_moves_with_it() {
    for endian in ORDERS {
        let mut elf = Elf::new(endian);
        let words = [&elf.u64(8)[..], &elf.u32(16), &[0; 4]].concat();
        let table = elf.section(".data.table", DATA, 8, &words);
        let code = elf.section("code", CODE, 8, &insn(&elf, EXIT, 0).repeat(3));
        let of_code = elf.symbol("", SECTION, LOCAL, code, 0, 0);
        elf.relocs(
            ".rel.data.table",
            table,
            &[(0, of_code, 2), (8, of_code, 3)],
        );
        linked(&[&elf, &elf], |all| {
            let words = data(all, ".data.table");
            assert_eq!(words[..8], elf.u64(8));
            assert_eq!(words[8..12], elf.u32(16));
            assert_eq!(words[16..24], elf.u64(8 + 24));
            assert_eq!(words[24..28], elf.u32(16 + 24));
        });
    }
}

/// Code with a jump table of its own, with offsets in its section.
fn with_table(endian: Endian) -> Elf {
    let mut elf = Elf::new(endian);
    let code = [
        insn(&elf, LOAD, 0),
        insn(&elf, 0, 0),
        insn(&elf, EXIT, 0),
        insn(&elf, EXIT, 0),
    ]
    .concat();
    let code = elf.section("code", CODE, 8, &code);
    let words = [elf.u64(16), elf.u64(24)].concat();
    let tables = elf.section(".jumptables", 0, 1, &words);
    let table = elf.symbol("BPF.JT.0.0", NOTYPE, GLOBAL, tables, 0, 16);
    elf.relocs(".relcode", code, &[(0, table, 1)]);
    elf
}

#[test]
fn jump_tables_lead_to_the_code_where_it_is_now() {
    for endian in ORDERS {
        let elf = with_table(endian);
        linked(&[&elf, &elf], |all| {
            let words = [16, 24, 16 + 32, 24 + 32].map(|offset| elf.u64(offset));
            assert_eq!(data(all, ".jumptables"), words.concat());
            // both are there, as they may have one name
            let tables = all.symbols.iter().filter(|s| s.name == b"BPF.JT.0.0");
            let places: Vec<_> = tables.map(|s| (s.value, s.size)).collect();
            assert_eq!(places, [(0, 16), (16, 16)]);
        });
    }
}

#[test]
fn jump_tables_whose_code_cannot_be_told_are_refused() {
    let first = with_table(Endian::Little);
    let head = "2.o: relocation 0 of section 3 ('code') at offset 0x0 is against a jump table";
    let mut elf = Elf::new(Endian::Little);
    let code = elf.section("code", CODE, 8, &[0; 16]);
    let tables = elf.section(".jumptables", 0, 1, &[0; 16]);
    let of_tables = elf.symbol("", SECTION, LOCAL, tables, 0, 0);
    elf.relocs(".relcode", code, &[(0, of_tables, 1)]);
    let why = format!("{head} without a symbol that tells its size");
    assert_eq!(refused(&[&first, &elf]), why);
    // where the code is not moved nothing has to be known
    linked(&[&elf], |all| assert_eq!(data(all, ".jumptables"), [0; 16]));

    let mut elf = Elf::new(Endian::Little);
    let code = elf.section("code", CODE, 8, &[0; 16]);
    let other = elf.section("other", CODE, 8, &[0; 16]);
    let tables = elf.section(".jumptables", 0, 1, &[0; 24]);
    let table = elf.symbol("table", NOTYPE, LOCAL, tables, 0, 16);
    let part = elf.symbol("part", NOTYPE, LOCAL, tables, 8, 16);
    let past = elf.symbol("past", NOTYPE, LOCAL, tables, 16, 16);
    let check = |relocs: &[(u64, u32, u32)], others: &[(u64, u32, u32)], why: &str| {
        let mut elf = elf.clone();
        elf.relocs(".relother", other, others);
        elf.relocs(".relcode", code, relocs);
        assert_eq!(refused(&[&first, &elf]), why);
    };
    check(
        &[(0, table, 1)],
        &[(0, table, 1)],
        &format!("{head} that code of another section uses too"),
    );
    let shape =
        "that is not inside its section, overlaps another, or is no array of 64-bit offsets";
    check(&[(0, past, 1)], &[], &format!("{head} {shape}"));
    check(
        &[(8, table, 1), (0, part, 1)],
        &[],
        &format!("{} {shape}", head.replace("relocation 0", "relocation 1")),
    );
}

#[test]
fn sections_are_aligned_and_padded_with_zeros() {
    let mut one = Elf::new(Endian::Little);
    one.section(".data", DATA, 1, b"abc");
    one.zeros(".bss", 1, 3);
    let mut other = Elf::new(Endian::Little);
    other.section(".data", DATA, 16, b"defg");
    other.zeros(".bss", 8, 4);
    linked(&[&one, &other, &one], |all| {
        let expected = b"abc\0\0\0\0\0\0\0\0\0\0\0\0\0defg\0\0\0\0\0\0\0\0\0\0\0\0abc";
        assert_eq!(data(all, ".data"), expected);
        let bss = all.section_by_name(b".bss").unwrap();
        assert_eq!((all.sections[bss].size, all.sections[bss].align), (19, 8));
    });
}

#[test]
fn local_symbols_come_first() {
    let mut elf = Elf::new(Endian::Big);
    let code = elf.section("code", CODE, 8, &[0; 16]);
    elf.symbol("global", FUNC, GLOBAL, code, 0, 8);
    elf.symbol("local", FUNC, LOCAL, code, 8, 8);
    elf.symbol("file.c", 4, LOCAL, 0xfff1, 0, 0);
    linked(&[&elf], |all| {
        let names: Vec<_> = all.symbols.iter().map(|s| s.name).collect();
        assert_eq!(names, [&b""[..], b"local", b"file.c", b"global"]);
        assert_eq!(all.symbols[2].place, Place::Reserved(0xfff1));
    });
}

/// An object with a variable of a type, defined or not, in a section or not.
fn variable(name: &str, binding: u8, value: Option<u8>, section: &'static str, count: u32) -> Elf {
    let mut elf = Elf::new(Endian::Little);
    let mut types = Builder::new(Endian::Little);
    let byte = types.add_int(b"char", 1, 0);
    let array = types.add_array(byte, byte, count);
    let var = types.add_var(name.as_bytes(), if value.is_some() { 1 } else { 2 }, array);
    types.add_datasec(
        section.as_bytes(),
        0,
        &[SecVar {
            type_id: var,
            offset: 0,
            size: count,
        }],
    );
    match value {
        Some(value) => {
            let len = usize::try_from(count).unwrap();
            let at = elf.section(section, DATA, 1, &vec![value; len]);
            elf.symbol(name, OBJECT, binding, at, 0, count.into());
        }
        None => {
            elf.symbol(name, NOTYPE, binding, 0, 0, 0);
        }
    }
    elf.section(".BTF", 0, 4, &types.finish().unwrap());
    elf
}

/// Lines of a section in the result's types: name, offset, size.
fn lines(all: &Input<'_>, section: &str) -> Vec<(String, u32, u32)> {
    let btf = all.btf.as_ref().unwrap();
    let mut found = Vec::new();
    for (_, ty) in btf.types() {
        if let btf::Type::Datasec(datasec) = ty
            && datasec.name().is(section.as_bytes())
        {
            for line in datasec.vars() {
                let (_, name) = line.target().unwrap();
                found.push((name.to_text().into_owned(), line.offset, line.size));
            }
        }
    }
    found
}

#[test]
fn a_name_stands_for_the_best_definition_whatever_the_order() {
    let extern_strong = variable("x", GLOBAL, None, ".extern", 0);
    let extern_weak = variable("x", WEAK, None, ".extern", 0);
    let weak = variable("x", WEAK, Some(1), ".data", 1);
    let weak_too = variable("x", WEAK, Some(2), ".data", 2);
    let strong = variable("x", GLOBAL, Some(3), ".data", 3);
    // objects; the offset of the one that wins, its size, the binding
    let cases: [(&[&Elf], u64, u32, u8); 8] = [
        (&[&weak], 0, 1, WEAK),
        (&[&weak, &weak_too], 0, 1, WEAK),
        (&[&weak_too, &weak], 0, 2, WEAK),
        (&[&extern_weak, &weak], 0, 1, WEAK),
        (&[&weak, &extern_strong], 0, 1, GLOBAL),
        (&[&weak, &strong], 1, 3, GLOBAL),
        (&[&strong, &weak, &weak_too], 0, 3, GLOBAL),
        // an external that must be there makes the weak one no strong one
        (
            &[&extern_strong, &weak, &strong, &extern_weak],
            1,
            3,
            GLOBAL,
        ),
    ];
    for (number, (objects, offset, size, binding)) in cases.into_iter().enumerate() {
        linked(objects, |all| {
            assert_eq!(value(all, "x"), offset, "case {number}");
            let symbol = all.symbols.last().unwrap();
            assert_eq!(symbol.binding, binding, "case {number}");
            let offset = u32::try_from(offset).unwrap();
            let expected = vec![("x".to_owned(), offset, size)];
            assert_eq!(lines(all, ".data"), expected, "case {number}");
        });
    }
    let two = refused(&[&strong, &weak, &strong]);
    let expected = "3.o: symbol 1 ('x') is defined in '1.o' too, and neither is weak";
    assert_eq!(two, expected);
}

#[test]
fn an_external_in_a_section_is_defined_there() {
    let config = variable("x", GLOBAL, None, ".kconfig", 4);
    let plain = variable("x", GLOBAL, None, ".extern", 4);
    let there = variable("x", GLOBAL, Some(1), ".kconfig", 4);
    let here = variable("x", GLOBAL, Some(1), ".data", 4);
    linked(&[&config, &there], |all| {
        assert_eq!(lines(all, ".kconfig"), [("x".to_owned(), 0, 4)]);
        assert_eq!(value(all, "x"), 0);
    });
    linked(&[&plain, &here], |all| {
        assert_eq!(lines(all, ".data"), [("x".to_owned(), 0, 4)]);
        assert!(lines(all, ".extern").is_empty());
    });
    for (objects, why) in [
        (
            [&config, &here],
            "2.o: symbol 1 ('x') is in section '.data', and in section '.kconfig' in '1.o'",
        ),
        (
            [&here, &config],
            "2.o: symbol 1 ('x') is in section '.kconfig', and in section '.data' in '1.o'",
        ),
        (
            [&plain, &config],
            "2.o: symbol 1 ('x') is in section '.kconfig', and in no section in '1.o'",
        ),
    ] {
        assert_eq!(refused(&objects), why);
    }
}

#[test]
fn externals_that_nothing_defines_stay() {
    let config = variable("x", WEAK, None, ".kconfig", 4);
    let plain = variable("y", GLOBAL, None, ".extern", 4);
    linked(&[&config, &plain, &config, &plain], |all| {
        assert_eq!(lines(all, ".kconfig"), [("x".to_owned(), 0, 4)]);
        assert!(lines(all, ".extern").is_empty());
        let names: Vec<_> = all.symbols.iter().map(|s| (s.name, s.binding)).collect();
        assert_eq!(names[1..], [(&b"x"[..], WEAK), (b"y", GLOBAL)]);
        let linkages = all
            .btf
            .as_ref()
            .unwrap()
            .types()
            .filter_map(|(_, ty)| match ty {
                btf::Type::Var(var) => Some(var.linkage()),
                _ => None,
            });
        assert_eq!(linkages.collect::<Vec<_>>(), [2, 2]);
    });
}

#[test]
fn records_about_instructions_move_with_them() {
    for endian in ORDERS {
        let mut elf = Elf::new(endian);
        let code = elf.section("code", CODE, 8, &[0; 24]);
        elf.symbol("f", FUNC, LOCAL, code, 0, 24);
        let mut types = Builder::new(endian);
        let int = types.add_int(b"int", 4, 1);
        let proto = types.add_func_proto(int, &[(b"x", int)]);
        let func = types.add_func(b"f", 0, proto);
        let section = types.string(b"code").0;
        let file = types.string(b"f.c").0;
        let text = types.string(b"return x;").0;
        elf.section(".BTF", 0, 4, &types.finish().unwrap());
        let mut ext = ExtBuilder::new(endian);
        let starts = FuncInfo {
            insn_off: 0,
            type_id: func,
        };
        let line = LineInfo {
            insn_off: 8,
            file_name_off: file,
            line_off: text,
            line_col: 5 << 10,
        };
        ext.func_info(section, [starts]).line_info(section, [line]);
        elf.section(".BTF.ext", 0, 4, &ext.finish().unwrap());
        linked(&[&elf, &elf], |all| {
            let (btf, ext) = (all.btf.as_ref().unwrap(), all.ext.as_ref().unwrap());
            assert_eq!(btf.endian(), endian);
            // both functions are one type, and the signature is there once
            assert_eq!(btf.ids().len(), 3);
            let starts = ext.func_info().records().map(|r| (r.insn_off, r.type_id.0));
            assert_eq!(starts.collect::<Vec<_>>(), [(0, 3), (24, 3)]);
            let at: Vec<_> = ext.line_info().records().map(|r| r.insn_off).collect();
            assert_eq!(at, [8, 32]);
            for line in ext.line_info().records() {
                assert_eq!(btf.str_at(line.file_name_off), Ok(&b"f.c"[..]));
                assert_eq!(btf.str_at(line.line_off), Ok(&b"return x;"[..]));
                assert_eq!(line.line(), 5);
            }
            let block = ext.func_info().blocks().next().unwrap();
            assert_eq!(btf.str_at(block.section_name_off()), Ok(&b"code"[..]));
        });
    }
}

#[test]
fn objects_without_types_have_none_when_linked() {
    let mut elf = Elf::new(Endian::Little);
    let code = elf.section("code", CODE, 8, &[0; 8]);
    elf.symbol("f", FUNC, GLOBAL, code, 0, 8);
    linked(&[&elf], |all| {
        assert!(all.btf.is_none() && all.ext.is_none())
    });
    let mut other = Elf::new(Endian::Little);
    let code = other.section("code", CODE, 8, &[0; 8]);
    other.symbol("f", FUNC, WEAK, code, 0, 8);
    assert_eq!(
        refused(&[&elf, &other]),
        "2.o: symbol 1 ('f') has no type in section .BTF to compare with that in '1.o'"
    );
    let mut other = Elf::new(Endian::Little);
    other.symbol("f", NOTYPE, GLOBAL, 0, 0, 0);
    let why = "2.o: symbol 1 ('f') has no type in section .BTF";
    assert_eq!(refused(&[&elf, &other]), why);
}

#[test]
fn debugging_information_is_left_out() {
    let mut elf = by_section(Endian::Little);
    let debug = elf.section(".debug_info", 0, 1, &[0; 16]);
    elf.relocs(".rel.debug_info", debug, &[(0, 1, 2)]);
    elf.part(Part {
        name: ".llvm_addrsig",
        kind: 0x6fff_4c03,
        flags: 0,
        data: vec![1],
        size: 1,
        link: 2,
        info: 0,
        align: 1,
        entsize: 0,
    });
    elf.section(".text", CODE, 4, &[]);
    linked(&[&elf], |all| {
        let names: Vec<_> = all.sections.iter().skip(1).map(|s| s.name).collect();
        let expected: [&[u8]; 5] = [b".strtab", b".symtab", b"code", b".data", b".relcode"];
        assert_eq!(names, expected);
    });
}

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
    *elf.parts[1].data.iter_mut().nth(3 * 24 + 5).unwrap() = 3;
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

/// Compares what two objects say a variable's type is.
fn compare(
    found: &dyn Fn(&mut Builder<'_>) -> btf::TypeId,
    want: &dyn Fn(&mut Builder<'_>) -> btf::TypeId,
) -> String {
    let make = |make: &dyn Fn(&mut Builder<'_>) -> btf::TypeId| {
        let mut types = Builder::new(Endian::Little);
        let id = make(&mut types);
        (types.finish().unwrap(), id)
    };
    let ((found, one), (want, other)) = (make(found), make(want));
    let (found, want) = (
        btf::Btf::parse(found).unwrap(),
        btf::Btf::parse(want).unwrap(),
    );
    match agree::agree((&found, one), (&want, other)) {
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
    let to = |make: &dyn Fn(&mut Builder<'_>) -> btf::TypeId, b: &mut Builder<'_>| {
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
            btf::TypeId(1)
        }
    };
    assert_eq!(compare(&circle(5), &circle(7)), "same");
    let why = "cannot be compared in as many steps as there are types";
    assert!(compare(&circle(101), &circle(103)).ends_with(why));
}

/// What a map definition says, or why it is none.
fn map_def(make: &dyn Fn(&mut Builder<'_>, &mut Vec<(&'static [u8], btf::TypeId)>)) -> Vec<u8> {
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

fn number(b: &mut Builder<'_>, value: u32) -> btf::TypeId {
    let int = b.add_int(b"int", 4, 1);
    let array = b.add_array(int, int, value);
    b.add_ptr(array)
}

fn parse_map(
    blob: &[u8],
    then: impl FnOnce(Result<map_def::MapDef<'_>, MapDefect>) -> String,
) -> String {
    let btf = btf::Btf::parse(blob).unwrap();
    let last = btf.ids().next_back().unwrap();
    then(map_def::MapDef::parse(&btf, last))
}

#[test]
fn map_definitions_that_are_none_are_refused() {
    let why = |make: &dyn Fn(&mut Builder<'_>, &mut Vec<(&'static [u8], btf::TypeId)>)| {
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
        let (one, other) = (make(one), make(other));
        parse_map(&one, |found| {
            parse_map(&other, |want| {
                let same = found.unwrap().agree(&want.unwrap());
                same.map_or_else(|why| why.to_string(), |()| "same".into())
            })
        })
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
