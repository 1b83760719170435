//! Single sockets: filters of what one receives, and choosing among those that share a port.

use super::{AttachError, Link, Part, legacy};
use bpfsys::sys::sockopt;
use bpfsys::{ProgFd, SysError};
use std::os::fd::{BorrowedFd, OwnedFd};

/// A socket.
#[derive(Clone, Copy, Debug)]
pub struct Socket<'a>(BorrowedFd<'a>);

impl<'a> Socket<'a> {
    /// An open one.
    #[must_use]
    pub fn new(socket: BorrowedFd<'a>) -> Self {
        Self(socket)
    }

    /// Lets a socket filter see, shorten or drop what the socket receives; it takes the place of
    /// another. The link keeps the socket open. Since Linux 3.19.
    ///
    /// # Errors
    /// It is no socket, or no socket filter.
    #[doc(alias = "SO_ATTACH_BPF")]
    pub fn attach_filter(&self, prog: &ProgFd) -> Result<Link, AttachError> {
        self.attach("a socket", prog, |socket, prog| match prog {
            Some(prog) => sockopt::attach_filter(socket, prog),
            None => sockopt::detach_filter(socket),
        })
    }

    /// Lets a program choose among the sockets that share this one's port, for all of them; it
    /// takes the place of another. The link keeps the socket open. Since Linux 4.19.
    ///
    /// # Errors
    /// It is no socket that shares its port, or no such program.
    #[doc(alias = "SO_ATTACH_REUSEPORT_EBPF")]
    pub fn attach_reuseport(&self, prog: &ProgFd) -> Result<Link, AttachError> {
        self.attach("sockets of one port", prog, |socket, prog| match prog {
            Some(prog) => sockopt::attach_reuseport(socket, prog),
            None => sockopt::detach_reuseport(socket),
        })
    }

    fn attach(&self, what: &'static str, prog: &ProgFd, set: Set) -> Result<Link, AttachError> {
        let socket = legacy::own(self.0, what)?;
        set(&socket, Some(prog))
            .map_err(|source| AttachError::kernel(format!("attach to {what}"), source))?;
        Ok(Link::without_fd(what, Attached { what, socket, set }))
    }
}

/// Sets the program of a socket, or takes it away.
type Set = fn(&OwnedFd, Option<&ProgFd>) -> Result<(), SysError>;

#[derive(Debug)]
struct Attached {
    what: &'static str,
    socket: OwnedFd,
    set: Set,
}

impl Part for Attached {
    fn undo(&mut self) -> Result<(), AttachError> {
        (self.set)(&self.socket, None)
            .map_err(|source| AttachError::kernel(format!("detach from {}", self.what), source))
    }

    /// It lives as long as the socket, of which whoever made it has a descriptor.
    fn leave(self: Box<Self>) {}
}
