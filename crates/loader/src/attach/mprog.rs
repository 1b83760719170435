//! Interfaces with an ordered list of programs at each hook: traffic control and netkit.

use super::legacy::{self, Options};
use super::{AttachError, Link};
use bpfsys::cmd::{Anchor, LinkCreate, LinkTarget, Target};
use bpfsys::{AttachType, ProgFd, probe};
use nix::errno::Errno;

/// What both have in common.
#[derive(Clone, Copy, Debug)]
struct Hook<'a> {
    ifindex: u32,
    attach_type: AttachType,
    place: &'static str,
    options: Options<'a>,
}

impl<'a> Hook<'a> {
    fn new(ifindex: u32, attach_type: AttachType, place: &'static str) -> Self {
        Self {
            ifindex,
            attach_type,
            place,
            options: Options::default(),
        }
    }

    fn what(&self) -> String {
        format!("{} of interface {}", self.place, self.ifindex)
    }

    fn attach(&self, prog: &ProgFd, target: LinkTarget<'_>) -> Result<Link, AttachError> {
        let what = self.what();
        if self.options.replace.is_some() {
            return Err(AttachError::Options {
                what,
                why: "a link cannot replace a program",
            });
        }
        match LinkCreate::new(prog, target).run() {
            Ok(link) => Ok(Link::new(what, link)),
            Err(error)
                if (error.is(Errno::EINVAL) || error.is(Errno::E2BIG))
                    && probe::attach_type(self.attach_type).is_no() =>
            {
                Err(AttachError::Unsupported {
                    what: format!("attach to {what}"),
                    hint: Some(self.brought_by().into()),
                })
            }
            Err(source) => Err(AttachError::kernel(format!("attach to {what}"), source)),
        }
    }

    fn brought_by(&self) -> &'static str {
        match self.attach_type {
            AttachType::TCX_INGRESS | AttachType::TCX_EGRESS => "Linux 6.6 brought tcx",
            _ => "Linux 6.7 brought netkit, if configured (CONFIG_NETKIT)",
        }
    }

    fn attach_prog(&self, prog: &ProgFd) -> Result<Link, AttachError> {
        let target = Target::Ifindex(self.ifindex);
        legacy::attach(self.what(), target, self.attach_type, prog, self.options)
    }
}

macro_rules! hook {
    ($name:ident) => {
        impl<'a> $name<'a> {
            /// Where among the programs of the hook; without it, behind all.
            #[must_use]
            pub fn anchor(mut self, anchor: Anchor<'a>) -> Self {
                self.0.options.anchor = Some(anchor);
                self
            }

            /// Takes the place of this program, which was attached without a link. Only for
            /// [`attach_prog`](Self::attach_prog), links have [`Link::update`].
            #[must_use]
            pub fn replace(mut self, prog: &'a ProgFd) -> Self {
                self.0.options.replace = Some(prog);
                self
            }

            /// Only if the hook still has this revision, as a
            /// [`ProgQuery`](bpfsys::cmd::ProgQuery) told it.
            #[must_use]
            pub fn expected_revision(mut self, revision: u64) -> Self {
                self.0.options.expected_revision = revision;
                self
            }

            /// Attaches a program by a link.
            ///
            /// # Errors
            /// There is no such interface, the hook has changed, what it is to be placed by is
            /// not there, or replacing was asked for.
            pub fn attach(&self, prog: &ProgFd) -> Result<Link, AttachError> {
                let target = LinkTarget::$name {
                    ifindex: self.0.ifindex,
                    attach_type: self.0.attach_type,
                    anchor: self.0.options.anchor,
                    expected_revision: self.0.options.expected_revision,
                };
                self.0.attach(prog, target)
            }

            /// Attaches a program without a link: it stays when this process ends.
            ///
            /// # Errors
            /// There is no such interface, the hook has changed, or what it is to be placed by or
            /// to replace is not there.
            #[doc(alias = "bpf_prog_attach_opts")]
            pub fn attach_prog(&self, prog: &ProgFd) -> Result<Link, AttachError> {
                self.0.attach_prog(prog)
            }
        }
    };
}

/// The traffic control path of an interface. Since Linux 6.6.
#[derive(Clone, Copy, Debug)]
#[doc(alias = "bpf_program__attach_tcx")]
pub struct Tcx<'a>(Hook<'a>);

impl Tcx<'_> {
    /// Packets that arrive at an interface.
    #[must_use]
    #[doc(alias = "BPF_TCX_INGRESS")]
    pub fn ingress(ifindex: u32) -> Self {
        Self(Hook::new(ifindex, AttachType::TCX_INGRESS, "tcx/ingress"))
    }

    /// Packets that leave by an interface.
    #[must_use]
    #[doc(alias = "BPF_TCX_EGRESS")]
    pub fn egress(ifindex: u32) -> Self {
        Self(Hook::new(ifindex, AttachType::TCX_EGRESS, "tcx/egress"))
    }
}

hook!(Tcx);

/// A netkit device, by the one of its two ends that is primary. Since Linux 6.7.
#[derive(Clone, Copy, Debug)]
#[doc(alias = "bpf_program__attach_netkit")]
pub struct Netkit<'a>(Hook<'a>);

impl Netkit<'_> {
    /// Packets that leave by this end.
    #[must_use]
    #[doc(alias = "BPF_NETKIT_PRIMARY")]
    pub fn primary(ifindex: u32) -> Self {
        let place = "netkit/primary";
        Self(Hook::new(ifindex, AttachType::NETKIT_PRIMARY, place))
    }

    /// Packets that leave by the other end.
    #[must_use]
    #[doc(alias = "BPF_NETKIT_PEER")]
    pub fn peer(ifindex: u32) -> Self {
        Self(Hook::new(ifindex, AttachType::NETKIT_PEER, "netkit/peer"))
    }
}

hook!(Netkit);
