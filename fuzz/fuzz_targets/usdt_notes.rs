//! Bytes as a program with static probes, and as the text of arguments: what is read can be
//! described to programs, in each form of the description.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/loader/tests/bodies/usdt_notes.rs"]
mod body;

fuzz_target!(|data: &[u8]| body::run(data));
