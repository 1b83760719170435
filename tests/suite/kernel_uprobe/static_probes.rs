//! Static probes: programs of a compiled object read the arguments.

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use bpfsys::cmd::MapLookupElem;
use bpfsys::probe::Feature;
use bpfsys::{MapFd, ProgFd, probe};
use loader::attach::{Link, Usdt, UsdtForm, UsdtMaps};
use loader::kernel::{LoadOptions, Loaded};
use loader::symbols::{Binary, usdt};
use rbpftool_tests::{ensure_eq, fixture, requires};

use crate::Bench;
use crate::counter::has_cookies;
use crate::programs::{Running, programs};

pub(crate) fn add(bench: &mut Bench) {
    for name in ["pie", "fixed", "static", "stripped"] {
        bench.one(&format!("usdt::arguments::{name}"), move |_| {
            arguments(name, UsdtForm::Best)
        });
        bench.one(&format!("usdt::one_by_one::{name}"), move |_| {
            arguments(name, UsdtForm::Each)
        });
        bench.one(&format!("usdt::semaphore::{name}"), move |_| {
            semaphore(name)
        });
    }
    bench.one("usdt::older_objects", |_| plain());
    bench.one("usdt::library", |_| library());
    bench.one("usdt::all_processes", |_| all_processes());
    bench.one("usdt::one_process", |_| one_process());
    bench.one("usdt::several_at_once", |_| several());
    bench.one("usdt::numbers_are_used_again", |_| again());
    bench.one("usdt::fast_place", |_| fast());
    bench.one("usdt::what_is_not_there", |_| missing());
}

/// An object whose programs note what they see.
pub(crate) struct Object {
    loaded: Loaded,
    maps: UsdtMaps,
}

/// What a program has noted.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) count: u64,
    lost: u64,
    cookie: u64,
    error: i64,
    args: Vec<i64>,
}

impl Object {
    pub(crate) fn load(name: &str) -> Result<Self> {
        let object = loader::open(&fixture(&format!("bpf/{name}.bpf.o")))?;
        let loaded = object.load(&LoadOptions::new())?;
        let maps = UsdtMaps::of(&loaded)?;
        Ok(Self { loaded, maps })
    }

    pub(crate) fn prog(&self, name: &str) -> Result<&ProgFd> {
        let program = self.loaded.program(name).context("the program")?;
        program.fd().context("its descriptor")
    }

    pub(crate) fn seen(&self, slot: u32) -> Result<Seen> {
        let map = self.loaded.map("seen").and_then(|map| map.fd());
        read(map.context("the map")?, slot)
    }

    fn attach(&self, probe: &Usdt, program: &str) -> Result<Link> {
        Ok(probe.attach(&self.maps, self.prog(program)?)?)
    }
}

fn read(map: &MapFd, slot: u32) -> Result<Seen> {
    let mut value = [0; 17 * 8];
    MapLookupElem::new(map, &slot.to_ne_bytes()).run(&mut value)?;
    let words: Vec<u64> = value
        .chunks_exact(8)
        .filter_map(|bytes| Some(u64::from_ne_bytes(bytes.try_into().ok()?)))
        .collect();
    let [count, lost, cookie, arg_cnt, error, args @ ..] = words.as_slice() else {
        anyhow::bail!("a short value");
    };
    let arg_cnt = usize::try_from(*arg_cnt).context("a number of arguments")?;
    Ok(Seen {
        count: *count,
        lost: *lost,
        cookie: *cookie,
        error: error.cast_signed(),
        args: args
            .iter()
            .take(arg_cnt)
            .map(|arg| arg.cast_signed())
            .collect(),
    })
}

fn started(name: &str) -> Result<(PathBuf, Running)> {
    let path = programs()?.path(name);
    let running = Running::start(&path, &[])?;
    Ok((path, running))
}

/// A probe in one process, as kernels without cookies need it for files that are moved.
fn probe_of(path: &std::path::Path, running: &Running, name: &str) -> Usdt {
    Usdt::new(path, "app", name).pid(running.pid())
}

/// What each probe of the program has for arguments, and how often it fires.
const PROBES: [(&str, u64, &[i64]); 4] = [
    (
        "plain",
        1,
        &[-5, 0xfedc_ba98_7654_3210_u64.cast_signed(), -3, -9, 7],
    ),
    ("memory", 1, &[-77, 11, 16, 11]),
    // the last of three places
    ("twice", 3, &[42]),
    ("fast", 1, &[6]),
];

fn arguments(name: &str, form: UsdtForm) -> Result<()> {
    let (path, mut running) = started(name)?;
    for (probe, each, args) in PROBES {
        let object = match form {
            UsdtForm::Best => Object::load("usdt")?,
            _ => Object::one_by_one()?,
        };
        let usdt = probe_of(&path, &running, probe).cookie(0x77).form(form);
        let link = object.attach(&usdt, "first")?;
        running.work()?;
        running.work()?;
        let seen = object.seen(0)?;
        let expect = Seen {
            count: 2 * each,
            lost: 0,
            cookie: 0x77,
            error: 0,
            args: args.to_vec(),
        };
        ensure_eq!(seen, expect, "{probe}");
        link.detach()?;
        running.work()?;
        ensure_eq!(object.seen(0)?, expect, "{probe}, detached");
    }
    Ok(())
}

impl Object {
    /// The object with programs that were loaded for probes one by one.
    fn one_by_one() -> Result<Self> {
        let path = fixture("bpf/usdt.bpf.o");
        let mut object = loader::open(&path)?;
        for name in ["first", "second"] {
            let program = object.program_mut(name).context("the program")?;
            program.usdt = false;
        }
        let loaded = object.load(&LoadOptions::new())?;
        let maps = UsdtMaps::of(&loaded)?;
        Ok(Self { loaded, maps })
    }
}

fn semaphore(name: &str) -> Result<()> {
    let (path, mut running) = started(name)?;
    let object = Object::load("usdt")?;
    ensure!(!running.work()?, "nobody looks yet");
    let link = object.attach(&probe_of(&path, &running, "guarded"), "first")?;
    ensure!(running.work()?, "somebody looks");
    ensure_eq!(object.seen(0)?.args, [9]);
    ensure_eq!(object.seen(0)?.count, 1);
    link.detach()?;
    ensure!(!running.work()?, "nobody looks any more");
    Ok(())
}

/// Objects compiled with the header of earlier libbpf have another form of descriptions.
fn plain() -> Result<()> {
    let (path, mut running) = started("pie")?;
    for (probe, each, args) in PROBES {
        let object = Object::load("usdt_plain")?;
        let usdt = probe_of(&path, &running, probe);
        if probe == "memory" {
            let error = usdt.attach(&object.maps, object.prog("first")?).err();
            let error = error.context("it was attached")?.to_string();
            ensure!(error.contains("no arguments at two registers"), "{error}");
            continue;
        }
        let link = object.attach(&usdt, "first")?;
        running.work()?;
        let seen = object.seen(0)?;
        ensure_eq!((seen.count, seen.error), (each, 0), "{probe}");
        ensure_eq!(seen.args, args, "{probe}");
        drop(link);
    }
    Ok(())
}

fn library() -> Result<()> {
    for name in ["pie", "fixed", "stripped"] {
        let (_, mut running) = started(name)?;
        let object = Object::load("usdt")?;
        let usdt = Usdt::mapped(running.pid(), "libprobed", "lib", "add");
        let link = object.attach(&usdt, "second")?;
        running.work()?;
        ensure_eq!(object.seen(1)?.args, [20, -22]);
        ensure_eq!(object.seen(0)?.count, 0);
        drop(link);
        running.work()?;
        ensure_eq!(object.seen(1)?.count, 1);
    }
    Ok(())
}

fn all_processes() -> Result<()> {
    let object = Object::load("usdt")?;
    for name in ["pie", "fixed"] {
        let (path, mut one) = started(name)?;
        let mut other = Running::start(&path, &[])?;
        let usdt = Usdt::new(&path, "app", "plain");
        let link = usdt.attach(&object.maps, object.prog("first")?);
        if name == "pie" && !has_cookies() {
            let error = link.err().context("it was attached")?;
            ensure!(error.to_string().contains("in all processes"), "{error}");
            ensure!(error.hint().is_some(), "what brings it");
            continue;
        }
        let link = link?;
        let before = object.seen(0)?.count;
        one.work()?;
        other.work()?;
        ensure_eq!(object.seen(0)?.count - before, 2, "{name}");
        ensure_eq!(object.seen(0)?.lost, 0);
        drop(link);
    }
    Ok(())
}

fn one_process() -> Result<()> {
    let (path, mut one) = started("pie")?;
    let mut other = Running::start(&path, &[])?;
    let object = Object::load("usdt")?;
    let link = object.attach(&probe_of(&path, &one, "plain"), "first")?;
    other.work()?;
    ensure_eq!(object.seen(0)?.count, 0, "by another process");
    one.work()?;
    ensure_eq!(object.seen(0)?.count, 1);
    drop(link);
    Ok(())
}

fn several() -> Result<()> {
    let (path, mut running) = started("pie")?;
    let object = Object::load("usdt")?;
    let first = object.attach(&probe_of(&path, &running, "plain").cookie(1), "first")?;
    let second = object.attach(&probe_of(&path, &running, "twice").cookie(2), "second")?;
    running.work()?;
    drop(first);
    running.work()?;
    let (first, other) = (object.seen(0)?, object.seen(1)?);
    ensure_eq!((first.count, first.cookie, first.args.len()), (1, 1, 5));
    ensure_eq!((other.count, other.cookie), (6, 2));
    ensure_eq!(other.args, [42]);
    drop(second);
    Ok(())
}

/// The map has eight descriptions, and a probe in three places needs two.
fn again() -> Result<()> {
    let (path, mut running) = started("pie")?;
    let object = Object::load("usdt")?;
    let usdt = probe_of(&path, &running, "twice");
    for round in 1..=20 {
        let link = object.attach(&usdt, "first")?;
        running.work()?;
        ensure_eq!(object.seen(0)?.count, 3 * round);
        drop(link);
    }
    if has_cookies() {
        // Addresses are told once each, so that kernels without cookies refuse the second.
        let links: Result<Vec<_>> = (0..4).map(|_| object.attach(&usdt, "first")).collect();
        let links = links?;
        let full = usdt.attach(&object.maps, object.prog("first")?).err();
        let full = full.context("a fifth was attached")?.to_string();
        ensure!(full.contains("BPF_USDT_MAX_SPEC_CNT"), "{full}");
        drop(links);
    } else {
        let link = object.attach(&usdt, "first")?;
        let twice = usdt.attach(&object.maps, object.prog("first")?).err();
        let twice = twice.context("a second was attached")?.to_string();
        ensure!(twice.contains("tell the address"), "{twice}");
        drop(link);
    }
    let link = object.attach(&usdt, "first")?;
    running.work()?;
    ensure_eq!(object.seen(0)?.count, 63);
    drop(link);
    Ok(())
}

/// Where the kernel makes calls of long instructions that do nothing, the probe is at one.
fn fast() -> Result<()> {
    use bpfsys::cmd::LinkKind;

    let (path, mut running) = started("pie")?;
    let binary = Binary::open(&path)?;
    let probes = binary.static_probes()?;
    let fast = probes.iter().find(|probe| probe.name == "fast");
    let place = fast.context("no such probe")?.place(binary.file())?;
    ensure!(usdt::has_fast_nop(binary.file(), place.offset), "{place:?}");
    ensure!(!usdt::has_fast_nop(binary.file(), place.offset + 1));
    requires!(
        Feature::by_name("uprobe_multi").is_some_and(|feature| feature.probe().is_yes()),
        "only links tell where their probes are"
    );
    let object = Object::load("usdt")?;
    let link = object.attach(&probe_of(&path, &running, "fast"), "first")?;
    let info = link.fd().context("a link")?.info()?;
    let LinkKind::UprobeMulti { offsets, .. } = &info.kind else {
        anyhow::bail!("{info:?}");
    };
    let skip = u64::from(probe::ten_byte_nop().is_yes());
    if !offsets.is_empty() {
        // kernels before 6.8 do not tell
        ensure_eq!(offsets, &[place.offset + skip]);
    }
    for _ in 0..100 {
        running.work()?;
    }
    ensure_eq!(object.seen(0)?.count, 100);
    ensure_eq!(object.seen(0)?.args, [6]);
    drop(link);
    Ok(())
}

fn missing() -> Result<()> {
    let path = programs()?.path("pie");
    let object = Object::load("usdt")?;
    let probe = Usdt::new(&path, "app", "nothing");
    let error = probe.attach(&object.maps, object.prog("first")?).err();
    let error = format!(
        "{:#}",
        anyhow::Error::from(error.context("it was attached")?)
    );
    ensure_eq!(
        error,
        format!("{}: there is no static probe `app:nothing`", path.display())
    );
    let minimal = loader::open(&fixture("bpf/minimal.bpf.o"))?.load(&LoadOptions::new())?;
    let error = UsdtMaps::of(&minimal).err().context("it has maps")?;
    ensure!(error.to_string().contains("__bpf_usdt_specs"), "{error}");
    Ok(())
}
