//! What the fuzz targets do, on random bytes and on sound blobs with random damage.

#![allow(clippy::expect_used, reason = "a test may fail")]

use btf::Endian;
use proptest::prelude::*;

#[path = "bodies/btf_dump_c.rs"]
mod btf_dump_c;
#[path = "bodies/btf_parse.rs"]
mod btf_parse;
#[allow(dead_code, reason = "shared with the unit tests")]
#[path = "../src/testing.rs"]
mod testing;
#[path = "bodies/value_render.rs"]
mod value_render;

/// A sound blob of either order, as a base or with a type of an unknown kind, then a few words
/// overwritten: anywhere, or with a number that stands for something (ids, sizes, kinds).
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        any::<u32>(),
        0u32..40,
        (0u32..32, 0u32..4).prop_map(|(kind, vlen)| kind << 24 | vlen),
        (0u32..32, 0u32..4).prop_map(|(kind, vlen)| 0x8000_0000 | kind << 24 | vlen),
        Just(u32::MAX),
    ];
    let damage = prop::collection::vec((any::<prop::sample::Index>(), word), 0..8);
    (any::<bool>(), any::<bool>(), damage).prop_map(|(big, layout, damage)| {
        let endian = if big { Endian::Big } else { Endian::Little };
        let mut blob = testing::zoo(endian);
        if layout {
            blob = blob.header_len(32).layout(&[(4, 4); 32]);
        }
        let mut blob = blob.build();
        for (at, word) in damage {
            let at = at.index(blob.len() / 4) * 4;
            let bytes = if big {
                word.to_be_bytes()
            } else {
                word.to_le_bytes()
            };
            blob[at..at + 4].copy_from_slice(&bytes);
        }
        blob
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn parse_when_bytes_are_random(data in prop::collection::vec(any::<u8>(), 0..400)) {
        btf_parse::run(&data);
    }

    #[test]
    fn parse_when_blob_is_damaged(first in any::<u8>(), blob in damaged()) {
        btf_parse::run(&[&[first], &blob[..]].concat());
    }

    #[test]
    fn declare_when_blob_is_damaged(first in any::<u8>(), blob in damaged()) {
        btf_dump_c::run(&[&[first], &blob[..]].concat());
    }

    #[test]
    fn decode_when_bytes_are_random(data in prop::collection::vec(any::<u8>(), 0..200)) {
        for choice in [0, 1] {
            value_render::run(&[&[choice], &data[..]].concat());
        }
    }

    #[test]
    fn decode_when_types_are_damaged(
        blob in damaged(),
        value in prop::collection::vec(any::<u8>(), 64),
    ) {
        value_render::run(&[&[2], &blob[..], &value[..]].concat());
    }
}

#[test]
fn decode_when_bytes_run_out_at_every_length() {
    for (choice, endian) in [(0, Endian::Little), (1, Endian::Big)] {
        let value = testing::all_bytes(endian);
        for len in 0..=value.len() {
            value_render::run(&[&[choice], &value[..len]].concat());
        }
    }
}

#[test]
fn parse_when_blob_is_cut_at_every_length_then_error() {
    let blob = testing::zoo(Endian::Little).build();
    for len in 0..blob.len() {
        assert!(btf::Btf::parse(&blob[..len]).is_err(), "{len} bytes");
    }
}
