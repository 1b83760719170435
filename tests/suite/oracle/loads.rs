//! The same object loaded by both: what is in the kernel afterwards must be the same.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use nix::mount::{MsFlags, mount};
use rbpftool_tests::loaded::{clear, pinned};
use rbpftool_tests::{Output, Private, fixture, run, tool_path};

/// Where both look for maps that are shared by name.
const BY_NAME: &str = "/sys/fs/bpf";

/// An object, and more words for `prog loadall`.
///
/// `DIR` in the words is a directory of maps that are there already.
pub(crate) const LOADS: &[(&str, &str)] = &[
    ("minimal", ""),
    ("subprogs", ""),
    ("maps", ""),
    ("inner_maps", ""),
    ("tail_calls", ""),
    ("pinned", ""),
    ("static_map", ""),
    ("legacy_maps", ""),
    ("data", ""),
    ("static_data", ""),
    ("strings", ""),
    ("resizable", ""),
    ("kconfig", ""),
    ("ksyms", ""),
    ("ksyms_typed", ""),
    ("kfuncs", ""),
    ("sections_net", ""),
    ("sections_cgroup", ""),
    ("sections_trace", ""),
    ("sections_probe", ""),
    ("sections_probe_multi", ""),
    ("sections_btf", ""),
    ("sections_off", ""),
    ("sections_odd", ""),
    ("map_kinds", ""),
    ("stack_traces", ""),
    ("storages", ""),
    ("arena", ""),
    ("arena_plain", ""),
    ("struct_ops", ""),
    ("struct_ops_off", ""),
    ("struct_ops_dummy", ""),
    ("core_kernel", ""),
    ("core_files", ""),
    ("arg_tags", ""),
    ("exceptions", ""),
    ("target", ""),
    ("license_none", ""),
    ("license_long", ""),
    ("license_other", ""),
    ("version", ""),
    ("link_a.linked", ""),
];

/// Two tools, and a place for each to load in.
pub(crate) struct Loads {
    tools: [PathBuf; 2],
    top: PathBuf,
}

impl Loads {
    pub(crate) fn new(theirs: &Path, private: &Private) -> Result<Self> {
        let none: Option<&str> = None;
        // this mount namespace is ours alone
        mount(Some("bpf"), BY_NAME, Some("bpf"), MsFlags::empty(), none)
            .context("mount a bpf file system of our own where maps are shared")?;
        Ok(Self {
            tools: [tool_path()?, theirs.to_owned()],
            top: private.bpffs().join("loads"),
        })
    }

    /// Loads an object with both and compares.
    pub(crate) fn check(&self, object: &str, words: &str) -> Result<()> {
        let [ours, theirs] = &self.tools;
        let (a, b) = (self.load(ours, object, words)?, self.load(theirs, object, words)?);
        ensure!(
            a.0.status == b.0.status,
            "status: ours {}, bpftool's {}\n  ours {}{}\n  bpftool {}",
            a.0.status,
            b.0.status,
            a.0.out(),
            a.0.err(),
            b.0.err()
        );
        let (a, b) = (a.1, b.1);
        let (paths, others): (Vec<_>, Vec<_>) = (a.keys().collect(), b.keys().collect());
        ensure!(paths == others, "pins: ours {paths:?}, bpftool's {others:?}");
        for ((path, ours), theirs) in a.iter().zip(b.values()) {
            let mut lines = ours.lines().zip(theirs.lines()).enumerate();
            if let Some((n, (ours, theirs))) = lines.find(|(_, (a, b))| a != b) {
                bail!("{path}, line {n}:\n     ours {ours}\n  bpftool {theirs}");
            }
            ensure!(
                ours == theirs,
                "{path}: ours has {} lines, bpftool's {}",
                ours.lines().count(),
                theirs.lines().count()
            );
        }
        Ok(())
    }

    fn load(
        &self,
        tool: &Path,
        object: &str,
        words: &str,
    ) -> Result<(Output, std::collections::BTreeMap<String, String>)> {
        self.clear()?;
        std::fs::create_dir(&self.top).context("make a directory for pins")?;
        let mut cmd = Command::new(tool);
        cmd.args(["prog", "loadall"])
            .arg(fixture(&format!("bpf/{object}.bpf.o")))
            .arg(self.top.join("progs"))
            .arg("pinmaps")
            .arg(self.top.join("maps"))
            .args(words.split_whitespace());
        let out = run(&mut cmd, b"")?;
        let mut left = pinned(&self.top)?;
        for (path, what) in pinned(Path::new(BY_NAME))? {
            left.insert(format!("{BY_NAME}/{path}"), what);
        }
        self.clear()?;
        Ok((out, left))
    }

    fn clear(&self) -> Result<()> {
        clear(&self.top, true)?;
        clear(Path::new(BY_NAME), false)
    }
}
