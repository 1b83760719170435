//! The few files of procfs the tool reads: fdinfo, mounts, kallsyms.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;

/// What the kernel writes about a file descriptor of a BPF object.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FdInfo {
    /// Bytes of kernel memory.
    pub memlock: Option<u64>,
    /// Whether a map was frozen.
    pub frozen: Option<bool>,
    /// The type of programs a program array takes.
    pub owner_prog_type: Option<u32>,
    /// Whether the programs of a program array are compiled.
    pub owner_jited: Option<bool>,
    /// The id when the descriptor is a program.
    pub prog_id: Option<u32>,
    /// The id when the descriptor is a map.
    pub map_id: Option<u32>,
    /// The id when the descriptor is a link.
    pub link_id: Option<u32>,
    /// The id when the descriptor is a BTF object.
    pub btf_id: Option<u32>,
}

impl FdInfo {
    /// Reads `key:<tab>value` lines; keys that are unknown or odd are passed over.
    #[must_use]
    pub fn parse(text: &[u8]) -> Self {
        let mut info = Self::default();
        for line in text.split(|byte| *byte == b'\n') {
            let Some(colon) = memchr::memchr(b':', line) else {
                continue;
            };
            let (key, value) = line.split_at(colon);
            let number = value
                .get(1..)
                .map(<[u8]>::trim_ascii)
                .and_then(|value| std::str::from_utf8(value).ok())
                .and_then(|value| value.parse::<u64>().ok());
            let small = || number.and_then(|number| u32::try_from(number).ok());
            match key {
                b"memlock" => info.memlock = number,
                b"frozen" => info.frozen = number.map(|number| number != 0),
                b"owner_prog_type" => info.owner_prog_type = small(),
                b"owner_jited" => info.owner_jited = number.map(|number| number != 0),
                b"prog_id" => info.prog_id = small(),
                b"map_id" => info.map_id = small(),
                b"link_id" => info.link_id = small(),
                b"btf_id" => info.btf_id = small(),
                _ => {}
            }
        }
        info
    }
}

/// Reads fdinfo files of one process, with one buffer for all of them.
#[derive(Debug)]
pub struct FdInfoReader {
    dir: OwnedFd,
    buffer: Vec<u8>,
}

impl FdInfoReader {
    /// A reader for the process whose directory in procfs is `process`.
    pub fn open(process: &Path) -> nix::Result<Self> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let dir = nix::fcntl::open(&process.join("fdinfo"), flags, Mode::empty())?;
        Ok(Self {
            dir,
            buffer: vec![0; 4096],
        })
    }

    /// What the kernel says about descriptor `name` (its number in decimal).
    pub fn read(&mut self, name: &str) -> nix::Result<FdInfo> {
        let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC;
        let file = openat(&self.dir, name, flags, Mode::empty())?;
        let mut filled = 0;
        while let Some(room) = self.buffer.get_mut(filled..) {
            let count = nix::unistd::read(&file, room)?;
            let more = count == room.len();
            filled += count;
            // The file is made in one piece: a read that leaves room has reached the end.
            if !more {
                break;
            }
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
        Ok(FdInfo::parse(self.buffer.get(..filled).unwrap_or_default()))
    }

    /// What the kernel says about a descriptor of this process.
    pub fn read_own(&mut self, fd: &impl AsFd) -> nix::Result<FdInfo> {
        let mut text = itoa::Buffer::new();
        self.read(text.format(fd.as_fd().as_raw_fd()))
    }
}

/// The mount points of file systems of type `bpf`, in the order they were mounted.
pub fn bpf_mounts(proc_root: &Path) -> io::Result<Vec<PathBuf>> {
    mounts(proc_root, b"bpf")
}

/// The mount points of a type of file system.
pub fn mounts(proc_root: &Path, fs_type: &[u8]) -> io::Result<Vec<PathBuf>> {
    let mounts = mounts_with_options(proc_root, fs_type)?;
    Ok(mounts.into_iter().map(|mount| mount.point).collect())
}

/// A mounted file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Where it is.
    pub point: PathBuf,
    /// Its options, with commas between them.
    pub options: Vec<u8>,
}

/// The mounts of a type of file system, in the order they were mounted.
pub fn mounts_with_options(proc_root: &Path, fs_type: &[u8]) -> io::Result<Vec<Mount>> {
    let text = std::fs::read(proc_root.join("self/mounts"))?;
    Ok(parse_mounts(&text, fs_type))
}

/// Where the cgroups of version 2 are mounted first.
pub fn cgroup2_mount(proc_root: &Path) -> Option<PathBuf> {
    mounts(proc_root, b"cgroup2").ok()?.into_iter().next()
}

fn parse_mounts(text: &[u8], fs_type: &[u8]) -> Vec<Mount> {
    text.split(|byte| *byte == b'\n')
        .filter_map(|line| {
            let mut fields = line.split(|byte| *byte == b' ');
            let (_, point, kind) = (fields.next()?, fields.next()?, fields.next()?);
            (kind == fs_type).then(|| Mount {
                point: PathBuf::from(OsString::from_vec(unescape_octal(point))),
                options: unescape_octal(fields.next().unwrap_or_default()),
            })
        })
        .collect()
}

/// Undoes the `\040` form in which the kernel writes blanks in mount points.
fn unescape_octal(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, tail)) = rest.split_first() {
        let code = tail.first_chunk::<3>().filter(|_| *first == b'\\');
        let byte = code.and_then(|code| {
            let digits = std::str::from_utf8(code).ok()?;
            u8::from_str_radix(digits, 8).ok()
        });
        out.push(byte.unwrap_or(*first));
        rest = match byte {
            Some(_) => tail.get(3..).unwrap_or_default(),
            None => tail,
        };
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fdinfo_keys_are_matched_whole() {
        let info = FdInfo::parse(
            b"pos:\t0\nmap_type:\t3\nmemlock:\t4096\nmap_id:\t7\nfrozen:\t1\nowner_prog_type:\t6\nowner_jited:\t0\nx_map_id:\t9\nmap_id\n",
        );
        assert_eq!(
            info,
            FdInfo {
                memlock: Some(4096),
                map_id: Some(7),
                frozen: Some(true),
                owner_prog_type: Some(6),
                owner_jited: Some(false),
                ..FdInfo::default()
            }
        );
    }

    #[test]
    fn mount_points_are_unescaped() {
        let text = b"none /a\\040b\\134 bpf rw 0 0\nx /y tmpfs rw 0 0\nbroken\nbpf /z bpf rw 0 0\n";
        let mount = |point: &str| Mount {
            point: point.into(),
            options: b"rw".to_vec(),
        };
        assert_eq!(parse_mounts(text, b"bpf"), [mount("/a b\\"), mount("/z")]);
    }
}
