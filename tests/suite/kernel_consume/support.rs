//! Adding tests, loading fixtures, and running their programs.

use anyhow::{Context as _, Result, ensure};
use bpfsys::cmd::ProgTestRun;
use bpfsys::{MapFd, ProgFd, ProgType};
use loader::kernel::{LoadOptions, Loaded};
use loader::maps::Globals;
use loader::model::Object;
use rbpftool_tests::{Place, Suite, fixture};

/// The suite being filled, and the place its tests work in.
pub(crate) struct Bench {
    pub(crate) suite: Suite,
    pub(crate) place: Place,
}

impl Bench {
    /// One more test, after which nothing of a map is mapped.
    pub(crate) fn one(&mut self, name: &str, test: impl Fn() -> Result<()> + Send + 'static) {
        let test = self.place.test(move |_private| {
            test()?;
            let maps = std::fs::read_to_string("/proc/self/maps").context("read the mappings")?;
            let left: Vec<_> = maps
                .lines()
                .filter(|line| line.contains("bpf-map") || line.contains("[perf_event]"))
                .collect();
            ensure!(left.is_empty(), "still mapped: {left:?}");
            Ok(())
        });
        self.suite.add(name, test);
    }
}

/// Whether this is a guest, where everything takes much longer.
pub(crate) fn in_guest() -> bool {
    std::env::var_os("RBPF_GUEST").is_some()
}

/// The object of a fixture.
pub(crate) fn object(name: &str) -> Result<Object> {
    let path = fixture(&format!("bpf/{name}.bpf.o"));
    loader::open(&path).with_context(|| format!("open {name}"))
}

pub(crate) fn load(object: &Object) -> Result<Loaded> {
    let loaded = object.load(&LoadOptions::new());
    loaded.map_err(|error| anyhow::anyhow!("{error:#}"))
}

/// A fixture, loaded.
pub(crate) fn loaded(name: &str) -> Result<Loaded> {
    load(&object(name)?)
}

pub(crate) fn map<'l>(loaded: &'l Loaded, name: &str) -> Result<&'l MapFd> {
    let map = loaded.map(name).with_context(|| format!("map {name}"))?;
    map.fd().context("its descriptor")
}

pub(crate) fn prog<'l>(loaded: &'l Loaded, name: &str) -> Result<&'l ProgFd> {
    let prog = loaded.program(name);
    let prog = prog.with_context(|| format!("program {name}"))?;
    prog.fd().context("its descriptor")
}

/// The variables of a section.
pub(crate) fn globals(loaded: &Loaded, section: &str) -> Result<Globals> {
    Ok(Globals::open(map(loaded, section)?)?)
}

/// Runs a program of a fixture this often; what it returned last.
pub(crate) fn run(loaded: &Loaded, name: &str, times: u32) -> Result<u32> {
    repeat(prog(loaded, name)?, times).with_context(|| format!("run {name}"))
}

/// Runs a program this often, on a packet if it is one for packets.
pub(crate) fn repeat(prog: &ProgFd, times: u32) -> Result<u32> {
    let packet = [0; 64];
    let request = ProgTestRun::new(prog);
    if prog.info()?.type_() == ProgType::SCHED_CLS {
        return Ok(request.data_in(&packet).repeat(times).run()?.retval);
    }
    let mut last = 0;
    for _ in 0..times {
        last = request.run()?.retval;
    }
    Ok(last)
}
