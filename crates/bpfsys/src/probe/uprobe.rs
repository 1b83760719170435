//! User probes.

use super::{Key, Support, cached};
use crate::error::{Op, SysError};
use crate::sys::uprobe;
use nix::errno::Errno;

/// Whether a user probe on a `nop` of ten bytes becomes a call, which costs less than a trap. On
/// x86-64 only.
///
/// Kernels answer the call in another way since it goes into ten bytes; before, it went into five.
#[must_use]
pub fn ten_byte_nop() -> Support {
    cached(Key::Feature("ten_byte_nop"), || match uprobe::answer() {
        Some(Errno::EPROTO) => Support::Yes,
        // An older form, no such call, or no such machine.
        Some(Errno::ENXIO | Errno::ENOSYS) | None => Support::No,
        Some(errno) => Support::Unknown(SysError::from_errno(Op::Uprobe, errno)),
    })
}
