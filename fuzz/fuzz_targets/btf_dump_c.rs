//! Bytes as BTF: C declarations of all of it end soon and stay bounded.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/btf/tests/bodies/btf_dump_c.rs"]
mod body;

fuzz_target!(|data: &[u8]| body::run(data));
