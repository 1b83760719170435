//! Cookies of every kind that has them: what a program is given is what the link was.

use anyhow::{Context as _, Result, ensure};
use loader::attach::{AttachOptions, AutoOptions};
use rbpftool_tests::{Private, ensure_eq};
use serde_json::json;

use crate::support::{Bench, Fire, counted, guest_only, load, shown, since, since_fprobe};

const COOKIE: u64 = 0x1122_3344_5566_7788;

struct Row {
    program: &'static str,
    since: (u16, u16),
    guest: bool,
    fire: Fire,
    /// The key under which a link says it, where links do.
    key: Option<(&'static str, (u16, u16))>,
}

const fn guest(
    program: &'static str,
    since: (u16, u16),
    fire: Fire,
    key: Option<(&'static str, (u16, u16))>,
) -> Row {
    Row {
        program,
        since,
        guest: true,
        fire,
        key,
    }
}

const fn here(
    program: &'static str,
    since: (u16, u16),
    fire: Fire,
    key: Option<(&'static str, (u16, u16))>,
) -> Row {
    Row {
        guest: false,
        ..guest(program, since, fire, key)
    }
}

const PERF: Option<(&str, (u16, u16))> = Some(("bpf_cookie", (6, 6)));
const OTHER: Option<(&str, (u16, u16))> = Some(("cookie", (6, 18)));

const ROWS: [Row; 11] = [
    guest("kprobe", (5, 15), Fire::Sleep, PERF),
    guest("kretprobe", (5, 15), Fire::Sleep, PERF),
    guest("ksyscall", (5, 15), Fire::Getpgid, PERF),
    guest("kprobe_multi", (5, 18), Fire::Sleep, None),
    guest("kprobe_session", (6, 10), Fire::Sleep, None),
    here("tp", (5, 15), Fire::TestRun, PERF),
    here("raw_tp", (6, 10), Fire::TestRun, OTHER),
    here("tp_btf", (6, 10), Fire::TestRun, OTHER),
    guest("fentry", (5, 19), Fire::Sleep, OTHER),
    guest("fexit", (5, 19), Fire::Sleep, OTHER),
    guest("fentry_multi", (7, 2), Fire::Sleep, None),
];

pub(crate) fn add(bench: &mut Bench) {
    for row in &ROWS {
        let name = format!("cookie::{}", row.program);
        bench.one(name, move |private| one(private, row));
    }
}

fn one(_: &Private, row: &Row) -> Result<()> {
    if row.guest {
        guest_only()?;
    }
    let loaded = match load("attach_cookies", &[row.program]) {
        Ok(loaded) => loaded,
        Err(e) => return Err(since(row.since, e)),
    };
    let mut options = AttachOptions::default();
    let how = AutoOptions {
        cookie: COOKIE,
        target: None,
    };
    options.programs.insert(row.program.to_owned(), how);
    let links = match loaded.attach_with(&options) {
        Ok(links) => links,
        Err(e) => return Err(since_fprobe(row.since, e.into())),
    };
    let link = links.iter().next().context("no link")?;
    row.fire.run(&loaded, link)?;
    ensure!(counted(&loaded, 0)? > 0, "it does not run");
    ensure_eq!(counted(&loaded, 1)?, COOKIE);
    if let Some((key, since)) = row.key
        && !crate::support::older_than(since)?
    {
        let value = shown(link.fd().context("no link")?)?;
        ensure_eq!(value[key], json!(COOKIE));
    }
    links.detach()?;
    Ok(())
}
