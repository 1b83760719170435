//! `struct_ops register`: loads an object and puts its functions into use.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use bpfsys::{LinkFd, MapFd};
use loader::kernel::{Loaded, LoadedMap, NewPins};

use super::gather::{StructOpsMap, kernel_type};
use crate::command::Context;
use crate::failure::{Failure, Result};
use crate::nouns::prog::load::args::{Edits, Log};
use crate::nouns::prog::load::{self, edit, pin};
use crate::render::escape::Escaped;
use crate::words::Words;

/// `struct_ops register OBJ [LINK_DIR]`
pub(super) fn run(context: &mut Context<'_, '_>, mut words: Words<'_>) -> Result<()> {
    words.require(1)?;
    let file = words.take_path("an object file")?;
    let dir = (!words.is_empty()).then(|| words.take_path("a directory"));
    let dir = dir.transpose()?;
    words.end()?;
    if let Some(dir) = dir {
        crate::pins::check_directory(dir)?;
    }
    let object = edit::open(file, context.options)?;
    let loaded = load::load(context, &object, &Edits::default(), &Log::default())?;
    let maps = loaded
        .maps()
        .iter()
        .filter(|map| map.is_struct_ops() && map.fd().is_some());
    let symbols: Vec<String> = maps.map(|map| map.symbol().to_owned()).collect();
    if symbols.is_empty() {
        let file = Escaped(file.as_os_str().as_bytes());
        return Err(Failure::new(format_args!("no struct_ops found in {file}")));
    }
    let mut failures = Vec::new();
    for symbol in symbols {
        match one(&loaded, &symbol, dir) {
            Ok((line, link)) => {
                context.output.news(line);
                if link.is_some() && dir.is_none() {
                    context.output.news(format_args!(
                        "{} ends with this command, because its link is not pinned: give LINK_DIR",
                        Escaped(symbol.as_bytes())
                    ));
                }
            }
            // what is in use already stays so
            Err(failure) => failures.push(failure),
        }
    }
    match failures.len() {
        0 => context.output.done(),
        1 => failures.pop().map_or(Ok(()), Err),
        _ => {
            let messages = failures.iter().filter_map(Failure::message);
            Err(Failure::new(messages.collect::<Vec<_>>().join("; ")))
        }
    }
}

/// Registers one; what to say about it, and the link that keeps it, if there is one.
fn one(loaded: &Loaded, symbol: &str, dir: Option<&Path>) -> Result<(String, Option<LinkFd>)> {
    let shown = Escaped(symbol.as_bytes());
    let cannot = format!("can't register struct_ops {shown}");
    let map = loaded.map(symbol).and_then(LoadedMap::fd);
    let map = map.ok_or_else(|| Failure::new(format_args!("{cannot}: it was not made")))?;
    let map: MapFd = map
        .try_clone()
        .map_err(|error| Failure::because(&cannot, error))?;
    let registered = loaded
        .struct_ops(symbol)
        .and_then(|ops| ops.attach())
        .map_err(|error| {
            // What was to be done is said already.
            match error.sys() {
                Some(answer) => Failure::because(&cannot, answer),
                None => Failure::because(&cannot, error),
            }
        })?;
    let map = StructOpsMap::new(map)?;
    let (kind, name, id) = (
        kernel_type(&map.info)?,
        Escaped(map.info.name()),
        map.info.id,
    );
    let link = match registered.into_fd() {
        Ok(link) => link,
        // It is the map that is registered, until its element is deleted.
        Err(registered) => {
            registered.forget();
            return Ok((format!("Registered {kind} {name} id {id}"), None));
        }
    };
    let link_id = link
        .info()
        .map_err(|error| {
            Failure::because(
                format_args!("registered {shown}, but can't find link id"),
                error,
            )
        })?
        .id
        .get();
    if let Some(dir) = dir {
        let mut pins = NewPins::default();
        pin::directory(&mut pins, dir)?;
        pin::pin(
            &mut pins,
            &link,
            dir.join(std::ffi::OsStr::from_bytes(map.info.name())),
        )?;
        pins.keep();
    }
    let line = format!("Registered {kind} {name} map id {id} link id {link_id}");
    Ok((line, Some(link)))
}
