//! Are the answers of the probes those that this kernel must give?

use std::collections::BTreeSet;

use anyhow::Result;
use bpfsys::probe::Support;
use bpfsys::{KernelVersion, SysError};

use super::KernelConfig;
use crate::skip;

/// Names that this kernel may lack, separated by commas.
const ALLOW_MISSING: &str = "RBPF_ALLOW_MISSING";

/// Something a kernel must be built with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// The option.
    Set(&'static str),
    /// The option, in kernels before this version.
    Before(&'static str, (u16, u16)),
}

impl Need {
    /// The option that is missing.
    fn missing(self, config: &KernelConfig, running: KernelVersion) -> Option<&'static str> {
        let name = match self {
            Self::Set(name) => name,
            Self::Before(name, (major, minor)) => {
                if running >= KernelVersion::new(major, minor, 0) {
                    return None;
                }
                name
            }
        };
        (!config.is_set(name)).then_some(name)
    }
}

/// One answer, and what decides whether it can be true.
#[derive(Debug, Clone)]
pub struct Fact {
    /// What was asked for.
    pub name: String,
    /// The first kernel that has it.
    pub since: Option<KernelVersion>,
    /// What it must be built with.
    pub needs: &'static [Need],
    /// What the probe says.
    pub answer: Support,
}

/// Why some things cannot be known.
#[derive(Debug, Clone, Copy)]
pub struct Excuse {
    /// Of which things this may be said: of all that the kernel is new enough for, or of none.
    pub names: &'static [&'static str],
    /// What the probe then says.
    pub says: fn(&SysError) -> bool,
    /// The reason.
    pub why: &'static str,
}

/// The mistakes found, and whether all could be looked for.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// One line each.
    pub wrong: Vec<String>,
    /// Why a "no" could not be judged.
    pub blind: Option<String>,
}

impl Verdict {
    /// As the result of a test.
    ///
    /// # Errors
    ///
    /// With all mistakes; a skip if there are none but not all could have been found.
    pub fn into_result(self) -> Result<()> {
        anyhow::ensure!(
            self.wrong.is_empty(),
            "{} answers cannot be true:\n  {}",
            self.wrong.len(),
            self.wrong.join("\n  ")
        );
        match self.blind {
            Some(why) => Err(skip(why)),
            None => Ok(()),
        }
    }
}

/// What is known about a kernel.
#[derive(Debug, Clone)]
pub struct Judge {
    /// Its version.
    pub running: KernelVersion,
    /// What it is built with, or why that is not known.
    pub config: Result<KernelConfig, String>,
    /// What it may lack all the same.
    pub allowed: BTreeSet<String>,
}

impl Judge {
    /// Of the running kernel.
    ///
    /// # Errors
    ///
    /// If its version cannot be read.
    pub fn running() -> Result<Self> {
        let allowed = std::env::var(ALLOW_MISSING).unwrap_or_default();
        let allowed = allowed.split(',').map(str::trim).filter(|n| !n.is_empty());
        Ok(Self {
            running: KernelVersion::running()?,
            config: KernelConfig::running().map_err(|e| format!("{e:#}")),
            allowed: allowed.map(str::to_owned).collect(),
        })
    }

    /// All that is wrong with these answers.
    #[must_use]
    pub fn verdict(&self, facts: &[Fact], excuses: &[Excuse]) -> Verdict {
        let mut wrong: Vec<String> = facts
            .iter()
            .filter_map(|fact| Some(format!("{}: {}", fact.name, self.fault(fact, excuses)?)))
            .collect();
        for excuse in excuses {
            wrong.extend(self.half_excused(facts, excuse));
        }
        Verdict {
            wrong,
            blind: self.config.clone().err(),
        }
    }

    /// What is wrong with one answer.
    fn fault(&self, fact: &Fact, excuses: &[Excuse]) -> Option<String> {
        let Some(since) = fact.since else {
            return Some("no kernel is known to have it".to_owned());
        };
        let too_old = self.running < since;
        let missing = self.missing(fact);
        match fact.answer {
            Support::Yes if too_old => {
                Some(format!("yes, but Linux {since} is said to have brought it"))
            }
            Support::Yes => missing.map(|option| {
                format!("yes, but it is said to need CONFIG_{option}, which is not set")
            }),
            Support::No if too_old || missing.is_some() || self.allowed.contains(&fact.name) => {
                None
            }
            // Nothing can be said without a configuration.
            Support::No if self.config.is_err() && !fact.needs.is_empty() => None,
            Support::No => Some(format!(
                "no, but it is there since Linux {since}{}; {ALLOW_MISSING} may name it",
                match fact.needs {
                    [] => "",
                    _ => " and all it needs is set",
                }
            )),
            Support::Unknown(error) => {
                let excused = excuses.iter().any(|excuse| {
                    excuse.names.contains(&fact.name.as_str()) && (excuse.says)(&error)
                });
                (!excused).then(|| format!("unknown, for no known reason: {error}"))
            }
        }
    }

    fn missing(&self, fact: &Fact) -> Option<&'static str> {
        let config = self.config.as_ref().ok()?;
        fact.needs
            .iter()
            .find_map(|need| need.missing(config, self.running))
    }

    /// An excuse holds for a reason of the kernel's, so it holds for all its names.
    fn half_excused(&self, facts: &[Fact], excuse: &Excuse) -> Option<String> {
        let there = facts
            .iter()
            .filter(|fact| excuse.names.contains(&fact.name.as_str()))
            .filter(|fact| fact.since.is_some_and(|since| since <= self.running))
            .filter(|fact| self.missing(fact).is_none());
        let (unknown, known): (Vec<_>, Vec<_>) =
            there.partition(|fact| matches!(fact.answer, Support::Unknown(_)));
        match (unknown.first(), known.first()) {
            (Some(unknown), Some(known)) => Some(format!(
                "{} is unknown, but {} is not; the reason should hold for both: {}",
                unknown.name, known.name, excuse.why
            )),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bpfsys::cmd::MapCreate;
    use bpfsys::{ErrorKind, MapType};

    fn error() -> SysError {
        MapCreate::new(MapType::ARRAY, 4, 4, 1)
            .name("a b")
            .run()
            .expect_err("names have no blanks")
    }

    fn judge(config: Result<&str, &str>) -> Judge {
        Judge {
            running: KernelVersion::new(6, 1, 20),
            config: config.map(KernelConfig::parse).map_err(str::to_owned),
            allowed: BTreeSet::from(["allowed".to_owned()]),
        }
    }

    fn fact(name: &str, since: (u16, u16), needs: &'static [Need], answer: Support) -> Fact {
        Fact {
            name: name.to_owned(),
            since: Some(KernelVersion::new(since.0, since.1, 0)),
            needs,
            answer,
        }
    }

    fn faults(judge: &Judge, fact: Fact, excuses: &[Excuse]) -> String {
        judge.verdict(&[fact], excuses).wrong.join("\n")
    }

    const NEEDS_A: &[Need] = &[Need::Set("A")];

    #[test]
    fn yes_needs_version_and_configuration() {
        let with = judge(Ok("CONFIG_A=y"));
        let yes = |since, needs| fact("x", since, needs, Support::Yes);
        assert_eq!(faults(&with, yes((6, 1), NEEDS_A), &[]), "");
        assert!(faults(&with, yes((6, 2), NEEDS_A), &[]).contains("6.2"));
        assert!(faults(&judge(Ok("")), yes((6, 1), NEEDS_A), &[]).contains("CONFIG_A"));
        let mut nameless = yes((6, 1), &[]);
        nameless.since = None;
        assert!(!faults(&with, nameless, &[]).is_empty());
    }

    #[test]
    fn no_needs_a_reason() {
        let with = judge(Ok("CONFIG_A=y"));
        let no = |name, since| fact(name, since, NEEDS_A, Support::No);
        assert!(faults(&with, no("x", (6, 1)), &[]).starts_with("x: no"));
        assert_eq!(faults(&with, no("allowed", (6, 1)), &[]), "");
        assert_eq!(faults(&with, no("x", (6, 2)), &[]), "");
        assert_eq!(faults(&judge(Ok("")), no("x", (6, 1)), &[]), "");
    }

    #[test]
    fn old_kernels_may_need_more() {
        const OLD: &[Need] = &[Need::Before("B", (6, 2))];
        const NEW: &[Need] = &[Need::Before("B", (6, 1))];
        let without = judge(Ok(""));
        let yes = |needs| fact("x", (5, 0), needs, Support::Yes);
        assert!(faults(&without, yes(OLD), &[]).contains("CONFIG_B"));
        assert_eq!(faults(&without, yes(NEW), &[]), "");
    }

    #[test]
    fn without_configuration_the_rest_is_still_judged() {
        let blind = judge(Err("no configuration"));
        let verdict = blind.verdict(&[fact("x", (6, 1), NEEDS_A, Support::No)], &[]);
        assert_eq!(verdict.wrong, Vec::<String>::new());
        let skipped = verdict.into_result().unwrap_err();
        assert!(skipped.downcast_ref::<crate::Skip>().is_some());
        assert!(!faults(&blind, fact("x", (6, 2), NEEDS_A, Support::Yes), &[]).is_empty());
        assert!(!faults(&blind, fact("x", (6, 1), &[], Support::No), &[]).is_empty());
    }

    #[test]
    fn unknown_needs_an_excuse_that_fits_and_holds_for_all() {
        let with = judge(Ok(""));
        let error = error();
        let unknown = |name| fact(name, (6, 1), &[], Support::Unknown(error));
        let excuse = |says| Excuse {
            names: &["x", "y"],
            says,
            why: "because",
        };
        let fits = [excuse(|e| e.kind() != ErrorKind::Denied)];
        let other = [excuse(|e| e.kind() == ErrorKind::Busy)];
        assert!(faults(&with, unknown("x"), &[]).starts_with("x: unknown"));
        assert_eq!(faults(&with, unknown("x"), &fits), "");
        assert!(!faults(&with, unknown("x"), &other).is_empty());
        assert!(!faults(&with, unknown("z"), &fits).is_empty());
        let one_of_two = [unknown("x"), fact("y", (6, 1), &[], Support::Yes)];
        let wrong = with.verdict(&one_of_two, &fits).wrong;
        assert!(wrong.join("\n").contains("because"), "{wrong:?}");
        let newer = [unknown("x"), fact("y", (6, 2), &[], Support::No)];
        assert_eq!(with.verdict(&newer, &fits), Verdict::default());
    }
}
