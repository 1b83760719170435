//! ENABLE_STATS.

#![allow(unsafe_code, reason = "makes bpf() calls")]

use crate::error::SysError;
use crate::fd::StatsFd;
use crate::sys::bpf::bpf_fd;
use crate::uapi::attr::EnableStatsAttr;
use crate::uapi::enums::{Cmd, StatsType};

/// BPF_ENABLE_STATS: has the kernel measure run times and counts of all programs for as long as
/// the descriptor is open. Since Linux 5.8.
///
/// Errors: `EPERM` without `CAP_SYS_ADMIN`, `EINVAL` for an unknown type.
#[doc(alias = "BPF_ENABLE_STATS")]
#[derive(Clone, Copy, Debug)]
pub struct EnableStats {
    stats_type: StatsType,
}

impl EnableStats {
    /// Switches on one kind of statistics.
    #[must_use]
    pub fn new(stats_type: StatsType) -> Self {
        Self { stats_type }
    }

    /// Makes the call.
    ///
    /// # Errors
    /// See the type.
    pub fn run(&self) -> Result<StatsFd, SysError> {
        let mut attr = EnableStatsAttr {
            stats_type: self.stats_type.0,
        };
        // SAFETY: no pointer fields, so nothing but the attribute is read. It returns a new
        // descriptor, of statistics.
        unsafe { bpf_fd(Cmd::ENABLE_STATS, &mut attr, None) }.map(StatsFd::from_kernel)
    }
}
