//! The structs and functions of our headers beside those of the reference.

use std::collections::BTreeSet;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use rbpftool_tests::{Suite, ensure_eq, oracle, run};

use crate::{names, object_path, written};

/// Where the two differ, and why.
const OTHER: [(&str, &str, &str); 11] = [
    (
        "skeleton",
        "err_static_entry",
        "the reference refuses static programs",
    ),
    (
        "subskeleton",
        "err_static_entry",
        "the reference refuses static programs",
    ),
    (
        "skeleton",
        "legacy_maps",
        "the reference has given up maps by numbers",
    ),
    (
        "subskeleton",
        "legacy_maps",
        "the reference has given up maps by numbers",
    ),
    (
        "skeleton",
        "legacy_maps.eb",
        "the reference has given up maps by numbers",
    ),
    (
        "subskeleton",
        "legacy_maps.eb",
        "the reference has given up maps by numbers",
    ),
    (
        "skeleton",
        "link_a",
        "the reference refuses what others define",
    ),
    (
        "subskeleton",
        "link_a",
        "the reference refuses what others define",
    ),
    (
        "skeleton",
        "link_a.eb",
        "the reference refuses what others define",
    ),
    (
        "subskeleton",
        "link_a.eb",
        "the reference refuses what others define",
    ),
    (
        "subskeleton",
        "arena",
        "the reference writes nothing where an arena has variables",
    ),
];

pub(crate) fn add(suite: &mut Suite) {
    let names = match names() {
        Ok(names) => names,
        Err(e) => return suite.add("members", move || Err(e)),
    };
    for name in names {
        for command in ["skeleton", "subskeleton"] {
            let own = name.clone();
            suite.add(format!("members/{command}/{name}"), move || {
                same(command, &own)
            });
        }
    }
}

fn same(command: &'static str, name: &str) -> Result<()> {
    let oracle = oracle()?;
    let mut theirs = Command::new(oracle);
    theirs.args(["gen", command]).arg(object_path(name));
    let theirs = run(&mut theirs, b"")?;
    let ours = written(&[command], name);
    let other = OTHER.iter().find(|(c, n, _)| *c == command && *n == name);
    if let Some((_, _, why)) = other {
        ensure!(
            (theirs.status != 0 || theirs.stdout.is_empty()) && ours.is_ok(),
            "not so any longer: {why}"
        );
        return Ok(());
    }
    if theirs.status != 0 {
        ensure!(
            ours.is_err(),
            "only the reference refuses: {}",
            theirs.err()
        );
        return Ok(());
    }
    let (theirs, ours) = (theirs.out(), ours?);
    ensure_eq!(structs(&ours)?, structs(&theirs)?);
    ensure_eq!(functions(&ours), functions(&theirs));
    ensure_eq!(defined(&ours), defined(&theirs));
    ensure_eq!(guessed(&ours), guessed(&theirs));
    ensure!(elf(&ours) == elf(&theirs), "another object");
    Ok(())
}

/// The struct of the skeleton, up to the methods that C++ has: word by word.
fn structs(text: &str) -> Result<Vec<&str>> {
    let start = text.find("\nstruct ").context("no struct")?;
    let end = text
        .find("#endif /* __cplusplus */")
        .context("no methods")?;
    let part = text.get(start..end).context("methods before the struct")?;
    Ok(part.split_whitespace().collect())
}

/// Names of the functions.
fn functions(text: &str) -> BTreeSet<&str> {
    let calls = text
        .lines()
        .filter(|line| !line.starts_with(['\t', '#', '*', '/']));
    calls
        .filter_map(|line| {
            let name = line.split('(').next()?;
            let name = name.rsplit([' ', '*']).next()?;
            name.contains("__").then_some(name)
        })
        .filter(|name| !name.contains("::") && line_is_name(name))
        .collect()
}

fn line_is_name(name: &str) -> bool {
    name.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && !name.ends_with("_H__")
}

/// Macros: the guard, and what tells which version wrote it.
fn defined(text: &str) -> Vec<&str> {
    text.lines()
        .filter(|line| line.starts_with("#define") || line.starts_with("#include"))
        .collect()
}

/// What libbpf is told: names of maps, programs and variables, and sizes that are checked.
fn guessed(text: &str) -> Vec<String> {
    text.lines()
        .map(str::trim)
        .filter(|line| {
            line.contains(".name = \"")
                || line.starts_with("_Static_assert")
                || line.starts_with("map->name")
        })
        .map(str::to_owned)
        .collect()
}

/// The escapes of the longest literal.
fn elf(text: &str) -> String {
    let lines = text.lines().filter(|line| line.starts_with('\\'));
    lines
        .map(|line| line.trim_end_matches(['\\', '"', ';']))
        .collect()
}
