//! What the bits of an instruction mean: classes, sizes, modes, operations.
//!
//! The low three bits of [`Insn::code`] are the class. In the arithmetic and
//! jump classes the next bit picks the operand ([`SRC_K`] or [`SRC_X`]) and the
//! high four the operation; in the load and store classes the next two bits are
//! the size and the high three the mode.

pub use super::operation::{AluOp, AtomicOp, JmpOp};
use super::{Insn, Reg};

/// A complete operation that is not put together from parts.
pub mod code {
    use super::{Class, SRC_X, Size, alu, jmp, mode};

    /// The 64-bit immediate load, the only one that takes two slots.
    pub const LD_IMM64: u8 = Class::Ld as u8 | mode::IMM | Size::Dw as u8;
    /// Call of a helper, kernel function or function of the same program.
    pub const CALL: u8 = Class::Jmp as u8 | jmp::CALL;
    /// Return from the function.
    pub const EXIT: u8 = Class::Jmp as u8 | jmp::EXIT;
    /// Jump by [`off`](crate::insn::Insn::off).
    pub const GOTO: u8 = Class::Jmp as u8 | jmp::JA;
    /// Jump by [`imm`](crate::insn::Insn::imm). Since Linux 6.6.
    pub const GOTOL: u8 = Class::Jmp32 as u8 | jmp::JA;
    /// Jump to the address in the destination register. Since Linux 6.19.
    pub const GOTOX: u8 = Class::Jmp as u8 | jmp::JA | SRC_X;
    /// Jump that the kernel takes when a loop ran long enough. Since Linux 6.9.
    #[doc(alias = "BPF_MAY_GOTO")]
    pub const MAY_GOTO: u8 = Class::Jmp as u8 | jmp::JCOND;
    /// Move between 64-bit registers; with an offset also casts, see [`MOV_CAST`] and [`MOV_PERCPU`].
    pub const MOV64_REG: u8 = Class::Alu64 as u8 | alu::MOV | SRC_X;
    /// Speculation barrier, which only the kernel may insert.
    #[doc(alias = "BPF_NOSPEC")]
    pub const NOSPEC: u8 = Class::St as u8 | mode::NOSPEC;

    #[doc(inline)]
    pub use super::{MOV_CAST, MOV_PERCPU};
}

/// The operand is the immediate.
#[doc(alias = "BPF_K")]
pub const SRC_K: u8 = 0x00;
/// The operand is the source register.
#[doc(alias = "BPF_X")]
pub const SRC_X: u8 = 0x08;

/// Offset of a 64-bit register move that converts between address spaces. Since Linux 6.9.
#[doc(alias = "BPF_ADDR_SPACE_CAST")]
pub const MOV_CAST: i16 = 1;
/// Offset of a 64-bit register move that adds this CPU's base; only the kernel may insert it.
#[doc(alias = "BPF_ADDR_PERCPU")]
pub const MOV_PERCPU: i16 = -1;

/// Modes of the load and store classes: the high three bits of the operation.
pub mod mode {
    /// Immediate of the 64-bit load.
    #[doc(alias = "BPF_IMM")]
    pub const IMM: u8 = 0x00;
    /// Packet byte at a fixed place.
    #[doc(alias = "BPF_ABS")]
    pub const ABS: u8 = 0x20;
    /// Packet byte at a place relative to a register.
    #[doc(alias = "BPF_IND")]
    pub const IND: u8 = 0x40;
    /// Memory.
    #[doc(alias = "BPF_MEM")]
    pub const MEM: u8 = 0x60;
    /// Memory, sign-extending the value. Since Linux 6.6.
    #[doc(alias = "BPF_MEMSX")]
    pub const MEMSX: u8 = 0x80;
    /// Atomic access to memory; [`imm`](crate::insn::Insn::imm) names it.
    #[doc(alias = "BPF_ATOMIC")]
    pub const ATOMIC: u8 = 0xc0;
    /// In the store class: the speculation barrier.
    #[doc(alias = "BPF_NOSPEC")]
    pub const NOSPEC: u8 = 0xc0;
    pub(in crate::insn) const MASK: u8 = 0xe0;
}

/// Arithmetic operations that are not of the form `dst op= src`.
pub mod alu {
    /// Negation.
    #[doc(alias = "BPF_NEG")]
    pub const NEG: u8 = 0x80;
    /// Copy.
    #[doc(alias = "BPF_MOV")]
    pub const MOV: u8 = 0xb0;
    /// Change of byte order.
    #[doc(alias = "BPF_END")]
    pub const END: u8 = 0xd0;
    pub(in crate::insn) const MASK: u8 = 0xf0;
}

/// Jump operations that compare nothing.
pub mod jmp {
    /// Unconditional.
    #[doc(alias = "BPF_JA")]
    pub const JA: u8 = 0x00;
    /// Call.
    #[doc(alias = "BPF_CALL")]
    pub const CALL: u8 = 0x80;
    /// Return.
    #[doc(alias = "BPF_EXIT")]
    pub const EXIT: u8 = 0x90;
    /// Condition that is the kernel's business; the source field says which.
    #[doc(alias = "BPF_JCOND")]
    pub const JCOND: u8 = 0xe0;
    pub(in crate::insn) const MASK: u8 = 0xf0;
}

/// Instruction class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Class {
    /// Loads that fit nowhere else.
    #[doc(alias = "BPF_LD")]
    Ld = 0,
    /// Loads from memory into a register.
    #[doc(alias = "BPF_LDX")]
    Ldx = 1,
    /// Stores of an immediate.
    #[doc(alias = "BPF_ST")]
    St = 2,
    /// Stores of a register, and atomic operations.
    #[doc(alias = "BPF_STX")]
    Stx = 3,
    /// 32-bit arithmetic.
    #[doc(alias = "BPF_ALU")]
    Alu = 4,
    /// Jumps that compare 64 bits, calls and exit.
    #[doc(alias = "BPF_JMP")]
    Jmp = 5,
    /// Jumps that compare 32 bits.
    #[doc(alias = "BPF_JMP32")]
    Jmp32 = 6,
    /// 64-bit arithmetic.
    #[doc(alias = "BPF_ALU64")]
    Alu64 = 7,
}

impl Class {
    /// The class of an operation.
    #[must_use]
    pub const fn of(code: u8) -> Self {
        match code & 7 {
            0 => Self::Ld,
            1 => Self::Ldx,
            2 => Self::St,
            3 => Self::Stx,
            4 => Self::Alu,
            5 => Self::Jmp,
            6 => Self::Jmp32,
            _ => Self::Alu64,
        }
    }
}

/// Size of a memory access.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Size {
    /// Four bytes.
    #[doc(alias = "BPF_W")]
    W = 0x00,
    /// Two bytes.
    #[doc(alias = "BPF_H")]
    H = 0x08,
    /// One byte.
    #[doc(alias = "BPF_B")]
    B = 0x10,
    /// Eight bytes.
    #[doc(alias = "BPF_DW")]
    Dw = 0x18,
}

impl Size {
    /// Every size, by rising width.
    pub const ALL: [Self; 4] = [Self::B, Self::H, Self::W, Self::Dw];

    /// The size bits of a load or store.
    #[must_use]
    pub const fn of(code: u8) -> Self {
        match code & 0x18 {
            0x00 => Self::W,
            0x08 => Self::H,
            0x10 => Self::B,
            _ => Self::Dw,
        }
    }

    /// Width in bytes.
    #[must_use]
    pub const fn bytes(self) -> u32 {
        match self {
            Self::B => 1,
            Self::H => 2,
            Self::W => 4,
            Self::Dw => 8,
        }
    }

    /// The size of this many bytes.
    #[must_use]
    pub const fn from_bytes(bytes: u32) -> Option<Self> {
        match bytes {
            1 => Some(Self::B),
            2 => Some(Self::H),
            4 => Some(Self::W),
            8 => Some(Self::Dw),
            _ => None,
        }
    }
}

/// How much of a register an operation works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Width {
    /// The low half, written `w0`; arithmetic clears the high half.
    W32,
    /// All of it, written `r0`.
    W64,
}

impl Width {
    pub(super) const fn alu_class(self) -> u8 {
        match self {
            Self::W32 => Class::Alu as u8,
            Self::W64 => Class::Alu64 as u8,
        }
    }

    pub(super) const fn jmp_class(self) -> u8 {
        match self {
            Self::W32 => Class::Jmp32 as u8,
            Self::W64 => Class::Jmp as u8,
        }
    }
}

/// The second operand of arithmetic, a comparison or a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operand {
    /// A register.
    Reg(Reg),
    /// An immediate, sign-extended where the operation is 64 bits wide.
    Imm(i32),
}

impl From<Reg> for Operand {
    fn from(reg: Reg) -> Self {
        Self::Reg(reg)
    }
}

impl From<i32> for Operand {
    fn from(imm: i32) -> Self {
        Self::Imm(imm)
    }
}

/// What the two immediates of a 64-bit load stand for: its source field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Pseudo {
    /// The number itself.
    Number = 0,
    /// Map, by file descriptor (by id in a listing from the kernel).
    #[doc(alias = "BPF_PSEUDO_MAP_FD")]
    MapFd = 1,
    /// Place in the first value of a map, by file descriptor.
    #[doc(alias = "BPF_PSEUDO_MAP_VALUE")]
    MapValue = 2,
    /// Kernel variable, by BTF type and BTF file descriptor.
    #[doc(alias = "BPF_PSEUDO_BTF_ID")]
    BtfId = 3,
    /// Function of the same program, by distance.
    #[doc(alias = "BPF_PSEUDO_FUNC")]
    Func = 4,
    /// Map, by index into the descriptors given at load. Since Linux 5.14.
    #[doc(alias = "BPF_PSEUDO_MAP_IDX")]
    MapIdx = 5,
    /// Place in the first value of a map, by index. Since Linux 5.14.
    #[doc(alias = "BPF_PSEUDO_MAP_IDX_VALUE")]
    MapIdxValue = 6,
}

impl Pseudo {
    /// The kind that a source field names.
    #[must_use]
    pub const fn from_src(src: u8) -> Option<Self> {
        Some(match src {
            0 => Self::Number,
            1 => Self::MapFd,
            2 => Self::MapValue,
            3 => Self::BtfId,
            4 => Self::Func,
            5 => Self::MapIdx,
            6 => Self::MapIdxValue,
            _ => return None,
        })
    }
}

/// Whom a call calls: its source field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum CallKind {
    /// Helper, by number.
    Helper = 0,
    /// Function of the same program, by distance.
    #[doc(alias = "BPF_PSEUDO_CALL")]
    Local = 1,
    /// Kernel function, by BTF type. Since Linux 5.13.
    #[doc(alias = "BPF_PSEUDO_KFUNC_CALL")]
    Kfunc = 2,
}

impl CallKind {
    /// The kind that a source field names.
    #[must_use]
    pub const fn from_src(src: u8) -> Option<Self> {
        Some(match src {
            0 => Self::Helper,
            1 => Self::Local,
            2 => Self::Kfunc,
            _ => return None,
        })
    }
}

impl Insn {
    /// The instruction class.
    #[must_use]
    pub const fn class(self) -> Class {
        Class::of(self.code)
    }

    /// Whether this is the first slot of a 64-bit immediate load.
    #[must_use]
    pub const fn is_wide(self) -> bool {
        self.code == code::LD_IMM64
    }

    /// Slots taken: 2 for a 64-bit immediate load, else 1.
    #[must_use]
    pub const fn slots(self) -> usize {
        if self.is_wide() { 2 } else { 1 }
    }

    /// What a 64-bit immediate load refers to; none for other instructions and unknown kinds.
    #[must_use]
    pub const fn pseudo(self) -> Option<Pseudo> {
        if self.is_wide() {
            Pseudo::from_src(self.src())
        } else {
            None
        }
    }

    /// Whom a call calls; none for other instructions and unknown kinds.
    #[must_use]
    pub const fn call_kind(self) -> Option<CallKind> {
        if self.code == code::CALL {
            CallKind::from_src(self.src())
        } else {
            None
        }
    }

    /// Whether control never reaches the next instruction by itself.
    #[must_use]
    pub const fn ends_flow(self) -> bool {
        matches!(
            self.code,
            code::EXIT | code::GOTO | code::GOTOL | code::GOTOX
        )
    }

    /// How far a jump jumps, in slots after the next one.
    ///
    /// None for instructions that do not jump, for calls and for jumps whose
    /// target is in a register.
    #[must_use]
    pub const fn jump_distance(self) -> Option<i32> {
        match (self.class(), self.code & jmp::MASK) {
            (Class::Jmp | Class::Jmp32, jmp::CALL | jmp::EXIT) => None,
            (Class::Jmp32, jmp::JA) => Some(self.imm),
            (Class::Jmp, jmp::JA) if self.code == code::GOTOX => None,
            (Class::Jmp | Class::Jmp32, _) => Some(self.off as i32),
            _ => None,
        }
    }
}

/// The 64-bit number that two immediates make.
#[must_use]
pub const fn join_imm64(low: i32, high: i32) -> u64 {
    (high.cast_unsigned() as u64) << 32 | low.cast_unsigned() as u64
}

/// The two immediates, low one first, that make a 64-bit number.
#[must_use]
pub const fn split_imm64(value: u64) -> (i32, i32) {
    let [a, b, c, d, e, f, g, h] = value.to_le_bytes();
    (
        i32::from_le_bytes([a, b, c, d]),
        i32::from_le_bytes([e, f, g, h]),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn named_codes_have_the_kernels_numbers() {
        assert_eq!(code::LD_IMM64, 0x18);
        assert_eq!(code::CALL, 0x85);
        assert_eq!(code::EXIT, 0x95);
        assert_eq!(code::GOTO, 0x05);
        assert_eq!(code::GOTOL, 0x06);
        assert_eq!(code::GOTOX, 0x0d);
        assert_eq!(code::MAY_GOTO, 0xe5);
        assert_eq!(code::MOV64_REG, 0xbf);
        assert_eq!(code::NOSPEC, 0xc2);
    }

    #[test]
    fn sizes_come_back_from_bits_and_bytes() {
        for size in Size::ALL {
            assert_eq!(Size::of(size as u8), size);
            assert_eq!(Size::from_bytes(size.bytes()), Some(size));
        }
    }

    #[test]
    fn jump_distance_reads_the_field_of_the_jump() {
        let at = |code, src| Insn::new(code, 0, src, -3, 70_000).jump_distance();
        assert_eq!(at(code::GOTO, 0), Some(-3));
        assert_eq!(at(code::GOTOL, 0), Some(70_000));
        assert_eq!(at(code::GOTOX, 0), None);
        assert_eq!(at(code::MAY_GOTO, 0), Some(-3));
        assert_eq!(at(0x16, 0), Some(-3));
        assert_eq!(at(code::CALL, 1), None);
        assert_eq!(at(code::EXIT, 0), None);
        assert_eq!(at(0xb7, 0), None);
    }

    #[test]
    fn wide_immediates_split_and_join() {
        for value in [0, 1, u64::MAX, 0x8000_0000, 0x1234_5678_9abc_def0] {
            let (low, high) = split_imm64(value);
            assert_eq!(join_imm64(low, high), value);
        }
        assert_eq!(join_imm64(-1, 0), 0xffff_ffff);
    }
}
