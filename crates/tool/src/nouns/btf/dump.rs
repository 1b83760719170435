//! `btf dump`: types one by one.

use std::io::Write;
use std::ops::Range;

use btf::c_dump::{self, DumpError};
use btf::{Btf, BtfError, TypeId, raw_dump};

use super::args::DumpArgs;
use super::source::{self, EOPNOTSUPP_STATUS};
use super::stream::LIMIT;
use super::{json, stream};
use crate::command::Context;
use crate::failure::{EINVAL_STATUS, Failure, Result};
use crate::render::Output;
use crate::render::json::part::Part;
use crate::words::Words;

/// bpftool's exit status for types that contain themselves: -ELOOP.
const ELOOP_STATUS: u8 = 216;

/// `btf dump SOURCE [format FORMAT] [root_id ID]…`
pub(super) fn run(context: &mut Context<'_, '_>, mut words: Words<'_>) -> Result<()> {
    let args = DumpArgs::parse(&mut words)?;
    let loaded = source::load(context, &args.source)?;
    let mut roots = loaded.roots;
    roots.extend(&args.roots);
    if let Some(root) = roots.iter().find(|root| **root >= loaded.btf.len()) {
        let failure = Failure::new(format_args!("invalid root ID: {root}"));
        return Err(failure.with_status(EINVAL_STATUS));
    }
    let _progress = context.output.progress_of_answer("writing types", "");
    if args.as_c {
        if context.output.is_json() {
            let failure = Failure::new("JSON output for C-syntax dump is not supported");
            return Err(failure.with_status(EOPNOTSUPP_STATUS));
        }
        return types_as_c(context.output, &loaded.btf, &roots, !args.unsorted);
    }
    if context.output.is_json() {
        types_as_json(context.output, &loaded.btf, &roots)
    } else {
        types_as_text(context.output, &loaded.btf, &roots)
    }
}

/// The ids of a blob's own types.
fn own(btf: &Btf<'_>) -> Range<u32> {
    btf.start_id()..btf.len()
}

/// Writes `{"types": […]}`; all of the blob's own types when no ids are given.
pub fn types_as_json(output: &mut Output<'_>, btf: &Btf<'_>, ids: &[u32]) -> Result<()> {
    let document = output.json();
    document.begin_object()?;
    document.key("types")?;
    document.begin_array()?;
    let (pretty, depth) = document.position();
    if ids.is_empty() {
        stream::in_order(
            own(btf),
            |ids, text, full| json::write(&mut Part::new(text, pretty, depth), btf, ids, full),
            |text| Ok(document.append(text)?),
        )?;
    } else {
        let ids = ids.iter().copied();
        stream::in_pieces(
            &mut Vec::new(),
            |text, full| json::write(&mut Part::new(text, pretty, depth), btf, ids, full),
            |text| Ok(document.append(text)?),
        )?;
    }
    document.end_array()?;
    Ok(document.end_object()?)
}

/// Writes a line for each type, and one for each of its elements.
pub fn types_as_text(output: &mut Output<'_>, btf: &Btf<'_>, ids: &[u32]) -> Result<()> {
    let sink = output.text();
    if ids.is_empty() {
        return stream::in_order(
            own(btf),
            |ids, text, full| raw_dump::write_types(text, btf, ids, LIMIT, full),
            |text| Ok(sink.pass(text)?),
        );
    }
    // the ids were checked
    stream::in_pieces(
        &mut Vec::new(),
        |text, full| raw_dump::write_types(text, btf, ids.iter().copied(), LIMIT, full),
        // short answers wait for more
        |text| match text.len() {
            ..LIMIT => Ok(sink.write_all(text)?),
            LIMIT.. => Ok(sink.pass(text)?),
        },
    )
}

/// Writes a header file; of all types, with those of the base, when no ids are given.
pub fn types_as_c(output: &mut Output<'_>, btf: &Btf<'_>, ids: &[u32], sorted: bool) -> Result<()> {
    let sink = output.text();
    let roots: Vec<TypeId> = ids.iter().copied().map(TypeId).collect();
    let options = c_dump::Options {
        roots: &roots,
        sorted,
    };
    c_dump::write(btf, options, |text| sink.pass(text)).map_err(|error| match error {
        DumpError::Sink(error) => error.into(),
        DumpError::Btf(error) => {
            let status = match error {
                BtfError::Cycle { .. } => ELOOP_STATUS,
                _ => EINVAL_STATUS,
            };
            Failure::because("can't declare the types in C", error).with_status(status)
        }
    })
}
