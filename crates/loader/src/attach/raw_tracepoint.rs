//! Raw tracepoints: programs that get the arguments of a tracepoint as they are.

use super::{AttachError, Link};
use bpfsys::ProgFd;
use bpfsys::cmd::RawTracepointOpen;

/// A raw tracepoint, also for programs that may sleep or write. Since Linux 4.17.
#[derive(Clone, Debug)]
#[doc(alias = "bpf_program__attach_raw_tracepoint")]
pub struct RawTracepoint {
    name: String,
    cookie: u64,
}

impl RawTracepoint {
    /// The tracepoint, without its category: `sched_switch`.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            cookie: 0,
        }
    }

    /// What `bpf_get_attach_cookie` gives the program. Since Linux 6.10.
    #[must_use]
    pub fn cookie(mut self, cookie: u64) -> Self {
        self.cookie = cookie;
        self
    }

    /// Attaches a program.
    ///
    /// # Errors
    /// There is no such tracepoint, or the program does not fit.
    pub fn attach(&self, prog: &ProgFd) -> Result<Link, AttachError> {
        let what = format!("raw tracepoint {}", self.name);
        let opened = RawTracepointOpen::new(Some(&self.name), prog)
            .cookie(self.cookie)
            .run();
        match opened {
            Ok(link) => Ok(Link::new(what, link)),
            Err(source) => Err(AttachError::kernel(format!("attach to {what}"), source)),
        }
    }
}
