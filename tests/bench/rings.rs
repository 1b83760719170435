//! Reading a ring buffer.
//!
//! `rbpf-bench --ringbuf OBJECT COUNT` does what the program of the same name in `xtask/bench`
//! does with libbpf, and prints the same.

use std::ffi::OsString;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use bpfsys::cmd::ProgTestRun;
use loader::kernel::LoadOptions;
use loader::maps::{Globals, RingBuffer};

/// What `--ringbuf OBJECT COUNT` does.
pub(crate) fn ringbuf(args: &[OsString]) -> Result<String> {
    let [object, count] = args else {
        bail!("--ringbuf needs an object and a count");
    };
    let count: u64 = count.to_str().context("no count")?.parse()?;
    let loaded = loader::open(Path::new(object))?.load(&LoadOptions::new())?;
    let map = |name: &str| loaded.map(name).and_then(|map| map.fd()).context("no map");
    let goal = Globals::open(map(".data")?)?;
    goal.variable::<u64>("goal")?.set(&u64::MAX)?;
    let program = loaded.program("produce_b").and_then(|program| program.fd());
    let program = program.context("no program")?;
    let mut ring = RingBuffer::new(map("ring")?)?;
    let packet = [0; 64];
    let (mut sum, mut records, mut took) = (0_u64, 0_u64, Duration::ZERO);
    while records < count {
        ProgTestRun::new(program)
            .data_in(&packet)
            .repeat(3000)
            .run()?;
        let start = Instant::now();
        let consumed = ring.consume(|record| {
            sum = sum.wrapping_add(record.read_from(8).unwrap_or(0));
        })?;
        took += start.elapsed();
        ensure!(consumed > 0, "the ring stays empty");
        records += u64::try_from(consumed)?;
    }
    // Numbers from 0 on, none of them missing.
    ensure!(sum == records * (records - 1) / 2, "records are missing");
    Ok(format!("{:.4} {records}", took.as_secs_f64() * 1e3))
}
