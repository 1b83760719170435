//! Objects that a compiler makes: by this one and no other, so that the bytes are the same
//! everywhere.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::fixture;

/// The compiler.
pub const CLANG: &str = "clang-19";
/// What takes debug information out.
pub const STRIP: &str = "llvm-strip-19";

/// Whether a tool can be called.
#[must_use]
pub fn is_there(tool: &str) -> bool {
    Command::new(tool).arg("--version").output().is_ok()
}

/// Runs a compiler, linker or the like.
///
/// # Errors
///
/// If it fails or warns.
pub fn call(cmd: &mut Command) -> Result<()> {
    let output = cmd.output().with_context(|| format!("run {cmd:?}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success() && said.is_empty(),
        "{cmd:?}: {said}"
    );
    Ok(())
}

/// Takes debug information out of an object.
///
/// # Errors
///
/// If that fails.
pub fn strip(object: &Path) -> Result<()> {
    call(Command::new(STRIP).arg("-g").arg(object))
}

/// What `compile` makes in a directory is what the folder of fixtures has; the names.
///
/// # Errors
///
/// If a file differs; a [`crate::Skip`] where the tools are not there.
pub fn check(folder: &str, compile: fn(&Path) -> Result<Vec<String>>) -> Result<Vec<String>> {
    for tool in [CLANG, STRIP] {
        crate::requires!(is_there(tool), "{tool} is not there");
    }
    let dir = tempfile::tempdir().context("make a directory")?;
    let names = compile(dir.path())?;
    for name in &names {
        let made = std::fs::read(dir.path().join(name))?;
        let kept = fixture(folder).join(name);
        let kept = std::fs::read(&kept).with_context(|| format!("read {}", kept.display()))?;
        ensure!(
            made == kept,
            "{name} is not what its source makes; RBPF_BLESS=1 compiles it anew"
        );
    }
    Ok(names)
}
