//! Links on what is traced, counted or walked.

use std::fs::File;
use std::os::fd::AsFd;
use std::path::Path;

use bpfsys::cmd::IterTargetSpec;
use bpfsys::uapi::enums::CgroupIterOrder;
use bpfsys::uapi::flags::MapFlags;
use bpfsys::{AttachType, MapFd, ProgFd, ProgType};
use loader::attach::{
    AttachError, Iter, Kprobe, KprobeMulti, Ksyscall, Link, PerfEvents, RawTracepoint, Tracepoint,
    Tracing, TracingMulti, Uprobe, UprobeMulti, Usdt, UsdtMaps, tracing,
};
use loader::target::Running;
use nix::errno::Errno;

use super::{event, words};
use crate::failure::{Failure, Result};
use crate::handle::{MapHandle, ProgHandle};
use crate::nouns::place::{expected, open};
use crate::words::{Words, shown};

/// What a link is on.
pub(super) enum Probe<'w> {
    RawTracepoint(&'w str),
    Tracepoint(&'w str, &'w str),
    Kprobe(Kprobe),
    Ksyscall(&'w str, When),
    KprobeMulti(&'w str, When),
    Uprobe(Uprobe),
    UprobeMulti(UprobeMulti),
    Usdt(Usdt),
    PerfEvents(PerfEvents),
    /// What the program's load said, or a function of another program.
    Tracing(Option<(ProgFd, &'w str)>),
    /// Functions that a pattern fits, of a module.
    TracingMulti(Option<&'w str>, &'w str),
    Iter(Walk),
}

/// When a function is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    Entry,
    Return,
    Both,
}

/// What an iterator walks.
pub(super) enum Walk {
    All,
    Map(MapFd),
    Thread(u32),
    Process(u32),
    Cgroup(File, CgroupIterOrder),
}

impl<'w> Probe<'w> {
    /// Reads it; `None` where the word is none of these.
    pub(super) fn parse(words: &mut Words<'w>) -> Result<Option<Self>> {
        Ok(Some(
            if words.accept("raw_tp") || words.accept("raw_tracepoint") {
                Self::RawTracepoint(words::text(words, "a tracepoint")?)
            } else if words.accept("tracepoint") {
                let word = words.take("a tracepoint")?;
                let parts = word.to_str().and_then(|text| text.split_once('/'));
                let filled =
                    parts.filter(|(category, name)| !category.is_empty() && !name.is_empty());
                let (category, name) = filled.ok_or_else(|| {
                    Failure::new(format_args!("'{}' is not CATEGORY/NAME", shown(word)))
                })?;
                Self::Tracepoint(category, name)
            } else if words.accept("tracing") {
                Self::Tracing(of_program(words)?)
            } else if words.accept("tracing_multi") {
                let target = words::text(words, "a pattern of functions")?;
                match target.split_once(':') {
                    Some((module, pattern)) => Self::TracingMulti(Some(module), pattern),
                    None => Self::TracingMulti(None, target),
                }
            } else if words.accept("kprobe") {
                let place = words::text(words, "a function")?;
                let probe = Kprobe::parse(place).map_err(Failure::new)?;
                Self::Kprobe(match When::parse(words, &["return"])? {
                    When::Entry => probe,
                    When::Return | When::Both => probe.returns(),
                })
            } else if words.accept("ksyscall") {
                let name = words::text(words, "a system call")?;
                Self::Ksyscall(name, When::parse(words, &["return"])?)
            } else if words.accept("kprobe_multi") {
                let pattern = words::text(words, "a pattern of functions")?;
                Self::KprobeMulti(pattern, When::parse(words, &["return", "session"])?)
            } else if words.accept("uprobe") {
                let file = words.take_path("a program or library")?;
                let symbol = words::text(words, "a function")?;
                let probe = Uprobe::new(file).symbol(symbol);
                let (when, pid) = in_process(words, &["return"])?;
                let probe = pid.map_or(probe.clone(), |pid| probe.pid(pid));
                Self::Uprobe(match when {
                    When::Entry => probe,
                    When::Return | When::Both => probe.returns(),
                })
            } else if words.accept("uprobe_multi") {
                let file = words.take_path("a program or library")?;
                let pattern = words::text(words, "a pattern of functions")?;
                let probe = UprobeMulti::new(file).matching(pattern);
                let (when, pid) = in_process(words, &["return", "session"])?;
                let probe = pid.map_or(probe.clone(), |pid| probe.pid(pid));
                Self::UprobeMulti(match when {
                    When::Entry => probe,
                    When::Return => probe.returns(),
                    When::Both => probe.session(),
                })
            } else if words.accept("usdt") {
                Self::Usdt(usdt(words)?)
            } else if words.accept("perf_event") {
                Self::PerfEvents(event::parse(words)?)
            } else if words.accept("iter") {
                Self::Iter(Walk::parse(words)?)
            } else {
                return Ok(None);
            },
        ))
    }

    /// Whether a program can be given a number by which it knows the link.
    pub(super) fn has_cookie(&self) -> bool {
        !matches!(self, Self::Iter(_))
    }

    /// Attaches a program.
    pub(super) fn attach(
        &self,
        prog: &ProgFd,
        cookie: u64,
    ) -> Result<std::result::Result<Link, AttachError>> {
        Ok(match self {
            Self::RawTracepoint(name) => RawTracepoint::new(*name).cookie(cookie).attach(prog),
            Self::Tracepoint(category, name) => Tracepoint::new(*category, *name)
                .cookie(cookie)
                .attach(prog),
            Self::Kprobe(probe) => probe.clone().cookie(cookie).attach(prog),
            Self::Ksyscall(name, when) => {
                let call = Ksyscall::new(*name).cookie(cookie);
                match when {
                    When::Entry => call.attach(prog),
                    When::Return | When::Both => call.returns().attach(prog),
                }
            }
            Self::KprobeMulti(pattern, when) => {
                let many = KprobeMulti::matching(pattern).cookie(cookie);
                match when {
                    When::Entry => many.attach(prog),
                    When::Return => many.returns().attach(prog),
                    When::Both => many.session().attach(prog),
                }
            }
            Self::Uprobe(probe) => probe.clone().cookie(cookie).attach(prog),
            Self::UprobeMulti(probes) => probes.clone().cookie(cookie).attach(prog),
            Self::Usdt(probe) => match UsdtMaps::of_program(prog) {
                Ok(maps) => probe.clone().cookie(cookie).attach(&maps, prog),
                Err(error) => Err(error),
            },
            Self::PerfEvents(events) => events.clone().cookie(cookie).attach(prog),
            Self::Tracing(target) => {
                let of = target.as_ref().map(|(of, name)| {
                    let function = tracing::function_of(of, name);
                    function.map(|function| (of, function))
                });
                match of.transpose() {
                    Ok(of) => traced(prog, of, cookie)?,
                    Err(error) => Err(error),
                }
            }
            Self::TracingMulti(module, pattern) => traced_many(prog, *module, pattern, cookie),
            Self::Iter(walk) => walk.attach(prog),
        })
    }
}

/// The attach types that a loaded program may have been loaded for: the kernel does not tell
/// which, but takes only the right one.
fn loaded_for(prog: &ProgFd) -> Result<&'static [AttachType]> {
    let info = prog
        .info()
        .map_err(|error| Failure::because("can't get prog info", error))?;
    Ok(match info.type_() {
        ProgType::EXT => &[AttachType::CGROUP_INET_INGRESS],
        ProgType::LSM => &[AttachType::LSM_MAC],
        _ => &[
            AttachType::TRACE_FENTRY,
            AttachType::TRACE_FEXIT,
            AttachType::MODIFY_RETURN,
            AttachType::TRACE_RAW_TP,
            AttachType::TRACE_FSESSION,
        ],
    })
}

fn traced(
    prog: &ProgFd,
    of: Option<(&ProgFd, u32)>,
    cookie: u64,
) -> Result<std::result::Result<Link, AttachError>> {
    Ok(first_that_fits(loaded_for(prog)?, |attach_type| {
        let hook = Tracing::new(attach_type).cookie(cookie);
        match of {
            Some((of, function)) => hook.target(of, function).attach(prog),
            None => hook.attach(prog),
        }
    }))
}

fn traced_many(
    prog: &ProgFd,
    module: Option<&str>,
    pattern: &str,
    cookie: u64,
) -> std::result::Result<Link, AttachError> {
    const KINDS: [AttachType; 3] = [
        AttachType::TRACE_FENTRY_MULTI,
        AttachType::TRACE_FEXIT_MULTI,
        AttachType::TRACE_FSESSION_MULTI,
    ];
    let kernel = Running::new();
    first_that_fits(&KINDS, |attach_type| {
        TracingMulti::matching(attach_type, pattern, module, &kernel)?
            .cookie(cookie)
            .attach(prog)
    })
}

/// Tries one after the other as long as the kernel finds that they do not fit; of several such
/// answers the first is told.
fn first_that_fits(
    kinds: &[AttachType],
    attach: impl Fn(AttachType) -> std::result::Result<Link, AttachError>,
) -> std::result::Result<Link, AttachError> {
    let mut first = None;
    for kind in kinds {
        match attach(*kind) {
            Err(error) if error.sys().is_some_and(|sys| sys.is(Errno::EINVAL)) => {
                first.get_or_insert(error);
            }
            made => return made,
        }
    }
    Err(first.unwrap_or_else(|| AttachError::Unsupported {
        what: "attach the program".into(),
        hint: None,
    }))
}

impl When {
    /// Reads `[return | session]`, as far as there are such.
    fn parse(words: &mut Words<'_>, known: &[&'static str]) -> Result<Self> {
        if words.option().is_none() {
            return Ok(Self::Entry);
        }
        match known.iter().find(|word| words.accept(word)) {
            Some(&"return") => Ok(Self::Return),
            Some(_) => Ok(Self::Both),
            None => Err(expected(words, &listed(known, "prog"))),
        }
    }
}

/// `'a', 'b' or 'c'`
fn listed(words: &[&str], last: &str) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
    format!("{} or '{last}'", quoted.join(", "))
}

/// Reads `[return | session] [pid PID]`, in any order.
fn in_process(words: &mut Words<'_>, known: &[&'static str]) -> Result<(When, Option<u32>)> {
    let (mut when, mut pid) = (When::Entry, None);
    while words.option().is_some() {
        if words.accept("pid") {
            pid = Some(words.take_u32("a process")?);
            continue;
        }
        when = match known.iter().find(|word| words.accept(word)) {
            Some(&"return") => When::Return,
            Some(_) => When::Both,
            None => return Err(expected(words, &listed(known, "pid"))),
        };
    }
    Ok((when, pid))
}

/// Reads `FILE PROVIDER:NAME [pid PID]`.
fn usdt(words: &mut Words<'_>) -> Result<Usdt> {
    let file: &Path = words.take_path("a program or library")?;
    let word = words.take("a static probe")?;
    let parts = word.to_str().and_then(|text| text.split_once(':'));
    let filled = parts.filter(|(provider, name)| !provider.is_empty() && !name.is_empty());
    let (provider, name) = filled
        .ok_or_else(|| Failure::new(format_args!("'{}' is not PROVIDER:NAME", shown(word))))?;
    let probe = Usdt::new(file, provider, name);
    if words.option().is_none() {
        return Ok(probe);
    }
    if !words.accept("pid") {
        return Err(expected(words, "'pid' or 'prog'"));
    }
    Ok(probe.pid(words.take_u32("a process")?))
}

/// Reads `[target PROG func NAME]`.
fn of_program<'w>(words: &mut Words<'w>) -> Result<Option<(ProgFd, &'w str)>> {
    if words.option().is_none() {
        return Ok(None);
    }
    if !words.accept("target") {
        return Err(expected(words, "'target' or 'prog'"));
    }
    let prog = ProgHandle::parse(words)?.open_one()?;
    if !words.accept("func") {
        return Err(expected(words, "'func'"));
    }
    Ok(Some((prog, words::text(words, "a function")?)))
}

impl Walk {
    /// Reads `[map MAP | tid TID | pid PID | cgroup CGROUP [order ORDER]]`.
    fn parse(words: &mut Words<'_>) -> Result<Self> {
        if words.option().is_none() {
            return Ok(Self::All);
        }
        if words.accept("map") {
            let map = MapHandle::parse(words)?.open_one(MapFlags::RDONLY)?;
            Ok(Self::Map(map))
        } else if words.accept("tid") {
            words.take_u32("a thread").map(Self::Thread)
        } else if words.accept("pid") {
            words.take_u32("a process").map(Self::Process)
        } else if words.accept("cgroup") {
            let cgroup = open(words.take_path("a cgroup")?, false)?;
            Ok(Self::Cgroup(cgroup, words::order(words)?))
        } else {
            Err(expected(words, "'map', 'tid', 'pid', 'cgroup' or 'prog'"))
        }
    }

    fn attach(&self, prog: &ProgFd) -> std::result::Result<Link, AttachError> {
        let task = |tid, pid| IterTargetSpec::Task {
            tid,
            pid,
            pid_fd: None,
        };
        let target = match self {
            Self::All => IterTargetSpec::All,
            Self::Map(map) => IterTargetSpec::Map(map),
            Self::Thread(tid) => task(*tid, 0),
            Self::Process(pid) => task(0, *pid),
            Self::Cgroup(cgroup, order) => IterTargetSpec::Cgroup {
                cgroup: Some(cgroup.as_fd()),
                order: *order,
            },
        };
        Iter::over(target).attach(prog)
    }
}
