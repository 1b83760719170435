//! Paths in bpf file systems.

use super::KernelError;
use super::error::Pinned;
use bpfsys::cmd::ObjPin;
use nix::sys::statfs::{BPF_FS_MAGIC, statfs};
use std::fs::DirBuilder;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// NewPins and directories that go away again unless they are kept.
#[derive(Debug, Default)]
pub struct NewPins {
    pins: Vec<PathBuf>,
    directories: Vec<PathBuf>,
}

impl NewPins {
    /// Takes charge of a pin that was made.
    pub fn add(&mut self, pin: PathBuf) {
        self.pins.push(pin);
    }

    /// Makes a directory for pins, unless it is there.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn make_directory(&mut self, directory: &Path) -> io::Result<()> {
        match DirBuilder::new().mode(0o700).create(directory) {
            Ok(()) => self.directories.push(directory.to_owned()),
            // The kernel looks at the right to write before it looks at what is there.
            Err(_) if directory.is_dir() => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Leaves everything where it is.
    pub fn keep(mut self) {
        self.pins.clear();
        self.directories.clear();
    }

    /// NewPins something, in a directory that is made if it is the only one missing.
    pub(super) fn pin(
        &mut self,
        fd: &impl AsFd,
        path: &Path,
        what: &dyn Fn() -> Pinned,
    ) -> Result<(), KernelError> {
        self.directory(path, what)?;
        match ObjPin::new(fd, path).run() {
            Ok(()) => {
                self.add(path.to_owned());
                Ok(())
            }
            Err(source) => Err(KernelError::Pin {
                what: what(),
                path: path.to_owned(),
                source,
            }),
        }
    }

    fn directory(&mut self, path: &Path, what: &dyn Fn() -> Pinned) -> Result<(), KernelError> {
        self.make_directory(parent(path))
            .map_err(|source| KernelError::Directory {
                what: what(),
                path: path.to_owned(),
                source,
            })?;
        check_bpffs(path, what)
    }
}

impl Drop for NewPins {
    fn drop(&mut self) {
        for pin in self.pins.iter().rev() {
            // What is gone already, or not ours to remove any more, stays so.
            let _gone = std::fs::remove_file(pin);
        }
        for directory in self.directories.iter().rev() {
            let _others_use_it = std::fs::remove_dir(directory);
        }
    }
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Refuses a path that is not in a bpffs.
fn check_bpffs(path: &Path, what: &dyn Fn() -> Pinned) -> Result<(), KernelError> {
    let fs = statfs(parent(path)).map_err(|errno| KernelError::Directory {
        what: what(),
        path: path.to_owned(),
        source: errno.into(),
    })?;
    if fs.filesystem_type() == BPF_FS_MAGIC {
        return Ok(());
    }
    Err(KernelError::NotBpffs {
        what: what(),
        path: path.to_owned(),
    })
}

/// A name as part of a path: a bpffs takes no dots.
pub(super) fn file_name(name: &str) -> String {
    name.replace('.', "_")
}

/// Removes a pin, and nothing that is none.
pub(super) fn unpin(path: &Path, what: &dyn Fn() -> Pinned) -> Result<(), KernelError> {
    check_bpffs(path, what)?;
    std::fs::remove_file(path).map_err(|source| KernelError::Unpin {
        what: what(),
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    #[test]
    fn only_a_bpffs_takes_pins_and_directories_go_again() {
        let dir = tempfile::tempdir().unwrap();
        let file = File::open("/dev/null").unwrap();
        let what = || Pinned::Map("m".into());
        let path = dir.path().join("new/m");
        let mut pins = NewPins::default();
        let error = pins.pin(&file, &path, &what).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "cannot pin map 'm' at {}: that is not in a bpf file system",
                path.display()
            )
        );
        assert!(dir.path().join("new").is_dir());
        drop(pins);
        assert!(!dir.path().join("new").exists());
        let deep = dir.path().join("a/b/m");
        let error = NewPins::default().pin(&file, &deep, &what).unwrap_err();
        assert!(matches!(error, KernelError::Directory { .. }), "{error}");
    }

    #[test]
    fn names_lose_their_dots() {
        assert_eq!(file_name(".data.x"), "_data_x");
        assert_eq!(file_name("counts"), "counts");
    }
}
