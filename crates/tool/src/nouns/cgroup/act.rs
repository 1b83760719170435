//! What can be done with programs of cgroups: attach, detach.

use std::fs::File;
use std::os::unix::ffi::OsStrExt;

use bpfsys::cmd::{ProgAttach, ProgDetach};
use bpfsys::{AttachType, ProgFd};

use super::args::{How, attach_type};
use crate::command::Context;
use crate::failure::{Failure, Result};
use crate::handle::ProgHandle;
use crate::render::escape::Escaped;
use crate::words::Words;

/// `cgroup attach CGROUP ATTACH_TYPE PROG [HOW]`
pub(super) fn attach(context: &mut Context<'_, '_>, mut words: Words<'_>) -> Result<()> {
    let (cgroup, hook, prog) = place(&mut words, "attach")?;
    let how = How::parse(&mut words)?;
    attach_to(&cgroup, hook, &prog, &how)?;
    context.output.done()
}

/// Attaches a program without a link.
pub(crate) fn attach_to(cgroup: &File, hook: AttachType, prog: &ProgFd, how: &How) -> Result<()> {
    let mut command = ProgAttach::new(cgroup, prog, hook).flags(how.flags);
    let old = how.replace.as_ref().map(ProgHandle::open_one).transpose()?;
    if let Some(old) = &old {
        command = command.replace(old);
    }
    let relative = how.relative()?;
    if let Some(anchor) = how.anchor(relative.as_ref()) {
        command = command.anchor(anchor);
    }
    command
        .run()
        .map_err(|error| Failure::because("failed to attach program", error))
}

/// `cgroup detach CGROUP ATTACH_TYPE PROG`
pub(super) fn detach(context: &mut Context<'_, '_>, mut words: Words<'_>) -> Result<()> {
    let (cgroup, hook, prog) = place(&mut words, "detach")?;
    words.end()?;
    ProgDetach::new(&cgroup, hook)
        .prog(&prog)
        .run()
        .map_err(|error| Failure::because("failed to detach program", error))?;
    context.output.done()
}

/// Reads `CGROUP ATTACH_TYPE PROG`, and opens them.
fn place(words: &mut Words<'_>, action: &str) -> Result<(File, AttachType, ProgFd)> {
    if words.len() < 4 {
        return Err(Failure::new(format_args!(
            "too few parameters for cgroup {action}"
        )));
    }
    let path = words.take_path("a cgroup")?;
    let shown = Escaped(path.as_os_str().as_bytes());
    let cgroup = File::open(path)
        .map_err(|error| Failure::because(format_args!("can't open cgroup {shown}"), error))?;
    let hook = attach_type(words)?;
    let prog = ProgHandle::parse(words)?.open_one()?;
    Ok((cgroup, hook, prog))
}
