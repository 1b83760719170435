//! A small loader: everything it uses is public.
//!
//! ```text
//! example-loader OBJECT [DIRECTORY]
//! ```
//!
//! loads the object, says what became of it and, with a directory in a bpf file system, pins its
//! programs there.
//!
//! ```text
//! example-loader run OBJECT [WORDS]
//! ```
//!
//! loads it, attaches every program whose section says to what, and prints what the programs write
//! into ring buffers and perf buffers, a line for each record, until it is interrupted. The words:
//!
//! | words | mean |
//! |---|---|
//! | `set VAR=VALUE` | the value of a variable before the load: `set targ_uid=1000` |
//! | `only PATTERN` | loads the programs whose names fit; may be given several times |
//! | `without PATTERN` | leaves out the programs whose names fit; may be given several times |
//! | `type NAME` | what a record is; `event` unless given |
//! | `types FILE` | where that type is, if not in the object: BTF, or an object that has it |
//! | `events N`, `seconds N` | ends after so many records, or so long after it has attached |
//! | `maps` | at the end, prints the elements of hashes and arrays, and the variables |
//!
//! A program that cannot be attached, for one because the kernel has not got what it attaches to, is
//! told of and left out. A record of which the type is not known, or has another size, is printed as bytes.
//!
//! The objects of bcc's libbpf-tools run as they are. Several have one program for `fentry` and
//! one for `kprobe`, of which `only` or `without` takes one. Compilers leave out of an object's
//! BTF what only functions use, often the type of the records; a header has it:
//!
//! ```text
//! rbpftool btf dump file /sys/kernel/btf/vmlinux format c > vmlinux.h
//! echo '#include "opensnoop.h"
//! struct event event;' |
//!     clang -target bpf -g -c -I. -include vmlinux.h -x c - -o opensnoop.types.o
//! example-loader run opensnoop.bpf.o types opensnoop.types.o set targ_uid=4294967295
//! ```
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for the command line"
)]

mod run;
mod show;

use loader::kernel::{LoadOptions, Loaded};
use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

const USAGE: &str = "usage: example-loader OBJECT [DIRECTORY]
       example-loader run OBJECT [set VAR=VALUE] [only PATTERN] [without PATTERN]
                      [type NAME] [types FILE] [events N] [seconds N] [maps]";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["run", path, words @ ..] => run::run(Path::new(path), words),
        [path] => load(Path::new(path), None),
        [path, directory] => load(Path::new(path), Some(Path::new(directory))),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tell(&*error);
            ExitCode::FAILURE
        }
    }
}

fn load(path: &Path, directory: Option<&Path>) -> Result<(), Box<dyn Error>> {
    let object = loader::open(path)?;
    let mut loaded = object.load(&LoadOptions::new())?;
    for map in loaded.maps() {
        match (map.fd(), map.skipped()) {
            (Some(_), _) if map.is_reused() => println!("map {}: found", map.symbol()),
            (Some(_), _) => println!("map {}: made", map.symbol()),
            (None, why) => println!("map {}: {}", map.symbol(), why.unwrap_or("not made")),
        }
    }
    for program in loaded.programs() {
        println!("program {} ({})", program.name(), program.section());
    }
    notes(&loaded);
    if let Some(directory) = directory {
        let pinned = loaded.pin_programs(directory);
        pinned.map_err(|source| loader::Error::kernel_of(&object, source))?;
    }
    Ok(())
}

/// What was loaded otherwise than the object says.
fn notes(loaded: &Loaded) {
    for note in loaded.notes() {
        println!("note: {note}");
    }
}

/// The error with all that led to it, and what can be done about it.
fn tell(error: &(dyn Error + 'static)) {
    // The errors of a load end with the verifier's log, which `#` asks for.
    let Some(load) = error.downcast_ref::<loader::Error>() else {
        eprintln!("{}", chain(error));
        return;
    };
    eprintln!("{load:#}");
    if let Some(hint) = load.hint() {
        eprintln!("hint: {hint}");
    }
}

/// The error and its causes on a line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(&format!(": {cause}"));
        next = cause.source();
    }
    text
}
