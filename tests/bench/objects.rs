//! Objects to load: fixtures, and those of the directory `RBPF_CORPUS` where it is given.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// What is loaded: much CO-RE, and of real tools the ones that others have published figures for.
const FIXTURES: [&str; 1] = ["core_kernel"];
const REAL: [&str; 3] = ["bcc-tcptracer", "bcc-opensnoop", "bcc-biolatency"];
/// What leaves a loader little to do beside the kernel's work, which is the same for both.
const PLAIN: [&str; 2] = ["map_kinds", "minimal"];

/// The objects whose loading is timed, and how much of libbpf's time it may take.
pub(crate) fn to_load(fixtures: &Path) -> Result<Vec<(PathBuf, f64)>> {
    let file = |dir: &Path, name: &&str| dir.join(format!("{name}.bpf.o"));
    let mut found: Vec<_> = FIXTURES
        .iter()
        .map(|name| (file(fixtures, name), 0.5))
        .collect();
    match corpus() {
        Some(dir) => found.extend(REAL.iter().map(|name| (file(&dir, name), 0.5))),
        None => println!("load real tools: left out, RBPF_CORPUS names no directory of objects"),
    }
    let plain = PLAIN.iter().map(|name| file(fixtures, name));
    found.extend(plain.map(|path| (path, f64::INFINITY)));
    found.retain(|(path, _)| {
        let there = path.is_file();
        if !there {
            println!("load {}: left out, it is not there", name(path));
        }
        there
    });
    Ok(found)
}

/// The largest objects there are.
pub(crate) fn largest(fixtures: &Path, count: usize) -> Result<Vec<PathBuf>> {
    let dir = corpus().unwrap_or_else(|| fixtures.to_owned());
    let mut found = Vec::new();
    for entry in std::fs::read_dir(&dir).with_context(|| format!("list {}", dir.display()))? {
        let entry = entry.context("list objects")?;
        let path = entry.path();
        let shown = name(&path);
        // Those of the other byte order have no kernel here.
        if path.extension().is_some_and(|e| e == "o") && !shown.ends_with(".eb") {
            found.push((entry.metadata().context("look at an object")?.len(), path));
        }
    }
    found.sort_by(|a, b| b.cmp(a));
    Ok(found
        .into_iter()
        .map(|(_, path)| path)
        .take(count)
        .collect())
}

/// An object's name for the table.
pub(crate) fn name(path: &Path) -> String {
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    file.strip_suffix(".bpf.o").unwrap_or(&file).to_owned()
}

fn corpus() -> Option<PathBuf> {
    std::env::var_os("RBPF_CORPUS").map(PathBuf::from)
}
