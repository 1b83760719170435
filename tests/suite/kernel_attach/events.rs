//! Perf events of each kind that can be had.

use std::os::fd::OwnedFd;

use anyhow::{Context as _, Result, ensure};
use bpfsys::sys::perf_event::{PerfEvent, Target};
use bpfsys::uapi::perf::{PerfEventAttr, SW_CPU_CLOCK, TYPE_SOFTWARE};
use loader::attach::{
    Access, AttachOptions, AttachTarget, AutoOptions, HardwareEvent, PerfConfig, PerfEvents,
    PerfForm, PerfScope, Sample, SoftwareEvent,
};
use loader::kernel::Loaded;
use nix::errno::Errno;
use rbpftool_tests::{Private, ensure_eq, skip};
use serde_json::json;

use crate::support::{Bench, Fire, counted, load, older_than, program, shown};

const PERF_LINK: (u16, u16) = (5, 15);
/// This process, wherever it runs.
const HERE: PerfScope = PerfScope::Process {
    pid: 0,
    inherit: false,
};

pub(crate) fn add(bench: &mut Bench) {
    bench.one("perf_event::clock_of_this_thread", |_| clock());
    bench.one("perf_event::without_a_link", |_| without_link());
    bench.one("perf_event::opened_elsewhere", |_| elsewhere());
    bench.one("perf_event::by_the_name_of_a_device", |_| by_name());
    bench.one("perf_event::breakpoint", |_| breakpoint());
    bench.one("perf_event::hardware", |_| hardware());
    bench.one("perf_event::given_as_a_target", |_| target());
    bench.guest("perf_event::on_every_cpu", every_cpu);
}

fn clock_event() -> PerfEvents {
    let clock = PerfConfig::Software(SoftwareEvent::CpuClock);
    PerfEvents::new(clock, Sample::Period(1_000_000)).scope(HERE)
}

fn loaded() -> Result<Loaded> {
    load("attach", &["perf_event"])
}

fn runs(loaded: &Loaded, link: &loader::attach::Link) -> Result<()> {
    let before = counted(loaded, 0)?;
    Fire::Spin.run(loaded, link)?;
    ensure!(counted(loaded, 0)? > before, "it does not run");
    Ok(())
}

fn clock() -> Result<()> {
    let loaded = loaded()?;
    let prog = program(&loaded, "perf_event")?.fd().context("fd")?;
    let link = clock_event().attach(prog)?;
    runs(&loaded, &link)?;
    ensure_eq!(link.fd().is_some(), !older_than(PERF_LINK)?);
    if let Some(fd) = link.fd() {
        let value = shown(fd)?;
        ensure_eq!(value["type"], json!("perf_event"));
        if !older_than((6, 6))? {
            ensure_eq!(value["event_type"], json!("software"));
            ensure_eq!(value["event_config"], json!("cpu-clock"));
        }
    }
    link.detach()?;
    let seen = counted(&loaded, 0)?;
    let frequency = Sample::Frequency(1000);
    let often = PerfEvents::new(PerfConfig::Software(SoftwareEvent::TaskClock), frequency);
    let link = often.scope(HERE).attach(prog)?;
    runs(&loaded, &link)?;
    ensure!(counted(&loaded, 0)? > seen, "it does not run");
    Ok(())
}

fn without_link() -> Result<()> {
    let loaded = loaded()?;
    let prog = program(&loaded, "perf_event")?.fd().context("fd")?;
    let link = clock_event().perf_form(PerfForm::Ioctl).attach(prog)?;
    ensure!(link.fd().is_none(), "it has a link");
    runs(&loaded, &link)?;
    link.detach()?;
    let seen = counted(&loaded, 0)?;
    let none = loader::attach::Link::group("nothing", Vec::new());
    Fire::Spin.run(&loaded, &none)?;
    ensure_eq!(counted(&loaded, 0)?, seen);
    Ok(())
}

fn elsewhere() -> Result<()> {
    let loaded = loaded()?;
    let prog = program(&loaded, "perf_event")?.fd().context("fd")?;
    let mut attr = PerfEventAttr::new(TYPE_SOFTWARE, SW_CPU_CLOCK);
    attr.sample_period = 1_000_000;
    let opened = PerfEvent::open(attr, Target { pid: 0, cpu: -1 })?;
    let event = PerfEvent::try_from(OwnedFd::from(opened))?;
    let link = PerfEvents::on(event, prog, 0)?;
    runs(&loaded, &link)?;
    let file = std::fs::File::open("/dev/null").context("open a file")?;
    let other = PerfEvent::try_from(OwnedFd::from(file));
    ensure!(other.is_err(), "a file is taken for an event");
    Ok(())
}

fn by_name() -> Result<()> {
    let loaded = loaded()?;
    let prog = program(&loaded, "perf_event")?.fd().context("fd")?;
    let device = |name: &str| PerfConfig::Pmu {
        name: name.into(),
        config: SW_CPU_CLOCK,
    };
    let event = |name| PerfEvents::new(device(name), Sample::Period(1_000_000)).scope(HERE);
    let link = event("software").attach(prog)?;
    runs(&loaded, &link)?;
    let error = event("device_of_no_kernel").attach(prog).err();
    ensure_eq!(
        error.context("it attaches")?.to_string(),
        "there is no device with perf events 'device_of_no_kernel'"
    );
    Ok(())
}

/// What kinds of events a machine has is not the kernel's to say.
fn no_such_event(error: loader::attach::AttachError) -> anyhow::Error {
    let lacking = [
        Errno::ENOENT,
        Errno::ENODEV,
        Errno::EOPNOTSUPP,
        Errno::ENOSPC,
    ];
    match error.sys() {
        Some(answer) if lacking.iter().any(|errno| answer.is(*errno)) => {
            skip(format!("this machine has no such events: {answer}"))
        }
        _ => error.into(),
    }
}

fn breakpoint() -> Result<()> {
    let loaded = loaded()?;
    let prog = program(&loaded, "perf_event")?.fd().context("fd")?;
    let watched = std::sync::atomic::AtomicU64::new(0);
    let config = PerfConfig::Breakpoint {
        address: std::ptr::from_ref(&watched).expose_provenance() as u64,
        len: 8,
        access: Access::Write,
    };
    let event = PerfEvents::new(config, Sample::Period(1)).scope(HERE);
    let link = event.attach(prog).map_err(no_such_event)?;
    for n in 0..5 {
        watched.store(n, std::sync::atomic::Ordering::SeqCst);
    }
    if counted(&loaded, 0)? == 0 {
        return Err(skip("this machine does not stop at breakpoints"));
    }
    ensure_eq!(counted(&loaded, 0)?, 5);
    link.detach()?;
    watched.store(9, std::sync::atomic::Ordering::SeqCst);
    ensure_eq!(counted(&loaded, 0)?, 5);
    Ok(())
}

fn hardware() -> Result<()> {
    let loaded = loaded()?;
    let prog = program(&loaded, "perf_event")?.fd().context("fd")?;
    let config = PerfConfig::Hardware(HardwareEvent::Instructions);
    let event = PerfEvents::new(config, Sample::Period(100_000)).scope(HERE);
    let link = event.attach(prog).map_err(no_such_event)?;
    runs(&loaded, &link)
}

/// The object attaches by itself when it is told to what.
fn target() -> Result<()> {
    let loaded = loaded()?;
    ensure_eq!(loaded.attach()?.len(), 0);
    let event = clock_event();
    let mut options = AttachOptions::default();
    let how = AutoOptions {
        cookie: 0,
        target: Some(AttachTarget::PerfEvents(&event)),
    };
    options.programs.insert("perf_event".into(), how);
    let links = loaded.attach_with(&options)?;
    ensure_eq!(links.len(), 1);
    runs(&loaded, links.iter().next().context("a link")?)?;
    links.detach()?;
    Ok(())
}

fn every_cpu(_: &Private) -> Result<()> {
    let loaded = loaded()?;
    let prog = program(&loaded, "perf_event")?.fd().context("fd")?;
    let mut link = clock_event().scope(PerfScope::AllCpus).attach(prog)?;
    runs(&loaded, &link)?;
    ensure!(link.fd().is_none(), "several are one");
    ensure!(
        link.pin("/sys/fs/bpf/x".as_ref()).is_err(),
        "they are pinned"
    );
    link.detach()?;
    let seen = counted(&loaded, 0)?;
    let none = loader::attach::Link::group("nothing", Vec::new());
    Fire::Spin.run(&loaded, &none)?;
    ensure_eq!(counted(&loaded, 0)?, seen);
    // one cpu that is not there takes the others along
    let none_such = PerfScope::Cpus(vec![0, 4000]);
    ensure!(
        clock_event().scope(none_such).attach(prog).is_err(),
        "cpu 4000"
    );
    Ok(())
}
