//! The kernel that a loader program is for: one that has everything.

use crate::target::{Feature, ModuleBtf, Symbol, Target, TargetError};
use bpfsys::probe::Support;
use btf::Btf;

/// A kernel that has every feature, and of which the rest is known if somebody tells.
///
/// A loader program is made once for all kernels it may run on, so nothing is downgraded.
pub(super) struct Everything<'a>(pub(super) Option<&'a dyn Target>);

/// Bytes of a page on most machines.
const PAGE_SIZE: u32 = 4096;

impl Everything<'_> {
    fn known(&self, what: &str) -> Result<&dyn Target, TargetError> {
        self.0
            .ok_or_else(|| TargetError::NotDescribed(what.to_owned()))
    }
}

impl Target for Everything<'_> {
    fn vmlinux(&self) -> Result<&Btf<'static>, TargetError> {
        Err(TargetError::NotDescribed("the kernel's types".to_owned()))
    }

    fn modules(&self) -> Result<&[ModuleBtf], TargetError> {
        Ok(&[])
    }

    fn kallsyms(&self, _names: &[&str]) -> Result<Vec<Symbol>, TargetError> {
        Err(TargetError::NotDescribed("addresses of symbols".to_owned()))
    }

    fn kconfig(&self, names: &[&str]) -> Result<Vec<Option<String>>, TargetError> {
        self.known("the kernel's configuration")?.kconfig(names)
    }

    fn has(&self, feature: Feature) -> Support {
        match (feature, self.0) {
            // Programs ask for these two, and get a constant.
            (Feature::BpfCookie | Feature::SyscallWrapper, Some(target)) => target.has(feature),
            _ => Support::Yes,
        }
    }

    fn version(&self) -> u32 {
        self.0.map_or(0, Target::version)
    }

    fn possible_cpus(&self) -> Result<u32, TargetError> {
        self.known("the number of its cpus")?.possible_cpus()
    }

    fn page_size(&self) -> u32 {
        self.0.map_or(PAGE_SIZE, Target::page_size)
    }
}
