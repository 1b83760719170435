//! Running other programs: never with our stdin, always with a log.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context as _, Result, bail};

/// Runs `cmd` to its end; every line of its stdout and stderr goes to the file
/// `log` and to `each`.
pub(crate) fn logged(
    cmd: &mut Command,
    log: &Path,
    mut each: impl FnMut(&str),
) -> Result<ExitStatus> {
    if let Some(dir) = log.parent() {
        std::fs::create_dir_all(dir).with_context(|| format!("create {}", dir.display()))?;
    }
    let mut file = File::create(log).with_context(|| format!("create {}", log.display()))?;
    let (reader, writer) = std::io::pipe().context("make a pipe")?;
    cmd.stdin(Stdio::null())
        .stdout(writer.try_clone().context("duplicate a pipe")?)
        .stderr(writer);
    let mut child = cmd
        .spawn()
        .with_context(|| format!("start {}", name(cmd)))?;
    // The command keeps both write ends until it is given others; with them
    // open here the read below would never end.
    cmd.stdout(Stdio::null()).stderr(Stdio::null());
    let mut reader = BufReader::new(reader);
    let mut line = Vec::new();
    while reader
        .read_until(b'\n', &mut line)
        .context("read a child's output")?
        > 0
    {
        file.write_all(&line).context("write a log")?;
        each(String::from_utf8_lossy(&line).trim_end());
        line.clear();
    }
    child
        .wait()
        .with_context(|| format!("wait for {}", name(cmd)))
}

/// Runs `cmd`; on failure the error holds the end of its output.
pub(crate) fn must(cmd: &mut Command, log: &Path) -> Result<()> {
    let mut tail: Vec<String> = Vec::new();
    let status = logged(cmd, log, |line| {
        if tail.len() == 25 {
            tail.remove(0);
        }
        tail.push(line.to_owned());
    })?;
    if !status.success() {
        bail!(
            "{} failed ({status}); the end of {}:\n{}",
            name(cmd),
            log.display(),
            tail.join("\n")
        );
    }
    Ok(())
}

/// The stdout of `cmd`, which must succeed.
pub(crate) fn stdout_of(cmd: &mut Command) -> Result<String> {
    let out = cmd
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("start {}", name(cmd)))?;
    if !out.status.success() {
        bail!(
            "{} failed ({}): {}",
            name(cmd),
            out.status,
            String::from_utf8_lossy(&out.stderr).trim_end()
        );
    }
    Ok(String::from_utf8_lossy(&out.stdout).into_owned())
}

/// Is there such a program on the PATH?
pub(crate) fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // As a user, PATH often lacks the system directories where `ip` lives.
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .any(|dir| dir.join(program).is_file())
}

fn name(cmd: &Command) -> String {
    let mut text = cmd.get_program().to_string_lossy().into_owned();
    for arg in cmd.get_args().take(6) {
        text.push(' ');
        text.push_str(&arg.to_string_lossy());
    }
    text
}
