//! Bytes as BTF: whatever parses can be looked at in every way, and answers agree.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/btf/tests/bodies/btf_parse.rs"]
mod body;

fuzz_target!(|data: &[u8]| body::run(data));
