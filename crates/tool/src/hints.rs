//! Advice for errors whose cause can be told from the machine's settings.

use std::error::Error;
use std::fmt::Display;

use bpfsys::probe::{self, Support};
use bpfsys::{Cmd, ErrorKind, KernelVersion, Op, SysError};
use loader::kernel::{Machine, no_such};
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
    probe().is_no().then(|| no_such(what, name, since))
}

/// `CAP_SYS_ADMIN`, as a bit of `CapEff`.
const CAP_SYS_ADMIN: u64 = 1 << 21;

/// EPERM has many causes; which one it is can be read from the system.
fn for_sys_error(error: &SysError) -> Option<String> {
    let Op::Bpf(cmd) = error.op() else {
        return None;
    };
    if error.is(Errno::EINVAL) {
        return for_lacking("command", &cmd, cmd.since(), || probe::command(cmd));
    }
    if error.kind() != ErrorKind::Denied {
        return None;
    }
    if matches!(cmd, Cmd::OBJ_GET | Cmd::OBJ_PIN) && error.is(Errno::EACCES) {
        return Some("the mode or owner of the file or its directory forbids it".into());
    }
    let machine = Machine::ask();
    let has = machine.capabilities?;
    if needs_sys_admin(cmd) {
        if has & CAP_SYS_ADMIN == 0 {
            return Some("listing and opening objects by id needs CAP_SYS_ADMIN (root)".into());
        }
        return machine.in_user_namespace();
    }
    machine
        .without_bpf()
        .or_else(|| machine.in_user_namespace())
        .or_else(|| machine.confidential())
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
