//! Compiling the objects: by this compiler, with these flags, and nothing else.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};
use rbpftool_tests::compile::{CLANG, call, check, strip};
use rbpftool_tests::fixture;

use crate::{CASES, ORDERS};

/// Objects of `err.c`: each has something that does not fit `fit.c`.
const ERRORS: [&str; 11] = [
    "duplicate",
    "home",
    "kind",
    "licence",
    "map",
    "section",
    "signature",
    "type",
    "unknown",
    "untyped",
    "value",
];
/// Without types.
const UNTYPED: [&str; 2] = ["plain", "err.untyped"];

/// Compiles `source` to `object` in `dir`.
fn one(
    dir: &Path,
    source: &str,
    object: &str,
    order: &str,
    define: Option<&str>,
) -> Result<String> {
    let name = format!("{object}.{order}.o");
    let out = dir.join(&name);
    let mut clang = Command::new(CLANG);
    clang
        .current_dir(fixture("link"))
        .args(["-target", &format!("bpf{order}"), "-mcpu=v3", "-O2"])
        .args(["-Wall", "-Wno-unused", "-fdebug-compilation-dir=."]);
    if !UNTYPED.iter().any(|untyped| object.starts_with(untyped)) {
        clang.arg("-g");
    }
    if let Some(define) = define {
        clang.arg(format!("-DERR_{}", define.to_uppercase()));
    }
    call(clang.args(["-c", source, "-o"]).arg(&out))?;
    strip(&out)?;
    Ok(name)
}

/// All objects, into `dir`; their names.
fn compile(dir: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for case in &CASES {
        for number in ["1", "2"] {
            let object = format!("{}.{number}", case.name);
            for order in ORDERS {
                let source = format!("{object}.c");
                names.push(one(dir, &source, &object, order, None)?);
            }
        }
    }
    for order in ORDERS {
        names.push(one(dir, "fit.c", "fit", order, None)?);
    }
    for error in ERRORS {
        let object = format!("err.{error}");
        names.push(one(dir, "err.c", &object, "el", Some(error))?);
    }
    Ok(names)
}

/// Writes the objects beside their sources.
pub(crate) fn all() -> Result<()> {
    compile(&fixture("link")).map(drop)
}

/// The objects are those of the sources, and there are no others.
pub(crate) fn unchanged() -> Result<()> {
    let mut names = check("link", compile)?;
    let mut kept: Vec<String> = std::fs::read_dir(fixture("link"))?
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| name.ends_with(".o"))
        .collect();
    kept.sort();
    names.sort();
    ensure!(
        kept == names,
        "objects without a source: {kept:?} {names:?}"
    );
    Ok(())
}
