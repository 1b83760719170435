//! The tour of the README, run as it is written.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use rbpftool_tests::{Private, ensure_eq, root, run, tool_path};

use crate::tool::ok;

/// A command of the tour and what it is said to print.
struct Stop {
    command: String,
    output: String,
}

/// Commands are four blanks deep, what they print eight.
fn stops() -> Result<Vec<Stop>> {
    let text = std::fs::read_to_string(root().join("README.md")).context("read the README")?;
    let tour = text
        .split("\n## ")
        .find(|s| s.starts_with("A tour"))
        .context("no tour")?;
    let mut stops: Vec<Stop> = Vec::new();
    for line in tour.lines() {
        if let Some(output) = line.strip_prefix("        ") {
            let stop = stops.last_mut().context("output of nothing")?;
            stop.output.push_str(output);
            stop.output.push('\n');
        } else if let Some(command) = line.strip_prefix("    ")
            && command.starts_with("rbpftool ")
        {
            stops.push(Stop {
                command: command.to_owned(),
                output: String::new(),
            });
        }
    }
    Ok(stops)
}

/// Ids, sizes and counts differ from kernel to kernel.
fn without_numbers(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let mut last_was_digit = false;
        for c in line.trim().chars() {
            if !c.is_ascii_digit() {
                out.push(c);
            } else if !last_was_digit {
                out.push('N');
            }
            last_was_digit = c.is_ascii_digit();
        }
        out.push('\n');
    }
    out
}

/// The first command builds the tool and runs it with words that work.
pub(crate) fn first(_: &Private) -> Result<()> {
    const BUILDS: &str = "cargo run --release -- ";
    let text = std::fs::read_to_string(root().join("README.md")).context("read the README")?;
    let mut commands = text.lines().filter_map(|line| line.strip_prefix("    "));
    let first = commands.next().context("no command")?;
    let words = first.strip_prefix(BUILDS);
    ok(words.with_context(|| format!("{first} does not begin with {BUILDS}"))?).map(drop)
}

pub(crate) fn tour(private: &Private) -> Result<()> {
    let bin = private.dir().join("bin");
    std::fs::create_dir(&bin).context("make a directory")?;
    std::os::unix::fs::symlink(tool_path()?, bin.join("rbpftool")).context("make a symlink")?;
    // Nobody else sees this mount: the namespace is ours.
    mount(
        Some("bpf"),
        "/sys/fs/bpf",
        Some("bpf"),
        MsFlags::empty(),
        None::<&str>,
    )
    .context("mount a bpffs")?;
    let went = walk(&stops()?, &bin);
    umount2("/sys/fs/bpf", MntFlags::MNT_DETACH).context("unmount it")?;
    went
}

fn walk(stops: &[Stop], bin: &std::path::Path) -> Result<()> {
    ensure!(stops.len() > 5, "only {} commands were found", stops.len());
    for stop in stops {
        let script = format!("PATH={}:$PATH; {} 2>&1", bin.display(), stop.command);
        let mut bash = Command::new("bash");
        let out = run(bash.args(["-c", &script]).current_dir(root()), b"")?;
        ensure_eq!(
            without_numbers(&out.out()),
            without_numbers(&stop.output),
            "$ {}\n{}",
            stop.command,
            out.out()
        );
    }
    Ok(())
}
