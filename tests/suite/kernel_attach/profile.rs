//! `prog profile`: what it counts, and that nothing of it stays.

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use bpfsys::cmd::ProgTestRun;
use bpfsys::{LinkFd, LinkId, MapId, ProgId};
use nix::sys::signal::Signal;
use rbpftool_tests::{Private, ensure_eq, run_tool, send, tool_path};
use serde_json::{Value, json};

use crate::support::{Bench, load, program};

pub(crate) fn add(bench: &mut Bench) {
    bench.guest("profile::counts", counts);
    bench.guest("profile::ends_when_it_is_told_to", told);
    bench.guest("profile::no_moment_leaves_anything", moments);
}

/// Programs, links and maps that are there.
#[derive(Debug, Clone, PartialEq, Eq)]
struct There {
    progs: BTreeSet<u32>,
    links: BTreeSet<u32>,
    maps: BTreeSet<u32>,
}

impl There {
    fn look() -> Result<Self> {
        let progs: Result<_, _> = bpfsys::prog_ids().map(|id| id.map(ProgId::get)).collect();
        let links: Result<_, _> = bpfsys::link_ids().map(|id| id.map(LinkId::get)).collect();
        let maps: Result<_, _> = bpfsys::map_ids().map(|id| id.map(MapId::get)).collect();
        Ok(Self {
            progs: progs?,
            links: links?,
            maps: maps?,
        })
    }

    /// The kernel removes what nobody refers to after a while.
    fn again(&self) -> Result<()> {
        let start = Instant::now();
        loop {
            let now = Self::look()?;
            // what was there may be on its way out, left by a test before
            let none_more = now.progs.is_subset(&self.progs)
                && now.links.is_subset(&self.links)
                && now.maps.is_subset(&self.maps);
            if none_more {
                return Ok(());
            }
            ensure!(
                start.elapsed() < Duration::from_secs(20),
                "there was {self:?}, there is {now:?}"
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// What is counted around a program while it runs, and that nothing of it stays.
fn counts(_: &Private) -> Result<()> {
    let loaded = load("attach", &[])?;
    let runs = program(&loaded, "runs")?.fd().context("fd")?;
    let id = runs.info()?.id.to_string();
    let before = There::look()?;
    let metrics = ["duration", "2", "cpu_clock", "task_clock", "page_faults"];
    let out = std::thread::scope(|scope| {
        let tool = scope.spawn(|| {
            let words = ["-j", "prog", "profile", "id", &id];
            run_tool(words.iter().chain(&metrics))
        });
        while !tool.is_finished() {
            ProgTestRun::new(runs).data_in(&[0; 64]).run()?;
        }
        tool.join()
            .map_err(|_panic| anyhow::anyhow!("it panicked"))?
    })?;
    let value = out.json()?;
    let names = ["cpu_clock", "task_clock", "page_faults"];
    for (at, name) in names.iter().enumerate() {
        ensure_eq!(value[at]["metric"], json!(name));
        ensure!(value[at]["run_cnt"].as_u64() > Some(0), "{value}");
        ensure_eq!(value[at]["enabled"], value[at]["running"]);
    }
    ensure!(value[0]["value"].as_u64() > Some(0), "{value}");
    before.again()?;
    // where the machine has such a counter it is read, where not it is named
    let out = run_tool(["prog", "profile", "id", &id, "duration", "1", "cycles"])?;
    if out.status != 0 {
        let said = out.err();
        ensure!(
            said.contains("failed to create event cycles on cpu 0"),
            "{said}"
        );
    }
    before.again()
}

/// The tool at work.
fn start(words: &str) -> Result<Child> {
    Command::new(tool_path()?)
        .args(words.split_whitespace())
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("start the tool")
}

/// How many runs a program has between its beginning and its end, in which a signal says what
/// was counted; what cannot be waited for leaves nothing either.
fn told(_: &Private) -> Result<()> {
    let loaded = load("attach", &[])?;
    let runs = program(&loaded, "runs")?.fd().context("fd")?;
    let id = runs.info()?.id;
    let before = There::look()?;
    for (signal, form, wanted) in [
        (Signal::SIGINT, "", Some(7)),
        (Signal::SIGTERM, "-j", Some(3)),
        (Signal::SIGHUP, "-p", Some(0)),
        (Signal::SIGKILL, "-j", None),
    ] {
        let words = format!("{form} prog profile id {id} page_faults cpu_clock");
        let mut child = start(&words)?;
        let since = Instant::now();
        // A link has its number before it is attached, and can be opened after.
        let attached = |id: &&u32| LinkId::new(**id).is_some_and(|id| LinkFd::by_id(id).is_ok());
        while There::look()?
            .links
            .difference(&before.links)
            .filter(attached)
            .count()
            < 2
        {
            let ended = child.try_wait().context("look at the tool")?;
            ensure!(ended.is_none(), "it did not wait: {ended:?}");
            ensure!(
                since.elapsed() < Duration::from_secs(60),
                "it attaches nothing"
            );
            std::thread::sleep(Duration::from_millis(2));
        }
        for _ in 0..wanted.unwrap_or(1) {
            ProgTestRun::new(runs).data_in(&[0; 64]).run()?;
        }
        send(&mut child, signal)?;
        let output = child.wait_with_output().context("wait for the tool")?;
        let said = String::from_utf8(output.stdout).context("no text")?;
        let Some(wanted) = wanted else {
            ensure_eq!(output.status.signal(), Some(signal as i32), "{said}");
            ensure_eq!(said, "");
            before.again()?;
            continue;
        };
        ensure_eq!(output.status.code(), Some(0), "{said}");
        ensure_eq!(String::from_utf8_lossy(&output.stderr), "");
        if form.is_empty() {
            let names: Vec<Option<&str>> = said
                .lines()
                .map(|line| line.split_whitespace().nth(1))
                .collect();
            let wanted_names = [
                None,
                Some("run_cnt"),
                Some("cpu_clock"),
                Some("page_faults"),
            ];
            ensure_eq!(names, wanted_names, "{said}");
            ensure!(said.contains(&format!("\n{wanted:>18} run_cnt")), "{said}");
        } else {
            let all: Vec<Value> = serde_json::from_str(&said).with_context(|| said.clone())?;
            for (metric, name) in all.iter().zip(["cpu_clock", "page_faults"]) {
                ensure_eq!(metric["metric"], json!(name));
                ensure_eq!(metric["run_cnt"], json!(wanted));
            }
            ensure_eq!(all.len(), 2, "{said}");
        }
        before.again()?;
    }
    Ok(())
}

/// Signals at any moment of its life.
fn moments(_: &Private) -> Result<()> {
    let loaded = load("attach", &[])?;
    let id = program(&loaded, "runs")?.fd().context("fd")?.info()?.id;
    let before = There::look()?;
    let words = format!("prog profile id {id} duration 0 cpu_clock");
    let begun = Instant::now();
    let whole = start(&words)?.wait_with_output().context("wait")?;
    ensure!(whole.status.success(), "{whole:?}");
    let whole = begun.elapsed();
    let (mut early, mut late) = (0, 0);
    for part in 0..8_u32 {
        // it would go on for ever
        let mut child = start(&words.replace("duration 0 ", ""))?;
        std::thread::sleep(whole * part / 6);
        send(&mut child, Signal::SIGINT)?;
        let output = child.wait_with_output().context("wait for the tool")?;
        match output.status.signal() {
            Some(signal) => {
                ensure_eq!(signal, Signal::SIGINT as i32);
                ensure!(output.stdout.is_empty(), "{output:?}");
                early += 1;
            }
            None => {
                ensure!(output.status.success(), "{output:?}");
                late += 1;
            }
        }
        before.again()?;
    }
    ensure!(
        early > 0 && late > 0,
        "{early} before it began, {late} after"
    );
    Ok(())
}
