//! `cargo xtask dist`: one static binary.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::ctx::Ctx;
use crate::{elf, run};

/// Builds the binary, checks that it needs no shared library, says its size.
pub(crate) fn task(ctx: &Ctx, _args: &[String]) -> Result<()> {
    let built = build(ctx)?;
    let size = fs::metadata(&built)
        .context("read the size of the binary")?
        .len();
    println!(
        "{}: static, no shared libraries, {size} bytes ({:.2} MiB)",
        built.display(),
        size as f64 / 1_048_576.0
    );
    Ok(())
}

/// What makes a binary static.
pub(crate) const FLAGS: &str = "-C target-feature=+crt-static";

/// The path of the static binary, freshly built.
pub(crate) fn build(ctx: &Ctx) -> Result<PathBuf> {
    let triple = ctx.host_triple()?;
    // With --target given, the flags are for the binary alone: build scripts
    // and proc macros, which must stay dynamic, do not get them.
    run::must(
        ctx.cargo(&[
            "build",
            "--release",
            "--locked",
            "-p",
            "rbpftool",
            "--target",
            &triple,
        ])
        .env("RUSTFLAGS", FLAGS),
        &ctx.log("dist"),
    )?;
    let from = ctx.target.join(&triple).join("release/rbpftool");
    let bytes = fs::read(&from).with_context(|| format!("read {}", from.display()))?;
    let found = elf::dynamic(&bytes)?;
    if found.interpreter || found.needed > 0 {
        bail!("the binary is not static: {found:?}");
    }
    let dir = ctx.target.join("dist");
    fs::create_dir_all(&dir).with_context(|| format!("create {}", dir.display()))?;
    let to = dir.join("rbpftool");
    fs::copy(&from, &to).with_context(|| format!("copy to {}", to.display()))?;
    run::stdout_of(Command::new(&to).arg("version")).context("run the binary once")?;
    Ok(to)
}
