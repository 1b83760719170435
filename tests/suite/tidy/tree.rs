//! The files of the checkout, and reading Rust without its comments.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use rbpftool_tests::root;

/// One text file.
#[derive(Debug)]
pub(crate) struct File {
    /// Its path inside the checkout.
    pub(crate) path: String,
    pub(crate) text: String,
}

/// Directories that hold nothing of ours.
const SKIPPED: &[&str] = &["target", ".git", "corpus", "artifacts", "coverage"];

/// Every text file below `under`, sorted.
pub(crate) fn files(under: &str, extensions: &[&str]) -> Result<Vec<File>> {
    let top = root();
    let mut out = Vec::new();
    let mut todo: Vec<PathBuf> = vec![top.join(under)];
    while let Some(dir) = todo.pop() {
        for entry in std::fs::read_dir(&dir).with_context(|| format!("read {}", dir.display()))? {
            let path = entry.context("read a directory")?.path();
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            if path.is_symlink() {
                continue;
            }
            if path.is_dir() {
                if !SKIPPED.contains(&name.as_str()) {
                    todo.push(path);
                }
                continue;
            }
            let extension = path
                .extension()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            if !extensions.is_empty() && !extensions.contains(&extension.as_str()) {
                continue;
            }
            // What is not text is a fixture.
            if let Ok(text) = std::fs::read_to_string(&path) {
                out.push(File {
                    path: relative(&top, &path),
                    text,
                });
            }
        }
    }
    out.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(out)
}

fn relative(top: &Path, path: &Path) -> String {
    path.strip_prefix(top).unwrap_or(path).display().to_string()
}

impl File {
    /// The lines that are code: no comments, no string contents; with numbers.
    ///
    /// Good enough for looking for words; raw strings over several lines are
    /// left as they are.
    pub(crate) fn code(&self) -> Vec<(usize, String)> {
        let mut lines = Vec::new();
        let mut in_comment = false;
        for (number, line) in self.text.lines().enumerate() {
            let mut out = String::new();
            let mut in_string = false;
            let mut chars = line.chars().peekable();
            while let Some(c) = chars.next() {
                match c {
                    '*' if in_comment && chars.peek() == Some(&'/') => {
                        chars.next();
                        in_comment = false;
                    }
                    _ if in_comment => {}
                    '\\' if in_string => drop(chars.next()),
                    '"' => in_string = !in_string,
                    _ if in_string => {}
                    '/' if chars.peek() == Some(&'/') => break,
                    '/' if chars.peek() == Some(&'*') => in_comment = true,
                    c => out.push(c),
                }
            }
            lines.push((number + 1, out));
        }
        lines
    }

    /// [`Self::code`] up to the unit tests at the end of the file.
    pub(crate) fn code_before_tests(&self) -> Vec<(usize, String)> {
        let mut code = self.code();
        if let Some(at) = code
            .iter()
            .position(|(_, l)| l.trim_start().starts_with("#[cfg(test)]"))
        {
            code.truncate(at);
        }
        code
    }
}

/// Fails with the list, if there is anything in it.
pub(crate) fn none(found: Vec<String>, what: &str) -> Result<()> {
    anyhow::ensure!(found.is_empty(), "{what}:\n  {}", found.join("\n  "));
    Ok(())
}

/// Does `line` hold `word` as a word of its own?
pub(crate) fn has_word(line: &str, word: &str) -> bool {
    line.split(|c: char| !c.is_alphanumeric() && c != '_')
        .any(|w| w == word)
}
