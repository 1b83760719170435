//! Socket maps: programs that see what the sockets in them receive or send.

use super::legacy::{self, Options, maybe_no_link};
use super::{AttachError, Link};
use bpfsys::cmd::{LinkCreate, LinkTarget, Target};
use bpfsys::{AttachType, MapFd, ProgFd};

/// A hook of a socket map or hash.
#[derive(Clone, Copy, Debug)]
#[doc(alias = "bpf_program__attach_sockmap")]
pub struct Sockmap<'a> {
    map: &'a MapFd,
    attach_type: AttachType,
}

impl<'a> Sockmap<'a> {
    /// The map, and which of its hooks: a parser or verdict of streams, a verdict of any socket
    /// (since Linux 5.13), a verdict of messages that are sent.
    #[must_use]
    pub fn new(map: &'a MapFd, attach_type: AttachType) -> Self {
        Self { map, attach_type }
    }

    fn what(&self) -> String {
        format!("{} of a socket map", self.attach_type)
    }

    /// Attaches a program, by a link where the kernel has them (since Linux 6.10).
    ///
    /// # Errors
    /// It is no socket map, or program and hook do not fit, or the hook has a link.
    pub fn attach(&self, prog: &ProgFd) -> Result<Link, AttachError> {
        let target = LinkTarget::Sockmap {
            map: self.map,
            attach_type: self.attach_type,
        };
        match LinkCreate::new(prog, target).run() {
            Ok(link) => Ok(Link::new(self.what(), link)),
            Err(error) if maybe_no_link(&error) => self.attach_prog(prog),
            Err(source) => Err(AttachError::kernel(
                format!("attach to {}", self.what()),
                source,
            )),
        }
    }

    /// Attaches a program without a link: it stays with the map, and takes the place of another.
    ///
    /// # Errors
    /// It is no socket map, or program and hook do not fit, or the hook has a link.
    #[doc(alias = "bpf_prog_attach")]
    pub fn attach_prog(&self, prog: &ProgFd) -> Result<Link, AttachError> {
        let target = Target::from(self.map);
        legacy::attach(
            self.what(),
            target,
            self.attach_type,
            prog,
            Options::default(),
        )
    }
}
