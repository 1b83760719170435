//! Running both and saying where they part.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use rbpftool_tests::{Output, run, tool_path};

use crate::rules::{Form, Rules};

/// Arguments both are given.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    /// Said when it fails.
    pub(crate) name: String,
    /// One or more command lines, in order.
    pub(crate) lines: Vec<Vec<OsString>>,
    /// Files that are removed before each run, and counted as output after it.
    pub(crate) fresh: Vec<PathBuf>,
    /// What the reference is made to do before each run.
    pub(crate) before: Vec<Vec<OsString>>,
}

/// The two programs.
pub(crate) struct Pair {
    ours: PathBuf,
    theirs: PathBuf,
}

/// How often a comparison is repeated while bpftool's own answer changes.
const TRIES: usize = 5;

impl Pair {
    pub(crate) fn new(theirs: PathBuf) -> Result<Self> {
        Ok(Self {
            ours: tool_path()?,
            theirs,
        })
    }

    /// All command lines of a case in all forms.
    pub(crate) fn check(&self, case: &Case, rules: &Rules) -> Result<()> {
        self.check_in(case, rules, &Form::ALL)
    }

    /// All command lines of a case in some forms.
    pub(crate) fn check_in(&self, case: &Case, rules: &Rules, forms: &[Form]) -> Result<()> {
        let mut wrong = Vec::new();
        for line in &case.lines {
            for form in forms {
                if let Err(e) = self.compare(case, line, *form, rules) {
                    wrong.push(format!("{e:#}"));
                }
            }
        }
        ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
        Ok(())
    }

    fn compare(&self, case: &Case, line: &[OsString], form: Form, rules: &Rules) -> Result<()> {
        let mut theirs = self.run(&self.theirs, case, line, form)?;
        for _ in 0..TRIES {
            let ours = self.run(&self.ours, case, line, form)?;
            if form != Form::Text {
                ensure!(
                    serde_json::from_slice::<serde_json::Value>(&ours.stdout).is_ok(),
                    "{}: ours is not JSON: {}",
                    shown(line, form),
                    ours.out()
                );
            }
            let Some(difference) = rules.judge(&words(line), form, &ours, &theirs) else {
                return Ok(());
            };
            // Other processes may have changed the kernel's objects meanwhile.
            let again = self.run(&self.theirs, case, line, form)?;
            if again == theirs {
                bail!("{}\n{difference}", shown(line, form));
            }
            theirs = again;
        }
        bail!(
            "{}: bpftool's answer changes all the time",
            shown(line, form)
        )
    }

    /// Runs one of the two; what is in a file the command wrote counts as output.
    fn run(&self, program: &Path, case: &Case, line: &[OsString], form: Form) -> Result<Output> {
        for path in &case.fresh {
            match std::fs::remove_file(path) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                    return Err(e).with_context(|| format!("remove {}", path.display()));
                }
                _ => {}
            }
        }
        for line in &case.before {
            run(Command::new(&self.theirs).args(line), b"").with_context(|| words(line))?;
        }
        let mut cmd = Command::new(program);
        cmd.args(form.flag()).args(line);
        let mut out = run(&mut cmd, b"").with_context(|| shown(line, form))?;
        for path in &case.fresh {
            // A pin cannot be read; that it is there is all there is to see.
            match std::fs::read(path) {
                Ok(written) => out.stderr.extend(written),
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
                Err(_) => out.stderr.extend_from_slice(b"a pin\n"),
            }
        }
        Ok(out)
    }
}

/// The command line as rules see it.
fn words(line: &[OsString]) -> String {
    line.iter()
        .map(|w| w.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}

fn shown(line: &[OsString], form: Form) -> String {
    let flag = form.flag().map(|f| format!("{f} ")).unwrap_or_default();
    format!("$ {flag}{}", words(line))
}
