//! Single elements: look up, update, delete, push and pop; and `pin` and `freeze`.

use std::io::{self, Write};
use std::path::Path;

use bpfsys::cmd::{
    MapDeleteElem, MapFreeze, MapGetNextKey, MapLookupAndDelete, MapLookupElem, MapUpdateElem,
};
use bpfsys::uapi::flags::MapFlags;
use bpfsys::uapi::info::MapInfo;
use bpfsys::{MapFd, MapShape, SysError};
use nix::errno::Errno;
use serde::Serialize;

use super::args::{ElementArgs, Wanted};
use super::gather;
use super::render::{ElementFormat, named_key};
use super::types::MapTypes;
use crate::command::Context;
use crate::failure::{EINVAL_STATUS, ENOENT_STATUS, Failure, Result, errno_status};
use crate::handle::MapHandle;
use crate::pins;
use crate::procfs::FdInfoReader;
use crate::render::json::HexBytes;
use crate::words::Words;

const KEY: Wanted = Wanted {
    key: true,
    value: false,
};
const NOTHING: Wanted = Wanted {
    key: false,
    value: false,
};
const BOTH: Wanted = Wanted {
    key: true,
    value: true,
};

/// A map and what was said about one of its elements.
struct Target {
    map: MapFd,
    info: MapInfo,
    shape: MapShape,
    args: ElementArgs,
}

fn target(words: &mut Words<'_>, flags: MapFlags, wanted: Wanted) -> Result<Target> {
    words.require(2)?;
    let map = MapHandle::parse(words)?.open_one(flags)?;
    let info = gather::info(&map)?;
    let shape = map
        .shape()
        .map_err(|error| Failure::because("can't get map info", error))?;
    let args = ElementArgs::parse(words, &info, shape.value_buf_len, wanted)?;
    Ok(Target {
        map,
        info,
        shape,
        args,
    })
}

fn failed(what: &str, error: SysError) -> Failure {
    let status = errno_status(&error);
    Failure::because(what, error).with_status(status)
}

/// A change that failed: of a frozen map, the kernel says EPERM as for a missing privilege.
fn not_changed(what: &str, map: &MapFd, error: SysError) -> Failure {
    let frozen = error.is(Errno::EPERM)
        && FdInfoReader::open(Path::new("/proc/self"))
            .and_then(|mut infos| infos.read_own(map))
            .is_ok_and(|info| info.frozen == Some(true));
    let failure = failed(what, error);
    if frozen {
        return failure.with_hint("the map is frozen: only BPF programs may still change it");
    }
    failure
}

/// `map update MAP [key DATA] [value VALUE] [any|exist|noexist]`, `map push`, `map enqueue`
pub(super) fn update(context: &mut Context<'_, '_>, mut words: Words<'_>) -> Result<()> {
    let target = target(&mut words, MapFlags::empty(), BOTH)?;
    if target.args.by_id {
        context.output.remark(
            "Warning: updating program array via its id: keep the program held by a process or \
             pinned, otherwise the update will be lost",
        );
    }
    MapUpdateElem::new(&target.map, &target.args.key, &target.args.value)
        .flags(target.args.flags)
        .run()
        .map_err(|error| not_changed("update failed", &target.map, error))?;
    context.output.done()
}

/// `map lookup MAP [key DATA]`, `map peek MAP`
pub(super) fn lookup(context: &mut Context<'_, '_>, mut words: Words<'_>) -> Result<()> {
    let target = target(&mut words, MapFlags::RDONLY, KEY)?;
    let mut value = vec![0; target.shape.value_buf_len];
    match MapLookupElem::new(&target.map, &target.args.key).run(&mut value) {
        Ok(()) => show(context, &target, &value),
        Err(error) if error.is(Errno::ENOENT) => {
            if context.output.is_json() {
                context.output.done()?;
            } else {
                let out = context.output.text();
                named_key(out, "key", &target.args.key)?;
                out.write_all(b"\nNot found\n")?;
            }
            Err(Failure::shown(ENOENT_STATUS))
        }
        Err(error) => Err(failed("lookup failed", error)),
    }
}

/// `map pop MAP`, `map dequeue MAP`
pub(super) fn pop(context: &mut Context<'_, '_>, mut words: Words<'_>) -> Result<()> {
    let target = target(&mut words, MapFlags::empty(), NOTHING)?;
    let mut value = vec![0; target.shape.value_buf_len];
    match MapLookupAndDelete::new(&target.map, &target.args.key).run(&mut value) {
        Ok(()) => show(context, &target, &value),
        Err(error) if error.is(Errno::ENOENT) => {
            if context.output.is_json() {
                context.output.done()?;
                return Err(Failure::shown(ENOENT_STATUS));
            }
            Err(Failure::new("empty map").with_status(ENOENT_STATUS))
        }
        Err(error) => Err(not_changed("pop failed", &target.map, error)),
    }
}

fn show(context: &mut Context<'_, '_>, target: &Target, value: &[u8]) -> Result<()> {
    let format = ElementFormat::new(&target.info, MapTypes::load(&target.info)?);
    let key = &target.args.key;
    let output = &mut *context.output;
    if output.is_json() {
        format.json(output.json(), key, value)?;
    } else if format.is_typed() {
        format.plain_typed(output.json(), key, value)?;
        output.text().write_all(b"\n")?;
    } else {
        format.plain(output.text().buffer(), key, value);
    }
    Ok(())
}

/// `map getnext MAP [key DATA]`
pub(super) fn getnext(context: &mut Context<'_, '_>, mut words: Words<'_>) -> Result<()> {
    words.require(2)?;
    let wanted = if words.len() > 2 { KEY } else { NOTHING };
    let target = target(&mut words, MapFlags::RDONLY, wanted)?;
    let key = wanted.key.then_some(target.args.key.as_slice());
    let mut next = vec![0; usize::try_from(target.info.key_size).unwrap_or_default()];
    let found = MapGetNextKey::new(&target.map, key)
        .run(&mut next)
        .map_err(|error| failed("can't get next key", error))?;
    if !found {
        let none = io::Error::from(Errno::ENOENT);
        return Err(Failure::because("can't get next key", none).with_status(ENOENT_STATUS));
    }
    let output = &mut *context.output;
    if output.is_json() {
        #[derive(Serialize)]
        struct NextKey<'a> {
            key: Option<HexBytes<&'a [u8]>>,
            next_key: HexBytes<&'a [u8]>,
        }
        output.json().value(&NextKey {
            key: key.map(HexBytes),
            next_key: HexBytes(&next),
        })?;
        return Ok(());
    }
    let out = output.text();
    match key {
        Some(key) => named_key(out, "key", key)?,
        None => out.write_all(b"key: None\n")?,
    }
    named_key(out, "next key", &next)?;
    Ok(())
}

/// `map delete MAP key DATA`
pub(super) fn delete(context: &mut Context<'_, '_>, mut words: Words<'_>) -> Result<()> {
    let target = target(&mut words, MapFlags::empty(), KEY)?;
    MapDeleteElem::new(&target.map, &target.args.key)
        .run()
        .map_err(|error| not_changed("delete failed", &target.map, error))?;
    context.output.done()
}

/// `map pin MAP FILE`
pub(super) fn pin(context: &mut Context<'_, '_>, mut words: Words<'_>) -> Result<()> {
    words
        .require(3)
        .map_err(|failure| failure.with_status(EINVAL_STATUS))?;
    let handle = MapHandle::parse(&mut words)?;
    let path = words.take_path("a path")?;
    words.end()?;
    pins::pin(&handle.open_one(MapFlags::empty())?, path)?;
    context.output.done()
}

/// `map freeze MAP`
pub(super) fn freeze(context: &mut Context<'_, '_>, mut words: Words<'_>) -> Result<()> {
    words.require(2)?;
    let handle = MapHandle::parse(&mut words)?;
    words.end()?;
    let map = handle.open_one(MapFlags::empty())?;
    MapFreeze::new(&map)
        .run()
        .map_err(|error| failed("failed to freeze map", error))?;
    context.output.done()
}
