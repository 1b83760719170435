//! The `rbpftool` binary: hands the command line to the library and turns its answer into an
//! exit status.

use std::fs::File;
use std::io::{IsTerminal as _, Write, stderr, stdout};
use std::os::fd::AsFd;
use std::process::ExitCode;

use rbpftool::Terminals;

fn main() -> ExitCode {
    let args: Vec<_> = std::env::args_os().collect();
    let terminals = Terminals {
        stdout: stdout().is_terminal(),
        stderr: stderr().is_terminal(),
    };
    let status = rbpftool::run(&args, output(), &mut stderr(), terminals);
    ExitCode::from(status)
}

/// Standard output without the buffer of lines that the library has for it: everything goes
/// through a larger one, and a look for line ends costs as much as writing.
fn output() -> Box<dyn Write> {
    match stdout().as_fd().try_clone_to_owned() {
        Ok(fd) => Box::new(File::from(fd)),
        Err(_) => Box::new(stdout()),
    }
}
