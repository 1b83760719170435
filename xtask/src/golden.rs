//! `cargo xtask golden`: every expected file, from what the tool says now.

use anyhow::{Context as _, Result, bail};

use crate::ctx::Ctx;
use crate::suites;

/// The suites that own expected files.
const SUITES: &[&str] = &["cli", "golden", "tidy"];

/// Runs those suites with `RBPF_BLESS=1`; `git diff` is the review.
pub(crate) fn task(ctx: &Ctx, _args: &[String]) -> Result<()> {
    suites::build_tool(ctx)?;
    let status = suites::suite_command(ctx, SUITES, "")
        .env("RBPF_BLESS", "1")
        .status()
        .context("start cargo")?;
    if !status.success() {
        bail!("a suite failed while rewriting its files ({status})");
    }
    println!("rewritten; `git diff` shows what changed");
    Ok(())
}
