//! The same object loaded by both: what is in the kernel afterwards must be the same.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use rbpftool_tests::loaded::{BY_NAME, Left, clear, files, mount_by_name, pinned, same};
use rbpftool_tests::{Output, Private, ensure_eq, fixture, requires, run, tool_path};

/// An object, and more words for `prog loadall`; `FIRST` among them makes it `prog load`.
pub(crate) struct Load {
    object: &'static str,
    words: &'static str,
    expect: Expect,
}

/// What the two make of it.
enum Expect {
    /// The same.
    Same,
    /// The same, but for a byte of the element of a pinned map: why.
    SameBut(&'static str, usize, &'static str),
    /// Neither loads it.
    Refused,
    /// Both load it and leave the same, or neither does: it depends on the kernel.
    Either,
    /// The same on this kernel and newer ones; before, either.
    SameSince(u16, u16),
    /// The same on this kernel and newer ones; the reference pins what older ones do not attach.
    Newer(u16, u16),
    /// The reference does not load it, for a reason that is its own.
    OursOnly(&'static str),
}

use Expect::{Either, Newer, OursOnly, Refused, Same, SameBut, SameSince};

/// Pins the first program alone.
const FIRST: &str = "FIRST";

const fn load(object: &'static str, words: &'static str, expect: Expect) -> Load {
    Load {
        object,
        words,
        expect,
    }
}

pub(crate) const LOADS: &[Load] = &[
    load("minimal", "pinmaps MAPS", Same),
    load("subprogs", "pinmaps MAPS", Same),
    load("maps", "pinmaps MAPS", Same),
    load("inner_maps", "pinmaps MAPS", Same),
    load("tail_calls", "pinmaps MAPS", Same),
    load("data", "pinmaps MAPS", Same),
    load("static_data", "pinmaps MAPS", Same),
    load("strings", "pinmaps MAPS", Same),
    load("resizable", "pinmaps MAPS", Same),
    load("ksyms", "pinmaps MAPS", Same),
    load("kfuncs", "pinmaps MAPS", Same),
    load("sections_net", "pinmaps MAPS", Same),
    load("sections_cgroup", "pinmaps MAPS", Same),
    load("sections_trace", "pinmaps MAPS", Same),
    load("sections_probe", "pinmaps MAPS", Same),
    load("sections_probe_multi", "pinmaps MAPS", Same),
    load("sections_btf", "pinmaps MAPS", Same),
    load("map_kinds", "pinmaps MAPS", Same),
    load("stack_traces", "pinmaps MAPS", Same),
    load("storages", "pinmaps MAPS", Same),
    load("arena", "pinmaps MAPS", Same),
    load("arena_plain", "pinmaps MAPS", Same),
    load("struct_ops", "pinmaps MAPS", Same),
    load("struct_ops_dummy", "pinmaps MAPS", Same),
    load("core_kernel", "pinmaps MAPS", Same),
    load("core_files", "pinmaps MAPS", Same),
    load("arg_tags", "pinmaps MAPS", Same),
    load("exceptions", "pinmaps MAPS", Same),
    load("target", "pinmaps MAPS", Same),
    load("license_none", "pinmaps MAPS", Same),
    load("license_long", "pinmaps MAPS", Same),
    load("license_other", "pinmaps MAPS", Same),
    load("version", "pinmaps MAPS", Same),
    load("link_a.linked", "pinmaps MAPS", Same),
    load("callbacks", "pinmaps MAPS", Same),
    load("instructions", "pinmaps MAPS", Same),
    load("btf_kinds", "pinmaps MAPS", Same),
    load("core_direct", "pinmaps MAPS", Same),
    load("core_packet", "pinmaps MAPS", Same),
    load("probe_reads", "pinmaps MAPS", Same),
    load("no_btf", "pinmaps MAPS", Same),
    load("map_extra", "pinmaps MAPS", Same),
    // what they call may be in a module that is not there
    load("module", "FIRST pinmaps MAPS", Either),
    load("sections_trampoline", "pinmaps MAPS", SameSince(7, 2)),
    load("sections_trampoline", "autoattach", SameSince(7, 2)),
    load("sections_session", "pinmaps MAPS", SameSince(7, 2)),
    load("sections_session", "autoattach", SameSince(7, 2)),
    load("sections_tracing_multi", "pinmaps MAPS", SameSince(7, 2)),
    load("sections_trace_sleepable", "pinmaps MAPS", SameSince(7, 2)),
    load("sched_ext", "pinmaps MAPS", SameSince(7, 2)),
    load("jump_tables", "pinmaps MAPS", SameSince(7, 2)),
    load("map_kinds_new", "pinmaps MAPS", SameSince(7, 2)),
    // nobody tells of which program
    load("replaces", "", Refused),
    load("traces_program", "", Refused),
    load("sections_btf", "autoattach", Same),
    load("autoattach", "autoattach", Same),
    load("autoattach_multi", "autoattach", Newer(6, 13)),
    load(
        "autoattach_usdt",
        "autoattach",
        OursOnly("its links of static probes have no descriptor to pin"),
    ),
    load("minimal", "type tc", Same),
    load("minimal", "type cgroup/connect4", Refused),
    load("target", "type socket", Same),
    load("maps", "", Same),
    load("pinned", "", Same),
    load("pinned", "pinmaps MAPS", Refused),
    load(
        "kconfig",
        "pinmaps MAPS",
        SameBut(
            "loads/maps/kconfig_kconfig",
            39,
            "LINUX_HAS_SYSCALL_WRAPPER: the reference asks with a kprobe, which may be missing",
        ),
    ),
    // not every kernel tells where its variables are
    load("ksyms_typed", "pinmaps MAPS", Either),
    load("static_map", "pinmaps MAPS", Refused),
    load("sections_odd", "pinmaps MAPS", Refused),
    load("err_core", "", Refused),
    load("err_kfunc", "", Refused),
    load("err_ksym", "", Refused),
    load("err_kconfig", "", Refused),
    load("err_section", "", Refused),
    load("err_verifier", "", Refused),
    load("err_map", "", Refused),
    load("err_license", "", Refused),
    load(
        "legacy_maps",
        "pinmaps MAPS",
        OursOnly("libbpf 1.0 gave the form up"),
    ),
    load(
        "sections_off",
        "pinmaps MAPS",
        OursOnly("it wants to pin programs that are not loaded"),
    ),
    load(
        "struct_ops_off",
        "pinmaps MAPS",
        OursOnly("it wants to pin programs that are not loaded"),
    ),
];

/// The command lines that are compared here, as rules see them.
pub(crate) fn lines() -> Vec<String> {
    let register = "struct_ops register OBJ DIR".to_owned();
    let loads = LOADS
        .iter()
        .map(|load| format!("prog {} {} DIR {}", load.command(), load.object, load.words));
    loads.chain([register]).collect()
}

impl Load {
    /// Do its programs run whenever the kernel does something?
    fn attaches_everywhere(&self) -> bool {
        self.words == "autoattach"
    }

    fn command(&self) -> &'static str {
        if self.words.starts_with(FIRST) {
            "load"
        } else {
            "loadall"
        }
    }

    pub(crate) fn name(&self) -> String {
        format!("load::{} {}", self.object, self.words)
            .trim_end()
            .to_owned()
    }
}

/// Two tools, and a place for each to load in.
pub(crate) struct Loads {
    tools: [PathBuf; 2],
    /// The reference takes dots out of the whole path of a pin: there must be none above.
    top: PathBuf,
}

impl Loads {
    /// In a mount namespace of our own.
    pub(crate) fn new(theirs: &Path, private: &Private) -> Result<Self> {
        mount_by_name(private)?;
        Ok(Self {
            tools: [tool_path()?, theirs.to_owned()],
            top: Path::new(BY_NAME).join("loads"),
        })
    }

    /// Loads an object with both and compares.
    pub(crate) fn check(&self, load: &Load) -> Result<()> {
        requires!(
            !load.attaches_everywhere() || std::env::var_os("RBPF_GUEST").is_some(),
            "its programs are attached to the kernel itself: guests only"
        );
        let running = bpfsys::KernelVersion::running()?;
        let running = (running.major, running.minor);
        if let Newer(major, minor) = load.expect {
            requires!(running >= (major, minor), "needs Linux {major}.{minor}");
        }
        let [ours, theirs] = &self.tools;
        let (ours, a) = self.load(ours, load)?;
        let (theirs, b) = self.load(theirs, load)?;
        let said = format!(
            "  ours {}{}\n  bpftool {}",
            ours.out(),
            ours.err(),
            theirs.err()
        );
        // the objects are for 6.18: what both refuse on an older kernel tells nothing
        if matches!(load.expect, Same | SameBut(..) | OursOnly(_)) {
            neither_if_older(&ours, &theirs)?;
        }
        let (expect_ours, expect_theirs) = match load.expect {
            SameSince(major, minor) if running < (major, minor) => (theirs.status, theirs.status),
            Either => (theirs.status, theirs.status),
            Same | SameBut(..) | SameSince(..) | Newer(..) => (0, 0),
            Refused => (255, 255),
            OursOnly(why) => {
                ensure!(theirs.status == 255, "no longer so: {why}\n{said}");
                (0, 255)
            }
        };
        ensure_eq!(
            (ours.status, theirs.status),
            (expect_ours, expect_theirs),
            "{said}"
        );
        ensure!(
            ours.status == 0 || a.is_empty(),
            "ours leaves {:?}",
            a.keys()
        );
        ensure!(ours.status != 0 || !a.is_empty(), "ours pins nothing");
        match load.expect {
            Refused | OursOnly(_) => Ok(()),
            Same | Either | SameSince(..) | Newer(..) => same(&a, &b),
            SameBut(pin, byte, why) => {
                same(&without(&a, pin, byte)?, &without(&b, pin, byte)?).context(why)
            }
        }
    }

    /// Registers a set of operations with both: what they say but for numbers, and what is pinned.
    pub(crate) fn register(&self) -> Result<()> {
        let (mut answers, mut outs) = (Vec::new(), Vec::new());
        for tool in &self.tools {
            self.clear()?;
            let mut cmd = Command::new(tool);
            cmd.args(["struct_ops", "register"])
                .arg(fixture("bpf/struct_ops.bpf.o"))
                .arg(&self.top);
            let out = run(&mut cmd, b"")?;
            outs.push(out.clone());
            let pins = files(Path::new(BY_NAME))?;
            self.clear()?;
            let mut cmd = Command::new(tool);
            cmd.args(["struct_ops", "unregister", "name", "kept"]);
            let gone = run(&mut cmd, b"")?;
            let lines = |out: &Output| -> Vec<String> {
                let text = out.err();
                let own = text.lines().filter(|line| !line.starts_with("libbpf: "));
                let word = |word: &str| match word.parse::<u32>() {
                    Ok(_) => "N".to_owned(),
                    Err(_) => word.to_owned(),
                };
                let line = |line: &str| line.split(' ').map(word).collect::<Vec<_>>().join(" ");
                own.map(line).collect()
            };
            let (said, later) = (lines(&out), lines(&gone));
            answers.push((out.status, said, pins, gone.status, later));
        }
        if let [ours, theirs] = &outs[..] {
            neither_if_older(ours, theirs)?;
        }
        ensure_eq!(answers.first(), answers.last());
        let pins = answers.first().map(|answer| answer.2.len());
        // before Linux 6.4 there are no such links, and then both say so
        ensure!(pins.is_some_and(|pins| pins <= 1), "{answers:?}");
        Ok(())
    }

    fn load(&self, tool: &Path, load: &Load) -> Result<(Output, Left)> {
        self.clear()?;
        std::fs::create_dir(&self.top).context("make a directory for pins")?;
        let mut cmd = Command::new(tool);
        cmd.args(["prog", load.command()])
            .arg(fixture(&format!("bpf/{}.bpf.o", load.object)))
            .arg(self.top.join("progs"));
        for word in load.words.split_whitespace() {
            match word {
                FIRST => &mut cmd,
                "MAPS" => cmd.arg(self.top.join("maps")),
                word => cmd.arg(word),
            };
        }
        let out = run(&mut cmd, b"")?;
        let left = pinned(Path::new(BY_NAME))?;
        self.clear()?;
        Ok((out, left))
    }

    fn clear(&self) -> Result<()> {
        clear(Path::new(BY_NAME), false)
    }
}

/// Without a byte of the last element of a map, here and where programs use it.
fn without(left: &Left, pin: &str, byte: usize) -> Result<Left> {
    let element = left.get(pin).and_then(|text| text.lines().last());
    let element = element.with_context(|| format!("{pin} has no element"))?;
    let (key, value) = element.rsplit_once(": ").context("no element")?;
    let mut bytes: Vec<&str> = value.split(' ').collect();
    *bytes.get_mut(byte).context("a byte behind its end")? = "??";
    let blurred = format!("{key}: {}", bytes.join(" "));
    Ok(left
        .iter()
        .map(|(path, text)| (path.clone(), text.replace(element, &blurred)))
        .collect())
}

/// Ends a test as skipped where both refuse what an older kernel than that of the objects lacks.
fn neither_if_older(ours: &Output, theirs: &Output) -> Result<()> {
    let running = bpfsys::KernelVersion::running()?;
    let is_older = (running.major, running.minor) < (6, 18);
    requires!(
        !is_older || ours.status != 255 || theirs.status != 255,
        "neither tool loads it here: {}",
        ours.err().lines().next().unwrap_or_default()
    );
    Ok(())
}
