//! Which file a name stands for.
//!
//! A name with a `/` is a path. Other names are looked for as the shell and the dynamic linker
//! would: names with `.so` among libraries, others among programs, then again among libraries
//! whose file name starts so (`libc`, or `c`).

use super::file::Class;
use super::maps::{Mapping, parse_maps};
use super::read::Source;
use super::{ElfFile, ld_cache};
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Why a name stands for no file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SearchError {
    /// No program has the name.
    #[error("there is no program or library `{name}` where they are looked for")]
    NotFound {
        /// The name.
        name: String,
    },
    /// The process has no such file mapped.
    #[error("process {pid} has no file `{name}` mapped")]
    NotMapped {
        /// The process.
        pid: u32,
        /// The name.
        name: String,
    },
    /// The mappings of a process cannot be read.
    #[error("cannot read the mappings of process {pid}")]
    Maps {
        /// The process.
        pid: u32,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

/// Where programs and libraries are looked for.
#[derive(Clone, Debug)]
pub struct Places {
    /// Folders of programs.
    pub programs: Vec<PathBuf>,
    /// Folders of libraries before those that the dynamic linker knows.
    pub libraries: Vec<PathBuf>,
    /// Bytes of the dynamic linker's list.
    pub cache: Vec<u8>,
    /// Folders of libraries after those.
    pub system: Vec<PathBuf>,
}

impl Places {
    /// What `PATH`, `LD_LIBRARY_PATH`, the dynamic linker's list and usage say.
    #[must_use]
    pub fn of_system() -> Self {
        let listed = |name: &str| -> Vec<PathBuf> {
            let value = std::env::var_os(name).unwrap_or_default();
            std::env::split_paths(&value)
                .filter(|path| !path.as_os_str().is_empty())
                .collect()
        };
        let mut programs = listed("PATH");
        programs.extend(["/usr/bin", "/usr/sbin"].map(PathBuf::from));
        let mut system: Vec<_> = ["/usr/lib64", "/usr/lib"].map(PathBuf::from).to_vec();
        if let Some(tuple) = MULTIARCH {
            system.push(Path::new("/usr/lib").join(tuple));
            system.push(Path::new("/lib").join(tuple));
        }
        system.extend(["/lib64", "/lib"].map(PathBuf::from));
        Self {
            programs,
            libraries: listed("LD_LIBRARY_PATH"),
            cache: std::fs::read("/etc/ld.so.cache").unwrap_or_default(),
            system,
        }
    }

    /// The file that a name without `/` stands for.
    ///
    /// # Errors
    /// There is none.
    pub fn find(&self, name: &OsStr) -> Result<PathBuf, SearchError> {
        let found = if is_library(name) {
            self.library(&|file| file == name.as_bytes())
        } else {
            self.program(name).or_else(|| self.library_by_stem(name))
        };
        found.ok_or_else(|| SearchError::NotFound {
            name: name.to_string_lossy().into_owned(),
        })
    }

    fn program(&self, name: &OsStr) -> Option<PathBuf> {
        let mut paths = self.programs.iter().map(|folder| folder.join(name));
        paths.find(|path| {
            let meta = std::fs::metadata(path);
            meta.is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
        })
    }

    fn library_by_stem(&self, name: &OsStr) -> Option<PathBuf> {
        let stem = name.as_bytes();
        let prefixed = [b"lib", stem].concat();
        let fits = |start: &[u8], file: &[u8]| {
            let rest = file.strip_prefix(start);
            rest.is_some_and(|rest| rest == b".so" || rest.starts_with(b".so."))
        };
        self.library(&|file| fits(stem, file))
            .or_else(|| self.library(&|file| fits(&prefixed, file)))
    }

    /// The first library of this machine whose file name fits.
    fn library(&self, fits: &dyn Fn(&[u8]) -> bool) -> Option<PathBuf> {
        let listed = || {
            ld_cache(&self.cache)
                .filter(|entry| fits(entry.name))
                .map(|entry| PathBuf::from(OsStr::from_bytes(entry.path)))
                .find(|path| is_native(path))
        };
        in_folders(&self.libraries, fits)
            .or_else(listed)
            .or_else(|| in_folders(&self.system, fits))
    }
}

/// The first file of folders whose name fits; of several in a folder, the first by name.
fn in_folders(folders: &[PathBuf], fits: &dyn Fn(&[u8]) -> bool) -> Option<PathBuf> {
    folders.iter().find_map(|folder| {
        let entries = std::fs::read_dir(folder).ok()?.flatten();
        let mut names: Vec<OsString> = entries
            .map(|entry| entry.file_name())
            .filter(|name| fits(name.as_bytes()))
            .collect();
        names.sort();
        let mut paths = names.into_iter().map(|name| folder.join(name));
        paths.find(|path| is_native(path))
    })
}

/// Whether a name is one of a library.
fn is_library(name: &OsStr) -> bool {
    let name = name.as_bytes();
    name.ends_with(b".so") || memchr::memmem::find(name, b".so.").is_some()
}

/// Whether a file can be run on this machine, as far as its header tells. Text files that stand
/// for libraries to linkers are no such files.
fn is_native(path: &Path) -> bool {
    let file = Source::open(path).ok().map(ElfFile::parse);
    let Some(Ok(file)) = file else {
        return false;
    };
    let wide = usize::BITS == 64;
    (file.class() == Class::Elf64) == wide
        && MACHINE.is_none_or(|machine| machine == file.machine())
}

/// `e_machine` of the running machine.
pub(super) const MACHINE: Option<u16> = if cfg!(target_arch = "x86_64") {
    Some(62)
} else if cfg!(target_arch = "x86") {
    Some(3)
} else if cfg!(target_arch = "aarch64") {
    Some(183)
} else if cfg!(target_arch = "arm") {
    Some(40)
} else if cfg!(target_arch = "riscv64") {
    Some(243)
} else if cfg!(target_arch = "s390x") {
    Some(22)
} else if cfg!(target_arch = "powerpc64") {
    Some(21)
} else {
    None
};

/// The name of the folder that Debian has for libraries of this machine.
const MULTIARCH: Option<&str> = if cfg!(target_arch = "x86_64") {
    Some("x86_64-linux-gnu")
} else if cfg!(target_arch = "x86") {
    Some("i386-linux-gnu")
} else if cfg!(target_arch = "aarch64") {
    Some("aarch64-linux-gnu")
} else if cfg!(target_arch = "arm") {
    Some("arm-linux-gnueabihf")
} else if cfg!(target_arch = "riscv64") {
    Some("riscv64-linux-gnu")
} else if cfg!(target_arch = "s390x") {
    Some("s390x-linux-gnu")
} else if cfg!(all(target_arch = "powerpc64", target_endian = "little")) {
    Some("powerpc64le-linux-gnu")
} else {
    None
};

/// The mappings of files in a process.
///
/// # Errors
/// There is no such process, or its mappings may not be seen.
pub fn mappings(pid: u32) -> Result<Vec<Mapping>, SearchError> {
    let text = std::fs::read(format!("/proc/{pid}/maps"));
    let text = text.map_err(|source| SearchError::Maps { pid, source })?;
    Ok(parse_maps(&text).collect())
}

/// A file that a process has mapped, by its path or the start of its file name: `libc` is
/// `libc.so.6` and `libc-2.31.so`. The path works from here, whatever the process sees and also
/// when the file has been replaced or deleted.
///
/// # Errors
/// The mappings cannot be read, or no file fits.
pub fn mapped(pid: u32, name: &OsStr) -> Result<PathBuf, SearchError> {
    let mappings = mappings(pid)?;
    let mut code = mappings.iter().filter(|mapping| mapping.is_code);
    let found = code.find(|mapping| names(mapping, name.as_bytes()));
    let Some(found) = found else {
        return Err(SearchError::NotMapped {
            pid,
            name: name.to_string_lossy().into_owned(),
        });
    };
    Ok(path_of(pid, found))
}

/// Whether a name is that of a mapped file.
fn names(mapping: &Mapping, name: &[u8]) -> bool {
    if name.contains(&b'/') {
        return mapping.path.as_os_str().as_bytes() == name;
    }
    let file = mapping.path.file_name().unwrap_or_default().as_bytes();
    file.strip_prefix(name)
        .is_some_and(|rest| matches!(rest.first(), None | Some(b'.' | b'-')))
}

/// A path that leads from here to a file that a process has mapped.
pub(super) fn path_of(pid: u32, mapping: &Mapping) -> PathBuf {
    let below = mapping.path.strip_prefix("/").unwrap_or(&mapping.path);
    let is_it = |path: &Path| std::fs::metadata(path).is_ok_and(|meta| meta.ino() == mapping.inode);
    let seen = Path::new("/proc")
        .join(pid.to_string())
        .join("root")
        .join(below);
    if !mapping.is_deleted && is_it(&seen) {
        // the plain path where it is the same file, since it outlives the process
        let same = |a: &Path, b: &Path| {
            let of = |path| {
                std::fs::metadata(path)
                    .map(|meta| (meta.dev(), meta.ino()))
                    .ok()
            };
            of(a).is_some_and(|a| Some(a) == of(b))
        };
        if same(&mapping.path, &seen) {
            return mapping.path.clone();
        }
        return seen;
    }
    PathBuf::from(format!(
        "/proc/{pid}/map_files/{:x}-{:x}",
        mapping.start, mapping.end
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_mapped_files() {
        let mapping = Mapping {
            start: 0,
            end: 1,
            is_code: true,
            offset: 0,
            inode: 1,
            path: "/lib/libc-2.31.so".into(),
            is_deleted: false,
        };
        for name in ["libc", "libc-2.31.so", "libc-2.31", "/lib/libc-2.31.so"] {
            assert!(names(&mapping, name.as_bytes()), "{name}");
        }
        for name in ["lib", "libc-2.3", "libd", "/libc-2.31.so", "x/libc"] {
            assert!(!names(&mapping, name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn this_process_has_its_own_program_mapped() {
        let me = std::env::current_exe().unwrap();
        let found = mapped(std::process::id(), me.file_name().unwrap()).unwrap();
        assert_eq!(found.canonicalize().unwrap(), me.canonicalize().unwrap());
        let error = mapped(std::process::id(), "no-such-library".as_ref());
        assert!(matches!(error, Err(SearchError::NotMapped { .. })));
    }

    #[test]
    fn programs_and_libraries_of_the_system() {
        let places = Places::of_system();
        let shell = places.find("sh".as_ref()).unwrap();
        assert_eq!(shell.file_name().unwrap(), "sh");
        let missing = places.find("no-such-library.so.1".as_ref());
        assert!(matches!(missing, Err(SearchError::NotFound { .. })));
        // a machine without glibc has another
        if let Ok(libc) = places.find("libc.so.6".as_ref()) {
            assert!(is_native(&libc));
            assert_eq!(places.find("libc".as_ref()).unwrap(), libc);
            assert_eq!(places.find("c".as_ref()).unwrap(), libc);
        }
    }

    #[test]
    fn folders_come_in_their_order() {
        let dir = tempfile::tempdir().unwrap();
        let me = std::env::current_exe().unwrap();
        let (first, last) = (dir.path().join("first"), dir.path().join("last"));
        for folder in [&first, &last] {
            std::fs::create_dir(folder).unwrap();
            std::os::unix::fs::symlink(&me, folder.join("libx.so.1")).unwrap();
        }
        // a script of a linker
        std::fs::write(first.join("libx.so"), "GROUP ( libx.so.1 )").unwrap();
        let mut places = Places {
            programs: vec![],
            libraries: vec![],
            cache: vec![],
            system: vec![last.clone()],
        };
        let find = |places: &Places, name: &str| places.find(name.as_ref()).ok();
        assert_eq!(find(&places, "libx"), Some(last.join("libx.so.1")));
        places.libraries.push(first.clone());
        assert_eq!(find(&places, "x"), Some(first.join("libx.so.1")));
        assert_eq!(find(&places, "libx.so"), None);
    }
}
