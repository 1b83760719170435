//! Fetching the part of the kernel source that bpftool is built from.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::apt::{self, PrivateApt};
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
        for package in source_packages(&apt)? {
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

/// Names like `linux-source-7.2`, newest first.
fn source_packages(apt: &PrivateApt<'_>) -> Result<Vec<String>> {
    let mut found: Vec<(Vec<u32>, String)> = apt
        .search("^linux-source-[0-9.]+$")?
        .into_iter()
        .filter_map(|name| {
            let numbers = name.strip_prefix("linux-source-")?;
            let key: Option<Vec<u32>> = numbers.split('.').map(|n| n.parse().ok()).collect();
            Some((key?, name))
        })
        .collect();
    found.sort();
    Ok(found.into_iter().rev().map(|(_, name)| name).collect())
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
