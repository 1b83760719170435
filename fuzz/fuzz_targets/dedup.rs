//! Bytes as BTF, with nothing twice: what is left parses, says the same, and stays as it is.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/btf/tests/bodies/dedup.rs"]
mod body;

fuzz_target!(|data: &[u8]| body::run(data));
