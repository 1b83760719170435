//! A small loader: everything it uses is public.
//!
//! ```text
//! example-loader OBJECT [DIRECTORY]
//! ```
//!
//! loads the object, says what became of it and, with a directory in a bpf file system, pins its
//! programs there.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for the command line"
)]

use loader::kernel::LoadOptions;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (path, directory) = match args.as_slice() {
        [path] => (path, None),
        [path, directory] => (path, Some(directory)),
        _ => {
            eprintln!("usage: example-loader OBJECT [DIRECTORY]");
            return ExitCode::from(2);
        }
    };
    match load(Path::new(path), directory.map(Path::new)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            if let Some(hint) = error.hint() {
                eprintln!("hint: {hint}");
            }
            ExitCode::FAILURE
        }
    }
}

fn load(path: &Path, directory: Option<&Path>) -> Result<(), loader::Error> {
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
    for note in loaded.notes() {
        println!("note: {note}");
    }
    if let Some(directory) = directory {
        let pinned = loaded.pin_programs(directory);
        pinned.map_err(|source| loader::Error::kernel_of(&object, source))?;
    }
    Ok(())
}
