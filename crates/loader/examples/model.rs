//! Prints what is in objects: `cargo run -p bpfsys-loader --example model FILE…`.

#![allow(clippy::print_stdout, reason = "that is what it is for")]

use loader::model::{Object, ParseOptions};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for path in std::env::args().skip(1) {
        let bytes = std::fs::read(&path)?;
        print!("{}", Object::parse(&bytes, &ParseOptions::for_file(&path))?);
    }
    Ok(())
}
