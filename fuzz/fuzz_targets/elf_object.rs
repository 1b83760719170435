//! Bytes as an object: whatever is read can be shown and edited.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/loader/tests/bodies/elf_object.rs"]
mod body;

fuzz_target!(|data: &[u8]| body::run(data));
