//! Which processes hold an object open: one pass over `/proc/*/fd`, without loading any BPF.
//!
//! Processes that end meanwhile, and those this user may not look into, are passed over: the
//! answer is what can be seen, as with `lsof`.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

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
    /// Sorts what a search found, all of its parts together.
    #[must_use]
    pub fn of_found(kernel: &Kernel, mut found: Vec<Found>) -> Self {
        found.sort_unstable_by_key(|found| (found.pid, found.id));
        // one process may hold an object more than once
        found.dedup_by_key(|found| (found.pid, found.id));
        let mut holders = Self::default();
        let mut comm: Option<(u32, Text)> = None;
        for Found { pid, id, info } in found {
            let known = comm.as_ref().filter(|(of, _)| *of == pid);
            let name = known.map_or_else(|| comm_of(kernel, pid), |(_, name)| name.clone());
            comm = Some((pid, name.clone()));
            let held = holders.0.entry(id).or_insert_with(|| Held {
                info,
                by: Vec::new(),
            });
            held.by.push(Holder { pid, comm: name });
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
}

/// How many descriptors a worker takes at a time.
const SHARE: usize = 64;

/// A search through the descriptors of all processes; several threads may [`run`](Self::run) it.
#[derive(Debug)]
pub struct Search<'k> {
    kernel: &'k Kernel,
    kind: ObjectKind,
    /// Pid and descriptor, by pid.
    descriptors: Vec<(u32, u32)>,
    taken: AtomicUsize,
}

/// A descriptor of the kind that was searched for.
#[derive(Debug, Clone, Copy)]
pub struct Found {
    pid: u32,
    id: u32,
    info: FdInfo,
}

/// Pids and descriptors of all processes but this one, by pid, whose link is of a kind.
#[must_use]
pub fn descriptors(kernel: &Kernel, is_of_kind: impl Fn(&[u8]) -> bool) -> Vec<(u32, u32)> {
    let mut descriptors = list(kernel);
    let mut process: Option<Process> = None;
    descriptors.retain(|(pid, fd)| {
        if process.as_ref().is_none_or(|process| process.pid != *pid) {
            process = Process::open(kernel, *pid);
        }
        let target = process.as_ref().and_then(|process| process.target(*fd));
        target.is_some_and(|target| is_of_kind(target.as_bytes()))
    });
    descriptors
}

fn list(kernel: &Kernel) -> Vec<(u32, u32)> {
    let own = std::process::id();
    let mut descriptors = Vec::new();
    for pid in numbers(kernel.proc_root()).filter(|pid| *pid != own) {
        let process = process_dir(kernel, pid);
        descriptors.extend(numbers(&process.join("fd")).map(|fd| (pid, fd)));
    }
    descriptors.sort_unstable();
    descriptors
}

impl<'k> Search<'k> {
    /// Lists the descriptors of all processes but this one.
    #[must_use]
    pub fn list(kernel: &'k Kernel, kind: ObjectKind) -> Self {
        Self {
            kernel,
            kind,
            descriptors: list(kernel),
            taken: AtomicUsize::new(0),
        }
    }

    /// Looks at descriptors until none is left that no other thread has taken.
    #[must_use]
    pub fn run(&self) -> Vec<Found> {
        let mut found = Vec::new();
        let mut process: Option<Process> = None;
        loop {
            let start = self.taken.fetch_add(SHARE, Ordering::Relaxed);
            let Some(rest) = self
                .descriptors
                .get(start..)
                .filter(|rest| !rest.is_empty())
            else {
                return found;
            };
            for (pid, fd) in rest.iter().take(SHARE) {
                if process.as_ref().is_none_or(|process| process.pid != *pid) {
                    process = Process::open(self.kernel, *pid);
                }
                let looked = process
                    .as_mut()
                    .and_then(|process| process.look(*fd, self.kind));
                if let Some((id, info)) = looked {
                    found.push(Found {
                        pid: *pid,
                        id,
                        info,
                    });
                }
            }
        }
    }
}

/// A process whose descriptors are being looked at.
struct Process {
    pid: u32,
    path: PathBuf,
    links: OwnedFd,
    infos: Option<FdInfoReader>,
}

impl Process {
    fn open(kernel: &Kernel, pid: u32) -> Option<Self> {
        let path = process_dir(kernel, pid);
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let links = nix::fcntl::open(&path.join("fd"), flags, Mode::empty()).ok()?;
        Some(Self {
            pid,
            path,
            links,
            infos: None,
        })
    }

    /// What the link of a descriptor says.
    fn target(&self, fd: u32) -> Option<OsString> {
        let mut text = itoa::Buffer::new();
        readlinkat(&self.links, text.format(fd)).ok()
    }

    /// The object behind a descriptor, when it is of `kind`.
    fn look(&mut self, fd: u32, kind: ObjectKind) -> Option<(u32, FdInfo)> {
        if !is_kind(&self.target(fd)?, kind) {
            return None;
        }
        let mut text = itoa::Buffer::new();
        let name = text.format(fd);
        if self.infos.is_none() {
            self.infos = FdInfoReader::open(&self.path).ok();
        }
        let info = self.infos.as_mut()?.read(name).ok()?;
        Some((id_of(&info, kind)?, info))
    }
}

fn process_dir(kernel: &Kernel, pid: u32) -> PathBuf {
    kernel.proc_root().join(pid.to_string())
}

/// The entries of a directory whose names are numbers; none where it cannot be read.
fn numbers(directory: &Path) -> impl Iterator<Item = u32> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let entries = Dir::open(directory, flags, Mode::empty())
        .into_iter()
        .flatten();
    entries.filter_map(|entry| entry.ok()?.file_name().to_str().ok()?.parse().ok())
}

fn comm_of(kernel: &Kernel, pid: u32) -> Text {
    let path = process_dir(kernel, pid).join("comm");
    let mut comm = std::fs::read(path).unwrap_or_default();
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
