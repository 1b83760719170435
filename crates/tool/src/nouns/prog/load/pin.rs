//! Pins that are taken back where not all of them can be made.

use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use loader::kernel::{Loaded, NewPins};

use crate::failure::{Failure, Result};
use crate::pins;
use crate::render::escape::Escaped;

/// The pins that a load made for maps that are shared by name.
pub(crate) fn of_maps(loaded: &Loaded) -> NewPins {
    let mut pins = NewPins::default();
    for map in loaded.maps().iter().filter(|map| !map.is_reused()) {
        if let Some(pin) = map.pin() {
            pins.add(pin.to_path_buf());
        }
    }
    pins
}

/// Pins something.
pub(crate) fn pin(pins: &mut NewPins, fd: &impl AsFd, path: PathBuf) -> Result<()> {
    pins::pin(fd, &path)?;
    pins.add(path);
    Ok(())
}

/// Makes a directory for pins, unless it is there.
pub(crate) fn directory(pins: &mut NewPins, dir: &Path) -> Result<()> {
    pins::check_directory(dir)?;
    pins.make_directory(dir).map_err(|error| {
        let dir = Escaped(dir.as_os_str().as_bytes());
        Failure::because(format_args!("failed to create dir '{dir}'"), error)
    })
}
