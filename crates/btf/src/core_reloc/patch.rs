//! Putting an answer into an instruction.

use super::{Fixup, Memory, Resize};
use crate::Endian;

/// The helper that a poisoned instruction calls and no kernel has: the verifier names it, if
/// the instruction can be reached.
pub const POISON_HELPER: i32 = 195_896_080;

const CALL: u8 = 0x85;
const LD_IMM64: u8 = 0x18;

/// An eBPF instruction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Insn {
    /// Operation.
    pub code: u8,
    /// Destination register.
    pub dst: u8,
    /// Source register.
    pub src: u8,
    /// Offset of loads, stores and jumps.
    pub off: i16,
    /// Constant.
    pub imm: i32,
}

impl Insn {
    /// Reads the 8 bytes of an object of that byte order.
    pub const fn decode(bytes: [u8; 8], endian: Endian) -> Self {
        let [code, regs, o0, o1, i0, i1, i2, i3] = bytes;
        let (off, imm) = ([o0, o1], [i0, i1, i2, i3]);
        match endian {
            Endian::Little => Self {
                code,
                dst: regs & 15,
                src: regs >> 4,
                off: i16::from_le_bytes(off),
                imm: i32::from_le_bytes(imm),
            },
            Endian::Big => Self {
                code,
                dst: regs >> 4,
                src: regs & 15,
                off: i16::from_be_bytes(off),
                imm: i32::from_be_bytes(imm),
            },
        }
    }

    /// The 8 bytes; registers are numbers below 16.
    pub const fn encode(self, endian: Endian) -> [u8; 8] {
        let ([o0, o1], [i0, i1, i2, i3], regs) = match endian {
            Endian::Little => (
                self.off.to_le_bytes(),
                self.imm.to_le_bytes(),
                self.dst & 15 | (self.src & 15) << 4,
            ),
            Endian::Big => (
                self.off.to_be_bytes(),
                self.imm.to_be_bytes(),
                self.src & 15 | (self.dst & 15) << 4,
            ),
        };
        [self.code, regs, o0, o1, i0, i1, i2, i3]
    }

    const fn poison() -> Self {
        Self {
            code: CALL,
            dst: 0,
            src: 0,
            off: 0,
            imm: POISON_HELPER,
        }
    }
}

/// What was done to an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Patched {
    /// The constant of an arithmetic instruction.
    Imm {
        /// Before.
        from: i32,
        /// After.
        to: i32,
    },
    /// The offset of a load or store.
    Offset {
        /// Before.
        from: i16,
        /// After.
        to: i16,
        /// Bytes loaded or stored before and after, when they differ.
        width: Option<(u8, u8)>,
    },
    /// A 64-bit constant in two slots.
    Imm64 {
        /// Before.
        from: u64,
        /// After.
        to: u64,
    },
    /// The instruction became one that the verifier refuses when it can be reached.
    Poisoned {
        /// Slots that were overwritten.
        slots: u8,
    },
}

/// Why an instruction cannot take an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatchError {
    /// The instruction, or its second slot, is not there.
    #[error("instruction {at} is past the end of the program's {len}")]
    PastEnd {
        /// Index of the instruction.
        at: usize,
        /// Slots there are.
        len: usize,
    },
    /// Not an instruction that holds a constant or offset.
    #[error("instruction {at} with opcode {code:#04x} cannot be relocated")]
    Opcode {
        /// Index of the instruction.
        at: usize,
        /// Its opcode.
        code: u8,
    },
    /// A 64-bit constant with something in the fields that must be 0.
    #[error("instruction {at} is no plain load of a 64-bit constant")]
    Form {
        /// Index of the instruction.
        at: usize,
    },
    /// The instruction has another value in it than the object's types give.
    #[error("instruction {at} holds {found}, the object's types give {expected}")]
    Value {
        /// Index of the instruction.
        at: usize,
        /// What it holds.
        found: i64,
        /// What it should hold.
        expected: u64,
    },
    /// The answer does not fit in the instruction.
    #[error("value {value} does not fit in instruction {at}")]
    Range {
        /// Index of the instruction.
        at: usize,
        /// The answer.
        value: u64,
    },
    /// The instruction loads or stores another number of bytes than the object's types give.
    #[error("instruction {at} accesses {found} bytes, the object's types give {expected}")]
    Width {
        /// Index of the instruction.
        at: usize,
        /// Bytes it accesses.
        found: u8,
        /// Bytes it should access.
        expected: u64,
    },
    /// The target's field has a size that no instruction loads.
    #[error("instruction {at} cannot access a field of {size} bytes")]
    NewWidth {
        /// Index of the instruction.
        at: usize,
        /// The field's size.
        size: u64,
    },
}

/// Puts the answer into the instruction at index `at`. Nothing is changed when it fails.
///
/// # Errors
/// The instruction is of a form that takes no answer, has an unexpected old value, or no room
/// for the new one.
#[doc(alias = "bpf_core_patch_insn")]
pub fn patch(
    insns: &mut [[u8; 8]],
    at: usize,
    endian: Endian,
    fixup: &Fixup,
) -> Result<Patched, PatchError> {
    let len = insns.len();
    let past_end = PatchError::PastEnd { at, len };
    let slots = insns.get_mut(at..).ok_or(past_end)?;
    let (first, rest) = slots.split_first_mut().ok_or(past_end)?;
    let insn = Insn::decode(*first, endian);
    let opcode = PatchError::Opcode {
        at,
        code: insn.code,
    };
    let check = |found: i64| {
        if fixup.sure && found.cast_unsigned() != fixup.local {
            return Err(PatchError::Value {
                at,
                found,
                expected: fixup.local,
            });
        }
        Ok(())
    };
    let range = PatchError::Range {
        at,
        value: fixup.target,
    };
    match insn.code & 7 {
        // ALU, ALU64; the source bit says "register"
        class @ (4 | 7) => {
            if insn.code & 8 != 0 {
                return Err(opcode);
            }
            if fixup.poison {
                *first = Insn::poison().encode(endian);
                return Ok(Patched::Poisoned { slots: 1 });
            }
            check(insn.imm.into())?;
            let to = imm32(fixup.target, class == 4).ok_or(range)?;
            *first = Insn { imm: to, ..insn }.encode(endian);
            Ok(Patched::Imm { from: insn.imm, to })
        }
        // LDX, ST, STX
        1..=3 => {
            let unsafe_width = matches!(
                fixup.memory,
                Some(Memory {
                    resize: Resize::Unsafe,
                    ..
                })
            );
            if !fixup.poison {
                check(insn.off.into())?;
                if i16::try_from(fixup.target).is_err() {
                    return Err(range);
                }
            }
            if fixup.poison || unsafe_width {
                *first = Insn::poison().encode(endian);
                return Ok(Patched::Poisoned { slots: 1 });
            }
            let to = i16::try_from(fixup.target).map_err(|_too_large| range)?;
            let width = new_width(at, insn.code, fixup.memory.as_ref())?;
            let code = match width {
                Some((_, bytes)) => insn.code & !0x18 | size_bits(bytes.into()).unwrap_or(0),
                None => insn.code,
            };
            let from = insn.off;
            *first = Insn {
                code,
                off: to,
                ..insn
            }
            .encode(endian);
            Ok(Patched::Offset { from, to, width })
        }
        _ if insn.code == LD_IMM64 => {
            let second = rest.first_mut().ok_or(past_end)?;
            let high = Insn::decode(*second, endian);
            let zero = Insn {
                imm: high.imm,
                ..Insn::default()
            };
            if insn.src != 0 || insn.off != 0 || high != zero {
                return Err(PatchError::Form { at });
            }
            if fixup.poison {
                *first = Insn::poison().encode(endian);
                *second = Insn::poison().encode(endian);
                return Ok(Patched::Poisoned { slots: 2 });
            }
            let from =
                u64::from(insn.imm.cast_unsigned()) | u64::from(high.imm.cast_unsigned()) << 32;
            check(from.cast_signed())?;
            let [a, b, c, d, e, f, g, h] = fixup.target.to_le_bytes();
            let imm = i32::from_le_bytes([a, b, c, d]);
            *first = Insn { imm, ..insn }.encode(endian);
            let imm = i32::from_le_bytes([e, f, g, h]);
            *second = Insn { imm, ..high }.encode(endian);
            Ok(Patched::Imm64 {
                from,
                to: fixup.target,
            })
        }
        _ => Err(opcode),
    }
}

/// The constant whose extension is the value: by sign, or, for 32-bit operations, by zeros too.
fn imm32(value: u64, narrow: bool) -> Option<i32> {
    let signed = i32::try_from(value.cast_signed()).ok();
    signed.or_else(|| {
        narrow
            .then(|| u32::try_from(value).ok())
            .flatten()
            .map(u32::cast_signed)
    })
}

/// Bytes accessed before and after, when they must change.
fn new_width(at: usize, code: u8, memory: Option<&Memory>) -> Result<Option<(u8, u8)>, PatchError> {
    let Some(Memory { local, target, .. }) = memory else {
        return Ok(None);
    };
    if local.size == target.size {
        return Ok(None);
    }
    let found = match code & 0x18 {
        0x00 => 4,
        0x08 => 2,
        0x10 => 1,
        _ => 8,
    };
    if u64::from(found) != local.size {
        return Err(PatchError::Width {
            at,
            found,
            expected: local.size,
        });
    }
    match (u8::try_from(target.size), size_bits(target.size)) {
        (Ok(bytes), Some(_)) => Ok(Some((found, bytes))),
        _ => Err(PatchError::NewWidth {
            at,
            size: target.size,
        }),
    }
}

/// The size field of an opcode.
const fn size_bits(bytes: u64) -> Option<u8> {
    match bytes {
        4 => Some(0x00),
        2 => Some(0x08),
        1 => Some(0x10),
        8 => Some(0x18),
        _ => None,
    }
}

/// The index of the instruction in a line of the verifier's log that shows a poisoned one:
/// `12: (85) call unknown#195896080`.
pub fn poisoned_insn(log_line: &str) -> Option<u32> {
    let (index, text) = log_line.split_once(": ")?;
    let call = text.trim_end().strip_suffix("195896080")?;
    call.ends_with("call unknown#")
        .then(|| index.trim_start().parse().ok())
        .flatten()
}
