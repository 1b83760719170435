//! The one place that makes the `bpf()` system call.
//!
//! # Safety
//! What the kernel promises: it reads and writes the attribute structure within the announced
//! size, plus the output fields of the command, all of which lie inside the structure; and it
//! follows the pointer fields as the command's description says, for as many bytes as the count
//! fields or the object behind the fd fields call for. It keeps no address after it returns.
//!
//! What callers promise: every pointer field is null or points to memory they may lend for
//! reading, or for writing where the command writes, of at least the length the kernel will use.

#![allow(unsafe_code, reason = "makes the system call")]

use super::fd::adopt;
use crate::error::{Op, Refusal, SysError};
use crate::uapi::attr::{Attr, CommonAttr};
use crate::uapi::enums::Cmd;
use crate::uapi::flags::COMMON_ATTRS;
use core::ffi::c_long;
use std::os::fd::OwnedFd;

/// How often a load is repeated when the kernel says "try again", which it does when a signal is
/// pending during verification.
const AGAIN_LIMIT: u32 = 5;
/// How often a call is repeated when a signal interrupted it.
const INTR_LIMIT: u32 = 16;

/// Makes the call and repeats it where that is harmless.
///
/// # Safety
/// The pointer fields of `attr` and `common` are as the module says.
unsafe fn call<A: Attr>(
    cmd: Cmd,
    attr: &mut A,
    mut common: Option<&mut CommonAttr>,
) -> Result<c_long, SysError> {
    const { assert!(A::SIZE as usize <= size_of::<A>()) }
    let (mut again, mut interrupted) = (0, 0);
    // The kernel may have changed counts before it gave up: each try starts from what was asked.
    let asked = *attr;
    loop {
        *attr = asked;
        let attr: *mut A = attr;
        let result = match &mut common {
            None => {
                // SAFETY: `attr` is valid for reads and writes of `SIZE` bytes and of the output
                // fields inside it; the caller answers for the pointers in it.
                unsafe { libc::syscall(libc::SYS_bpf, cmd.0, attr, A::SIZE) }
            }
            Some(common) => {
                let common: *mut CommonAttr = *common;
                let cmd = cmd.0 | COMMON_ATTRS;
                // SAFETY: as above, and likewise for `common`.
                unsafe {
                    libc::syscall(libc::SYS_bpf, cmd, attr, A::SIZE, common, CommonAttr::SIZE)
                }
            }
        };
        if result >= 0 {
            return Ok(result);
        }
        let raw = nix::errno::Errno::last_raw();
        // A load can be verified again from the start.
        if raw == libc::EAGAIN && cmd == Cmd::PROG_LOAD && again < AGAIN_LIMIT {
            again += 1;
        } else if raw == libc::EINTR && is_repeatable(cmd) && interrupted < INTR_LIMIT {
            interrupted += 1;
        } else {
            return Err(SysError::from_raw(Op::Bpf(cmd), raw));
        }
    }
}

/// Whether a call that ended with `EINTR` may be made again. After a test run the program has
/// run. Batches of elements say it of holes in the map (Linux 5.6 to 6.13), where no signal came
/// and the next try would end the same way.
fn is_repeatable(cmd: Cmd) -> bool {
    !matches!(
        cmd,
        Cmd::PROG_TEST_RUN
            | Cmd::MAP_LOOKUP_BATCH
            | Cmd::MAP_LOOKUP_AND_DELETE_BATCH
            | Cmd::MAP_UPDATE_BATCH
            | Cmd::MAP_DELETE_BATCH
    )
}

/// A command that returns a new file descriptor.
///
/// # Safety
/// The pointer fields of `attr` are as the module says, and the command is one that returns a
/// file descriptor.
pub(crate) unsafe fn bpf_fd<A: Attr>(
    cmd: Cmd,
    attr: &mut A,
    common: Option<&mut CommonAttr>,
) -> Result<OwnedFd, SysError> {
    // SAFETY: forwarded.
    let raw = unsafe { call(cmd, attr, common) }?;
    let raw = i32::try_from(raw).map_err(|_too_large| SysError::cmd(cmd, Refusal::BadAnswer))?;
    // SAFETY: the kernel has just made this descriptor for us; nobody else knows its number.
    unsafe { adopt(raw) }
}

/// A command that returns nothing, or something only the attribute structure tells.
///
/// # Safety
/// The pointer fields of `attr` are as the module says, and the command is not one that returns a
/// file descriptor, which would leak.
pub(crate) unsafe fn bpf_unit<A: Attr>(cmd: Cmd, attr: &mut A) -> Result<(), SysError> {
    // SAFETY: forwarded.
    unsafe { call(cmd, attr, None) }.map(|_zero| ())
}

/// A command that returns a count.
///
/// # Safety
/// The pointer fields of `attr` are as the module says, and the command is one that returns a
/// count.
pub(crate) unsafe fn bpf_count<A: Attr>(cmd: Cmd, attr: &mut A) -> Result<usize, SysError> {
    // SAFETY: forwarded.
    let count = unsafe { call(cmd, attr, None) }?;
    usize::try_from(count).map_err(|_negative| SysError::cmd(cmd, Refusal::BadAnswer))
}

/// Whether this kernel knows the five-argument form of the call: a load with no common structure
/// is a fault there, and an unknown command elsewhere.
pub(crate) fn common_attrs_known() -> bool {
    let mut attr = crate::uapi::attr::ProgLoadAttr::default();
    let attr: *mut crate::uapi::attr::ProgLoadAttr = &raw mut attr;
    let size = crate::uapi::attr::ProgLoadAttr::SIZE;
    let cmd = Cmd::PROG_LOAD.0 | COMMON_ATTRS;
    let none: *mut CommonAttr = core::ptr::null_mut();
    // SAFETY: `attr` is valid for reads and writes of its size and holds no pointers; the kernel
    // refuses the null pointer, or does not know the command.
    let result = unsafe { libc::syscall(libc::SYS_bpf, cmd, attr, size, none, CommonAttr::SIZE) };
    result < 0 && nix::errno::Errno::last_raw() == libc::EFAULT
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::uapi::attr::{LinkDetachAttr, NextIdAttr};

    #[test]
    fn unknown_command_is_refused() {
        let mut attr = NextIdAttr::default();
        // SAFETY: no pointers; no kernel gives a descriptor for this number.
        let error = unsafe { bpf_unit(Cmd(0xfff), &mut attr) }.unwrap_err();
        assert!(matches!(
            error.raw_os_error(),
            Some(libc::EINVAL | libc::EPERM | libc::ENOSYS)
        ));
        assert_eq!(error.op(), Op::Bpf(Cmd(0xfff)));
    }

    #[test]
    fn bad_fd_is_refused() {
        let mut attr = LinkDetachAttr {
            link_fd: i32::MAX as u32,
        };
        // SAFETY: no pointers; the command returns nothing.
        let error = unsafe { bpf_unit(Cmd::LINK_DETACH, &mut attr) }.unwrap_err();
        assert!(matches!(
            error.raw_os_error(),
            Some(libc::EBADF | libc::EPERM | libc::ENOSYS)
        ));
    }
}
