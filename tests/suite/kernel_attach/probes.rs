//! Probes in the kernel, made and attached in each of the ways there are.

use anyhow::{Context as _, Result, ensure};
use bpfsys::ProgFd;
use loader::attach::{AttachError, Kprobe, Ksyscall, Link, PerfForm, ProbeForm, Tracepoint};
use loader::kernel::Loaded;
use rbpftool_tests::{Private, ensure_eq};
use serde_json::json;

use crate::support::{Bench, Fire, counted, load, older_than, our_probes, program, shown};

const PERF_LINK: (u16, u16) = (5, 15);

pub(crate) fn add(bench: &mut Bench) {
    for (name, probe, perf) in [
        ("event_and_link", ProbeForm::Event, PerfForm::Link),
        ("event_alone", ProbeForm::Event, PerfForm::Ioctl),
        ("tracefs_and_link", ProbeForm::TraceFs, PerfForm::Link),
        ("tracefs_and_event", ProbeForm::TraceFs, PerfForm::Ioctl),
    ] {
        for returns in [false, true] {
            let kind = if returns { "kretprobe" } else { "kprobe" };
            bench.guest(format!("{kind}::{name}"), move |private| {
                form(private, returns, probe, perf)
            });
        }
    }
    bench.guest("kprobe::by_address", by_address);
    bench.guest("kprobe::of_a_module", of_a_module);
    bench.guest("kprobe::limited_returns", limited);
    bench.guest("kprobe::what_is_not_there", missing);
    bench.one("kprobe::options_that_do_not_go_together", options);
    bench.one("tracepoint::without_a_link", tracepoint);
}

fn loaded(name: &str) -> Result<Loaded> {
    load("attach", &[name])
}

fn fd<'l>(loaded: &'l Loaded, name: &str) -> Result<&'l ProgFd> {
    program(loaded, name)?.fd().context("a descriptor")
}

/// It runs while the link is there, and not afterwards.
fn runs(loaded: &Loaded, link: Link, fire: Fire) -> Result<()> {
    let before = counted(loaded, 0)?;
    fire.run(loaded, &link)?;
    let seen = counted(loaded, 0)?;
    ensure!(seen > before, "it does not run");
    link.detach()?;
    let none = Link::group("nothing", Vec::new());
    fire.run(loaded, &none)?;
    ensure_eq!(counted(loaded, 0)?, seen);
    Ok(())
}

fn form(private: &Private, returns: bool, probe: ProbeForm, perf: PerfForm) -> Result<()> {
    let loaded = loaded("kprobe")?;
    let mut kprobe = Kprobe::new("do_nanosleep")
        .probe_form(probe)
        .perf_form(perf);
    if returns {
        kprobe = kprobe.returns();
    }
    let attached = kprobe.attach(fd(&loaded, "kprobe")?);
    if perf == PerfForm::Link && older_than(PERF_LINK)? {
        let error = attached.err().context("a link on an old kernel")?;
        ensure!(error.sys().is_some(), "{error}");
        return Ok(());
    }
    let link = attached?;
    ensure_eq!(link.fd().is_some(), perf == PerfForm::Link);
    let lines = our_probes(private)?;
    match probe {
        ProbeForm::TraceFs => {
            let line = lines.first().context("no line in tracefs")?;
            ensure!(line.contains("do_nanosleep"), "{line}");
            ensure_eq!(line.starts_with('r'), returns);
        }
        _ => ensure_eq!(lines.len(), 0),
    }
    runs(&loaded, link, Fire::Sleep)?;
    ensure_eq!(our_probes(private)?.len(), 0);
    Ok(())
}

/// The address of a function.
fn address_of(name: &str) -> Result<u64> {
    let symbols = std::fs::read_to_string("/proc/kallsyms").context("read the symbols")?;
    let line = symbols.lines().find(|line| {
        let mut words = line.split_whitespace().skip(1);
        words
            .next()
            .is_some_and(|kind| kind.eq_ignore_ascii_case("t"))
            && words.next() == Some(name)
    });
    let address = line.and_then(|line| line.split_whitespace().next());
    u64::from_str_radix(address.with_context(|| format!("no {name}"))?, 16).context("an address")
}

fn by_address(private: &Private) -> Result<()> {
    let loaded = loaded("kprobe")?;
    let address = address_of("do_nanosleep")?;
    for probe in [ProbeForm::Event, ProbeForm::TraceFs] {
        let kprobe = Kprobe::at(address).probe_form(probe);
        runs(&loaded, kprobe.attach(fd(&loaded, "kprobe")?)?, Fire::Sleep)?;
    }
    ensure_eq!(our_probes(private)?.len(), 0);
    Ok(())
}

fn of_a_module(_: &Private) -> Result<()> {
    let loaded = loaded("kprobe")?;
    for name in ["dummy:dummy_xmit", "dummy_xmit"] {
        for probe in [ProbeForm::Event, ProbeForm::TraceFs] {
            let link = Kprobe::new(name)
                .probe_form(probe)
                .attach(fd(&loaded, "kprobe")?);
            link.with_context(|| format!("{name} by {probe:?}"))?
                .detach()?;
        }
    }
    Ok(())
}

fn limited(private: &Private) -> Result<()> {
    let loaded = loaded("kprobe")?;
    let kprobe = Kprobe::new("do_nanosleep").returns().max_active(7);
    let link = kprobe.attach(fd(&loaded, "kprobe")?)?;
    let lines = our_probes(private)?;
    ensure!(
        lines.iter().any(|line| line.starts_with("r7:")),
        "{lines:?}"
    );
    runs(&loaded, link, Fire::Sleep)
}

fn missing(private: &Private) -> Result<()> {
    let loaded = loaded("kprobe")?;
    let prog = fd(&loaded, "kprobe")?;
    for probe in [ProbeForm::Event, ProbeForm::TraceFs] {
        let error = Kprobe::new("function_of_no_kernel")
            .probe_form(probe)
            .attach(prog);
        ensure_eq!(
            error.err().context("it attaches")?.to_string(),
            "there is no function 'function_of_no_kernel'"
        );
    }
    let error = Ksyscall::new("call_of_no_kernel").attach(prog).err();
    ensure_eq!(
        error.context("it attaches")?.to_string(),
        "there is no system call 'call_of_no_kernel'"
    );
    // in the middle of an instruction
    for probe in [ProbeForm::Event, ProbeForm::TraceFs] {
        let inside = Kprobe::new("do_nanosleep").offset(1).probe_form(probe);
        ensure!(inside.attach(prog).is_err(), "it attaches");
    }
    ensure_eq!(our_probes(private)?.len(), 0);
    Ok(())
}

fn options(_: &Private) -> Result<()> {
    let loaded = loaded("raw_tp")?;
    let prog = fd(&loaded, "raw_tp")?;
    for kprobe in [
        Kprobe::new("f").returns().offset(4),
        Kprobe::new("f").max_active(3),
        Kprobe::new("f")
            .returns()
            .max_active(3)
            .probe_form(ProbeForm::Event),
    ] {
        let error = kprobe.attach(prog).err().context("it attaches")?;
        ensure!(matches!(error, AttachError::Options { .. }), "{error}");
    }
    Ok(())
}

/// By the event alone, as before there were links.
fn tracepoint(_: &Private) -> Result<()> {
    let loaded = loaded("tp")?;
    let tracepoint = Tracepoint::new("bpf_test_run", "bpf_test_finish");
    let prog = fd(&loaded, "tp")?;
    let mut link = tracepoint.clone().perf_form(PerfForm::Ioctl).attach(prog)?;
    ensure!(link.fd().is_none(), "it has a link");
    ensure_eq!(
        link.pin("/sys/fs/bpf/x".as_ref())
            .err()
            .context("it is pinned")?
            .to_string(),
        "tracepoint bpf_test_run/bpf_test_finish is attached without a link: it cannot be pinned"
    );
    runs(&loaded, link, Fire::TestRun)?;
    let cookie = tracepoint.clone().perf_form(PerfForm::Ioctl).cookie(1);
    ensure!(cookie.attach(prog).is_err(), "a cookie without a link");
    if !older_than(PERF_LINK)? {
        let link = tracepoint
            .perf_form(PerfForm::Link)
            .cookie(9)
            .attach(prog)?;
        let value = shown(link.fd().context("no link")?)?;
        if !older_than((6, 6))? {
            ensure_eq!(value["bpf_cookie"], json!(9));
        }
        runs(&loaded, link, Fire::TestRun)?;
    }
    let error = Tracepoint::new("bpf_test_run", "of_no_kernel")
        .attach(prog)
        .err();
    ensure_eq!(
        error.context("it attaches")?.to_string(),
        "there is no tracepoint 'bpf_test_run/of_no_kernel'"
    );
    Ok(())
}
