//! Bytes as a program of user space: whatever is found in it is within it, and nothing takes more
//! than the bytes allow.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/loader/tests/bodies/elf_symbols.rs"]
mod body;

fuzz_target!(|data: &[u8]| body::run(data));
