//! Ring buffers.

use std::ops::ControlFlow;
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use bpfsys::uapi::flags::MapFlags;
use bpfsys::{ErrorKind, MapType};
use loader::maps::{AccessCause, Globals, Record, RingBuffer, RingBuffers};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};
use rbpftool_tests::{ensure_eq, skip};

use crate::support::{Bench, globals, in_guest, load, loaded, map, object, prog, repeat, run};

pub(crate) fn add(bench: &mut Bench) {
    bench.one(
        "ring::two_producers_lose_and_reorder_nothing",
        two_producers,
    );
    bench.one("ring::records_come_at_edges", edges);
    bench.one("ring::discarded_records_are_skipped", discards);
    bench.one("ring::records_wrap_around_the_end", wraps);
    bench.one("ring::a_full_ring_loses_the_newest", full);
    bench.one("ring::consumption_stops_where_it_is_told", limits);
    bench.one("ring::a_batch_stays_until_it_is_dropped", batches);
    bench.one("ring::several_are_waited_for_together", several);
    bench.one("ring::the_oldest_are_overwritten", overwrites);
    bench.one("ring::newest_records_are_whole_under_a_writer", overtaken);
    bench.one("ring::other_maps_are_refused", refused);
}

/// A record of `produce_a` and `produce_b`: who, and which.
fn event(record: &Record<'_>) -> Result<(usize, u64)> {
    ensure_eq!(record.len(), 16);
    let producer: u32 = record.read().context("the producer")?;
    let check: u32 = record.read_from(4).context("the check")?;
    ensure_eq!(check, !producer);
    let number: u64 = record.read_from(8).context("the number")?;
    Ok((usize::try_from(producer)?, number))
}

/// What each producer has written so far.
fn numbers(data: &Globals) -> Result<[u64; 16]> {
    Ok(data.variable("numbers")?.get())
}

fn two_producers() -> Result<()> {
    let goal = 5_000_000;
    let loaded = loaded("consume")?;
    let (data, zeros) = (globals(&loaded, ".data")?, globals(&loaded, ".bss")?);
    data.variable::<u64>("goal")?.set(&goal)?;
    let mut ring = RingBuffer::new(map(&loaded, "ring")?)?;
    let mut next = [0_u64; 2];
    let start = Instant::now();
    std::thread::scope(|scope| -> Result<()> {
        let writers = [("produce_a", 0), ("produce_b", 8)].map(|(name, at)| {
            let (loaded, zeros) = (&loaded, &zeros);
            scope.spawn(move || -> Result<()> {
                let prog = prog(loaded, name)?;
                while numbers(zeros)?.get(at).is_some_and(|done| *done < goal) {
                    repeat(prog, 1000)?;
                }
                Ok(())
            })
        });
        let mut wrong = None;
        // A failure must not keep the writers from an end.
        while next != [goal, goal] && start.elapsed() < Duration::from_secs(200) {
            ring.poll(Some(Duration::from_millis(100)), |record| {
                match event(&record) {
                    Ok((producer, number)) if next.get(producer) == Some(&number) => {
                        next[producer] += 1;
                    }
                    other => drop(wrong.get_or_insert(format!("{other:?} after {next:?}"))),
                }
            })?;
        }
        data.variable::<u64>("goal")?.set(&0)?;
        for writer in writers {
            match writer.join() {
                Ok(result) => result?,
                Err(_) => bail!("a writer panicked"),
            }
        }
        match wrong {
            Some(wrong) => bail!("{wrong}"),
            None => Ok(()),
        }
    })?;
    ensure_eq!(next, [goal, goal]);
    ensure_eq!(ring.available(), 0);
    ensure_eq!(ring.consumer_position(), goal * 2 * 24);
    // It was a race, not one after the other: a ring of this size is full a thousand times.
    ensure!(
        zeros.variable::<u64>("full")?.get() > 0,
        "it was never full"
    );
    Ok(())
}

/// Each round is waited for by an edge; what is missed would be waited for without an end.
fn edges() -> Result<()> {
    let rounds = if in_guest() { 500 } else { 20_000 };
    let loaded = loaded("consume")?;
    globals(&loaded, ".data")?
        .variable::<u64>("goal")?
        .set(&u64::MAX)?;
    let mut ring = RingBuffer::new(map(&loaded, "ring")?)?;
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    let flags = EpollFlags::EPOLLIN | EpollFlags::EPOLLET;
    epoll.add(&ring, EpollEvent::new(flags, 0))?;
    let prog = prog(&loaded, "produce_a")?;
    std::thread::scope(|scope| -> Result<()> {
        let writer = scope.spawn(|| -> Result<()> {
            for _ in 0..rounds {
                repeat(prog, 1)?;
            }
            Ok(())
        });
        let mut seen = 0;
        while seen < rounds {
            let mut events = [EpollEvent::empty()];
            let count = epoll.wait(&mut events, 5000_u16)?;
            ensure!(count == 1, "no edge after {seen} of {rounds} records");
            seen += u64::try_from(ring.consume(|_record| ())?)?;
        }
        match writer.join() {
            Ok(result) => result,
            Err(_) => bail!("the writer panicked"),
        }
    })
}

fn discards() -> Result<()> {
    let loaded = loaded("consume")?;
    let mut ring = RingBuffer::new(map(&loaded, "small")?)?;
    run(&loaded, "discards", 20)?;
    let mut values = Vec::new();
    let count = ring.consume(|record| values.extend(record.read::<u64>()))?;
    let expect: Vec<u64> = (0..20).filter(|n| n % 3 != 2).collect();
    ensure_eq!(values, expect);
    ensure_eq!(count, expect.len());
    ensure_eq!(ring.consumer_position(), 20 * 16);
    // Nothing but discarded ones is nothing, and is given back all the same.
    globals(&loaded, ".bss")?
        .variable::<u64>("written")?
        .set(&2)?;
    run(&loaded, "discards", 1)?;
    ensure_eq!(ring.consume(|_record| ())?, 0);
    ensure_eq!(ring.available(), 0);
    Ok(())
}

/// Records of changing lengths, many times around a ring of a page.
fn wraps() -> Result<()> {
    let loaded = loaded("consume")?;
    let mut ring = RingBuffer::new(map(&loaded, "small")?)?.hold(0);
    let (data, zeros) = (globals(&loaded, ".data")?, globals(&loaded, ".bss")?);
    let len = data.variable::<u32>("len")?;
    let pattern: Vec<u8> = (0..2048_u32).map(|n| n.to_le_bytes()[0] ^ 0x5a).collect();
    let bytes = zeros.variable::<[u8; 2048]>("bytes")?;
    let whole: [u8; 2048] = pattern.clone().try_into().ok().context("its size")?;
    bytes.set(&whole)?;
    let mut copy = Vec::new();
    let mut crossed = 0;
    for round in 0..2000_u64 {
        let size = u32::try_from(8 + round * 37 % 1990)?;
        len.set(&size)?;
        run(&loaded, "writes", 1)?;
        let before = ring.consumer_position() % 4096;
        let mut wrong = None;
        let count = ring.consume(|record| {
            let found = record.copy_to(&mut copy);
            let (number, rest) = found.split_at(8.min(found.len()));
            let expect = pattern.get(8..usize::try_from(size).unwrap_or(0));
            if number != round.to_ne_bytes() || Some(rest) != expect {
                wrong = Some(format!("record {round} of {size} bytes is another"));
            }
        })?;
        ensure_eq!(count, 1);
        if let Some(wrong) = wrong {
            bail!("{wrong}");
        }
        if before + u64::from(size) + 8 > 4096 {
            crossed += 1;
        }
    }
    ensure!(crossed > 100, "only {crossed} records crossed the end");
    Ok(())
}

fn full() -> Result<()> {
    let loaded = loaded("consume")?;
    let mut ring = RingBuffer::new(map(&loaded, "small")?)?;
    ensure_eq!(ring.size(), 4096);
    ensure!(!ring.overwrites(), "it does not write over records");
    run(&loaded, "writes", 1000)?;
    let full = globals(&loaded, ".bss")?.variable::<u64>("full")?.get();
    // 24 bytes each; a ring is never quite full.
    ensure_eq!(full, 1000 - 170);
    ensure_eq!(ring.available(), 170 * 24);
    ensure_eq!(ring.producer_position(), 170 * 24);
    let mut numbers = Vec::new();
    ring.consume(|record| numbers.extend(record.read::<u64>()))?;
    ensure_eq!(numbers, (0..170).collect::<Vec<u64>>());
    run(&loaded, "writes", 5)?;
    ring.skip_all();
    ensure_eq!(ring.consume(|_record| ())?, 0);
    Ok(())
}

fn limits() -> Result<()> {
    let loaded = loaded("consume")?;
    let mut ring = RingBuffer::new(map(&loaded, "small")?)?;
    ensure!(!ring.wait(Some(Duration::ZERO))?, "there is nothing yet");
    run(&loaded, "writes", 10)?;
    ensure!(ring.wait(None)?, "there is something");
    ensure_eq!(ring.consume_at_most(3, |_record| ())?, 3);
    ensure_eq!(ring.available(), 7 * 24);
    let stopped = ring.consume_until(usize::MAX, |record| match record.read::<u64>() {
        Some(5) => ControlFlow::Break("five"),
        _ => ControlFlow::Continue(()),
    })?;
    ensure_eq!((stopped.records, stopped.stopped), (3, Some("five")));
    ensure_eq!(ring.poll(Some(Duration::ZERO), |_record| ())?, 4);
    ensure_eq!(ring.poll(Some(Duration::from_millis(1)), |_record| ())?, 0);
    ensure_eq!(ring.consume_at_most(0, |_record| ())?, 0);
    Ok(())
}

fn batches() -> Result<()> {
    let loaded = loaded("consume")?;
    let mut ring = RingBuffer::new(map(&loaded, "small")?)?;
    run(&loaded, "writes", 10)?;
    let numbers = |batch: &loader::maps::Batch<'_>| -> Vec<u64> {
        batch.iter().filter_map(|record| record.read()).collect()
    };
    let batch = ring.batch(4)?;
    ensure_eq!(numbers(&batch), [0, 1, 2, 3]);
    ensure_eq!(numbers(&batch), [0, 1, 2, 3], "they are still there");
    batch.keep();
    ensure_eq!(ring.available(), 240);
    let batch = ring.batch(4)?;
    ensure_eq!(batch.len(), 4);
    drop(batch);
    ensure_eq!(ring.available(), 6 * 24);
    ensure_eq!(numbers(&ring.batch(100)?), [4, 5, 6, 7, 8, 9]);
    ensure!(ring.batch(100)?.is_empty(), "all are consumed");
    // One that is discarded at the end goes with the batch.
    globals(&loaded, ".bss")?
        .variable::<u64>("written")?
        .set(&1)?;
    run(&loaded, "discards", 2)?;
    ensure_eq!(ring.batch(100)?.len(), 1);
    ensure_eq!(ring.available(), 0);
    Ok(())
}

fn several() -> Result<()> {
    let loaded = loaded("consume")?;
    let mut rings = RingBuffers::new()?;
    let small = rings.add(map(&loaded, "small")?)?;
    let large = rings.add(map(&loaded, "ring")?)?;
    ensure_eq!((small, large), (0, 1));
    ensure_eq!(rings.poll(Some(Duration::ZERO), |_, _| ())?, 0);
    run(&loaded, "writes", 3)?;
    run(&loaded, "produce_b", 2)?;
    let mut seen = [0; 2];
    ensure_eq!(rings.poll(None, |ring, _record| seen[ring] += 1)?, 5);
    ensure_eq!(seen, [3, 2]);
    run(&loaded, "writes", 3)?;
    run(&loaded, "produce_a", 4)?;
    // Its own descriptor is readable like one of theirs.
    let outer = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    outer.add(&rings, EpollEvent::new(EpollFlags::EPOLLIN, 7))?;
    let mut events = [EpollEvent::empty()];
    ensure_eq!(outer.wait(&mut events, 0_u8)?, 1);
    ensure_eq!(rings.consume_at_most(5, |_, _| ())?, 5);
    ensure_eq!(rings.rings().len(), 2);
    let available: Vec<_> = rings.rings().iter().map(RingBuffer::available).collect();
    ensure_eq!(available, [0, 48]);
    let stopped = rings.consume_until(9, |ring, _record| ControlFlow::Break(ring))?;
    ensure_eq!(stopped.stopped, Some(large));
    let one = rings.ring_mut(large).context("the second")?;
    ensure_eq!(one.consume(|_record| ())?, 1);
    ensure_eq!(rings.consume(|_, _| ())?, 0);
    Ok(())
}

/// The fixture with its small ring writing over old records.
fn overwriting() -> Result<loader::kernel::Loaded> {
    let mut object = object("consume")?;
    let small = object.map_mut("small").context("the ring")?;
    small.spec.flags |= MapFlags::RB_OVERWRITE;
    match object.load(&loader::kernel::LoadOptions::new()) {
        Ok(loaded) => Ok(loaded),
        Err(error) => {
            let unknown = error.kernel().and_then(|error| match error {
                loader::kernel::KernelError::Map { source, .. } => Some(source.kind()),
                _ => None,
            });
            let new = bpfsys::KernelVersion::running()? >= bpfsys::KernelVersion::new(6, 19, 0);
            ensure!(
                unknown == Some(ErrorKind::Invalid) && !new,
                "cannot load: {error:#}"
            );
            Err(skip("rings that write over old records need Linux 6.19"))
        }
    }
}

fn overwrites() -> Result<()> {
    let loaded = overwriting()?;
    let mut ring = RingBuffer::new(map(&loaded, "small")?)?;
    ensure!(ring.overwrites(), "it writes over old records");
    run(&loaded, "writes", 1000)?;
    let full = globals(&loaded, ".bss")?.variable::<u64>("full")?.get();
    ensure_eq!(full, 0, "there is always room");
    ensure_eq!(ring.available(), 170 * 24);
    let mut numbers = Vec::new();
    ring.consume_at_most(100, |record| numbers.extend(record.read::<u64>()))?;
    ensure_eq!(numbers, (830..930).collect::<Vec<u64>>());
    ensure_eq!(ring.overwritten(), 830 * 24);
    run(&loaded, "writes", 10)?;
    numbers.clear();
    ring.consume(|record| numbers.extend(record.read::<u64>()))?;
    ensure_eq!(numbers, (930..1010).collect::<Vec<u64>>());
    ensure_eq!(ring.overwritten(), 830 * 24);
    ensure_eq!(ring.available(), 0);
    let error = ring.batch(1).err().context("nothing was refused")?;
    ensure!(matches!(error.cause(), AccessCause::Unsuited(_)), "{error}");
    Ok(())
}

/// A writer that never waits: whatever is read is whole, and nothing is missing that is not
/// counted.
fn overtaken() -> Result<()> {
    let loaded = overwriting()?;
    let rounds = if in_guest() { 50 } else { 2000 };
    let mut ring = RingBuffer::new(map(&loaded, "small")?)?;
    let zeros = globals(&loaded, ".bss")?;
    let prog = prog(&loaded, "writes")?;
    let (mut read, mut next, mut wrong) = (0_u64, 0_u64, None);
    std::thread::scope(|scope| -> Result<()> {
        let writer = scope.spawn(|| -> Result<()> {
            for _ in 0..rounds {
                repeat(prog, 500)?;
            }
            Ok(())
        });
        loop {
            let done = writer.is_finished();
            ring.consume_at_most(1000, |record| {
                read += 1;
                match record.read::<u64>() {
                    Some(number) if number >= next && record.len() == 16 => next = number + 1,
                    other => drop(wrong.get_or_insert((other, next))),
                }
            })?;
            if done && ring.available() == 0 {
                break;
            }
        }
        match writer.join() {
            Ok(result) => result,
            Err(_) => bail!("the writer panicked"),
        }
    })?;
    ensure_eq!(wrong, None);
    let written = zeros.variable::<u64>("written")?.get();
    ensure_eq!(next, written, "the last was read");
    ensure_eq!(read + ring.overwritten() / 24, written);
    Ok(())
}

fn refused() -> Result<()> {
    let loaded = loaded("consume")?;
    let error = RingBuffer::new(map(&loaded, ".bss")?)
        .err()
        .context("nothing was refused")?;
    let kind = AccessCause::Kind {
        found: MapType::ARRAY,
        wanted: "ring buffer",
    };
    ensure_eq!(error.cause(), &kind);
    ensure_eq!(
        error.to_string(),
        "map 'consume.bss': it is of type array, which is no ring buffer"
    );
    let ring = RingBuffer::new(map(&loaded, "ring")?)?;
    ensure!(ring.as_fd().try_clone_to_owned().is_ok(), "it is open");
    let mut rings = RingBuffers::new()?;
    rings.add(map(&loaded, "ring")?)?;
    drop(load(&object("minimal")?)?);
    Ok(())
}
