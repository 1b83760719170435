//! Hashes for tables over bytes that somebody else chose: keyed at random, so that nobody can
//! choose bytes that all fall into one bucket. No result depends on the key.

use std::hash::{BuildHasher, RandomState};

/// The key of one table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key(u64, u64, Bits);

/// Which bits of a hash count: all, but for tests of what happens when hashes are equal.
#[cfg(not(test))]
type Bits = ();
#[cfg(test)]
type Bits = u64;

const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

impl Key {
    pub(crate) fn random() -> Self {
        let state = RandomState::new();
        let (one, other) = (state.hash_one(0u64), state.hash_one(1u64) | 1);
        #[cfg(test)]
        return Self(one, other, u64::MAX);
        #[cfg(not(test))]
        Self(one, other, ())
    }

    /// A key for hashes that are often equal.
    #[cfg(test)]
    pub(crate) fn weak(bits: u64) -> Self {
        Self(bits, 1, bits)
    }

    /// Hash to start with.
    #[inline]
    pub(crate) const fn start(self, length: u64) -> u64 {
        self.0 ^ length.wrapping_mul(FACTOR)
    }

    /// Takes two more numbers into a hash.
    #[inline]
    pub(crate) fn add(self, hash: u64, one: u64, other: u64) -> u64 {
        let product = u128::from(one ^ self.1) * u128::from(other ^ hash);
        #[expect(clippy::cast_possible_truncation, reason = "both halves are used")]
        {
            product as u64 ^ (product >> 64) as u64
        }
    }

    /// Spreads what was added last over all bits.
    #[inline]
    pub(crate) fn end(self, hash: u64) -> u64 {
        let hash = self.add(FACTOR, hash, self.0);
        #[cfg(test)]
        return hash & self.2;
        #[cfg(not(test))]
        hash
    }

    /// Hash of a string of bytes.
    #[inline]
    pub(crate) fn bytes(self, bytes: &[u8]) -> u64 {
        let mut hash = self.start(bytes.len() as u64);
        let (chunks, rest) = bytes.as_chunks::<16>();
        for chunk in chunks {
            hash = self.add_chunk(hash, *chunk);
        }
        let (one, other) = ends(rest);
        self.end(self.add(hash, one, other))
    }

    #[inline]
    fn add_chunk(self, hash: u64, chunk: [u8; 16]) -> u64 {
        let both = u128::from_le_bytes(chunk);
        #[expect(clippy::cast_possible_truncation, reason = "both halves are used")]
        self.add(hash, both as u64, (both >> 64) as u64)
    }
}

/// All of at most 16 bytes in two numbers, which may have some bytes twice. Of bytes of one length
/// no two have the same.
#[inline]
fn ends(bytes: &[u8]) -> (u64, u64) {
    if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        (u64::from_le_bytes(*first), u64::from_le_bytes(*last))
    } else if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        let (first, last) = (u32::from_le_bytes(*first), u32::from_le_bytes(*last));
        (first.into(), last.into())
    } else if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        let (first, last) = (u16::from_le_bytes(*first), u16::from_le_bytes(*last));
        (first.into(), last.into())
    } else {
        (bytes.first().copied().unwrap_or_default().into(), 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_differ_in_any_place_have_different_hashes() {
        let key = Key::random();
        let text: Vec<u8> = (0..40).collect();
        let mut seen = std::collections::HashSet::new();
        for len in 0..text.len() {
            assert!(seen.insert(key.bytes(&text[..len])));
            for at in 0..len {
                let mut other = text[..len].to_vec();
                other[at] ^= 0x80;
                assert!(seen.insert(key.bytes(&other)), "{len} {at}");
            }
        }
        assert_eq!(key.bytes(b"int"), key.bytes(b"int"));
    }
}
