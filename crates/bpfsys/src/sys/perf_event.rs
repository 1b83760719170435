//! Perf events: the events that programs of the older attach methods hang on.
//!
//! # Safety
//! The kernel promises to read `size` bytes of the attribute structure, and strings that
//! `config1` points to, during the call only.

#![allow(unsafe_code, reason = "makes system calls")]

use super::fd::{adopt, number};
use crate::error::{Op, Refusal, SysError};
use crate::fd::ProgFd;
use crate::uapi::perf::{self, PerfEventAttr};
use core::ffi::{CStr, c_ulong};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// `PERF_EVENT_IOC_ENABLE`.
const IOC_ENABLE: u64 = 0x2400;
/// `PERF_EVENT_IOC_DISABLE`.
const IOC_DISABLE: u64 = 0x2401;
/// `PERF_EVENT_IOC_SET_BPF`.
const IOC_SET_BPF: u64 = 0x4004_2408;

/// An open perf event.
#[derive(Debug)]
pub struct PerfEvent(OwnedFd);

/// What an event watches.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Target {
    /// Process: -1 for all, 0 for this one.
    pub pid: i32,
    /// CPU: -1 for all. Not both may be "all".
    pub cpu: i32,
}

impl PerfEvent {
    /// Opens an event that needs no string.
    ///
    /// The two configuration words that may hold addresses (`config1`, `config2`) are taken as
    /// plain numbers only for the fixed event types; for a dynamic type use
    /// [`open_probe`](Self::open_probe).
    ///
    /// # Errors
    /// `ENOENT` when the CPU has no such event, `EACCES` or `EPERM` without privilege. Refused
    /// when the type is a dynamic one and an address word is set.
    pub fn open(mut attr: PerfEventAttr, target: Target) -> Result<Self, SysError> {
        if attr.type_ > perf::TYPE_BREAKPOINT && (attr.config1 != 0 || attr.config2 != 0) {
            return Err(SysError::refused(Op::PerfEventOpen, Refusal::WrongKind));
        }
        Self::call(&mut attr, target)
    }

    /// Opens a probe event of a dynamic type: `what` is the kernel function or the path of the
    /// file, or for `None` the event is at the address `offset`.
    ///
    /// # Errors
    /// `ENOENT` when there is no such function or file, `EINVAL` when the place cannot be probed.
    pub fn open_probe(
        mut attr: PerfEventAttr,
        what: Option<&CStr>,
        offset: u64,
        target: Target,
    ) -> Result<Self, SysError> {
        attr.config1 = what.map_or(0, |text| text.as_ptr().expose_provenance() as u64);
        attr.config2 = offset;
        Self::call(&mut attr, target)
    }

    fn call(attr: &mut PerfEventAttr, target: Target) -> Result<Self, SysError> {
        attr.size = 112;
        let attr: *mut PerfEventAttr = attr;
        let (pid, cpu, group) = (target.pid, target.cpu, -1);
        let flags = perf::FLAG_FD_CLOEXEC;
        // SAFETY: `attr` is valid for its announced size. `config1` is null, a number the fixed
        // event types do not follow, or a string borrowed by `open_probe` during this call.
        let raw = unsafe { libc::syscall(libc::SYS_perf_event_open, attr, pid, cpu, group, flags) };
        if raw < 0 {
            // Some answers, such as ENOTSUPP, have no name in user space.
            let errno = nix::errno::Errno::last_raw();
            return Err(SysError::from_raw(Op::PerfEventOpen, errno));
        }
        let raw = i32::try_from(raw)
            .map_err(|_too_large| SysError::refused(Op::PerfEventOpen, Refusal::BadAnswer))?;
        // SAFETY: the kernel has just made this descriptor for us.
        unsafe { adopt(raw) }.map(Self)
    }

    fn ioctl(&self, request: u64, argument: u32) -> Result<(), SysError> {
        let fd = self.0.as_raw_fd();
        // The request's type differs between C libraries.
        let request = request as _;
        // SAFETY: all three requests take their argument as a number.
        let result = unsafe { libc::ioctl(fd, request, c_ulong::from(argument)) };
        if result < 0 {
            let errno = nix::errno::Errno::last_raw();
            return Err(SysError::from_raw(Op::PerfIoctl, errno));
        }
        Ok(())
    }

    /// Runs a program at this event. It stays until the event is closed.
    ///
    /// # Errors
    /// `EEXIST` when the event has a program, `EINVAL` when the program's type does not fit.
    #[doc(alias = "PERF_EVENT_IOC_SET_BPF")]
    pub fn set_bpf(&self, prog: &ProgFd) -> Result<(), SysError> {
        self.ioctl(IOC_SET_BPF, number(&prog.as_fd()))
    }

    /// Starts the event.
    ///
    /// # Errors
    /// The kernel's; none is usual.
    #[doc(alias = "PERF_EVENT_IOC_ENABLE")]
    pub fn enable(&self) -> Result<(), SysError> {
        self.ioctl(IOC_ENABLE, 0)
    }

    /// Stops the event.
    ///
    /// # Errors
    /// The kernel's; none is usual.
    #[doc(alias = "PERF_EVENT_IOC_DISABLE")]
    pub fn disable(&self) -> Result<(), SysError> {
        self.ioctl(IOC_DISABLE, 0)
    }
}

impl AsFd for PerfEvent {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl TryFrom<OwnedFd> for PerfEvent {
    type Error = SysError;

    /// Takes an event that was opened elsewhere, after checking that it is one through
    /// `/proc/self/fd`.
    fn try_from(fd: OwnedFd) -> Result<Self, SysError> {
        let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
        let kind = nix::fcntl::readlink(&*path)
            .map_err(|errno| SysError::from_errno(Op::FdKind, errno))?;
        if kind == "anon_inode:[perf_event]" {
            Ok(Self(fd))
        } else {
            Err(SysError::refused(Op::FdKind, Refusal::WrongKind))
        }
    }
}

impl From<PerfEvent> for OwnedFd {
    fn from(event: PerfEvent) -> Self {
        event.0
    }
}
