//! `map dump`: every element, streamed.

use std::io::Write;

use bpfsys::MapFd;
use bpfsys::uapi::flags::MapFlags;
use bpfsys::uapi::info::MapInfo;
use loader::maps::Entries;

use super::entries;
use super::gather;
use super::render::ElementFormat;
use super::types::MapTypes;
use crate::command::Context;
use crate::failure::{Failure, Result};
use crate::handle::MapHandle;
use crate::render::progress::Progress;
use crate::render::{Output, View};
use crate::words::Words;

/// The form of one dump; all maps of a dump have the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Hexadecimal text.
    Hex,
    /// bpftool's typed text: the layout of JSON in its plain style.
    Typed,
    /// JSON.
    Json,
}

/// `map dump MAP`
pub(super) fn run(context: &mut Context<'_, '_>, mut words: Words<'_>) -> Result<()> {
    words.require(2)?;
    let handle = MapHandle::parse(&mut words)?;
    words.end()?;
    let maps = handle.open_all(MapFlags::RDONLY)?;
    let infos = maps.iter().map(gather::info).collect::<Result<Vec<_>>>()?;
    let form = if context.output.is_json() {
        Form::Json
    } else if infos.iter().all(MapTypes::are_known) {
        Form::Typed
    } else {
        Form::Hex
    };
    let output = &mut *context.output;
    let progress = output.progress_of_answer("reading the map", "elements");
    if let ([map], [info]) = (maps.as_slice(), infos.as_slice()) {
        let (format, entries) = open(map, info)?;
        let result = elements(output, &format, entries, form, &progress);
        if form == Form::Typed {
            output.text().write_all(b"\n")?;
        }
        return result;
    }

    if form != Form::Hex {
        output.json().begin_array()?;
    }
    let mut status = None;
    for (n, (map, info)) in maps.iter().zip(&infos).enumerate() {
        begin(output, info, form, n == 0)?;
        let result = match open(map, info) {
            Ok((format, entries)) => elements(output, &format, entries, form, &progress),
            Err(failure) => no_elements(output, failure, form),
        };
        if form != Form::Hex {
            output.json().end_object()?;
        }
        if let Err(failure) = result {
            // one map that cannot be read does not hide the others
            let Some(failed) = shown(output, &failure)? else {
                return Err(failure);
            };
            status = status.or(Some(failed));
        }
    }
    if form != Form::Hex {
        output.json().end_array()?;
    }
    if form == Form::Typed {
        output.text().write_all(b"\n")?;
    }
    match status {
        Some(status) => Err(Failure::shown(status)),
        None => Ok(()),
    }
}

/// What it takes to dump a map; everything that can fail before the first byte is behind then.
fn open<'m>(map: &'m MapFd, info: &MapInfo) -> Result<(ElementFormat, Entries<'m>)> {
    let format = ElementFormat::new(info, MapTypes::load(info)?);
    Ok((format, entries::open(map, info)?))
}

/// Says which of several maps comes.
fn begin(output: &mut Output<'_>, info: &MapInfo, form: Form, is_first: bool) -> Result<()> {
    let header = gather::header(info);
    if form == Form::Hex {
        if !is_first {
            output.text().write_all(b"\n")?;
        }
        return Ok(header.text(output.text())?);
    }
    let json = output.json();
    json.begin_object()?;
    json.field("id", &header.id)?;
    json.field("type", &header.r#type)?;
    if let Some(name) = &header.name {
        json.field("name", name)?;
    }
    json.field("flags", &header.flags)?;
    json.key("elements")?;
    Ok(())
}

/// Writes every element. Whatever happens on the way, a JSON array is closed; what went wrong is
/// its last element there, and a message otherwise.
fn elements(
    output: &mut Output<'_>,
    format: &ElementFormat,
    entries: Entries<'_>,
    form: Form,
    progress: &Progress,
) -> Result<()> {
    if form == Form::Hex {
        let out = output.text();
        let mut count = 0_u64;
        entries.for_each(|(key, value)| -> Result<()> {
            progress.step();
            match value {
                Ok(value) => {
                    format.plain(out.buffer(), key, value);
                    count += 1;
                }
                Err(error) if format.is_absent(&error) => {}
                Err(error) => format.plain_error(out.buffer(), key, &error),
            }
            Ok(out.settle()?)
        })?;
        let plural = if count == 1 { "" } else { "s" };
        writeln!(out, "Found {count} element{plural}")?;
        return Ok(());
    }
    let json = output.json();
    json.begin_array()?;
    let result = entries.for_each(|(key, value)| {
        progress.step();
        match value {
            Ok(value) if form == Form::Json => format.json(json, key, value)?,
            Ok(value) => format.plain_typed(json, key, value)?,
            Err(error) if format.is_absent(&error) => {}
            Err(error) => format.json_error(json, key, &error)?,
        }
        Ok(())
    });
    let result = match result {
        Err(failure) if form == Form::Json => Err(error_element(output, failure)?),
        result => result,
    };
    output.json().end_array()?;
    result
}

/// The place of the elements of a map that cannot be dumped.
fn no_elements(output: &mut Output<'_>, failure: Failure, form: Form) -> Result<()> {
    if form == Form::Hex {
        return Err(failure);
    }
    output.json().begin_array()?;
    let failure = match form {
        Form::Json => error_element(output, failure)?,
        _ => failure,
    };
    output.json().end_array()?;
    Err(failure)
}

/// Writes a failure as an element; what is left of it is its exit status.
pub(super) fn error_element(output: &mut Output<'_>, failure: Failure) -> Result<Failure> {
    let Some(message) = failure.message() else {
        return Ok(failure);
    };
    let json = output.json();
    json.begin_object()?;
    json.field("error", &message)?;
    json.end_object()?;
    Ok(Failure::shown(failure.status()))
}

/// Tells of a failure while the dump goes on; its exit status. `None` when nobody reads on.
fn shown(output: &mut Output<'_>, failure: &Failure) -> Result<Option<u8>> {
    if failure.status() == 0 {
        return Ok(None);
    }
    if let Some(message) = failure.message() {
        output.flush()?;
        output.remark(format_args!("Error: {message}"));
    }
    Ok(Some(failure.status()))
}
