//! What can be done with programs of cgroups: attach, detach.

use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;

use bpfsys::cmd::{Anchor, ProgAttach, ProgDetach};
use bpfsys::{AttachType, ProgFd};

use super::args::{How, Place, attach_type};
use crate::command::Context;
use crate::failure::{Failure, Result};
use crate::handle::ProgHandle;
use crate::render::escape::Escaped;
use crate::words::Words;

/// `cgroup attach CGROUP ATTACH_TYPE PROG [HOW]`
pub(super) fn attach(context: &mut Context<'_, '_>, mut words: Words<'_>) -> Result<()> {
    let (cgroup, hook, prog) = place(&mut words, "attach")?;
    let how = How::parse(&mut words)?;
    let mut command = ProgAttach::new(&cgroup, &prog, hook).flags(how.flags);
    let old = how.replace.as_ref().map(ProgHandle::open_one).transpose()?;
    if let Some(old) = &old {
        command = command.replace(old);
    }
    let relative = match &how.place {
        Some(Place::Before(handle) | Place::After(handle)) => Some(handle.open_one()?),
        None => None,
    };
    match (&how.place, &relative) {
        (Some(Place::Before(_)), Some(prog)) => {
            command = command.anchor(Anchor::BeforeProg(prog.as_fd()));
        }
        (Some(Place::After(_)), Some(prog)) => {
            command = command.anchor(Anchor::AfterProg(prog.as_fd()));
        }
        _ => {}
    }
    command
        .run()
        .map_err(|error| Failure::because("failed to attach program", error))?;
    context.output.done()
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
