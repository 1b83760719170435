//! Taking ownership of file descriptors.
//!
//! # Safety
//! The kernel promises that the number a command returns is a descriptor of this process that did
//! not exist before. Callers promise to pass each such number once.

#![allow(unsafe_code, reason = "turns numbers into owned descriptors")]

use crate::error::{Op, SysError};
use nix::fcntl::{FcntlArg, fcntl};
use std::collections::BTreeSet;
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

/// The numbers of all open descriptors of this process.
pub(crate) fn open_numbers() -> Result<BTreeSet<RawFd>, SysError> {
    let failed = |error: std::io::Error| SysError::from_io(Op::FdKind, &error);
    let mut numbers = BTreeSet::new();
    for entry in std::fs::read_dir("/proc/self/fd").map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        numbers.extend(name.to_str().and_then(|name| name.parse::<RawFd>().ok()));
    }
    // The one that listed them is among them, and closed again.
    numbers.retain(|number| is_open(*number));
    Ok(numbers)
}

/// Whether a number is that of an open descriptor.
pub(crate) fn is_open(number: RawFd) -> bool {
    // SAFETY: the call reads flags of a descriptor, and fails for numbers of none.
    unsafe { libc::fcntl(number, libc::F_GETFD) >= 0 }
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
    fn open_numbers_are_those_of_open_descriptors() {
        let fd: OwnedFd = std::fs::File::open("/dev/null").unwrap().into();
        let raw = fd.as_raw_fd();
        assert!(open_numbers().unwrap().contains(&raw));
        assert!(is_open(raw));
        assert!(!is_open(-1));
        assert!(!is_open(i32::MAX));
    }

    #[test]
    fn descriptors_stay_above_streams() {
        let fd: OwnedFd = std::fs::File::open("/dev/null").unwrap().into();
        let raw = fd.as_raw_fd();
        let fd = raise(fd).unwrap();
        assert!(fd.as_raw_fd() >= LOWEST);
        assert!(raw < LOWEST || raw == fd.as_raw_fd());
    }
}
