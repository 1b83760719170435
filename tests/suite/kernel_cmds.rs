//! Every `bpf()` command on the running kernel: once with success, and with
//! the errors its documentation names.

#[path = "kernel_cmds/attach.rs"]
mod attach;
#[path = "kernel_cmds/delegate.rs"]
mod delegate;
#[path = "kernel_cmds/element.rs"]
mod element;
#[path = "kernel_cmds/kinds.rs"]
mod kinds;
#[path = "kernel_cmds/link.rs"]
mod link;
#[path = "kernel_cmds/map.rs"]
mod map;
#[path = "kernel_cmds/object.rs"]
mod object;
#[path = "kernel_cmds/prog.rs"]
mod prog;
#[path = "kernel_cmds/support.rs"]
mod support;
#[path = "kernel_cmds/token.rs"]
mod token;

use std::io::Write as _;
use std::process::ExitCode;

use rbpftool_tests::{Place, Suite};
use support::Bench;

fn main() -> ExitCode {
    if let Some(result) = token::inside() {
        return match result {
            Ok(()) => ExitCode::SUCCESS,
            Err(e) => {
                let mut stderr = std::io::stderr();
                drop(writeln!(stderr, "{e:#}"));
                ExitCode::FAILURE
            }
        };
    }
    let place = Place::enter();
    let suite = Suite::new("kernel_cmds").serial();
    let mut bench = Bench { suite, place };
    map::add(&mut bench);
    element::add(&mut bench);
    prog::add(&mut bench);
    object::add(&mut bench);
    attach::add(&mut bench);
    link::add(&mut bench);
    kinds::add(&mut bench);
    token::add(&mut bench);
    bench.suite.run()
}
