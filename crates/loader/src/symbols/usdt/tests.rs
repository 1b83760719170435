//! Notes, arguments and specs.

use super::*;
use btf::Endian;

const X86_64: u16 = 62;
const AARCH64: u16 = 183;
const ARM: u16 = 40;
const RISCV: u16 = 243;
const S390: u16 = 22;

fn argument(size: u8, signed: bool, location: Location) -> Argument {
    Argument {
        location,
        size,
        signed,
    }
}

fn memory(base: u16, offset: i64) -> Location {
    Location::Memory { base, offset }
}

#[track_caller]
fn check(machine: u16, text: &str, expect: &[Argument]) {
    let found = args::parse(text, machine, "a:b").unwrap();
    assert_eq!(found, expect, "{text}");
}

#[track_caller]
fn refused(machine: u16, text: &str, why: &str) {
    let error = args::parse(text, machine, "a:b").unwrap_err().to_string();
    assert!(error.contains(why), "{text}: {error}");
}

#[test]
fn arguments_of_x86() {
    let constant = Location::Constant;
    check(X86_64, "", &[]);
    check(
        X86_64,
        "-4@-1204(%rbp) -4@%edi 8@%r10 -4@$5 -4@$-9 -2@%cx -1@%sil 8@(%rsp)",
        &[
            argument(4, true, memory(32, -1204)),
            argument(4, true, Location::Register(112)),
            argument(8, false, Location::Register(56)),
            argument(4, true, constant(5)),
            argument(4, true, constant(-9)),
            argument(2, true, Location::Register(88)),
            argument(1, true, Location::Register(104)),
            argument(8, false, memory(152, 0)),
        ],
    );
    let indexed = |offset, shift| Location::Indexed {
        base: 32,
        index: 80,
        shift,
        offset,
    };
    check(
        X86_64,
        "1@-96(%rbp,%rax,8) 1@(%rbp,%rax,4) 1@-96(%rbp,%rax) 1@(%rbp,%rax)",
        &[
            argument(1, false, indexed(-96, 3)),
            argument(1, false, indexed(0, 2)),
            argument(1, false, indexed(-96, 0)),
            argument(1, false, indexed(0, 0)),
        ],
    );
    check(
        X86_64,
        " 8 @ -8 ( %rbp ) ",
        &[argument(8, false, memory(32, -8))],
    );
    check(
        X86_64,
        "8@$18446744073709551615 8@$-9223372036854775808 4@$0x10",
        &[
            argument(8, false, constant(-1)),
            argument(8, false, constant(i64::MIN)),
            argument(4, false, constant(16)),
        ],
    );
    refused(X86_64, "8@%xmm0", "its register is not known");
    refused(X86_64, "8@%ah", "its register is not known");
    refused(X86_64, "8@%", "its register is not known");
    refused(X86_64, "3@%rax", "its size is neither");
    refused(X86_64, "8f@%xmm0", "no `@`");
    refused(X86_64, "8@(%rax,%rbx,3)", "its scale");
    refused(X86_64, "8@-8(%rbp", "its bracket");
    refused(X86_64, "8@16", "an address of its own");
    refused(X86_64, "8@var(%rip)", "no register");
    refused(X86_64, "8@(%rax)8@%rbx", "something follows it");
    refused(X86_64, "@", "a size");
    refused(X86_64, &"8@%rax ".repeat(13), "more than 12 arguments");
    refused(2, "8@%rax", "elf machine 2");
}

#[test]
fn arguments_of_other_machines() {
    check(
        AARCH64,
        "-4@[sp, 96] -4@[sp] 4@5 -8@x4 8@[x30,-8] 4@w1",
        &[
            argument(4, true, memory(248, 96)),
            argument(4, true, memory(248, 0)),
            argument(4, false, Location::Constant(5)),
            argument(8, true, Location::Register(32)),
            argument(8, false, memory(240, -8)),
            argument(4, false, Location::Register(8)),
        ],
    );
    check(
        ARM,
        "-4@[fp, #96] -4@[sp] 4@#5 -4@r4 4@pc",
        &[
            argument(4, true, memory(44, 96)),
            argument(4, true, memory(52, 0)),
            argument(4, false, Location::Constant(5)),
            argument(4, true, Location::Register(16)),
            argument(4, false, Location::Register(60)),
        ],
    );
    check(
        RISCV,
        "-8@-88(s0) 4@5 -8@a1 8@t6 8@ra",
        &[
            argument(8, true, memory(64, -88)),
            argument(4, false, Location::Constant(5)),
            argument(8, true, Location::Register(88)),
            argument(8, false, Location::Register(248)),
            argument(8, false, Location::Register(8)),
        ],
    );
    check(
        S390,
        "-2@-28(%r15) -8@%r0 4@71",
        &[
            argument(2, true, memory(144, -28)),
            argument(8, true, Location::Register(24)),
            argument(4, false, Location::Constant(71)),
        ],
    );
    refused(AARCH64, "8@x31", "its register is not known");
    refused(AARCH64, "8@x01", "its register is not known");
    refused(S390, "8@%r16", "its register is not known");
    refused(RISCV, "8@s12", "its register is not known");
}

#[test]
fn specs_have_the_layout_of_the_header() {
    let spec = Spec {
        arguments: vec![
            argument(4, true, memory(32, -2)),
            argument(8, false, Location::Register(112)),
        ],
        cookie: 0x1122_3344_5566_7788,
    };
    let plain = spec.encode(Layout::Plain, Endian::Little).unwrap();
    assert_eq!(plain.len(), 208);
    assert_eq!(plain[..8], (-2i64).to_le_bytes());
    assert_eq!(plain[8..16], [2, 0, 0, 0, 32, 0, 1, 32]);
    assert_eq!(plain[24..32], [1, 0, 0, 0, 112, 0, 0, 0]);
    assert_eq!(plain[192..200], spec.cookie.to_le_bytes());
    assert_eq!(plain[200..208], [2, 0, 0, 0, 0, 0, 0, 0]);
    let new = spec.encode(Layout::Indexed, Endian::Little).unwrap();
    assert_eq!(new.len(), 304);
    assert_eq!(
        new[8..24],
        [2, 0, 0, 0, 0, 0, 32, 0, 1, 32, 0, 0, 0, 0, 0, 0]
    );
    assert_eq!(new[296..298], [2, 0]);

    let indexed = Spec {
        arguments: vec![argument(
            1,
            false,
            Location::Indexed {
                base: 32,
                index: 0xabc,
                shift: 3,
                offset: 1,
            },
        )],
        cookie: 0,
    };
    assert_eq!(indexed.encode(Layout::Plain, Endian::Little), None);
    // as compilers lay the fields out: arg_type 3, idx_reg_off 0xabc, scale_bitshift 3
    let new = indexed.encode(Layout::Indexed, Endian::Little).unwrap();
    assert_eq!(new[8..18], [3, 0, 0xbc, 0x3a, 0, 0, 32, 0, 0, 56]);
    let big = indexed.encode(Layout::Indexed, Endian::Big).unwrap();
    assert_eq!(big[8..18], [0, 0, 0xab, 0xc3, 3, 0, 0, 32, 0, 56]);
    assert_eq!(Layout::of_value_size(208), Some(Layout::Plain));
    assert_eq!(Layout::of_value_size(304), Some(Layout::Indexed));
    assert_eq!(Layout::of_value_size(300), None);
}
