//! The `rbpftool` binary: hands the command line to the library and turns its answer into an
//! exit status.

use std::fs::File;
use std::io::{Write, stderr, stdout};
use std::os::fd::AsFd;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<_> = std::env::args_os().collect();
    let status = rbpftool::run(&args, output(), &mut stderr());
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
