use proptest::prelude::*;

use super::*;
use crate::insn::asm::{self, assemble};
use crate::insn::{ByteOrder, Pseudo, stream};

fn text(insns: &[Insn]) -> String {
    disasm_one(insns, 0, &References).text
}

/// Instructions by field, and their text.
#[test]
fn one_slot_gives_its_text() {
    let cases: &[(u8, u8, u8, i16, i32, &str)] = &[
        // Arithmetic.
        (0x07, 1, 0, 0, -5, "r1 += -5"),
        (0x0f, 1, 2, 0, 0, "r1 += r2"),
        (0x04, 1, 0, 0, 5, "w1 += 5"),
        (0x0c, 1, 2, 0, 0, "w1 += w2"),
        (0x1f, 1, 2, 0, 0, "r1 -= r2"),
        (0x27, 1, 0, 0, 3, "r1 *= 3"),
        (0x3f, 1, 2, 0, 0, "r1 /= r2"),
        (0x3f, 1, 2, 1, 0, "r1 s/= r2"),
        (0x34, 1, 0, 1, -1, "w1 s/= -1"),
        (0x4f, 1, 2, 0, 0, "r1 |= r2"),
        (0x57, 1, 0, 0, 255, "r1 &= 255"),
        (0x67, 1, 0, 0, 32, "r1 <<= 32"),
        (0x77, 1, 0, 0, 32, "r1 >>= 32"),
        (0xc7, 1, 0, 0, 32, "r1 s>>= 32"),
        (0xcc, 1, 2, 0, 0, "w1 s>>= w2"),
        (0x97, 1, 0, 0, 7, "r1 %= 7"),
        (0x9c, 1, 2, 1, 0, "w1 s%= w2"),
        (0xa7, 1, 0, 0, i32::MIN, "r1 ^= -2147483648"),
        (0xb7, 0, 0, 0, 0, "r0 = 0"),
        (0xb4, 0, 0, 0, -1, "w0 = -1"),
        (0xbf, 10, 15, 0, 0, "r10 = r15"),
        (0xbc, 1, 2, 0, 0, "w1 = w2"),
        (0xbf, 1, 2, 8, 0, "r1 = (s8)r2"),
        (0xbf, 1, 2, 16, 0, "r1 = (s16)r2"),
        (0xbf, 1, 2, 32, 0, "r1 = (s32)r2"),
        (0xbc, 1, 2, 8, 0, "w1 = (s8)w2"),
        (0x87, 1, 0, 0, 0, "r1 = -r1"),
        (0x84, 1, 0, 0, 0, "w1 = -w1"),
        (0xd4, 1, 0, 0, 16, "r1 = le16 r1"),
        (0xdc, 1, 0, 0, 64, "r1 = be64 r1"),
        (0xd7, 1, 0, 0, 32, "r1 = bswap32 r1"),
        (0xbf, 1, 2, 1, 1, "r1 = addr_space_cast(r2, 0, 1)"),
        (0xbf, 1, 2, 1, -1, "r1 = addr_space_cast(r2, 65535, 65535)"),
        (0xbf, 0, 0, -1, 0, "r0 = &(void __percpu *)(r0)"),
        // Memory.
        (0x71, 1, 2, 3, 0, "r1 = *(u8 *)(r2 +3)"),
        (0x69, 1, 2, -3, 0, "r1 = *(u16 *)(r2 -3)"),
        (0x61, 1, 2, 0, 0, "r1 = *(u32 *)(r2 +0)"),
        (0x79, 1, 2, 32767, 0, "r1 = *(u64 *)(r2 +32767)"),
        (0x91, 1, 2, 3, 0, "r1 = *(s8 *)(r2 +3)"),
        (0x89, 1, 2, 3, 0, "r1 = *(s16 *)(r2 +3)"),
        (0x81, 1, 2, 3, 0, "r1 = *(s32 *)(r2 +3)"),
        (0x73, 1, 2, 3, 0, "*(u8 *)(r1 +3) = r2"),
        (0x7b, 10, 1, -8, 0, "*(u64 *)(r10 -8) = r1"),
        (0x62, 10, 0, -4, -7, "*(u32 *)(r10 -4) = -7"),
        (0x7a, 10, 0, -32768, 0, "*(u64 *)(r10 -32768) = 0"),
        (0xc2, 0, 0, 0, 0, "nospec"),
        (0x20, 0, 0, 0, -4, "r0 = *(u32 *)skb[-4]"),
        (0x28, 0, 0, 0, 12, "r0 = *(u16 *)skb[12]"),
        (0x50, 0, 3, 0, -2, "r0 = *(u8 *)skb[r3 + -2]"),
        (0xdb, 1, 2, 8, 0x00, "lock *(u64 *)(r1 +8) += r2"),
        (0xc3, 1, 2, 8, 0x40, "lock *(u32 *)(r1 +8) |= r2"),
        (0xd3, 1, 2, 8, 0x50, "lock *(u8 *)(r1 +8) &= r2"),
        (0xcb, 1, 2, 8, 0xa0, "lock *(u16 *)(r1 +8) ^= r2"),
        (
            0xdb,
            1,
            2,
            8,
            0x01,
            "r2 = atomic64_fetch_add((u64 *)(r1 +8), r2)",
        ),
        (
            0xc3,
            1,
            2,
            8,
            0x41,
            "r2 = atomic_fetch_or((u32 *)(r1 +8), r2)",
        ),
        (
            0xc3,
            1,
            2,
            8,
            0x51,
            "r2 = atomic_fetch_and((u32 *)(r1 +8), r2)",
        ),
        (
            0xc3,
            1,
            2,
            8,
            0xa1,
            "r2 = atomic_fetch_xor((u32 *)(r1 +8), r2)",
        ),
        (
            0xdb,
            1,
            2,
            8,
            0xe1,
            "r2 = atomic64_xchg((u64 *)(r1 +8), r2)",
        ),
        (
            0xdb,
            1,
            2,
            8,
            0xf1,
            "r0 = atomic64_cmpxchg((u64 *)(r1 +8), r0, r2)",
        ),
        (0xd3, 1, 2, -8, 0x100, "r1 = load_acquire((u8 *)(r2 -8))"),
        (0xcb, 1, 2, -8, 0x110, "store_release((u16 *)(r1 -8), r2)"),
        // Jumps.
        (0x05, 0, 0, -1, 0, "goto pc-1"),
        (0x06, 0, 0, 0, 70_000, "gotol pc+70000"),
        (0x0d, 3, 0, 0, 0, "gotox r3"),
        (0xe5, 0, 0, 2, 0, "may_goto pc+2"),
        (0x15, 1, 0, 5, 2, "if r1 == 0x2 goto pc+5"),
        (0x55, 1, 0, 5, -1, "if r1 != 0xffffffff goto pc+5"),
        (0x2d, 1, 2, 5, 0, "if r1 > r2 goto pc+5"),
        (0x3e, 1, 2, 0, 0, "if w1 >= w2 goto pc+0"),
        (0x45, 1, 0, 5, 0, "if r1 & 0x0 goto pc+5"),
        (0x66, 1, 0, 5, 16, "if w1 s> 0x10 goto pc+5"),
        (0x7d, 1, 2, 5, 0, "if r1 s>= r2 goto pc+5"),
        (0xad, 1, 2, 5, 0, "if r1 < r2 goto pc+5"),
        (0xb5, 1, 0, 5, 0, "if r1 <= 0x0 goto pc+5"),
        (0xcd, 1, 2, 5, 0, "if r1 s< r2 goto pc+5"),
        (0xde, 1, 2, -5, 0, "if w1 s<= w2 goto pc-5"),
        (0x85, 0, 0, 0, 1, "call bpf_map_lookup_elem#1"),
        (0x85, 0, 0, 0, 0, "call bpf_unspec#0"),
        (0x85, 0, 0, 0, 212, "call unknown#212"),
        (0x85, 0, 0, 0, -9, "call unknown#-9"),
        (0x85, 0, 1, 0, 5, "call pc+5"),
        (0x85, 0, 2, 0, 71_234, "call kernel-function#71234"),
        (0x95, 0, 0, 0, 0, "exit"),
    ];
    for (code, dst, src, off, imm, expected) in cases {
        let insn = Insn::new(*code, *dst, *src, *off, *imm);
        assert_eq!(text(&[insn]), *expected);
        assert!(is_canonical(&[insn], 0), "{expected}");
        assert_eq!(assemble(expected), Ok(vec![insn]));
        let line = disasm_one(&[insn], 0, &References);
        assert_eq!(line.to_string(), format!("({code:02x}) {expected}"));
    }
}

/// Codes without meaning, as the kernel's `printf` spells them.
#[test]
fn odd_codes_keep_the_kernels_words() {
    let cases: &[(u8, u8, u8, i16, i32, &str)] = &[
        (0x00, 0, 0, 0, 0, "BUG_ld_00"),
        (0x61 & !0x60, 0, 0, 0, 0, "BUG_ldx_01"),
        (0xf9, 0, 0, 0, 0, "BUG_ldx_f9"),
        // The kernel reads beyond its table of sizes here.
        (0x99, 1, 2, 0, 0, "BUG_ldx_99"),
        (0x02, 0, 0, 0, 0, "BUG_st_02"),
        (0xdb, 0, 0, 0, 0x42, "BUG_db"),
        (0x03, 0, 0, 0, 0, "BUG_03"),
        (0xe7, 1, 0, 0, 5, "(e7) r1 (null) 5"),
        (0xfc, 1, 2, 0, 5, "(fc) w1 (null) w2"),
        (0xf5, 1, 0, 1, 5, "(f5) if r1 (null) 0x5 goto pc+1"),
        (0xe5, 1, 2, 1, 5, "(e5) if r1 (null) 0x5 goto pc+1"),
        (0xee, 1, 2, 1, 5, "(ee) if w1 (null) w2 goto pc+1"),
        (0x0e, 1, 2, 1, 5, "(0e) if w1 jmp w2 goto pc+1"),
        (0x9d, 1, 2, 1, 5, "(9d) if r1 exit r2 goto pc+1"),
        (0x96, 1, 2, 1, 5, "(96) if w1 exit 0x5 goto pc+1"),
        (0x85, 0, 3, 0, 1, "(85) call unknown#1"),
        (0x8e, 0, 0, 0, 1, "(8e) call bpf_map_lookup_elem#1"),
    ];
    for (code, dst, src, off, imm, expected) in cases {
        let insn = Insn::new(*code, *dst, *src, *off, *imm);
        assert_eq!(disasm_one(&[insn], 0, &NoSymbols).to_string(), *expected);
        assert!(!is_canonical(&[insn], 0), "{expected}");
    }
}

#[test]
fn wide_loads_show_references_when_asked() {
    let cases: &[(Pseudo, i32, i32, &str, &str)] = &[
        (Pseudo::Number, -2, 1, "0x1fffffffe", "0x1fffffffe"),
        (Pseudo::MapFd, 7, 0, "map[id:7]", "0x7"),
        (Pseudo::MapValue, 7, 12, "map[id:7][0]+12", "0xc00000007"),
        (
            Pseudo::MapValue,
            7,
            -1,
            "map[id:7][0]+-1",
            "0xffffffff00000007",
        ),
        (Pseudo::BtfId, 7, 0, "0x7", "0x7"),
        (Pseudo::Func, -3, 0, "subprog[-3]", "0xfffffffd"),
        (Pseudo::MapIdx, 2, 0, "0x2", "0x2"),
        (Pseudo::MapIdxValue, 2, 4, "map[idx:2]+4", "0x400000002"),
    ];
    for (kind, low, high, reference, number) in cases {
        let pair = asm::ld_pseudo(asm::R1, *kind, *low, *high);
        let line = disasm_one(&pair, 0, &References);
        assert_eq!(line.to_string(), format!("(18) r1 = {reference}"));
        assert_eq!(line.slots, 2);
        let numeric = disasm_one(&pair, 0, &NoSymbols).text;
        assert_eq!(numeric, format!("r1 = {number}"));
        let hidden = matches!(kind, Pseudo::BtfId | Pseudo::MapIdx);
        assert_eq!(is_canonical(&pair, 0), !hidden, "{kind:?}");
        if !hidden {
            assert_eq!(assemble(&line.text), Ok(pair.to_vec()));
        }
    }
}

#[test]
fn a_wide_load_without_second_slot_is_shown() {
    let first = asm::ld_imm64(asm::R1, 0xdead_beef_0000_0005)[0];
    let line = disasm_one(&[asm::exit(), first], 1, &NoSymbols);
    assert_eq!(line.to_string(), "(18) r1 = 0x5 (truncated)");
    assert_eq!(line.slots, 1);
    assert!(!is_canonical(&[first], 0));
    assert!(assemble(&line.text).is_err());
}

#[test]
fn beyond_the_end_there_is_no_text() {
    for idx in [1, usize::MAX] {
        let line = disasm_one(&[asm::exit()], idx, &NoSymbols);
        assert_eq!((line.to_string().as_str(), line.slots), ("", 1));
        assert!(!is_canonical(&[asm::exit()], idx));
    }
}

#[test]
fn unused_fields_make_an_instruction_not_canonical() {
    let exit = asm::exit();
    for insn in [exit.with_dst(1), exit.with_off(1), exit.with_imm(1)] {
        assert_eq!(text(&[insn]), "exit");
        assert!(!is_canonical(&[insn], 0));
    }
    let mut pair = asm::ld_imm64(asm::R1, 5);
    pair[1].off = 1;
    assert!(!is_canonical(&pair, 0));
}

/// Names every call by its slot.
struct Slots;

impl Symbols for Slots {
    fn call(&self, insn: &Insn, idx: usize) -> Option<String> {
        (insn.imm != 0).then(|| format!("f{idx}#{}", insn.imm))
    }

    fn imm64(&self, _insn: &Insn, full: u64, idx: usize) -> Option<String> {
        (full != 0).then(|| format!("v{idx}"))
    }
}

#[test]
fn symbols_name_calls_and_loads() {
    let source = "call bpf_ktime_get_ns#5\ncall pc+9\ncall kernel-function#8\ncall x#4096\n\
                  call kernel-function#0\nr1 = 0x1\nr1 = 0x0";
    let insns = assemble(source).unwrap();
    let lines: Vec<_> = stream::instructions(&insns)
        .map(|(at, _)| disasm_one(&insns, at, &Slots).text)
        .collect();
    let expected = [
        "call bpf_ktime_get_ns#5",
        "call f1#9",
        "call f2#8",
        "call f3#4096",
        "call kernel-function#0",
        "r1 = v5",
        "r1 = 0x0",
    ];
    assert_eq!(lines, expected);
    let odd = Insn::new(0x85, 0, 9, 0, 3);
    assert_eq!(disasm_one(&[odd], 0, &Slots).text, "call f0#3");
}

proptest! {
    #[test]
    fn any_bytes_have_text(bytes in prop::collection::vec(any::<u8>(), 0..64), idx in 0usize..9) {
        let whole = bytes.len() / Insn::SIZE * Insn::SIZE;
        for order in [ByteOrder::Little, ByteOrder::Big] {
            let insns = stream::decode(&bytes[..whole], order).unwrap();
            for syms in [&NoSymbols as &dyn Symbols, &References, &Slots] {
                let line = disasm_one(&insns, idx, syms);
                prop_assert!(line.slots == 1 || line.slots == 2);
                prop_assert_eq!(line.text.is_empty(), idx >= insns.len());
                let mut full = String::new();
                let slots = write_with_code(&mut full, &insns, idx, syms).unwrap();
                prop_assert_eq!(full, line.to_string());
                prop_assert_eq!(slots, line.slots);
            }
        }
    }

    /// Whatever has a meaning has a text that assembles to its canonical form.
    #[test]
    fn text_assembles_to_the_canonical_form(
        code: u8, regs: u8, off in offset(), imm in immediate(), high in immediate(),
    ) {
        let first = Insn { code, regs, off, imm };
        let insns = [first, Insn::new(0, 0, 0, 0, high)];
        let text = text(&insns);
        if let Some(form) = Form::of(first, Some(high)) {
            let canonical = form.encode();
            let canonical = canonical.as_ref();
            let assembled = assemble(&text);
            prop_assert_eq!(assembled.as_deref(), Ok(canonical), "{}", text);
            prop_assert!(is_canonical(canonical, 0));
            let again = disasm_one(canonical, 0, &References).text;
            prop_assert_eq!(&text, &again);
            prop_assert_eq!(is_canonical(&insns, 0), insns.starts_with(canonical));
        } else {
            prop_assert!(!is_canonical(&insns, 0));
        }
    }
}

fn offset() -> impl Strategy<Value = i16> {
    prop_oneof![
        any::<i16>(),
        Just(0),
        Just(-1),
        Just(1),
        Just(8),
        Just(16),
        Just(32)
    ]
}

fn immediate() -> impl Strategy<Value = i32> {
    let atomics: Vec<_> = AtomicOp::ALL.iter().map(|op| op.imm()).collect();
    prop_oneof![any::<i32>(), -2..220i32, prop::sample::select(atomics)]
}
