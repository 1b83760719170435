//! Instructions from function calls, from a builder and from text.
//!
//! The functions give one instruction each and take their operands in the
//! order of the kernel's macros: destination, source, offset, immediate. A
//! 64-bit load is a pair. Streams are put together with [`Builder`], which
//! knows labels, or read from text with [`assemble`].
//!
//! ```
//! use bpfsys::insn::asm::{R0, exit, mov64_imm};
//!
//! let minimal = [mov64_imm(R0, 0), exit()];
//! # assert_eq!(minimal, *bpfsys::insn::asm::assemble("r0 = 0\nexit").unwrap());
//! ```

mod builder;
mod scan;
mod text;

pub use builder::{BuildError, Builder, Label};
pub use text::{AsmError, assemble};

use super::Insn;
use super::opcode::{
    AluOp, AtomicOp, CallKind, Class, JmpOp, MOV_CAST, Operand, Pseudo, SRC_K, SRC_X, Size, Width,
    alu as alu_bits, code, mode, split_imm64,
};
pub use super::reg::{R0, R1, R2, R3, R4, R5, R6, R7, R8, R9, R10, R11, Reg};
use crate::uapi::helpers::HelperId;

/// Packs a class, an operation and an operand: what arithmetic and comparisons share.
const fn with_operand(class: u8, op: u8, dst: Reg, src: Operand, off: i16) -> Insn {
    match src {
        Operand::Reg(src) => Insn::new(class | op | SRC_X, dst.get(), src.get(), off, 0),
        Operand::Imm(imm) => Insn::new(class | op | SRC_K, dst.get(), 0, off, imm),
    }
}

/// `dst op= src`, of either width.
#[must_use]
pub const fn alu(width: Width, op: AluOp, dst: Reg, src: Operand) -> Insn {
    with_operand(width.alu_class(), op.bits(), dst, src, op.off())
}

/// `dst op= imm` on 64 bits; the immediate is sign-extended.
#[must_use]
pub const fn alu64_imm(op: AluOp, dst: Reg, imm: i32) -> Insn {
    alu(Width::W64, op, dst, Operand::Imm(imm))
}

/// `dst op= src` on 64 bits.
#[must_use]
pub const fn alu64_reg(op: AluOp, dst: Reg, src: Reg) -> Insn {
    alu(Width::W64, op, dst, Operand::Reg(src))
}

/// `dst op= imm` on 32 bits.
#[must_use]
pub const fn alu32_imm(op: AluOp, dst: Reg, imm: i32) -> Insn {
    alu(Width::W32, op, dst, Operand::Imm(imm))
}

/// `dst op= src` on 32 bits.
#[must_use]
pub const fn alu32_reg(op: AluOp, dst: Reg, src: Reg) -> Insn {
    alu(Width::W32, op, dst, Operand::Reg(src))
}

/// `r1 = 5`; the immediate is sign-extended.
#[must_use]
pub const fn mov64_imm(dst: Reg, imm: i32) -> Insn {
    alu64_imm(AluOp::Mov, dst, imm)
}

/// `r1 = r2`
#[must_use]
pub const fn mov64_reg(dst: Reg, src: Reg) -> Insn {
    alu64_reg(AluOp::Mov, dst, src)
}

/// `w1 = 5`; clears the high half.
#[must_use]
pub const fn mov32_imm(dst: Reg, imm: i32) -> Insn {
    alu32_imm(AluOp::Mov, dst, imm)
}

/// `w1 = w2`; clears the high half.
#[must_use]
pub const fn mov32_reg(dst: Reg, src: Reg) -> Insn {
    alu32_reg(AluOp::Mov, dst, src)
}

/// `r1 = (s8)r2`: move that sign-extends from 8, 16 or 32 bits.
///
/// Since Linux 6.6, which knows 32 for 64-bit moves only.
#[must_use]
pub const fn movsx(width: Width, dst: Reg, src: Reg, bits: u8) -> Insn {
    let code = width.alu_class() | alu_bits::MOV | SRC_X;
    Insn::new(code, dst.get(), src.get(), bits as i16, 0)
}

/// `r1 = -r1`
#[must_use]
pub const fn neg(width: Width, dst: Reg) -> Insn {
    Insn::new(width.alu_class() | alu_bits::NEG, dst.get(), 0, 0, 0)
}

/// `r1 = le16 r1`: between the host's order and little endian, 16, 32 or 64 bits.
#[doc(alias = "BPF_TO_LE")]
#[must_use]
pub const fn to_le(dst: Reg, bits: i32) -> Insn {
    let code = Class::Alu as u8 | alu_bits::END | SRC_K;
    Insn::new(code, dst.get(), 0, 0, bits)
}

/// `r1 = be16 r1`: between the host's order and big endian, 16, 32 or 64 bits.
#[doc(alias = "BPF_TO_BE")]
#[must_use]
pub const fn to_be(dst: Reg, bits: i32) -> Insn {
    let code = Class::Alu as u8 | alu_bits::END | SRC_X;
    Insn::new(code, dst.get(), 0, 0, bits)
}

/// `r1 = bswap16 r1`: swaps the bytes of 16, 32 or 64 bits. Since Linux 6.6.
#[must_use]
pub const fn bswap(dst: Reg, bits: i32) -> Insn {
    Insn::new(Class::Alu64 as u8 | alu_bits::END, dst.get(), 0, 0, bits)
}

/// `r1 = addr_space_cast(r2, to, from)`: between arena address spaces. Since Linux 6.9.
#[must_use]
pub const fn addr_space_cast(dst: Reg, src: Reg, to: u16, from: u16) -> Insn {
    let ([t0, t1], [f0, f1]) = (to.to_le_bytes(), from.to_le_bytes());
    let imm = i32::from_le_bytes([f0, f1, t0, t1]);
    Insn::new(code::MOV64_REG, dst.get(), src.get(), MOV_CAST, imm)
}

/// `r1 = *(u32 *)(r2 +4)`
#[doc(alias = "BPF_LDX_MEM")]
#[must_use]
pub const fn ldx(size: Size, dst: Reg, src: Reg, off: i16) -> Insn {
    let code = Class::Ldx as u8 | mode::MEM | size as u8;
    Insn::new(code, dst.get(), src.get(), off, 0)
}

/// `r1 = *(s32 *)(r2 +4)`: load that sign-extends; not for eight bytes. Since Linux 6.6.
#[doc(alias = "BPF_LDX_MEMSX")]
#[must_use]
pub const fn ldsx(size: Size, dst: Reg, src: Reg, off: i16) -> Insn {
    let code = Class::Ldx as u8 | mode::MEMSX | size as u8;
    Insn::new(code, dst.get(), src.get(), off, 0)
}

/// `*(u32 *)(r1 +4) = r2`
#[doc(alias = "BPF_STX_MEM")]
#[must_use]
pub const fn stx(size: Size, dst: Reg, src: Reg, off: i16) -> Insn {
    let code = Class::Stx as u8 | mode::MEM | size as u8;
    Insn::new(code, dst.get(), src.get(), off, 0)
}

/// `*(u32 *)(r1 +4) = 5`
#[doc(alias = "BPF_ST_MEM")]
#[must_use]
pub const fn st(size: Size, dst: Reg, off: i16, imm: i32) -> Insn {
    let code = Class::St as u8 | mode::MEM | size as u8;
    Insn::new(code, dst.get(), 0, off, imm)
}

/// `lock *(u64 *)(r1 +0) += r2` and its kin.
///
/// `dst` is the address, except for [`AtomicOp::LoadAcquire`], which loads from
/// `src` into `dst`. Four and eight bytes; the acquire and release forms take
/// all sizes.
#[doc(alias = "BPF_ATOMIC_OP")]
#[must_use]
pub const fn atomic(op: AtomicOp, size: Size, dst: Reg, src: Reg, off: i16) -> Insn {
    let code = Class::Stx as u8 | mode::ATOMIC | size as u8;
    Insn::new(code, dst.get(), src.get(), off, op.imm())
}

/// `r1 = load_acquire((u64 *)(r2 +0))`. Since Linux 6.15.
#[must_use]
pub const fn load_acquire(size: Size, dst: Reg, src: Reg, off: i16) -> Insn {
    atomic(AtomicOp::LoadAcquire, size, dst, src, off)
}

/// `store_release((u64 *)(r1 +0), r2)`. Since Linux 6.15.
#[must_use]
pub const fn store_release(size: Size, dst: Reg, src: Reg, off: i16) -> Insn {
    atomic(AtomicOp::StoreRelease, size, dst, src, off)
}

/// `r0 = *(u16 *)skb[12]`: packet data at a fixed place; `r6` must hold the packet.
#[doc(alias = "BPF_LD_ABS")]
#[must_use]
pub const fn ld_abs(size: Size, imm: i32) -> Insn {
    Insn::new(Class::Ld as u8 | mode::ABS | size as u8, 0, 0, 0, imm)
}

/// `r0 = *(u16 *)skb[r1 + 12]`: packet data relative to a register; `r6` must hold the packet.
#[doc(alias = "BPF_LD_IND")]
#[must_use]
pub const fn ld_ind(size: Size, src: Reg, imm: i32) -> Insn {
    let code = Class::Ld as u8 | mode::IND | size as u8;
    Insn::new(code, 0, src.get(), 0, imm)
}

/// 64-bit load of any kind, by its two immediates.
#[must_use]
pub const fn ld_pseudo(dst: Reg, kind: Pseudo, low: i32, high: i32) -> [Insn; 2] {
    [
        Insn::new(code::LD_IMM64, dst.get(), kind as u8, 0, low),
        Insn::new(0, 0, 0, 0, high),
    ]
}

/// `r1 = 0x123456789`
#[doc(alias = "BPF_LD_IMM64")]
#[must_use]
pub const fn ld_imm64(dst: Reg, value: u64) -> [Insn; 2] {
    let (low, high) = split_imm64(value);
    ld_pseudo(dst, Pseudo::Number, low, high)
}

/// `r1 = map[id:5]`: the map behind a file descriptor.
#[doc(alias = "BPF_LD_MAP_FD")]
#[must_use]
pub const fn ld_map_fd(dst: Reg, fd: i32) -> [Insn; 2] {
    ld_pseudo(dst, Pseudo::MapFd, fd, 0)
}

/// `r1 = map[id:5][0]+8`: a place in the first value of the map behind a file descriptor.
#[doc(alias = "BPF_LD_MAP_VALUE")]
#[must_use]
pub const fn ld_map_value(dst: Reg, fd: i32, off: i32) -> [Insn; 2] {
    ld_pseudo(dst, Pseudo::MapValue, fd, off)
}

/// Like [`ld_map_fd`], by index into the descriptors given at load. Since Linux 5.14.
#[must_use]
pub const fn ld_map_idx(dst: Reg, index: i32) -> [Insn; 2] {
    ld_pseudo(dst, Pseudo::MapIdx, index, 0)
}

/// `r1 = map[idx:0]+8`: like [`ld_map_value`], by index. Since Linux 5.14.
#[must_use]
pub const fn ld_map_idx_value(dst: Reg, index: i32, off: i32) -> [Insn; 2] {
    ld_pseudo(dst, Pseudo::MapIdxValue, index, off)
}

/// Address of a kernel variable: its BTF type, and the module's BTF descriptor or 0.
#[must_use]
pub const fn ld_btf_id(dst: Reg, type_id: i32, btf_fd: i32) -> [Insn; 2] {
    ld_pseudo(dst, Pseudo::BtfId, type_id, btf_fd)
}

/// `r1 = subprog[+3]`: a function of the same program.
///
/// The distance counts from the load's second slot, as that of a call counts
/// from the slot after it. Since Linux 5.13.
#[must_use]
pub const fn ld_func(dst: Reg, distance: i32) -> [Insn; 2] {
    ld_pseudo(dst, Pseudo::Func, distance, 0)
}

/// `call bpf_map_lookup_elem#1`
#[doc(alias = "BPF_EMIT_CALL")]
#[must_use]
pub const fn call_helper(helper: HelperId) -> Insn {
    let imm = helper.0.cast_signed();
    Insn::new(code::CALL, 0, CallKind::Helper as u8, 0, imm)
}

/// Call of the kernel function with this BTF type. Since Linux 5.13.
///
/// `module` is 0 for functions of the kernel itself, else an index into the
/// BTF descriptors given at load.
#[must_use]
pub const fn call_kfunc(type_id: u32, module: i16) -> Insn {
    let imm = type_id.cast_signed();
    Insn::new(code::CALL, 0, CallKind::Kfunc as u8, module, imm)
}

/// `call pc+5`: a function of the same program, in slots after the call.
#[must_use]
pub const fn call_rel(distance: i32) -> Insn {
    Insn::new(code::CALL, 0, CallKind::Local as u8, 0, distance)
}

/// `goto pc+5`, in slots after the jump.
#[doc(alias = "BPF_JA")]
#[must_use]
pub const fn goto(off: i16) -> Insn {
    Insn::new(code::GOTO, 0, 0, off, 0)
}

/// `gotol pc+70000`, in slots after the jump. Since Linux 6.6.
#[must_use]
pub const fn gotol(distance: i32) -> Insn {
    Insn::new(code::GOTOL, 0, 0, 0, distance)
}

/// `gotox r1`: to an address loaded from an instruction array. Since Linux 6.19.
#[must_use]
pub const fn gotox(reg: Reg) -> Insn {
    Insn::new(code::GOTOX, reg.get(), 0, 0, 0)
}

/// `may_goto pc+5`: leaves a loop that ran long enough. Since Linux 6.9.
#[doc(alias = "BPF_JCOND")]
#[must_use]
pub const fn may_goto(off: i16) -> Insn {
    Insn::new(code::MAY_GOTO, 0, 0, off, 0)
}

/// `if r1 == r2 goto pc+5`, of either width.
#[must_use]
pub const fn jump_if(width: Width, op: JmpOp, dst: Reg, src: Operand, off: i16) -> Insn {
    with_operand(width.jmp_class(), op.bits(), dst, src, off)
}

/// `if r1 == 0x5 goto pc+5`; the immediate is sign-extended.
#[doc(alias = "BPF_JMP_IMM")]
#[must_use]
pub const fn jmp_imm(op: JmpOp, dst: Reg, imm: i32, off: i16) -> Insn {
    jump_if(Width::W64, op, dst, Operand::Imm(imm), off)
}

/// `if r1 == r2 goto pc+5`
#[doc(alias = "BPF_JMP_REG")]
#[must_use]
pub const fn jmp_reg(op: JmpOp, dst: Reg, src: Reg, off: i16) -> Insn {
    jump_if(Width::W64, op, dst, Operand::Reg(src), off)
}

/// `if w1 == 0x5 goto pc+5`
#[doc(alias = "BPF_JMP32_IMM")]
#[must_use]
pub const fn jmp32_imm(op: JmpOp, dst: Reg, imm: i32, off: i16) -> Insn {
    jump_if(Width::W32, op, dst, Operand::Imm(imm), off)
}

/// `if w1 == w2 goto pc+5`
#[doc(alias = "BPF_JMP32_REG")]
#[must_use]
pub const fn jmp32_reg(op: JmpOp, dst: Reg, src: Reg, off: i16) -> Insn {
    jump_if(Width::W32, op, dst, Operand::Reg(src), off)
}

/// `exit`
#[doc(alias = "BPF_EXIT_INSN")]
#[must_use]
pub const fn exit() -> Insn {
    Insn::new(code::EXIT, 0, 0, 0, 0)
}
