//! What the fuzz targets do, on random bytes and on sound blobs with random damage.

#![allow(clippy::expect_used, reason = "a test may fail")]

use btf::Endian;
use proptest::prelude::*;

#[path = "bodies/btf_dump_c.rs"]
mod btf_dump_c;
#[path = "bodies/btf_ext.rs"]
mod btf_ext;
#[path = "bodies/btf_parse.rs"]
mod btf_parse;
#[path = "bodies/btf_relocate.rs"]
mod btf_relocate;
#[path = "bodies/core_resolve.rs"]
mod core_resolve;
#[path = "bodies/dedup.rs"]
mod dedup;
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
    fn dedup_when_blob_is_damaged(first in any::<u8>(), blob in damaged()) {
        dedup::run(&[&[first], &blob[..]].concat());
    }

    #[test]
    fn relocate_when_blobs_are_damaged(
        given in any::<bool>(),
        base in damaged(),
        split in damaged(),
        other in damaged(),
    ) {
        let [a, b, ..] = base.len().to_le_bytes();
        let split = if given { split } else { Vec::new() };
        let [c, d, ..] = split.len().to_le_bytes();
        btf_relocate::run(&[&[a, b, c, d], &base[..], &split, &other].concat());
        btf_relocate::run(&[&[a, b, c, d], &base[..], &split].concat());
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

/// A sound `.BTF.ext` of either order.
fn ext(endian: Endian) -> Vec<u8> {
    use btf::ext::{CoreRelo, ExtBuilder, FuncInfo, LineInfo, RelocKind};
    let mut builder = ExtBuilder::new(endian);
    builder.func_info(1, [FuncInfo::default(); 3]);
    builder.func_info(9, [FuncInfo::default()]);
    builder.line_info(1, [LineInfo::default(); 2]);
    let relo = CoreRelo {
        insn_off: 8,
        type_id: btf::TypeId(1),
        access_str_off: 1,
        kind: RelocKind::TypeSize,
    };
    builder.core_relos(1, [relo; 2]);
    builder.finish().expect("small")
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn ext_when_words_are_damaged(
        big in any::<bool>(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
    ) {
        let mut data = ext(if big { Endian::Big } else { Endian::Little });
        for (at, byte) in damage {
            let at = at.index(data.len());
            data[at] = byte;
        }
        btf_ext::run(&data);
    }

    #[test]
    fn core_when_types_are_damaged(
        kind in 0u8..14,
        root in 0u8..40,
        code in any::<u8>(),
        text in prop_oneof![Just("0".to_owned()), "[0-3](:[0-9]){0,4}", "[0-9:]{0,12}"],
        local in damaged(),
        target in damaged(),
    ) {
        // the path stands behind the strings of the local blob
        let mut local = local;
        let word = |at: usize| -> u32 {
            let mut bytes: [u8; 4] = local[at..at + 4].try_into().expect("a header");
            if local[0] == 0xeb {
                bytes.reverse();
            }
            u32::from_le_bytes(bytes)
        };
        let (start, len) = (word(4).wrapping_add(word(16)), word(20));
        if u64::from(start) + u64::from(len) == local.len() as u64 {
            let new = len + u32::try_from(text.len()).expect("short") + 1;
            let big = local[0] == 0xeb;
            let bytes = if big { new.to_be_bytes() } else { new.to_le_bytes() };
            local[20..24].copy_from_slice(&bytes);
            local.extend(text.as_bytes());
            local.push(0);
        }
        let [path, path2, ..] = len.to_le_bytes();
        let [cut, cut2, ..] = local.len().to_le_bytes();
        let head = [kind, root, path, path2, cut, cut2, code];
        core_resolve::run(&[&head[..], &local, &target].concat());
        core_resolve::run(&[&head[..4], &[255, 255, code], &local].concat());
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
