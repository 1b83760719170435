//! Split types, their base and another: moved or refused.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/btf/tests/bodies/btf_relocate.rs"]
mod body;

fuzz_target!(|data: &[u8]| body::run(data));
