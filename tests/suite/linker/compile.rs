//! Compiling the objects: by this compiler, with these flags, and nothing else.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use rbpftool_tests::{fixture, requires};

use crate::{CASES, ORDERS};

const CLANG: &str = "clang-19";
const STRIP: &str = "llvm-strip-19";

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

fn run(cmd: &mut Command) -> Result<()> {
    let output = cmd.output().with_context(|| format!("run {cmd:?}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success() && said.is_empty(),
        "{cmd:?}: {said}"
    );
    Ok(())
}

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
    run(clang.args(["-c", source, "-o"]).arg(&out))?;
    run(Command::new(STRIP).arg("-g").arg(&out))?;
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
pub(crate) fn check() -> Result<()> {
    for tool in [CLANG, STRIP] {
        let there = Command::new(tool).arg("--version").output().is_ok();
        requires!(there, "{tool} is not there");
    }
    let dir = tempfile::tempdir().context("make a directory")?;
    let mut names = compile(dir.path())?;
    for name in &names {
        let made = std::fs::read(dir.path().join(name))?;
        let kept = fixture("link").join(name);
        let kept = std::fs::read(&kept).with_context(|| format!("read {}", kept.display()))?;
        ensure!(
            made == kept,
            "{name} is not what its source makes; RBPF_BLESS=1 compiles it anew"
        );
    }
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
