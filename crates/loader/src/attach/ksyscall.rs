//! System calls: probes at the functions that handle them.

use super::{AttachError, Kprobe, Link};
use bpfsys::{ProgFd, probe};

/// A system call of the machine's own kind, whatever the kernel calls its function.
#[derive(Clone, Debug)]
#[doc(alias = "bpf_program__attach_ksyscall")]
pub struct Ksyscall {
    name: String,
    returns: bool,
    cookie: u64,
}

impl Ksyscall {
    /// The call by its name: `openat`.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            returns: false,
            cookie: 0,
        }
    }

    /// When the call returns.
    #[must_use]
    #[doc(alias = "kretsyscall")]
    pub fn returns(mut self) -> Self {
        self.returns = true;
        self
    }

    /// What `bpf_get_attach_cookie` gives the program. Since Linux 5.15.
    #[must_use]
    pub fn cookie(mut self, cookie: u64) -> Self {
        self.cookie = cookie;
        self
    }

    /// Attaches a program.
    ///
    /// # Errors
    /// The kernel handles no such call, or the program does not fit.
    pub fn attach(&self, prog: &ProgFd) -> Result<Link, AttachError> {
        let mut kprobe = Kprobe::new(probe::syscall_function(&self.name)).cookie(self.cookie);
        if self.returns {
            kprobe = kprobe.returns();
        }
        kprobe.attach(prog).map_err(|error| match error {
            AttachError::Missing {
                what: "function", ..
            } => AttachError::Missing {
                what: "system call",
                name: self.name.clone(),
            },
            error => error,
        })
    }
}
