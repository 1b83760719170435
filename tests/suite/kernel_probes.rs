//! Everything there is a probe for, on the running kernel: a feature that its
//! version and configuration call for must be there, others must not.
//!
//! After the run each answer is printed on a line of its own,
//! `FEATURE category name yes|no|unknown`, the version that brought it,
//! `FEATURE since category/name 4.8`, and for helpers their number by
//! program type, `FEATURE helpers xdp 104`, and their names,
//! `FEATURE helper_names xdp map_lookup_elem,map_update_elem,...`.

#[path = "kernel_probes/helpers.rs"]
mod helpers;
#[path = "kernel_probes/table.rs"]
mod table;

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result, ensure};
use bpfsys::probe::{self, FEATURES, Support};
use bpfsys::{AttachType, Cmd, KernelVersion, LinkType, MapType, ProgType};
use rbpftool_tests::kernel::{Excuse, Fact, Judge};
use rbpftool_tests::{Suite, has_capability, requires};
use table::{Needs, TARGET, TRAMPOLINE};

/// `CAP_SYS_ADMIN`
const CAP_SYS_ADMIN: u32 = 21;

/// The lines for machines, in the order the tests ran.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

impl Lines {
    fn feature(&self, category: &str, name: &str, answer: &str) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(format!("FEATURE {category} {name} {answer}"));
    }

    fn print(&self) {
        let mut out = std::io::stdout().lock();
        for line in self.0.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            // As the harness, which prints before this, has nowhere else to say it.
            let _closed = writeln!(out, "{line}");
        }
    }
}

fn word(answer: Support) -> &'static str {
    match answer {
        Support::Yes => "yes",
        Support::No => "no",
        Support::Unknown(_) => "unknown",
    }
}

type Facts = fn() -> Result<Vec<Fact>>;

const CATEGORIES: &[(&str, Facts, &[Excuse])] = &[
    ("prog_type", prog_types, &[table::TRAMPOLINE_PROGS]),
    ("map_type", map_types, &[]),
    ("attach_type", attach_types, &[TRAMPOLINE]),
    ("link_type", link_types, &[]),
    ("command", commands, &[]),
    ("btf_kind", btf_kinds, &[]),
    ("feature", features, &[]),
];

fn main() -> ExitCode {
    let lines = Lines::default();
    let mut suite = Suite::new("kernel_probes").serial();
    for (category, facts, excuses) in CATEGORIES {
        let lines = lines.clone();
        suite.add(*category, move || {
            requires!(
                has_capability(CAP_SYS_ADMIN),
                "needs root (CAP_SYS_ADMIN, to load programs of every type)"
            );
            let facts = facts()?;
            ensure!(!facts.is_empty(), "nothing was asked for");
            for fact in &facts {
                lines.feature(category, &fact.name, word(fact.answer));
                if let Some(since) = fact.since {
                    let which = format!("{category}/{}", fact.name);
                    lines.feature("since", &which, &since.to_string());
                }
            }
            Judge::running()?.verdict(&facts, excuses).into_result()
        });
    }
    let helper_lines = lines.clone();
    suite.add("helpers", move || {
        requires!(
            has_capability(CAP_SYS_ADMIN),
            "needs root (CAP_SYS_ADMIN, to load programs of every type)"
        );
        helpers::check(&helper_lines, &TARGET)
    });
    let code = suite.run();
    lines.print();
    code
}

/// The facts of an enumeration; its value 0 is no type.
fn enumeration<T: Copy + PartialEq + std::fmt::Display>(
    all: &[T],
    needs: &Needs<T>,
    since: fn(T) -> Option<KernelVersion>,
    probe: fn(T) -> Support,
) -> Result<Vec<Fact>> {
    let fact = |value: &T| {
        Ok(Fact {
            name: value.to_string(),
            since: since(*value),
            needs: table::needs(needs, *value)
                .with_context(|| format!("no row says what {value} needs"))?,
            answer: probe(*value),
        })
    };
    all.iter().map(fact).collect()
}

/// All values but the first, which stands for none and which no kernel has.
fn but_unspec<T: Copy>(all: &'static [T], probe: fn(T) -> Support) -> Result<&'static [T]> {
    let (unspec, rest) = all.split_first().context("an empty enumeration")?;
    ensure!(
        probe(*unspec) == Support::No,
        "a type that is none is supported"
    );
    Ok(rest)
}

fn prog_types() -> Result<Vec<Fact>> {
    let all = but_unspec(ProgType::ALL, probe::prog_type)?;
    enumeration(all, table::PROG_TYPES, ProgType::since, probe::prog_type)
}

fn map_types() -> Result<Vec<Fact>> {
    let all = but_unspec(MapType::ALL, probe::map_type)?;
    enumeration(all, table::MAP_TYPES, MapType::since, probe::map_type)
}

fn attach_types() -> Result<Vec<Fact>> {
    enumeration(
        AttachType::ALL,
        table::ATTACH_TYPES,
        AttachType::since,
        probe::attach_type,
    )
}

fn link_types() -> Result<Vec<Fact>> {
    let all = but_unspec(LinkType::ALL, probe::link_type)?;
    enumeration(all, table::LINK_TYPES, LinkType::since, probe::link_type)
}

fn commands() -> Result<Vec<Fact>> {
    enumeration(Cmd::ALL, table::COMMANDS, Cmd::since, probe::command)
}

fn btf_kinds() -> Result<Vec<Fact>> {
    let kinds = btf::Kind::ALL.iter().skip(1).zip(1..);
    Ok(kinds
        .map(|(kind, number)| Fact {
            name: kind.name().to_ascii_lowercase(),
            since: table::kind_since(*kind),
            needs: &[],
            answer: probe::btf_kind(number),
        })
        .collect())
}

fn features() -> Result<Vec<Fact>> {
    let known = |name: &&str| FEATURES.iter().any(|f| f.name == *name);
    let stale: Vec<_> = table::FEATURE_NEEDS
        .iter()
        .flat_map(|(names, _)| *names)
        .filter(|name| !known(name))
        .collect();
    ensure!(stale.is_empty(), "no such features: {stale:?}");
    Ok(FEATURES
        .iter()
        .map(|feature| Fact {
            name: feature.name.to_owned(),
            since: Some(feature.since),
            needs: table::needs(table::FEATURE_NEEDS, feature.name).unwrap_or_default(),
            answer: feature.probe(),
        })
        .collect())
}
