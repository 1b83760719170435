//! Where objects are pinned: one walk over the bpf file systems this process can see.

use std::collections::HashMap;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use bpfsys::AnyFd;
use bpfsys::cmd::ObjGet;
use bpfsys::uapi::flags::MapFlags;
use nix::sys::statfs::{FsType, statfs};

use crate::failure::{Failure, Result};
use crate::kernel::{Kernel, ObjectKind};
use crate::procfs;
use crate::render::escape::{Escaped, Text};

/// The type statfs reports for a bpf file system.
const BPF_FS_MAGIC: FsType = FsType(0xcafe_4a11);

/// The paths of every pinned object of one kind, by object id.
#[derive(Debug, Default)]
pub struct Pins(HashMap<u32, Vec<Text>>);

impl Pins {
    /// Walks every mounted bpf file system. What cannot be opened is passed over.
    #[must_use]
    pub fn gather(kernel: &Kernel, kind: ObjectKind) -> Self {
        let mut pins = Self::default();
        for mount in procfs::bpf_mounts(kernel.proc_root()).unwrap_or_default() {
            pins.walk(&mount, kind);
        }
        for paths in pins.0.values_mut() {
            paths.sort_by(|a, b| a.0.cmp(&b.0));
            // a file system mounted in two places under the same name is walked twice
            paths.dedup();
        }
        pins
    }

    /// The paths of one object. `None` when nothing of this kind is pinned anywhere: the
    /// `pinned` key is then left out.
    #[must_use]
    pub fn of(&self, id: u32) -> Option<Vec<Text>> {
        if self.0.is_empty() {
            return None;
        }
        Some(self.0.get(&id).cloned().unwrap_or_default())
    }

    /// The paths of every object, by its id.
    pub fn all(&self) -> impl Iterator<Item = (u32, &[Text])> {
        self.0.iter().map(|(id, paths)| (*id, paths.as_slice()))
    }

    fn walk(&mut self, top: &Path, kind: ObjectKind) {
        // a list of directories instead of recursion: depth is the user's
        let mut directories = vec![top.to_path_buf()];
        while let Some(directory) = directories.pop() {
            let Ok(entries) = std::fs::read_dir(&directory) else {
                continue;
            };
            for entry in entries.flatten() {
                let path = entry.path();
                match entry.file_type() {
                    Ok(file_type) if file_type.is_dir() => directories.push(path),
                    // symlinks are not followed: what they lead to is found where it is
                    Ok(file_type) if file_type.is_file() => {
                        if let Some(id) = pinned_id(&path, kind) {
                            let path = Text(path.as_os_str().as_bytes().to_vec());
                            self.0.entry(id).or_default().push(path);
                        }
                    }
                    _ => {}
                }
            }
        }
    }
}

fn pinned_id(path: &Path, kind: ObjectKind) -> Option<u32> {
    match (ObjGet::new(path).run().ok()?, kind) {
        (AnyFd::Prog(prog), ObjectKind::Prog) => Some(prog.info().ok()?.id),
        (AnyFd::Map(map), ObjectKind::Map) => Some(map.info().ok()?.id),
        (AnyFd::Link(link), ObjectKind::Link) => Some(link.info().ok()?.id.get()),
        _ => None,
    }
}

/// Opens a pinned object, whatever it is.
pub fn open(path: &Path, flags: MapFlags) -> Result<AnyFd> {
    ObjGet::new(path).file_flags(flags).run().map_err(|error| {
        let shown = Escaped(path.as_os_str().as_bytes());
        let failure = Failure::because(format_args!("bpf obj get ({shown})"), error);
        if path.exists() && !is_bpffs(directory(path)) {
            return failure.with_hint("the path is not in a bpf file system");
        }
        failure
    })
}

/// Pins `fd` at `path`. Nothing is mounted: a directory outside of a bpf file system is
/// refused, with the mount command as advice.
pub fn pin(fd: &impl std::os::fd::AsFd, path: &Path) -> Result<()> {
    check(path)?;
    let shown = Escaped(path.as_os_str().as_bytes());
    bpfsys::cmd::ObjPin::new(fd, path)
        .run()
        .map_err(|error| Failure::because(format_args!("can't pin the object ({shown})"), error))
}

/// Whether something can be pinned at `path`: nothing is there, and it is in a bpf file system.
pub fn check(path: &Path) -> Result<()> {
    let shown = Escaped(path.as_os_str().as_bytes());
    if path.symlink_metadata().is_ok() {
        return Err(Failure::new(format_args!(
            "can't pin BPF object: path '{shown}' already exists"
        )));
    }
    let parent = directory(path);
    if !parent.is_dir() {
        let parent = Escaped(parent.as_os_str().as_bytes());
        return Err(Failure::new(format_args!(
            "can't pin BPF object: dir '{parent}' doesn't exist"
        )));
    }
    check_bpffs(parent)
}

/// Whether objects can be pinned in `dir`: it is in a bpf file system, or could be made in one.
pub fn check_directory(dir: &Path) -> Result<()> {
    if dir.is_dir() {
        return check_bpffs(dir);
    }
    let shown = Escaped(dir.as_os_str().as_bytes());
    if dir.symlink_metadata().is_ok() {
        return Err(Failure::new(format_args!(
            "can't pin BPF object: '{shown}' is no directory"
        )));
    }
    let parent = directory(dir);
    if !parent.is_dir() {
        let parent = Escaped(parent.as_os_str().as_bytes());
        return Err(Failure::new(format_args!(
            "can't create dir '{shown}' to pin BPF object: parent dir '{parent}' doesn't exist"
        )));
    }
    check_bpffs(parent)
}

fn check_bpffs(dir: &Path) -> Result<()> {
    if is_bpffs(dir) {
        return Ok(());
    }
    let dir = Escaped(dir.as_os_str().as_bytes());
    Err(Failure::new(format_args!(
        "can't pin BPF object: '{dir}' is not in a bpf file system"
    ))
    .with_hint("such a file system is usually at /sys/fs/bpf (mount -t bpf bpf /sys/fs/bpf)"))
}

/// The directory that `path` is in: `.` for a name alone.
fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => path,
    }
}

/// Whether a path is in a bpf file system.
#[must_use]
pub fn is_bpffs(directory: &Path) -> bool {
    statfs(directory).is_ok_and(|stat| stat.filesystem_type() == BPF_FS_MAGIC)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_alone_is_in_the_current_directory() {
        for (path, expected) in [("x", "."), ("a/x", "a"), ("/x", "/"), ("/", "/")] {
            assert_eq!(directory(Path::new(path)), Path::new(expected), "{path}");
        }
    }
}
