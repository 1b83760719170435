//! Adding tests, opening fixtures, and seeing that nothing is left.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use bpfsys::uapi::flags::ProgLoadFlags;
use bpfsys::{KernelVersion, MapType, ProgType};
use loader::kernel::{LoadOptions, Loaded};
use loader::model::{MapIdx, Object, Pinning, ProgIdx};
use loader::relocate::{AttachPlan, LoadPlan, MapAction, MapPlan, MapSpec, ProgPlan};
use rbpftool_tests::state::progs::asm;
use rbpftool_tests::{Place, Suite, fixture};

/// The suite being filled, and the place its tests work in.
pub(crate) struct Bench {
    pub(crate) suite: Suite,
    pub(crate) place: Place,
}

impl Bench {
    /// One more test, with a directory of its own in a bpffs.
    pub(crate) fn one(&mut self, name: &str, test: impl Fn(&Path) -> Result<()> + Send + 'static) {
        let test = self.place.test(move |private| {
            let dir = private.bpffs().join("test");
            std::fs::create_dir(&dir).context("make a directory in the bpffs")?;
            let done = test(&dir);
            let left = pins_below(&dir);
            std::fs::remove_dir_all(&dir).context("empty the bpffs")?;
            done?;
            ensure!(mapped().is_empty(), "still mapped: {:?}", mapped());
            ensure!(left.is_empty(), "still pinned: {left:?}");
            Ok(())
        });
        self.suite.add(name, test);
    }
}

/// Everything below a directory that is none itself.
pub(crate) fn pins_below(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let Ok(entries) = std::fs::read_dir(dir) else {
        return found;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(pins_below(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The names of the files in a directory.
pub(crate) fn names_in(dir: &Path) -> Vec<String> {
    let paths = pins_below(dir);
    let name = |path: &PathBuf| path.file_name().map(|n| n.to_string_lossy().into_owned());
    paths.iter().filter_map(name).collect()
}

/// Mappings of maps in this process.
fn mapped() -> Vec<String> {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let of_maps = maps.lines().filter(|line| line.contains("bpf-map"));
    of_maps.map(str::to_owned).collect()
}

/// The object of a fixture.
pub(crate) fn open(name: &str) -> Result<Object> {
    let path = fixture(&format!("bpf/{name}.bpf.o"));
    loader::open(&path).with_context(|| format!("open {name}"))
}

/// Options with everything below a directory.
pub(crate) fn options(dir: &Path) -> LoadOptions {
    LoadOptions::new().pin_root(dir)
}

/// Is the running kernel older than this?
pub(crate) fn older_than(version: (u16, u16)) -> Result<bool> {
    let running = KernelVersion::running()?;
    Ok((running.major, running.minor) < version)
}

/// What a program of a fixture returns when it is run on a packet of 64 bytes, or on nothing.
pub(crate) fn run(loaded: &Loaded, program: &str) -> Result<u32> {
    use bpfsys::cmd::ProgTestRun;
    let found = loaded.program(program).context("the program")?;
    let fd = found.fd().context("its descriptor")?;
    let packet = [0; 64];
    let request = ProgTestRun::new(fd);
    let request = match found.prog_type() {
        ProgType::SYSCALL | ProgType::RAW_TRACEPOINT | ProgType::TRACING => request,
        _ => request.data_in(&packet),
    };
    let ran = request.run().with_context(|| format!("run {program}"))?;
    Ok(ran.retval)
}

/// A plan, part by part.
pub(crate) struct Parts {
    pub(crate) plan: LoadPlan,
}

/// A map of this type with keys of four bytes.
pub(crate) fn spec(map_type: MapType, value_size: u32, max_entries: u32) -> MapSpec {
    MapSpec::new(map_type, 4, value_size, max_entries)
}

impl Parts {
    pub(crate) fn new() -> Self {
        Self {
            plan: LoadPlan {
                object: "plan".into(),
                endian: btf::Endian::NATIVE,
                license: b"GPL".to_vec(),
                kern_version: 0,
                btf: None,
                modules: Vec::new(),
                maps: Vec::new(),
                programs: Vec::new(),
                downgrades: Vec::new(),
                notes: Vec::new(),
            },
        }
    }

    /// One more map, made by nothing but its type and sizes; its index.
    pub(crate) fn map(&mut self, name: &str, kind: MapType, value: u32, entries: u32) -> usize {
        let at = self.plan.maps.len();
        self.plan.maps.push(MapPlan {
            map: MapIdx(u32::try_from(at).unwrap_or(u32::MAX)),
            name: name.to_owned(),
            symbol: name.to_owned(),
            action: MapAction::Create,
            spec: spec(kind, value, entries),
            inner: None,
            slots: Vec::new(),
            value: None,
            freeze: false,
            pinning: Pinning::None,
            pin_path: None,
            struct_ops: None,
            arena_data: None,
            exclusive: None,
        });
        at
    }

    /// One more array of one element; its index.
    pub(crate) fn array(&mut self, name: &str, value: u32) -> usize {
        self.map(name, MapType::ARRAY, value, 1)
    }

    /// One more program on packets.
    pub(crate) fn program(&mut self, name: &str, text: &str) -> Result<()> {
        let index = ProgIdx(u32::try_from(self.plan.programs.len())?);
        self.plan.programs.push(ProgPlan {
            prog: index,
            name: name.to_owned(),
            named: true,
            section: "tc".into(),
            prog_type: ProgType::SCHED_CLS,
            expected_attach_type: None,
            flags: ProgLoadFlags::empty(),
            ifindex: 0,
            insns: asm(text)?,
            operands: Vec::new(),
            fd_array: Vec::new(),
            func_info: Vec::new(),
            line_info: Vec::new(),
            attach: AttachPlan::None,
            jump_tables: Vec::new(),
            bind: Vec::new(),
            log_level: None,
            parts: Vec::new(),
            core: Vec::new(),
            poisoned: Vec::new(),
            externs: Vec::new(),
        });
        Ok(())
    }
}
