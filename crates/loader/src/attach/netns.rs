//! Network namespaces: finding the socket for a packet, taking packets apart.

use super::legacy::{self, Options};
use super::{AttachError, Link};
use bpfsys::cmd::{LinkCreate, LinkTarget, Target};
use bpfsys::{AttachType, ProgFd};
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};

/// The namespace of the calling thread, which can be another than its process's.
const CURRENT: &str = "/proc/thread-self/ns/net";

/// A hook of a network namespace.
#[derive(Clone, Copy, Debug)]
#[doc(alias = "bpf_program__attach_netns")]
pub struct Netns<'a> {
    netns: Option<BorrowedFd<'a>>,
    attach_type: AttachType,
}

impl<'a> Netns<'a> {
    /// Programs that choose the socket a packet is for, of the caller's namespace. Since
    /// Linux 5.9.
    #[must_use]
    #[doc(alias = "BPF_SK_LOOKUP")]
    pub fn sk_lookup() -> Self {
        Self {
            netns: None,
            attach_type: AttachType::SK_LOOKUP,
        }
    }

    /// The one program that takes packets apart, of the caller's namespace. Since Linux 4.20.
    #[must_use]
    #[doc(alias = "BPF_FLOW_DISSECTOR")]
    pub fn flow_dissector() -> Self {
        Self {
            netns: None,
            attach_type: AttachType::FLOW_DISSECTOR,
        }
    }

    /// Another namespace: its file of `/proc/PID/ns/net`, open.
    #[must_use]
    pub fn of(mut self, netns: BorrowedFd<'a>) -> Self {
        self.netns = Some(netns);
        self
    }

    fn what(&self) -> String {
        format!("{} of a network namespace", self.attach_type)
    }

    /// Attaches a program by a link. Since Linux 5.8.
    ///
    /// # Errors
    /// It is no network namespace, program and hook do not fit, or there is a flow dissector
    /// already.
    pub fn attach(&self, prog: &ProgFd) -> Result<Link, AttachError> {
        let what = self.what();
        let current;
        let netns = match self.netns {
            Some(netns) => netns,
            None => {
                current = File::open(CURRENT).map_err(|source| AttachError::File {
                    what: "open the network namespace".into(),
                    path: CURRENT.into(),
                    source,
                })?;
                current.as_fd()
            }
        };
        let target = LinkTarget::Netns {
            netns,
            attach_type: self.attach_type,
        };
        match LinkCreate::new(prog, target).run() {
            Ok(link) => Ok(Link::new(what, link)),
            Err(source) => Err(AttachError::kernel(format!("attach to {what}"), source)),
        }
    }

    /// Attaches a flow dissector to the caller's namespace without a link: it stays when this
    /// process ends, and takes the place of another.
    ///
    /// # Errors
    /// It is another hook or namespace, there is a link, or the program does not fit.
    #[doc(alias = "bpf_prog_attach")]
    pub fn attach_prog(&self, prog: &ProgFd) -> Result<Link, AttachError> {
        let what = self.what();
        if self.attach_type != AttachType::FLOW_DISSECTOR || self.netns.is_some() {
            return Err(AttachError::Options {
                what,
                why: "only flow dissectors of the caller's namespace attach without a link",
            });
        }
        legacy::attach(
            what,
            Target::Current,
            self.attach_type,
            prog,
            Options::default(),
        )
    }
}
