//! Bytes as objects: linked or refused.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/loader/tests/bodies/linker.rs"]
mod body;

fuzz_target!(|data: &[u8]| body::run(data));
