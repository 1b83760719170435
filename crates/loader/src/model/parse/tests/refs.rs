use super::*;
use crate::testing::{
    EXIT, FUNC, GLOBAL, LOCAL, NOTYPE, OBJECT, PROGBITS, SECOND, SECTION, call, load,
};

#[test]
fn calls_with_relocations() {
    let mut file = File::native();
    let text = file.code(".text", &[EXIT, EXIT, EXIT]);
    let tc = file.code("tc", &[call(-1), call(0), call(1), call(-1), EXIT]);
    let section = file.symbol("", text, (0, 0), LOCAL | SECTION);
    let global = file.func("global", text, 2, 1);
    file.symbol("zero", text, (0, 8), LOCAL | FUNC);
    file.symbol("one", text, (8, 8), LOCAL | FUNC);
    file.func("main", tc, 0, 5);
    file.relocs(
        tc,
        &[(0, global), (8, section), (16, section), (24, section)],
    );
    let object = parse(&file);
    let expected = [
        (0, "call global"),
        (1, "call one"),
        (2, "call global"),
        (3, "call zero"),
    ];
    expect(&object, "main", &expected);
}

#[test]
fn calls_inside_of_a_section() {
    let mut file = File::native();
    let code = file.code("tc", &[call(2), call(1), EXIT, EXIT, (0x85, 0, 0, 5)]);
    file.func("main", code, 0, 3);
    file.symbol("sub", code, (24, 16), LOCAL | FUNC);
    let object = parse(&file);
    expect(&object, "main", &[(0, "call sub"), (1, "call sub")]);
    expect(&object, "sub", &[]);

    let mut file = File::native();
    let code = file.code("tc", &[call(5), call(0), call(-100), EXIT]);
    file.func("main", code, 0, 4);
    let object = parse(&file);
    let nowhere = "broken no function starts where it calls";
    expect(&object, "main", &[(0, nowhere), (1, nowhere), (2, nowhere)]);
}

#[test]
fn calls_between_sections_of_programs() {
    let mut file = File::native();
    let one = file.code("tc", &[call(-1), EXIT]);
    let two = file.code("xdp", &[EXIT]);
    file.func("a", one, 0, 2);
    let b = file.func("b", two, 0, 1);
    file.relocs(one, &[(0, b)]);
    expect(&parse(&file), "a", &[(0, "call b")]);
}

#[test]
fn addresses() {
    let mut file = File::native();
    let text = file.code(".text", &[EXIT, EXIT]);
    let data = file.section(".data", PROGBITS, 3, &[0; 16]);
    let zeros = file.zeros(".bss.more", 8);
    let legacy = file.section("maps", PROGBITS, 3, &legacy_map());
    let body = [
        load(4, 0),
        SECOND,
        load(4, 8),
        SECOND,
        load(0, 0),
        SECOND,
        load(0, 4),
        SECOND,
    ];
    let tc = file.code(
        "tc",
        &[&body[..], &[load(0, 0), SECOND, load(0, 0), SECOND, EXIT]].concat(),
    );
    let text_section = file.symbol("", text, (0, 0), LOCAL | SECTION);
    let data_section = file.symbol("", data, (0, 0), LOCAL | SECTION);
    let f = file.func("f", text, 0, 1);
    file.symbol("g", text, (8, 8), LOCAL | FUNC);
    let variable = file.symbol("v", data, (8, 4), GLOBAL | OBJECT);
    let zero = file.symbol("z", zeros, (4, 4), GLOBAL | OBJECT);
    let map = file.symbol("m", legacy, (0, 20), GLOBAL | OBJECT);
    file.func("main", tc, 0, 13);
    file.relocs(
        tc,
        &[
            (0, f),
            (16, text_section),
            (32, variable),
            (48, data_section),
            (64, zero),
            (80, map),
        ],
    );
    let object = parse(&file);
    let expected = [
        (0, "address f"),
        (2, "address g"),
        (4, "value .data+8"),
        (6, "value .data+4"),
        (8, "value .bss.more+4"),
        (10, "map m"),
    ];
    expect(&object, "main", &expected);
}

fn legacy_map() -> Vec<u8> {
    [1u32, 4, 4, 1, 0]
        .iter()
        .flat_map(|word| word.to_ne_bytes())
        .collect()
}

#[test]
fn what_is_added_may_be_in_the_table() {
    let mut file = File::native();
    let text = file.code(".text", &[EXIT, EXIT]);
    let data = file.section(".data", PROGBITS, 3, &[0; 16]);
    let tc = file.code("tc", &[call(-1), load(0, 0), SECOND, EXIT]);
    let text_section = file.symbol("", text, (0, 0), LOCAL | SECTION);
    file.symbol("f", text, (8, 8), LOCAL | FUNC);
    let variable = file.symbol("v", data, (8, 4), GLOBAL | OBJECT);
    file.func("main", tc, 0, 4);
    file.relocs_added(tc, &[(0, text_section, 8), (8, variable, -4)]);
    let object = parse(&file);
    expect(&object, "main", &[(0, "call f"), (1, "value .data+4")]);
}

/// A program of one relocation against a symbol in a place.
fn one(insns: &[(u8, u8, i16, i32)], at: u64, symbol: impl FnOnce(&mut File) -> u32) -> String {
    let mut file = File::native();
    let tc = file.code("tc", insns);
    file.func("main", tc, 0, insns.len() as u64);
    let symbol = symbol(&mut file);
    file.relocs(tc, &[(at, symbol)]);
    let object = parse(&file);
    let mut refs = refs(&object, "main");
    assert_eq!(refs.len(), 1);
    let (insn, text) = refs.remove(0);
    assert_eq!(u64::from(insn), at / 8);
    text
}

#[test]
fn broken_relocations_stay_where_they_are() {
    let wide = [load(0, 0), SECOND, EXIT];
    let odd = |file: &mut File| {
        let odd = file.section("odd", PROGBITS, 3, &[0; 8]);
        file.symbol("o", odd, (0, 8), GLOBAL | OBJECT)
    };
    for (text, expected) in [
        (
            one(&wide, 0, |_| 77),
            "broken relocation against '?': there is no symbol 77",
        ),
        (
            one(&wide, 0, odd),
            "broken relocation against 'o': section 'odd' is none that a program can refer to",
        ),
        (
            one(&wide, 16, odd),
            "broken relocation against 'o': it is for an instruction with code 0x95, which has no \
             address",
        ),
        (
            one(&wide, 4, odd),
            "broken relocation against 'o': it is for a place inside of an instruction",
        ),
        (
            one(&[EXIT, load(0, 0)], 8, odd),
            "broken relocation against 'o': the instruction is cut",
        ),
        (
            one(&[(0x85, 0, 0, 1), EXIT], 0, |file| {
                let text = file.code(".text", &[EXIT]);
                file.func("f", text, 0, 1)
            }),
            "broken relocation against 'f': it is for a call of a helper",
        ),
        (
            one(&[call(-1), EXIT], 0, odd),
            "broken relocation against 'o': it leads to a section without functions",
        ),
        (
            one(&[call(5), EXIT], 0, |file| {
                let text = file.code(".text", &[EXIT]);
                file.symbol("", text, (0, 0), LOCAL | SECTION)
            }),
            "broken relocation against '.text': no function starts at offset 48 of its section",
        ),
        (
            one(&[call(i32::MIN), EXIT], 0, |file| {
                let text = file.code(".text", &[EXIT]);
                file.symbol("", text, (0, 0), LOCAL | SECTION)
            }),
            "broken relocation against '.text': offset 0 with -17179869176 added is in no section",
        ),
        (
            one(&wide, 0, |file| {
                file.symbol("common", 0xfff2, (0, 4), GLOBAL | OBJECT)
            }),
            "broken relocation against 'common': the symbol is in special section 0xfff2: was a \
             variable left without a value?",
        ),
        (
            one(&wide, 0, |file| {
                file.symbol("nowhere", 0, (0, 4), GLOBAL | OBJECT)
            }),
            "broken relocation against 'nowhere': the symbol is defined nowhere",
        ),
        (
            one(&wide, 0, |file| {
                file.symbol("far", 300, (0, 4), GLOBAL | OBJECT)
            }),
            "broken relocation against 'far': section '?' is none that a program can refer to",
        ),
        (
            one(&wide, 0, |file| {
                let arena = file.section(".addr_space.1", PROGBITS, 3, &[0; 8]);
                file.symbol("a", arena, (0, 4), GLOBAL | OBJECT)
            }),
            "broken relocation against 'a': there is not exactly one arena to hold it",
        ),
        (
            one(&wide, 0, |file| file.symbol("", 0, (0, 0), GLOBAL | NOTYPE)),
            "broken relocation against '': the extern has no name",
        ),
        (
            one(&wide, 0, |file| {
                let maps = file.section("maps", PROGBITS, 3, &legacy_map());
                file.symbol("m", maps, (0, 20), GLOBAL | OBJECT);
                file.symbol("inside", maps, (4, 0), GLOBAL | SECTION)
            }),
            "broken relocation against 'inside': no map is defined at offset 4 of its section",
        ),
    ] {
        assert_eq!(text, expected);
    }
}

#[test]
fn two_relocations_of_one_instruction() {
    let mut file = File::native();
    let data = file.section(".data", PROGBITS, 3, &[0; 16]);
    let tc = file.code("tc", &[load(0, 0), SECOND, load(0, 0), SECOND, EXIT]);
    let a = file.symbol("a", data, (0, 4), GLOBAL | OBJECT);
    let b = file.symbol("b", data, (4, 4), GLOBAL | OBJECT);
    file.func("main", tc, 0, 5);
    file.relocs(tc, &[(16, b), (0, a), (16, b), (0, b)]);
    let object = parse(&file);
    let twice = "broken two relocations are for one instruction";
    expect(&object, "main", &[(0, twice), (2, "value .data+4")]);
}

#[test]
fn a_callback_needs_a_relocation() {
    let mut file = File::native();
    let tc = file.code("tc", &[load(4, 1), SECOND, EXIT]);
    file.func("main", tc, 0, 3);
    let why = "broken it takes the address of a function without a relocation";
    expect(&parse(&file), "main", &[(0, why)]);
}

#[test]
fn relocations_of_no_function_are_left_out() {
    let mut file = File::native();
    let data = file.section(".data", PROGBITS, 3, &[0; 16]);
    let tc = file.code("tc", &[load(0, 0), SECOND, EXIT, EXIT]);
    let a = file.symbol("a", data, (0, 4), GLOBAL | OBJECT);
    file.func("main", tc, 3, 1);
    file.relocs(tc, &[(0, a), (1 << 40, a)]);
    expect(&parse(&file), "main", &[]);
}

#[test]
fn jump_tables() {
    let entries = |file: &File, places: &[u64]| -> Vec<u8> {
        places.iter().flat_map(|place| file.wide(*place)).collect()
    };
    let mut file = File::native();
    let bytes = entries(&file, &[8, 16, 24, 12]);
    let tables = file.section(".jumptables", PROGBITS, 0, &bytes);
    let wide = [load(0, 0), SECOND];
    let tc = file.code("tc", &[&[wide; 5].concat()[..], &[EXIT]].concat());
    let first = file.symbol("BPF.JT.0.0", tables, (0, 16), LOCAL | OBJECT);
    let odd = file.symbol("BPF.JT.0.1", tables, (16, 16), LOCAL | OBJECT);
    let cut = file.symbol("BPF.JT.0.2", tables, (16, 24), LOCAL | OBJECT);
    let empty = file.symbol("BPF.JT.0.3", tables, (16, 0), LOCAL | OBJECT);
    file.func("main", tc, 0, 11);
    let places = [(0, first), (16, first), (32, odd), (48, cut), (64, empty)];
    file.relocs(tc, &places);
    let object = parse(&file);
    let expected = [
        (0, "table BPF.JT.0.0"),
        (2, "table BPF.JT.0.0"),
        (
            4,
            "broken relocation against 'BPF.JT.0.1': entry 12 of its jump table is no instruction",
        ),
        (
            6,
            "broken relocation against 'BPF.JT.0.2': 24 bytes at offset 16 are not in section \
             '.jumptables' of 32",
        ),
        (
            8,
            "broken relocation against 'BPF.JT.0.3': 0 bytes at offset 16 are not a number of \
             entries of a jump table",
        ),
    ];
    expect(&object, "main", &expected);
    assert_eq!(object.jump_tables().len(), 1);
    assert_eq!(object.jump_tables()[0].entries, [1, 2]);
    assert_eq!(object.jump_tables()[0].section, "tc");
}

#[test]
fn relocations_of_variables_are_noted() {
    let mut file = File::native();
    let data = file.section(".data", PROGBITS, 3, &[0; 16]);
    let a = file.symbol("a", data, (0, 4), GLOBAL | OBJECT);
    file.relocs(data, &[(8, a)]);
    let note = "addresses in section '.data' are left as they are in the file";
    assert_eq!(parse(&file).notes, [note]);
}
