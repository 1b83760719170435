//! `doctor`: what it says works does, and what it says does not has a reason.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use bpfsys::cmd::{MapCreate, ObjPin};
use bpfsys::{MapType, ProgType};
use rbpftool_tests::state::progs::simple_of;
use rbpftool_tests::{Private, Suite, ensure_eq, requires, run, tool_path};
use serde_json::Value;

use crate::Place;
use crate::tool::{all_forms, list, ok, string};

pub(crate) fn add(suite: &mut Suite, place: &Place) {
    crate::add(suite, "doctor::what_works_works", place, works);
    crate::add(suite, "doctor::what_does_not_has_a_reason", place, reasons);
    crate::add(
        suite,
        "doctor::capabilities_are_missed",
        place,
        capabilities,
    );
}

fn check<'a>(report: &'a Value, name: &str) -> Result<&'a Value> {
    list(report, "checks")?
        .iter()
        .find(|check| check.get("name").is_some_and(|n| n == name))
        .with_context(|| format!("no check '{name}'"))
}

/// What is said to work is tried, as far as a test may.
fn works(private: &Private) -> Result<()> {
    let (text, report) = all_forms("doctor")?;
    let state = |name: &str| string(check(&report, name)?, "state");
    for name in ["bpf()", "loading", "objects by id", "bpf"] {
        ensure_eq!(state(name)?, "works", "{name} in\n{text}");
    }
    let map = MapCreate::new(MapType::ARRAY, 4, 4, 1).run()?;
    ObjPin::new(&map, &private.bpffs().join("doctor")).run()?;
    std::fs::remove_file(private.bpffs().join("doctor"))?;
    for (name, prog_type) in [
        ("socket filter", ProgType::SOCKET_FILTER),
        ("xdp", ProgType::XDP),
        ("clsact", ProgType::SCHED_CLS),
        ("cgroup skb", ProgType::CGROUP_SKB),
        ("raw_tracepoint", ProgType::RAW_TRACEPOINT),
        ("perf_event", ProgType::PERF_EVENT),
    ] {
        let loads = simple_of(prog_type).is_ok();
        ensure_eq!(state(name)? == "works", loads, "{name} in\n{text}");
    }
    let places = string(check(&report, "bpf")?, "detail")?;
    let ours = private.bpffs().display().to_string();
    ensure!(places.contains(&ours), "{ours} is not in {places}");
    Ok(())
}

fn reasons(_private: &Private) -> Result<()> {
    let text = ok("-j doctor")?;
    let report: Value = serde_json::from_slice(&text.stdout)?;
    let checks = list(&report, "checks")?;
    ensure!(checks.len() > 40, "{report}");
    for check in checks {
        let why = check.get("why").is_some();
        ensure_eq!(string(check, "state")? != "works", why, "{check}");
    }
    Ok(())
}

fn capabilities(private: &Private) -> Result<()> {
    let setpriv = "setpriv --bounding-set -sys_admin,-bpf,-perfmon,-net_admin --inh-caps \
                   -sys_admin,-bpf,-perfmon,-net_admin";
    let bash = |script: String| run(Command::new("bash").args(["-c", &script]), b"");
    let able = bash(format!("{setpriv} true"));
    requires!(
        able.is_ok_and(|out| out.status == 0),
        "setpriv cannot drop capabilities"
    );
    let copy = private.dir().join("rbpftool-doctor");
    std::fs::copy(tool_path()?, &copy).context("copy the tool")?;
    let out = bash(format!("{setpriv} {} -j doctor", copy.display()))?;
    ensure_eq!(out.status, 0, "{}", out.err());
    let report: Value = serde_json::from_slice(&out.stdout).with_context(|| out.out())?;
    for (name, missing) in [
        ("objects by id", "CAP_SYS_ADMIN"),
        ("tracing", "CAP_PERFMON"),
        ("networking", "CAP_NET_ADMIN"),
    ] {
        let found = check(&report, name)?;
        ensure_eq!(string(found, "state")?, "no", "{found}");
        ensure!(string(found, "why")?.contains(missing), "{found}");
        ensure!(string(found, "remedy")?.contains("setcap"), "{found}");
    }
    Ok(())
}
