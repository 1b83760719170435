//! `prog profile`: counters of the processor and the kernel, read where a program begins and ends.

mod code;
mod metrics;
mod text;
pub mod view;

use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

use bpfsys::cmd::{MapCreate, MapLookupElem, MapUpdateElem, ProgLoad, ProgParts};
use bpfsys::insn::Insn;
use bpfsys::sys::perf_event::{PerfEvent, Target};
use bpfsys::{AttachType, MapFd, MapType, ProgFd, ProgType, SysError, cpus};
use btf::Type;
use loader::attach::{Link, Tracing};
use nix::errno::Errno;

use self::code::Layout;
use self::metrics::Metric;
use self::view::{MetricView, ProfileView, Reading};
use super::load::edit;
use crate::command::Context;
use crate::failure::{EINVAL_STATUS, Failure, Result};
use crate::handle::ProgHandle;
use crate::interrupt::Interrupt;
use crate::words::{Words, parse_number, shown};

/// `prog profile PROG [duration SECONDS] METRIC…`
pub(super) fn run(context: &mut Context<'_, '_>, mut words: Words<'_>) -> Result<()> {
    words
        .require(3)
        .map_err(|failure| failure.with_status(EINVAL_STATUS))?;
    let target = ProgHandle::parse(&mut words)?;
    let duration = duration(&mut words)?;
    let chosen = metrics::parse(&mut words)?;
    let target = target.open_one()?;
    // From here on a signal ends the measurement, not the process: what was made is undone.
    let interrupt = Interrupt::catch()?;
    let session = Session::begin(&target, &chosen)?;
    let end = duration.map(|duration| Instant::now() + duration);
    interrupt.wait_until(end)?;
    let view = session.finish(&chosen)?;
    drop(interrupt);
    context.output.show(&view)
}

/// Seconds, if the words say how long; for ever otherwise.
fn duration(words: &mut Words<'_>) -> Result<Option<Duration>> {
    if words.len() <= 2 || !words.accept("duration") {
        return Ok(None);
    }
    let word = words.take("a number of seconds")?;
    let seconds = parse_number(word, 0).and_then(|number| u32::try_from(number).ok());
    let seconds = seconds
        .ok_or_else(|| Failure::usage(format_args!("can't parse {} as duration", shown(word))))?;
    Ok(Some(Duration::from_secs(seconds.into())))
}

/// What is attached and counts.
struct Session {
    links: Vec<Link>,
    state: MapFd,
    layout: Layout,
    _events: MapFd,
    _counters: Vec<PerfEvent>,
}

impl Session {
    fn begin(target: &ProgFd, chosen: &[&Metric]) -> Result<Self> {
        let function = main_function(target)?;
        let all = cpus::possible_list()
            .map_err(|error| Failure::because("failed to identify number of CPUs", error))?;
        let cpus = all.last().map_or(1, |last| last.saturating_add(1));
        let count = u32::try_from(chosen.len()).unwrap_or(u32::MAX);
        let layout = Layout {
            metrics: count,
            cpus,
        };
        let fail = |error| Failure::because("failed to create a map", error);
        let entries = count.saturating_mul(cpus);
        let events = MapCreate::new(MapType::PERF_EVENT_ARRAY, 4, 4, entries)
            .name("profile_events")
            .run()
            .map_err(fail)?;
        let state = MapCreate::new(MapType::PERCPU_ARRAY, 4, layout.value_size(), 1)
            .name("profile_state")
            .run()
            .map_err(fail)?;
        let mut counters = Vec::new();
        for (row, metric) in (0..).zip(chosen) {
            for cpu in all {
                let key = cpus.saturating_mul(row).saturating_add(*cpu);
                counters.extend(open(metric, *cpu, &events, key)?);
            }
        }
        let maps = code::Maps {
            events: events.as_fd().as_raw_fd(),
            state: state.as_fd().as_raw_fd(),
        };
        let mut links = Vec::new();
        for (attach_type, insns) in [
            (AttachType::TRACE_FEXIT, layout.at_exit(maps)),
            (AttachType::TRACE_FENTRY, layout.at_entry(maps)),
        ] {
            let insns = insns.map_err(|error| Failure::because("cannot assemble", error))?;
            links.push(attach(target, function, attach_type, &insns)?);
        }
        Ok(Self {
            links,
            state,
            layout,
            _events: events,
            _counters: counters,
        })
    }

    /// Stops counting and adds up what all CPUs have counted.
    fn finish(self, chosen: &[&Metric]) -> Result<ProfileView> {
        for link in self.links {
            link.detach()
                .map_err(|error| Failure::because("failed to detach", error))?;
        }
        let fail = |error| Failure::because("failed to read what was counted", error);
        let cpus = cpus::possible().map_err(fail)?;
        let size = usize::try_from(self.layout.value_size()).unwrap_or(usize::MAX);
        let mut values = vec![0; size.saturating_mul(cpus)];
        MapLookupElem::new(&self.state, &[0; 4])
            .run(&mut values)
            .map_err(fail)?;
        let (runs, sums) = self.layout.sum(&values);
        let metrics = chosen.iter().zip(sums).map(|(metric, sum)| MetricView {
            metric: metric.name,
            run_cnt: runs,
            value: sum.counter,
            enabled: sum.enabled,
            running: sum.running,
            ratio: metric.ratio,
        });
        Ok(ProfileView(metrics.collect()))
    }
}

/// A counter on one CPU, put where programs find it. None on a CPU that is not online.
fn open(metric: &Metric, cpu: u32, events: &MapFd, key: u32) -> Result<Option<PerfEvent>> {
    let what = || format!("failed to create event {} on cpu {cpu}", metric.name);
    let on = Target {
        pid: -1,
        cpu: i32::try_from(cpu).unwrap_or(i32::MAX),
    };
    let event = match PerfEvent::open(metric.attr(), on) {
        Ok(event) => event,
        Err(error) if error.is(Errno::ENODEV) => return Ok(None),
        Err(error) => {
            let absent = error.is(Errno::ENOENT) || error.is(Errno::EOPNOTSUPP);
            let failure = Failure::because(what(), error);
            return Err(if absent {
                failure.with_hint(
                    "this machine has no such counter, as virtual machines often have none; \
                     cpu_clock and page_faults are counted by the kernel itself",
                )
            } else {
                failure
            });
        }
    };
    let put = || -> std::result::Result<(), SysError> {
        let fd = event.as_fd().as_raw_fd();
        MapUpdateElem::new(events, &key.to_ne_bytes(), &fd.to_ne_bytes()).run()?;
        event.enable()
    };
    put().map_err(|error| Failure::because(what(), error))?;
    Ok(Some(event))
}

fn attach(target: &ProgFd, function: u32, attach_type: AttachType, insns: &[Insn]) -> Result<Link> {
    let load = ProgLoad::new(ProgType::TRACING, insns)
        .name("profile")
        .expected_attach_type(attach_type)
        .attach_prog(target)
        .attach_btf_id(function)
        .run();
    let prog =
        load.map_err(|error| Failure::because("failed to load the counting program", error))?;
    Tracing::new(attach_type)
        .named("the program")
        .attach(&prog)
        .map_err(|error| Failure::because("failed to attach the counting program", error))
}

/// The type of a program's first function.
fn main_function(prog: &ProgFd) -> Result<u32> {
    let types = edit::types(prog)?;
    let details = prog
        .details(ProgParts::FUNC_INFO)
        .map_err(|error| Failure::because("can't get prog info", error))?;
    let first = details.func_info.first().map(|info| info.type_id);
    let is_function = |id: &u32| matches!(types.type_by_id(*id), Ok(Type::Func(_)));
    first
        .filter(is_function)
        .ok_or_else(|| Failure::new("the program's types do not name its functions"))
}

impl From<[u64; 3]> for Reading {
    fn from([counter, enabled, running]: [u64; 3]) -> Self {
        Self {
            counter,
            enabled,
            running,
        }
    }
}
