//! What can be done with a link: pin, detach, update.

use bpfsys::cmd::{LinkDetach, LinkUpdate};
use bpfsys::uapi::flags::MapFlags;

use crate::command::Context;
use crate::failure::{EINVAL_STATUS, Failure, Result};
use crate::handle::{self, MapHandle, ProgHandle};
use crate::nouns::place::expected;
use crate::pins;
use crate::words::Words;

/// The exit status of everything that goes wrong with `link detach`.
const DETACH_FAILED: u8 = 1;

/// `link pin LINK FILE`
pub(super) fn pin(context: &mut Context<'_, '_>, mut words: Words<'_>) -> Result<()> {
    words
        .require(3)
        .map_err(|failure| failure.with_status(EINVAL_STATUS))?;
    let link = handle::open_link(&mut words)?;
    let path = words.take_path("a path")?;
    words.end()?;
    pins::pin(&link, path)?;
    context.output.done()
}

/// `link detach LINK`
pub(super) fn detach(context: &mut Context<'_, '_>, words: Words<'_>) -> Result<()> {
    detach_one(words).map_err(|failure| failure.with_status(DETACH_FAILED))?;
    context.output.done()
}

fn detach_one(mut words: Words<'_>) -> Result<()> {
    if words.len() != 2 {
        return Err(Failure::new("link specifier is invalid or missing"));
    }
    let link = handle::open_link(&mut words)?;
    LinkDetach::new(&link)
        .run()
        .map_err(|error| Failure::because("failed link detach", error))
}

/// `link update LINK { PROG [old PROG] | map MAP [old MAP] }`
pub(super) fn update(context: &mut Context<'_, '_>, mut words: Words<'_>) -> Result<()> {
    words.require(4)?;
    let link = handle::open_link(&mut words)?;
    let failed = |error| Failure::because("failed link update", error);
    if words.accept("map") {
        let parse = |words: &mut Words<'_>| MapHandle::parse(words)?.open_one(MapFlags::empty());
        let new = parse(&mut words)?;
        let old = old(&mut words, parse)?;
        let mut update = LinkUpdate::with_map(&link, &new);
        if let Some(old) = &old {
            update = update.expect_map(old);
        }
        update.run().map_err(failed)?;
    } else {
        let parse = |words: &mut Words<'_>| ProgHandle::parse(words)?.open_one();
        let new = parse(&mut words)?;
        let old = old(&mut words, parse)?;
        let mut update = LinkUpdate::new(&link, &new);
        if let Some(old) = &old {
            update = update.expect_prog(old);
        }
        update.run().map_err(failed)?;
    }
    context.output.done()
}

/// Reads `[old THING]` and the end of the words.
fn old<T>(words: &mut Words<'_>, parse: impl Fn(&mut Words<'_>) -> Result<T>) -> Result<Option<T>> {
    if words.is_empty() {
        return Ok(None);
    }
    if !words.accept("old") {
        return Err(expected(words, "'old'"));
    }
    let old = parse(words)?;
    words.end()?;
    Ok(Some(old))
}
