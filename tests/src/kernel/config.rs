//! The configuration the running kernel was built with.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use flate2::read::MultiGzDecoder;

/// Configurations are some 300 KiB.
const LIMIT: u64 = 16 << 20;

/// The options that are built in.
#[derive(Debug, Default, Clone)]
pub struct KernelConfig(BTreeSet<String>);

impl KernelConfig {
    /// That of the running kernel: `/proc/config.gz`, or the file that distributions install
    /// beside the kernel or its modules.
    ///
    /// # Errors
    ///
    /// If there is none of them, or it cannot be read or has no options.
    pub fn running() -> Result<Self> {
        let release = std::fs::read_to_string("/proc/sys/kernel/osrelease")
            .context("read the kernel's release")?;
        let release = release.trim();
        let places = [
            PathBuf::from("/proc/config.gz"),
            Path::new("/boot").join(format!("config-{release}")),
            Path::new("/lib/modules").join(release).join("config"),
        ];
        let path = places
            .iter()
            .find(|path| path.exists())
            .with_context(|| format!("no configuration of Linux {release}"))?;
        let file = File::open(path).with_context(|| format!("open {}", path.display()))?;
        let mut text = String::new();
        if path.extension().is_some_and(|e| e == "gz") {
            MultiGzDecoder::new(file)
                .take(LIMIT)
                .read_to_string(&mut text)
        } else {
            file.take(LIMIT).read_to_string(&mut text)
        }
        .with_context(|| format!("read {}", path.display()))?;
        let config = Self::parse(&text);
        ensure!(
            config.is_set("BPF_SYSCALL"),
            "{} does not set CONFIG_BPF_SYSCALL, yet there is bpf()",
            path.display()
        );
        Ok(config)
    }

    /// Reads `CONFIG_X=y` lines; all others are comments, numbers, texts or modules, which may be
    /// loaded or not.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let names = text.lines().filter_map(|line| {
            let name = line.trim().strip_prefix("CONFIG_")?.strip_suffix("=y")?;
            Some(name.to_owned())
        });
        Self(names.collect())
    }

    /// Is `CONFIG_` + `name` built in?
    #[must_use]
    pub fn is_set(&self, name: &str) -> bool {
        self.0.contains(name)
    }
}

#[cfg(test)]
mod tests {
    use super::KernelConfig;

    #[test]
    fn only_what_is_built_in_is_set() {
        let text = "# CONFIG_C is not set\nCONFIG_A=y\nCONFIG_B=m\nCONFIG_D=\"y\"\n CONFIG_E=y \n";
        let config = KernelConfig::parse(text);
        let set = |name| config.is_set(name);
        assert!(set("A") && set("E"));
        assert!(!set("B") && !set("C") && !set("D") && !set("F"));
    }
}
