//! What can be counted.

use bpfsys::uapi::perf::{PerfEventAttr, TYPE_HARDWARE, TYPE_HW_CACHE, TYPE_SOFTWARE};

use super::view::Ratio;
use crate::failure::{Failure, Result};
use crate::words::{Words, is_prefix, shown};

/// Something that a perf event counts.
#[derive(Debug)]
pub(super) struct Metric {
    pub(super) name: &'static str,
    kind: u32,
    config: u64,
    pub(super) ratio: Option<Ratio>,
}

/// `exclude_user` of `struct perf_event_attr`.
const EXCLUDE_USER: u64 = 1 << 4;

impl Metric {
    pub(super) fn attr(&self) -> PerfEventAttr {
        let mut attr = PerfEventAttr::new(self.kind, self.config);
        attr.flags = EXCLUDE_USER;
        attr
    }
}

const fn metric(name: &'static str, kind: u32, config: u64, ratio: Option<Ratio>) -> Metric {
    Metric {
        name,
        kind,
        config,
        ratio,
    }
}

const fn per_million(unit: &'static str) -> Option<Ratio> {
    Some(Ratio {
        to: "instructions",
        per: 1e6,
        unit,
    })
}

const PER_CYCLE: Option<Ratio> = Some(Ratio {
    to: "cycles",
    per: 1.0,
    unit: "insns per cycle",
});

/// Reads of a cache that find nothing.
const MISSES: u64 = 1 << 16;

/// bpftool's in its order, then what the kernel itself counts.
static METRICS: [Metric; 9] = [
    metric("cycles", TYPE_HARDWARE, 0, None),
    metric("instructions", TYPE_HARDWARE, 1, PER_CYCLE),
    metric("l1d_loads", TYPE_HW_CACHE, 0, None),
    metric(
        "llc_misses",
        TYPE_HW_CACHE,
        2 | MISSES,
        per_million("LLC misses per million insns"),
    ),
    metric(
        "itlb_misses",
        TYPE_HW_CACHE,
        4 | MISSES,
        per_million("itlb misses per million insns"),
    ),
    metric(
        "dtlb_misses",
        TYPE_HW_CACHE,
        3 | MISSES,
        per_million("dtlb misses per million insns"),
    ),
    metric("cpu_clock", TYPE_SOFTWARE, 0, None),
    metric("task_clock", TYPE_SOFTWARE, 1, None),
    metric("page_faults", TYPE_SOFTWARE, 2, None),
];

/// Reads the metrics that are wanted, once each and in the order of the table.
pub(super) fn parse(words: &mut Words<'_>) -> Result<Vec<&'static Metric>> {
    let mut wanted = [false; METRICS.len()];
    while let Some(word) = words.peek() {
        words.take("a metric")?;
        let fits = METRICS.iter().zip(&mut wanted);
        let found = fits
            .into_iter()
            .find(|(metric, _)| is_prefix(word, metric.name));
        let Some((_, wanted)) = found else {
            let known: Vec<_> = METRICS.iter().map(|metric| metric.name).collect();
            return Err(Failure::new(format_args!("unknown metric {}", shown(word)))
                .with_hint(format!("metrics are {}", known.join(", "))));
        };
        *wanted = true;
    }
    let chosen = METRICS.iter().zip(wanted);
    Ok(chosen
        .filter(|(_, wanted)| *wanted)
        .map(|(metric, _)| metric)
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsString;

    #[test]
    fn metrics_are_prefixes_and_come_in_order() {
        let names = |words: &[&str]| {
            let words: Vec<OsString> = words.iter().map(OsString::from).collect();
            let parsed = parse(&mut Words::new(&words));
            parsed.map(|all| all.iter().map(|metric| metric.name).collect::<Vec<_>>())
        };
        assert_eq!(
            names(&["ins", "c", "cycles"]).unwrap(),
            ["cycles", "instructions"]
        );
        assert_eq!(names(&["cpu"]).unwrap(), ["cpu_clock"]);
        let error = names(&["cycles", "duration"]).unwrap_err();
        assert_eq!(error.message().unwrap(), "unknown metric duration");
    }
}
