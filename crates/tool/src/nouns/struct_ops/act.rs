//! What can be done with maps of functions: take them out of use.

use bpfsys::cmd::MapDeleteElem;
use bpfsys::uapi::flags::MapFlags;

use super::gather::{Selection, StructOpsMap, kernel_type};
use super::selection;
use crate::command::Context;
use crate::failure::{Failure, Result};
use crate::render::escape::Escaped;
use crate::words::Words;

/// `struct_ops unregister STRUCT_OPS_MAP`
pub(super) fn unregister(context: &mut Context<'_, '_>, mut words: Words<'_>) -> Result<()> {
    words.require(2)?;
    let selected = selection(&mut words)?;
    let maps = selected.open(MapFlags::empty())?;
    let mut failed = None;
    for map in &maps {
        match one(map) {
            Ok(line) => context.output.news(line),
            Err(failure) if matches!(selected, Selection::Name(_)) && maps.len() > 1 => {
                // one that stays does not keep the others
                let message = failure.message().unwrap_or_default();
                context.output.remark(format_args!("Error: {message}"));
                failed = Some(failure);
            }
            Err(failure) => return Err(failure),
        }
    }
    failed.map_or_else(|| context.output.done(), Err)
}

/// Unregisters one; what to say about it.
fn one(map: &StructOpsMap) -> Result<String> {
    let kind = kernel_type(&map.info)?;
    let (name, id) = (Escaped(map.info.name()), map.info.id);
    MapDeleteElem::new(&map.fd, &0_u32.to_ne_bytes())
        .run()
        .map_err(|error| {
            let what = format_args!("can't unload {kind} {name} id {id}");
            let failure = Failure::because(what, error);
            if MapFlags::from_bits_retain(map.info.map_flags).contains(MapFlags::LINK) {
                return failure.with_hint(
                    "it is registered by a link: `rbpftool link show` tells which, and the \
                     registration ends with that link",
                );
            }
            failure
        })?;
    Ok(format!("Unregistered {kind} {name} id {id}"))
}
