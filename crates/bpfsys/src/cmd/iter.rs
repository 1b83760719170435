//! ITER_CREATE.

#![allow(unsafe_code, reason = "makes bpf() calls")]

use crate::error::SysError;
use crate::fd::{IterFd, LinkFd};
use crate::sys::bpf::bpf_fd;
use crate::uapi::attr::IterCreateAttr;
use crate::uapi::enums::Cmd;

/// BPF_ITER_CREATE: starts a walk of an iterator link. Since Linux 5.8.
///
/// Errors: `EINVAL` when the link is not an iterator.
#[doc(alias = "BPF_ITER_CREATE")]
#[derive(Clone, Copy, Debug)]
pub struct IterCreate<'a> {
    link: &'a LinkFd,
    flags: u32,
}

impl<'a> IterCreate<'a> {
    /// Walks once over what `link` iterates over.
    #[must_use]
    pub fn new(link: &'a LinkFd) -> Self {
        Self { link, flags: 0 }
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
    pub fn run(&self) -> Result<IterFd, SysError> {
        let mut attr = IterCreateAttr {
            link_fd: self.link.number(),
            flags: self.flags,
        };
        // SAFETY: no pointer fields, so nothing but the attribute is read. It returns a new
        // descriptor, of an iterator.
        unsafe { bpf_fd(Cmd::ITER_CREATE, &mut attr, None) }.map(IterFd::from_kernel)
    }
}
