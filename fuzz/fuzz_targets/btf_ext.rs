//! Bytes as `.BTF.ext`: whatever parses can be read, written and read again.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/btf/tests/bodies/btf_ext.rs"]
mod body;

fuzz_target!(|data: &[u8]| body::run(data));
