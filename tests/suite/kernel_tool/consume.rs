//! Events, text of programs and iterators at the shell.

use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use bpfsys::cmd::{MapCreate, MapUpdateElem, ObjPin, ProgTestRun};
use bpfsys::{KernelVersion, MapFd, MapType, ProgFd};
use loader::kernel::{LoadOptions, Loaded};
use loader::maps::Globals;
use nix::sys::signal::Signal;
use rbpftool_tests::{Private, Suite, ensure_eq, fixture, requires, send, tool_path};
use serde_json::Value;

use crate::Place;
use crate::tool::{all_forms, number, ok, refused, string, words};

type Test = fn(&Private) -> Result<()>;

pub(crate) fn add(suite: &mut Suite, place: &Place) {
    let tests: [(&str, Test); 6] = [
        ("event_pipe::perf_events", perf_events),
        ("event_pipe::ring_buffers", ring_buffers),
        ("event_pipe::other_maps_are_refused", other_maps),
        ("tracelog::streams", streams),
        ("tracelog::trace_pipe", trace_pipe),
        ("iter::pinned_and_read", iterators),
    ];
    for (name, test) in tests {
        crate::add(suite, name, place, test);
    }
}

fn load(name: &str) -> Result<Loaded> {
    let object = loader::open(&fixture(&format!("bpf/{name}.bpf.o")))?;
    object
        .load(&LoadOptions::new())
        .map_err(|error| anyhow::anyhow!("{error:#}"))
}

fn map<'l>(loaded: &'l Loaded, name: &str) -> Result<&'l MapFd> {
    loaded
        .map(name)
        .and_then(|map| map.fd())
        .with_context(|| format!("map {name}"))
}

fn prog<'l>(loaded: &'l Loaded, name: &str) -> Result<&'l ProgFd> {
    loaded
        .program(name)
        .and_then(|prog| prog.fd())
        .with_context(|| format!("program {name}"))
}

fn run(loaded: &Loaded, name: &str, times: u32) -> Result<()> {
    let packet = [0; 64];
    let request = ProgTestRun::new(prog(loaded, name)?).data_in(&packet);
    request
        .repeat(times)
        .run()
        .map(drop)
        .context("run a program")
}

/// The tool, running until it is told to stop; its output goes to a file.
struct Streaming {
    child: Child,
    out: PathBuf,
}

impl Streaming {
    fn start(private: &Private, line: &str) -> Result<Self> {
        let out = private.dir().join("streamed");
        let file = std::fs::File::create(&out).context("create a file")?;
        let child = Command::new(tool_path()?)
            .args(words(line))
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .stdout(file)
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .context("start the tool")?;
        Ok(Self { child, out })
    }

    /// Tries something until it has made the tool say more than this.
    fn until(&mut self, words: &str, mut attempt: impl FnMut() -> Result<()>) -> Result<String> {
        let start = Instant::now();
        loop {
            attempt()?;
            let said = std::fs::read_to_string(&self.out).context("read the output")?;
            if said.contains(words) {
                return Ok(said);
            }
            if let Some(status) = self.child.try_wait().context("wait for the tool")? {
                let output = self.child.stderr.take().map(std::io::read_to_string);
                anyhow::bail!("it ended with {status}: {said}{output:?}");
            }
            ensure!(
                start.elapsed() < Duration::from_secs(30),
                "no '{words}' in {said}"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Ends it as a person at a terminal does; what it said.
    fn stop(mut self, signal: Signal) -> Result<(String, String)> {
        send(&mut self.child, signal)?;
        let errors = self.child.stderr.take().context("its errors")?;
        let errors = std::io::read_to_string(errors).context("read its errors")?;
        let status = self.child.wait().context("wait for the tool")?;
        ensure!(status.success(), "{signal}: {status}, {errors}");
        let said = std::fs::read_to_string(&self.out).context("read the output")?;
        Ok((said, errors))
    }
}

fn id(map: &MapFd) -> Result<u32> {
    Ok(map.info()?.id)
}

fn perf_events(private: &Private) -> Result<()> {
    let loaded = load("consume")?;
    let id = id(map(&loaded, "events")?)?;
    let emit = || run(&loaded, "emits", 1);
    let mut text = Streaming::start(private, &format!("map event_pipe id {id}"))?;
    text.until("== @", emit)?;
    let (said, errors) = text.stop(Signal::SIGINT)?;
    ensure_eq!(errors, "Stopping...\n");
    let mut lines = said.lines();
    let first = lines.next().context("no line")?;
    ensure!(
        first.starts_with("== @") && first.ends_with(" =====") && first.contains(" CPU: "),
        "{first}"
    );
    let bytes = lines.next().context("no bytes")?;
    ensure!(bytes.starts_with("00 00 00 00 00 00 00 00  00 "), "{bytes}");

    let mut json = Streaming::start(private, &format!("-j map event_pipe id {id}"))?;
    json.until("\"timestamp\"", emit)?;
    let (said, _errors) = json.stop(Signal::SIGTERM)?;
    let events: Vec<Value> = serde_json::from_str(&said).with_context(|| said.clone())?;
    let event = events.first().context("no event")?;
    ensure_eq!(number(event, "type")?, 9);
    ensure_eq!(number(event, "cpu")?, number(event, "index")?);
    ensure_eq!(
        event.get("data").and_then(Value::as_array).map(Vec::len),
        Some(20)
    );
    // More than fits while nobody reads is lost, and told.
    let mut json = Streaming::start(private, &format!("-p map event_pipe id {id}"))?;
    json.until("\"lost\"", || run(&loaded, "emits", 100_000))?;
    let (said, _errors) = json.stop(Signal::SIGHUP)?;
    let events: Vec<Value> = serde_json::from_str(&said).context("not JSON")?;
    let lost = events.iter().find_map(|event| event.get("lost"));
    ensure!(number(lost.context("none lost")?, "count")? > 0, "{lost:?}");
    // One CPU, through another element.
    let mut one = Streaming::start(private, &format!("-j map event_pipe id {id} cpu 0 index 0"))?;
    one.until("[", || Ok(()))?;
    let (said, _errors) = one.stop(Signal::SIGINT)?;
    serde_json::from_str::<Vec<Value>>(&said).context("not JSON")?;
    Ok(())
}

fn ring_buffers(private: &Private) -> Result<()> {
    let loaded = load("consume")?;
    let id = id(map(&loaded, "small")?)?;
    let mut text = Streaming::start(private, &format!("map event_pipe id {id}"))?;
    run(&loaded, "writes", 2)?;
    text.until("record: 1", || Ok(()))?;
    let (said, _errors) = text.stop(Signal::SIGINT)?;
    ensure_eq!(
        said,
        "== record: 0 size: 16 =====\n\
         00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00\n\
         == record: 1 size: 16 =====\n\
         01 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00\n"
    );
    let mut json = Streaming::start(private, &format!("-j map event_pipe id {id}"))?;
    run(&loaded, "writes", 3)?;
    json.until("\"record\":2", || Ok(()))?;
    let (said, _errors) = json.stop(Signal::SIGTERM)?;
    let records: Vec<Value> = serde_json::from_str(&said).with_context(|| said.clone())?;
    ensure_eq!(records.len(), 3);
    ensure_eq!(number(records.last().context("none")?, "record")?, 2);
    refused(
        &format!("map event_pipe id {id} cpu 0 index 0"),
        "one for all cpus",
    )
}

fn other_maps(_private: &Private) -> Result<()> {
    let map = MapCreate::new(MapType::ARRAY, 4, 4, 1).run()?;
    let id = id(&map)?;
    refused(&format!("map event_pipe id {id}"), "nor a ring buffer")?;
    refused(&format!("map event_pipe id {id} cpu 0"), "together")?;
    refused(&format!("map event_pipe id {id} on"), "what is 'on'?")
}

fn streams(_private: &Private) -> Result<()> {
    requires!(
        KernelVersion::running()? >= KernelVersion::new(6, 17, 0),
        "streams of programs need Linux 6.17"
    );
    let loaded = load("streams")?;
    let both = prog(&loaded, "both")?;
    let id = both.info()?.id;
    ensure_eq!(ok(&format!("prog tracelog stdout id {id}"))?.out(), "");
    let line = ProgTestRun::new(both).run()?.retval;
    let result: i32 = Globals::open(map(&loaded, ".bss")?)?
        .variable("result")?
        .get();
    requires!(
        result != -12,
        "this kernel has no memory for streams (ENOMEM)"
    );
    ensure_eq!((line, result), (0, 0));
    ensure_eq!(
        ok(&format!("prog tracelog stdout id {id}"))?.out(),
        "run 1\n"
    );
    let errors = ok(&format!("prog tracelog stderr id {id}"))?;
    ensure_eq!(
        (errors.out(), errors.err()),
        (String::new(), "oops 1\n".into())
    );
    ProgTestRun::new(both).run()?;
    ensure_eq!(
        ok(&format!("-j prog tracelog stdout id {id}"))?.out(),
        "[\"run 2\\n\"]\n"
    );
    ensure_eq!(
        ok(&format!("-j prog tracelog stderr id {id}"))?.out(),
        "[\"oops 2\\n\"]\n"
    );
    let (text, json) = all_forms(&format!("prog tracelog stdout id {id}"))?;
    ensure_eq!((text, json), (String::new(), Value::Array(Vec::new())));
    Ok(())
}

fn trace_pipe(private: &Private) -> Result<()> {
    // What is written to the trace by anybody comes out of the pipe.
    let marker = private.tracefs().join("trace_marker");
    requires!(marker.exists(), "this kernel has no trace_marker");
    let mut round = 0;
    let mut mark = || {
        round += 1;
        std::fs::write(&marker, format!("rbpftool test {round}\n")).context("write a marker")
    };
    let mut text = Streaming::start(private, "prog tracelog")?;
    text.until("rbpftool test ", &mut mark)?;
    let (said, _errors) = text.stop(Signal::SIGINT)?;
    ensure!(said.ends_with('\n'), "{said}");
    let mut json = Streaming::start(private, "-j prog tracelog")?;
    json.until("rbpftool test ", &mut mark)?;
    let (said, _errors) = json.stop(Signal::SIGTERM)?;
    let lines: Vec<String> = serde_json::from_str(&said).with_context(|| said.clone())?;
    ensure!(
        lines
            .iter()
            .any(|line| line.contains("rbpftool test ") && line.ends_with('\n')),
        "{lines:?}"
    );
    Ok(())
}

fn iterators(private: &Private) -> Result<()> {
    let object = |name: &str| fixture(&format!("bpf/{name}.bpf.o")).display().to_string();
    let (tasks, elements) = (object("iterates"), object("iterates_map"));
    let us = format!("{0} of {0}\n", std::process::id());
    let said = ok(&format!("iter cat {tasks}"))?.out();
    ensure!(said.contains(&us), "no '{us}' in {said}");
    let pin = private.bpffs().join("tasks");
    let pinned = pin.display();
    ok(&format!("iter pin {tasks} {pinned}"))?;
    let said = ok(&format!("iter cat {pinned}"))?.out();
    ensure!(said.contains(&us), "no '{us}' in {said}");
    let (_text, shown) = all_forms(&format!("link show pinned {pinned}"))?;
    ensure_eq!(string(&shown, "target_name")?, "task");
    let lines: Vec<String> = serde_json::from_slice(&ok(&format!("-j iter cat {pinned}"))?.stdout)?;
    ensure!(lines.contains(&us), "{lines:?}");
    refused(&format!("iter pin {tasks} {pinned}"), "already exists")?;
    std::fs::remove_file(&pin).context("unpin")?;

    let map = MapCreate::new(MapType::HASH, 4, 8, 4).run()?;
    for n in [1_u32, 2] {
        let value = u64::from(n * 10).to_ne_bytes();
        MapUpdateElem::new(&map, &n.to_ne_bytes(), &value).run()?;
    }
    let id = id(&map)?;
    let mut lines: Vec<String> = ok(&format!("iter cat {elements} map id {id}"))?
        .out()
        .lines()
        .map(str::to_owned)
        .collect();
    lines.sort();
    ensure_eq!(lines, ["1: 10", "2: 20"]);
    let pin = private.bpffs().join("elements");
    ok(&format!(
        "-j iter pin {elements} {} map id {id}",
        pin.display()
    ))?;
    ensure_eq!(ok(&format!("iter cat {}", pin.display()))?.out().len(), 12);
    std::fs::remove_file(&pin).context("unpin")?;
    refused(&format!("iter cat {elements}"), "attach_iter failed")?;
    let array = private.bpffs().join("array");
    ObjPin::new(&map, &array).run()?;
    refused(&format!("iter cat {}", array.display()), "no link")?;
    std::fs::remove_file(&array).context("unpin")?;
    refused("iter cat no_such_file", "failed to open object")
}
