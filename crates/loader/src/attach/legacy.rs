//! What stays attached without a link, by PROG_ATTACH, until it is detached.

use super::{AttachError, Link, Part};
use bpfsys::cmd::{Anchor, ProgAttach, ProgDetach, Target};
use bpfsys::uapi::flags::AttachFlags;
use bpfsys::{AttachType, ProgFd, SysError};
use nix::errno::Errno;
use std::os::fd::{BorrowedFd, OwnedFd};

/// Where a program was attached, held open so that it can be detached.
#[derive(Debug)]
enum Place {
    Fd(OwnedFd),
    Ifindex(u32),
    Current,
}

/// A program that PROG_ATTACH attached.
#[derive(Debug)]
struct Attached {
    what: String,
    place: Place,
    attach_type: AttachType,
    prog: ProgFd,
}

impl Attached {
    fn detach(&self) -> Result<(), SysError> {
        let target = match &self.place {
            Place::Fd(fd) => Target::from(fd),
            Place::Ifindex(ifindex) => Target::Ifindex(*ifindex),
            Place::Current => Target::Current,
        };
        ProgDetach::new(target, self.attach_type)
            .prog(&self.prog)
            .run()
    }
}

impl Part for Attached {
    fn undo(&mut self) -> Result<(), AttachError> {
        self.detach()
            .map_err(|source| AttachError::kernel(format!("detach from {}", self.what), source))
    }

    /// The kernel keeps it.
    fn leave(self: Box<Self>) {}
}

/// What hooks with several programs can be asked for.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Options<'a> {
    pub(super) flags: AttachFlags,
    pub(super) anchor: Option<Anchor<'a>>,
    pub(super) replace: Option<&'a ProgFd>,
    pub(super) expected_revision: u64,
}

/// Attaches, and gives a link that undoes it.
pub(super) fn attach(
    what: String,
    target: Target<'_>,
    attach_type: AttachType,
    prog: &ProgFd,
    options: Options<'_>,
) -> Result<Link, AttachError> {
    // what detaching needs comes first: nothing may fail once it is attached
    let place = match target {
        Target::Fd(fd) => Place::Fd(own(fd, &what)?),
        Target::Ifindex(ifindex) => Place::Ifindex(ifindex),
        Target::Current => Place::Current,
    };
    let failed = |source| AttachError::kernel(format!("attach to {what}"), source);
    let own = prog.try_clone().map_err(failed)?;
    let mut command = ProgAttach::new(target, prog, attach_type)
        .flags(options.flags)
        .expected_revision(options.expected_revision);
    if let Some(anchor) = options.anchor {
        command = command.anchor(anchor);
    }
    if let Some(prog) = options.replace {
        command = command.replace(prog);
    }
    command.run().map_err(failed)?;
    Ok(Link::without_fd(
        what.clone(),
        Attached {
            what,
            place,
            attach_type,
            prog: own,
        },
    ))
}

/// Another descriptor of the same file.
pub(super) fn own(fd: BorrowedFd<'_>, what: &str) -> Result<OwnedFd, AttachError> {
    fd.try_clone_to_owned().map_err(|error| {
        let source = SysError::from_io(bpfsys::Op::Dup, &error);
        AttachError::kernel(format!("attach to {what}"), source)
    })
}

/// Whether an answer to LINK_CREATE may mean that the kernel has no links of the kind yet.
pub(super) fn maybe_no_link(error: &SysError) -> bool {
    error.is(Errno::EINVAL) || error.is(Errno::EOPNOTSUPP)
}
