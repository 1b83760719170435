//! What the fuzz target does, on random memory of buffers.

#![allow(clippy::expect_used, reason = "a test may fail")]

use proptest::prelude::*;

#[path = "bodies/records.rs"]
mod records;

/// Positions that are near each other, most of them.
fn memory() -> impl Strategy<Value = Vec<u8>> {
    let position = prop_oneof![
        (0_u64..140).prop_map(|n| n * 8),
        (0_u64..140).prop_map(|n| 0_u64.wrapping_sub(n * 8)),
        any::<u64>(),
    ];
    let word = prop_oneof![
        0_u32..80,
        (0_u32..80).prop_map(|n| n | 1 << 30),
        (0_u32..80).prop_map(|n| n | 1 << 31),
        (1_u32..20).prop_map(|n| (n * 8) << 16),
        any::<u32>(),
    ];
    let positions = prop::collection::vec(position, 3);
    let words = prop::collection::vec(word, 0..128);
    (positions, words).prop_map(|(positions, words)| {
        let mut bytes: Vec<u8> = positions.iter().flat_map(|p| p.to_ne_bytes()).collect();
        bytes.extend(words.iter().flat_map(|word| word.to_ne_bytes()));
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn walks_stay_inside_and_end(bytes in memory()) {
        records::run(&bytes);
    }

    #[test]
    fn random_memory(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        records::run(&bytes);
    }
}
