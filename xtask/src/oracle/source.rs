//! Fetching the part of the kernel source that bpftool is built from.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::apt::{self, Mirror};
use crate::ctx::Ctx;
use crate::run;

/// What of the kernel tree bpftool's build reads: 6 MB of 1.7 GB.
const SUBTREES: &[&str] = &[
    "tools/bpf/bpftool",
    "tools/lib",
    "tools/include",
    "tools/build",
    "tools/scripts",
    "tools/arch",
    "kernel/bpf/disasm.c",
    "kernel/bpf/disasm.h",
    "scripts/bpf_doc.py",
];

/// Suites that may carry the source of a kernel new enough, newest first.
const SUITES: &[&str] = &["sid", "testing"];

/// The root of a source tree that builds the wanted version; fetched once.
pub(super) fn obtain(ctx: &Ctx, dir: &Path) -> Result<PathBuf> {
    let tree = dir.join("source");
    if is_wanted(&tree) {
        return Ok(tree);
    }
    let mirror = apt::mirror()
        .context("apt is configured with no Debian mirror to fetch the kernel source from")?;
    let mut refused = Vec::new();
    for suite in SUITES {
        let apt = match PrivateApt::new(ctx, dir, &mirror, suite) {
            Ok(apt) => apt,
            Err(e) => {
                refused.push(format!("{suite}: {e:#}"));
                continue;
            }
        };
        for package in apt.source_packages()? {
            println!("   fetching {package} of {suite}");
            let deb = apt.download(&package)?;
            let extracted = extract(ctx, &deb, &package, &tree);
            fs::remove_file(&deb).context("remove the package after use")?;
            extracted?;
            if is_wanted(&tree) {
                return Ok(tree);
            }
            refused.push(format!("{package} of {suite} carries another bpftool"));
        }
    }
    bail!(
        "no kernel source with bpftool {}: {}",
        super::VERSION,
        refused.join("; ")
    )
}

/// bpftool's version is libbpf's plus 6.0, and is written nowhere else.
fn is_wanted(tree: &Path) -> bool {
    let Ok(text) = fs::read_to_string(tree.join("tools/lib/bpf/libbpf_version.h")) else {
        return false;
    };
    let number = |name: &str| -> Option<u32> {
        text.lines().find_map(|l| {
            l.strip_prefix("#define ")?
                .strip_prefix(name)?
                .trim()
                .parse()
                .ok()
        })
    };
    let (Some(major), Some(minor)) = (
        number("LIBBPF_MAJOR_VERSION"),
        number("LIBBPF_MINOR_VERSION"),
    ) else {
        return false;
    };
    format!("{}.{minor}", major.saturating_add(6)) == super::VERSION
}

/// apt with lists, cache and sources of its own: nothing of the system's apt changes.
struct PrivateApt<'a> {
    ctx: &'a Ctx,
    dir: PathBuf,
}

impl<'a> PrivateApt<'a> {
    fn new(ctx: &'a Ctx, dir: &Path, mirror: &Mirror, suite: &str) -> Result<Self> {
        let dir = dir.join("apt").join(suite);
        for sub in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(dir.join(sub)).context("make a private apt directory")?;
        }
        let mut text = format!(
            "Types: deb\nURIs: {}\nSuites: {suite}\nComponents: main\n",
            mirror.uri
        );
        if let Some(key) = &mirror.signed_by {
            text.push_str(&format!("Signed-By: {key}\n"));
        }
        fs::write(dir.join("private.sources"), text).context("write a private apt source")?;
        let apt = Self { ctx, dir };
        run::must(
            apt.command("apt-get").arg("update"),
            &ctx.log(&format!("oracle-apt-{suite}")),
        )?;
        Ok(apt)
    }

    fn command(&self, program: &str) -> Command {
        let mut cmd = Command::new(program);
        let path = |sub: &str| self.dir.join(sub).display().to_string();
        for option in [
            format!("Dir::Etc::sourcelist={}", path("private.sources")),
            "Dir::Etc::sourceparts=/dev/null".to_owned(),
            format!("Dir::State::lists={}", path("lists")),
            format!("Dir::Cache={}", path("cache")),
            "Acquire::Languages=none".to_owned(),
            "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false".to_owned(),
            "APT::Sandbox::User=".to_owned(),
            "APT::Update::Post-Invoke::=true".to_owned(),
        ] {
            cmd.args(["-o", &option]);
        }
        cmd
    }

    /// Names like `linux-source-7.2`, newest first.
    fn source_packages(&self) -> Result<Vec<String>> {
        let said = run::stdout_of(self.command("apt-cache").args([
            "search",
            "--names-only",
            "^linux-source-[0-9.]+$",
        ]))?;
        let mut found: Vec<(Vec<u32>, String)> = said
            .lines()
            .filter_map(|l| l.split_whitespace().next())
            .filter_map(|name| {
                let numbers = name.strip_prefix("linux-source-")?;
                let key: Option<Vec<u32>> = numbers.split('.').map(|n| n.parse().ok()).collect();
                Some((key?, name.to_owned()))
            })
            .collect();
        found.sort();
        Ok(found.into_iter().rev().map(|(_, name)| name).collect())
    }

    fn download(&self, package: &str) -> Result<PathBuf> {
        let mut cmd = self.command("apt-get");
        cmd.args(["download", package]).current_dir(&self.dir);
        run::must(&mut cmd, &self.ctx.log("oracle-download"))?;
        fs::read_dir(&self.dir)
            .context("read the download directory")?
            .flatten()
            .map(|e| e.path())
            .find(|p| p.extension().is_some_and(|e| e == "deb"))
            .with_context(|| format!("apt-get download {package} left no package"))
    }
}

/// Unpacks the wanted subtrees; the 1.7 GB around them never touch the disk.
fn extract(ctx: &Ctx, deb: &Path, package: &str, tree: &Path) -> Result<()> {
    let partial = tree.with_extension("partial");
    for old in [tree, &partial] {
        if old.exists() {
            fs::remove_dir_all(old).with_context(|| format!("remove {}", old.display()))?;
        }
    }
    fs::create_dir_all(&partial).with_context(|| format!("create {}", partial.display()))?;
    let script = "set -eo pipefail; \
        dpkg-deb --fsys-tarfile \"$1\" | tar -xO \"./usr/src/$2.tar.xz\" \
        | xz -dc -T0 | tar -x -C \"$3\" --strip-components=1 \"${@:4}\"";
    let mut cmd = Command::new("bash");
    cmd.args(["-c", script, "extract"])
        .arg(deb)
        .arg(package)
        .arg(&partial);
    cmd.args(SUBTREES.iter().map(|s| format!("{package}/{s}")));
    run::must(&mut cmd, &ctx.log("oracle-extract"))?;
    fs::rename(&partial, tree).context("move the extracted source into place")
}
