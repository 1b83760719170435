//! Loading the counting programs, coming past them, and what is left.

use std::io::Read as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, ensure};
use bpfsys::cmd::{IterCreate, MapLookupElem, ProgTestRun};
use bpfsys::{KernelVersion, LinkFd, LinkId, SysError};
use loader::attach::Link;
use loader::kernel::{LoadOptions, Loaded, LoadedProgram};
use rbpftool_tests::kernel::KernelConfig;
use rbpftool_tests::{Place, Private, Suite, fixture, run_tool, skip};
use serde_json::Value;

/// The thread whose doings are counted; the kernel keeps 15 bytes of a name.
const WHO: &str = "rbpf_attach";

/// The suite being filled, and the place its tests work in.
pub(crate) struct Bench {
    pub(crate) suite: Suite,
    pub(crate) place: Place,
}

impl Bench {
    /// One more test, by a thread with a name of its own.
    pub(crate) fn one(
        &mut self,
        name: impl Into<String>,
        test: impl Fn(&Private) -> Result<()> + Send + Sync + 'static,
    ) {
        let test = self.place.test(move |private| {
            let probes = our_probes(private)?;
            let result = std::thread::scope(|scope| {
                std::thread::Builder::new()
                    .name(WHO.into())
                    .spawn_scoped(scope, || test(private))
                    .map(std::thread::ScopedJoinHandle::join)
            });
            match result.context("start a thread")? {
                Ok(done) => done?,
                Err(_panic) => return Err(anyhow!("it panicked")),
            }
            ensure!(our_probes(private)? == probes, "probes are left in tracefs");
            Ok(())
        });
        self.suite.add(name.into(), test);
    }

    /// One more test that changes how the kernel itself runs.
    pub(crate) fn guest(
        &mut self,
        name: impl Into<String>,
        test: impl Fn(&Private) -> Result<()> + Send + Sync + 'static,
    ) {
        self.one(name, move |private| {
            guest_only()?;
            test(private)
        });
    }
}

/// A skip where the machine is not ours to change.
pub(crate) fn guest_only() -> Result<()> {
    if std::env::var_os("RBPF_GUEST").is_none() {
        return Err(skip("is attached to the kernel itself: guests only"));
    }
    Ok(())
}

/// The lines of probes that a loader of ours has made.
pub(crate) fn our_probes(private: &Private) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for file in ["kprobe_events", "uprobe_events"] {
        let path = private.tracefs().join(file);
        // kernels without probes have no such file
        let text = match std::fs::read_to_string(&path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
            text => text.with_context(|| format!("read {}", path.display()))?,
        };
        let ours = text.lines().filter(|line| line.contains("/rbpftool_"));
        found.extend(ours.map(str::to_owned));
    }
    Ok(found)
}

/// Is the running kernel older than this?
pub(crate) fn older_than(version: (u16, u16)) -> Result<bool> {
    let running = KernelVersion::running()?;
    Ok((running.major, running.minor) < version)
}

/// An error as the end of a test: a skip where the kernel is too old and has refused.
pub(crate) fn since(version: (u16, u16), error: anyhow::Error) -> anyhow::Error {
    let refused = |e: &(dyn std::error::Error + 'static)| {
        e.is::<SysError>()
            || e.is::<bpfsys::LoadError>()
            || e.is::<loader::relocate::PlanError>()
            || e.is::<loader::attach::AttachError>()
    };
    let (major, minor) = version;
    match older_than(version) {
        Ok(true) if error.chain().any(refused) => {
            skip(format!("needs Linux {major}.{minor}: {error:#}"))
        }
        Ok(_) => error,
        Err(e) => e,
    }
}

/// The same for many functions in one link, which a kernel can be built without.
pub(crate) fn since_fprobe(version: (u16, u16), error: anyhow::Error) -> anyhow::Error {
    const OPTION: &str = "CONFIG_FPROBE";
    let unsupported = |e: &(dyn std::error::Error + 'static)| {
        e.downcast_ref()
            .is_some_and(|e: &SysError| e.is(nix::errno::Errno::EOPNOTSUPP))
    };
    if error.chain().any(unsupported) && lacks(OPTION) {
        return skip(format!("this kernel is built without {OPTION}"));
    }
    since(version, error)
}

/// Is the running kernel known to be built without this option?
pub(crate) fn lacks(option: &str) -> bool {
    KernelConfig::running().is_ok_and(|config| !config.is_set(option))
}

/// Loads these programs of a fixture, and `runs`.
pub(crate) fn load(object: &str, programs: &[&str]) -> Result<Loaded> {
    load_with(object, programs, &[])
}

/// The same, with variables that are set before.
pub(crate) fn load_with(
    object: &str,
    programs: &[&str],
    variables: &[(&str, &str)],
) -> Result<Loaded> {
    let path = fixture(&format!("bpf/{object}.bpf.o"));
    let mut object = loader::open(&path).with_context(|| format!("open {object}"))?;
    let first: [u8; 8] = *WHO.as_bytes().first_chunk().context("a short name")?;
    let who = u64::from_ne_bytes(first).to_string();
    object.set_variable("who", &who).context("set who")?;
    for (name, value) in variables {
        object.set_variable(name, value).context("set a variable")?;
    }
    for name in programs {
        let program = object.programs_mut().iter_mut().find(|p| p.name == *name);
        program
            .with_context(|| format!("no program {name}"))?
            .autoload = true;
    }
    Ok(object.load(&LoadOptions::new())?)
}

/// A program that was loaded.
pub(crate) fn program<'l>(loaded: &'l Loaded, name: &str) -> Result<&'l LoadedProgram> {
    loaded.program(name).with_context(|| format!("no {name}"))
}

/// How often the thread has come past, or what else is counted at this place.
pub(crate) fn counted(loaded: &Loaded, place: u32) -> Result<u64> {
    let map = loaded
        .map("hits")
        .and_then(|map| map.fd())
        .context("hits")?;
    let mut value = [0; 8];
    MapLookupElem::new(map, &place.to_ne_bytes()).run(&mut value)?;
    Ok(u64::from_ne_bytes(value))
}

/// What makes a program run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fire {
    /// `do_nanosleep`
    Sleep,
    /// The system call and what is behind it, of this process.
    Getpgid,
    /// `bpf_test_finish`
    TestRun,
    /// `bpf_fentry_test1`, which a test run of a tracing program calls.
    Test1,
    /// A reader of the link.
    Read,
    /// Time of the CPU.
    Spin,
    /// A file is opened.
    Open,
}

impl Fire {
    pub(crate) fn run(self, loaded: &Loaded, link: &Link) -> Result<()> {
        match self {
            Self::Sleep => std::thread::sleep(Duration::from_millis(2)),
            Self::Getpgid => {
                // a refusal is what one of the tests is about
                let _group = nix::unistd::getpgid(Some(nix::unistd::getpid()));
            }
            Self::TestRun => {
                let runs = program(loaded, "runs")?.fd().context("a descriptor")?;
                ProgTestRun::new(runs).data_in(&[0; 64]).run()?;
            }
            Self::Test1 => {
                let calls = load("attach", &["calls_test1"])?;
                let calls = program(&calls, "calls_test1")?;
                ProgTestRun::new(calls.fd().context("a descriptor")?).run()?;
            }
            Self::Read => {
                let reader = IterCreate::new(link.fd().context("an iterator has a link")?).run()?;
                let mut text = Vec::new();
                std::fs::File::from(std::os::fd::OwnedFd::from(reader)).read_to_end(&mut text)?;
            }
            Self::Spin => {
                let start = Instant::now();
                let mut sum = 0_u64;
                while start.elapsed() < Duration::from_millis(200) {
                    sum = std::hint::black_box(sum.wrapping_add(1));
                }
            }
            Self::Open => drop(std::fs::File::open("/dev/null").context("open a file")?),
        }
        Ok(())
    }
}

/// Waits for a link to be gone: the kernel takes its time after the last descriptor.
pub(crate) fn gone(id: LinkId) -> Result<()> {
    let start = Instant::now();
    loop {
        match LinkFd::by_id(id) {
            Err(e) if e.is(nix::errno::Errno::ENOENT) => return Ok(()),
            Err(e) => return Err(e.into()),
            Ok(_) if start.elapsed() > Duration::from_secs(5) => {
                return Err(anyhow!("link {id} is still there"));
            }
            Ok(_) => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}

/// What the tool says about a link.
pub(crate) fn shown(link: &LinkFd) -> Result<Value> {
    let id = link.info()?.id.to_string();
    run_tool(["-j", "link", "show", "id", &id])?.json()
}
