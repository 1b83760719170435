//! Instruction streams as bytes of either byte order.
//!
//! Slots are compared, listed and loaded in the host's order; objects may have
//! been compiled for the other one. The conversion swaps the multi-byte fields
//! and the two halves of the register byte.

use super::Insn;

/// Order of the bytes in a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ByteOrder {
    /// Least significant first.
    Little,
    /// Most significant first.
    Big,
}

impl ByteOrder {
    /// The order of this host.
    pub const NATIVE: Self = if cfg!(target_endian = "little") {
        Self::Little
    } else {
        Self::Big
    };
}

/// A stream whose length is no multiple of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "instructions end inside a slot: {len} bytes are no multiple of {}",
    Insn::SIZE
)]
pub struct RaggedStream {
    /// Bytes in the stream.
    pub len: usize,
}

impl Insn {
    /// Reads one slot.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; Self::SIZE], order: ByteOrder) -> Self {
        let [code, regs, o0, o1, i0, i1, i2, i3] = bytes;
        let (low, high) = (regs & 0xf, regs >> 4);
        match order {
            ByteOrder::Little => {
                let off = i16::from_le_bytes([o0, o1]);
                let imm = i32::from_le_bytes([i0, i1, i2, i3]);
                Self::new(code, low, high, off, imm)
            }
            ByteOrder::Big => {
                let off = i16::from_be_bytes([o0, o1]);
                let imm = i32::from_be_bytes([i0, i1, i2, i3]);
                Self::new(code, high, low, off, imm)
            }
        }
    }

    /// Writes one slot.
    #[must_use]
    pub const fn to_bytes(self, order: ByteOrder) -> [u8; Self::SIZE] {
        let (dst, src) = (self.dst(), self.src());
        match order {
            ByteOrder::Little => {
                let ([o0, o1], [i0, i1, i2, i3]) = (self.off.to_le_bytes(), self.imm.to_le_bytes());
                [self.code, dst | src << 4, o0, o1, i0, i1, i2, i3]
            }
            ByteOrder::Big => {
                let ([o0, o1], [i0, i1, i2, i3]) = (self.off.to_be_bytes(), self.imm.to_be_bytes());
                [self.code, src | dst << 4, o0, o1, i0, i1, i2, i3]
            }
        }
    }
}

/// Reads a whole stream.
///
/// # Errors
///
/// The length is no multiple of [`Insn::SIZE`].
pub fn decode(bytes: &[u8], order: ByteOrder) -> Result<Vec<Insn>, RaggedStream> {
    let (slots, rest) = bytes.as_chunks::<{ Insn::SIZE }>();
    if !rest.is_empty() {
        return Err(RaggedStream { len: bytes.len() });
    }
    Ok(slots
        .iter()
        .map(|slot| Insn::from_bytes(*slot, order))
        .collect())
}

/// Writes a whole stream.
#[must_use]
pub fn encode(insns: &[Insn], order: ByteOrder) -> Vec<u8> {
    insns.iter().flat_map(|insn| insn.to_bytes(order)).collect()
}

/// Walks a stream by instructions: the index of the first slot, and the one or two slots.
///
/// A 64-bit load at the very end that lacks its second slot comes as one slot.
pub fn instructions(insns: &[Insn]) -> impl Iterator<Item = (usize, &[Insn])> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = insns.get(at..)?;
        let taken = rest.first()?.slots().min(rest.len());
        let item = (at, rest.get(..taken)?);
        at += taken;
        Some(item)
    })
}

#[cfg(test)]
mod tests {
    use zerocopy::IntoBytes;

    use super::*;

    const SAMPLE: Insn = Insn::new(0x07, 1, 2, 0x0304, 0x1122_3344);

    #[test]
    fn both_orders_place_registers_and_fields() {
        assert_eq!(
            SAMPLE.to_bytes(ByteOrder::Little),
            [0x07, 0x21, 0x04, 0x03, 0x44, 0x33, 0x22, 0x11]
        );
        assert_eq!(
            SAMPLE.to_bytes(ByteOrder::Big),
            [0x07, 0x12, 0x03, 0x04, 0x11, 0x22, 0x33, 0x44]
        );
    }

    #[test]
    fn native_order_is_the_memory_image() {
        assert_eq!(SAMPLE.as_bytes(), SAMPLE.to_bytes(ByteOrder::NATIVE));
    }

    #[test]
    fn streams_come_back_in_both_orders() {
        let insns = [SAMPLE, Insn::new(0x85, 0, 1, -1, i32::MIN), Insn::default()];
        for order in [ByteOrder::Little, ByteOrder::Big] {
            assert_eq!(
                decode(&encode(&insns, order), order).as_deref(),
                Ok(&insns[..])
            );
        }
        let error = decode(&[0; 15], ByteOrder::Little).unwrap_err();
        assert_eq!(
            error.to_string(),
            "instructions end inside a slot: 15 bytes are no multiple of 8"
        );
    }

    #[test]
    fn a_walk_takes_pairs_together() {
        let wide = Insn::new(0x18, 1, 0, 0, 5);
        let exit = Insn::new(0x95, 0, 0, 0, 0);
        let insns = [exit, wide, Insn::default(), exit, wide];
        let walked: Vec<_> = instructions(&insns)
            .map(|(at, slots)| (at, slots.len()))
            .collect();
        assert_eq!(walked, [(0, 1), (1, 2), (3, 1), (4, 1)]);
        assert_eq!(instructions(&[]).count(), 0);
    }
}
