//! Many functions in one link.

use anyhow::{Context as _, Result, ensure};
use bpfsys::{AttachType, ProgFd};
use loader::attach::{KprobeMulti, Link, TracingMulti};
use loader::kernel::Loaded;
use loader::target::Running;
use rbpftool_tests::{Private, ensure_eq};
use serde_json::{Value, json};

use crate::support::{
    Bench, Fire, counted, gone, load, older_than, program, shown, since, since_fprobe,
};

/// Attributes of devices: more than a thousand functions that hardly ever run.
const THOUSAND: &str = "*_show";

pub(crate) fn add(bench: &mut Bench) {
    bench.guest("kprobe_multi::by_name_and_address", by_name_and_address);
    bench.guest("kprobe_multi::only_one", only_one);
    bench.guest("kprobe_multi::what_is_not_there", missing);
    bench.guest("kprobe_multi::a_thousand", kprobes);
    bench.guest("tracing_multi::a_thousand", trampolines);
    bench.guest("tracing_multi::by_id", by_id);
}

fn loaded(object: &str, name: &str, version: (u16, u16)) -> Result<Loaded> {
    load(object, &[name]).map_err(|e| since(version, e))
}

fn fd<'l>(loaded: &'l Loaded, name: &str) -> Result<&'l ProgFd> {
    program(loaded, name)?.fd().context("a descriptor")
}

fn attached(many: &KprobeMulti<'_>, prog: &ProgFd) -> Result<Link> {
    many.attach(prog)
        .map_err(|e| since_fprobe((5, 18), e.into()))
}

fn by_name_and_address(_: &Private) -> Result<()> {
    let loaded = loaded("attach_cookies", "kprobe_multi", (5, 18))?;
    let prog = fd(&loaded, "kprobe_multi")?;
    let names = ["do_nanosleep", "bpf_fentry_test1"];
    let link = attached(&KprobeMulti::named(&names).cookies(&[3, 4]), prog)?;
    Fire::Sleep.run(&loaded, &link)?;
    ensure_eq!(counted(&loaded, 1)?, 3);
    let value = shown(link.fd().context("no link")?)?;
    ensure_eq!(value["type"], json!("kprobe_multi"));
    if !older_than((6, 6))? {
        ensure_eq!(value["func_cnt"], json!(2));
        let funcs = value["funcs"].as_array().context("funcs")?;
        let addresses: Vec<u64> = funcs.iter().filter_map(|f| f["addr"].as_u64()).collect();
        ensure_eq!(addresses.len(), 2);
        drop(link);
        let cookies = [5, 6];
        let link = KprobeMulti::at(&addresses).cookies(&cookies).attach(prog)?;
        let sleep = funcs
            .iter()
            .position(|f| f["func"] == json!("do_nanosleep"));
        Fire::Sleep.run(&loaded, &link)?;
        let expect = cookies.get(sleep.context("do_nanosleep")?);
        ensure_eq!(Some(&counted(&loaded, 1)?), expect);
    }
    let both = KprobeMulti::named(&names).returns().session().attach(prog);
    ensure!(both.is_err(), "a session at returns");
    let short = KprobeMulti::named(&names).cookies(&[1]).attach(prog);
    ensure!(short.is_err(), "a cookie too few");
    Ok(())
}

fn only_one(_: &Private) -> Result<()> {
    let loaded = loaded("attach", "kprobe_multi", (5, 18))?;
    let prog = fd(&loaded, "kprobe_multi")?;
    let link = attached(&KprobeMulti::matching("do_nanosleep").unique(), prog)?;
    Fire::Sleep.run(&loaded, &link)?;
    ensure!(counted(&loaded, 0)? > 0, "it does not run");
    link.detach()?;
    let error = KprobeMulti::matching("bpf_fentry_test?")
        .unique()
        .attach(prog);
    let error = error.err().context("it attaches")?.to_string();
    ensure!(
        error.starts_with("there are ") && error.contains("functions for 'bpf_fentry_test?'"),
        "{error}"
    );
    let link = KprobeMulti::matching("vmlinux:do_nanosleep").attach(prog)?;
    Fire::Sleep.run(&loaded, &link)?;
    link.detach()?;
    KprobeMulti::matching("dummy:dummy_*")
        .attach(prog)?
        .detach()?;
    Ok(())
}

fn missing(_: &Private) -> Result<()> {
    let loaded = loaded("attach", "kprobe_multi", (5, 18))?;
    let prog = fd(&loaded, "kprobe_multi")?;
    attached(&KprobeMulti::matching("do_nanosleep"), prog)?.detach()?;
    for (pattern, expect) in [
        (
            "function_of_no_kernel",
            "there is no function to trace of the name 'function_of_no_kernel'",
        ),
        (
            "function_of_no_kernel*",
            "there is no function to trace for 'function_of_no_kernel*'",
        ),
    ] {
        let error = KprobeMulti::matching(pattern).attach(prog).err();
        ensure_eq!(error.context("it attaches")?.to_string(), expect);
    }
    Ok(())
}

/// Functions of a link, as the tool says.
fn functions(value: &Value) -> Result<usize> {
    Ok(value["funcs"].as_array().context("funcs")?.len())
}

fn kprobes(_: &Private) -> Result<()> {
    let loaded = loaded("attach", "kprobe_multi", (5, 18))?;
    let prog = fd(&loaded, "kprobe_multi")?;
    let link = attached(&KprobeMulti::matching(THOUSAND), prog)?;
    let id = link.fd().context("no link")?.info()?.id;
    if !older_than((6, 6))? {
        let value = shown(link.fd().context("no link")?)?;
        let count = functions(&value)?;
        ensure!(count >= 1000, "only {count} functions");
        ensure_eq!(value["func_cnt"], json!(count));
    }
    link.detach()?;
    gone(id)
}

fn trampolines(_: &Private) -> Result<()> {
    let loaded = loaded("attach", "fentry_multi", (7, 2))?;
    let kernel = Running::new();
    let at = AttachType::TRACE_FENTRY_MULTI;
    let many = TracingMulti::matching(at, THOUSAND, None, &kernel)?;
    ensure!(
        many.ids().len() >= 1000,
        "only {} functions",
        many.ids().len()
    );
    let link = many.attach(fd(&loaded, "fentry_multi")?)?;
    let id = link.fd().context("no link")?.info()?.id;
    link.detach()?;
    gone(id)
}

fn by_id(_: &Private) -> Result<()> {
    let loaded = loaded("attach_cookies", "fentry_multi", (7, 2))?;
    let prog = fd(&loaded, "fentry_multi")?;
    let at = AttachType::TRACE_FENTRY_MULTI;
    let found = TracingMulti::matching(at, "do_nanosleep", None, &Running::new())?;
    let link = TracingMulti::new(at, found.ids())
        .cookies(&[77])
        .attach(prog)?;
    Fire::Sleep.run(&loaded, &link)?;
    ensure_eq!(counted(&loaded, 1)?, 77);
    let error = TracingMulti::matching(at, "function_of_no_kernel*", None, &Running::new());
    ensure!(error.is_err(), "it is found");
    let error = TracingMulti::matching(at, "x", Some("module_of_no_kernel"), &Running::new());
    ensure_eq!(
        error.err().context("it is found")?.to_string(),
        "there is no module 'module_of_no_kernel'"
    );
    Ok(())
}
