//! SHA-256, which the kernel takes of exclusive maps' programs and of signed data.

use sha2::{Digest as _, Sha256};

/// The hash of `data`.
#[must_use]
pub(crate) fn sha256(data: &[u8]) -> [u8; 32] {
    Sha256::digest(data).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write;

    fn check(data: &[u8], expected: &str) {
        let mut text = String::new();
        for byte in sha256(data) {
            write!(text, "{byte:02x}").unwrap();
        }
        assert_eq!(text, expected);
    }

    #[test]
    fn hashes_are_those_of_the_standard() {
        check(
            b"",
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        );
        check(
            b"abc",
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        );
        check(
            b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
        );
        check(
            &[b'a'; 1_000_000],
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0",
        );
    }

    #[test]
    fn every_length_around_a_block_has_its_own_hash() {
        let hashes: std::collections::BTreeSet<_> =
            (0..200).map(|len| sha256(&vec![0; len])).collect();
        assert_eq!(hashes.len(), 200);
    }
}
