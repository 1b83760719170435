//! Perf events: programs that run when a counter overflows, a timer is up or a breakpoint is hit.

use super::perf::{self, PerfForm};
use super::{AttachError, Link};
use bpfsys::ProgFd;
use bpfsys::sys::perf_event::{PerfEvent, Target};
use bpfsys::uapi::perf::{
    FLAG_FREQ, FLAG_INHERIT, PerfEventAttr, TYPE_BREAKPOINT, TYPE_HARDWARE, TYPE_HW_CACHE,
    TYPE_RAW, TYPE_SOFTWARE,
};
use std::path::Path;

/// What is counted.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum PerfConfig {
    /// Something that the kernel counts.
    Software(SoftwareEvent),
    /// Something that most processors count.
    Hardware(HardwareEvent),
    /// Accesses of a cache.
    Cache {
        /// Which.
        cache: Cache,
        /// Which accesses.
        op: CacheOp,
        /// All of them, or those that found nothing.
        result: CacheResult,
    },
    /// What the processor counts by a number of its own.
    Raw(u64),
    /// Accesses of an address.
    Breakpoint {
        /// The address.
        address: u64,
        /// Bytes that are watched: 1, 2, 4 or 8.
        len: u64,
        /// Which accesses.
        access: Access,
    },
    /// An event of a device in `/sys/bus/event_source/devices`.
    Pmu {
        /// The device.
        name: String,
        /// The event, as its folder `format` says.
        config: u64,
    },
}

macro_rules! numbered {
    ($(#[$outer:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $number:literal,)* }) => {
        $(#[$outer])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum $name {
            $($(#[$doc])* $variant = $number,)*
        }

        impl $name {
            /// All of them, by their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            const fn number(self) -> u32 {
                self as u32
            }
        }
    };
}

numbered! {
    /// Something that the kernel counts.
    #[doc(alias = "perf_sw_ids")]
    SoftwareEvent {
        /// Nanoseconds of a clock of the CPU.
        CpuClock = 0,
        /// Nanoseconds in which the process ran.
        TaskClock = 1,
        /// Page faults.
        PageFaults = 2,
        /// Switches of the process that runs.
        ContextSwitches = 3,
        /// Moves to another CPU.
        CpuMigrations = 4,
        /// Page faults without reading.
        MinorFaults = 5,
        /// Page faults with reading.
        MajorFaults = 6,
        /// Accesses that are not aligned and that the kernel helps with.
        AlignmentFaults = 7,
        /// Instructions that the kernel stands in for.
        EmulationFaults = 8,
        /// Nothing.
        Dummy = 9,
        /// What programs write with `bpf_perf_event_output`.
        BpfOutput = 10,
        /// Switches between control groups. Since Linux 5.13.
        CgroupSwitches = 11,
    }
}

numbered! {
    /// Something that most processors count.
    #[doc(alias = "perf_hw_id")]
    HardwareEvent {
        /// Cycles.
        CpuCycles = 0,
        /// Instructions.
        Instructions = 1,
        /// Accesses of the last cache.
        CacheReferences = 2,
        /// Those that found nothing.
        CacheMisses = 3,
        /// Branches.
        BranchInstructions = 4,
        /// Those that were guessed wrong.
        BranchMisses = 5,
        /// Cycles of the bus.
        BusCycles = 6,
        /// Cycles in which nothing was fetched.
        StalledCyclesFrontend = 7,
        /// Cycles in which nothing was done.
        StalledCyclesBackend = 8,
        /// Cycles at a frequency that does not change.
        RefCpuCycles = 9,
    }
}

numbered! {
    /// A cache.
    #[doc(alias = "perf_hw_cache_id")]
    Cache {
        /// The first of data.
        L1d = 0,
        /// The first of instructions.
        L1i = 1,
        /// The last.
        Ll = 2,
        /// Translations of addresses of data.
        Dtlb = 3,
        /// Translations of addresses of instructions.
        Itlb = 4,
        /// Targets of branches.
        Bpu = 5,
        /// Memory of the same node.
        Node = 6,
    }
}

numbered! {
    /// Accesses of a cache.
    #[doc(alias = "perf_hw_cache_op_id")]
    CacheOp {
        /// Reads.
        Read = 0,
        /// Writes.
        Write = 1,
        /// Reads ahead of need.
        Prefetch = 2,
    }
}

numbered! {
    /// What accesses of a cache are counted.
    #[doc(alias = "perf_hw_cache_op_result_id")]
    CacheResult {
        /// All.
        Access = 0,
        /// Those that found nothing.
        Miss = 1,
    }
}

numbered! {
    /// Accesses of an address.
    Access {
        /// Reads.
        #[doc(alias = "HW_BREAKPOINT_R")]
        Read = 1,
        /// Writes.
        #[doc(alias = "HW_BREAKPOINT_W")]
        Write = 2,
        /// Both.
        #[doc(alias = "HW_BREAKPOINT_RW")]
        ReadWrite = 3,
        /// The instruction there is executed.
        #[doc(alias = "HW_BREAKPOINT_X")]
        Execute = 4,
    }
}

impl PerfConfig {
    fn attr(&self) -> Result<PerfEventAttr, AttachError> {
        Ok(match self {
            Self::Software(event) => PerfEventAttr::new(TYPE_SOFTWARE, event.number().into()),
            Self::Hardware(event) => PerfEventAttr::new(TYPE_HARDWARE, event.number().into()),
            Self::Cache { cache, op, result } => {
                let config = cache.number() | op.number() << 8 | result.number() << 16;
                PerfEventAttr::new(TYPE_HW_CACHE, config.into())
            }
            Self::Raw(config) => PerfEventAttr::new(TYPE_RAW, *config),
            Self::Breakpoint {
                address,
                len,
                access,
            } => {
                let mut attr = PerfEventAttr::new(TYPE_BREAKPOINT, 0);
                attr.bp_type = access.number();
                attr.config1 = *address;
                // Whole words of code, whatever is asked for.
                attr.config2 = if *access == Access::Execute {
                    size_of::<usize>() as u64
                } else {
                    *len
                };
                attr
            }
            Self::Pmu { name, config } => PerfEventAttr::new(device(name)?, *config),
        })
    }
}

/// The number of a device's events.
fn device(name: &str) -> Result<u32, AttachError> {
    let missing = || AttachError::Missing {
        what: "device with perf events",
        name: name.to_owned(),
    };
    if name.is_empty() || name.contains('/') || name.starts_with('.') {
        return Err(missing());
    }
    let path = Path::new("/sys/bus/event_source/devices").join(name);
    let text = std::fs::read_to_string(path.join("type")).map_err(|_none| missing())?;
    text.trim().parse().map_err(|_not_a_number| missing())
}

/// How often the program runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sample {
    /// Each time so many events have happened.
    Period(u64),
    /// About so many times a second.
    Frequency(u64),
}

/// Where events are counted.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub enum PerfScope {
    /// On every CPU that is there, in all processes: an event for each CPU.
    #[default]
    AllCpus,
    /// On these CPUs, in all processes.
    Cpus(Vec<u32>),
    /// In one process (0 for this one), on all CPUs; with `inherit` also in what it starts later.
    Process {
        /// The process.
        pid: u32,
        /// Also in what it starts later.
        inherit: bool,
    },
}

/// An event, or one for each CPU, for programs of type `perf_event`. Since Linux 4.9.
#[derive(Clone, Debug)]
#[doc(alias = "bpf_program__attach_perf_event_opts")]
pub struct PerfEvents {
    config: PerfConfig,
    sample: Sample,
    scope: PerfScope,
    cookie: u64,
    form: PerfForm,
}

impl PerfEvents {
    /// Runs a program when something has been counted so often.
    #[must_use]
    pub fn new(config: PerfConfig, sample: Sample) -> Self {
        Self {
            config,
            sample,
            scope: PerfScope::AllCpus,
            cookie: 0,
            form: PerfForm::Best,
        }
    }

    /// Where it is counted.
    #[must_use]
    pub fn scope(mut self, scope: PerfScope) -> Self {
        self.scope = scope;
        self
    }

    /// What `bpf_get_attach_cookie` gives the program. Since Linux 5.15.
    #[must_use]
    pub fn cookie(mut self, cookie: u64) -> Self {
        self.cookie = cookie;
        self
    }

    /// By what the program is put on the events.
    #[must_use]
    pub fn perf_form(mut self, form: PerfForm) -> Self {
        self.form = form;
        self
    }

    /// Opens the events and attaches a program to them. With several CPUs the link is a group,
    /// which cannot be pinned.
    ///
    /// # Errors
    /// The processor or the kernel has no such event, or the program does not fit. Then no event
    /// is left.
    pub fn attach(&self, prog: &ProgFd) -> Result<Link, AttachError> {
        let attr = self.attr()?;
        let (targets, each) = self.targets()?;
        let what = format!("perf event {:?}", self.config);
        let open = |target: &Target| {
            let what = match target.cpu {
                -1 => what.clone(),
                cpu => format!("{what} on cpu {cpu}"),
            };
            let event = PerfEvent::open(attr, *target)
                .map_err(|source| AttachError::kernel(format!("open {what}"), source))?;
            perf::on_event(event, prog, self.form, self.cookie, what)
        };
        match targets.as_slice() {
            [only] if !each => open(only),
            all => {
                let links: Result<Vec<Link>, AttachError> = all.iter().map(open).collect();
                links.map(|links| Link::group(what.clone(), links))
            }
        }
    }

    /// Attaches a program to an event that was opened elsewhere, which then belongs to the link.
    ///
    /// # Errors
    /// The program does not fit the event.
    pub fn on(event: PerfEvent, prog: &ProgFd, cookie: u64) -> Result<Link, AttachError> {
        perf::on_event(event, prog, PerfForm::Best, cookie, "a perf event")
    }

    fn attr(&self) -> Result<PerfEventAttr, AttachError> {
        let mut attr = self.config.attr()?;
        match self.sample {
            Sample::Period(period) => attr.sample_period = period,
            Sample::Frequency(hertz) => {
                attr.sample_period = hertz;
                attr.flags |= FLAG_FREQ;
            }
        }
        if let PerfScope::Process { inherit: true, .. } = self.scope {
            attr.flags |= FLAG_INHERIT;
        }
        Ok(attr)
    }

    /// What to open, and whether that is a set whatever its size.
    fn targets(&self) -> Result<(Vec<Target>, bool), AttachError> {
        let options = |why| AttachError::Options {
            what: format!("perf event {:?}", self.config),
            why,
        };
        let on = |cpu: i32| Target { pid: -1, cpu };
        let number = |number: u32| i32::try_from(number).map_err(|_too_large| number);
        match &self.scope {
            PerfScope::Process { pid, .. } => {
                let pid = number(*pid).map_err(|_too_large| options("there is no such process"))?;
                Ok((vec![Target { pid, cpu: -1 }], false))
            }
            PerfScope::Cpus(cpus) => {
                let cpus: Result<Vec<i32>, u32> = cpus.iter().copied().map(number).collect();
                let cpus = cpus.map_err(|_too_large| options("there is no such cpu"))?;
                if cpus.is_empty() {
                    return Err(options("no cpu is named"));
                }
                Ok((cpus.into_iter().map(on).collect(), false))
            }
            PerfScope::AllCpus => {
                let cpus = perf::online();
                if cpus.is_empty() {
                    return Err(options("the kernel does not say which cpus there are"));
                }
                Ok((cpus.into_iter().map(on).collect(), true))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attr(config: PerfConfig, sample: Sample) -> PerfEventAttr {
        PerfEvents::new(config, sample).attr().unwrap()
    }

    #[test]
    fn configurations_have_the_kernels_numbers() {
        let cache = PerfConfig::Cache {
            cache: Cache::Dtlb,
            op: CacheOp::Write,
            result: CacheResult::Miss,
        };
        for (config, expect) in [
            (PerfConfig::Software(SoftwareEvent::Dummy), (1, 9)),
            (PerfConfig::Hardware(HardwareEvent::BranchMisses), (0, 5)),
            (cache, (3, 0x1_0103)),
            (PerfConfig::Raw(0x1a2), (4, 0x1a2)),
        ] {
            let attr = attr(config, Sample::Period(7));
            assert_eq!((attr.type_, attr.config), expect);
            assert_eq!((attr.sample_period, attr.flags), (7, 0));
        }
        let clock = PerfConfig::Software(SoftwareEvent::CpuClock);
        let attr = attr(clock, Sample::Frequency(99));
        assert_eq!((attr.sample_period, attr.flags), (99, FLAG_FREQ));
    }

    #[test]
    fn breakpoints_have_an_address_and_a_length() {
        for (access, len) in [
            (Access::Write, 4),
            (Access::Execute, size_of::<usize>() as u64),
        ] {
            let config = PerfConfig::Breakpoint {
                address: 0x1000,
                len: 4,
                access,
            };
            let attr = attr(config, Sample::Period(1));
            assert_eq!((attr.type_, attr.config), (TYPE_BREAKPOINT, 0));
            assert_eq!(
                (attr.bp_type, attr.config1, attr.config2),
                (access as u32, 0x1000, len)
            );
        }
    }

    #[test]
    fn devices_are_names_in_one_folder() {
        for name in ["", "..", "a/b", "no_such_device"] {
            let error = device(name).unwrap_err().to_string();
            assert_eq!(
                error,
                format!("there is no device with perf events '{name}'")
            );
        }
    }

    #[test]
    fn scopes_say_which_events_to_open() {
        let event = |scope| {
            let config = PerfConfig::Software(SoftwareEvent::Dummy);
            PerfEvents::new(config, Sample::Period(1)).scope(scope)
        };
        let (two, each) = event(PerfScope::Cpus(vec![0, 3])).targets().unwrap();
        assert_eq!(
            two.iter().map(|t| (t.pid, t.cpu)).collect::<Vec<_>>(),
            [(-1, 0), (-1, 3)]
        );
        assert!(!each);
        let this = PerfScope::Process {
            pid: 0,
            inherit: true,
        };
        let event_of_this = event(this);
        assert_eq!(event_of_this.attr().unwrap().flags, FLAG_INHERIT);
        assert_eq!(
            event_of_this.targets().unwrap().0,
            [Target { pid: 0, cpu: -1 }]
        );
        assert!(event(PerfScope::Cpus(Vec::new())).targets().is_err());
    }
}
