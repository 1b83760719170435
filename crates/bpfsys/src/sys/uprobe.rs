//! The system call that the kernel places in user probes of newer kernels on x86-64.

#![allow(unsafe_code, reason = "makes a system call")]

use nix::errno::Errno;

/// Its number.
#[cfg(target_arch = "x86_64")]
const UPROBE: libc::c_long = 336;

/// The kernel's answer to the call from a place where it has not put it, which does nothing; `None`
/// on machines that have no such call.
pub(crate) fn answer() -> Option<Errno> {
    #[cfg(target_arch = "x86_64")]
    {
        // SAFETY: the call takes no arguments. Outside of what the kernel has mapped for it, it
        // refuses and changes nothing; kernels without it refuse the number.
        let result = unsafe { libc::syscall(UPROBE) };
        Some(match result {
            0.. => Errno::UnknownErrno,
            _ => Errno::last(),
        })
    }
    #[cfg(not(target_arch = "x86_64"))]
    None
}
