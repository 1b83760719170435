//! The text of an instruction, as the kernel and bpftool write it.
//!
//! One instruction gives one line: `r0 = *(u32 *)(r1 +4)`. What only the
//! surroundings know, names of called functions and of maps, comes from
//! [`Symbols`]. Codes that mean nothing still get the text that the kernel
//! gives them.

use std::fmt::{self, Write};

use super::form::{Form, Swap, Wide};
use super::opcode::{AtomicOp, CallKind, Class, Operand, SRC_X, Size, Width, jmp, join_imm64};
use super::{Insn, Reg};
use crate::uapi::helpers::HelperId;

/// Names that a listing may use instead of numbers.
///
/// `idx` is the slot of the instruction in the stream that is listed.
pub trait Symbols {
    /// The whole text after `call `, such as `pc+5#bpf_prog_6deef7357e7b4530` or
    /// `bpf_get_smp_processor_id#64`; none for the default.
    ///
    /// Not asked for helpers that the number names.
    #[expect(unused_variables, reason = "the default knows no names")]
    fn call(&self, insn: &Insn, idx: usize) -> Option<String> {
        None
    }

    /// The whole text after `r1 = ` of a 64-bit load, whose immediates make
    /// `full`; none for the default.
    #[expect(unused_variables, reason = "the default knows no names")]
    fn imm64(&self, insn: &Insn, full: u64, idx: usize) -> Option<String> {
        None
    }

    /// Whether the default for a 64-bit load shows maps and functions as
    /// references such as `map[id:7]`, as bpftool does, or as bare numbers, as
    /// the kernel does.
    fn references(&self) -> bool {
        true
    }
}

/// No names: what the kernel's own listing shows without callbacks.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoSymbols;

impl Symbols for NoSymbols {
    fn references(&self) -> bool {
        false
    }
}

/// No names, but maps and functions as references: what bpftool shows when it
/// can read no symbols.
#[derive(Clone, Copy, Debug, Default)]
pub struct References;

impl Symbols for References {}

/// One instruction as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The text that follows `(OP) `.
    pub text: String,
    /// Slots that it covers, 1 or 2: what to advance by.
    pub slots: usize,
    /// What to show as `(OP) `; none where the kernel shows only the text.
    pub code: Option<u8>,
}

/// With the operation in front, as in `(95) exit`.
impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(code) = self.code {
            write!(f, "({code:02x}) ")?;
        }
        f.write_str(&self.text)
    }
}

/// The instruction at a slot as text.
///
/// A 64-bit load that lacks its second slot is shown with the half it has and
/// the word `truncated`. Beyond the end there is no text.
#[must_use]
pub fn disasm_one(insns: &[Insn], idx: usize, syms: &dyn Symbols) -> Line {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let slots = write_one(&mut text, insns, idx, syms).unwrap_or(1);
    let code = insns
        .get(idx)
        .filter(|insn| shows_code(insn))
        .map(|insn| insn.code);
    Line { text, slots, code }
}

/// Writes the text of the instruction at a slot, without the operation in front.
///
/// Returns the slots that it covers. Allocates nothing, unless `syms` does.
///
/// # Errors
///
/// Those of `out`.
pub fn write_one(
    out: &mut impl Write,
    insns: &[Insn],
    idx: usize,
    syms: &dyn Symbols,
) -> Result<usize, fmt::Error> {
    let Some(insn) = insns.get(idx) else {
        return Ok(1);
    };
    let site = Site {
        insn,
        high: high_at(insns, idx),
        idx,
        syms,
    };
    match Form::of(*insn, site.high) {
        Some(form) => {
            site.write_form(out, form)?;
            Ok(insn.slots())
        }
        None => {
            site.write_odd(out)?;
            Ok(1)
        }
    }
}

/// Writes the text with the operation in front, where the kernel shows it: `(95) exit`.
///
/// Like [`write_one`] otherwise.
///
/// # Errors
///
/// Those of `out`.
pub fn write_with_code(
    out: &mut impl Write,
    insns: &[Insn],
    idx: usize,
    syms: &dyn Symbols,
) -> Result<usize, fmt::Error> {
    if let Some(insn) = insns.get(idx)
        && shows_code(insn)
    {
        write!(out, "({:02x}) ", insn.code)?;
    }
    write_one(out, insns, idx, syms)
}

/// Whether the text says all there is: [`assemble`](super::asm::assemble) makes
/// the same slots of it again.
///
/// The text is that with [`References`]. It hides fields that the operation
/// does not use, which a canonical instruction has at zero, and does not tell
/// a reference to a kernel variable, nor to a map by index, from a number.
#[must_use]
pub fn is_canonical(insns: &[Insn], idx: usize) -> bool {
    let Some(form) = form_at(insns, idx) else {
        return false;
    };
    let slots = form.encode();
    let expected = slots.as_ref();
    insns
        .get(idx..)
        .is_some_and(|rest| rest.starts_with(expected))
}

fn high_at(insns: &[Insn], idx: usize) -> Option<i32> {
    Some(insns.get(idx.checked_add(1)?)?.imm)
}

fn form_at(insns: &[Insn], idx: usize) -> Option<Form> {
    Form::of(*insns.get(idx)?, high_at(insns, idx))
}

/// Loads and stores of no known mode are shown as `BUG_…`, with the code in the name.
fn shows_code(insn: &Insn) -> bool {
    let memory = matches!(
        insn.class(),
        Class::Ld | Class::Ldx | Class::St | Class::Stx
    );
    !memory || insn.is_wide() || Form::of(*insn, None).is_some()
}

const fn unsigned(size: Size) -> &'static str {
    match size {
        Size::B => "u8",
        Size::H => "u16",
        Size::W => "u32",
        Size::Dw => "u64",
    }
}

const fn signed(size: Size) -> &'static str {
    match size {
        Size::B => "s8",
        Size::H => "s16",
        Size::W => "s32",
        Size::Dw => "s64",
    }
}

const fn letter(width: Width) -> char {
    match width {
        Width::W32 => 'w',
        Width::W64 => 'r',
    }
}

/// A register by the width it is used in.
struct Named(Width, Reg);

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", letter(self.0), self.1.get())
    }
}

/// Memory behind a register: `(u32 *)(r1 +4)`.
struct Place(&'static str, Reg, i16);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({} *)({} {:+})", self.0, self.1, self.2)
    }
}

/// The instruction to write, and what its text may depend on.
struct Site<'a> {
    insn: &'a Insn,
    /// The immediate of the next slot.
    high: Option<i32>,
    idx: usize,
    syms: &'a dyn Symbols,
}

impl Site<'_> {
    fn write_form(&self, out: &mut impl Write, form: Form) -> fmt::Result {
        match form {
            Form::Alu {
                width,
                op,
                dst,
                src,
            } => {
                write!(out, "{} {} ", Named(width, dst), op.token())?;
                match src {
                    Operand::Reg(src) => write!(out, "{}", Named(width, src)),
                    Operand::Imm(imm) => write!(out, "{imm}"),
                }
            }
            Form::MovSx {
                width,
                bits,
                dst,
                src,
            } => write!(
                out,
                "{} = (s{bits}){}",
                Named(width, dst),
                Named(width, src)
            ),
            Form::Neg { width, dst } => {
                write!(out, "{} = -{}", Named(width, dst), Named(width, dst))
            }
            Form::Swap { kind, bits, dst } => {
                let name = match kind {
                    Swap::Le => "le",
                    Swap::Be => "be",
                    Swap::Always => "bswap",
                };
                write!(out, "{dst} = {name}{bits} {dst}")
            }
            Form::Cast { dst, src, spaces } => {
                let spaces = spaces.cast_unsigned();
                let (to, from) = (spaces >> 16, spaces & 0xffff);
                write!(out, "{dst} = addr_space_cast({src}, {to}, {from})")
            }
            Form::PerCpu { dst, src } => write!(out, "{dst} = &(void __percpu *)({src})"),
            Form::Load {
                size,
                signed: is_signed,
                dst,
                base,
                off,
            } => {
                let name = if is_signed {
                    signed(size)
                } else {
                    unsigned(size)
                };
                write!(out, "{dst} = *{}", Place(name, base, off))
            }
            Form::Store {
                size,
                base,
                off,
                value,
            } => {
                write!(out, "*{} = ", Place(unsigned(size), base, off))?;
                match value {
                    Operand::Reg(src) => write!(out, "{src}"),
                    Operand::Imm(imm) => write!(out, "{imm}"),
                }
            }
            Form::Atomic {
                op,
                size,
                dst,
                src,
                off,
            } => write_atomic(out, op, size, dst, src, off),
            Form::Nospec => out.write_str("nospec"),
            Form::Packet { size, index, imm } => {
                write!(out, "r0 = *({} *)skb[", unsigned(size))?;
                match index {
                    None => write!(out, "{imm}]"),
                    Some(index) => write!(out, "{index} + {imm}]"),
                }
            }
            Form::Goto(off) => write!(out, "goto pc{off:+}"),
            Form::GotoLong(imm) => write!(out, "gotol pc{imm:+}"),
            Form::GotoReg(reg) => write!(out, "gotox {reg}"),
            Form::MayGoto(off) => write!(out, "may_goto pc{off:+}"),
            Form::Exit => out.write_str("exit"),
            Form::If {
                width,
                op,
                dst,
                src,
                off,
            } => write_if(out, width, op.token(), dst, src, off),
            Form::Wide { dst, value } => {
                write!(out, "{dst} = ")?;
                self.write_wide(out, value)
            }
            Form::Call { kind, imm } => self.write_call(out, kind, imm),
        }
    }

    fn write_wide(&self, out: &mut impl Write, value: Wide) -> fmt::Result {
        let full = join_imm64(self.insn.imm, self.high.unwrap_or(0));
        if let Some(text) = self.syms.imm64(self.insn, full, self.idx) {
            return out.write_str(&text);
        }
        if !self.syms.references() {
            return write!(out, "{full:#x}");
        }
        match value {
            Wide::Number(number) => write!(out, "{number:#x}"),
            Wide::Map(map) => write!(out, "map[id:{map}]"),
            Wide::MapValue(map, off) => write!(out, "map[id:{map}][0]+{off}"),
            Wide::MapIdxValue(index, off) => write!(out, "map[idx:{index}]+{off}"),
            Wide::Func(distance) => write!(out, "subprog[{distance:+}]"),
        }
    }

    fn write_call(&self, out: &mut impl Write, kind: CallKind, imm: i32) -> fmt::Result {
        out.write_str("call ")?;
        if kind == CallKind::Helper
            && let Some(name) = HelperId(imm.cast_unsigned()).bpf_name()
        {
            return write!(out, "{name}#{imm}");
        }
        if let Some(text) = self.syms.call(self.insn, self.idx) {
            return out.write_str(&text);
        }
        match kind {
            CallKind::Helper => write!(out, "unknown#{imm}"),
            CallKind::Local => write!(out, "pc{imm:+}"),
            CallKind::Kfunc => write!(out, "{KFUNC}#{imm}"),
        }
    }

    /// The kernel's words for operations that do not exist.
    ///
    /// Arithmetic and jumps keep their shape, with C's `(null)` for the missing
    /// operator; loads and stores are called bugs.
    fn write_odd(&self, out: &mut impl Write) -> fmt::Result {
        let insn = self.insn;
        let code = insn.code;
        let (width, is_jump) = match insn.class() {
            Class::Ld if insn.is_wide() => {
                let (dst, low) = (insn.dst_reg(), insn.imm.cast_unsigned());
                return write!(out, "{dst} = {low:#x} (truncated)");
            }
            Class::Ld => return write!(out, "BUG_ld_{code:02x}"),
            Class::Ldx => return write!(out, "BUG_ldx_{code:02x}"),
            Class::St => return write!(out, "BUG_st_{code:02x}"),
            Class::Stx => return write!(out, "BUG_{code:02x}"),
            Class::Alu => (Width::W32, false),
            Class::Alu64 => (Width::W64, false),
            Class::Jmp => (Width::W64, true),
            Class::Jmp32 => (Width::W32, true),
        };
        let dst = insn.dst_reg();
        if !is_jump {
            write!(out, "{} (null) ", Named(width, dst))?;
            return if code & SRC_X != 0 {
                write!(out, "{}", Named(width, insn.src_reg()))
            } else {
                write!(out, "{}", insn.imm)
            };
        }
        let token = match code & jmp::MASK {
            jmp::CALL => {
                out.write_str("call ")?;
                return match self.syms.call(insn, self.idx) {
                    Some(text) => out.write_str(&text),
                    None => write!(out, "unknown#{}", insn.imm),
                };
            }
            jmp::JA => "jmp",
            jmp::EXIT => "exit",
            _ => "(null)",
        };
        write_if(out, width, token, dst, insn.operand(), insn.off)
    }
}

fn write_if(
    out: &mut impl Write,
    width: Width,
    token: &str,
    dst: Reg,
    src: Operand,
    off: i16,
) -> fmt::Result {
    write!(out, "if {} {token} ", Named(width, dst))?;
    match src {
        Operand::Reg(src) => write!(out, "{}", Named(width, src))?,
        Operand::Imm(imm) => write!(out, "{:#x}", imm.cast_unsigned())?,
    }
    write!(out, " goto pc{off:+}")
}

fn write_atomic(
    out: &mut impl Write,
    op: AtomicOp,
    size: Size,
    dst: Reg,
    src: Reg,
    off: i16,
) -> fmt::Result {
    let place = Place(unsigned(size), dst, off);
    let suffix = if size == Size::Dw { "64" } else { "" };
    let token = op.token();
    match op {
        AtomicOp::Add | AtomicOp::Or | AtomicOp::And | AtomicOp::Xor => {
            write!(out, "lock *{place} {token} {src}")
        }
        AtomicOp::FetchAdd
        | AtomicOp::FetchOr
        | AtomicOp::FetchAnd
        | AtomicOp::FetchXor
        | AtomicOp::Xchg => write!(out, "{src} = atomic{suffix}_{token}({place}, {src})"),
        AtomicOp::CmpXchg => write!(out, "r0 = atomic{suffix}_{token}({place}, r0, {src})"),
        AtomicOp::LoadAcquire => {
            let place = Place(unsigned(size), src, off);
            write!(out, "{dst} = {token}({place})")
        }
        AtomicOp::StoreRelease => write!(out, "{token}({place}, {src})"),
    }
}

/// The name of a kernel function without symbols.
pub(super) const KFUNC: &str = "kernel-function";

#[cfg(test)]
mod tests;
