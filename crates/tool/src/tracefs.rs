//! Where tracefs is.

use std::path::{Path, PathBuf};

use nix::sys::statfs::{FsType, statfs};

use crate::failure::{Failure, Result};
use crate::kernel::Kernel;
use crate::procfs;

/// The type statfs reports for a tracefs.
const TRACEFS_MAGIC: FsType = FsType(0x7472_6163);

/// Where it usually is.
const USUAL: [&str; 2] = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];

/// The mount point of a tracefs. Nothing is mounted.
pub fn find(kernel: &Kernel) -> Result<PathBuf> {
    let is_there =
        |path: &Path| statfs(path).is_ok_and(|stat| stat.filesystem_type() == TRACEFS_MAGIC);
    let usual = USUAL.iter().map(PathBuf::from);
    let mounted = procfs::mounts(kernel.proc_root(), b"tracefs").unwrap_or_default();
    let mut all = usual.chain(mounted);
    all.find(|path| is_there(path)).ok_or_else(|| {
        Failure::new("could not find tracefs")
            .with_hint("mount it first, for example: mount -t tracefs tracefs /sys/kernel/tracing")
    })
}
