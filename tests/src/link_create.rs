//! Links that the tool makes in words.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::{ensure_eq, run_tool};

/// `link create PLACE prog id PROG pin PIN MORE`: what the tool shows of the link, which is what
/// `link show` says of it however it is asked for. Where it refuses, the line and what it says:
/// then nothing is pinned.
///
/// # Errors
///
/// If any of that is not so.
pub fn link_create(
    place: &str,
    prog: u32,
    pin: &Path,
    more: &str,
) -> Result<Result<Value, String>> {
    let pinned = pin.display();
    let line = format!("-j link create {place} prog id {prog} pin {pinned} {more}");
    let line = line.trim_end();
    let out = run_tool(line.split(' '))?;
    if out.status != 0 {
        ensure!(!pin.exists(), "$ {line}\nleaves a pin");
        return Ok(Err(format!("$ {line}\n{}", out.out())));
    }
    let value = out.json()?;
    ensure_eq!(value["prog_id"], json!(prog));
    let kind = value["type"].as_str().context("no type")?;
    let shown = |words: &str| -> Result<Value> {
        let line = format!("-j link show {words}");
        run_tool(line.split(' '))?.json().with_context(|| line)
    };
    let one = shown(&format!("pinned {pinned}"))?;
    ensure_eq!((&one["id"], &one["type"]), (&value["id"], &value["type"]));
    for words in [format!("prog id {prog}"), format!("type {kind}")] {
        let all = shown(&words)?;
        let all = all.as_array().context("no list")?;
        let same = |own: &Value| own["id"] == value["id"] && own["type"] == value["type"];
        ensure!(all.iter().any(same), "{words}: {all:?}");
        let fits = |own: &Value| own["type"] == value["type"] || words.starts_with("prog");
        ensure!(all.iter().all(fits), "{words}: {all:?}");
    }
    Ok(Ok(value))
}

/// Waits until what a link did has ended: the kernel takes a link's number before it takes the
/// link from its place.
///
/// # Errors
///
/// If it does not end soon.
pub fn ends(mut ended: impl FnMut() -> Result<bool>) -> Result<()> {
    let start = Instant::now();
    while !ended()? {
        ensure!(start.elapsed() < Duration::from_secs(5), "it still runs");
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}
