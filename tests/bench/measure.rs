//! Time and memory of a child process.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

/// How often each program runs; the medians are compared.
pub(crate) const RUNS: usize = 7;

/// A program and its arguments.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    program: OsString,
    args: Vec<OsString>,
}

impl Job {
    pub(crate) fn new(program: &Path, args: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        Self {
            program: program.into(),
            args: args.into_iter().map(Into::into).collect(),
        }
    }

    pub(crate) fn once(&self) -> Result<Duration> {
        let mut cmd = Command::new(&self.program);
        cmd.args(&self.args)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let start = Instant::now();
        let status = cmd.status().with_context(|| format!("start {self:?}"))?;
        let took = start.elapsed();
        ensure!(status.success(), "{self:?} failed: {status}");
        Ok(took)
    }

    /// What the program prints.
    pub(crate) fn says(&self) -> Result<String> {
        let mut cmd = Command::new(&self.program);
        let out = cmd.args(&self.args).stdin(Stdio::null()).output();
        let out = out.with_context(|| format!("start {self:?}"))?;
        let error = String::from_utf8_lossy(&out.stderr);
        ensure!(out.status.success(), "{self:?} failed: {error}");
        Ok(String::from_utf8_lossy(&out.stdout).into_owned())
    }

    /// The most memory the program had, in KiB.
    ///
    /// By way of a fresh process, since the kernel keeps only one maximum over
    /// all children a process ever had.
    pub(crate) fn peak(&self) -> Result<u64> {
        let me = std::env::current_exe().context("find this executable")?;
        let out = Command::new(me)
            .arg("--rss")
            .arg(&self.program)
            .args(&self.args)
            .stdin(Stdio::null())
            .output()
            .context("start the measuring process")?;
        let said = String::from_utf8_lossy(&out.stdout);
        said.trim()
            .parse()
            .with_context(|| format!("measure {self:?}: {said}"))
    }
}

/// What a program that measures a part of its work says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Told {
    /// The time for that part.
    pub(crate) took: Duration,
    /// What it came to.
    pub(crate) count: u64,
}

impl Job {
    /// Runs it; it prints milliseconds, then a count. `at` chooses one of several times.
    fn told(&self, at: usize) -> Result<Told> {
        let out = Command::new(&self.program)
            .args(&self.args)
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("start {}", self.program.display()))?;
        let text = String::from_utf8_lossy(&out.stdout);
        ensure!(
            out.status.success(),
            "{} failed: {} {text}",
            self.program.display(),
            out.status
        );
        let mut words = text.split_whitespace();
        let count = words.next_back().and_then(|n| n.parse().ok());
        let ms = words.nth(at).and_then(|n| n.parse().ok());
        let (Some(count), Some(ms)) = (count, ms) else {
            bail!("{} said '{}'", self.program.display(), text.trim());
        };
        Ok(Told {
            took: Duration::from_secs_f64(f64::max(ms, 0.0) / 1e3),
            count,
        })
    }
}

/// The medians of what both say, run in turn.
pub(crate) fn told_in_turn(a: &Job, b: &Job, at: usize) -> Result<(Told, Told)> {
    let (mut of_a, mut of_b) = (Vec::new(), Vec::new());
    let (first_a, first_b) = (a.told(at)?, b.told(at)?);
    for _ in 0..RUNS {
        of_a.push(a.told(at)?.took);
        of_b.push(b.told(at)?.took);
    }
    let told = |times, count| {
        Ok::<_, anyhow::Error>(Told {
            took: median(times)?,
            count,
        })
    };
    Ok((told(of_a, first_a.count)?, told(of_b, first_b.count)?))
}

/// The medians of both, run in turn so that a busy moment hits both.
pub(crate) fn in_turn(a: &Job, b: &Job) -> Result<(Duration, Duration)> {
    let (mut of_a, mut of_b) = (Vec::new(), Vec::new());
    // The first run of each pays for reading the program from disk.
    a.once()?;
    b.once()?;
    for _ in 0..RUNS {
        of_a.push(a.once()?);
        of_b.push(b.once()?);
    }
    Ok((median(of_a)?, median(of_b)?))
}

fn median(mut times: Vec<Duration>) -> Result<Duration> {
    times.sort();
    times
        .get(times.len() / 2)
        .copied()
        .context("nothing was measured")
}

/// What `--rss` does.
pub(crate) fn child_rss(mut args: Vec<OsString>) -> Result<()> {
    use nix::sys::resource::{UsageWho, getrusage};
    if args.is_empty() {
        bail!("--rss needs a program");
    }
    let program = args.remove(0);
    let status = Command::new(&program)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .with_context(|| format!("start {}", program.display()))?;
    ensure!(status.success(), "{} failed: {status}", program.display());
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).context("ask for the children's usage")?;
    println!("{}", usage.max_rss());
    Ok(())
}
