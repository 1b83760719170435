//! How long attaching to many functions takes.
//!
//! ```text
//! kprobe_multi OBJECT PATTERN ROUNDS
//! ```
//!
//! attaches the program `kprobe_multi` of the object to all functions that the pattern fits, and
//! detaches it: the milliseconds of each attachment, their median, and the number of functions.
//! `xtask/bench/kprobe_multi.c` does the same with libbpf.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for the command line"
)]

use bpfsys::cmd::LinkKind;
use loader::attach::KprobeMulti;
use loader::kernel::LoadOptions;
use std::error::Error;
use std::process::ExitCode;
use std::time::Instant;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [object, pattern, rounds] = args.as_slice() else {
        eprintln!("usage: kprobe_multi OBJECT PATTERN ROUNDS");
        return ExitCode::from(2);
    };
    match attach(object, pattern, rounds) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            let mut cause = error.source();
            while let Some(why) = cause {
                eprintln!("because {why}");
                cause = why.source();
            }
            ExitCode::FAILURE
        }
    }
}

fn attach(object: &str, pattern: &str, rounds: &str) -> Result<(), Box<dyn Error>> {
    let mut object = loader::open(object.as_ref())?;
    for program in object.programs_mut() {
        program.autoload = program.name == "kprobe_multi";
    }
    let loaded = object.load(&LoadOptions::new())?;
    let program = loaded.program("kprobe_multi").and_then(|p| p.fd());
    let program = program.ok_or("the object has no program kprobe_multi")?;
    let mut took = Vec::new();
    let mut count = 0;
    for _ in 0..rounds.parse::<u32>()? {
        let start = Instant::now();
        let link = KprobeMulti::matching(pattern).attach(program)?;
        let ms = start.elapsed().as_secs_f64() * 1e3;
        if let Some(fd) = link.fd()
            && let LinkKind::KprobeMulti { count: all, .. } = fd.info()?.kind
        {
            count = all;
        }
        link.detach()?;
        print!("{ms:.1} ");
        took.push(ms);
    }
    took.sort_by(f64::total_cmp);
    let median = took.get(took.len() / 2).ok_or("no round")?;
    println!("\nmedian {median:.1} ms, {count} functions");
    Ok(())
}
