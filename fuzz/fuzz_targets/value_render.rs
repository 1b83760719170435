//! Bytes as values of sound types and of arbitrary ones: the tree is bounded, and made of the
//! bytes.

#![no_main]

use btf::Endian;
use libfuzzer_sys::fuzz_target;

#[path = "../../crates/btf/tests/bodies/value_render.rs"]
mod body;
#[allow(dead_code, reason = "made for the unit tests of the crate")]
#[path = "../../crates/btf/src/testing.rs"]
mod testing;

fuzz_target!(|data: &[u8]| body::run(data));
