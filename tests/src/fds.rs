//! Finding leaked file descriptors by what `/proc/self/fd` shows.

use std::collections::BTreeMap;
use std::fs;

/// The open descriptors of this process and what each refers to.
///
/// The descriptor used for reading the directory is not among them.
#[must_use]
pub fn fd_targets() -> BTreeMap<i32, String> {
    let Ok(dir) = fs::read_dir("/proc/self/fd") else {
        return BTreeMap::new();
    };
    let numbers: Vec<i32> = dir
        .flatten()
        .filter_map(|e| e.file_name().to_str()?.parse().ok())
        .collect();
    // The directory is closed now, so its own number no longer resolves.
    numbers
        .into_iter()
        .filter_map(|n| {
            let target = fs::read_link(format!("/proc/self/fd/{n}")).ok()?;
            Some((n, target.to_string_lossy().into_owned()))
        })
        .collect()
}

/// The descriptors open at one moment.
#[derive(Debug)]
pub struct FdSnapshot(BTreeMap<i32, String>);

impl FdSnapshot {
    /// Those open now.
    #[must_use]
    pub fn take() -> Self {
        Self(fd_targets())
    }

    /// Fails if any descriptor is open that was not, listing what it refers to.
    ///
    /// # Errors
    ///
    /// Names every leaked descriptor and its target.
    pub fn check(&self) -> anyhow::Result<()> {
        let leaked: Vec<String> = fd_targets()
            .into_iter()
            .filter(|(n, target)| self.0.get(n) != Some(target))
            .map(|(n, target)| format!("{n} -> {target}"))
            .collect();
        anyhow::ensure!(leaked.is_empty(), "left open: {}", leaked.join(", "));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::FdSnapshot;

    #[test]
    fn an_open_file_is_a_leak_until_it_is_closed() {
        let before = FdSnapshot::take();
        let file = std::fs::File::open("/proc/self/status").expect("readable");
        let said = before.check().expect_err("a file is open").to_string();
        assert!(said.contains("status"), "{said}");
        drop(file);
        // Other tests of this process may have files open at this moment, so
        // only this one's is looked for.
        if let Err(e) = before.check() {
            assert!(!e.to_string().contains("status"), "{e}");
        }
    }
}
