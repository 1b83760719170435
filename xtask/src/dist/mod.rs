//! `cargo xtask dist`: one static binary, and packages of it.

mod archive;
mod tree;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::ctx::Ctx;
use crate::{elf, run};

/// Builds the binary, checks that it needs no shared library, and packs it.
pub(crate) fn task(ctx: &Ctx, _args: &[String]) -> Result<()> {
    let built = build(ctx)?;
    println!(
        "{}: static, no shared libraries, {}",
        built.display(),
        size(&built)?
    );
    for made in pack(ctx, &built)? {
        println!("{}: {}", made.display(), size(&made)?);
    }
    Ok(())
}

fn size(path: &Path) -> Result<String> {
    let found = fs::metadata(path).with_context(|| format!("look at {}", path.display()))?;
    let size = found.len();
    Ok(format!(
        "{size} bytes ({:.2} MiB)",
        size as f64 / 1_048_576.0
    ))
}

/// A tarball, a Debian package where there is the tool for it, and their sums.
fn pack(ctx: &Ctx, tool: &Path) -> Result<Vec<PathBuf>> {
    let dist = ctx.target.join("dist");
    let release = archive::Release::of(ctx)?;
    let files = tree::files(ctx, tool)?;
    let mut made = vec![release.tarball(&files, &dist)?];
    if run::on_path("dpkg-deb") {
        made.push(release.package(&files, &dist)?);
    } else {
        println!("no Debian package: there is no dpkg-deb here");
    }
    archive::sums(&made, &dist)?;
    Ok(made)
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
