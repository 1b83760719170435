//! A target as it is described.

use super::{Feature, ModuleBtf, Symbol, Target, TargetError};
use bpfsys::probe::Support;
use btf::Btf;
use std::collections::{BTreeMap, BTreeSet};

/// Facts that are given: for tests, and for plans made where the kernel does not run.
///
/// The default is a kernel of no types, symbols and options that has all features.
///
/// ```
/// use loader::target::{Described, Feature, Target};
///
/// let mut target = Described::default();
/// target.missing.insert(Feature::ArrayMmap);
/// assert!(target.has(Feature::ArrayMmap).is_no());
/// assert!(target.vmlinux().is_err());
/// ```
#[derive(Debug)]
pub struct Described {
    /// The types of the kernel proper.
    pub vmlinux: Option<Btf<'static>>,
    /// The types of its modules.
    pub modules: Vec<ModuleBtf>,
    /// Where its symbols are; `None` when that is not known.
    pub symbols: Option<BTreeMap<String, Symbol>>,
    /// Its configuration: what is behind `=` of each option; `None` when that is not known.
    pub kconfig: Option<BTreeMap<String, String>>,
    /// Features that it lacks.
    pub missing: BTreeSet<Feature>,
    /// Its version, as [`Target::version`].
    pub version: u32,
    /// CPUs that may ever be there.
    pub cpus: u32,
    /// Bytes of a page.
    pub page_size: u32,
}

impl Default for Described {
    fn default() -> Self {
        Self {
            vmlinux: None,
            modules: Vec::new(),
            symbols: Some(BTreeMap::new()),
            kconfig: Some(BTreeMap::new()),
            missing: BTreeSet::new(),
            version: 0,
            cpus: 1,
            page_size: 4096,
        }
    }
}

impl Described {
    /// A kernel of these types, about which nothing else is known: one that has all features.
    #[must_use]
    pub fn of(vmlinux: Btf<'static>) -> Self {
        Self {
            vmlinux: Some(vmlinux),
            symbols: None,
            kconfig: None,
            ..Self::default()
        }
    }
}

impl Target for Described {
    fn vmlinux(&self) -> Result<&Btf<'static>, TargetError> {
        let types = || TargetError::NotDescribed("the kernel's types".to_owned());
        self.vmlinux.as_ref().ok_or_else(types)
    }

    fn modules(&self) -> Result<&[ModuleBtf], TargetError> {
        Ok(&self.modules)
    }

    fn kallsyms(&self, names: &[&str]) -> Result<Vec<Symbol>, TargetError> {
        let Some(symbols) = &self.symbols else {
            let what = "where the kernel's symbols are".to_owned();
            return Err(TargetError::NotDescribed(what));
        };
        let symbol = |name: &&str| symbols.get(*name).cloned().unwrap_or(Symbol::Missing);
        Ok(names.iter().map(symbol).collect())
    }

    fn kconfig(&self, names: &[&str]) -> Result<Vec<Option<String>>, TargetError> {
        let Some(kconfig) = &self.kconfig else {
            let what = "how the kernel is configured".to_owned();
            return Err(TargetError::NotDescribed(what));
        };
        Ok(names
            .iter()
            .map(|name| kconfig.get(*name).cloned())
            .collect())
    }

    fn has(&self, feature: Feature) -> Support {
        if self.missing.contains(&feature) {
            Support::No
        } else {
            Support::Yes
        }
    }

    fn version(&self) -> u32 {
        self.version
    }

    fn possible_cpus(&self) -> Result<u32, TargetError> {
        Ok(self.cpus)
    }

    fn page_size(&self) -> u32 {
        self.page_size
    }
}
