//! The table of rules names tests that there are.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use rbpftool_tests::root;

const DOCUMENT: &str = "docs/core-relocations.md";

/// All Rust below a directory, as one text.
fn sources(dir: &Path, out: &mut String) -> Result<()> {
    for entry in std::fs::read_dir(dir).with_context(|| format!("read {}", dir.display()))? {
        let path = entry.context("read a directory")?.path();
        if path.is_dir() {
            sources(&path, out)?;
        } else if path.extension().is_some_and(|e| e == "rs") {
            let text = std::fs::read_to_string(&path);
            *out += &text.with_context(|| format!("read {}", path.display()))?;
        }
    }
    Ok(())
}

/// The last cell of each row has one test or more.
pub(crate) fn rules_have_tests() -> Result<()> {
    let mut code = String::new();
    sources(&root().join("crates/btf"), &mut code)?;
    let text = std::fs::read_to_string(root().join(DOCUMENT)).context(DOCUMENT)?;
    let mut named = 0;
    for row in text.lines().filter(|line| line.starts_with("| ")) {
        let cell = row.trim_end_matches(" |").rsplit("| ").next();
        let cell = cell.unwrap_or_default();
        if cell == "test" {
            continue;
        }
        let mut tests = cell.split('`').skip(1).step_by(2).peekable();
        ensure!(tests.peek().is_some(), "{DOCUMENT}: no test in {row}");
        for test in tests.filter(|word| !word.ends_with(".rs")) {
            ensure!(
                code.contains(&format!("fn {test}(")),
                "{DOCUMENT}: there is no test {test}"
            );
            named += 1;
        }
    }
    ensure!(named > 40, "the tables of {DOCUMENT} were not understood");
    Ok(())
}
