//! `demo`: what it shows, and that nothing is left of it however it ends.

use std::io::{PipeReader, PipeWriter, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use bpfsys::uapi::flags::MapFlags;
use bpfsys::{LinkFd, MapFd, MapId, ProgFd, ProgId};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::Signal;
use rbpftool_tests::{Private, Suite, ensure_eq, send, tool_path};
use serde_json::Value;

use crate::Place;
use crate::tool::{list, number, ok, string};

type Test = fn(&Private) -> Result<()>;

pub(crate) fn add(suite: &mut Suite, place: &Place) {
    let tests: [(&str, Test); 5] = [
        ("demo::shows_what_it_made", shows),
        ("demo::is_one_document", documents),
        ("demo::signals_leave_nothing", signals),
        ("demo::a_reader_that_leaves_leaves_nothing", reader_leaves),
        ("demo::no_moment_leaves_anything", moments),
    ];
    for (name, test) in tests {
        crate::add(suite, name, place, test);
    }
}

/// The objects of demos that are there: programs, maps, links.
fn there() -> Result<(usize, usize, usize)> {
    let mut progs = Vec::new();
    for prog in bpfsys::progs() {
        // One that went away meanwhile.
        let Ok(info) = prog?.info() else { continue };
        if info.name() == b"add_up_tasks" {
            progs.push(info.id);
        }
    }
    let mut maps = 0;
    for map in bpfsys::maps(MapFlags::RDONLY) {
        maps += usize::from(map?.info()?.name() == b"tasks_by_policy");
    }
    let mut links = 0;
    for link in bpfsys::links() {
        let prog = link?.info()?.prog_id;
        links += usize::from(prog.is_some_and(|id| progs.contains(&id.get())));
    }
    Ok((progs.len(), maps, links))
}

/// The kernel removes what nobody refers to after a while.
fn nothing_remains() -> Result<()> {
    let start = Instant::now();
    loop {
        let found = there()?;
        if found == (0, 0, 0) {
            return Ok(());
        }
        ensure!(
            start.elapsed() < Duration::from_secs(20),
            "(programs, maps, links) that are left: {found:?}"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Runs a test and sees that mounts and pins are as before, and that no object is left.
fn without_trace(private: &Private, test: impl FnOnce() -> Result<()>) -> Result<()> {
    let around = || -> Result<(String, usize)> {
        let mounts = std::fs::read_to_string("/proc/self/mounts").context("read the mounts")?;
        let pins = std::fs::read_dir(private.bpffs()).context("read the bpffs")?;
        Ok((mounts, pins.count()))
    };
    let before = around()?;
    ensure_eq!(there()?, (0, 0, 0), "before it");
    test()?;
    nothing_remains()?;
    ensure_eq!(around()?, before);
    Ok(())
}

fn shows(private: &Private) -> Result<()> {
    without_trace(private, || {
        let text = ok("demo")?.out();
        let commands: Vec<&str> = text
            .lines()
            .filter_map(|line| line.strip_prefix("$ rbpftool "))
            .collect();
        let kinds: Vec<String> = commands
            .iter()
            .map(|line| {
                line.trim_end_matches(|c: char| c.is_ascii_digit())
                    .to_owned()
            })
            .collect();
        ensure_eq!(
            kinds,
            [
                "prog show id ",
                "link show id ",
                "map show id ",
                "map dump id "
            ]
        );
        for part in [
            ": tracing  name add_up_tasks  tag ",
            ": iter  prog ",
            ": hash  name tasks_by_policy  ",
            "\"policy\": \"NORMAL\"",
            "\"side\": \"USER\"",
            "\nDetached and unloaded: ",
        ] {
            ensure!(text.contains(part), "no '{part}' in\n{text}");
        }
        // It was gone when it said so.
        let id = |line: Option<&&str>| -> Result<u32> {
            let id = line.and_then(|line| line.rsplit(' ').next());
            Ok(id.context("no id")?.parse()?)
        };
        let prog = ProgId::new(id(commands.first())?).context("no program")?;
        ensure!(ProgFd::by_id(prog).is_err(), "program {prog} is there");
        let map = MapId::new(id(commands.last())?).context("no map")?;
        let map_is_there = MapFd::by_id(map, MapFlags::RDONLY).is_ok();
        ensure!(!map_is_there, "map {map} is there");
        let link = bpfsys::LinkId::new(id(commands.get(1))?).context("no link")?;
        ensure!(LinkFd::by_id(link).is_err(), "link {link} is there");
        Ok(())
    })
}

fn documents(private: &Private) -> Result<()> {
    without_trace(private, || {
        for line in ["-j demo", "-p demo"] {
            let said = ok(line)?;
            ensure!(said.err().is_empty(), "{}", said.err());
            let all: Value = serde_json::from_slice(&said.stdout).with_context(|| said.out())?;
            let part = |key: &str| all.get(key).with_context(|| format!("no {key} in {all}"));
            let (prog, map, link) = (part("prog")?, part("map")?, part("link")?);
            ensure_eq!(string(prog, "name")?, "add_up_tasks");
            ensure_eq!(string(link, "type")?, "iter");
            ensure_eq!(number(link, "prog_id")?, number(prog, "id")?);
            let id = Value::from(number(map, "id")?);
            ensure_eq!(list(prog, "map_ids")?, [id]);
            let mut tasks = 0;
            for element in list(&all, "elements")? {
                let formatted = element.get("formatted").context("it has no types")?;
                let (key, value) = (formatted.get("key"), formatted.get("value"));
                let key = key.context("no key")?;
                ensure!(["USER", "KERNEL"].contains(&string(key, "side")?), "{key}");
                string(key, "policy")?;
                let value = value.context("no value")?;
                ensure!(!string(value, "busiest")?.is_empty(), "{value}");
                ensure!(
                    number(value, "cpu_ms")? >= number(value, "busiest_ms")?,
                    "{value}"
                );
                tasks += number(value, "tasks")?;
            }
            // This test, the tool, and threads of the kernel.
            ensure!(tasks > 2, "{tasks} tasks");
        }
        Ok(())
    })
}

/// A demo that waits for somebody to read its first answer, and the end to read from.
fn stuck(flag: &str) -> Result<(Child, PipeReader)> {
    let (reader, mut writer) = std::io::pipe().context("make a pipe")?;
    let set = |writer: &PipeWriter, flags| {
        let set = fcntl(writer.as_fd(), FcntlArg::F_SETFL(flags));
        set.map(drop).context("change how the pipe is written to")
    };
    set(&writer, OFlag::O_NONBLOCK)?;
    while writer.write(&[b'x'; 4096]).is_ok() {}
    set(&writer, OFlag::empty())?;
    let mut command = Command::new(tool_path()?);
    command.args(flag.split_whitespace()).arg("demo");
    let mut child = command
        .stdout(writer)
        .stderr(Stdio::null())
        .spawn()
        .context("start the demo")?;
    let start = Instant::now();
    while there()? != (1, 1, 1) {
        let ended = child.try_wait().context("look at the demo")?;
        ensure!(ended.is_none(), "it did not wait: {ended:?}");
        ensure!(start.elapsed() < Duration::from_secs(60), "it made nothing");
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok((child, reader))
}

fn signals(private: &Private) -> Result<()> {
    for signal in [
        Signal::SIGINT,
        Signal::SIGTERM,
        Signal::SIGHUP,
        Signal::SIGQUIT,
        Signal::SIGKILL,
    ] {
        for flag in ["", "-j"] {
            without_trace(private, || {
                let (mut child, reader) = stuck(flag)?;
                send(&mut child, signal)?;
                let status = child.wait().context("wait for the demo")?;
                ensure_eq!(status.signal(), Some(signal as i32), "{status}");
                drop(reader);
                Ok(())
            })?;
        }
    }
    Ok(())
}

fn reader_leaves(private: &Private) -> Result<()> {
    for flag in ["", "-j", "-p"] {
        without_trace(private, || {
            let (mut child, reader) = stuck(flag)?;
            drop(reader);
            let status = child.wait().context("wait for the demo")?;
            ensure_eq!(status.code(), Some(0), "{status}");
            Ok(())
        })?;
        // One that reads on gets all of it.
        without_trace(private, || {
            let (mut child, mut reader) = stuck(flag)?;
            let mut all = Vec::new();
            reader.read_to_end(&mut all).context("read the demo")?;
            let status = child.wait().context("wait for the demo")?;
            ensure!(status.success() && all.ends_with(b"\n"), "{status}");
            Ok(())
        })?;
    }
    Ok(())
}

/// Signals at any moment of its life.
fn moments(private: &Private) -> Result<()> {
    let start = Instant::now();
    ok("demo")?;
    let whole = start.elapsed();
    let mut ended = 0;
    for part in 0..16_u32 {
        without_trace(private, || {
            let mut child = Command::new(tool_path()?)
                .arg("demo")
                .stdout(Stdio::null())
                .spawn()
                .context("start the demo")?;
            std::thread::sleep(whole * part / 16);
            send(&mut child, Signal::SIGINT)?;
            let status = child.wait().context("wait for the demo")?;
            ensure!(status.success() || status.signal().is_some(), "{status}");
            ended += u32::from(status.signal().is_some());
            Ok(())
        })?;
    }
    ensure!(ended > 0, "none was in time");
    Ok(())
}
