//! Bytes as the shared memory of ring and perf buffers.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/loader/tests/bodies/records.rs"]
mod body;

fuzz_target!(|data: &[u8]| body::run(data));
