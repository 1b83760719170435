//! What the text of an instruction says, and nothing else.
//!
//! A listing does not show every field: `exit` hides both registers. A
//! [`Form`] holds exactly what is shown, so an instruction that equals the
//! encoding of its own form is the one its text stands for. The disassembler
//! goes from slots to form to text, the assembler the other way.

use super::asm;
use super::opcode::{
    AluOp, AtomicOp, CallKind, Class, JmpOp, MOV_CAST, MOV_PERCPU, Operand, Pseudo, SRC_X, Size,
    Width, alu, code, jmp, join_imm64, mode, split_imm64,
};
use super::{Insn, Reg};

/// A change of byte order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Swap {
    Le,
    Be,
    Always,
}

/// What a 64-bit load puts into its register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wide {
    /// A number, or a reference that listings write as one.
    Number(u64),
    Map(i32),
    MapValue(i32, i32),
    MapIdxValue(i32, i32),
    Func(i32),
}

/// One instruction as text shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Alu {
        width: Width,
        op: AluOp,
        dst: Reg,
        src: Operand,
    },
    MovSx {
        width: Width,
        bits: u8,
        dst: Reg,
        src: Reg,
    },
    Neg {
        width: Width,
        dst: Reg,
    },
    Swap {
        kind: Swap,
        bits: i32,
        dst: Reg,
    },
    Cast {
        dst: Reg,
        src: Reg,
        spaces: i32,
    },
    PerCpu {
        dst: Reg,
        src: Reg,
    },
    Load {
        size: Size,
        signed: bool,
        dst: Reg,
        base: Reg,
        off: i16,
    },
    Store {
        size: Size,
        base: Reg,
        off: i16,
        value: Operand,
    },
    Atomic {
        op: AtomicOp,
        size: Size,
        dst: Reg,
        src: Reg,
        off: i16,
    },
    Nospec,
    Packet {
        size: Size,
        index: Option<Reg>,
        imm: i32,
    },
    Wide {
        dst: Reg,
        value: Wide,
    },
    Call {
        kind: CallKind,
        imm: i32,
    },
    Goto(i16),
    GotoLong(i32),
    GotoReg(Reg),
    MayGoto(i16),
    Exit,
    If {
        width: Width,
        op: JmpOp,
        dst: Reg,
        src: Operand,
        off: i16,
    },
}

impl Form {
    /// The form of an instruction; `high` is the immediate of the second slot.
    ///
    /// None for operations that do not exist, and for a 64-bit load without
    /// second slot.
    pub(super) fn of(insn: Insn, high: Option<i32>) -> Option<Self> {
        match insn.class() {
            Class::Alu => Self::of_alu(insn, Width::W32),
            Class::Alu64 => Self::of_alu(insn, Width::W64),
            Class::Jmp => Self::of_jmp(insn, Width::W64),
            Class::Jmp32 => Self::of_jmp(insn, Width::W32),
            Class::Ld => Self::of_ld(insn, high),
            Class::Ldx | Class::St | Class::Stx => Self::of_memory(insn),
        }
    }

    fn of_alu(insn: Insn, width: Width) -> Option<Self> {
        let dst = insn.dst_reg();
        let from_reg = insn.code & SRC_X != 0;
        let form = match (insn.code & alu::MASK, insn.off) {
            (alu::END, _) => Self::Swap {
                kind: match (width, from_reg) {
                    (Width::W64, _) => Swap::Always,
                    (Width::W32, false) => Swap::Le,
                    (Width::W32, true) => Swap::Be,
                },
                bits: insn.imm,
                dst,
            },
            (alu::NEG, _) => Self::Neg { width, dst },
            (_, MOV_CAST) if insn.code == code::MOV64_REG => Self::Cast {
                dst,
                src: insn.src_reg(),
                spaces: insn.imm,
            },
            (_, MOV_PERCPU) if insn.code == code::MOV64_REG => Self::PerCpu {
                dst,
                src: insn.src_reg(),
            },
            (alu::MOV, 8 | 16 | 32) if from_reg => Self::MovSx {
                width,
                bits: u8::try_from(insn.off).ok()?,
                dst,
                src: insn.src_reg(),
            },
            _ => Self::Alu {
                width,
                op: AluOp::of(insn)?,
                dst,
                src: insn.operand(),
            },
        };
        Some(form)
    }

    fn of_jmp(insn: Insn, width: Width) -> Option<Self> {
        if insn.code & jmp::MASK == jmp::CALL {
            let kind = CallKind::from_src(insn.src())?;
            return Some(Self::Call {
                kind,
                imm: insn.imm,
            });
        }
        let form = match insn.code {
            code::GOTO => Self::Goto(insn.off),
            code::GOTOL => Self::GotoLong(insn.imm),
            code::GOTOX => Self::GotoReg(insn.dst_reg()),
            code::MAY_GOTO if insn.src() == 0 => Self::MayGoto(insn.off),
            code::EXIT => Self::Exit,
            _ => Self::If {
                width,
                op: JmpOp::of(insn.code)?,
                dst: insn.dst_reg(),
                src: insn.operand(),
                off: insn.off,
            },
        };
        Some(form)
    }

    fn of_memory(insn: Insn) -> Option<Self> {
        let size = Size::of(insn.code);
        let (dst, src, off) = (insn.dst_reg(), insn.src_reg(), insn.off);
        let load = |signed| Self::Load {
            size,
            signed,
            dst,
            base: src,
            off,
        };
        let store = |value| Self::Store {
            size,
            base: dst,
            off,
            value,
        };
        Some(match (insn.class(), insn.code & mode::MASK) {
            (Class::Ldx, mode::MEM) => load(false),
            (Class::Ldx, mode::MEMSX) if size != Size::Dw => load(true),
            (Class::St, mode::MEM) => store(Operand::Imm(insn.imm)),
            (Class::St, mode::NOSPEC) => Self::Nospec,
            (Class::Stx, mode::MEM) => store(Operand::Reg(src)),
            (Class::Stx, mode::ATOMIC) => Self::Atomic {
                op: AtomicOp::from_imm(insn.imm)?,
                size,
                dst,
                src,
                off,
            },
            _ => return None,
        })
    }

    fn of_ld(insn: Insn, high: Option<i32>) -> Option<Self> {
        let packet = |index| Self::Packet {
            size: Size::of(insn.code),
            index,
            imm: insn.imm,
        };
        Some(match insn.code & mode::MASK {
            mode::ABS => packet(None),
            mode::IND => packet(Some(insn.src_reg())),
            _ if insn.is_wide() => Self::Wide {
                dst: insn.dst_reg(),
                value: Wide::of(insn, high?),
            },
            _ => return None,
        })
    }

    /// The slots that this text stands for: those it does not show are zero.
    pub(super) fn encode(self) -> Slots {
        let one = match self {
            Self::Wide { dst, value } => return Slots::Two(value.encode(dst)),
            Self::Alu {
                width,
                op,
                dst,
                src,
            } => asm::alu(width, op, dst, src),
            Self::MovSx {
                width,
                bits,
                dst,
                src,
            } => asm::movsx(width, dst, src, bits),
            Self::Neg { width, dst } => asm::neg(width, dst),
            Self::Swap { kind, bits, dst } => match kind {
                Swap::Le => asm::to_le(dst, bits),
                Swap::Be => asm::to_be(dst, bits),
                Swap::Always => asm::bswap(dst, bits),
            },
            Self::Cast { dst, src, spaces } => {
                Insn::new(code::MOV64_REG, dst.get(), src.get(), MOV_CAST, spaces)
            }
            Self::PerCpu { dst, src } => {
                Insn::new(code::MOV64_REG, dst.get(), src.get(), MOV_PERCPU, 0)
            }
            Self::Load {
                size,
                signed: false,
                dst,
                base,
                off,
            } => asm::ldx(size, dst, base, off),
            Self::Load {
                size,
                signed: true,
                dst,
                base,
                off,
            } => asm::ldsx(size, dst, base, off),
            Self::Store {
                size,
                base,
                off,
                value,
            } => match value {
                Operand::Reg(src) => asm::stx(size, base, src, off),
                Operand::Imm(imm) => asm::st(size, base, off, imm),
            },
            Self::Atomic {
                op,
                size,
                dst,
                src,
                off,
            } => asm::atomic(op, size, dst, src, off),
            Self::Nospec => Insn::new(code::NOSPEC, 0, 0, 0, 0),
            Self::Packet { size, index, imm } => match index {
                None => asm::ld_abs(size, imm),
                Some(index) => asm::ld_ind(size, index, imm),
            },
            Self::Call { kind, imm } => Insn::new(code::CALL, 0, kind as u8, 0, imm),
            Self::Goto(off) => asm::goto(off),
            Self::GotoLong(imm) => asm::gotol(imm),
            Self::GotoReg(reg) => asm::gotox(reg),
            Self::MayGoto(off) => asm::may_goto(off),
            Self::Exit => asm::exit(),
            Self::If {
                width,
                op,
                dst,
                src,
                off,
            } => asm::jump_if(width, op, dst, src, off),
        };
        Slots::One(one)
    }
}

impl Wide {
    fn of(insn: Insn, high: i32) -> Self {
        match Pseudo::from_src(insn.src()) {
            Some(Pseudo::MapFd) => Self::Map(insn.imm),
            Some(Pseudo::MapValue) => Self::MapValue(insn.imm, high),
            Some(Pseudo::MapIdxValue) => Self::MapIdxValue(insn.imm, high),
            Some(Pseudo::Func) => Self::Func(insn.imm),
            Some(Pseudo::Number | Pseudo::BtfId | Pseudo::MapIdx) | None => {
                Self::Number(join_imm64(insn.imm, high))
            }
        }
    }

    fn encode(self, dst: Reg) -> [Insn; 2] {
        let (pseudo, low, high) = match self {
            Self::Number(value) => {
                let (low, high) = split_imm64(value);
                (Pseudo::Number, low, high)
            }
            Self::Map(map) => (Pseudo::MapFd, map, 0),
            Self::MapValue(map, off) => (Pseudo::MapValue, map, off),
            Self::MapIdxValue(map, off) => (Pseudo::MapIdxValue, map, off),
            Self::Func(distance) => (Pseudo::Func, distance, 0),
        };
        asm::ld_pseudo(dst, pseudo, low, high)
    }
}

/// One or two slots without a heap.
#[derive(Clone, Copy, Debug)]
pub(super) enum Slots {
    One(Insn),
    Two([Insn; 2]),
}

impl AsRef<[Insn]> for Slots {
    fn as_ref(&self) -> &[Insn] {
        match self {
            Self::One(insn) => insn.as_ref(),
            Self::Two(pair) => pair,
        }
    }
}

impl Insn {
    pub(super) const fn dst_reg(self) -> Reg {
        Reg::from_field(self.dst())
    }

    pub(super) const fn src_reg(self) -> Reg {
        Reg::from_field(self.src())
    }

    /// The second operand of arithmetic or a comparison.
    pub(super) const fn operand(self) -> Operand {
        if self.code & SRC_X != 0 {
            Operand::Reg(self.src_reg())
        } else {
            Operand::Imm(self.imm)
        }
    }
}
