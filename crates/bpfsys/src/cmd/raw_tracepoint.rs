//! RAW_TRACEPOINT_OPEN.

#![allow(unsafe_code, reason = "makes bpf() calls")]

use super::c_string;
use crate::error::SysError;
use crate::fd::{LinkFd, ProgFd};
use crate::sys::bpf::bpf_fd;
use crate::uapi::UserPtr;
use crate::uapi::attr::RawTracepointAttr;
use crate::uapi::enums::Cmd;

/// BPF_RAW_TRACEPOINT_OPEN: attaches a raw tracepoint program, or, without a name, a program
/// whose target was given at load: BTF tracepoints, function entries and exits, security hooks.
/// Since Linux 4.17; without a name since 5.5; cookies since 6.10.
///
/// Errors: `ENOENT` when there is no such tracepoint, `EINVAL` when program and target do not fit.
#[doc(alias = "BPF_RAW_TRACEPOINT_OPEN")]
#[derive(Clone, Copy, Debug)]
pub struct RawTracepointOpen<'a> {
    name: Option<&'a str>,
    prog: &'a ProgFd,
    cookie: u64,
}

impl<'a> RawTracepointOpen<'a> {
    /// Attaches `prog` to the tracepoint `name`.
    #[must_use]
    pub fn new(name: Option<&'a str>, prog: &'a ProgFd) -> Self {
        Self {
            name,
            prog,
            cookie: 0,
        }
    }

    /// What `bpf_get_attach_cookie` gives the program. Since Linux 6.10.
    #[must_use]
    pub fn cookie(mut self, cookie: u64) -> Self {
        self.cookie = cookie;
        self
    }

    /// Makes the call.
    ///
    /// # Errors
    /// See the type; refused when the name has a zero byte.
    pub fn run(&self) -> Result<LinkFd, SysError> {
        let cmd = Cmd::RAW_TRACEPOINT_OPEN;
        let name = self
            .name
            .map(|name| c_string(cmd, name.as_bytes()))
            .transpose()?;
        let mut attr = RawTracepointAttr {
            name: name.as_deref().map_or(UserPtr::NULL, UserPtr::from_cstr),
            prog_fd: self.prog.number(),
            pad: 0,
            cookie: self.cookie,
        };
        // SAFETY: `name` is null or backed by a local, which the kernel reads up to its zero. It
        // writes nothing and returns a new descriptor, of a link; on kernels before 5.8 of
        // something that only keeps the program attached and that commands on links refuse.
        unsafe { bpf_fd(cmd, &mut attr, None) }.map(LinkFd::from_kernel)
    }
}
