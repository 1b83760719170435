//! Bounds-checked reads in the blob's byte order.

/// The byte order of a blob, and of the values it describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Endian {
    /// Least significant byte first.
    Little,
    /// Most significant byte first.
    Big,
}

impl Endian {
    /// The order of the machine this runs on.
    pub const NATIVE: Self = if cfg!(target_endian = "big") {
        Self::Big
    } else {
        Self::Little
    };

    pub(crate) const fn u16(self, b: [u8; 2]) -> u16 {
        match self {
            Self::Little => u16::from_le_bytes(b),
            Self::Big => u16::from_be_bytes(b),
        }
    }

    #[inline]
    pub(crate) const fn u32(self, b: [u8; 4]) -> u32 {
        match self {
            Self::Little => u32::from_le_bytes(b),
            Self::Big => u32::from_be_bytes(b),
        }
    }

    pub(crate) const fn u64(self, b: [u8; 8]) -> u64 {
        match self {
            Self::Little => u64::from_le_bytes(b),
            Self::Big => u64::from_be_bytes(b),
        }
    }

    pub(crate) const fn u128(self, b: [u8; 16]) -> u128 {
        match self {
            Self::Little => u128::from_le_bytes(b),
            Self::Big => u128::from_be_bytes(b),
        }
    }

    /// The 32-bit word at byte `off`, if `data` reaches that far.
    #[inline]
    pub(crate) fn u32_at(self, data: &[u8], off: usize) -> Option<u32> {
        Some(self.u32(*data.get(off..)?.first_chunk()?))
    }
}

/// The same for a record whose length was checked when the blob was parsed: a word that is
/// not there reads as 0.
#[inline]
pub(crate) fn word(endian: Endian, record: &[u8], off: usize) -> u32 {
    endian.u32_at(record, off).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn u32_at_when_short_then_none() {
        let bytes = [1, 2, 3, 4, 5];
        assert_eq!(Endian::Little.u32_at(&bytes, 1), Some(0x0504_0302));
        assert_eq!(Endian::Big.u32_at(&bytes, 1), Some(0x0203_0405));
        assert_eq!(Endian::Big.u32_at(&bytes, 2), None);
        assert_eq!(Endian::Big.u32_at(&bytes, 6), None);
        assert_eq!(Endian::Big.u32_at(&bytes, usize::MAX), None);
    }

    #[test]
    fn wide_reads_follow_the_order() {
        assert_eq!(Endian::Big.u16([1, 2]), 0x0102);
        assert_eq!(Endian::Little.u64([1, 0, 0, 0, 0, 0, 0, 0]), 1);
        assert_eq!(Endian::Big.u128([0; 16]), 0);
    }
}
