//! Running both and saying where they part.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use rbpftool_tests::{Output, requires, run, tool_path};
use serde_json::Value;

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
    /// Is the reference to look for holders? It takes some thirty times as long, and loads
    /// programs that both then see.
    pub(crate) holders: bool,
    /// The forms that are compared.
    pub(crate) forms: &'static [Form],
    /// Does it show machine code? Then the reference must have a disassembler.
    pub(crate) machine_code: bool,
}

/// The two programs.
pub(crate) struct Pair {
    ours: PathBuf,
    theirs: PathBuf,
    /// A reference with LLVM's disassembler, if there is one and something to show it.
    disassembling: Option<PathBuf>,
    /// Does the kernel compile programs?
    jited: bool,
    /// Is this an emulated machine?
    slow: bool,
}

/// Keeps the reference from loading BPF programs of its own, which all commands we compare
/// do only to find holders, and none needs to.
const NO_HOLDERS: (&str, &str) = ("LIBBPF_BPF_TOKEN_PATH", "/dev/null");

/// How often a comparison is repeated while bpftool's own answer changes.
const TRIES: usize = 5;

/// Are we in a guest, where everything is some twenty times slower?
pub(crate) fn guest() -> bool {
    std::env::var_os("RBPF_GUEST").is_some()
}

/// The reference itself where it can show machine code, or the one beside it that can.
fn disassembling(theirs: &Path) -> Option<PathBuf> {
    let beside = theirs.with_file_name("bpftool-llvm");
    [theirs.to_owned(), beside].into_iter().find(|program| {
        let mut cmd = Command::new(program);
        let said = run(cmd.args(["version", "-j"]), b"").and_then(|out| out.json());
        said.is_ok_and(|said| said.pointer("/features/llvm") == Some(&Value::Bool(true)))
    })
}

impl Pair {
    pub(crate) fn new(theirs: PathBuf, jited: bool) -> Result<Self> {
        Ok(Self {
            ours: tool_path()?,
            disassembling: jited.then(|| disassembling(&theirs)).flatten(),
            theirs,
            jited,
            slow: guest(),
        })
    }

    /// All command lines of a case in all forms.
    pub(crate) fn check(&self, case: &Case, rules: &Rules) -> Result<()> {
        if case.machine_code {
            requires!(
                self.jited,
                "programs are interpreted here (net.core.bpf_jit_enable)"
            );
            requires!(
                self.disassembling.is_some(),
                "no reference bpftool has a disassembler (cargo xtask oracle --llvm)"
            );
        }
        let mut wrong = Vec::new();
        for (n, line) in case.lines.iter().enumerate() {
            for &form in case.forms {
                if self.slow && n > 0 && spared(n, case.lines.len(), form) {
                    continue;
                }
                if let Err(e) = self.compare(case, line, form, rules) {
                    wrong.push(format!("{e:#}"));
                }
            }
        }
        ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
        Ok(())
    }

    fn compare(&self, case: &Case, line: &[OsString], form: Form, rules: &Rules) -> Result<()> {
        let (mut ours, mut theirs) = self.both(case, line, form)?;
        for _ in 0..TRIES {
            if form != Form::Text {
                ensure!(
                    serde_json::from_slice::<Value>(&ours.stdout).is_ok(),
                    "{}: ours is not JSON: {}",
                    shown(line, form),
                    ours.out()
                );
            }
            let Some(difference) = rules.judge(case, &words(line), form, &ours, &theirs) else {
                return Ok(());
            };
            // Other processes may have changed the kernel's objects meanwhile, the other
            // of the two among them: both load programs for a moment. What stays the same
            // when one runs after the other is no accident.
            let again = (
                self.run(&self.ours, case, line, form)?,
                self.run(self.theirs(case), case, line, form)?,
            );
            if again == (ours, theirs) {
                bail!("{}\n{difference}", shown(line, form));
            }
            (ours, theirs) = again;
        }
        bail!(
            "{}: bpftool's answer changes all the time",
            shown(line, form)
        )
    }

    /// The reference of a case.
    fn theirs(&self, case: &Case) -> &Path {
        match &self.disassembling {
            Some(path) if case.machine_code => path,
            _ => &self.theirs,
        }
    }

    /// What ours and theirs say, at the same time where neither can disturb the other.
    fn both(&self, case: &Case, line: &[OsString], form: Form) -> Result<(Output, Output)> {
        let ours = || self.run(&self.ours, case, line, form);
        let theirs = || self.run(self.theirs(case), case, line, form);
        // `gen` writes files, and both are given the same
        let writes = line.first().is_some_and(|word| word == "gen");
        if writes || case.holders || !case.fresh.is_empty() || !case.before.is_empty() {
            let theirs = theirs()?;
            return Ok((ours()?, theirs));
        }
        std::thread::scope(|scope| {
            let theirs = scope.spawn(theirs);
            let ours = ours()?;
            let theirs = theirs.join();
            Ok((
                ours,
                theirs.map_err(|_panic| anyhow!("a thread panicked"))??,
            ))
        })
    }

    /// What both say as JSON, once theirs says the same before and after ours.
    pub(crate) fn json(&self, line: &[OsString]) -> Result<(Value, Value)> {
        let case = Case {
            name: String::new(),
            lines: Vec::new(),
            fresh: Vec::new(),
            before: Vec::new(),
            holders: false,
            forms: &[Form::Json],
            machine_code: false,
        };
        for _ in 0..TRIES {
            let before = self.run(&self.theirs, &case, line, Form::Json)?;
            let ours = self.run(&self.ours, &case, line, Form::Json)?;
            if self.run(&self.theirs, &case, line, Form::Json)? == before {
                return Ok((ours.json()?, before.json()?));
            }
        }
        bail!("{}: bpftool's answer changes all the time", words(line))
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
            let mut cmd = Command::new(&self.theirs);
            cmd.args(line).env(NO_HOLDERS.0, NO_HOLDERS.1);
            run(&mut cmd, b"").with_context(|| words(line))?;
        }
        let mut cmd = Command::new(program);
        cmd.args(form.flag()).args(line);
        if !case.holders {
            cmd.env(NO_HOLDERS.0, NO_HOLDERS.1);
        }
        let mut out = run(&mut cmd, b"").with_context(|| shown(line, form))?;
        for path in &case.fresh {
            // Of a pin there is nothing to see but that it is there: reading one of an iterator
            // runs its program.
            if path.exists() && rbpftool::pins::is_bpffs(path) {
                out.stderr.extend_from_slice(b"a pin\n");
                continue;
            }
            match std::fs::read(path) {
                Ok(written) => out.stderr.extend(written),
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
                Err(_) => out.stderr.extend_from_slice(b"a pin\n"),
            }
        }
        Ok(out)
    }
}

/// Splits at blanks; no argument here has any.
pub(crate) fn line(text: &str) -> Vec<OsString> {
    text.split(' ').map(OsString::from).collect()
}

/// Emulated, a run takes a second: of all lines but the first, long cases are run in text and
/// JSON by turns, and others in both.
fn spared(n: usize, lines: usize, form: Form) -> bool {
    match form {
        Form::Pretty => true,
        Form::Text => lines > 4 && !(n / 2).is_multiple_of(2),
        Form::Json => lines > 4 && (n / 2).is_multiple_of(2),
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
