//! The 8-byte BPF instruction: its fields, encoding, text and assembler.
//!
//! Pure: nothing here asks the kernel. The layers, low to high:
//!
//! - [`Insn`]: one instruction slot as the kernel keeps it in memory.
//! - [`opcode`]: what its bits mean.
//! - [`stream`]: slots from and to bytes of either byte order.
//! - [`asm`]: instructions from function calls, a builder with labels, and text.
//! - [`disasm`]: the text that the kernel and bpftool give an instruction.
//!
//! Text goes both ways:
//!
//! ```
//! use bpfsys::insn::{asm, disasm};
//!
//! let insns = asm::assemble("r0 = 2\nif r1 == 0x0 goto pc+1\nr0 = *(u32 *)(r1 +4)\nexit")?;
//! let line = disasm::disasm_one(&insns, 2, &disasm::References);
//! assert_eq!(line.text, "r0 = *(u32 *)(r1 +4)");
//! # Ok::<(), asm::AsmError>(())
//! ```

pub mod asm;
pub mod disasm;
mod form;
pub mod opcode;
mod operation;
mod reg;
pub mod stream;

pub use opcode::{AluOp, AtomicOp, CallKind, Class, JmpOp, Operand, Pseudo, Size, Width};
pub use reg::Reg;
pub use stream::ByteOrder;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// One instruction slot, in the byte order of this host.
///
/// A 64-bit immediate load takes two slots, everything else one. Any eight
/// bytes are an `Insn`; whether the kernel accepts them is another question.
#[doc(alias = "bpf_insn")]
#[derive(
    Clone, Copy, Default, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Insn {
    /// Operation: class in the low three bits, the rest depends on the class.
    pub code: u8,
    /// Both register numbers, four bits each; see [`Insn::dst`] and [`Insn::src`].
    ///
    /// Which of them has the low bits follows the host's byte order, because
    /// the kernel declares them as C bit-fields.
    pub regs: u8,
    /// Signed offset, of a memory access or a jump.
    pub off: i16,
    /// Signed immediate.
    pub imm: i32,
}

const DST_SHIFT: u32 = if cfg!(target_endian = "little") { 0 } else { 4 };
const SRC_SHIFT: u32 = 4 - DST_SHIFT;

impl Insn {
    /// Bytes in one slot.
    pub const SIZE: usize = 8;

    /// Puts an instruction together. Only the low four bits of a register count.
    #[must_use]
    pub const fn new(code: u8, dst: u8, src: u8, off: i16, imm: i32) -> Self {
        let regs = (dst & 0xf) << DST_SHIFT | (src & 0xf) << SRC_SHIFT;
        Self {
            code,
            regs,
            off,
            imm,
        }
    }

    /// The destination register number, 0 to 15 (the kernel knows 0 to 11).
    #[must_use]
    pub const fn dst(self) -> u8 {
        self.regs >> DST_SHIFT & 0xf
    }

    /// The source register number, or a pseudo kind where the operation has one.
    #[must_use]
    pub const fn src(self) -> u8 {
        self.regs >> SRC_SHIFT & 0xf
    }

    /// The same instruction with another destination register.
    #[must_use]
    pub const fn with_dst(self, dst: u8) -> Self {
        Self::new(self.code, dst, self.src(), self.off, self.imm)
    }

    /// The same instruction with another source register.
    #[must_use]
    pub const fn with_src(self, src: u8) -> Self {
        Self::new(self.code, self.dst(), src, self.off, self.imm)
    }

    /// The same instruction with another offset.
    #[must_use]
    pub const fn with_off(self, off: i16) -> Self {
        Self { off, ..self }
    }

    /// The same instruction with another immediate.
    #[must_use]
    pub const fn with_imm(self, imm: i32) -> Self {
        Self { imm, ..self }
    }

    /// Changes the destination register.
    pub const fn set_dst(&mut self, dst: u8) {
        *self = self.with_dst(dst);
    }

    /// Changes the source register.
    pub const fn set_src(&mut self, src: u8) {
        *self = self.with_src(src);
    }
}

/// One instruction is a stream of one slot; a 64-bit load is `[Insn; 2]`.
impl AsRef<[Self]> for Insn {
    fn as_ref(&self) -> &[Self] {
        std::slice::from_ref(self)
    }
}

impl std::fmt::Debug for Insn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Insn")
            .field("code", &format_args!("{:#04x}", self.code))
            .field("dst", &self.dst())
            .field("src", &self.src())
            .field("off", &self.off)
            .field("imm", &self.imm)
            .finish()
    }
}
