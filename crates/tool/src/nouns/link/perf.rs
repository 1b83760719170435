//! Names of perf events: the fixed ones of the interface, and those of the machine's counters.

use std::collections::HashMap;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use bpfsys::uapi::perf;
use loader::attach::{Cache, CacheOp, CacheResult, HardwareEvent, PerfConfig, SoftwareEvent};

use super::view::TextOrNumber;
use crate::render::escape::Text;

/// Where the kernel lists its counters, one directory each.
const DEVICES: &str = "/sys/bus/event_source/devices";

/// The software event that came after the others in the tables of older tools.
const CGROUP_SWITCHES: &str = "cgroup-switches";

const CACHES: [&str; 7] = [
    "L1-dcache",
    "L1-icache",
    "LLC",
    "dTLB",
    "iTLB",
    "branch",
    "node",
];
const CACHE_OPS: [&str; 3] = ["load", "store", "prefetch"];
const CACHE_RESULTS: [&str; 2] = ["refs", "misses"];

/// The numbers the kernel gave to its counters when it started.
#[derive(Debug, Default)]
pub struct Counters(HashMap<u32, Text>);

impl Counters {
    /// Reads the list; empty where there is none.
    #[must_use]
    pub fn read() -> Self {
        Self::read_from(Path::new(DEVICES))
    }

    fn read_from(devices: &Path) -> Self {
        let mut counters = HashMap::new();
        for entry in std::fs::read_dir(devices).into_iter().flatten().flatten() {
            let number = std::fs::read_to_string(entry.path().join("type"));
            if let Some(number) = number.ok().and_then(|number| number.trim().parse().ok()) {
                counters.insert(number, Text::from(entry.file_name().as_bytes()));
            }
        }
        Self(counters)
    }

    /// The names of an event's type and of what it counts.
    #[must_use]
    pub fn event(&self, type_: u32, config: u64) -> (TextOrNumber, TextOrNumber) {
        let (type_, config) = self.as_opened(type_, config);
        let name = match nth(&perf::TYPE_NAMES, type_.into()) {
            Some(name) => name.into(),
            None => match self.0.get(&type_) {
                Some(name) => TextOrNumber::Name(name.clone()),
                None => TextOrNumber::Number(type_.into()),
            },
        };
        let config = match type_ {
            perf::TYPE_HARDWARE => nth(&perf::HW_NAMES, config).map(TextOrNumber::from),
            perf::TYPE_SOFTWARE => software(config).map(TextOrNumber::from),
            perf::TYPE_HW_CACHE => Some(TextOrNumber::Name(cache(config).into())),
            _ => None,
        }
        .unwrap_or(TextOrNumber::Number(config));
        (name, config)
    }

    /// Since 6.5 the kernel moves the two clocks among the software events to counters of their
    /// own, which take the first two free numbers and are in no list. Any other counter with
    /// such a number is listed.
    fn as_opened(&self, type_: u32, config: u64) -> (u32, u64) {
        const FIRST_FREE: u32 = 6;
        let is_clock = type_.checked_sub(FIRST_FREE).map(u64::from) == Some(config);
        if is_clock && config < 2 && !self.0.is_empty() && !self.0.contains_key(&type_) {
            return (perf::TYPE_SOFTWARE, config);
        }
        (type_, config)
    }
}

impl From<&'static str> for TextOrNumber {
    fn from(name: &'static str) -> Self {
        Self::Name(name.into())
    }
}

fn nth(names: &[&'static str], n: u64) -> Option<&'static str> {
    names.get(usize::try_from(n).ok()?).copied()
}

fn software(config: u64) -> Option<&'static str> {
    nth(&perf::SW_NAMES, config).or_else(|| (config == 11).then_some(CGROUP_SWITCHES))
}

/// `L1-dcache-load-refs`, with numbers for what has no name.
fn cache(config: u64) -> String {
    let part =
        |names: &[&'static str], n: u64| nth(names, n).map_or_else(|| n.to_string(), str::to_owned);
    format!(
        "{}-{}-{}",
        part(&CACHES, config & 0xff),
        part(&CACHE_OPS, (config >> 8) & 0xff),
        part(&CACHE_RESULTS, config >> 16)
    )
}

/// The software event of a name.
pub(super) fn software_event(name: &str) -> Option<SoftwareEvent> {
    let all = SoftwareEvent::ALL.iter().copied();
    named(all, |n| software(n) == Some(name))
}

/// The hardware event of a name.
pub(super) fn hardware_event(name: &str) -> Option<HardwareEvent> {
    let all = HardwareEvent::ALL.iter().copied();
    named(all, |n| nth(&perf::HW_NAMES, n) == Some(name))
}

/// The accesses of a cache that have a name.
pub(super) fn cache_event(name: &str) -> Option<PerfConfig> {
    let number = |all: &[&str], name: &str| all.iter().position(|own| *own == name);
    let mut words = name.rsplitn(3, '-');
    let (result, op, cache) = (words.next()?, words.next()?, words.next()?);
    Some(PerfConfig::Cache {
        cache: *Cache::ALL.get(number(&CACHES, cache)?)?,
        op: *CacheOp::ALL.get(number(&CACHE_OPS, op)?)?,
        result: *CacheResult::ALL.get(number(&CACHE_RESULTS, result)?)?,
    })
}

/// The value whose number fits.
fn named<T>(all: impl Iterator<Item = T>, fits: impl Fn(u64) -> bool) -> Option<T> {
    (0..).zip(all).find(|(n, _)| fits(*n)).map(|(_, own)| own)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(counters: &Counters, type_: u32, config: u64) -> String {
        let (name, config) = counters.event(type_, config);
        format!("{name} {config}")
    }

    #[test]
    fn events_of_the_interface_have_names() {
        let none = Counters::default();
        assert_eq!(shown(&none, 0, 0), "hardware cpu-cycles");
        assert_eq!(shown(&none, 0, 10), "hardware 10");
        assert_eq!(shown(&none, 1, 0), "software cpu-clock");
        assert_eq!(shown(&none, 1, 11), "software cgroup-switches");
        assert_eq!(shown(&none, 1, 12), "software 12");
        assert_eq!(shown(&none, 3, 0x1_0103), "hw-cache dTLB-store-misses");
        assert_eq!(shown(&none, 3, 0x2_0307), "hw-cache 7-3-2");
        assert_eq!(shown(&none, 4, 0x1c2), "raw 450");
        assert_eq!(shown(&none, 9, u64::MAX), "9 18446744073709551615");
    }

    #[test]
    fn counters_of_the_machine_are_looked_up() {
        let listed = Counters(HashMap::from([(8, "uprobe".into()), (9, "msr".into())]));
        assert_eq!(shown(&listed, 9, 3), "msr 3");
        assert_eq!(shown(&listed, 10, 3), "10 3");
    }

    #[test]
    fn clocks_that_the_kernel_renumbered_get_their_names_back() {
        let listed = Counters(HashMap::from([
            (1, "software".into()),
            (8, "uprobe".into()),
        ]));
        assert_eq!(shown(&listed, 6, 0), "software cpu-clock");
        assert_eq!(shown(&listed, 7, 1), "software task-clock");
        assert_eq!(shown(&listed, 6, 1), "6 1");
        // without a list nothing is known about the number
        assert_eq!(shown(&Counters::default(), 6, 0), "6 0");
        let taken = Counters(HashMap::from([(6, "cpu_core".into())]));
        assert_eq!(shown(&taken, 6, 0), "cpu_core 0");
    }
}
