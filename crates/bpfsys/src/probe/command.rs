//! Commands.

use super::{Key, Support, cached};
use crate::cmd::known;
use crate::uapi::enums::Cmd;

/// Whether the kernel knows this command.
#[must_use]
pub fn command(cmd: Cmd) -> Support {
    cached(Key::Command(cmd.0), || {
        // Each request is one that a kernel with the command refuses in another way than with
        // EINVAL, which is the answer to an unknown command.
        const YES: [i32; 8] = [
            libc::EBADF,
            libc::EBADFD,
            libc::ENOENT,
            libc::EFAULT,
            libc::E2BIG,
            libc::ENODEV,
            libc::EOPNOTSUPP,
            crate::error::ENOTSUPP,
        ];
        Support::judge(known::ask(cmd), &YES, &[libc::EINVAL, libc::ENOSYS])
    })
}
