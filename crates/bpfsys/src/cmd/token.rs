//! TOKEN_CREATE.

#![allow(unsafe_code, reason = "makes bpf() calls")]

use crate::error::SysError;
use crate::fd::TokenFd;
use crate::sys::bpf::bpf_fd;
use crate::sys::fd::number;
use crate::uapi::attr::TokenCreateAttr;
use crate::uapi::enums::Cmd;
use std::os::fd::{AsFd, BorrowedFd};

/// BPF_TOKEN_CREATE: makes a token with the rights that a bpffs was mounted to delegate. Since
/// Linux 6.9.
///
/// Errors: `EOPNOTSUPP` in the initial user namespace, `EPERM` when the bpffs belongs to another
/// user namespace or without `CAP_BPF` there, `ENOENT` when nothing is delegated, `EINVAL` when the
/// descriptor is not the root of a bpffs.
#[doc(alias = "BPF_TOKEN_CREATE")]
#[derive(Clone, Copy, Debug)]
pub struct TokenCreate<'a> {
    bpffs: BorrowedFd<'a>,
    flags: u32,
}

impl<'a> TokenCreate<'a> {
    /// A token of the bpffs whose root `bpffs` is.
    #[must_use]
    pub fn new(bpffs: &'a impl AsFd) -> Self {
        Self {
            bpffs: bpffs.as_fd(),
            flags: 0,
        }
    }

    /// Flags; no kernel has any yet.
    #[must_use]
    pub fn flags(mut self, flags: u32) -> Self {
        self.flags = flags;
        self
    }

    /// Makes the call.
    ///
    /// # Errors
    /// See the type.
    pub fn run(&self) -> Result<TokenFd, SysError> {
        let mut attr = TokenCreateAttr {
            flags: self.flags,
            bpffs_fd: number(&self.bpffs),
        };
        // SAFETY: no pointer fields, so nothing but the attribute is read. It returns a new
        // descriptor, of a token.
        unsafe { bpf_fd(Cmd::TOKEN_CREATE, &mut attr, None) }.map(TokenFd::from_kernel)
    }
}
