//! Objects that no compiler at hand makes, and those that none should.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod maps;
mod refused;
mod types;

use btf::Endian;
use btf::build::{Builder, SecVar};
use btf::ext::{ExtBuilder, FuncInfo, LineInfo};

use super::input::{Input, Place};
use super::testing::{CODE, DATA, Elf, FUNC, GLOBAL, LOCAL, NOTYPE, OBJECT, Part, SECTION, WEAK};
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
        assert!(all.btf.is_none() && all.ext.is_none());
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
