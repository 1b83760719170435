//! Advice for errors whose cause can be told from the machine's settings.

use std::error::Error;
use std::fmt::Display;

use bpfsys::probe::{self, Support};
use bpfsys::{Cmd, ErrorKind, KernelVersion, Op, SysError};
use nix::errno::Errno;

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

/// What to say where `probe` answers that this kernel has no such thing.
pub fn for_lacking(
    what: &str,
    name: &dyn Display,
    since: Option<KernelVersion>,
    probe: impl FnOnce() -> Support,
) -> Option<String> {
    probe().is_no().then(|| match since {
        Some(version) => format!(
            "this kernel has no {what}{name}: Linux {}.{} brought it, if configured",
            version.major, version.minor
        ),
        None => format!("this kernel has no {what}{name}"),
    })
}

/// The capabilities that bpf() asks for, as bits of `CapEff`.
const CAP_SYS_ADMIN: u64 = 1 << 21;
const CAP_BPF: u64 = 1 << 39;

/// EPERM has many causes; which one it is can be read from the system.
fn for_sys_error(error: &SysError) -> Option<String> {
    let Op::Bpf(cmd) = error.op() else {
        return None;
    };
    if error.is(Errno::EINVAL) {
        return for_lacking("command ", &cmd, cmd.since(), || probe::command(cmd));
    }
    if error.kind() != ErrorKind::Denied {
        return None;
    }
    if matches!(cmd, Cmd::OBJ_GET | Cmd::OBJ_PIN) && error.is(Errno::EACCES) {
        return Some("the mode or owner of the file or its directory forbids it".into());
    }
    let has = effective_capabilities()?;
    if needs_sys_admin(cmd) {
        if has & CAP_SYS_ADMIN == 0 {
            return Some("listing and opening objects by id needs CAP_SYS_ADMIN (root)".into());
        }
        return in_user_namespace();
    }
    if has & (CAP_BPF | CAP_SYS_ADMIN) == 0 {
        let locked = read_number("/proc/sys/kernel/unprivileged_bpf_disabled")
            .is_some_and(|value| value != 0);
        let why = if locked {
            ": kernel.unprivileged_bpf_disabled is set"
        } else {
            ""
        };
        return Some(format!("this needs CAP_BPF or CAP_SYS_ADMIN (root){why}"));
    }
    if let Some(hint) = in_user_namespace() {
        return Some(hint);
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

/// Commands that reach any object of the machine.
fn needs_sys_admin(cmd: Cmd) -> bool {
    matches!(
        cmd,
        Cmd::PROG_GET_NEXT_ID
            | Cmd::MAP_GET_NEXT_ID
            | Cmd::BTF_GET_NEXT_ID
            | Cmd::LINK_GET_NEXT_ID
            | Cmd::PROG_GET_FD_BY_ID
            | Cmd::MAP_GET_FD_BY_ID
            | Cmd::BTF_GET_FD_BY_ID
            | Cmd::LINK_GET_FD_BY_ID
    )
}

/// Root inside a user namespace has all capabilities there, and none for bpf().
fn in_user_namespace() -> Option<String> {
    let map = std::fs::read_to_string("/proc/self/uid_map").ok()?;
    let mut fields = map.split_whitespace();
    let is_initial = fields.next() == Some("0")
        && fields.next() == Some("0")
        && fields.next() == Some("4294967295");
    (!is_initial).then(|| {
        "inside a user namespace bpf() needs a token (bpffs mounted with delegate_… options) or \
         the capabilities of the initial one"
            .into()
    })
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
