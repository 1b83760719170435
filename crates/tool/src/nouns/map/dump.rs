//! `map dump`: every element, streamed.

use std::io::Write;

use bpfsys::MapFd;
use bpfsys::uapi::flags::MapFlags;
use bpfsys::uapi::info::MapInfo;

use super::entries::Entries;
use super::gather;
use super::render::ElementFormat;
use super::types::MapTypes;
use crate::command::Context;
use crate::failure::{Failure, Result};
use crate::handle::MapHandle;
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

/// A map that is about to be dumped: everything that can fail before the first byte is behind.
struct Source<'m> {
    info: MapInfo,
    format: ElementFormat,
    entries: Entries<'m>,
}

/// `map dump MAP`
pub(super) fn run(context: &mut Context<'_, '_>, mut words: Words<'_>) -> Result<()> {
    words.require(2)?;
    let handle = MapHandle::parse(&mut words)?;
    words.end()?;
    let maps = handle.open_all(MapFlags::RDONLY)?;
    let sources = maps.iter().map(open).collect::<Result<Vec<_>>>()?;
    let form = if context.output.is_json() {
        Form::Json
    } else if sources.iter().all(|source| source.format.is_typed()) {
        Form::Typed
    } else {
        Form::Hex
    };
    let output = &mut *context.output;
    let several = sources.len() > 1;
    if several && form != Form::Hex {
        output.json().begin_array()?;
    }
    for (n, source) in sources.into_iter().enumerate() {
        if n > 0 && form == Form::Hex {
            output.text().write_all(b"\n")?;
        }
        dump(output, source, form, several)?;
    }
    if several && form != Form::Hex {
        output.json().end_array()?;
    }
    if form == Form::Typed {
        output.text().write_all(b"\n")?;
    }
    Ok(())
}

fn open(map: &MapFd) -> Result<Source<'_>> {
    let info = gather::info(map)?;
    Ok(Source {
        format: ElementFormat::new(&info, MapTypes::load(&info)?),
        entries: Entries::open(map, &info)?,
        info,
    })
}

fn dump(output: &mut Output<'_>, source: Source<'_>, form: Form, several: bool) -> Result<()> {
    let Source {
        info,
        format,
        entries,
    } = source;
    let header = gather::header(&info);
    if form == Form::Hex {
        let out = output.text();
        if several {
            header.text(out)?;
        }
        let mut count = 0_u64;
        entries.for_each(|(key, value)| {
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
    if several {
        json.begin_object()?;
        json.field("id", &header.id)?;
        json.field("type", &header.r#type)?;
        if let Some(name) = &header.name {
            json.field("name", name)?;
        }
        json.field("flags", &header.flags)?;
        json.key("elements")?;
    }
    json.begin_array()?;
    let result = entries.for_each(|(key, value)| {
        match value {
            Ok(value) if form == Form::Json => format.json(json, key, value)?,
            Ok(value) => format.plain_typed(json, key, value)?,
            Err(error) if format.is_absent(&error) => {}
            Err(error) => format.json_error(json, key, &error)?,
        }
        Ok(())
    });
    // whatever happened, the document stays whole: what went wrong is its last element
    if let Err(failure) = &result
        && let Some(message) = failure.message()
    {
        json.begin_object()?;
        json.field("error", &message)?;
        json.end_object()?;
    }
    json.end_array()?;
    if several {
        json.end_object()?;
    }
    result.map_err(|failure| match failure.message() {
        Some(_) => Failure::shown(failure.status()),
        None => failure,
    })
}
