//! Advice for errors whose cause can be told from the machine's settings.

use std::error::Error;

use bpfsys::{ErrorKind, SysError};

/// What a user can do about `error`, where that is known.
pub fn for_error(error: &(dyn Error + 'static)) -> Option<String> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<SysError>() {
            return for_sys_error(error);
        }
        next = error.source();
    }
    None
}

/// EPERM has many causes; which one it is can be read from the system.
fn for_sys_error(error: &SysError) -> Option<String> {
    if error.kind() != ErrorKind::Denied {
        return None;
    }
    let effective = effective_capabilities();
    const CAP_BPF: u64 = 1 << 39;
    const CAP_SYS_ADMIN: u64 = 1 << 21;
    if effective.is_some_and(|caps| caps & (CAP_BPF | CAP_SYS_ADMIN) == 0) {
        let locked = read_number("/proc/sys/kernel/unprivileged_bpf_disabled")
            .is_some_and(|value| value != 0);
        return Some(if locked {
            "this needs CAP_BPF or CAP_SYS_ADMIN (root): \
             kernel.unprivileged_bpf_disabled is set"
                .into()
        } else {
            "this needs CAP_BPF or CAP_SYS_ADMIN (root)".into()
        });
    }
    if let Ok(lockdown) = std::fs::read_to_string("/sys/kernel/security/lockdown")
        && lockdown.contains("[confidentiality]")
    {
        return Some(
            "kernel lockdown is in confidentiality mode, which forbids reading kernel memory"
                .into(),
        );
    }
    None
}

fn effective_capabilities() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(line.trim(), 16).ok()
}

fn read_number(path: &str) -> Option<u64> {
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}
