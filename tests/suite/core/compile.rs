//! Compiling the programs: by this compiler, with these flags, and nothing else.

use std::path::Path;
use std::process::Command;

use anyhow::Result;
use rbpftool_tests::compile::{CLANG, call, check, strip};
use rbpftool_tests::fixture;

use crate::{ORDERS, POISONED, PROGRAMS};

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
                call(clang.args(["-c", &format!("{name}.c"), "-o"]).arg(&out))?;
                strip(&out)?;
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
pub(crate) fn unchanged() -> Result<()> {
    check("core", compile).map(drop)
}
