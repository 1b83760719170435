//! Words that several types of links have.

use std::fs::File;

use bpfsys::uapi::enums::CgroupIterOrder;

use crate::failure::{Failure, Result};
use crate::nouns::place::{expected, open};
use crate::words::{Words, is_prefix, parse_number, shown};

/// Reads a number of 64 bits.
pub(super) fn number(words: &mut Words<'_>, what: &str) -> Result<u64> {
    let word = words.take(what)?;
    parse_number(word, 0)
        .ok_or_else(|| Failure::new(format_args!("can't parse {} as {what}", shown(word))))
}

/// Reads a word that is a name.
pub(super) fn text<'w>(words: &mut Words<'w>, what: &str) -> Result<&'w str> {
    let word = words.take(what)?;
    word.to_str()
        .filter(|word| !word.is_empty())
        .ok_or_else(|| Failure::new(format_args!("'{}' is not {what}", shown(word))))
}

/// Reads `{ current | pid PID | FILE }`; nothing for the current network namespace.
pub(super) fn netns(words: &mut Words<'_>) -> Result<Option<File>> {
    if words.accept("current") {
        return Ok(None);
    }
    if words.accept("pid") {
        let pid = words.take_u32("a process")?;
        return open(format!("/proc/{pid}/ns/net").as_ref(), false).map(Some);
    }
    open(words.take_path("a network namespace")?, false).map(Some)
}

/// Reads `[order ORDER]` of a walk over cgroups; from the top down without it.
pub(super) fn order(words: &mut Words<'_>) -> Result<CgroupIterOrder> {
    if words.option().is_none() || !words.accept("order") {
        return Ok(CgroupIterOrder::DESCENDANTS_PRE);
    }
    let word = words.peek().unwrap_or_default();
    let mut known = CgroupIterOrder::ALL
        .iter()
        .filter(|order| **order != CgroupIterOrder::UNSPEC);
    let found = known.find(|order| order.name().is_some_and(|name| is_prefix(word, name)));
    let Some(order) = found.filter(|_| !word.is_empty()) else {
        return Err(expected(
            words,
            "'self_only', 'descendants_pre', 'descendants_post', 'ancestors_up' or 'children'",
        ));
    };
    words.take("an order")?;
    Ok(*order)
}
