//! Bytes as an object, planned for a kernel that lacks something.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/loader/tests/bodies/load_plan.rs"]
mod body;

fuzz_target!(|data: &[u8]| body::run(data));
