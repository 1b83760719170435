//! Running our tool and others: no terminal, no inherited settings, a time limit.

use std::ffi::OsStr;
use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::skip;

/// What a program did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// The exit status; 128 + N if signal N ended it.
    pub status: i32,
    /// Everything on stdout.
    pub stdout: Vec<u8>,
    /// Everything on stderr.
    pub stderr: Vec<u8>,
}

impl Output {
    /// Stdout as text, invalid UTF-8 replaced.
    #[must_use]
    pub fn out(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Stderr as text, invalid UTF-8 replaced.
    #[must_use]
    pub fn err(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    /// Stdout as JSON.
    ///
    /// # Errors
    ///
    /// If it is not one JSON document, or the program failed.
    pub fn json(&self) -> Result<serde_json::Value> {
        anyhow::ensure!(
            self.status == 0,
            "exit status {}: {}{}",
            self.status,
            self.out(),
            self.err()
        );
        serde_json::from_slice(&self.stdout).with_context(|| format!("not JSON: {}", self.out()))
    }
}

/// Sends a signal to a program that is to hear it.
///
/// # Errors
///
/// If it cannot be sent. A program that inherited to ignore it, as a shell's background jobs
/// ignore interrupts, is ended, and the test skipped.
pub fn send(child: &mut Child, signal: Signal) -> Result<()> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id()))
        .context("look at the program")?;
    let ignored = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:\t"))
        .and_then(|mask| u64::from_str_radix(mask, 16).ok())
        .context("it does not say what signals it ignores")?;
    if ignored >> (signal as i32 - 1) & 1 == 1 {
        child.kill().context("end the program")?;
        child.wait().context("wait for the program")?;
        return Err(skip(format!("{signal} is ignored by whoever runs this")));
    }
    let pid = Pid::from_raw(i32::try_from(child.id())?);
    kill(pid, signal).with_context(|| format!("send {signal}"))
}

/// Longest a program may take.
const LIMIT: Duration = Duration::from_secs(60);

/// The `rbpftool` that is tested: `$RBPFTOOL`, or the one beside this suite.
///
/// # Errors
///
/// If there is none; says how to build it.
pub fn tool_path() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("RBPFTOOL") {
        return Ok(path.into());
    }
    // A suite is target/PROFILE/deps/SUITE-HASH.
    let me = std::env::current_exe().context("find this executable")?;
    let path = me
        .ancestors()
        .nth(2)
        .context("this executable is in no target directory")?
        .join("rbpftool");
    if !path.is_file() {
        bail!("{} is not built: cargo build -p rbpftool", path.display());
    }
    Ok(path)
}

/// The bpftool that ours is compared with: `$RBPF_ORACLE`, or the one that was built here.
///
/// # Errors
///
/// A [`crate::Skip`] where there is none.
pub fn oracle() -> Result<PathBuf> {
    let path = std::env::var_os("RBPF_ORACLE").map_or_else(
        || crate::root().join("target/oracle/bpftool"),
        PathBuf::from,
    );
    crate::requires!(
        path.is_file(),
        "no reference bpftool has been built (cargo xtask oracle)"
    );
    Ok(path)
}

/// Runs `rbpftool` with `args`, nothing on stdin.
///
/// # Errors
///
/// If it cannot be started or takes too long; its exit status is no error.
pub fn run_tool<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Result<Output> {
    let mut cmd = Command::new(tool_path()?);
    cmd.args(args);
    run(&mut cmd, b"")
}

/// Runs `cmd` with `stdin`, in UTC and the C locale.
///
/// # Errors
///
/// If it cannot be started or takes longer than a minute.
pub fn run(cmd: &mut Command, stdin: &[u8]) -> Result<Output> {
    use std::os::unix::process::ExitStatusExt as _;
    let name = cmd.get_program().to_string_lossy().into_owned();
    let mut child = cmd
        .env("LC_ALL", "C")
        .env("TZ", "UTC")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("start {name}"))?;
    let mut to = child.stdin.take().context("no stdin")?;
    let mut out = child.stdout.take().context("no stdout")?;
    let mut err = child.stderr.take().context("no stderr")?;
    std::thread::scope(|scope| {
        // The child may end without reading it all.
        scope.spawn(move || drop(to.write_all(stdin)));
        let out = scope.spawn(move || {
            let mut buf = Vec::new();
            out.read_to_end(&mut buf).map(|_| buf)
        });
        let err = scope.spawn(move || {
            let mut buf = Vec::new();
            err.read_to_end(&mut buf).map(|_| buf)
        });
        let start = Instant::now();
        let mut nap = Duration::from_micros(200);
        let status = loop {
            if let Some(status) = child.try_wait().context("wait for a child")? {
                break status;
            }
            if start.elapsed() > LIMIT {
                child.kill().context("kill a child")?;
                child.wait().context("wait for a child")?;
                bail!("{name} did not end within {} s", LIMIT.as_secs());
            }
            std::thread::sleep(nap);
            nap = (nap * 2).min(Duration::from_millis(20));
        };
        let gone = |_| anyhow::anyhow!("a reader panicked");
        Ok(Output {
            status: status
                .code()
                .unwrap_or_else(|| 128 + status.signal().unwrap_or(0)),
            stdout: out.join().map_err(gone)?.context("read stdout")?,
            stderr: err.join().map_err(gone)?.context("read stderr")?,
        })
    })
}
