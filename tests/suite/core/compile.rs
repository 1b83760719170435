//! Compiling the programs: by this compiler, with these flags, and nothing else.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use rbpftool_tests::{fixture, requires};

use crate::{ORDERS, POISONED, PROGRAMS};

const CLANG: &str = "clang-19";
const STRIP: &str = "llvm-strip-19";

fn run(cmd: &mut Command) -> Result<()> {
    let output = cmd.output().with_context(|| format!("run {cmd:?}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success() && said.is_empty(),
        "{cmd:?}: {said}"
    );
    Ok(())
}

/// All objects, into `dir`; their names.
fn compile(dir: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for name in PROGRAMS.into_iter().chain([POISONED]) {
        for (order, _) in ORDERS {
            for target in ["", "1", "2"] {
                let object = match target {
                    "" => format!("{name}.{order}.o"),
                    target => format!("{name}.{target}.{order}.o"),
                };
                let out = dir.join(&object);
                let mut clang = Command::new(CLANG);
                clang
                    .current_dir(fixture("core"))
                    .args(["-target", &format!("bpf{order}"), "-mcpu=v3", "-g", "-O2"])
                    .args(["-Wall", "-Wno-unused", "-fdebug-compilation-dir=."]);
                if !target.is_empty() {
                    clang.arg(format!("-DTARGET={target}"));
                }
                run(clang.args(["-c", &format!("{name}.c"), "-o"]).arg(&out))?;
                run(Command::new(STRIP).arg("-g").arg(&out))?;
                names.push(object);
            }
        }
    }
    Ok(names)
}

/// Writes the objects beside their sources.
pub(crate) fn all() -> Result<()> {
    compile(&fixture("core")).map(drop)
}

/// The objects are those of the sources.
pub(crate) fn check() -> Result<()> {
    for tool in [CLANG, STRIP] {
        let there = Command::new(tool).arg("--version").output().is_ok();
        requires!(there, "{tool} is not there");
    }
    let dir = tempfile::tempdir().context("make a directory")?;
    for name in compile(dir.path())? {
        let made = std::fs::read(dir.path().join(&name))?;
        let kept = fixture("core").join(&name);
        let kept = std::fs::read(&kept).with_context(|| format!("read {}", kept.display()))?;
        ensure!(
            made == kept,
            "{name} is not what its source makes; RBPF_BLESS=1 compiles it anew"
        );
    }
    Ok(())
}
