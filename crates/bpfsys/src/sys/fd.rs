//! Taking ownership of file descriptors.
//!
//! # Safety
//! The kernel promises that the number a command returns is a descriptor of this process that did
//! not exist before. Callers promise to pass each such number once.

#![allow(unsafe_code, reason = "turns numbers into owned descriptors")]

use crate::error::{Op, SysError};
use nix::fcntl::{FcntlArg, fcntl};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// The lowest number an adopted descriptor may have. 0 means "none" in many attribute fields, and
/// 0 to 2 are what programs print to, which matters when we were started with them closed.
pub(crate) const LOWEST: RawFd = 3;

/// Owns a fresh descriptor, moved to a number of at least [`LOWEST`].
///
/// # Safety
/// `raw` is an open descriptor that nothing else owns.
pub(crate) unsafe fn adopt(raw: RawFd) -> Result<OwnedFd, SysError> {
    // SAFETY: the caller's promise is what is asked for.
    let fd = unsafe { OwnedFd::from_raw_fd(raw) };
    raise(fd)
}

/// Moves a descriptor out of the range of the standard streams.
pub(crate) fn raise(fd: OwnedFd) -> Result<OwnedFd, SysError> {
    if fd.as_raw_fd() >= LOWEST {
        return Ok(fd);
    }
    let raw = fcntl(&fd, FcntlArg::F_DUPFD_CLOEXEC(LOWEST))
        .map_err(|errno| SysError::from_errno(Op::Dup, errno))?;
    // SAFETY: the duplicate was just made and is known only here.
    let raised = unsafe { OwnedFd::from_raw_fd(raw) };
    Ok(raised)
}

/// The number as attribute structures hold it.
pub(crate) fn number(fd: &impl AsRawFd) -> u32 {
    // Open descriptors are never negative.
    fd.as_raw_fd().unsigned_abs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_stay_above_streams() {
        let fd: OwnedFd = std::fs::File::open("/dev/null").unwrap().into();
        let raw = fd.as_raw_fd();
        let fd = raise(fd).unwrap();
        assert!(fd.as_raw_fd() >= LOWEST);
        assert!(raw < LOWEST || raw == fd.as_raw_fd());
    }
}
