//! Attaching programs to what their sections name, with one call each, and pinning the links.

use std::path::PathBuf;

use bpfsys::cmd::link::{IterTargetSpec, LinkTarget};
use bpfsys::cmd::{LinkCreate, RawTracepointOpen};
use bpfsys::{LinkFd, ProgFd, SysError};
use loader::kernel::{LoadedProgram, NewPins};
use loader::model::sec_defs::{AutoAttach, SecDef};
use loader::model::{Object, ProgIdx};

use super::pin;
use crate::command::Context;
use crate::failure::{Failure, Result};
use crate::render::escape::Escaped;

/// How a program attaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way<'s> {
    /// To a raw tracepoint of this name.
    RawTracepoint(&'s str),
    /// To what its load resolved.
    Resolved,
    /// To an iterator.
    Iter,
    /// Its section does not say to what.
    None,
    /// By more than one call.
    Later,
}

fn way(section: &str) -> Way<'_> {
    let target = section.split_once('/').map_or("", |(_, target)| target);
    match SecDef::find(section).and_then(|def| def.auto_attach) {
        None => Way::None,
        Some(AutoAttach::RawTracepoint) if target.is_empty() => Way::None,
        Some(AutoAttach::RawTracepoint) => Way::RawTracepoint(target),
        Some(AutoAttach::Trace | AutoAttach::Lsm) => Way::Resolved,
        Some(AutoAttach::Iter) => Way::Iter,
        Some(_) => Way::Later,
    }
}

/// Refuses objects with programs that this version cannot attach, before anything is loaded.
pub(super) fn check(object: &Object) -> Result<()> {
    let mut selected = (0..)
        .zip(object.programs())
        .filter(|(at, _)| object.loads(ProgIdx(*at)));
    let found = selected.find(|(_, program)| way(&program.section) == Way::Later);
    let Some((_, program)) = found else {
        return Ok(());
    };
    let (name, section) = (&program.name, &program.section);
    Err(Failure::new(format_args!(
        "autoattach is not supported yet for program '{}' of section '{}'",
        Escaped(name.as_bytes()),
        Escaped(section.as_bytes())
    ))
    .with_hint("load it without autoattach, or leave it out with `only`"))
}

/// Attaches a program and pins its link; one that does not attach by itself is pinned instead.
pub(super) fn attach(
    context: &mut Context<'_, '_>,
    program: &LoadedProgram,
    path: PathBuf,
    pins: &mut NewPins,
) -> Result<()> {
    let Some(fd) = program.fd() else {
        return Ok(());
    };
    let name = Escaped(program.name().as_bytes());
    match link(fd, program.section()) {
        Some(Ok(link)) => pin::pin(pins, &link, path),
        Some(Err(error)) => Err(Failure::because(
            format_args!("failed to attach program {name}"),
            error,
        )),
        None => {
            context.output.news(format_args!(
                "Program {name} does not support autoattach, falling back to pinning"
            ));
            pin::pin(pins, fd, path)
        }
    }
}

fn link(prog: &ProgFd, section: &str) -> Option<std::result::Result<LinkFd, SysError>> {
    Some(match way(section) {
        Way::RawTracepoint(name) => RawTracepointOpen::new(Some(name), prog).run(),
        Way::Resolved => RawTracepointOpen::new(None, prog).run(),
        Way::Iter => LinkCreate::new(prog, LinkTarget::Iter(IterTargetSpec::All)).run(),
        Way::None | Way::Later => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_tell_how_their_programs_attach() {
        for (section, expected) in [
            ("raw_tp/sys_enter", Way::RawTracepoint("sys_enter")),
            ("raw_tracepoint.w/x", Way::RawTracepoint("x")),
            ("raw_tp", Way::None),
            ("tp_btf/sys_enter", Way::Resolved),
            ("freplace", Way::Resolved),
            ("lsm/file_open", Way::Resolved),
            ("lsm_cgroup/file_open", Way::None),
            ("iter/task", Way::Iter),
            ("xdp", Way::None),
            ("kprobe/x", Way::Later),
            ("tp/a/b", Way::Later),
            ("fentry.multi/x", Way::Later),
            ("unknown", Way::None),
        ] {
            assert_eq!(way(section), expected, "{section}");
        }
    }
}
