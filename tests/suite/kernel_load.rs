//! Objects in the running kernel: every fixture that it can take, and what is
//! left, or not, when something fails.

#[path = "kernel_cmds/delegate.rs"]
mod delegate;
#[path = "kernel_load/failures.rs"]
mod failures;
#[path = "kernel_load/fixtures.rs"]
mod fixtures;
#[path = "kernel_load/logs.rs"]
mod logs;
#[path = "kernel_load/pins.rs"]
mod pins;
#[path = "kernel_load/plans.rs"]
mod plans;
#[path = "kernel_load/support.rs"]
mod support;
#[path = "kernel_load/tokens.rs"]
mod tokens;

use std::io::Write as _;
use std::process::ExitCode;

use rbpftool_tests::{Place, Suite};
use support::Bench;

fn main() -> ExitCode {
    if delegate::task_inside().is_some() {
        return match tokens::inside() {
            Ok(()) => ExitCode::SUCCESS,
            Err(e) => {
                let mut stderr = std::io::stderr();
                drop(writeln!(stderr, "{e:#}"));
                ExitCode::FAILURE
            }
        };
    }
    let place = Place::enter();
    let suite = Suite::new("kernel_load").serial();
    let mut bench = Bench { suite, place };
    fixtures::add(&mut bench);
    plans::add(&mut bench);
    failures::add(&mut bench);
    pins::add(&mut bench);
    logs::add(&mut bench);
    tokens::add(&mut bench);
    bench.suite.run()
}
