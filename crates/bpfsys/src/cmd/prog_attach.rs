//! PROG_ATTACH, PROG_DETACH and PROG_QUERY: hooks without links.

#![allow(unsafe_code, reason = "makes bpf() calls")]

use super::count32;
use crate::error::{ErrorKind, Refusal, SysError};
use crate::fd::ProgFd;
use crate::ids::{LinkId, ProgId};
use crate::sys::bpf::bpf_unit;
use crate::sys::fd::number;
use crate::uapi::UserPtr;
use crate::uapi::attr::{ProgAttachAttr, ProgQueryAttr};
use crate::uapi::enums::{AttachType, Cmd};
use crate::uapi::flags::{AttachFlags, QueryFlags};
use std::os::fd::{AsFd, BorrowedFd};

/// What a program is attached to.
#[derive(Clone, Copy, Debug)]
pub enum Target<'a> {
    /// A cgroup, socket map, network namespace or device file.
    Fd(BorrowedFd<'a>),
    /// A network interface.
    Ifindex(u32),
    /// The network namespace of the caller, for a flow dissector.
    Current,
}

impl Target<'_> {
    pub(crate) fn encode(self) -> u32 {
        match self {
            Self::Fd(fd) => number(&fd),
            Self::Ifindex(ifindex) => ifindex,
            Self::Current => 0,
        }
    }
}

impl<'a, F: AsFd> From<&'a F> for Target<'a> {
    fn from(fd: &'a F) -> Self {
        Self::Fd(fd.as_fd())
    }
}

/// Where among the programs of a hook one goes. Since Linux 6.6 for tcx and netkit, 6.17 for
/// cgroups.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Anchor<'a> {
    /// Before all others.
    First,
    /// After all others.
    Last,
    /// Before this program.
    BeforeProg(BorrowedFd<'a>),
    /// After this program.
    AfterProg(BorrowedFd<'a>),
    /// Before the program of this link.
    BeforeLink(BorrowedFd<'a>),
    /// After the program of this link.
    AfterLink(BorrowedFd<'a>),
    /// Before the program with this id.
    BeforeProgId(ProgId),
    /// After the program with this id.
    AfterProgId(ProgId),
    /// Before the program of the link with this id.
    BeforeLinkId(LinkId),
    /// After the program of the link with this id.
    AfterLinkId(LinkId),
}

impl Anchor<'_> {
    /// The flags, and the relative fd or id.
    pub(crate) fn encode(self) -> (AttachFlags, u32) {
        use AttachFlags as F;
        match self {
            Self::First => (F::BEFORE, 0),
            Self::Last => (F::AFTER, 0),
            Self::BeforeProg(fd) => (F::BEFORE, number(&fd)),
            Self::AfterProg(fd) => (F::AFTER, number(&fd)),
            Self::BeforeLink(fd) => (F::BEFORE | F::LINK, number(&fd)),
            Self::AfterLink(fd) => (F::AFTER | F::LINK, number(&fd)),
            Self::BeforeProgId(id) => (F::BEFORE | F::ID, id.get()),
            Self::AfterProgId(id) => (F::AFTER | F::ID, id.get()),
            Self::BeforeLinkId(id) => (F::BEFORE | F::LINK | F::ID, id.get()),
            Self::AfterLinkId(id) => (F::AFTER | F::LINK | F::ID, id.get()),
        }
    }
}

/// BPF_PROG_ATTACH: attaches a program to a cgroup, socket map, network namespace, infrared
/// device, or the traffic control path of an interface. Since Linux 4.10.
///
/// The program stays attached when its descriptor is closed.
///
/// Errors: `EPERM` when a cgroup above forbids it or without privilege, `EEXIST` when it is
/// attached there already, `ESTALE` when the hook has changed since the revision expected,
/// `EINVAL` when program and attach type do not fit.
#[doc(alias = "BPF_PROG_ATTACH")]
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct ProgAttach<'a> {
    target: Target<'a>,
    prog: &'a ProgFd,
    attach_type: AttachType,
    flags: AttachFlags,
    replace: Option<&'a ProgFd>,
    relative: u32,
    anchor: Option<Anchor<'a>>,
    expected_revision: u64,
}

impl<'a> ProgAttach<'a> {
    /// Attaches `prog` to `target`.
    pub fn new(target: impl Into<Target<'a>>, prog: &'a ProgFd, attach_type: AttachType) -> Self {
        Self {
            target: target.into(),
            prog,
            attach_type,
            flags: AttachFlags::empty(),
            replace: None,
            relative: 0,
            anchor: None,
            expected_revision: 0,
        }
    }

    /// Flags. Those that go with an anchor or a replacement are set with it.
    pub fn flags(mut self, flags: AttachFlags) -> Self {
        self.flags |= flags;
        self
    }

    /// Takes the place of this program. Since Linux 5.6.
    pub fn replace(mut self, prog: &'a ProgFd) -> Self {
        self.replace = Some(prog);
        self.flags(AttachFlags::REPLACE)
    }

    /// Where among the programs of the hook.
    pub fn anchor(mut self, anchor: Anchor<'a>) -> Self {
        let (flags, relative) = anchor.encode();
        self.anchor = Some(anchor);
        self.relative = relative;
        self.flags(flags)
    }

    /// Only if the hook still has this revision. Since Linux 6.6.
    pub fn expected_revision(mut self, revision: u64) -> Self {
        self.expected_revision = revision;
        self
    }

    /// Makes the call.
    ///
    /// # Errors
    /// See the type.
    pub fn run(&self) -> Result<(), SysError> {
        let mut attr = ProgAttachAttr {
            target: self.target.encode(),
            attach_bpf_fd: self.prog.number(),
            attach_type: self.attach_type.0,
            attach_flags: self.flags.bits(),
            replace_bpf_fd: self.replace.map_or(0, ProgFd::number),
            relative: self.relative,
            expected_revision: self.expected_revision,
        };
        // SAFETY: no pointer fields, so nothing but the attribute is read. It returns 0.
        unsafe { bpf_unit(Cmd::PROG_ATTACH, &mut attr) }
    }
}

/// BPF_PROG_DETACH: undoes [`ProgAttach`]. Since Linux 4.10.
///
/// Errors: `ENOENT` when the program is not attached there, `ESTALE` when the hook has changed
/// since the revision expected.
#[doc(alias = "BPF_PROG_DETACH")]
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct ProgDetach<'a> {
    target: Target<'a>,
    attach_type: AttachType,
    prog: Option<&'a ProgFd>,
    flags: AttachFlags,
    relative: u32,
    anchor: Option<Anchor<'a>>,
    expected_revision: u64,
}

impl<'a> ProgDetach<'a> {
    /// Detaches what is attached to `target`: the only program, unless one is named.
    pub fn new(target: impl Into<Target<'a>>, attach_type: AttachType) -> Self {
        Self {
            target: target.into(),
            attach_type,
            prog: None,
            flags: AttachFlags::empty(),
            relative: 0,
            anchor: None,
            expected_revision: 0,
        }
    }

    /// The program to detach. Several programs on one hook need it.
    pub fn prog(mut self, prog: &'a ProgFd) -> Self {
        self.prog = Some(prog);
        self
    }

    /// Flags. Those that go with an anchor are set with it.
    pub fn flags(mut self, flags: AttachFlags) -> Self {
        self.flags |= flags;
        self
    }

    /// Which of the programs of the hook.
    pub fn anchor(mut self, anchor: Anchor<'a>) -> Self {
        let (flags, relative) = anchor.encode();
        self.anchor = Some(anchor);
        self.relative = relative;
        self.flags(flags)
    }

    /// Only if the hook still has this revision. Since Linux 6.6.
    pub fn expected_revision(mut self, revision: u64) -> Self {
        self.expected_revision = revision;
        self
    }

    /// Makes the call.
    ///
    /// # Errors
    /// See the type.
    pub fn run(&self) -> Result<(), SysError> {
        let mut attr = ProgAttachAttr {
            target: self.target.encode(),
            attach_bpf_fd: self.prog.map_or(0, ProgFd::number),
            attach_type: self.attach_type.0,
            attach_flags: self.flags.bits(),
            replace_bpf_fd: 0,
            relative: self.relative,
            expected_revision: self.expected_revision,
        };
        // SAFETY: no pointer fields, so nothing but the attribute is read. It returns 0.
        unsafe { bpf_unit(Cmd::PROG_DETACH, &mut attr) }
    }
}

/// BPF_PROG_QUERY: lists the programs of a hook. Since Linux 4.15.
///
/// Errors: `EINVAL` when the kernel does not know the hook or it cannot be queried, `EPERM`
/// without `CAP_NET_ADMIN`.
#[doc(alias = "BPF_PROG_QUERY")]
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct ProgQuery<'a> {
    target: Target<'a>,
    attach_type: AttachType,
    flags: QueryFlags,
}

/// The programs of a hook, in the order they run.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct QueryResult {
    /// Flags of the hook itself; empty in an effective query.
    pub attach_flags: AttachFlags,
    /// Counts changes of the hook; 0 where the kernel does not count. Since Linux 6.6.
    pub revision: u64,
    /// The programs.
    pub progs: Vec<QueriedProg>,
}

/// One program of a hook.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct QueriedProg {
    /// The program.
    pub prog_id: ProgId,
    /// The flags it was attached with, where the kernel tells: cgroups since 6.0, tcx and netkit.
    /// Empty in an effective query.
    pub attach_flags: Option<AttachFlags>,
    /// The link it is attached by, if any: tcx and netkit only.
    pub link_id: Option<LinkId>,
    /// The flags the link was made with.
    pub link_attach_flags: Option<AttachFlags>,
}

/// Programs that most hooks stay below.
const FIRST_GUESS: usize = 64;
/// How often a hook that grows between two calls is asked again.
const ROUNDS: u32 = 8;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Detail {
    /// Ids only, for old kernels and hooks that tell no more.
    Ids,
    /// With the flags of each program.
    Flags,
    /// With links too.
    Links,
}

impl<'a> ProgQuery<'a> {
    /// Asks `target` about a hook.
    pub fn new(target: impl Into<Target<'a>>, attach_type: AttachType) -> Self {
        Self {
            target: target.into(),
            attach_type,
            flags: QueryFlags::empty(),
        }
    }

    /// Flags.
    pub fn flags(mut self, flags: QueryFlags) -> Self {
        self.flags |= flags;
        self
    }

    /// Asks, with as much room as it takes.
    ///
    /// # Errors
    /// See the type; refused with [`Refusal::KeepsChanging`] when the hook gets new programs
    /// faster than they can be read.
    pub fn run(&self) -> Result<QueryResult, SysError> {
        let detail = match self.attach_type {
            AttachType::TCX_INGRESS
            | AttachType::TCX_EGRESS
            | AttachType::NETKIT_PRIMARY
            | AttachType::NETKIT_PEER => Detail::Links,
            // Flags of single programs are not to be had for effective ones.
            _ if self.flags.contains(QueryFlags::EFFECTIVE) => Detail::Ids,
            other if other.name().is_some_and(|name| name.contains("cgroup")) => Detail::Flags,
            _ => Detail::Ids,
        };
        match self.gather(detail) {
            // Kernels before 6.0 do not know the fields: they are beyond the attribute, or in a
            // part of it that this command must leave zero.
            Err(error)
                if matches!(error.kind(), ErrorKind::TooBig | ErrorKind::Invalid)
                    && detail != Detail::Ids =>
            {
                self.gather(Detail::Ids)
            }
            result => result,
        }
    }

    fn gather(&self, detail: Detail) -> Result<QueryResult, SysError> {
        let cmd = Cmd::PROG_QUERY;
        let mut room = FIRST_GUESS;
        for _ in 0..ROUNDS {
            let with_flags = if detail == Detail::Ids { 0 } else { room };
            let with_links = if detail == Detail::Links { room } else { 0 };
            let mut ids = vec![0; room];
            let mut prog_flags = vec![0; with_flags];
            let mut link_ids = vec![0; with_links];
            let mut link_flags = vec![0; with_links];
            let mut attr = ProgQueryAttr {
                target: self.target.encode(),
                attach_type: self.attach_type.0,
                query_flags: self.flags.bits(),
                prog_ids: UserPtr::from_mut_slice::<u32>(&mut ids),
                count: count32(cmd, room)?,
                prog_attach_flags: UserPtr::from_mut_slice::<u32>(&mut prog_flags),
                link_ids: UserPtr::from_mut_slice::<u32>(&mut link_ids),
                link_attach_flags: UserPtr::from_mut_slice::<u32>(&mut link_flags),
                ..Default::default()
            };
            // SAFETY: the four arrays are null or backed by locals of `count` elements of 32
            // bits, and the kernel writes no more than that to each. It returns 0.
            match unsafe { bpf_unit(cmd, &mut attr) } {
                Ok(()) if attr.count as usize <= room => {}
                Err(error) if error.kind() != ErrorKind::NoSpace => return Err(error),
                // Effective queries of several hooks at once may forget to say it.
                Ok(()) | Err(_) => {
                    room = (attr.count as usize).clamp(room * 2, room * 64);
                    continue;
                }
            }
            let progs = ids
                .iter()
                .take(attr.count as usize)
                .enumerate()
                .filter_map(|(i, id)| {
                    let flags =
                        |from: &[u32]| from.get(i).copied().map(AttachFlags::from_bits_retain);
                    let link_id = link_ids.get(i).copied().and_then(LinkId::new);
                    Some(QueriedProg {
                        prog_id: ProgId::new(*id)?,
                        attach_flags: flags(&prog_flags),
                        link_id,
                        link_attach_flags: link_id.and_then(|_| flags(&link_flags)),
                    })
                })
                .collect();
            return Ok(QueryResult {
                attach_flags: AttachFlags::from_bits_retain(attr.attach_flags),
                revision: attr.revision,
                progs,
            });
        }
        Err(SysError::cmd(cmd, Refusal::KeepsChanging))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anchors_become_flags() {
        let check = |anchor: Anchor<'_>, flags: u32, relative| {
            let (f, r) = anchor.encode();
            assert_eq!((f.bits(), r), (flags, relative));
        };
        check(Anchor::First, 8, 0);
        check(Anchor::Last, 16, 0);
        check(Anchor::BeforeProgId(ProgId::new(7).unwrap()), 8 | 32, 7);
        check(
            Anchor::AfterLinkId(LinkId::new(9).unwrap()),
            16 | 32 | 1 << 13,
            9,
        );
    }
}
