//! Cgroups: what the processes of one may do with sockets, devices and settings.

use super::legacy::{self, Options};
use super::{AttachError, Link};
use bpfsys::cmd::{Anchor, LinkCreate, LinkTarget, Target};
use bpfsys::uapi::flags::AttachFlags;
use bpfsys::{AttachType, ProgFd};
use std::os::fd::BorrowedFd;

/// A hook of a cgroup, security hooks (`lsm_cgroup`) included.
#[derive(Clone, Copy, Debug)]
#[doc(alias = "bpf_program__attach_cgroup")]
pub struct Cgroup<'a> {
    cgroup: BorrowedFd<'a>,
    attach_type: AttachType,
    options: Options<'a>,
}

impl<'a> Cgroup<'a> {
    /// The directory of a cgroup of version 2, open, and the hook.
    #[must_use]
    pub fn new(cgroup: BorrowedFd<'a>, attach_type: AttachType) -> Self {
        Self {
            cgroup,
            attach_type,
            options: Options::default(),
        }
    }

    /// Where among the programs of the hook; without it, behind all. Since Linux 6.17.
    #[must_use]
    pub fn anchor(mut self, anchor: Anchor<'a>) -> Self {
        self.options.anchor = Some(anchor);
        self
    }

    /// Only if the hook still has this revision. Since Linux 6.17.
    #[must_use]
    pub fn expected_revision(mut self, revision: u64) -> Self {
        self.options.expected_revision = revision;
        self
    }

    /// Runs before the programs of the cgroups below instead of after them. Since Linux 6.15.
    #[must_use]
    #[doc(alias = "BPF_F_PREORDER")]
    pub fn preorder(mut self) -> Self {
        self.options.flags |= AttachFlags::PREORDER;
        self
    }

    /// Cgroups below may have programs of their own that run too. Links always allow it; only for
    /// [`attach_prog`](Self::attach_prog).
    #[must_use]
    #[doc(alias = "BPF_F_ALLOW_MULTI")]
    pub fn allow_multi(mut self) -> Self {
        self.options.flags |= AttachFlags::ALLOW_MULTI;
        self
    }

    /// Cgroups below may have a program of their own that runs instead. Only for
    /// [`attach_prog`](Self::attach_prog).
    #[must_use]
    #[doc(alias = "BPF_F_ALLOW_OVERRIDE")]
    pub fn allow_override(mut self) -> Self {
        self.options.flags |= AttachFlags::ALLOW_OVERRIDE;
        self
    }

    /// Takes the place of this program, which was attached without a link and with
    /// [`allow_multi`](Self::allow_multi). Only for [`attach_prog`](Self::attach_prog), links have
    /// [`Link::update`].
    #[must_use]
    pub fn replace(mut self, prog: &'a ProgFd) -> Self {
        self.options.replace = Some(prog);
        self
    }

    fn what(&self) -> String {
        format!("{} of a cgroup", self.attach_type)
    }

    /// Attaches a program by a link. Since Linux 5.7.
    ///
    /// # Errors
    /// It is no cgroup, a cgroup above allows none, program and hook do not fit, the kernel has
    /// no such hook, or something was asked for that links cannot.
    pub fn attach(&self, prog: &ProgFd) -> Result<Link, AttachError> {
        let what = self.what();
        let only_without = self.options.flags.intersects(AttachFlags::ALLOW_OVERRIDE)
            || self.options.replace.is_some();
        if only_without {
            return Err(AttachError::Options {
                what,
                why: "a link cannot be overridden or replace a program",
            });
        }
        let target = LinkTarget::Cgroup {
            cgroup: self.cgroup,
            attach_type: self.attach_type,
            anchor: self.options.anchor,
            expected_revision: self.options.expected_revision,
        };
        let flags = self.options.flags.difference(AttachFlags::ALLOW_MULTI);
        match LinkCreate::new(prog, target).flags(flags).run() {
            Ok(link) => Ok(Link::new(what, link)),
            Err(source) => Err(AttachError::kernel(format!("attach to {what}"), source)),
        }
    }

    /// Attaches a program without a link: it stays when this process ends, as long as the cgroup
    /// does.
    ///
    /// # Errors
    /// It is no cgroup, a cgroup above allows none, program and hook do not fit, or the kernel has
    /// no such hook.
    #[doc(alias = "bpf_prog_attach")]
    pub fn attach_prog(&self, prog: &ProgFd) -> Result<Link, AttachError> {
        let target = Target::Fd(self.cgroup);
        legacy::attach(self.what(), target, self.attach_type, prog, self.options)
    }
}
