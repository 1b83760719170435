//! The example loader while it runs.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail, ensure};

/// How long to wait for a line. A guest under emulation takes its time to load.
const PATIENCE: Duration = Duration::from_secs(100);
/// Lines that an error shows.
const SHOWN: usize = 12;

/// How it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Its words say when.
    Itself,
    /// It runs until it is stopped.
    Killed,
}

/// Killed at the latest when this is dropped.
pub(crate) struct Session {
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
    errors: JoinHandle<String>,
}

impl Session {
    /// `example-loader run OBJECT WORDS`
    pub(crate) fn start(object: &Path, words: &[String]) -> Result<Self> {
        let mut child = Command::new(example()?)
            .arg("run")
            .arg(object)
            .args(words)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("start the example loader")?;
        let out = child.stdout.take().context("no stdout")?;
        let mut err = child.stderr.take().context("no stderr")?;
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            let lines = BufReader::new(out).lines().map_while(Result::ok);
            lines.map(|line| sender.send(line)).all(|sent| sent.is_ok())
        });
        let errors = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            let _until_it_ends = err.read_to_end(&mut bytes);
            String::from_utf8_lossy(&bytes).into_owned()
        });
        Ok(Self {
            child,
            lines,
            seen: Vec::new(),
            errors,
        })
    }

    /// Waits for a line that has all of these.
    pub(crate) fn wait_for(&mut self, parts: &[String]) -> Result<()> {
        ensure!(!parts.is_empty(), "any line would do");
        let start = Instant::now();
        loop {
            let left = PATIENCE.saturating_sub(start.elapsed());
            let line = match self.lines.recv_timeout(left) {
                Ok(line) => line,
                Err(RecvTimeoutError::Timeout) => bail!("{}", self.missed(parts)),
                Err(RecvTimeoutError::Disconnected) => {
                    let missed = self.missed(parts);
                    bail!("{missed}\nit ended: {}", self.ended()?);
                }
            };
            if parts.iter().all(|part| line.contains(part)) {
                return Ok(());
            }
            self.seen.push(line);
        }
    }

    /// What was waited for, and the last that came instead.
    fn missed(&self, parts: &[String]) -> String {
        let from = self.seen.len().saturating_sub(SHOWN);
        let last = self.seen.iter().skip(from).cloned().collect::<Vec<_>>();
        format!(
            "no line has {parts:?}; the last of {} others:\n{}",
            self.seen.len(),
            last.join("\n")
        )
    }

    /// Its status and what it complained of.
    fn ended(&mut self) -> Result<String> {
        let status = self.child.wait().context("wait for the example loader")?;
        let nothing = std::thread::spawn(String::new);
        let errors = std::mem::replace(&mut self.errors, nothing);
        let errors = errors
            .join()
            .map_err(|_panic| anyhow!("a reader panicked"))?;
        Ok(format!("{status}: {errors}"))
    }

    /// Sees to it that it has ended.
    pub(crate) fn end(mut self, how: Ended) -> Result<()> {
        match how {
            Ended::Killed => {
                let early = self.child.try_wait().context("ask for its status")?;
                ensure!(early.is_none(), "it ended early: {}", self.ended()?);
                self.child.kill().context("stop it")?;
                self.ended()?;
            }
            Ended::Itself => {
                let ended = self.ended()?;
                ensure!(ended == "exit status: 0: ", "{ended}");
            }
        }
        // The thread that reads has nothing more to read, and ends.
        while self.lines.recv().is_ok() {}
        Ok(())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // It may have ended.
        let _gone = self.child.kill();
        let _status = self.child.wait();
    }
}

/// The example loader: `$RBPF_EXAMPLE`, or the one beside this suite.
fn example() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("RBPF_EXAMPLE") {
        return Ok(path.into());
    }
    // A suite is target/PROFILE/deps/SUITE-HASH.
    let me = std::env::current_exe().context("find this executable")?;
    let built = me.ancestors().nth(2).context("it is in no directory")?;
    let path = built.join("example-loader");
    ensure!(
        path.is_file(),
        "{} is not built: cargo build -p example-loader",
        path.display()
    );
    Ok(path)
}
