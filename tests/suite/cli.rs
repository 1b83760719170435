//! Command lines and what they must say, as data: `tests/cli/*.test`.
//!
//! A file holds cases, a case holds commands, run one after the other in an
//! empty directory of their own:
//!
//! ```text
//! == the name of the case
//! # a remark
//! @ batch.txt| a line of a file to have in that directory
//! env NO_COLOR=1
//! 0| a line on stdin of the next command
//! $ rbpftool -j prog "show" $'\x1b' $FIXTURES/x
//! 1| a line on stdout
//! 2| a line on stderr
//! ? 255
//! ```
//!
//! `1<` in place of `1|` is a last line without line end; control bytes and
//! bytes that are not UTF-8 are written `\xNN`, a backslash `\\`. Without `?`
//! the status must be 0. `RBPF_BLESS=1` rewrites what the commands said.

#[path = "cli/case.rs"]
mod case;
#[path = "cli/words.rs"]
mod words;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, bail, ensure};
use case::{Case, Step};
use rbpftool_tests::{Output, Suite, blessing, fixture, root, run, tool_path};

fn main() -> ExitCode {
    let mut suite = Suite::new("cli");
    match files() {
        Ok(files) => {
            for file in files {
                add(&mut suite, file);
            }
        }
        Err(e) => suite.add("files", move || Err(e)),
    }
    suite.run()
}

fn files() -> Result<Vec<PathBuf>> {
    let dir = root().join("tests/cli");
    let mut files: Vec<PathBuf> = std::fs::read_dir(&dir)
        .with_context(|| format!("read {}", dir.display()))?
        .flatten()
        .map(|e| e.path())
        .filter(|p| p.extension().is_some_and(|e| e == "test"))
        .collect();
    files.sort();
    ensure!(!files.is_empty(), "there is no case in {}", dir.display());
    Ok(files)
}

fn add(suite: &mut Suite, file: PathBuf) {
    let stem = file
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let cases = std::fs::read_to_string(&file)
        .with_context(|| format!("read {}", file.display()))
        .and_then(|text| case::parse(&text));
    match cases {
        Err(e) => suite.add(stem, move || Err(e)),
        Ok(cases) if blessing() => suite.add(stem, move || bless(&file, cases)),
        Ok(cases) => {
            for case in cases {
                suite.add(format!("{stem}::{}", case.name), move || check(&case));
            }
        }
    }
}

fn check(case: &Case) -> Result<()> {
    let mut wrong = String::new();
    for (step, got) in play(case)? {
        let got = case::render(&got);
        if got != step.expected {
            wrong.push_str(&format!(
                "line {}: $ {}\n--- expected\n{}--- got\n{got}",
                step.line, step.command, step.expected
            ));
        }
    }
    if !wrong.is_empty() {
        bail!("{wrong}(`cargo xtask golden` rewrites it)");
    }
    Ok(())
}

fn bless(file: &Path, cases: Vec<Case>) -> Result<()> {
    let mut text = String::new();
    for case in cases {
        text.push_str(&case.head);
        for (step, got) in play(&case)? {
            text.push_str(&format!(
                "{}$ {}\n{}",
                step.before,
                step.command,
                case::render(&got)
            ));
        }
        text.push_str(&case.tail);
    }
    std::fs::write(file, text).with_context(|| format!("write {}", file.display()))
}

/// Runs the commands of a case; each with what it did, directories made anonymous.
fn play(case: &Case) -> Result<Vec<(&Step, Output)>> {
    let dir = tempfile::tempdir().context("make a directory")?;
    for (name, content) in &case.files {
        std::fs::write(dir.path().join(name), content).with_context(|| format!("write {name}"))?;
    }
    let tool = tool_path()?;
    std::os::unix::fs::symlink(&tool, dir.path().join("bpftool")).context("make a symlink")?;
    let mut all = Vec::new();
    for step in &case.steps {
        let mut words = words::split(&step.command)?.into_iter();
        let program = match words.next().as_deref() {
            Some(b"rbpftool") => tool.clone(),
            Some(b"bpftool") => dir.path().join("bpftool"),
            _ => bail!("line {}: a command is rbpftool or bpftool", step.line),
        };
        let mut cmd = Command::new(program);
        cmd.current_dir(dir.path()).env_remove("RBPFTOOL");
        for word in words {
            use std::os::unix::ffi::OsStringExt as _;
            cmd.arg(std::ffi::OsString::from_vec(expand(word, dir.path())));
        }
        cmd.envs(step.env.iter().map(|(k, v)| (k, v)));
        let mut got = run(&mut cmd, &step.stdin)?;
        for stream in [&mut got.stdout, &mut got.stderr] {
            *stream = anonymous(std::mem::take(stream), dir.path());
        }
        all.push((step, got));
    }
    Ok(all)
}

fn names(dir: &Path) -> [(&'static str, String); 2] {
    [
        (
            "$FIXTURES",
            fixture("")
                .display()
                .to_string()
                .trim_end_matches('/')
                .to_owned(),
        ),
        ("$TMP", dir.display().to_string()),
    ]
}

fn expand(word: Vec<u8>, dir: &Path) -> Vec<u8> {
    names(dir).iter().fold(word, |word, (name, path)| {
        replace(&word, name.as_bytes(), path.as_bytes())
    })
}

fn anonymous(text: Vec<u8>, dir: &Path) -> Vec<u8> {
    names(dir).iter().fold(text, |text, (name, path)| {
        replace(&text, path.as_bytes(), name.as_bytes())
    })
}

fn replace(text: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.windows(from.len()).position(|w| w == from) {
        let (head, tail) = rest.split_at(at);
        out.extend_from_slice(head);
        out.extend_from_slice(to);
        rest = tail.get(from.len()..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
    out
}
