//! Instructions from text, in the grammar of the disassembler.

use super::scan::{Fault, Parsed, Scanner, Sign, is_blank, is_word};
use crate::insn::disasm::KFUNC;
use crate::insn::form::{Form, Swap, Wide};
use crate::insn::{AluOp, AtomicOp, CallKind, Insn, JmpOp, Operand, Reg, Size, Width};
use crate::uapi::helpers::HelperId;

/// Text that is no instruction.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: expected {expected}, found {found}")]
pub struct AsmError {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What could have stood there.
    pub expected: &'static str,
    /// What stands there, shortened and safe to print.
    pub found: String,
}

/// Reads instructions as the disassembler writes them, one in a line.
///
/// In front of an instruction its index and operation may stand, as in the
/// listing `  12: (95) exit`; the operation must be the right one. `;` starts
/// a comment, and so does `#` at the start of a line or after a blank. Blanks
/// between words do not matter.
///
/// ```
/// use bpfsys::insn::asm::assemble;
///
/// let insns = assemble("r1 = map[id:7]  # takes two slots\n2: (85) call bpf_map_lookup_elem#1")?;
/// assert_eq!(insns.len(), 3);
/// let error = assemble("exit\nr0 = r16").unwrap_err();
/// assert_eq!(error.to_string(), "line 2, column 6: expected a register, found `r16`");
/// # Ok::<(), bpfsys::insn::asm::AsmError>(())
/// ```
///
/// # Errors
///
/// The first line that is no instruction, and where it stops being one.
pub fn assemble(text: &str) -> Result<Vec<Insn>, AsmError> {
    let mut insns = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let text = without_comment(line);
        let form = Scanner::new(text)
            .line()
            .map_err(|fault| fault.at_line(number, text))?;
        if let Some(form) = form {
            insns.extend_from_slice(form.encode().as_ref());
        }
    }
    Ok(insns)
}

/// Cuts the comment off. A `#` inside a word is part of a call: `call f#1`.
fn without_comment(line: &str) -> &str {
    let mut after_blank = true;
    for (at, byte) in line.bytes().enumerate() {
        if byte == b';' || (byte == b'#' && after_blank) {
            return line.get(..at).unwrap_or(line);
        }
        after_blank = is_blank(byte);
    }
    line
}

impl<'a> Scanner<'a> {
    /// An instruction with what may stand before it, or nothing.
    fn line(&mut self) -> Parsed<Option<Form>> {
        if self.rest().is_empty() {
            return Ok(None);
        }
        self.eat_index();
        let code = self.eat_code()?;
        let form = self.instruction()?;
        if !self.rest().is_empty() {
            return self.fault("the end of the line");
        }
        if let Some((at, code)) = code
            && form.encode().as_ref().first().map(|insn| insn.code) != Some(code)
        {
            return Err(Fault {
                at,
                expected: "the operation of this instruction",
            });
        }
        Ok(Some(form))
    }

    /// `12:`
    fn eat_index(&mut self) {
        let start = *self;
        let digits = self.run(|byte| byte.is_ascii_digit()).len();
        self.at += digits;
        if digits == 0 || !self.eat(":") {
            *self = start;
        }
    }

    /// `(95)`, with the place where it stands.
    fn eat_code(&mut self) -> Parsed<Option<(usize, u8)>> {
        if !self.eat("(") {
            return Ok(None);
        }
        let word = self.word();
        let at = self.at;
        let Some(code) = Some(word)
            .filter(|word| word.len() == 2)
            .and_then(|word| u8::from_str_radix(word, 16).ok())
        else {
            return self.fault("an operation of two hexadecimal digits");
        };
        self.at += word.len();
        self.want(")", "`)`")?;
        Ok(Some((at, code)))
    }

    fn instruction(&mut self) -> Parsed<Form> {
        if let Some((width, dst)) = self.eat_reg() {
            return self.after_reg(width, dst);
        }
        if self.eat("*") {
            let (size, base, off) = self.place()?;
            self.want("=", "`=`")?;
            let value = self.operand(Width::W64)?;
            return Ok(Form::Store {
                size,
                base,
                off,
                value,
            });
        }
        let word = self.word();
        let start = self.at;
        self.at += word.len();
        match word {
            "if" => self.comparison(),
            "goto" => Ok(Form::Goto(self.target16()?)),
            "gotol" => Ok(Form::GotoLong(self.target32()?)),
            "gotox" => Ok(Form::GotoReg(self.reg(Width::W64)?)),
            "may_goto" => Ok(Form::MayGoto(self.target16()?)),
            "call" => self.call(),
            "exit" => Ok(Form::Exit),
            "nospec" => Ok(Form::Nospec),
            "lock" => self.lock(),
            "store_release" => {
                self.want("(", "`(`")?;
                let (size, dst, off) = self.place()?;
                self.want(",", "`,`")?;
                let src = self.reg(Width::W64)?;
                self.want(")", "`)`")?;
                Ok(Form::Atomic {
                    op: AtomicOp::StoreRelease,
                    size,
                    dst,
                    src,
                    off,
                })
            }
            _ => {
                self.at = start;
                self.fault("an instruction")
            }
        }
    }

    /// `(u32 *)` or `(s32 *)`, and whether it is signed.
    fn any_size(&mut self) -> Parsed<(Size, bool)> {
        self.want("(", "`(`")?;
        let word = self.word();
        let (size, signed) = match word {
            "u8" => (Size::B, false),
            "u16" => (Size::H, false),
            "u32" => (Size::W, false),
            "u64" => (Size::Dw, false),
            "s8" => (Size::B, true),
            "s16" => (Size::H, true),
            "s32" => (Size::W, true),
            _ => return self.fault("a size such as `u32`"),
        };
        self.at += word.len();
        self.want("*", "`*`")?;
        self.want(")", "`)`")?;
        Ok((size, signed))
    }

    /// `(r1 +4)`
    fn address(&mut self) -> Parsed<(Reg, i16)> {
        self.want("(", "`(`")?;
        let base = self.reg(Width::W64)?;
        let off = self.number(Sign::Always, "an offset such as `+4`, within 16 bits")?;
        self.want(")", "`)`")?;
        Ok((base, off))
    }

    /// `(u32 *)(r1 +4)`
    fn place(&mut self) -> Parsed<(Size, Reg, i16)> {
        let start = *self;
        let (size, signed) = self.any_size()?;
        if signed {
            *self = start;
            return self.fault("an unsigned size such as `(u32 *)`");
        }
        let (base, off) = self.address()?;
        Ok((size, base, off))
    }

    fn comparison(&mut self) -> Parsed<Form> {
        let Some((width, dst)) = self.eat_reg() else {
            return self.fault("a register");
        };
        let Some(op) = self.operator(JmpOp::ALL, JmpOp::token) else {
            return self.fault("a comparison such as `==`");
        };
        let src = if self.word().starts_with(['r', 'w']) {
            Operand::Reg(self.reg(width)?)
        } else {
            let imm: u32 = self.hex("a register or a hexadecimal number of 32 bits")?;
            Operand::Imm(imm.cast_signed())
        };
        if !self.eat_word("goto") {
            return self.fault("`goto`");
        }
        let off = self.target16()?;
        Ok(Form::If {
            width,
            op,
            dst,
            src,
            off,
        })
    }

    /// Takes the longest operator that comes next.
    fn operator<T: Copy>(&mut self, all: &[T], token: impl Fn(T) -> &'static str) -> Option<T> {
        let rest = self.rest();
        let op = all
            .iter()
            .copied()
            .filter(|op| rest.starts_with(token(*op)))
            .max_by_key(|op| token(*op).len())?;
        self.at += token(op).len();
        Some(op)
    }

    /// `f#1`, `pc+5` or `pc+5#f`.
    fn call(&mut self) -> Parsed<Form> {
        let start = *self;
        if self.eat("pc") && self.rest().starts_with(['+', '-']) {
            let imm = self.number(Sign::Always, "a distance within 32 bits")?;
            // The name of the function says nothing that the distance does not.
            if self.next_is(b'#') {
                self.at += 1;
                self.name()?;
            }
            let kind = CallKind::Local;
            return Ok(Form::Call { kind, imm });
        }
        *self = start;
        let name_at = *self;
        let name = self.name()?;
        if !self.next_is(b'#') {
            return self.fault("`#` and the number of the function");
        }
        self.at += 1;
        let imm = self.imm()?;
        let kind = if name == KFUNC {
            CallKind::Kfunc
        } else {
            CallKind::Helper
        };
        let known = HelperId(imm.cast_unsigned()).bpf_name();
        if kind == CallKind::Helper && known.is_some_and(|known| known != name) {
            *self = name_at;
            return self.fault("the name of the helper with this number");
        }
        Ok(Form::Call { kind, imm })
    }

    /// The name of a function, as symbol tables spell them.
    fn name(&mut self) -> Parsed<&'a str> {
        let name = self.run(|byte| is_word(byte) || matches!(byte, b'.' | b'$' | b'-'));
        if name.is_empty() {
            return self.fault("the name of a function");
        }
        self.at += name.len();
        Ok(name)
    }

    /// `lock *(u64 *)(r1 +0) += r2`, after the first word.
    fn lock(&mut self) -> Parsed<Form> {
        self.want("*", "`*`")?;
        let (size, dst, off) = self.place()?;
        let plain = [AtomicOp::Add, AtomicOp::Or, AtomicOp::And, AtomicOp::Xor];
        let Some(op) = self.operator(&plain, AtomicOp::token) else {
            return self.fault("`+=`, `|=`, `&=` or `^=`");
        };
        let src = self.reg(Width::W64)?;
        Ok(Form::Atomic {
            op,
            size,
            dst,
            src,
            off,
        })
    }

    /// What follows the register of the left side.
    fn after_reg(&mut self, width: Width, dst: Reg) -> Parsed<Form> {
        let Some(op) = self.operator(AluOp::ALL, AluOp::token) else {
            return self.fault("an operator such as `=`");
        };
        if op == AluOp::Mov
            && let Some(form) = self.special_move(width, dst)?
        {
            return Ok(form);
        }
        let src = self.operand(width)?;
        Ok(Form::Alu {
            width,
            op,
            dst,
            src,
        })
    }

    /// What follows `r1 = `, unless it is a plain register or decimal number.
    fn special_move(&mut self, width: Width, dst: Reg) -> Parsed<Option<Form>> {
        let rest = self.rest();
        let negates = rest
            .strip_prefix('-')
            .is_some_and(|rest| !rest.starts_with(|digit: char| digit.is_ascii_digit()));
        if negates {
            self.at += 1;
            self.same_reg(width, dst)?;
            return Ok(Some(Form::Neg { width, dst }));
        }
        if self.eat("(") {
            return self.sign_extension(width, dst).map(Some);
        }
        if width == Width::W32 {
            return Ok(None);
        }
        if let Some(form) = self.swap(dst)? {
            return Ok(Some(form));
        }
        if self.eat("*") {
            return self.load(dst).map(Some);
        }
        if self.eat("&") {
            return self.per_cpu(dst).map(Some);
        }
        let word = self.word();
        let start = self.at;
        self.at += word.len();
        let form = match word {
            "map" => self.map(dst)?,
            "subprog" => {
                self.want("[", "`[`")?;
                let distance = self.number(Sign::Always, "a distance such as `+1`")?;
                self.want("]", "`]`")?;
                let value = Wide::Func(distance);
                Form::Wide { dst, value }
            }
            "addr_space_cast" => self.cast(dst)?,
            "load_acquire" => {
                self.want("(", "`(`")?;
                let (size, src, off) = self.place()?;
                self.want(")", "`)`")?;
                Form::Atomic {
                    op: AtomicOp::LoadAcquire,
                    size,
                    dst,
                    src,
                    off,
                }
            }
            word if word.starts_with("0x") => {
                self.at = start;
                let value = Wide::Number(self.hex("a hexadecimal number of 64 bits")?);
                Form::Wide { dst, value }
            }
            word if word.starts_with("atomic") => {
                let call = word.strip_prefix("atomic").unwrap_or("");
                self.fetching(dst, call, start)?
            }
            _ => {
                self.at = start;
                return Ok(None);
            }
        };
        Ok(Some(form))
    }

    /// `s8)r2`
    fn sign_extension(&mut self, width: Width, dst: Reg) -> Parsed<Form> {
        let word = self.word();
        let bits = match word {
            "s8" => 8,
            "s16" => 16,
            "s32" => 32,
            _ => return self.fault("`s8`, `s16` or `s32`"),
        };
        self.at += word.len();
        self.want(")", "`)`")?;
        let src = self.reg(width)?;
        Ok(Form::MovSx {
            width,
            bits,
            dst,
            src,
        })
    }

    /// `be16 r1`, if that comes next.
    fn swap(&mut self, dst: Reg) -> Parsed<Option<Form>> {
        let kinds = [("le", Swap::Le), ("be", Swap::Be), ("bswap", Swap::Always)];
        let rest = self.rest();
        for (name, kind) in kinds {
            let follows = rest.strip_prefix(name).is_some_and(|rest| {
                rest.starts_with(|next: char| next == '-' || next.is_ascii_digit())
            });
            if follows {
                self.at += name.len();
                let bits = self.imm()?;
                self.same_reg(Width::W64, dst)?;
                return Ok(Some(Form::Swap { kind, bits, dst }));
            }
        }
        Ok(None)
    }

    /// `(u32 *)(r2 +4)` or `(u32 *)skb[…]`, after the star.
    fn load(&mut self, dst: Reg) -> Parsed<Form> {
        let (size, signed) = self.any_size()?;
        let start = *self;
        if !self.eat_word("skb") {
            let (base, off) = self.address()?;
            return Ok(Form::Load {
                size,
                signed,
                dst,
                base,
                off,
            });
        }
        if signed || dst != super::R0 {
            *self = start;
            return self.fault("memory such as `(r1 +0)`");
        }
        self.want("[", "`[`")?;
        let index = if self.word().starts_with(['r', 'w']) {
            let index = self.reg(Width::W64)?;
            self.want("+", "`+`")?;
            Some(index)
        } else {
            None
        };
        let imm = self.imm()?;
        self.want("]", "`]`")?;
        Ok(Form::Packet { size, index, imm })
    }

    /// `(void __percpu *)(r2)`, after the ampersand.
    fn per_cpu(&mut self, dst: Reg) -> Parsed<Form> {
        const EXPECTED: &str = "`(void __percpu *)`";
        self.want("(", EXPECTED)?;
        for word in ["void", "__percpu"] {
            if !self.eat_word(word) {
                return self.fault(EXPECTED);
            }
        }
        self.want("*", EXPECTED)?;
        self.want(")", EXPECTED)?;
        self.want("(", "`(`")?;
        let src = self.reg(Width::W64)?;
        self.want(")", "`)`")?;
        Ok(Form::PerCpu { dst, src })
    }

    /// `[id:5]`, `[id:5][0]+8` or `[idx:5]+8`
    fn map(&mut self, dst: Reg) -> Parsed<Form> {
        self.want("[", "`[`")?;
        let by_index = match self.word() {
            "id" => false,
            "idx" => true,
            _ => return self.fault("`id:` or `idx:`"),
        };
        self.at += if by_index { 3 } else { 2 };
        self.want(":", "`:`")?;
        let map = self.imm()?;
        self.want("]", "`]`")?;
        let value = if by_index {
            self.want("+", "`+`")?;
            Wide::MapIdxValue(map, self.imm()?)
        } else if self.eat("[") {
            self.want("0", "`0`")?;
            self.want("]", "`]`")?;
            self.want("+", "`+`")?;
            Wide::MapValue(map, self.imm()?)
        } else {
            Wide::Map(map)
        };
        Ok(Form::Wide { dst, value })
    }

    /// `(r2, 0, 1)`
    fn cast(&mut self, dst: Reg) -> Parsed<Form> {
        const SPACE: &str = "an address space of 16 bits";
        self.want("(", "`(`")?;
        let src = self.reg(Width::W64)?;
        self.want(",", "`,`")?;
        let to: u16 = self.number(Sign::Negative, SPACE)?;
        self.want(",", "`,`")?;
        let from: u16 = self.number(Sign::Negative, SPACE)?;
        self.want(")", "`)`")?;
        let spaces = (u32::from(to) << 16 | u32::from(from)).cast_signed();
        Ok(Form::Cast { dst, src, spaces })
    }

    /// The rest of `r2 = atomic64_fetch_add((u64 *)(r1 +0), r2)`.
    ///
    /// `call` is what follows `atomic`, which stood at `start`.
    fn fetching(&mut self, left: Reg, call: &str, start: usize) -> Parsed<Form> {
        let (is_64, call) = match call.strip_prefix("64") {
            Some(call) => (true, call),
            None => (false, call),
        };
        let op = match call {
            "_fetch_add" => AtomicOp::FetchAdd,
            "_fetch_or" => AtomicOp::FetchOr,
            "_fetch_and" => AtomicOp::FetchAnd,
            "_fetch_xor" => AtomicOp::FetchXor,
            "_xchg" => AtomicOp::Xchg,
            "_cmpxchg" => AtomicOp::CmpXchg,
            _ => {
                self.at = start;
                return self.fault("an atomic operation such as `atomic64_fetch_add`");
            }
        };
        self.want("(", "`(`")?;
        let size_at = *self;
        let (size, dst, off) = self.place()?;
        if is_64 != (size == Size::Dw) {
            *self = size_at;
            return self.fault("the size that the name of the operation says");
        }
        self.want(",", "`,`")?;
        let src = if op == AtomicOp::CmpXchg {
            if left != super::R0 {
                self.at = start;
                return self.fault("`r0` on the left of a compare and exchange");
            }
            self.same_reg(Width::W64, super::R0)?;
            self.want(",", "`,`")?;
            self.reg(Width::W64)?
        } else {
            self.same_reg(Width::W64, left)?;
            left
        };
        self.want(")", "`)`")?;
        Ok(Form::Atomic {
            op,
            size,
            dst,
            src,
            off,
        })
    }
}

#[cfg(test)]
mod tests;
