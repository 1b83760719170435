//! OBJ_PIN and OBJ_GET.

#![allow(unsafe_code, reason = "makes bpf() calls")]

use crate::cmd::{c_path, signed};
use crate::error::SysError;
use crate::fd::AnyFd;
use crate::sys::bpf::{bpf_fd, bpf_unit};
use crate::sys::fd::number;
use crate::uapi::UserPtr;
use crate::uapi::attr::ObjAttr;
use crate::uapi::enums::Cmd;
use crate::uapi::flags::MapFlags;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// BPF_OBJ_PIN: gives a program, map, link or iterator a path in a bpffs, which keeps it alive.
/// Since Linux 4.4.
///
/// Errors: `EEXIST` when the path is taken, `EPERM` when it is not in a bpffs or its name has a
/// dot, `EINVAL` when the object cannot be pinned.
#[doc(alias = "BPF_OBJ_PIN")]
#[derive(Clone, Copy, Debug)]
pub struct ObjPin<'a> {
    fd: BorrowedFd<'a>,
    path: &'a Path,
    dir: Option<BorrowedFd<'a>>,
}

impl<'a> ObjPin<'a> {
    /// Pins `fd` at `path`.
    #[must_use]
    pub fn new(fd: &'a impl AsFd, path: &'a Path) -> Self {
        Self {
            fd: fd.as_fd(),
            path,
            dir: None,
        }
    }

    /// Starts a relative path at this directory. Since Linux 6.5.
    #[must_use]
    pub fn path_fd(mut self, dir: &'a impl AsFd) -> Self {
        self.dir = Some(dir.as_fd());
        self
    }

    /// Makes the call.
    ///
    /// # Errors
    /// See the type; refused when the path has a zero byte.
    pub fn run(&self) -> Result<(), SysError> {
        let path = c_path(Cmd::OBJ_PIN, self.path)?;
        let mut attr = ObjAttr {
            pathname: UserPtr::from_cstr(&path),
            bpf_fd: number(&self.fd),
            file_flags: path_fd_flag(self.dir),
            path_fd: signed(self.dir),
            pad: 0,
        };
        // SAFETY: `pathname` is backed by `path`, which the kernel reads up to its zero. It
        // writes nothing and returns 0.
        unsafe { bpf_unit(Cmd::OBJ_PIN, &mut attr) }
    }
}

/// BPF_OBJ_GET: opens a pinned object. Since Linux 4.4.
///
/// Errors: `ENOENT` when there is nothing, `EACCES` when it is not in a bpffs or its mode forbids
/// it, `EPERM` without `CAP_BPF`.
#[doc(alias = "BPF_OBJ_GET")]
#[derive(Clone, Copy, Debug)]
pub struct ObjGet<'a> {
    path: &'a Path,
    flags: MapFlags,
    dir: Option<BorrowedFd<'a>>,
}

impl<'a> ObjGet<'a> {
    /// Opens what is pinned at `path`.
    #[must_use]
    pub fn new(path: &'a Path) -> Self {
        Self {
            path,
            flags: MapFlags::empty(),
            dir: None,
        }
    }

    /// [`MapFlags::RDONLY`] or [`MapFlags::WRONLY`], for maps. Since Linux 4.15.
    #[must_use]
    pub fn file_flags(mut self, flags: MapFlags) -> Self {
        self.flags = flags;
        self
    }

    /// Starts a relative path at this directory. Since Linux 6.5.
    #[must_use]
    pub fn path_fd(mut self, dir: &'a impl AsFd) -> Self {
        self.dir = Some(dir.as_fd());
        self
    }

    /// Makes the call, and finds out the object's kind through `/proc/self/fd`, since the kernel
    /// does not say.
    ///
    /// # Errors
    /// See the type; refused when the path has a zero byte; that of reading `/proc/self/fd`.
    pub fn run(&self) -> Result<AnyFd, SysError> {
        self.run_untyped().and_then(AnyFd::try_from)
    }

    /// Makes the call.
    ///
    /// # Errors
    /// See the type; refused when the path has a zero byte.
    pub fn run_untyped(&self) -> Result<OwnedFd, SysError> {
        let path = c_path(Cmd::OBJ_GET, self.path)?;
        let mut attr = ObjAttr {
            pathname: UserPtr::from_cstr(&path),
            bpf_fd: 0,
            file_flags: self.flags.bits() | path_fd_flag(self.dir),
            path_fd: signed(self.dir),
            pad: 0,
        };
        // SAFETY: `pathname` is backed by `path`, which the kernel reads up to its zero. It
        // writes nothing and returns a new descriptor.
        unsafe { bpf_fd(Cmd::OBJ_GET, &mut attr, None) }
    }
}

fn path_fd_flag(dir: Option<BorrowedFd<'_>>) -> u32 {
    dir.map_or(0, |_fd| MapFlags::PATH_FD.bits())
}
