//! Advice for errors whose cause can be told from the machine's settings.

use std::error::Error;
use std::fmt::Display;

use bpfsys::probe::{self, Support};
use bpfsys::{Cmd, KernelVersion, Op, SysError};
use loader::machine::{Machine, no_such};
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

/// EPERM has many causes; which one it is can be read from the system.
fn for_sys_error(error: &SysError) -> Option<String> {
    if let Op::Bpf(cmd) = error.op()
        && error.is(Errno::EINVAL)
    {
        return for_lacking("command", &cmd, cmd.since(), || probe::command(cmd));
    }
    let machine = Machine::ask();
    let machine = match error.op() {
        Op::Bpf(Cmd::MAP_CREATE | Cmd::PROG_LOAD | Cmd::BTF_LOAD) => machine.with_memlock(),
        _ => machine,
    };
    machine.explain(error, "")
}
