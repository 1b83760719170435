//! What people get who look: tables, rounded sizes, lines of JSON, colours and progress on
//! terminals.

use std::fs::File;
use std::io::Read as _;
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bpfsys::cmd::{MapCreate, MapUpdateElem};
use bpfsys::{MapFd, MapType, ProgType};
use nix::pty::openpty;
use rbpftool_tests::state::progs::simple_of;
use rbpftool_tests::{Private, Suite, ensure_eq, tool_path};
use serde_json::Value;

use crate::Place;
use crate::tool::{ok, words};

type Test = fn(&Private) -> Result<()>;

pub(crate) fn add(suite: &mut Suite, place: &Place) {
    let tests: [(&str, Test); 5] = [
        ("people::lists_are_tables", tables),
        ("people::sizes_are_rounded", sizes),
        ("people::elements_are_lines_of_json", lines),
        ("people::terminals_are_coloured", colours),
        ("people::what_takes_long_is_told", progress),
    ];
    for (name, test) in tests {
        crate::add(suite, name, place, test);
    }
}

const NAME: &str = "people_map";

fn map(elements: u32) -> Result<MapFd> {
    let map = MapCreate::new(MapType::HASH, 4, 8, elements.max(1))
        .name(NAME)
        .run()?;
    for n in 0..elements {
        MapUpdateElem::new(&map, &n.to_ne_bytes(), &u64::from(n).to_ne_bytes()).run()?;
    }
    Ok(map)
}

fn id(map: &MapFd) -> Result<u32> {
    Ok(map.info()?.id().context("no id")?.get())
}

fn tables(_: &Private) -> Result<()> {
    let map = map(3)?;
    let map_id = id(&map)?;
    let prog = simple_of(ProgType::SOCKET_FILTER)?;
    let prog_id = prog.info()?.id().context("no id")?.get();
    for (noun, id, name) in [("map", map_id, NAME), ("prog", prog_id, "socket_filter")] {
        let one = ok(&format!("--format table {noun} show id {id}"))?.out();
        let all = ok(&format!("--format table {noun} show"))?.out();
        for table in [&one, &all] {
            let (head, rows) = table.split_once('\n').context("no head")?;
            ensure!(head.trim_start().starts_with("ID  TYPE"), "{table}");
            let row = rows
                .lines()
                .find(|row| row.split_whitespace().next() == Some(&id.to_string()));
            ensure!(row.is_some_and(|row| row.contains(name)), "{table}");
            // a column begins where its head does, or ends there
            let at = head.find("TYPE").context("no type")?;
            let row = row.context("no row")?;
            ensure!(row.get(at - 1..at) == Some(" "), "{table}");
        }
        ensure_eq!(one.lines().count(), 2, "{one}");
    }
    // what is no list is text
    let dump = format!("map dump id {map_id}");
    ensure_eq!(
        ok(&format!("--format table {dump}"))?.out(),
        ok(&dump)?.out()
    );
    ok("--format table link show")?;
    ok("--format table btf show")?;
    ok("--format table net show")?;
    ok("--format table perf show")?;
    ok("--format table token show")?;
    ok("--format table struct_ops show")?;
    Ok(())
}

fn sizes(_: &Private) -> Result<()> {
    let map = map(0)?;
    let wide = MapCreate::new(MapType::ARRAY, 4, 4096, 64)
        .name(NAME)
        .run()?;
    let show = format!("map show id {}", id(&wide)?);
    let exact = ok(&show)?.out();
    let rounded = ok(&format!("--human {show}"))?.out();
    ensure!(
        exact.contains("memlock 26") && !exact.contains("KiB"),
        "{exact}"
    );
    ensure!(
        rounded.contains("memlock 2") && rounded.contains("KiB"),
        "{rounded}"
    );
    // JSON is for machines
    let json = ok(&format!("-j {show}"))?.out();
    ensure_eq!(ok(&format!("-j --human {show}"))?.out(), json);
    drop(map);
    Ok(())
}

fn lines(_: &Private) -> Result<()> {
    let map = map(3)?;
    let id = id(&map)?;
    let parse = |text: &str| -> Result<Vec<Value>> {
        let lines = text.lines().map(serde_json::from_str);
        Ok(lines.collect::<serde_json::Result<_>>()?)
    };
    for line in [format!("map dump id {id}"), "map show".to_owned()] {
        let whole: Value = serde_json::from_str(&ok(&format!("-j {line}"))?.out())?;
        let whole = whole.as_array().context("no list")?;
        let lines = parse(&ok(&format!("--format jsonl {line}"))?.out())?;
        if line.starts_with("map dump") {
            ensure_eq!(&lines, whole, "{line}");
        }
        ensure!(lines.len() >= whole.len().min(3), "{line}");
    }
    let one = ok(&format!("--format jsonl map show id {id}"))?.out();
    ensure_eq!(parse(&one)?.len(), 1, "{one}");
    Ok(())
}

/// Runs the tool with its standard output on a terminal; what that gets.
fn on_terminal(line: &str, env: &[(&str, &str)]) -> Result<String> {
    let pty = openpty(None, None).context("open a terminal")?;
    let mut cmd = Command::new(tool_path()?);
    cmd.args(words(line))
        .env("TERM", "xterm")
        .env_remove("NO_COLOR")
        .envs(env.iter().copied())
        .stdout(pty.slave)
        .stderr(Stdio::null());
    let mut child = cmd.spawn().context("start the tool")?;
    // it holds the other end
    drop(cmd);
    let mut said = Vec::new();
    // a terminal nobody writes to any more ends with an error
    let _ended = File::from(pty.master).read_to_end(&mut said);
    ensure!(child.wait()?.success());
    Ok(String::from_utf8_lossy(&said).replace("\r\n", "\n"))
}

fn colours(_: &Private) -> Result<()> {
    let map = map(1)?;
    let show = format!("map show id {}", id(&map)?);
    let plain = ok(&show)?.out();
    ensure!(!plain.contains('\u{1b}'), "{plain}");
    let painted = on_terminal(&show, &[])?;
    ensure!(
        painted.contains(&format!("\u{1b}[32m{NAME}\u{1b}[0m")),
        "{painted:?}"
    );
    let json = on_terminal(&format!("-p {show}"), &[])?;
    ensure!(json.contains("\u{1b}[32m\"name\"\u{1b}[0m: \""), "{json:?}");
    let tale = on_terminal(&format!("--format table {show}"), &[])?;
    ensure!(tale.contains("\u{1b}[1m"), "{tale:?}");
    ensure_eq!(on_terminal(&show, &[("NO_COLOR", "1")])?, plain);
    ensure_eq!(on_terminal(&show, &[("TERM", "dumb")])?, plain);
    ensure_eq!(on_terminal(&format!("--color never {show}"), &[])?, plain);
    ensure_eq!(ok(&format!("--color always {show}"))?.out(), painted);
    Ok(())
}

fn progress(_: &Private) -> Result<()> {
    // more than a pipe takes, so that the tool waits for its reader
    let map = map(5000)?;
    let pty = openpty(None, None).context("open a terminal")?;
    let mut cmd = Command::new(tool_path()?);
    cmd.args(words(&format!("-j map dump id {}", id(&map)?)))
        .stdout(Stdio::piped())
        .stderr(pty.slave);
    let mut child = cmd.spawn().context("start the tool")?;
    drop(cmd);
    let (tell, told) = channel();
    let mut terminal = File::from(pty.master);
    // ends with an error when nobody writes to it any more
    let reader = std::thread::spawn(move || {
        let mut piece = [0; 256];
        while let Ok(count @ 1..) = terminal.read(&mut piece) {
            let _sent = tell.send(piece.get(..count).unwrap_or_default().to_vec());
        }
    });
    let mut said = String::new();
    while !said.contains(" elements, 1 s") {
        let more = told.recv_timeout(Duration::from_secs(60));
        let more = more.with_context(|| format!("nothing more is told: {said:?}"))?;
        said.push_str(&String::from_utf8_lossy(&more));
    }
    let mut answer = Vec::new();
    let mut out = child.stdout.take().context("no answer")?;
    out.read_to_end(&mut answer)?;
    ensure!(child.wait()?.success());
    ensure!(reader.join().is_ok());
    for more in told.try_iter() {
        said.push_str(&String::from_utf8_lossy(&more));
    }
    let elements: Value = serde_json::from_slice(&answer)?;
    ensure_eq!(elements.as_array().map(Vec::len), Some(5000));
    ensure!(said.contains("reading the map: "), "{said:?}");
    // the line is gone in the end
    ensure!(said.ends_with("\r\u{1b}[K"), "{said:?}");
    Ok(())
}
