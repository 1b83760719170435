//! `link create`: a link of any kind, pinned.

mod event;
mod probe;
mod words;

use std::fs::File;
use std::os::fd::AsFd;

use bpfsys::cmd::{Anchor, LinkCreate};
use bpfsys::uapi::flags::MapFlags;
use bpfsys::{AttachType, LinkFd, MapFd, ProgFd};
use loader::attach::Cgroup;

use self::probe::Probe;
use super::gather;
use crate::command::Context;
use crate::failure::{Failure, Result};
use crate::handle::{MapHandle, ProgHandle, open_link};
use crate::nouns::cgroup;
use crate::nouns::net::args::device;
use crate::nouns::place::{self, Place, expected, open, refused};
use crate::nouns::prog::args::{AttachTo, attach_to, attach_type};
use crate::pins;
use crate::words::{Words, shown};

/// What every failure of the kernel begins with.
const FAILED: &str = "failed link create";

/// `link create TYPE … prog PROG pin FILE [cookie N]`
pub(super) fn run(context: &mut Context<'_, '_>, words: Words<'_>) -> Result<()> {
    let mut words = words.with_end("prog");
    words.require(1)?;
    let kind = Kind::parse(&mut words)?;
    let prog = match &kind {
        Kind::StructOps(_) => None,
        _ if words.accept("prog") => Some(ProgHandle::parse(&mut words)?),
        _ => return Err(expected(&words, "'prog'")),
    };
    let (mut file, mut cookie) = (None, None);
    while !words.is_empty() {
        if words.accept("pin") {
            file = Some(words.take_path("a path")?);
        } else if words.accept("cookie") {
            cookie = Some(words::number(&mut words, "a cookie")?);
        } else {
            return Err(expected(&words, "'pin' or 'cookie'"));
        }
    }
    let file = file.ok_or_else(|| {
        Failure::new("a link ends with the command that made it unless it is pinned")
            .with_hint("add `pin FILE`, with a path in a bpf file system")
    })?;
    if cookie.is_some() && !kind.has_cookie() {
        return Err(Failure::new("links of this type have no cookie"));
    }
    // before anything is attached
    pins::check(file)?;
    let link = match (&kind, prog) {
        (Kind::StructOps(map), _) => {
            let link = register(map)?;
            pins::pin(&link, file)?;
            link
        }
        (Kind::At(attach_type, at), Some(prog)) => {
            let link = at.link(*attach_type, &prog.open_one()?, FAILED)?;
            pinned(link, file)?
        }
        (Kind::Cgroup(hook), Some(prog)) => pinned(hook.attach(&prog.open_one()?)?, file)?,
        (Kind::Probe(probe), Some(prog)) => {
            let made = probe.attach(&prog.open_one()?, cookie.unwrap_or_default());
            pinned(made?.map_err(|error| refused(FAILED, error))?, file)?
        }
        (_, None) => return Err(expected(&words, "'prog'")),
    };
    let (kernel, with_pins) = (context.kernel, context.options.bpffs);
    let views = gather::gather(kernel, with_pins, [Ok(link)])?;
    context.output.show_selected(&views)
}

/// Pins a link; what is shown of it is asked through its pin.
fn pinned(link: loader::attach::Link, file: &std::path::Path) -> Result<LinkFd> {
    place::pin(link, file, FAILED)?;
    match pins::open(file, MapFlags::empty())? {
        bpfsys::AnyFd::Link(link) => Ok(link),
        _ => Err(Failure::new("what is pinned there is no link")),
    }
}

/// Registers the operations in a map that was filled before.
fn register(map: &MapFd) -> Result<LinkFd> {
    LinkCreate::struct_ops(map).run().map_err(|error| {
        let unready = error.is(nix::errno::Errno::EINVAL);
        let failure = Failure::because(FAILED, error);
        if unready {
            return failure.with_hint(
                "the map must be made for links and filled: `rbpftool struct_ops register OBJ DIR` does it",
            );
        }
        failure
    })
}

/// A type of links, and what one of it is on.
enum Kind<'w> {
    /// A place of the network or of sockets.
    At(AttachType, Place),
    /// A hook of a cgroup.
    Cgroup(Hook),
    /// Something that is traced or walked.
    Probe(Probe<'w>),
    /// Operations of a type of the kernel.
    StructOps(MapFd),
}

impl<'w> Kind<'w> {
    fn parse(words: &mut Words<'w>) -> Result<Self> {
        let at = |attach_type, place| Ok(Self::At(attach_type, place));
        if words.accept("xdp") {
            at(AttachType::XDP, Place::parse(words, AttachType::XDP)?)
        } else if words.accept("tcx") {
            const TCX: [(&str, AttachType); 2] = [
                ("ingress", AttachType::TCX_INGRESS),
                ("egress", AttachType::TCX_EGRESS),
            ];
            listed(words, TCX)
        } else if words.accept("netkit") {
            const NETKIT: [(&str, AttachType); 2] = [
                ("primary", AttachType::NETKIT_PRIMARY),
                ("peer", AttachType::NETKIT_PEER),
            ];
            listed(words, NETKIT)
        } else if words.accept("cgroup") {
            let cgroup = open(words.take_path("a cgroup")?, false)?;
            let attach_type = cgroup::args::attach_type(words)?;
            Hook::parse(words, cgroup, attach_type).map(Self::Cgroup)
        } else if words.accept("netns") {
            let netns = words::netns(words)?;
            let attach_type = hook(words, AttachTo::Netns, "'sk_lookup' or 'flow_dissector'")?;
            at(attach_type, Place::Netns(netns))
        } else if words.accept("netfilter") {
            at(
                AttachType::NETFILTER,
                Place::Netfilter(place::netfilter(words)?),
            )
        } else if words.accept("sockmap") {
            let map = MapHandle::parse(words)?.open_one(MapFlags::empty())?;
            let attach_type = hook(words, AttachTo::Map, "an attach type of socket maps")?;
            at(attach_type, Place::Map(map))
        } else if words.accept("struct_ops") {
            let map = MapHandle::parse(words)?.open_one(MapFlags::empty())?;
            Ok(Self::StructOps(map))
        } else {
            let probe = Probe::parse(words)?;
            probe.map(Self::Probe).ok_or_else(|| {
                Failure::new(format_args!(
                    "links have no type '{}'",
                    shown(words.peek().unwrap_or_default())
                ))
                .with_hint("`rbpftool link help` lists them")
            })
        }
    }

    fn has_cookie(&self) -> bool {
        match self {
            Self::Probe(probe) => probe.has_cookie(),
            Self::At(..) | Self::Cgroup(_) | Self::StructOps(_) => false,
        }
    }
}

/// A hook of a cgroup, and where among the links there. The kernel tells links from programs that
/// were attached without one: a link goes before or after a link.
struct Hook {
    cgroup: File,
    attach_type: AttachType,
    preorder: bool,
    before: Option<LinkFd>,
    after: Option<LinkFd>,
}

impl Hook {
    /// Reads `[preorder] [{ before | after } LINK]`.
    fn parse(words: &mut Words<'_>, cgroup: File, attach_type: AttachType) -> Result<Self> {
        let mut hook = Self {
            cgroup,
            attach_type,
            preorder: words.accept("preorder"),
            before: None,
            after: None,
        };
        if words.accept("before") {
            hook.before = Some(open_link(words)?);
        } else if words.accept("after") {
            hook.after = Some(open_link(words)?);
        }
        Ok(hook)
    }

    fn attach(&self, prog: &ProgFd) -> Result<loader::attach::Link> {
        let mut hook = Cgroup::new(self.cgroup.as_fd(), self.attach_type);
        if self.preorder {
            hook = hook.preorder();
        }
        if let Some(link) = &self.before {
            hook = hook.anchor(Anchor::BeforeLink(link.as_fd()));
        }
        if let Some(link) = &self.after {
            hook = hook.anchor(Anchor::AfterLink(link.as_fd()));
        }
        hook.attach(prog).map_err(|error| refused(FAILED, error))
    }
}

/// Reads `dev NAME DIRECTION`, and how a program goes among others there.
fn listed<'w>(
    words: &mut Words<'w>,
    directions: [(&'static str, AttachType); 2],
) -> Result<Kind<'w>> {
    let device = device(words)?;
    let found = directions.into_iter().find(|(name, _)| words.accept(name));
    let [(one, _), (other, _)] = directions;
    let Some((_, attach_type)) = found else {
        return Err(expected(words, &format!("'{one}' or '{other}'")));
    };
    Ok(Kind::At(
        attach_type,
        Place::listed(words, device, attach_type)?,
    ))
}

/// Reads an attach type of programs that attach to `to`.
fn hook(words: &mut Words<'_>, to: AttachTo, what: &str) -> Result<AttachType> {
    let before = *words;
    let attach_type = attach_type(words)?;
    if attach_to(attach_type) != to {
        return Err(expected(&before, what));
    }
    Ok(attach_type)
}
