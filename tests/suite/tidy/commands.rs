//! Tables that must agree with each other.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use bpfsys::Cmd;
use rbpftool_tests::root;

use crate::tree::{files, none};

fn read(path: &str) -> Result<String> {
    std::fs::read_to_string(root().join(path)).with_context(|| format!("read {path}"))
}

/// Every command of the kernel has a struct that makes it and a kernel test.
pub(crate) fn every_command_is_covered() -> Result<()> {
    let structs: String = files("crates/bpfsys/src/cmd", &["rs"])?
        .into_iter()
        .map(|f| f.text)
        .collect();
    let tests: String = files("tests/suite", &["rs"])?
        .into_iter()
        .filter(|f| f.path.contains("kernel_cmds"))
        .map(|f| f.text)
        .collect();
    let mut found = Vec::new();
    ensure!(
        Cmd::ALL.len() == 39,
        "{} commands are known, not 39",
        Cmd::ALL.len()
    );
    for cmd in Cmd::ALL {
        let name = cmd
            .name()
            .with_context(|| format!("command {} has no name", cmd.0))?;
        let alias = format!("doc(alias = \"BPF_{}\")", name.to_uppercase());
        if !structs.contains(&alias) {
            found.push(format!(
                "{name}: no struct in crates/bpfsys/src/cmd has {alias}"
            ));
        }
        if !tests.contains(&format!("\"{name}\"")) {
            found.push(format!("{name}: no test in tests/suite/kernel_cmds"));
        }
    }
    none(found, "commands that are not covered")
}

/// Every `cargo xtask NAME` that a text for people mentions is a task.
pub(crate) fn documented_tasks_exist() -> Result<()> {
    let table = read("xtask/src/main.rs")?;
    let mut found = Vec::new();
    let mut seen = 0;
    for file in files("", &["md", "yml"])? {
        for (at, _) in file.text.match_indices("cargo xtask ") {
            let rest = file
                .text
                .get(at + "cargo xtask ".len()..)
                .unwrap_or_default();
            let name: String = rest.chars().take_while(char::is_ascii_lowercase).collect();
            seen += 1;
            if !name.is_empty() && !table.contains(&format!("name: \"{name}\"")) {
                found.push(format!("{}: cargo xtask {name}", file.path));
            }
        }
    }
    ensure!(seen > 0, "no text mentions a task");
    ensure!(
        read(".ci/run")?.contains("cargo xtask test"),
        ".ci/run runs something else"
    );
    none(found, "tasks that do not exist")
}

fn declared(manifest: &str, table: &str) -> Result<BTreeSet<String>> {
    let text = read(manifest)?;
    let mut inside = false;
    let mut paths = BTreeSet::new();
    for line in text.lines().map(str::trim) {
        if line.starts_with('[') {
            inside = line == table;
        } else if inside && let Some(path) = line.strip_prefix("path = ") {
            paths.insert(path.trim_matches('"').to_owned());
        }
    }
    Ok(paths)
}

/// A suite or fuzz target that no manifest names would never run.
pub(crate) fn every_target_is_declared() -> Result<()> {
    let mut found = Vec::new();
    for (package, folder, table) in [
        ("tests", "suite", "[[test]]"),
        ("fuzz", "fuzz_targets", "[[bin]]"),
    ] {
        let declared = declared(&format!("{package}/Cargo.toml"), table)?;
        let there: BTreeSet<String> = std::fs::read_dir(root().join(package).join(folder))
            .with_context(|| format!("read {package}/{folder}"))?
            .flatten()
            .map(|e| e.path())
            .filter(|p| p.extension().is_some_and(|e| e == "rs"))
            .filter_map(|p| Some(format!("{folder}/{}", p.file_name()?.to_string_lossy())))
            .collect();
        ensure!(!there.is_empty(), "{package}/{folder} is empty");
        for path in there.symmetric_difference(&declared) {
            found.push(format!("{package}/{path}"));
        }
    }
    none(found, "files without a declaration, or the reverse")
}

/// Expected texts that are no views: their suites look after them.
const TEXTS_ONLY: [&str; 2] = ["tests/golden/model/", "tests/golden/plan/"];

/// A view's JSON without its text, or the reverse, is a case that checks nothing.
pub(crate) fn golden_files_come_in_pairs() -> Result<()> {
    // CASE.pretty.json is the same view as CASE.json, which has the text. Those of the loader are texts only.
    let all: BTreeSet<String> = files("tests/golden", &["json", "txt"])?
        .into_iter()
        .filter(|f| !TEXTS_ONLY.iter().any(|dir| f.path.starts_with(dir)))
        .map(|f| f.path.replace(".pretty.json", ".json"))
        .collect();
    let mut found = Vec::new();
    for path in &all {
        let other = match path.strip_suffix(".json") {
            Some(stem) => format!("{stem}.txt"),
            None => format!("{}.json", path.trim_end_matches(".txt")),
        };
        if !all.contains(&other) {
            found.push(format!("{path} has no {other}"));
        }
    }
    none(found, "golden files without their other half")
}
