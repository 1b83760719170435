//! Puts blobs together, takes duplicates out, and says how long it took.
//!
//! `cargo run --release --example dedup -- OUT|- FILE…`
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "an example")]

use std::time::{Duration, Instant};

use btf::build::Builder;
use btf::{Btf, BtfError, Endian};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let out = args.next().ok_or("usage: dedup OUT|- FILE...")?;
    let files = args.map(std::fs::read).collect::<Result<Vec<_>, _>>()?;
    let mut best = [Duration::MAX; 4];
    let mut last = (0, 0, Vec::new());
    for _ in 0..9 {
        let (times, result) = round(&files)?;
        for (best, time) in best.iter_mut().zip(times) {
            *best = time.min(*best);
        }
        last = result;
    }
    let (before, after, blob) = last;
    let [parse, add, dedup, write] = best.map(|time| time.as_secs_f64() * 1e3);
    println!(
        "parse {parse:.1} add {add:.1} dedup {dedup:.1} write {write:.1} ms; \
         types {before} -> {after}; {} bytes",
        blob.len()
    );
    if out != "-" {
        std::fs::write(out, blob)?;
    }
    Ok(())
}

type Round = ([Duration; 4], (u32, u32, Vec<u8>));

fn round(files: &[Vec<u8>]) -> Result<Round, BtfError> {
    let start = Instant::now();
    let inputs = files
        .iter()
        .map(|data| Btf::parse(&data[..]))
        .collect::<Result<Vec<_>, _>>()?;
    let parsed = Instant::now();
    let mut b = Builder::new(inputs.first().map_or(Endian::NATIVE, Btf::endian));
    for btf in &inputs {
        b.append(btf)?;
    }
    let before = b.next_id();
    let added = Instant::now();
    b.dedup()?;
    let deduped = Instant::now();
    let after = b.next_id();
    let blob = b.finish()?;
    let times = [
        parsed - start,
        added - parsed,
        deduped - added,
        deduped.elapsed(),
    ];
    Ok((times, (before, after, blob)))
}
