//! What a kernel can do, in the order of the JSON keys.

use std::fmt;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

/// The answer of `feature probe`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FeatureView {
    /// Settings of the machine and of its kernel; not asked of devices.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system_config: Option<SystemConfig>,
    /// The system call itself.
    pub syscall_config: SyscallConfig,
    /// Everything else, where there is a system call.
    #[serde(flatten)]
    pub types: Option<Types>,
    /// What is said to be missing because nobody may know.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<Unknown>,
}

/// Answers that the kernel did not give.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unknown {
    /// The key of the part of the answer.
    pub group: &'static str,
    /// What was asked for.
    pub names: Vec<&'static str>,
    /// What the kernel answered.
    pub reason: String,
}

impl Unknown {
    /// Adds a name to those with the same reason.
    pub(super) fn add(
        all: &mut Vec<Self>,
        group: &'static str,
        name: &'static str,
        reason: String,
    ) {
        let same = |other: &&mut Self| other.group == group && other.reason == reason;
        match all.iter_mut().find(same) {
            Some(other) => other.names.push(name),
            None => all.push(Self {
                group,
                names: vec![name],
                reason,
            }),
        }
    }
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.group {
            "program_types" => "programs of type",
            "map_types" => "maps of type",
            "helpers" => "the helpers of",
            _ => "the feature",
        };
        let names = self.names.join(", ");
        write!(f, "not known: {what} {names}: {}", self.reason)
    }
}

/// Settings that BPF depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SystemConfig {
    /// Settings under `/proc/sys`; `None` where procfs is not mounted.
    pub sysctls: Option<[i64; 5]>,
    /// Options of the kernel with their values; `None` where they are not known.
    pub options: Option<Vec<(&'static str, Option<String>)>>,
}

/// The settings in [`SystemConfig::sysctls`], by the keys of the JSON.
pub const SYSCTLS: [&str; 5] = [
    "unprivileged_bpf_disabled",
    "bpf_jit_enable",
    "bpf_jit_harden",
    "bpf_jit_kallsyms",
    "bpf_jit_limit",
];

impl Serialize for SystemConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, value) in SYSCTLS.iter().zip(self.sysctls.iter().flatten()) {
            map.serialize_entry(name, value)?;
        }
        for (name, value) in self.options.iter().flatten() {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// Whether there is a system call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct SyscallConfig {
    /// It is not left out of the kernel.
    pub have_bpf_syscall: bool,
}

/// What can be loaded and made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Types {
    /// Types of programs.
    #[serde(serialize_with = "prog_types")]
    pub program_types: Vec<Answer>,
    /// Types of maps.
    #[serde(serialize_with = "map_types")]
    pub map_types: Vec<Answer>,
    /// Helpers, by type of program.
    #[serde(serialize_with = "helpers")]
    pub helpers: Vec<Helpers>,
    /// What is no type.
    #[serde(serialize_with = "misc")]
    pub misc: Vec<Misc>,
}

/// Whether there is something with a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// Its name.
    pub name: &'static str,
    /// It is known to be there.
    pub yes: bool,
}

/// The helpers of a type of programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Helpers {
    /// The type.
    pub prog_type: Answer,
    /// Each helper that was asked for.
    pub helpers: Vec<Answer>,
}

/// A feature that is no type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Misc {
    /// Its name, as in `have_NAME`.
    pub name: &'static str,
    /// What it is called in text.
    pub what: &'static str,
    /// It is known to be there.
    pub yes: bool,
}

fn prog_types<S: Serializer>(answers: &[Answer], serializer: S) -> Result<S::Ok, S::Error> {
    have(answers, "prog_type", serializer)
}

fn map_types<S: Serializer>(answers: &[Answer], serializer: S) -> Result<S::Ok, S::Error> {
    have(answers, "map_type", serializer)
}

fn have<S: Serializer>(answers: &[Answer], what: &str, serializer: S) -> Result<S::Ok, S::Error> {
    let pairs = answers
        .iter()
        .map(|answer| (format!("have_{}_{what}", answer.name), answer.yes));
    serializer.collect_map(pairs)
}

fn helpers<S: Serializer>(types: &[Helpers], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(types.iter().map(|of| {
        let known: Vec<_> = of
            .helpers
            .iter()
            .filter(|h| h.yes)
            .map(|h| h.name)
            .collect();
        (format!("{}_available_helpers", of.prog_type.name), known)
    }))
}

fn misc<S: Serializer>(features: &[Misc], serializer: S) -> Result<S::Ok, S::Error> {
    let pairs = features
        .iter()
        .map(|feature| (format!("have_{}", feature.name), feature.yes));
    serializer.collect_map(pairs)
}
