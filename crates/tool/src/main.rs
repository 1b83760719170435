//! The `rbpftool` binary: hands the command line to the library and turns its answer into an
//! exit status.

use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<_> = std::env::args_os().collect();
    let status = rbpftool::run(&args, std::io::stdout(), &mut std::io::stderr());
    ExitCode::from(status)
}
