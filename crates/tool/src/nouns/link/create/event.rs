//! Perf events in words: what is counted, how often the program runs, where.

use loader::attach::{Access, PerfConfig, PerfEvents, PerfScope, Sample};

use super::super::perf;
use super::words::{number, text};
use crate::failure::{Failure, Result};
use crate::nouns::place::expected;
use crate::words::{Words, shown};

/// Reads `EVENT { period N | frequency N } { cpu N | pid PID [inherit] }`.
pub(super) fn parse(words: &mut Words<'_>) -> Result<PerfEvents> {
    let config = config(words)?;
    let sample = if words.accept("period") {
        Sample::Period(number(words, "a period")?)
    } else if words.accept("frequency") {
        Sample::Frequency(number(words, "a frequency")?)
    } else {
        return Err(expected(words, "'period' or 'frequency'"));
    };
    // One event has one link: there is none for all processors.
    let scope = if words.accept("cpu") {
        PerfScope::Cpus(vec![words.take_u32("a cpu")?])
    } else if words.accept("pid") {
        PerfScope::Process {
            pid: words.take_u32("a process")?,
            inherit: words.option().is_some() && words.accept("inherit"),
        }
    } else {
        return Err(expected(words, "'cpu' or 'pid'"));
    };
    Ok(PerfEvents::new(config, sample).scope(scope))
}

/// Reads `{ software NAME | hardware NAME | hw-cache NAME | raw CONFIG |
/// breakpoint ADDRESS LEN { r | w | rw | x } | COUNTER CONFIG }`: types and names as `link show`
/// tells them.
fn config(words: &mut Words<'_>) -> Result<PerfConfig> {
    let unknown = |name: &str| Failure::new(format_args!("there is no event '{name}'"));
    let type_ = text(words, "a type of events")?;
    Ok(match type_ {
        "software" => {
            let name = text(words, "an event")?;
            PerfConfig::Software(perf::software_event(name).ok_or_else(|| unknown(name))?)
        }
        "hardware" => {
            let name = text(words, "an event")?;
            PerfConfig::Hardware(perf::hardware_event(name).ok_or_else(|| unknown(name))?)
        }
        "hw-cache" => {
            let name = text(words, "an event")?;
            perf::cache_event(name).ok_or_else(|| unknown(name))?
        }
        "raw" => PerfConfig::Raw(number(words, "an event")?),
        "breakpoint" => {
            let (address, len) = (number(words, "an address")?, number(words, "a length")?);
            let word = words.take("kinds of accesses")?;
            let access = match word.to_str() {
                Some("r") => Access::Read,
                Some("w") => Access::Write,
                Some("rw") => Access::ReadWrite,
                Some("x") => Access::Execute,
                _ => {
                    return Err(Failure::new(format_args!(
                        "'{}' is not r, w, rw or x",
                        shown(word)
                    )));
                }
            };
            PerfConfig::Breakpoint {
                address,
                len,
                access,
            }
        }
        name => PerfConfig::Pmu {
            name: name.to_owned(),
            config: number(words, "an event")?,
        },
    })
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use loader::attach::{Cache, CacheOp, CacheResult, HardwareEvent, SoftwareEvent};

    use super::*;

    fn read(line: &str) -> std::result::Result<PerfConfig, String> {
        let words: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        config(&mut Words::new(&words)).map_err(|failure| failure.message().unwrap())
    }

    #[test]
    fn events_are_read_as_they_are_shown() {
        for (line, expect) in [
            (
                "software cpu-clock",
                PerfConfig::Software(SoftwareEvent::CpuClock),
            ),
            (
                "software cgroup-switches",
                PerfConfig::Software(SoftwareEvent::CgroupSwitches),
            ),
            (
                "hardware ref-cycles",
                PerfConfig::Hardware(HardwareEvent::RefCpuCycles),
            ),
            (
                "hw-cache dTLB-store-misses",
                PerfConfig::Cache {
                    cache: Cache::Dtlb,
                    op: CacheOp::Write,
                    result: CacheResult::Miss,
                },
            ),
            (
                "hw-cache L1-icache-load-refs",
                PerfConfig::Cache {
                    cache: Cache::L1i,
                    op: CacheOp::Read,
                    result: CacheResult::Access,
                },
            ),
            ("raw 0x1c2", PerfConfig::Raw(0x1c2)),
            (
                "breakpoint 0x1000 4 rw",
                PerfConfig::Breakpoint {
                    address: 0x1000,
                    len: 4,
                    access: Access::ReadWrite,
                },
            ),
            (
                "msr 1",
                PerfConfig::Pmu {
                    name: "msr".into(),
                    config: 1,
                },
            ),
        ] {
            assert_eq!(read(line).unwrap(), expect, "{line}");
        }
        for (line, message) in [
            ("software nope", "there is no event 'nope'"),
            (
                "hw-cache L1-dcache-load",
                "there is no event 'L1-dcache-load'",
            ),
            ("breakpoint 1 4 q", "'q' is not r, w, rw or x"),
            ("raw q", "can't parse q as an event"),
        ] {
            assert_eq!(read(line).unwrap_err(), message);
        }
    }
}
