//! Commands that go on until they are told to stop, on the same events.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use bpfsys::cmd::ProgTestRun;
use bpfsys::{KernelVersion, ProgFd};
use loader::kernel::{LoadOptions, Loaded};
use loader::maps::Globals;
use loader::streams::ProgStream;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use rbpftool_tests::{Private, Suite, ensure_eq, fixture, oracle, requires, send, tool_path};
use serde_json::Value;

use crate::compare::guest;

pub(crate) const FORMS: [&str; 3] = ["", "-j", "-p"];

pub(crate) fn add(suite: &mut Suite) {
    suite.add("map event_pipe", event_pipe);
    suite.add("prog tracelog", trace);
    suite.add("prog tracelog, streams", streams);
}

/// The command lines that are compared here.
pub(crate) fn lines() -> Vec<String> {
    [
        "map event_pipe id N",
        "map event_pipe id N cpu 0 index 0",
        "prog tracelog",
        "prog tracelog stdout id N",
    ]
    .map(str::to_owned)
    .to_vec()
}

/// What a tool said, and how it ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) out: String,
    pub(crate) err: String,
    pub(crate) status: Option<i32>,
}

pub(crate) fn load(name: &str) -> Result<Loaded> {
    let object = loader::open(&fixture(&format!("bpf/{name}.bpf.o")))?;
    let loaded = object.load(&LoadOptions::new());
    loaded.map_err(|error| anyhow::anyhow!("{error:#}"))
}

pub(crate) fn prog<'l>(loaded: &'l Loaded, name: &str) -> Result<&'l ProgFd> {
    let prog = loaded.program(name).and_then(|prog| prog.fd());
    prog.with_context(|| format!("no program {name}"))
}

fn globals(loaded: &Loaded) -> Result<Globals> {
    let map = loaded.map(".bss").and_then(|map| map.fd());
    Ok(Globals::open(map.context("no variables")?)?)
}

/// A tool at work; its output goes to files.
pub(crate) struct Working {
    child: Child,
    out: PathBuf,
    err: PathBuf,
}

impl Working {
    pub(crate) fn start(dir: &Path, tool: &Path, line: &str) -> Result<Self> {
        let (out, err) = (dir.join("streaming_out"), dir.join("streaming_err"));
        let child = Command::new(tool)
            .args(line.split_whitespace())
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .stdout(File::create(&out).context("create a file")?)
            .stderr(File::create(&err).context("create a file")?)
            .spawn()
            .with_context(|| format!("start {}", tool.display()))?;
        let mut working = Self { child, out, err };
        working.until("it catches no signals", |working| {
            let path = format!("/proc/{}/status", working.child.id());
            let status = std::fs::read_to_string(path).context("read its status")?;
            // By a handler, or by a descriptor.
            Ok(["SigCgt:\t", "SigBlk:\t"].iter().any(|key| {
                let mask = status.lines().find_map(|line| line.strip_prefix(key));
                let mask = mask.and_then(|mask| u64::from_str_radix(mask, 16).ok());
                mask.is_some_and(|mask| mask >> (Signal::SIGINT as i32 - 1) & 1 == 1)
            }))
        })?;
        Ok(working)
    }

    pub(crate) fn until(
        &mut self,
        missed: &str,
        mut done: impl FnMut(&Self) -> Result<bool>,
    ) -> Result<()> {
        let start = Instant::now();
        while !done(self)? {
            if let Some(status) = self.child.try_wait().context("look at it")? {
                bail!("it ended with {status}: {}", self.text()?);
            }
            ensure!(
                start.elapsed() < Duration::from_secs(60),
                "{missed}: {}",
                self.text()?
            );
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    fn text(&self) -> Result<String> {
        let read = |path| std::fs::read_to_string(path).context("read what it said");
        Ok(format!("{}{}", read(&self.out)?, read(&self.err)?))
    }

    /// Lets it read what is there, and ends it.
    pub(crate) fn stop(mut self) -> Result<Said> {
        // The reference writes JSON when its buffer is full or it ends, so nothing tells that it
        // has read.
        std::thread::sleep(Duration::from_millis(if guest() { 1500 } else { 300 }));
        send(&mut self.child, Signal::SIGINT)?;
        let status = self.child.wait().context("wait for it")?;
        Ok(Said {
            out: std::fs::read_to_string(&self.out).context("read its output")?,
            err: std::fs::read_to_string(&self.err).context("read its errors")?,
            status: status.code(),
        })
    }
}

/// Times differ from run to run.
fn without_times(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    let next = |rest: &str| {
        let marks = ["== @", "\"timestamp\":"];
        let ends = marks.iter().filter_map(|m| Some(rest.find(m)? + m.len()));
        ends.min()
    };
    while let Some((before, time)) = next(rest).and_then(|at| rest.split_at_checked(at)) {
        out.push_str(before);
        let time = time.trim_start_matches(' ');
        out.push('T');
        rest = time.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    }
    out.push_str(rest);
    out
}

/// One tool after the other: a slot of the map has room for one event.
fn event_pipe() -> Result<()> {
    let theirs = oracle()?;
    let dir = tempfile::tempdir().context("make a directory")?;
    let this = Pid::from_raw(0);
    let before = sched_getaffinity(this).context("ask for our cpus")?;
    let mut first = CpuSet::new();
    first.set(0).context("choose a cpu")?;
    sched_setaffinity(this, &first).context("go to the first cpu")?;
    let compared = (|| {
        let loaded = load("consume")?;
        let map = loaded.map("events").and_then(|map| map.fd());
        let id = map.context("no map")?.info()?.id;
        for words in ["", " cpu 0 index 0"] {
            for form in FORMS {
                let line = format!("{form} map event_pipe id {id}{words}");
                let said = |tool: &Path| -> Result<Said> {
                    let mut said = events(dir.path(), tool, &line, &loaded)?;
                    said.out = without_times(&said.out);
                    Ok(said)
                };
                let (ours, theirs) = (said(&tool_path()?)?, said(&theirs)?);
                ensure!(ours.out.contains('T'), "nothing was read: {ours:?}");
                ensure_eq!(ours, theirs, "$ {line}");
            }
        }
        Ok(())
    })();
    sched_setaffinity(this, &before).context("go back to our cpus")?;
    compared
}

/// What a tool makes of three events.
fn events(dir: &Path, tool: &Path, line: &str, loaded: &Loaded) -> Result<Said> {
    let globals = globals(loaded)?;
    let written = globals.variable::<u64>("written")?;
    written.set(&0)?;
    let working = Working::start(dir, tool, line)?;
    for n in 1..=3_u64 {
        let packet = [0; 64];
        let request = ProgTestRun::new(prog(loaded, "emits")?).data_in(&packet);
        request.run().context("run a program")?;
        ensure_eq!(written.get(), n, "events that went to a reader");
    }
    working.stop()
}

/// The trace is of the whole machine.
fn trace() -> Result<()> {
    requires!(guest(), "it is the trace of the whole machine: guests only");
    let theirs = oracle()?;
    let private = Private::enter()?;
    let marker = private.tracefs().join("trace_marker");
    requires!(marker.exists(), "this kernel has no trace_marker");
    // what was written before would be read by the first of the two only
    std::fs::write(private.tracefs().join("trace"), "").context("empty the trace")?;
    for form in FORMS {
        let line = format!("{form} prog tracelog");
        let said = |tool: &Path| -> Result<Said> {
            let working = Working::start(private.dir(), tool, &line)?;
            std::fs::write(&marker, "rbpftool \"one\"\n").context("write a marker")?;
            std::fs::write(&marker, "rbpftool two\n").context("write a marker")?;
            let mut said = working.stop()?;
            // What comes before the text says who wrote it and when.
            let mut out = String::new();
            let mut rest = &*said.out;
            while let Some((before, after)) = rest.split_once("tracing_mark_write: ") {
                let quote = before.rfind('"').map_or(0, |at| at + 1);
                let line = before.rfind('\n').map_or(0, |at| at + 1);
                out.push_str(before.get(..quote.max(line)).unwrap_or_default());
                rest = after;
            }
            out.push_str(rest);
            said.out = out;
            Ok(said)
        };
        let (ours, theirs) = (said(&tool_path()?)?, said(&theirs)?);
        ensure!(
            ours.out.contains("rbpftool two"),
            "nothing was read: {ours:?}"
        );
        ensure_eq!(ours, theirs, "$ {line}");
    }
    Ok(())
}

fn streams() -> Result<()> {
    requires!(
        KernelVersion::running()? >= KernelVersion::new(6, 17, 0),
        "streams of programs need Linux 6.17"
    );
    let theirs = oracle()?;
    let loaded = load("streams")?;
    let both = prog(&loaded, "both")?;
    let id = both.info()?.id;
    let result = globals(&loaded)?;
    for stream in ["stdout", "stderr"] {
        for form in FORMS {
            let line = format!("{form} prog tracelog {stream} id {id}");
            let said = |tool: &Path| -> Result<Said> {
                // It writes to both streams, and what nobody has read stays.
                for old in [ProgStream::stdout(both), ProgStream::stderr(both)] {
                    while old.take_text(&mut [0; 4096])? > 0 {}
                }
                ProgTestRun::new(both).run().context("run a program")?;
                let result: i32 = result.variable("result")?.get();
                requires!(
                    result != -12,
                    "this kernel has no memory for streams (ENOMEM)"
                );
                let mut command = Command::new(tool);
                let output = rbpftool_tests::run(command.args(line.split_whitespace()), b"")?;
                // Each run has its number.
                let number = |text: String| text.replace(|c: char| c.is_ascii_digit(), "");
                Ok(Said {
                    out: number(output.out()),
                    err: number(output.err()),
                    status: Some(output.status),
                })
            };
            let (ours, mut theirs) = (said(&tool_path()?)?, said(&theirs)?);
            if !form.is_empty() {
                // The reference writes the text all the same, and ends its document with a line
                // end.
                let text = [
                    theirs.out.trim_end_matches('\n'),
                    theirs.err.trim_end_matches('\n'),
                    "\n",
                ]
                .concat();
                ensure!(
                    serde_json::from_str::<Value>(&theirs.out).is_err(),
                    "{theirs:?}"
                );
                let lines: Vec<String> = serde_json::from_str(&ours.out).context("not JSON")?;
                ensure_eq!(lines.concat(), text, "$ {line}");
                ensure!(ours.err.is_empty(), "{ours:?}");
                theirs.out.clone_from(&ours.out);
                theirs.err.clear();
            }
            ensure_eq!(ours, theirs, "$ {line}");
        }
    }
    Ok(())
}
