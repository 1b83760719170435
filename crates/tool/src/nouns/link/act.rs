//! What can be done with a link: pin, detach.

use bpfsys::cmd::LinkDetach;

use crate::command::Context;
use crate::failure::{EINVAL_STATUS, Failure, Result};
use crate::handle;
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
