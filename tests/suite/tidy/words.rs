//! Words that must not, or must, be in the tree.

use anyhow::{Context as _, Result, ensure};
use rbpftool_tests::root;

use crate::tree::{files, none};

/// Paths and hosts of one machine, in two halves so that this file passes.
const MACHINE: &[(&str, &str)] = &[
    ("/wo", "rk/"),
    ("/ro", "ot/"),
    ("/ho", "me/"),
    ("/tmp/r", "ef"),
    ("deb.deb", "ian.org"),
];

pub(crate) fn no_machine_paths_or_hosts() -> Result<()> {
    let mut found = Vec::new();
    let words: Vec<String> = MACHINE.iter().map(|(a, b)| format!("{a}{b}")).collect();
    for file in files(
        "",
        &[
            "rs", "md", "toml", "yml", "test", "json", "txt", "c", "lock",
        ],
    )? {
        // Licence texts and other people's crate metadata are theirs.
        if file.path.ends_with("Cargo.lock") {
            continue;
        }
        for (number, line) in file.text.lines().enumerate() {
            if words.iter().any(|w| line.contains(w.as_str())) {
                found.push(format!("{}:{}: {}", file.path, number + 1, line.trim()));
            }
        }
    }
    none(found, "paths or hosts of one machine")
}

pub(crate) fn licences_are_there() -> Result<()> {
    for (file, words) in [
        ("LICENSE-MIT", "MIT License"),
        ("LICENSE-APACHE", "Apache License"),
    ] {
        let text =
            std::fs::read_to_string(root().join(file)).with_context(|| format!("read {file}"))?;
        ensure!(text.contains(words), "{file} is not the {words}");
    }
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).context("read Cargo.toml")?;
    ensure!(
        manifest.contains("license = \"MIT OR Apache-2.0\""),
        "the workspace manifest names another licence"
    );
    Ok(())
}
