//! What is in maps, on the running kernel: records that programs write and read, events, elements
//! of every kind, variables in shared memory, and text that programs print.

#[path = "kernel_consume/elements.rs"]
mod elements;
#[path = "kernel_consume/perf.rs"]
mod perf;
#[path = "kernel_consume/readers.rs"]
mod readers;
#[path = "kernel_consume/rings.rs"]
mod rings;
#[path = "kernel_consume/shared.rs"]
mod shared;
#[path = "kernel_consume/support.rs"]
mod support;
#[path = "kernel_consume/user_rings.rs"]
mod user_rings;

use std::process::ExitCode;

use rbpftool_tests::{Place, Suite};
use support::Bench;

fn main() -> ExitCode {
    let place = Place::enter();
    let suite = Suite::new("kernel_consume").serial();
    let mut bench = Bench { suite, place };
    rings::add(&mut bench);
    user_rings::add(&mut bench);
    perf::add(&mut bench);
    elements::add(&mut bench);
    shared::add(&mut bench);
    readers::add(&mut bench);
    bench.suite.run()
}
