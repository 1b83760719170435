//! Attaching programs to what their sections name, and pinning the links.

use std::path::PathBuf;

use loader::attach::{AttachError, AutoOptions, Link, Links};
use loader::kernel::{Loaded, LoadedProgram, NewPins};

use super::pin;
use crate::command::Context;
use crate::failure::{Failure, Result};
use crate::nouns::place;
use crate::render::escape::Escaped;

/// Attaches a program and pins its link; one that does not attach by itself is pinned instead.
/// The link is kept with the others, so that all of them go if something fails later.
pub(super) fn attach(
    context: &mut Context<'_, '_>,
    loaded: &Loaded,
    program: &LoadedProgram,
    path: PathBuf,
    pins: &mut NewPins,
    links: &mut Links,
) -> Result<()> {
    let Some(fd) = program.fd() else {
        return Ok(());
    };
    let name = Escaped(program.name().as_bytes());
    let link = loaded.attach_program(program.name(), &AutoOptions::default());
    let Some(link) = link.map_err(|error| failed(program, error))? else {
        context.output.news(format_args!(
            "Program {name} does not support autoattach, falling back to pinning"
        ));
        return pin::pin(pins, fd, path);
    };
    let pinned = match link.fd() {
        Some(fd) => pin::pin(pins, fd, path),
        None => Err(without_link(program, &link)),
    };
    links.push(link);
    pinned
}

fn failed(program: &LoadedProgram, error: AttachError) -> Failure {
    // The name is said here, and the section where it tells more than what went wrong.
    let why = match error {
        AttachError::Auto { source, .. } => *source,
        error => error,
    };
    let name = Escaped(program.name().as_bytes());
    place::refused(format_args!("failed to attach program {name}"), why)
}

/// What is attached as it was before there were links ends with the process.
fn without_link(program: &LoadedProgram, link: &Link) -> Failure {
    let name = Escaped(program.name().as_bytes());
    let what = Escaped(link.what().as_bytes());
    Failure::new(format_args!(
        "cannot pin the attachment of program {name}: this kernel attaches to {what} without a link"
    ))
    .with_hint("Linux 5.15 brought links of perf events")
}
