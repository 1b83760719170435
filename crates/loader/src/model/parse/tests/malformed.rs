//! Objects that made other loaders crash, read out of bounds, or load what nobody wrote. Each
//! test names what went wrong elsewhere.

use super::*;
use crate::elf::ElfError;
use crate::testing::{EXIT, GLOBAL, NOTYPE, OBJECT, PROGBITS, SECOND, load};
use btf::build::{Member, SecVar};
use btf::ext::{ExtBuilder, FuncInfo, LineInfo};
use btf::{Endian, TypeId, encoding};

/// A program with types, and the bytes of `.BTF.ext` that `change` makes of sound ones.
fn with_ext(change: impl FnOnce(&mut Vec<u8>)) -> File {
    let mut file = File::new(Endian::Little);
    let code = file.code("tc", &[EXIT, EXIT]);
    file.func("f", code, 0, 2);
    let mut section = 0;
    file.types(|b| {
        let int = b.add_int(b"int", 4, 0);
        let proto = b.add_func_proto(int, &[]);
        b.add_func(b"f", 1, proto);
        section = b.string(b"tc").0;
    });
    let mut ext = ExtBuilder::new(Endian::Little);
    let func = FuncInfo {
        insn_off: 0,
        type_id: TypeId(3),
    };
    let line = |insn_off| LineInfo {
        insn_off,
        ..LineInfo::default()
    };
    ext.func_info(section, [func]);
    ext.line_info(section, [line(0), line(8), line(8), line(16)]);
    let mut bytes = ext.finish().unwrap();
    change(&mut bytes);
    file.section(".BTF.ext", PROGBITS, 0, &bytes);
    file
}

#[test]
fn records_go_to_functions() {
    let object = parse(&with_ext(|_| ()));
    let f = function(&object, "f");
    assert_eq!(f.func_info.len(), 1);
    assert_eq!(f.func_info[0].type_id, TypeId(3));
    let lines: Vec<_> = f.line_info.iter().map(|line| line.insn).collect();
    assert_eq!(
        lines,
        [0, 1],
        "one for an instruction, none behind the function"
    );
    assert!(object.notes.is_empty());
}

/// libbpf: a header of `.BTF.ext` that is cut was read past its end; types were freed twice when
/// `.BTF.ext` was malformed. cilium/ebpf: counts of records were trusted when memory was
/// allocated.
#[test]
fn information_about_instructions_that_cannot_be_read() {
    for (change, why) in [
        (
            (|bytes| bytes.truncate(5)) as fn(&mut Vec<u8>),
            ".BTF.ext header needs 8 bytes at offset 0, 5 are there",
        ),
        (
            |bytes| bytes[4] = 8,
            ".BTF.ext header length 8 at offset 4 is below 24",
        ),
        (
            |bytes| bytes[4] = 0xf0,
            ".BTF.ext header needs 240 bytes at offset 0",
        ),
        (
            |bytes| bytes[12..16].fill(0xff),
            ".BTF.ext func_info table of 4294967295 bytes at offset 32",
        ),
        (
            |bytes| bytes[40..44].fill(0xff),
            ".BTF.ext func_info block at offset 36 needs 34359738368 bytes",
        ),
        (
            |bytes| bytes[32] = 0,
            ".BTF.ext func_info record size 0 at offset 32",
        ),
    ] {
        let object = parse(&with_ext(change));
        let f = function(&object, "f");
        assert!(f.func_info.is_empty() && f.line_info.is_empty());
        let note = format!("section '.BTF.ext' is left out: {why}");
        assert!(object.notes[0].starts_with(&note), "{}", object.notes[0]);
    }
}

#[test]
fn information_about_sections_that_are_not_there() {
    let object = parse(&with_ext(|bytes| bytes[36..40].fill(0xff)));
    let note = "'.BTF.ext' speaks of section '', which is none of code";
    assert_eq!(object.notes, [note]);
    assert_eq!(function(&object, "f").line_info.len(), 2);
}

/// libbpf: sections without bytes in the file were read through a null pointer.
#[test]
fn sections_that_should_have_bytes_and_have_none() {
    let mut file = File::new(Endian::Little);
    for name in [
        "license",
        "version",
        ".BTF",
        ".BTF.ext",
        ".data",
        ".rodata",
        "tc",
        ".struct_ops",
    ] {
        file.zeros(name, 64);
    }
    file.func("f", 7, 0, 1);
    let object = parse(&file);
    assert!(object.functions().is_empty() && object.maps().is_empty());
    assert!(object.license.is_empty() && object.kern_version.is_none());

    let mut file = File::new(Endian::Little);
    file.zeros(".maps", 64);
    assert!(error(&file).starts_with("no section '.BTF'"));
}

/// cilium/ebpf: compressed sections were unpacked, whatever their size.
#[test]
fn compressed_sections() {
    let mut file = File::new(Endian::Little);
    file.section(
        "license",
        PROGBITS,
        crate::elf::consts::SHF_COMPRESSED,
        b"GPL\0",
    );
    let object = parse(&file);
    assert_eq!(object.notes, ["section 1 'license' is compressed"]);
    file.section(
        ".data",
        PROGBITS,
        crate::elf::consts::SHF_COMPRESSED,
        b"1234",
    );
    assert_eq!(error(&file), "section 2 '.data' is compressed");
}

#[test]
fn sections_behind_the_end_of_the_file() {
    for name in [
        ".data",
        "tc",
        ".BTF",
        ".maps",
        "maps",
        ".jumptables",
        ".addr_space.1",
    ] {
        let mut file = File::new(Endian::Little);
        let flags = if name == "tc" {
            crate::testing::EXEC
        } else {
            3
        };
        file.section(name, PROGBITS, flags, b"");
        file.sections[0].size = Some(u64::MAX - 8);
        let bytes = file.build();
        let error = Object::parse(&bytes, &ParseOptions::default()).unwrap_err();
        let is_bounds = matches!(
            &error,
            ModelError::Elf(ElfError::SectionBounds { name: found, .. }) if found == name
        );
        let needs_types = matches!(&error, ModelError::NoBtf { .. });
        assert!(is_bounds || (name == ".maps" && needs_types), "{error}");
    }
}

/// aya: relocations of a section that is not there, and symbols in it, were unwrapped.
#[test]
fn relocations_of_sections_that_are_not_there() {
    let mut file = File::native();
    let code = file.code("tc", &[load(0, 0), SECOND, EXIT]);
    file.func("f", code, 0, 3);
    file.relocs(code, &[(0, 1)]);
    file.sections[2].info = 1000;
    assert!(refs(&parse(&file), "f").is_empty());
    file.sections[2].info = code.into();
    file.sections[2].entry_size = 0;
    let expected = "relocations in section 3 '.reltc': entries of 0 bytes instead of 16";
    assert_eq!(error(&file), expected);
}

/// Entries at the end that are not whole do not count.
#[test]
fn relocations_that_are_cut() {
    let mut file = File::native();
    let code = file.code("tc", &[load(0, 0), SECOND, EXIT]);
    file.func("f", code, 0, 3);
    file.relocs(code, &[(0, 1), (8, 1)]);
    file.sections[2].data.truncate(31);
    assert_eq!(refs(&parse(&file), "f").len(), 1);
}

/// libbpf: types that refer to no type, to themselves, or to the wrong kind were followed.
#[test]
fn types_of_maps_that_lead_nowhere() {
    let wrong = |types: fn(&mut btf::build::Builder<'static>) -> TypeId, expected: &str| {
        let mut file = File::native();
        file.section(".maps", PROGBITS, 3, &[0; 64]);
        file.types(|b| {
            let type_id = types(b);
            let var = SecVar {
                type_id,
                offset: 0,
                size: 32,
            };
            b.add_datasec(b".maps", 64, &[var]);
        });
        assert_eq!(error(&file), expected);
    };
    wrong(
        |_| TypeId(77),
        "map '?': definition 0 of section '.maps' has no name",
    );
    wrong(
        |b| b.add_var(b"m", 1, 77u32),
        "map 'm': its types cannot be followed: no type with id 77: ids end at 3",
    );
    wrong(
        |b| {
            let next = b.next_id() + 1;
            let loop_of_two = b.add_typedef(b"t", next);
            b.add_const(loop_of_two);
            b.add_var(b"m", 1, loop_of_two)
        },
        "map 'm': its types cannot be followed: type 1 refers to itself",
    );
    wrong(
        |b| {
            let members = [Member::new(b"type", TypeId(99), 0)];
            let body = b.add_struct(b"", 8, &members);
            b.add_var(b"m", 1, body)
        },
        "map 'm': its types cannot be followed: no type with id 99: ids end at 4",
    );
    wrong(
        |b| {
            let int = b.add_int(b"int", 4, 0);
            let inside = b.next_id() + 3;
            let pointer = b.add_ptr(inside);
            let values = b.add_array(pointer, int, 0);
            let kind = b.add_array(int, int, 12);
            assert_eq!(b.next_id(), inside);
            // the map inside is its own inside
            let next = b.next_id() + 1;
            let members = [
                Member::new(b"type", TypeId(next), 0),
                Member::new(b"values", values, 64),
            ];
            let body = b.add_struct(b"", 16, &members);
            b.add_ptr(kind);
            b.add_var(b"m", 1, body)
        },
        "map 'm': map inside: member 'values': a map inside of a map has no maps inside",
    );
    // sizes beyond 32 and 64 bits
    wrong(
        |b| {
            let long = b.add_int(b"long", 8, 0);
            let array = b.add_array(long, long, u32::MAX);
            let pointer = b.add_ptr(array);
            let members = [Member::new(b"value", pointer, 0)];
            let body = b.add_struct(b"", 8, &members);
            b.add_var(b"m", 1, body)
        },
        "map 'm': member 'value' of 34359738360 bytes is larger than maps can be",
    );
    wrong(
        |b| {
            let long = b.add_int(b"long", 8, 0);
            let mut array = long;
            for _ in 0..3 {
                array = b.add_array(array, long, u32::MAX);
            }
            let pointer = b.add_ptr(array);
            let members = [Member::new(b"value", pointer, 0)];
            let body = b.add_struct(b"", 8, &members);
            b.add_var(b"m", 1, body)
        },
        "map 'm': member 'value': size of type 4 overflows",
    );
}

/// Symbols that all have one long name: each would be copied.
#[test]
fn names_that_are_parts_of_each_other() {
    let mut file = File::native();
    let code = file.code("tc", &[EXIT; 2000]);
    let name = "n".repeat(8000);
    file.func(&name, code, 0, 1);
    let mut bytes = file.build();
    // more symbols of the same name, in a table behind the file
    let table = u64::from_le_bytes(bytes[0x28..0x30].try_into().unwrap()) as usize;
    let symtab = table + 3 * 64;
    let at = u64::from_le_bytes(bytes[symtab + 24..symtab + 32].try_into().unwrap()) as usize;
    let symbol = bytes[at + 24..at + 48].to_vec();
    let start = bytes.len();
    for place in 0..2000u64 {
        bytes.extend(&symbol[..8]);
        bytes.extend((place * 8).to_le_bytes());
        bytes.extend(&symbol[16..]);
    }
    let size = bytes.len() - start;
    bytes[symtab + 24..symtab + 32].copy_from_slice(&(start as u64).to_le_bytes());
    bytes[symtab + 32..symtab + 40].copy_from_slice(&(size as u64).to_le_bytes());
    let error = Object::parse(&bytes, &ParseOptions::default()).unwrap_err();
    assert!(matches!(error, ModelError::Overlap { .. }), "{error}");
}

/// Functions that share instructions would be made many times the file.
#[test]
fn functions_that_share_instructions() {
    let mut file = File::native();
    let code = file.code("tc", &[EXIT; 64]);
    for start in 0..63 {
        file.func(&format!("f{start}"), code, 0, 64);
        file.func(&format!("g{start}"), code, start, 64 - start);
    }
    let object = parse(&file);
    let copied: usize = object.functions().iter().map(|f| f.insns.len()).sum();
    assert!(copied <= 64 * 8, "{copied}");
}

/// Names are text for people, whatever they are.
#[test]
fn names_that_are_no_text() {
    let mut file = File::native();
    let code = file.code("tc", &[EXIT]);
    file.func("f\u{1b}[31m", code, 0, 1);
    file.symbol("", code, (0, 8), GLOBAL | OBJECT);
    file.symbol("x", 0, (0, 0), GLOBAL | NOTYPE);
    let object = parse(&file);
    assert_eq!(object.programs()[0].name, "f\u{1b}[31m");
    assert_eq!(object.externs().len(), 1);
}

/// Exceptions go to functions that are named in tags, which may name anything.
#[test]
fn exception_callbacks() {
    let object = |tag: &str, hide: bool| {
        let mut file = File::native();
        let text = file.code(".text", &[EXIT]);
        let code = file.code("tc", &[EXIT]);
        file.func("callback", text, 0, 1);
        if hide {
            file.hide();
        }
        file.func("main", code, 0, 1);
        file.types(|b| {
            let int = b.add_int(b"int", 4, encoding::SIGNED);
            let proto = b.add_func_proto(int, &[]);
            let main = b.add_func(b"main", 1, proto);
            b.add_func(b"callback", 1, proto);
            b.add_decl_tag(tag.as_bytes(), main, -1);
        });
        parse(&file)
    };
    let sound = object("exception_callback:callback", false);
    let callback = sound.programs()[0].exception_callback.unwrap();
    assert_eq!(sound.functions()[callback.index()].name, "callback");
    expect(&sound, "main", &[]);

    for (tag, hide, why) in [
        (
            "exception_callback:",
            false,
            "its exception callback has no name",
        ),
        (
            "exception_callback:no",
            false,
            "there is no function 'no' for exceptions",
        ),
        (
            "exception_callback:callback",
            true,
            "function 'callback' for exceptions is not global, or it is hidden",
        ),
    ] {
        let broken = object(tag, hide);
        assert_eq!(broken.programs()[0].exception_callback, None);
        expect(&broken, "main", &[(0, &format!("broken {why}"))]);
    }
    expect(&object("some other tag", false), "main", &[]);
}

/// Sections that all are the same bytes: each would be copied.
#[test]
fn sections_that_share_bytes() {
    for (name, kind, flags) in [
        (".data.x", PROGBITS, 3),
        ("tc", PROGBITS, crate::testing::EXEC),
    ] {
        let mut file = File::native();
        let start = file.section(name, kind, flags, &[0x95; 8000]);
        file.symbol("f0", start, (0, 8000), GLOBAL | crate::testing::FUNC);
        for at in 0..300u16 {
            let section = file.section(name, kind, flags, &[]);
            let name = format!("f{}", at + 1);
            file.symbol(&name, section, (0, 8000), GLOBAL | crate::testing::FUNC);
        }
        let mut bytes = file.build();
        let table = u64::from_le_bytes(bytes[0x28..0x30].try_into().unwrap());
        let header = |index: u64| usize::try_from(table + index * 64).unwrap();
        let place = bytes[header(2) + 24..header(2) + 40].to_vec();
        for index in 3..303 {
            bytes[header(index) + 24..header(index) + 40].copy_from_slice(&place);
        }
        let error = Object::parse(&bytes, &ParseOptions::default()).unwrap_err();
        assert!(matches!(error, ModelError::Overlap { .. }), "{error}");
    }
}

/// Definitions that all have one type of many members: each would be read.
#[test]
fn definitions_that_share_types() {
    let mut file = File::native();
    file.section(".maps", PROGBITS, 3, &[0; 64]);
    file.types(|b| {
        let int = b.add_int(b"int", 4, 0);
        let array = b.add_array(int, int, 2);
        let number = b.add_ptr(array);
        let members = vec![Member::new(b"type", number, 0); 3000];
        let body = b.add_struct(b"", 8, &members);
        let vars: Vec<_> = (0..3000)
            .map(|_| SecVar {
                type_id: b.add_var(b"m", 1, body),
                offset: 0,
                size: 32,
            })
            .collect();
        b.add_datasec(b".maps", 64, &vars);
    });
    let expected = "map 'm': all definitions together are many times the file";
    assert_eq!(error(&file), expected);
}
