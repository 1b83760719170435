//! The settings of a machine that decide who may do what with BPF, and what to say of a refusal.
//!
//! [`Machine::ask`] reads them; everything else is a function of what was read. The kernel answers
//! `EPERM` for missing capabilities, for user namespaces, for lockdown and for the limit of locked
//! memory alike: which one it is can be told only from here.
//!
//! ```no_run
//! use bpfsys::{ProgFd, ProgId};
//! use loader::machine::Machine;
//!
//! # let id = ProgId::new(1).ok_or("no id")?;
//! if let Err(error) = ProgFd::by_id(id) {
//!     let why = Machine::ask().explain(&error, "");
//!     eprintln!("{error}: {}", why.as_deref().unwrap_or("no idea"));
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod ask;
mod explain;
#[cfg(test)]
mod tests;

use std::fmt;

pub use explain::no_such;

/// Capabilities, as bits of `CapEff`.
pub mod cap {
    /// Programs and interfaces of the network.
    #[doc(alias = "CAP_NET_ADMIN")]
    pub const NET_ADMIN: u64 = 1 << 12;
    /// Everything that has no capability of its own: objects by id, for one.
    #[doc(alias = "CAP_SYS_ADMIN")]
    pub const SYS_ADMIN: u64 = 1 << 21;
    /// Limits.
    #[doc(alias = "CAP_SYS_RESOURCE")]
    pub const SYS_RESOURCE: u64 = 1 << 24;
    /// Addresses of the kernel. Since Linux 2.6.37.
    #[doc(alias = "CAP_SYSLOG")]
    pub const SYSLOG: u64 = 1 << 34;
    /// Programs that trace. Since Linux 5.8.
    #[doc(alias = "CAP_PERFMON")]
    pub const PERFMON: u64 = 1 << 38;
    /// Maps and programs. Since Linux 5.8.
    #[doc(alias = "CAP_BPF")]
    pub const BPF: u64 = 1 << 39;
}

/// How far root is kept from the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lockdown {
    /// Not at all.
    None,
    /// It must not change the kernel.
    Integrity,
    /// It must not read the kernel either.
    Confidentiality,
}

impl fmt::Display for Lockdown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Integrity => "integrity",
            Self::Confidentiality => "confidentiality",
        })
    }
}

/// The settings, `None` where they cannot be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Machine {
    /// Effective capabilities of this process.
    pub capabilities: Option<u64>,
    /// Whether this is a user namespace inside of the initial one.
    pub in_user_namespace: bool,
    /// `kernel.unprivileged_bpf_disabled`: 0 no, 1 for good, 2 until changed.
    pub unprivileged_bpf_disabled: Option<i64>,
    /// The mode of kernel lockdown, where the kernel has it and securityfs is mounted.
    pub lockdown: Option<Lockdown>,
    /// The limit of locked memory in bytes, when the kernel counts against it and it is one. Asked
    /// for by [`with_memlock`](Self::with_memlock) only, which needs a probe.
    pub memlock: Option<u64>,
    /// Whether a filter decides which system calls this process may make.
    pub seccomp: bool,
    /// `kernel.kptr_restrict`: 0 no, 1 without `CAP_SYSLOG`, 2 always.
    pub kptr_restrict: Option<i64>,
    /// `kernel.perf_event_paranoid`.
    pub perf_event_paranoid: Option<i64>,
    /// `net.core.bpf_jit_enable`: 0 no, 1 yes, 2 with traces in the kernel's log.
    pub jit_enable: Option<i64>,
    /// `net.core.bpf_jit_harden`: 0 no, 1 for unprivileged programs, 2 for all.
    pub jit_harden: Option<i64>,
}

impl Machine {
    /// Whether this process has one of these capabilities; `true` where that cannot be told.
    #[must_use]
    pub fn has(&self, any_of: u64) -> bool {
        self.capabilities.is_none_or(|has| has & any_of != 0)
    }
}
