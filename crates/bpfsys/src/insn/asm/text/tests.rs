use proptest::prelude::*;

use super::*;
use crate::insn::asm::{self, R0, R1, R2};
use crate::insn::disasm::is_canonical;
use crate::insn::{Pseudo, stream};

fn error(text: &str) -> String {
    assemble(text).unwrap_err().to_string()
}

#[test]
fn listings_and_comments_are_read() {
    let text = "\
        # a whole listing\n\
        \t; int f(void) {\n\
        \r\n\
        \x20  0: (18) r1 = map[id:5]   # two slots\n\
        \x20  2: (85) call bpf_map_lookup_elem#1\r\n\
        (15)   if r0==0x0 goto pc+1; blanks do not matter\n\
        r0 = * ( u32 * ) ( r0 +4 )\n\
        call pc-3#bpf_prog_6deef7357e7b4530_f\n\
        exit";
    let [first, second] = asm::ld_map_fd(R1, 5);
    let expected = [
        first,
        second,
        asm::call_helper(HelperId::MAP_LOOKUP_ELEM),
        asm::jmp_imm(JmpOp::Eq, R0, 0, 1),
        asm::ldx(Size::W, R0, R0, 4),
        asm::call_rel(-3),
        asm::exit(),
    ];
    assert_eq!(assemble(text).as_deref(), Ok(&expected[..]));
    assert_eq!(assemble(""), Ok(vec![]));
}

#[test]
fn symbols_of_the_running_kernel_leave_the_number() {
    let insns = assemble("call __htab_map_lookup_elem#330864\ncall 0xffffffff81#-7").unwrap();
    let imms: Vec<_> = insns.iter().map(|insn| (insn.src(), insn.imm)).collect();
    assert_eq!(imms, [(0, 330_864), (0, -7)]);
}

#[test]
fn errors_say_where_and_what() {
    let cases = [
        ("bogus", 1, "an instruction, found `bogus`"),
        ("exit\n  r16 = 0", 3, "an instruction, found `r16`"),
        (
            "r1",
            3,
            "an operator such as `=`, found the end of the line",
        ),
        (
            "r1 # = 5",
            4,
            "an operator such as `=`, found the end of the line",
        ),
        ("r1 = w2", 6, "a register, found `w2`"),
        ("w1 += r2", 7, "a 32-bit register, found `r2`"),
        (
            "r1 += 0x5",
            7,
            "a register or a decimal number of 32 bits, found `0x5`",
        ),
        (
            "r1 = 2147483648",
            6,
            "a register or a decimal number of 32 bits, found `2147483648`",
        ),
        (
            "r1 = 0x10000000000000000",
            6,
            "a hexadecimal number of 64 bits, found `0x10000000000000000`",
        ),
        (
            "w1 = 0x5",
            6,
            "a register or a decimal number of 32 bits, found `0x5`",
        ),
        ("r1 = -r2", 7, "the register of the left side, found `r2`"),
        (
            "r1 = be16 r2",
            11,
            "the register of the left side, found `r2`",
        ),
        ("r1 = (s9)r2", 7, "`s8`, `s16` or `s32`, found `s9)r2`"),
        (
            "r1 = *(s64 *)(r2 +0)",
            8,
            "a size such as `u32`, found `s64`",
        ),
        (
            "*(s8 *)(r1 +0) = r2",
            2,
            "an unsigned size such as `(u32 *)`, found `(s8`",
        ),
        (
            "r1 = *(u8 *)(r2 0)",
            17,
            "an offset such as `+4`, within 16 bits, found `0)`",
        ),
        (
            "r1 = *(u8 *)(r2 +32768)",
            17,
            "an offset such as `+4`, within 16 bits, found `+32768)`",
        ),
        (
            "r1 = *(u8 *)skb[0]",
            13,
            "memory such as `(r1 +0)`, found `skb[0]`",
        ),
        (
            "goto pc+32768",
            6,
            "a target such as `pc+1`, within 16 bits, found `pc+32768`",
        ),
        (
            "goto 5",
            6,
            "a target such as `pc+1`, within 16 bits, found `5`",
        ),
        (
            "if r1 ~ r2 goto pc+1",
            7,
            "a comparison such as `==`, found `~`",
        ),
        (
            "if r1 == 5 goto pc+1",
            10,
            "a register or a hexadecimal number of 32 bits, found `5`",
        ),
        (
            "if r1 == 0x100000000 goto pc+1",
            10,
            "a register or a hexadecimal number of 32 bits, found `0x100000000`",
        ),
        ("if w1 == r2 goto pc+1", 10, "a 32-bit register, found `r2`"),
        ("if r1 == r2 pc+1", 13, "`goto`, found `pc+1`"),
        (
            "call bpf_map_lookup_elem",
            25,
            "`#` and the number of the function, found the end of the line",
        ),
        (
            "call bpf_loop#1",
            6,
            "the name of the helper with this number, found `bpf_loop#1`",
        ),
        (
            "call #1",
            6,
            "the name of a function, found the end of the line",
        ),
        (
            "lock *(u64 *)(r1 +0) *= r2",
            22,
            "`+=`, `|=`, `&=` or `^=`, found `*=`",
        ),
        (
            "r2 = atomic_xchg((u64 *)(r1 +0), r2)",
            18,
            "the size that the name of the operation says, found `(u64`",
        ),
        (
            "r2 = atomic64_fetch_add((u64 *)(r1 +0), r3)",
            41,
            "the register of the left side, found `r3)`",
        ),
        (
            "r1 = atomic64_cmpxchg((u64 *)(r1 +0), r0, r2)",
            6,
            "`r0` on the left of a compare and exchange, found `atomic64_cmpxchg((u64`",
        ),
        ("r1 = map[fd:5]", 10, "`id:` or `idx:`, found `fd:5]`"),
        ("r1 = map[id:5][1]+0", 16, "`0`, found `1]+0`"),
        (
            "r1 = addr_space_cast(r2, 65536, 0)",
            26,
            "an address space of 16 bits, found `65536,`",
        ),
        (
            "r1 = 0x5 (truncated)",
            10,
            "the end of the line, found `(truncated)`",
        ),
        (
            "(b7) w1 = 5",
            2,
            "the operation of this instruction, found `b7)`",
        ),
        (
            "(1b7) r1 = 5",
            2,
            "an operation of two hexadecimal digits, found `1b7)`",
        ),
        ("äöü r1", 1, "an instruction, found `äöü`"),
        (
            "exit \u{1b}[0m",
            6,
            "the end of the line, found `\\u{1b}[0m`",
        ),
    ];
    for (text, column, expected) in cases {
        let line = text.lines().count();
        let expected = format!("line {line}, column {column}: expected {expected}");
        assert_eq!(error(text), expected, "{text}");
    }
    let long = error(&"x".repeat(1000));
    assert_eq!(
        long.len(),
        "line 1, column 1: expected an instruction, found `…`".len() + 24
    );
}

/// Every function of the assembler makes an instruction that its text names.
#[test]
fn every_constructor_is_canonical() {
    let mut insns = vec![
        asm::mov64_imm(R0, -1),
        asm::mov64_reg(R0, R1),
        asm::mov32_imm(R0, 1),
        asm::mov32_reg(R0, R1),
        asm::to_le(R1, 16),
        asm::to_be(R1, 32),
        asm::bswap(R1, 64),
        asm::addr_space_cast(R1, R2, 1, 0),
        asm::ld_abs(Size::H, 12),
        asm::ld_ind(Size::B, R1, -12),
        asm::call_helper(HelperId::LOOP),
        asm::call_kfunc(123, 0),
        asm::call_rel(-1),
        asm::goto(-1),
        asm::gotol(100_000),
        asm::gotox(R1),
        asm::may_goto(3),
        asm::exit(),
    ];
    for width in [Width::W32, Width::W64] {
        insns.push(asm::neg(width, R1));
        insns.extend([8, 16, 32].map(|bits| asm::movsx(width, R1, R2, bits)));
        for src in [Operand::Reg(R2), Operand::Imm(-1)] {
            insns.extend(AluOp::ALL.iter().map(|op| asm::alu(width, *op, R1, src)));
            insns.extend(
                JmpOp::ALL
                    .iter()
                    .map(|op| asm::jump_if(width, *op, R1, src, -9)),
            );
        }
    }
    for size in Size::ALL {
        insns.push(asm::ldx(size, R1, R2, 7));
        insns.push(asm::st(size, R1, -7, i32::MAX));
        insns.push(asm::stx(size, R1, R2, 7));
        insns.extend(
            AtomicOp::ALL
                .iter()
                .map(|op| asm::atomic(*op, size, R1, R2, 1)),
        );
        if size != Size::Dw {
            insns.push(asm::ldsx(size, R1, R2, 7));
        }
    }
    for pair in [
        asm::ld_imm64(R1, u64::MAX),
        asm::ld_map_fd(R1, 3),
        asm::ld_map_value(R1, 3, 16),
        asm::ld_map_idx_value(R1, 0, 16),
        asm::ld_func(R1, 5),
    ] {
        insns.extend(pair);
    }
    for (at, slots) in stream::instructions(&insns) {
        assert!(is_canonical(&insns, at), "{slots:?}");
    }
    assert_eq!(asm::ld_map_idx(R1, 3)[0].pseudo(), Some(Pseudo::MapIdx));
    assert_eq!(asm::ld_btf_id(R1, 3, 4)[1].imm, 4);
    assert_eq!(asm::call_kfunc(123, 2).call_kind(), Some(CallKind::Kfunc));
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in r"[ -~\n]{0,80}") {
        if let Ok(insns) = assemble(&text) {
            prop_assert!(insns.len() <= 2 * text.lines().count());
        }
    }

    /// Text near the grammar reaches the deep ends of it.
    #[test]
    fn any_mix_of_tokens_is_read_or_refused(
        tokens in prop::collection::vec(prop::sample::select(TOKENS), 0..12),
    ) {
        let text = tokens.concat();
        if let Err(error) = assemble(&text) {
            prop_assert_eq!(error.line, 1);
            prop_assert!(error.column <= text.len() + 1);
        }
    }
}

const TOKENS: &[&str] = &[
    " ",
    "r0",
    "w1",
    "r2",
    "=",
    "+=",
    "s>>=",
    "-",
    "+4",
    "(",
    ")",
    "*",
    "(u32 *)",
    "(s8 *)",
    "skb",
    "[",
    "]",
    "0x1f",
    "7",
    "-7",
    ",",
    "if",
    "goto",
    "pc+1",
    "pc",
    "call",
    "#",
    ";",
    "map",
    "id:",
    "idx:",
    "subprog",
    "lock",
    "atomic64_fetch_add",
    "atomic_cmpxchg",
    "load_acquire",
    "be16",
    "bswap",
    "&",
    "(void __percpu *)",
    "addr_space_cast",
    "é",
    "12:",
    "(95)",
    "exit",
];
