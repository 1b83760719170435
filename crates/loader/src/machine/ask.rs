//! Reading the settings.

use bpfsys::ProgType;
use bpfsys::probe::{self, Support};
use bpfsys::uapi::helpers::HelperId;
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};

use super::{Lockdown, Machine};

impl Machine {
    /// Reads the settings, all but those that need a probe.
    #[must_use]
    pub fn ask() -> Self {
        let status = read("/proc/self/status").unwrap_or_default();
        Self {
            capabilities: status
                .lines()
                .find_map(|line| line.strip_prefix("CapEff:"))
                .and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()),
            in_user_namespace: read("/proc/self/uid_map")
                .is_some_and(|map| !map.split_whitespace().eq(["0", "0", "4294967295"])),
            unprivileged_bpf_disabled: number("/proc/sys/kernel/unprivileged_bpf_disabled"),
            lockdown: read("/sys/kernel/security/lockdown").and_then(|modes| lockdown(&modes)),
            memlock: None,
            seccomp: status.lines().any(|line| {
                line.strip_prefix("Seccomp:")
                    .is_some_and(|mode| mode.trim() == "2")
            }),
            kptr_restrict: number("/proc/sys/kernel/kptr_restrict"),
            perf_event_paranoid: number("/proc/sys/kernel/perf_event_paranoid"),
            jit_enable: number("/proc/sys/net/core/bpf_jit_enable"),
            jit_harden: number("/proc/sys/net/core/bpf_jit_harden"),
        }
    }

    /// Adds the limit of locked memory, if this kernel counts maps and programs against it, as
    /// kernels before Linux 5.11 do.
    #[must_use]
    pub fn with_memlock(self) -> Self {
        let by_cgroup = probe::helper(ProgType::SOCKET_FILTER, HelperId::KTIME_GET_COARSE_NS);
        let limit = getrlimit(Resource::RLIMIT_MEMLOCK).ok();
        let limit = limit.map(|(soft, _)| soft);
        Self {
            memlock: limit.filter(|limit| *limit != RLIM_INFINITY && by_cgroup != Support::Yes),
            ..self
        }
    }
}

/// The mode in brackets.
pub(super) fn lockdown(modes: &str) -> Option<Lockdown> {
    let (_, mode) = modes.split_once('[')?;
    let (mode, _) = mode.split_once(']')?;
    match mode {
        "none" => Some(Lockdown::None),
        "integrity" => Some(Lockdown::Integrity),
        "confidentiality" => Some(Lockdown::Confidentiality),
        _ => None,
    }
}

fn read(path: &str) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

fn number(path: &str) -> Option<i64> {
    read(path)?.trim().parse().ok()
}
