//! Kernel modules and what each needs to be loaded before it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

/// What the tests can use, where a kernel has it as a module and not built in.
pub(super) const WANTED: &[&str] = &[
    "veth",
    "dummy",
    "netkit",
    "ifb",
    "sch_ingress",
    "cls_bpf",
    "act_bpf",
    "nf_defrag_ipv4",
    "nf_defrag_ipv6",
    "nf_conntrack",
    "tcp_bbr",
    "tcp_dctcp",
    "tun",
    "rc-core",
    "rc-loopback",
    "uhid",
    "hid",
    "hid-generic",
];

/// The modules below a directory, by the name the kernel gives them.
#[derive(Debug)]
pub(super) struct Modules(BTreeMap<String, PathBuf>);

/// File names may have dashes where the kernel has underscores.
fn kernel_name(name: &str) -> String {
    name.replace('-', "_")
}

impl Modules {
    pub(super) fn find(top: &Path) -> Result<Self> {
        let mut found = BTreeMap::new();
        let mut dirs = vec![top.to_owned()];
        while let Some(dir) = dirs.pop() {
            let entries = fs::read_dir(&dir).with_context(|| format!("read {}", dir.display()))?;
            for entry in entries.flatten() {
                let kind = entry.file_type().context("look at a module")?;
                let name = entry.file_name().to_string_lossy().into_owned();
                if kind.is_dir() {
                    dirs.push(entry.path());
                } else if let Some((stem, "" | ".xz" | ".zst")) = name.split_once(".ko") {
                    found.insert(kernel_name(stem), entry.path());
                }
            }
        }
        Ok(Self(found))
    }

    /// Their names and files, by name.
    pub(super) fn files(&self) -> impl Iterator<Item = (&str, &Path)> {
        self.0
            .iter()
            .map(|(name, path)| (name.as_str(), path.as_path()))
    }

    /// `wanted` with all they need, each after what it needs; names that this
    /// kernel has not as a module are left out.
    pub(super) fn closure(&self, wanted: &[&str]) -> Result<Vec<(String, Vec<u8>)>> {
        let mut out: Vec<(String, Vec<u8>)> = Vec::new();
        for name in wanted {
            self.add(&kernel_name(name), &mut out, 0)?;
        }
        Ok(out)
    }

    fn add(&self, name: &str, out: &mut Vec<(String, Vec<u8>)>, depth: usize) -> Result<()> {
        let Some(path) = self.0.get(name) else {
            return Ok(());
        };
        if out.iter().any(|(have, _)| have == name) {
            return Ok(());
        }
        if depth > 32 {
            bail!("the modules needed by {name} go round in a circle");
        }
        let bytes = unpacked(path)?;
        for needed in depends(&bytes) {
            self.add(&kernel_name(needed), out, depth + 1)?;
        }
        out.push((name.to_owned(), bytes));
        Ok(())
    }
}

/// A module's bytes.
pub(super) fn unpacked(path: &Path) -> Result<Vec<u8>> {
    let program = match path.extension().and_then(|e| e.to_str()) {
        Some("xz") => "xz",
        Some("zst") => "zstd",
        _ => return fs::read(path).with_context(|| format!("read {}", path.display())),
    };
    let out = Command::new(program)
        .arg("-dc")
        .arg(path)
        .output()
        .with_context(|| format!("start {program}"))?;
    if !out.status.success() {
        bail!("{program} cannot unpack {}", path.display());
    }
    Ok(out.stdout)
}

/// The names in the `depends=` of a module's `.modinfo`.
fn depends(module: &[u8]) -> Vec<&str> {
    // The strings of that section end with a zero; nothing else in a module
    // has one of them after a zero.
    let key = b"\0depends=";
    let Some(at) = module.windows(key.len()).position(|w| w == key) else {
        return Vec::new();
    };
    let rest = &module[at + key.len()..];
    let end = rest.iter().position(|b| *b == 0).unwrap_or(0);
    std::str::from_utf8(&rest[..end])
        .unwrap_or_default()
        .split(',')
        .filter(|s| !s.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::depends;

    #[test]
    fn dependencies_are_read_from_the_module() {
        assert_eq!(depends(b"junk\0depends=a,b-c\0name=x\0"), vec!["a", "b-c"]);
        assert!(depends(b"junk\0depends=\0").is_empty());
        assert!(depends(b"none").is_empty());
    }
}
