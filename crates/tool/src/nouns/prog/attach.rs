//! `prog attach` and `prog detach`: every attach type, with what it attaches to.

use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use bpfsys::cmd::{Anchor, ProgAttach, ProgDetach, Target};
use bpfsys::uapi::flags::{AttachFlags, MapFlags};
use bpfsys::{AttachType, MapFd, ProgFd};
use loader::attach::{
    AttachError, Cgroup, Iter, Link, Netfilter, NetfilterHook, Netkit, Netns, Sockmap, Tcx,
    Tracing, Xdp,
};
use loader::netlink::XdpMode;

use super::args::{AttachTo, attach_to, attach_type};
use crate::command::Context;
use crate::failure::{EINVAL_STATUS, Failure, Result};
use crate::handle::{MapHandle, ProgHandle};
use crate::nouns::{cgroup, net};
use crate::pins;
use crate::render::escape::Escaped;
use crate::words::{Words, shown};

/// `prog attach PROG ATTACH_TYPE [link FILE] [TARGET]`
pub(super) fn attach(context: &mut Context<'_, '_>, words: Words<'_>) -> Result<()> {
    let order = Order::parse(words, true)?;
    match order.link {
        Some(path) => order.by_link(path)?,
        None => order.attach()?,
    }
    context.output.done()
}

/// `prog detach PROG ATTACH_TYPE [TARGET]`
pub(super) fn detach(context: &mut Context<'_, '_>, words: Words<'_>) -> Result<()> {
    Order::parse(words, false)?.detach()?;
    context.output.done()
}

/// What is asked for.
struct Order<'w> {
    prog: ProgFd,
    attach_type: AttachType,
    /// Where a link is to be pinned.
    link: Option<&'w Path>,
    place: Place,
}

/// What a program attaches to.
enum Place {
    Map(MapFd),
    Netns(Option<File>),
    Cgroup(File, cgroup::args::How),
    List(u32, net::args::How),
    Xdp(u32, Option<XdpMode>),
    Netfilter(Netfilter),
    Lirc(File),
    /// What its load said.
    AsLoaded,
}

impl<'w> Order<'w> {
    fn parse(mut words: Words<'w>, attaching: bool) -> Result<Self> {
        let wrong = |failure: Failure| failure.with_status(EINVAL_STATUS);
        words.require(3).map_err(wrong)?;
        let handle = ProgHandle::parse(&mut words)?;
        let attach_type = attach_type(&mut words)?;
        let link = (attaching && words.accept("link")).then(|| words.take_path("a path"));
        let link = link.transpose()?;
        let place = Place::parse(&mut words, attach_type).map_err(wrong)?;
        words.end()?;
        Ok(Self {
            prog: handle.open_one()?,
            attach_type,
            link,
            place,
        })
    }

    /// Attaches so that it stays without a link.
    fn attach(&self) -> Result<()> {
        let command = |target| ProgAttach::new(target, &self.prog, self.attach_type);
        let failed =
            |error| Failure::because("failed prog attach", error).with_status(EINVAL_STATUS);
        match &self.place {
            Place::Map(map) => command(map.into()).run().map_err(failed),
            Place::Lirc(device) => command(device.into()).run().map_err(failed),
            Place::Netns(None) if self.attach_type == AttachType::FLOW_DISSECTOR => {
                command(Target::Current).run().map_err(failed)
            }
            Place::Cgroup(cgroup, how) => {
                cgroup::act::attach_to(cgroup, self.attach_type, &self.prog, how)
            }
            Place::List(device, how) => net::act::attach_listed(
                *device,
                self.attach_type,
                &self.prog,
                how,
                "failed prog attach",
            ),
            Place::Xdp(device, mode) => {
                net::act::attach_xdp(*device, *mode, &self.prog, "failed prog attach")
            }
            Place::Netns(_) | Place::Netfilter(_) | Place::AsLoaded => {
                Err(self.only_by_link("attaches"))
            }
        }
    }

    fn detach(&self) -> Result<()> {
        let command = |target| {
            ProgDetach::new(target, self.attach_type)
                .prog(&self.prog)
                .run()
        };
        let detached = match &self.place {
            Place::Map(map) => command(map.into()),
            Place::Lirc(device) => command(device.into()),
            Place::Netns(None) if self.attach_type == AttachType::FLOW_DISSECTOR => {
                command(Target::Current)
            }
            Place::Cgroup(cgroup, _) => command(cgroup.into()),
            Place::List(device, _) => command(Target::Ifindex(*device)),
            Place::Xdp(device, mode) => {
                return net::act::detach_xdp(
                    *device,
                    *mode,
                    Some(&self.prog),
                    "failed prog detach",
                );
            }
            Place::Netns(_) | Place::Netfilter(_) | Place::AsLoaded => {
                return Err(self.only_by_link("detaches"));
            }
        };
        detached.map_err(|error| {
            Failure::because("failed prog detach", error).with_status(EINVAL_STATUS)
        })
    }

    fn only_by_link(&self, does: &str) -> Failure {
        let failure = Failure::new(format_args!("{} {does} by a link only", self.attach_type))
            .with_status(EINVAL_STATUS);
        if does == "attaches" {
            failure.with_hint("`link FILE` behind the attach type makes one and pins it there")
        } else {
            failure.with_hint("`rbpftool link detach` does it, or removing the link's pin")
        }
    }

    /// Attaches by a link that is pinned.
    fn by_link(&self, path: &Path) -> Result<()> {
        let made = self.make_link()?;
        let failed = |error: AttachError| {
            let hint = error.hint();
            let failure = Failure::because("failed prog attach", error).with_status(EINVAL_STATUS);
            match hint {
                Some(hint) => failure.with_hint(hint),
                None => failure,
            }
        };
        let link = made.map_err(failed)?;
        let Some(fd) = link.fd() else {
            return Err(Failure::new(format_args!(
                "failed prog attach: this kernel has no links for {}",
                self.attach_type
            ))
            .with_status(EINVAL_STATUS));
        };
        // what is not pinned is detached again
        pins::pin(fd, path)
    }

    fn make_link(&self) -> Result<std::result::Result<Link, AttachError>> {
        let prog = &self.prog;
        Ok(match &self.place {
            Place::Map(map) => Sockmap::new(map, self.attach_type).attach(prog),
            Place::Netns(netns) => {
                let hook = match self.attach_type {
                    AttachType::SK_LOOKUP => Netns::sk_lookup(),
                    _ => Netns::flow_dissector(),
                };
                match netns {
                    Some(netns) => hook.of(netns.as_fd()).attach(prog),
                    None => hook.attach(prog),
                }
            }
            Place::Cgroup(cgroup, how) => {
                let mut hook = Cgroup::new(cgroup.as_fd(), self.attach_type);
                if how.flags.contains(AttachFlags::PREORDER) {
                    hook = hook.preorder();
                }
                if how.flags.contains(AttachFlags::ALLOW_OVERRIDE) {
                    hook = hook.allow_override();
                }
                let old = how.replace.as_ref().map(ProgHandle::open_one).transpose()?;
                if let Some(old) = &old {
                    hook = hook.replace(old);
                }
                let relative = how.relative()?;
                if let Some(anchor) = how.anchor(relative.as_ref()) {
                    hook = hook.anchor(anchor);
                }
                hook.attach(prog)
            }
            Place::List(device, how) => {
                let old = how.replace.as_ref().map(ProgHandle::open_one).transpose()?;
                let relative = how.relative()?;
                let anchor = how.anchor(relative.as_ref());
                self.listed(*device, how.revision, anchor, old.as_ref())
            }
            Place::Xdp(device, mode) => {
                let hook = Xdp::new(*device);
                match mode {
                    Some(mode) => hook.mode(*mode).attach(prog),
                    None => hook.attach(prog),
                }
            }
            Place::Netfilter(hook) => hook.attach(prog),
            Place::AsLoaded if self.attach_type == AttachType::TRACE_ITER => {
                Iter::all().attach(prog)
            }
            Place::AsLoaded => Tracing::new(self.attach_type).attach(prog),
            Place::Lirc(_) => {
                return Err(
                    Failure::new("infrared receivers have no links").with_status(EINVAL_STATUS)
                );
            }
        })
    }

    fn listed(
        &self,
        device: u32,
        revision: Option<u64>,
        anchor: Option<Anchor<'_>>,
        old: Option<&ProgFd>,
    ) -> std::result::Result<Link, AttachError> {
        macro_rules! attach {
            ($hook:expr) => {{
                let mut hook = $hook.expected_revision(revision.unwrap_or_default());
                if let Some(anchor) = anchor {
                    hook = hook.anchor(anchor);
                }
                if let Some(old) = old {
                    hook = hook.replace(old);
                }
                hook.attach(&self.prog)
            }};
        }
        match self.attach_type {
            AttachType::TCX_INGRESS => attach!(Tcx::ingress(device)),
            AttachType::TCX_EGRESS => attach!(Tcx::egress(device)),
            AttachType::NETKIT_PRIMARY => attach!(Netkit::primary(device)),
            _ => attach!(Netkit::peer(device)),
        }
    }
}

impl Place {
    fn parse(words: &mut Words<'_>, attach_type: AttachType) -> Result<Self> {
        let open = |words: &mut Words<'_>, word: &'static str| {
            if !words.accept(word) {
                return Err(expected(words, &format!("'{word}'")));
            }
            let path = words.take_path("a path")?;
            open(path, word == "device")
        };
        Ok(match attach_to(attach_type) {
            AttachTo::Map => {
                let map = MapHandle::parse(words)?;
                Self::Map(map.open_one(MapFlags::empty())?)
            }
            AttachTo::Netns if words.is_empty() => Self::Netns(None),
            AttachTo::Netns => Self::Netns(Some(open(words, "netns")?)),
            AttachTo::Cgroup => {
                let cgroup = open(words, "cgroup")?;
                Self::Cgroup(cgroup, cgroup::args::How::parse(words)?)
            }
            AttachTo::List => {
                let device = net::args::device(words)?;
                let hook = net::args::Hook::List(attach_type);
                Self::List(device, net::args::How::parse(words, hook)?)
            }
            AttachTo::Xdp => {
                let device = net::args::device(words)?;
                let modes = [XdpMode::Generic, XdpMode::Driver, XdpMode::Offload];
                let mode = modes.into_iter().find(|mode| words.accept(mode.name()));
                Self::Xdp(device, mode)
            }
            AttachTo::Netfilter => Self::Netfilter(netfilter(words)?),
            AttachTo::Lirc => Self::Lirc(open(words, "device")?),
            AttachTo::AsLoaded => Self::AsLoaded,
            AttachTo::Otherwise(how) => {
                return Err(Failure::new(format_args!(
                    "programs for {attach_type} are not attached: {how}"
                )));
            }
        })
    }
}

fn open(path: &Path, write: bool) -> Result<File> {
    let opened = File::options().read(true).write(write).open(path);
    opened.map_err(|error| {
        let path = Escaped(path.as_os_str().as_bytes());
        Failure::because(format_args!("can't open {path}"), error)
    })
}

/// Reads `{ ipv4 | ipv6 } HOOK [priority N] [defrag]`.
fn netfilter(words: &mut Words<'_>) -> Result<Netfilter> {
    const HOOKS: [(&str, NetfilterHook); 5] = [
        ("prerouting", NetfilterHook::PreRouting),
        ("input", NetfilterHook::Input),
        ("forward", NetfilterHook::Forward),
        ("output", NetfilterHook::Output),
        ("postrouting", NetfilterHook::PostRouting),
    ];
    let family: fn(NetfilterHook) -> Netfilter = if words.accept("ipv4") {
        Netfilter::ipv4
    } else if words.accept("ipv6") {
        Netfilter::ipv6
    } else {
        return Err(expected(words, "'ipv4' or 'ipv6'"));
    };
    let hook = HOOKS.into_iter().find(|(name, _)| words.accept(name));
    let Some((_, hook)) = hook else {
        let hooks = "'prerouting', 'input', 'forward', 'output' or 'postrouting'";
        return Err(expected(words, hooks));
    };
    let mut netfilter = family(hook);
    while !words.is_empty() {
        if words.accept("priority") {
            let word = words.take("a priority")?;
            let priority = word.to_str().and_then(|text| text.parse().ok());
            let priority = priority.ok_or_else(|| {
                Failure::new(format_args!("can't parse {} as a priority", shown(word)))
            })?;
            netfilter = netfilter.priority(priority);
        } else if words.accept("defrag") {
            netfilter = netfilter.defragment();
        } else {
            return Err(expected(words, "'priority' or 'defrag'"));
        }
    }
    Ok(netfilter)
}

fn expected(words: &Words<'_>, what: &str) -> Failure {
    match words.peek() {
        Some(word) => Failure::new(format_args!("expected {what}, got: '{}'?", shown(word))),
        None => Failure::new(format_args!("expected {what}, got nothing")),
    }
}
