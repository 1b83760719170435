//! Which processes hold an object open: one pass over `/proc/*/fd`, without loading any BPF.
//!
//! Processes that end meanwhile, and those this user may not look into, are passed over: the
//! answer is what can be seen, as with `lsof`.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;

use nix::dir::Dir;
use nix::fcntl::{OFlag, readlinkat};
use nix::sys::stat::Mode;
use serde::Serialize;

use crate::kernel::{Kernel, ObjectKind};
use crate::procfs::{FdInfo, FdInfoReader};
use crate::render::escape::Text;

/// A process that holds an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "golden", derive(serde::Deserialize))]
pub struct Holder {
    /// The process id.
    pub pid: u32,
    /// Its name, as in `/proc/PID/comm`.
    pub comm: Text,
}

/// The holders of every object of one kind, by object id.
#[derive(Debug, Default)]
pub struct Holders(HashMap<u32, Held>);

/// An object that is held.
#[derive(Debug)]
struct Held {
    /// What the kernel says about the first descriptor found.
    info: FdInfo,
    by: Vec<Holder>,
}

impl Holders {
    /// Looks through all processes but this one.
    #[must_use]
    pub fn gather(kernel: &Kernel, kind: ObjectKind) -> Self {
        let mut holders = Self::default();
        let Ok(processes) = std::fs::read_dir(kernel.proc_root()) else {
            return holders;
        };
        let mut pids: Vec<u32> = processes
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .filter(|pid| *pid != std::process::id())
            .collect();
        pids.sort_unstable();
        for pid in pids {
            holders.add_process(kernel, kind, pid);
        }
        holders
    }

    /// The holders of one object, by pid.
    #[must_use]
    pub fn of(&self, id: u32) -> &[Holder] {
        self.0.get(&id).map_or(&[], |held| held.by.as_slice())
    }

    /// What the kernel says about a descriptor of the object, when a process holds one: the
    /// same as about any other.
    #[must_use]
    pub fn fd_info(&self, id: u32) -> Option<FdInfo> {
        self.0.get(&id).map(|held| held.info)
    }

    fn add_process(&mut self, kernel: &Kernel, kind: ObjectKind, pid: u32) -> Option<()> {
        let process = kernel.proc_root().join(pid.to_string());
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let mut dir = Dir::open(&process.join("fd"), flags, Mode::empty()).ok()?;
        // a second descriptor, because the listing borrows the first until it ends
        let links = dir.as_fd().try_clone_to_owned().ok()?;
        let mut infos = None;
        let mut comm: Option<Text> = None;
        for entry in dir.iter() {
            let entry = entry.ok()?;
            let name = entry.file_name();
            if name.to_bytes().first() == Some(&b'.') {
                continue;
            }
            let is_wanted = readlinkat(&links, name).is_ok_and(|target| is_kind(&target, kind));
            if !is_wanted {
                continue;
            }
            if infos.is_none() {
                infos = Some(FdInfoReader::open(&process).ok()?);
            }
            let info = infos.as_mut().and_then(|infos| infos.read(name).ok());
            let Some((info, id)) = info.and_then(|info| Some((info, id_of(&info, kind)?))) else {
                continue;
            };
            let held = self.0.entry(id).or_insert_with(|| Held {
                info,
                by: Vec::new(),
            });
            let known = &mut held.by;
            // one process may hold an object more than once; pids come in order
            if known.last().is_some_and(|holder| holder.pid == pid) {
                continue;
            }
            let comm = comm.get_or_insert_with(|| comm_of(&process));
            known.push(Holder {
                pid,
                comm: comm.clone(),
            });
        }
        Some(())
    }
}

fn comm_of(process: &std::path::Path) -> Text {
    let mut comm = std::fs::read(process.join("comm")).unwrap_or_default();
    if comm.last() == Some(&b'\n') {
        comm.pop();
    }
    Text(comm)
}

/// Whether the link of a descriptor says that it is of `kind`. Links are `bpf_link` when they
/// come from creating them and `bpf-link` when they were looked up by id.
fn is_kind(target: &OsStr, kind: ObjectKind) -> bool {
    let Some(name) = target.as_bytes().strip_prefix(b"anon_inode:") else {
        return false;
    };
    let name = name.strip_prefix(b"[").unwrap_or(name);
    let name = name.strip_suffix(b"]").unwrap_or(name);
    match kind {
        ObjectKind::Prog => name == b"bpf-prog",
        ObjectKind::Map => name == b"bpf-map",
        ObjectKind::Link => name == b"bpf-link" || name == b"bpf_link",
        ObjectKind::Btf => name == b"btf",
    }
}

fn id_of(info: &FdInfo, kind: ObjectKind) -> Option<u32> {
    match kind {
        ObjectKind::Prog => info.prog_id,
        ObjectKind::Map => info.map_id,
        ObjectKind::Link => info.link_id,
        ObjectKind::Btf => info.btf_id,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_are_told_apart_by_their_link() {
        let is = |target: &str, kind| is_kind(OsStr::new(target), kind);
        assert!(is("anon_inode:bpf-map", ObjectKind::Map));
        assert!(is("anon_inode:bpf_link", ObjectKind::Link));
        assert!(is("anon_inode:bpf-link", ObjectKind::Link));
        assert!(is("anon_inode:[btf]", ObjectKind::Btf));
        assert!(!is("anon_inode:bpf-map", ObjectKind::Prog));
        assert!(!is("/tmp/bpf-map", ObjectKind::Map));
        assert!(!is("anon_inode:bpf-map-x", ObjectKind::Map));
    }
}
