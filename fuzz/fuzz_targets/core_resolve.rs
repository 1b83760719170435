//! Two blobs, a path and a kind: CO-RE answers or refuses.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/btf/tests/bodies/core_resolve.rs"]
mod body;

fuzz_target!(|data: &[u8]| body::run(data));
