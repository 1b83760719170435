//! Programs that attach to what their load resolved in the kernel's types: entries and exits of
//! functions, BTF tracepoints, security hooks, functions of other programs.

use super::{AttachError, Link};
use bpfsys::cmd::link::LinkTarget;
use bpfsys::cmd::{LinkCreate, RawTracepointOpen};
use bpfsys::{AttachType, ProgFd};
use nix::errno::Errno;

/// Where a program's load said that it goes: fentry, fexit, fmod_ret, fsession, tp_btf, lsm,
/// freplace. Since Linux 5.5.
#[derive(Clone, Copy, Debug)]
#[doc(alias = "bpf_program__attach_trace")]
#[doc(alias = "bpf_program__attach_lsm")]
#[doc(alias = "bpf_program__attach_freplace")]
pub struct Tracing<'a> {
    attach_type: AttachType,
    cookie: u64,
    target: Option<(&'a ProgFd, u32)>,
}

impl<'a> Tracing<'a> {
    /// For a program that was loaded with this attach type (0 for freplace).
    #[must_use]
    pub fn new(attach_type: AttachType) -> Self {
        Self {
            attach_type,
            cookie: 0,
            target: None,
        }
    }

    /// What `bpf_get_attach_cookie` gives the program. Since Linux 5.19, for BTF tracepoints
    /// since 6.10.
    #[must_use]
    pub fn cookie(mut self, cookie: u64) -> Self {
        self.cookie = cookie;
        self
    }

    /// Another program than the one named at load, and the id of the function in its types. Since
    /// Linux 5.10.
    #[must_use]
    pub fn target(mut self, prog: &'a ProgFd, func: u32) -> Self {
        self.target = Some((prog, func));
        self
    }

    /// Attaches a program.
    ///
    /// # Errors
    /// The kernel does not let programs run there, something with which this does not go together
    /// is there already, or the program was loaded for something else.
    pub fn attach(&self, prog: &ProgFd) -> Result<Link, AttachError> {
        let what = "what the program was loaded for";
        let target = LinkTarget::Tracing {
            attach_type: self.attach_type,
            target: self.target,
            cookie: self.cookie,
        };
        let made = match LinkCreate::new(prog, target).run() {
            // Links of this kind came later than the programs, first without the raw kinds.
            Err(error)
                if self.target.is_none()
                    && (error.is(Errno::EINVAL) || error.is(Errno::EOPNOTSUPP)) =>
            {
                let raw = RawTracepointOpen::new(None, prog).cookie(self.cookie);
                raw.run().map_err(|_second_answer| error)
            }
            made => made,
        };
        match made {
            Ok(link) => Ok(Link::new(what, link)),
            Err(source) => Err(AttachError::kernel(format!("attach to {what}"), source)),
        }
    }
}
