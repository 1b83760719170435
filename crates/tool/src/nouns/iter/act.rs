//! Iterators: attached and pinned, or walked at once.

use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use bpfsys::cmd::{IterTargetSpec, LinkCreate, LinkTarget};
use bpfsys::uapi::flags::MapFlags;
use bpfsys::{AnyFd, LinkFd, MapFd};
use loader::streams::IterReader;

use crate::command::Context;
use crate::failure::{ENOENT_STATUS, Failure, Result};
use crate::handle::MapHandle;
use crate::nouns::prog::load::args::{Edits, Log};
use crate::nouns::prog::load::{self, edit};
use crate::pins;
use crate::render::escape::Escaped;
use crate::render::lines::Lines;
use crate::words::Words;

/// `iter pin OBJ PATH [map MAP]`
pub(super) fn pin(context: &mut Context<'_, '_>, mut words: Words<'_>) -> Result<()> {
    words.require(2)?;
    let file = words.take_path("an object file")?;
    let path = words.take_path("a path")?;
    let map = map(&mut words)?;
    pins::check(path)?;
    let link = attach(context, file, map.as_ref())?;
    pins::pin(&link, path)?;
    context.output.done()
}

/// `iter cat { OBJ | PATH } [map MAP]`
pub(super) fn cat(context: &mut Context<'_, '_>, mut words: Words<'_>) -> Result<()> {
    words.require(1)?;
    let path = words.take_path("an object file or a pinned iterator")?;
    let link = if pins::is_bpffs(path) {
        words.end()?;
        match pins::open(path, MapFlags::empty())? {
            AnyFd::Link(link) => link,
            _ => return Err(Failure::new("what is pinned there is no link")),
        }
    } else {
        let map = map(&mut words)?;
        attach(context, path, map.as_ref())?
    };
    let fail = |error| Failure::because("can't read the iterator", error);
    let mut reader = IterReader::new(&link)
        .map_err(|error| Failure::because("can't start the iterator", error))?;
    let output = &mut *context.output;
    let mut chunk = vec![0; 1 << 16];
    // The first read tells whether there is anything to be had, before anything is written.
    let mut len = reader.read(&mut chunk).map_err(fail)?;
    let mut lines = Lines::begin(output)?;
    while len > 0 {
        lines.push(output, chunk.get(..len).unwrap_or_default())?;
        len = match reader.read(&mut chunk) {
            Ok(len) => len,
            Err(error) => {
                lines.end(output)?;
                return Err(fail(error));
            }
        };
    }
    lines.end(output)
}

/// Reads `map MAP`, if it is there.
fn map(words: &mut Words<'_>) -> Result<Option<MapFd>> {
    if words.is_empty() {
        return Ok(None);
    }
    if !words.accept("map") {
        words.end()?;
    }
    words.require(2)?;
    let map = MapHandle::parse(words)?.open_one(MapFlags::RDONLY)?;
    words.end()?;
    Ok(Some(map))
}

/// Loads an object and attaches its first program.
fn attach(context: &mut Context<'_, '_>, file: &Path, map: Option<&MapFd>) -> Result<LinkFd> {
    let object = edit::open(file, context.options).map_err(|failure| match file.exists() {
        true => failure,
        // as bpftool ends, here but not for other commands
        false => failure.with_status(ENOENT_STATUS),
    })?;
    let loaded = load::load(context, &object, &Edits::default(), &Log::default())?;
    let program = loaded.programs().first();
    let Some((program, fd)) = program.and_then(|program| Some((program, program.fd()?))) else {
        return Err(Failure::new(format_args!(
            "can't find bpf program in objfile {}",
            Escaped(file.as_os_str().as_bytes())
        )));
    };
    let target = map.map_or(IterTargetSpec::All, IterTargetSpec::Map);
    let link = LinkCreate::new(fd, LinkTarget::Iter(target)).run();
    link.map_err(|error| {
        let name = Escaped(program.name().as_bytes());
        let failed = format!("attach_iter failed for program {name}");
        let failure = Failure::because(failed, error);
        if !program.section().starts_with("iter") {
            return failure.with_hint("sections of iterators begin with 'iter/'");
        }
        failure
    })
}
