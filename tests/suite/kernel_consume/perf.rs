//! Perf buffers.

use std::os::fd::AsFd as _;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use bpfsys::cmd::{MapLookupElem, ProgTestRun};
use bpfsys::{ErrorKind, cpus};
use loader::kernel::Loaded;
use loader::maps::{AccessCause, CpuBuffer, PerfBuffer, PerfBufferOptions, PerfEvent, Wakeup};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use rbpftool_tests::ensure_eq;

use crate::support::{Bench, globals, loaded, map, prog, run};

pub(crate) fn add(bench: &mut Bench) {
    bench.one("perf::events_of_every_cpu", every_cpu);
    bench.one("perf::lost_events_are_counted", lost);
    bench.one("perf::records_wrap_around_the_end", wraps);
    bench.one("perf::readers_are_woken_as_told", wakeups);
    bench.one("perf::chosen_cpus_and_elements", chosen);
    bench.one("perf::the_map_is_left_as_it_was", cleaned);
    bench.one("perf::what_cannot_be_is_refused", refused);
}

/// Keeps this thread on one CPU.
fn on_cpu(cpu: u32) -> Result<()> {
    let mut set = CpuSet::new();
    set.set(usize::try_from(cpu)?)?;
    sched_setaffinity(Pid::from_raw(0), &set).with_context(|| format!("move to cpu {cpu}"))
}

/// Runs in a thread of its own, which may move.
fn apart(test: impl FnOnce() -> Result<()> + Send) -> Result<()> {
    std::thread::scope(|scope| match scope.spawn(test).join() {
        Ok(result) => result,
        Err(_) => bail!("the thread panicked"),
    })
}

/// The first word of a sample.
fn number(event: &PerfEvent<'_>) -> Option<u64> {
    match event {
        PerfEvent::Sample { data, .. } => data.read(),
        _ => None,
    }
}

fn every_cpu() -> Result<()> {
    apart(|| {
        let loaded = loaded("consume")?;
        let options = PerfBufferOptions::new().pages(1).times(true);
        let mut buffer = PerfBuffer::new(map(&loaded, "events")?, &options)?;
        let online = cpus::online()?;
        let cpus: Vec<_> = buffer.buffers().iter().map(CpuBuffer::cpu).collect();
        ensure_eq!(cpus, online);
        ensure_eq!(buffer.poll(Some(Duration::ZERO), |_, _| ())?, 0);
        let mut expect = Vec::new();
        for (cpu, n) in online.into_iter().zip(0..) {
            on_cpu(cpu)?;
            run(&loaded, "emits", 2)?;
            expect.extend([(cpu, 2 * n), (cpu, 2 * n + 1)]);
        }
        let (mut seen, mut last) = (Vec::new(), None);
        let mut wrong = None;
        buffer.poll(None, |cpu, event| match event {
            PerfEvent::Sample {
                time: Some(time),
                data,
            } => {
                if seen.last().is_some_and(|(before, _)| *before == cpu) && Some(time) < last {
                    wrong = Some(format!("{time} after {last:?}"));
                }
                last = Some(time);
                // Rounded up, with the four bytes of the size, to eight.
                if data.len() != 20 {
                    wrong = Some(format!("{} bytes", data.len()));
                }
                seen.push((cpu, data.read::<u64>().unwrap_or(u64::MAX)));
            }
            other => wrong = Some(format!("{other:?}")),
        })?;
        seen.sort_unstable();
        ensure_eq!(wrong, None);
        ensure_eq!(seen, expect);
        ensure_eq!(buffer.lost(), 0);
        Ok(())
    })
}

fn lost() -> Result<()> {
    apart(|| {
        on_cpu(*cpus::online()?.first().context("a cpu")?)?;
        let loaded = loaded("consume")?;
        let options = PerfBufferOptions::new().pages(1);
        let mut buffer = PerfBuffer::new(map(&loaded, "events")?, &options)?;
        run(&loaded, "emits", 1000)?;
        let mut numbers = Vec::new();
        let read = buffer.consume(|_cpu, event| numbers.extend(number(&event)))?;
        ensure_eq!(read, numbers.len());
        let fitted = u64::try_from(numbers.len())?;
        // 32 bytes each, in a page.
        ensure_eq!(fitted, 127);
        ensure_eq!(numbers, (0..fitted).collect::<Vec<_>>());
        let full = globals(&loaded, ".bss")?.variable::<u64>("full")?.get();
        ensure_eq!(full, 1000 - fitted);
        ensure_eq!(buffer.lost(), 0, "the kernel tells with the next one");
        run(&loaded, "emits", 1)?;
        let mut told = Vec::new();
        buffer.consume(|_cpu, event| {
            told.push(match event {
                PerfEvent::Lost { count, .. } => ("lost", count),
                event => ("sample", number(&event).unwrap_or(u64::MAX)),
            });
        })?;
        ensure_eq!(told, [("lost", full), ("sample", fitted)]);
        ensure_eq!(buffer.lost(), full);
        Ok(())
    })
}

/// Records of changing lengths, many times around a page.
fn wraps() -> Result<()> {
    apart(|| {
        on_cpu(*cpus::online()?.first().context("a cpu")?)?;
        let loaded = loaded("consume")?;
        let options = PerfBufferOptions::new().pages(1);
        let mut buffer = PerfBuffer::new(map(&loaded, "events")?, &options)?;
        let (data, zeros) = (globals(&loaded, ".data")?, globals(&loaded, ".bss")?);
        let pattern: Vec<u8> = (0..2048_u32).map(|n| n.to_le_bytes()[0] ^ 0xa5).collect();
        let whole: [u8; 2048] = pattern.clone().try_into().ok().context("its size")?;
        zeros.variable("bytes")?.set(&whole)?;
        let len = data.variable::<u32>("len")?;
        for round in 0..1000_u64 {
            let size = 8 + round * 37 % 1990;
            len.set(&u32::try_from(size)?)?;
            run(&loaded, "emits", 1)?;
            let mut wrong = Some("nothing was read".to_owned());
            buffer.consume(|_cpu, event| {
                wrong = match event {
                    PerfEvent::Sample { data, .. } => {
                        let bytes = data.to_vec();
                        let size = usize::try_from(size).unwrap_or(0);
                        let (number, rest) = bytes.split_at(8);
                        let same = number == round.to_ne_bytes()
                            && rest.get(..size - 8) == pattern.get(8..size)
                            && bytes.len() < size + 8;
                        (!same).then(|| format!("record {round} of {size} bytes is another"))
                    }
                    other => Some(format!("{other:?}")),
                };
            })?;
            ensure_eq!(wrong, None);
        }
        Ok(())
    })
}

fn wakeups() -> Result<()> {
    apart(|| {
        on_cpu(*cpus::online()?.first().context("a cpu")?)?;
        let loaded = loaded("consume")?;
        let now = Some(Duration::ZERO);
        let options = PerfBufferOptions::new().wakeup(Wakeup::Events(3));
        let mut buffer = PerfBuffer::new(map(&loaded, "events")?, &options)?;
        run(&loaded, "emits", 2)?;
        ensure_eq!(buffer.poll(now, |_, _| ())?, 0, "two are not enough");
        run(&loaded, "emits", 1)?;
        ensure_eq!(buffer.poll(Some(Duration::from_secs(5)), |_, _| ())?, 3);
        drop(buffer);
        let options = PerfBufferOptions::new().wakeup(Wakeup::Bytes(320));
        let mut buffer = PerfBuffer::new(map(&loaded, "events")?, &options)?;
        run(&loaded, "emits", 9)?;
        ensure_eq!(buffer.poll(now, |_, _| ())?, 0, "288 bytes are not enough");
        run(&loaded, "emits", 3)?;
        ensure_eq!(buffer.poll(Some(Duration::from_secs(5)), |_, _| ())?, 12);
        let one = buffer.buffers().first().context("a ring")?;
        one.pause(true)?;
        run(&loaded, "emits", 1)?;
        ensure_eq!(
            buffer.consume(|_, _| ())?,
            0,
            "nothing is written meanwhile"
        );
        buffer.buffers().first().context("a ring")?.pause(false)?;
        run(&loaded, "emits", 1)?;
        ensure!(buffer.consume(|_, _| ())? > 0, "and now it is");
        Ok(())
    })
}

fn chosen() -> Result<()> {
    apart(|| {
        let online = cpus::online()?;
        let cpu = *online.last().context("a cpu")?;
        on_cpu(cpu)?;
        let loaded = loaded("consume")?;
        let options = PerfBufferOptions::new().cpus(vec![(cpu, cpu)]);
        let mut buffer = PerfBuffer::new(map(&loaded, "events")?, &options)?;
        run(&loaded, "emits", 1)?;
        let (mut cpus, one) = (Vec::new(), &buffer.buffers()[0]);
        ensure_eq!((one.cpu(), one.index()), (cpu, cpu));
        ensure_eq!(buffer.consume_one(0, |cpu, _| cpus.push(cpu))?, 1);
        ensure_eq!(buffer.consume_one(1, |_, _| ())?, 0);
        ensure_eq!(cpus, [cpu]);
        let none = PerfBufferOptions::new().cpus(vec![(9999, 0)]);
        let error = PerfBuffer::new(map(&loaded, "events")?, &none)
            .err()
            .context("nothing was refused")?;
        ensure!(error.sys_error().is_some(), "{error}");
        Ok(())
    })
}

/// Whether an event is in an element.
fn has(loaded: &Loaded, cpu: u32) -> Result<bool> {
    // Elements cannot be read; a program that writes to one tells.
    let mut value = [0; 4];
    let map = map(loaded, "events")?;
    let error = MapLookupElem::new(map, &cpu.to_ne_bytes()).run(&mut value);
    ensure!(error.is_err(), "elements of events can be read now");
    let packet = [0; 64];
    let zeros = globals(loaded, ".bss")?;
    let full = zeros.variable::<u64>("full")?;
    let before = full.get();
    ProgTestRun::new(prog(loaded, "emits")?)
        .data_in(&packet)
        .run()?;
    Ok(full.get() == before)
}

fn cleaned() -> Result<()> {
    apart(|| {
        let cpu = *cpus::online()?.first().context("a cpu")?;
        on_cpu(cpu)?;
        let loaded = loaded("consume")?;
        ensure!(!has(&loaded, cpu)?, "nobody reads yet");
        let buffer = PerfBuffer::new(map(&loaded, "events")?, &PerfBufferOptions::new())?;
        ensure!(has(&loaded, cpu)?, "somebody reads");
        ensure!(buffer.as_fd().try_clone_to_owned().is_ok(), "it is open");
        drop(buffer);
        ensure!(!has(&loaded, cpu)?, "nobody reads any more");
        Ok(())
    })
}

fn refused() -> Result<()> {
    let loaded = loaded("consume")?;
    let events = map(&loaded, "events")?;
    for pages in [0, 3] {
        let options = PerfBufferOptions::new().pages(pages);
        let error = PerfBuffer::new(events, &options)
            .err()
            .context("nothing was refused")?;
        ensure!(matches!(error.cause(), AccessCause::Unsuited(_)), "{error}");
    }
    let error = PerfBuffer::new(map(&loaded, "ring")?, &PerfBufferOptions::new())
        .err()
        .context("nothing was refused")?;
    ensure!(matches!(error.cause(), AccessCause::Kind { .. }), "{error}");
    let elsewhere = PerfBufferOptions::new().cpus(vec![(0, 1 << 30)]);
    let error = PerfBuffer::new(events, &elsewhere)
        .err()
        .context("nothing was refused")?;
    let kind = error.sys_error().map(|error| error.kind());
    ensure_eq!(kind, Some(ErrorKind::TooBig));
    Ok(())
}
