//! User ring buffers.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use bpfsys::{MapType, probe};
use loader::kernel::Loaded;
use loader::maps::{Globals, UserRingBuffer};
use rbpftool_tests::{ensure_eq, requires};

use crate::support::{Bench, globals, loaded, map, run};

pub(crate) fn add(bench: &mut Bench) {
    bench.one("user_ring::programs_get_what_is_submitted", drained);
    bench.one("user_ring::discarded_records_are_skipped", discarded);
    bench.one(
        "user_ring::there_is_room_when_a_program_has_drained",
        blocking,
    );
    bench.one("user_ring::many_threads_write", threads);
}

fn ready() -> Result<(Loaded, UserRingBuffer, Globals)> {
    requires!(
        !probe::map_type(MapType::USER_RINGBUF).is_no(),
        "this kernel has no user ring buffers"
    );
    let loaded = loaded("consume_user")?;
    let ring = UserRingBuffer::new(map(&loaded, "ring")?)?;
    let zeros = globals(&loaded, ".bss")?;
    Ok((loaded, ring, zeros))
}

fn put(ring: &UserRingBuffer, value: u64) -> Result<bool> {
    match ring.reserve(8)? {
        Some(record) => {
            ensure!(record.write(0, &value), "there is room for it");
            record.submit();
            Ok(true)
        }
        None => Ok(false),
    }
}

fn drained() -> Result<()> {
    let (loaded, ring, zeros) = ready()?;
    let (sum, count) = (
        zeros.variable::<u64>("sum")?,
        zeros.variable::<u64>("count")?,
    );
    let mut value = 0;
    // Many times around.
    for _ in 0..40 {
        for _ in 0..100 {
            ensure!(put(&ring, value)?, "no room for {value}");
            value += 1;
        }
        ensure_eq!(run(&loaded, "drains", 1)?, 100);
    }
    ensure_eq!((count.get(), sum.get()), (4000, 4000 * 3999 / 2));
    ensure_eq!(zeros.variable::<u64>("misplaced")?.get(), 0);
    ensure_eq!(ring.consumer_position(), ring.producer_position());
    // A record is seen only when it and all before it are submitted.
    let (first, second) = (ring.reserve(8)?, ring.reserve(8)?);
    let (first, second) = (first.context("room")?, second.context("room")?);
    ensure!(second.write(0, &4001_u64), "there is room for it");
    second.submit();
    ensure_eq!(run(&loaded, "drains", 1)?, 0);
    ensure!(!first.write(1, &4000_u64), "it would not fit");
    ensure!(first.write(0, &4000_u64), "there is room for it");
    first.submit();
    ensure_eq!(run(&loaded, "drains", 1)?, 2);
    ensure_eq!(zeros.variable::<u64>("misplaced")?.get(), 0);
    Ok(())
}

fn discarded() -> Result<()> {
    let (loaded, ring, zeros) = ready()?;
    drop(ring.reserve(100)?.context("room")?);
    ring.reserve(3)?.context("room")?.discard();
    ensure!(put(&ring, 0)?, "room");
    let short = ring.reserve(3)?.context("room")?;
    ensure!(short.write(0, b"abc"), "room");
    short.submit();
    ensure_eq!(run(&loaded, "drains", 1)?, 2);
    ensure_eq!(zeros.variable::<u64>("count")?.get(), 1);
    ensure_eq!(zeros.variable::<u64>("short_ones")?.get(), 1);
    ensure_eq!(ring.consumer_position(), ring.producer_position());
    let error = ring.reserve(5000).err().context("nothing was refused")?;
    ensure!(error.to_string().contains("larger than it"), "{error}");
    Ok(())
}

fn blocking() -> Result<()> {
    let (loaded, ring, zeros) = ready()?;
    let mut value = 0;
    while put(&ring, value)? {
        value += 1;
    }
    ensure_eq!(value, 256);
    let wait = Duration::from_millis(30);
    let start = Instant::now();
    let none = ring.reserve_blocking(8, Some(wait))?;
    ensure!(none.is_none() && start.elapsed() >= wait, "it waited");
    // Room for one is not room for this: a wait that spins would need no program.
    ensure_eq!(
        ring.reserve_blocking(8, Some(Duration::ZERO))?.is_some(),
        false
    );
    std::thread::scope(|scope| -> Result<()> {
        let program = scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(50));
            run(&loaded, "drains", 1)
        });
        let start = Instant::now();
        let record = ring.reserve_blocking(2000, Some(Duration::from_secs(20)))?;
        let record = record.context("no room after a drain")?;
        ensure!(start.elapsed() >= Duration::from_millis(20), "too early");
        record.discard();
        match program.join() {
            Ok(drained) => ensure_eq!(drained?, 256),
            Err(_) => bail!("the program's thread panicked"),
        }
        Ok(())
    })?;
    ensure_eq!(zeros.variable::<u64>("count")?.get(), 256);
    ensure!(ring.reserve_blocking(8, None)?.is_some(), "there is room");
    Ok(())
}

fn threads() -> Result<()> {
    let (loaded, ring, zeros) = ready()?;
    std::thread::scope(|scope| -> Result<()> {
        let writers = [0, 1, 2].map(|_| {
            scope.spawn(|| -> Result<()> {
                for _ in 0..2000 {
                    let record = ring.reserve_blocking(8, Some(Duration::from_secs(60)))?;
                    let record = record.context("no room in a minute")?;
                    record.write(0, &7_u64);
                    record.submit();
                }
                Ok(())
            })
        });
        let count = zeros.variable::<u64>("count")?;
        while count.get() < 6000 {
            let mut writers = writers.iter();
            let all_written = writers.all(std::thread::ScopedJoinHandle::is_finished);
            run(&loaded, "drains", 1)?;
            // What was written before the last drain is all there is.
            if all_written {
                break;
            }
        }
        for writer in writers {
            match writer.join() {
                Ok(result) => result?,
                Err(_) => bail!("a writer panicked"),
            }
        }
        Ok(())
    })?;
    ensure_eq!(zeros.variable::<u64>("count")?.get(), 6000);
    ensure_eq!(zeros.variable::<u64>("sum")?.get(), 42_000);
    Ok(())
}
