//! Socket options: programs on single sockets, and what netlink sockets tell.
//!
//! # Safety
//! The kernel promises to read the option's value during the call only, and no more of it than
//! the length it is given.

#![allow(unsafe_code, reason = "makes system calls")]

use crate::error::{Op, SysError};
use crate::fd::ProgFd;
use core::ffi::c_int;
use nix::errno::Errno;
use std::os::fd::{AsFd, AsRawFd};

/// `NETLINK_EXT_ACK`, which not every C library knows.
const NETLINK_EXT_ACK: c_int = 11;

/// Lets a socket filter see, shorten or drop what a socket receives. It replaces an earlier one.
/// Since Linux 3.19.
///
/// # Errors
/// `EINVAL` when the program is no socket filter, `EPERM` when the filter is locked.
#[doc(alias = "SO_ATTACH_BPF")]
pub fn attach_filter(socket: &impl AsFd, prog: &ProgFd) -> Result<(), SysError> {
    set(socket, libc::SOL_SOCKET, libc::SO_ATTACH_BPF, number(prog))
}

/// Takes the filter from a socket, whatever it is.
///
/// # Errors
/// `ENOENT` when there is none, `EPERM` when it is locked.
#[doc(alias = "SO_DETACH_BPF")]
pub fn detach_filter(socket: &impl AsFd) -> Result<(), SysError> {
    set(socket, libc::SOL_SOCKET, libc::SO_DETACH_FILTER, 0)
}

/// Lets a program choose among the sockets that share this one's port. It is one for all of them.
/// Since Linux 4.5, for socket filters, and since 4.19 for programs of its own type.
///
/// # Errors
/// `EINVAL` when the program has another type or the socket shares no port.
#[doc(alias = "SO_ATTACH_REUSEPORT_EBPF")]
pub fn attach_reuseport(socket: &impl AsFd, prog: &ProgFd) -> Result<(), SysError> {
    let option = libc::SO_ATTACH_REUSEPORT_EBPF;
    set(socket, libc::SOL_SOCKET, option, number(prog))
}

/// Lets the kernel choose again. Since Linux 5.3.
///
/// # Errors
/// `ENOENT` when there is no program.
#[doc(alias = "SO_DETACH_REUSEPORT_BPF")]
pub fn detach_reuseport(socket: &impl AsFd) -> Result<(), SysError> {
    set(socket, libc::SOL_SOCKET, libc::SO_DETACH_REUSEPORT_BPF, 0)
}

/// Asks the kernel to say in words what was wrong with a netlink message. Since Linux 4.12.
///
/// # Errors
/// `ENOPROTOOPT` when it is no netlink socket.
#[doc(alias = "NETLINK_EXT_ACK")]
pub fn tell_netlink_errors(socket: &impl AsFd) -> Result<(), SysError> {
    set(socket, libc::SOL_NETLINK, NETLINK_EXT_ACK, 1)
}

fn number(prog: &ProgFd) -> c_int {
    prog.as_raw_fd()
}

fn set(socket: &impl AsFd, level: c_int, option: c_int, value: c_int) -> Result<(), SysError> {
    let fd = socket.as_fd().as_raw_fd();
    let value: *const c_int = &value;
    // SAFETY: `value` points to a number that lives until the end of this function, and the
    // length is its own. All options of this module are such numbers.
    let result = unsafe { libc::setsockopt(fd, level, option, value.cast(), size_of_int()) };
    if result < 0 {
        return Err(SysError::from_errno(Op::SocketOption, Errno::last()));
    }
    Ok(())
}

const fn size_of_int() -> libc::socklen_t {
    // An int has four bytes on every machine the kernel runs on.
    4
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    #[test]
    fn what_is_not_there_cannot_be_taken_away() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let error = detach_filter(&socket).unwrap_err();
        assert!(error.is(Errno::ENOENT), "{error}");
        let error = tell_netlink_errors(&socket).unwrap_err();
        assert!(error.errno().is_some(), "{error}");
    }
}
