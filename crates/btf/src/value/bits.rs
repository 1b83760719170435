//! Bits out of the middle of bytes.

use crate::Endian;

/// `width` bits that start `offset` bits into `bytes`, as the compiler lays out bit fields:
/// counted from the least significant bit of the first byte on little-endian machines, from
/// the most significant one on big-endian machines.
///
/// `None` when `bytes` ends before, or `width` is above 128.
pub(crate) fn extract(endian: Endian, bytes: &[u8], offset: u64, width: u32) -> Option<u128> {
    if width > 128 {
        return None;
    }
    if width == 0 {
        return Some(0);
    }
    let first = usize::try_from(offset / 8).ok()?;
    let mut start = (offset % 8) as u32;
    let len = (start + width).div_ceil(8) as usize;
    let mut raw = 0u128;
    let mut done = 0;
    for byte in bytes.get(first..)?.get(..len)? {
        let take = (8 - start).min(width - done);
        let mask = (1u32 << take) - 1;
        let byte = u32::from(*byte);
        match endian {
            Endian::Little => raw |= u128::from(byte >> start & mask) << done,
            Endian::Big => raw = raw << take | u128::from(byte >> (8 - start - take) & mask),
        }
        done += take;
        start = 0;
    }
    Some(raw)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extract_follows_the_byte_order() {
        let bytes = [0b1010_0101, 0b1100_0011];
        assert_eq!(extract(Endian::Little, &bytes, 0, 3), Some(0b101));
        assert_eq!(extract(Endian::Big, &bytes, 0, 3), Some(0b101));
        assert_eq!(extract(Endian::Little, &bytes, 6, 4), Some(0b11_10));
        assert_eq!(extract(Endian::Big, &bytes, 6, 4), Some(0b01_11));
        assert_eq!(extract(Endian::Little, &bytes, 0, 16), Some(0xc3a5));
        assert_eq!(extract(Endian::Big, &bytes, 0, 16), Some(0xa5c3));
    }

    #[test]
    fn extract_when_128_bits_cross_17_bytes() {
        let mut bytes = [0u8; 17];
        bytes[0] = 0x80;
        bytes[16] = 0x7f;
        assert_eq!(
            extract(Endian::Little, &bytes, 7, 128),
            Some(u128::MAX << 121 | 1)
        );
        let mut bytes = [0u8; 17];
        bytes[0] = 0x01;
        bytes[16] = 0xfe;
        assert_eq!(extract(Endian::Big, &bytes, 7, 128), Some(1 << 127 | 0x7f));
    }

    #[test]
    fn extract_when_out_of_range_then_none() {
        assert_eq!(extract(Endian::Little, &[0; 4], 30, 3), None);
        assert_eq!(extract(Endian::Little, &[0; 4], 30, 2), Some(0));
        assert_eq!(extract(Endian::Little, &[0; 40], 0, 129), None);
        assert_eq!(extract(Endian::Little, &[], 64, 0), Some(0));
        assert_eq!(extract(Endian::Little, &[0; 4], u64::MAX, 8), None);
    }
}
