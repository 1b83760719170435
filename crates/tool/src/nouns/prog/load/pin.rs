//! Pins that are taken back where not all of them can be made.

use std::io::ErrorKind;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use loader::kernel::Loaded;

use crate::failure::{Failure, Result};
use crate::pins;
use crate::render::escape::Escaped;

/// Pins made so far. They are removed again unless they are kept.
#[derive(Debug, Default)]
pub(crate) struct NewPins {
    paths: Vec<PathBuf>,
    directories: Vec<PathBuf>,
}

impl NewPins {
    /// The pins that a load made for maps that are shared by name.
    pub(crate) fn of_maps(loaded: &Loaded) -> Self {
        let made = loaded.maps().iter().filter(|map| !map.is_reused());
        Self {
            paths: made
                .filter_map(|map| map.pin().map(Path::to_path_buf))
                .collect(),
            directories: Vec::new(),
        }
    }

    /// Pins something.
    pub(crate) fn pin(&mut self, fd: &impl AsFd, path: PathBuf) -> Result<()> {
        pins::pin(fd, &path)?;
        self.paths.push(path);
        Ok(())
    }

    /// Makes a directory for pins, unless it is there.
    pub(crate) fn directory(&mut self, dir: &Path) -> Result<()> {
        pins::check_directory(dir)?;
        match std::fs::DirBuilder::new().mode(0o700).create(dir) {
            Ok(()) => self.directories.push(dir.to_path_buf()),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => {
                let dir = Escaped(dir.as_os_str().as_bytes());
                let what = format_args!("failed to create dir '{dir}'");
                return Err(Failure::because(what, error));
            }
        }
        Ok(())
    }

    /// Leaves the pins where they are.
    pub(crate) fn keep(mut self) {
        self.paths.clear();
        self.directories.clear();
    }
}

impl Drop for NewPins {
    fn drop(&mut self) {
        // what cannot be removed is no news: the failure that led here is told
        for path in self.paths.drain(..) {
            drop(std::fs::remove_file(path));
        }
        for dir in self.directories.drain(..) {
            drop(std::fs::remove_dir(dir));
        }
    }
}
