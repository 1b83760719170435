//! Where programs go that do not say it themselves: cgroups, interfaces, network namespaces,
//! netfilter, maps of sockets. Read from words, and made links of.

use std::fmt::Display;
use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use bpfsys::cmd::Anchor;
use bpfsys::uapi::flags::{AttachFlags, MapFlags};
use bpfsys::{AttachType, MapFd, ProgFd};
use loader::attach::{
    AttachError, Cgroup, Iter, Link, Netfilter, NetfilterHook, Netkit, Netns, Sockmap, Tcx,
    Tracing, Xdp,
};
use loader::netlink::XdpMode;

use crate::failure::{EINVAL_STATUS, Failure, Result};
use crate::handle::{MapHandle, ProgHandle};
use crate::nouns::prog::args::{AttachTo, attach_to};
use crate::nouns::{cgroup, net};
use crate::render::escape::Escaped;
use crate::words::{Words, shown};

/// What a program attaches to.
pub(crate) enum Place {
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

impl Place {
    /// Reads the place of an attach type.
    pub(crate) fn parse(words: &mut Words<'_>, attach_type: AttachType) -> Result<Self> {
        let open = |words: &mut Words<'_>, word: &'static str| {
            if !words.accept(word) {
                return Err(expected(words, &format!("'{word}'")));
            }
            let path = words.take_path("a path")?;
            open(path, word == "device")
        };
        Ok(match attach_to(attach_type) {
            AttachTo::Map => Self::Map(MapHandle::parse(words)?.open_one(MapFlags::empty())?),
            AttachTo::Netns if words.option().is_none() => Self::Netns(None),
            AttachTo::Netns => Self::Netns(Some(open(words, "netns")?)),
            AttachTo::Cgroup => {
                let cgroup = open(words, "cgroup")?;
                Self::Cgroup(cgroup, cgroup::args::How::parse(words)?)
            }
            AttachTo::List => {
                let device = net::args::device(words)?;
                Self::listed(words, device, attach_type)?
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

    /// Reads how a program goes among others of an interface.
    pub(crate) fn listed(
        words: &mut Words<'_>,
        device: u32,
        attach_type: AttachType,
    ) -> Result<Self> {
        let hook = net::args::Hook::List(attach_type);
        Ok(Self::List(device, net::args::How::parse(words, hook)?))
    }

    /// Attaches a program by a link; `failed` says what did not work otherwise. Where the kernel
    /// has no links of the kind, there may be none behind what comes back.
    pub(crate) fn link(
        &self,
        attach_type: AttachType,
        prog: &ProgFd,
        failed: &str,
    ) -> Result<Link> {
        let made = match self {
            Self::Map(map) => Sockmap::new(map, attach_type).attach(prog),
            Self::Netns(netns) => {
                let hook = match attach_type {
                    AttachType::SK_LOOKUP => Netns::sk_lookup(),
                    _ => Netns::flow_dissector(),
                };
                match netns {
                    Some(netns) => hook.of(netns.as_fd()).attach(prog),
                    None => hook.attach(prog),
                }
            }
            Self::Cgroup(cgroup, how) => {
                let mut hook = Cgroup::new(cgroup.as_fd(), attach_type);
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
                if how.place.is_some() {
                    // The kernel would find no program there: it looks for links only.
                    return Err(Failure::new(
                        "a link of a cgroup goes before or after a link, not a program",
                    )
                    .with_hint("`rbpftool link create cgroup DIR TYPE before LINK …` names one")
                    .with_status(EINVAL_STATUS));
                }
                hook.attach(prog)
            }
            Self::List(device, how) => {
                let old = how.replace.as_ref().map(ProgHandle::open_one).transpose()?;
                let relative = how.relative()?;
                let anchor = how.anchor(relative.as_ref());
                among_others(
                    *device,
                    attach_type,
                    prog,
                    how.revision,
                    anchor,
                    old.as_ref(),
                )
            }
            Self::Xdp(device, mode) => {
                let hook = Xdp::new(*device);
                match mode {
                    Some(mode) => hook.mode(*mode).attach(prog),
                    None => hook.attach(prog),
                }
            }
            Self::Netfilter(hook) => hook.attach(prog),
            Self::AsLoaded if attach_type == AttachType::TRACE_ITER => Iter::all().attach(prog),
            Self::AsLoaded => Tracing::new(attach_type).attach(prog),
            Self::Lirc(_) => {
                return Err(
                    Failure::new("infrared receivers have no links").with_status(EINVAL_STATUS)
                );
            }
        };
        made.map_err(|error| refused(failed, error).with_status(EINVAL_STATUS))
    }
}

fn among_others(
    device: u32,
    attach_type: AttachType,
    prog: &ProgFd,
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
            hook.attach(prog)
        }};
    }
    match attach_type {
        AttachType::TCX_INGRESS => attach!(Tcx::ingress(device)),
        AttachType::TCX_EGRESS => attach!(Tcx::egress(device)),
        AttachType::NETKIT_PRIMARY => attach!(Netkit::primary(device)),
        _ => attach!(Netkit::peer(device)),
    }
}

/// Pins a link, so that it outlives this process; what cannot be pinned is detached again. The
/// path was [checked](pins::check) before anything was attached.
pub(crate) fn pin(mut link: Link, path: &Path, failed: &str) -> Result<()> {
    if link.fd().is_none() {
        return Err(Failure::new(format_args!(
            "{failed}: this kernel attaches to {} without one link",
            Escaped(link.what().as_bytes())
        ))
        .with_status(EINVAL_STATUS));
    }
    link.pin(path).map_err(|error| refused(failed, error))
}

/// What did not work, and why.
pub(crate) fn refused(what: impl Display, error: AttachError) -> Failure {
    let hint = error.hint();
    let failure = Failure::because(what, error);
    match hint {
        Some(hint) => failure.with_hint(hint),
        None => failure,
    }
}

/// Opens a file that stands for a place.
pub(crate) fn open(path: &Path, write: bool) -> Result<File> {
    let opened = File::options().read(true).write(write).open(path);
    opened.map_err(|error| {
        let path = Escaped(path.as_os_str().as_bytes());
        Failure::because(format_args!("can't open {path}"), error)
    })
}

/// Reads `{ ipv4 | ipv6 } HOOK [priority N] [defrag]`.
pub(crate) fn netfilter(words: &mut Words<'_>) -> Result<Netfilter> {
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
    while words.option().is_some() {
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

/// What should have been the next word.
pub(crate) fn expected(words: &Words<'_>, what: &str) -> Failure {
    match words.peek() {
        Some(word) => Failure::new(format_args!("expected {what}, got: '{}'?", shown(word))),
        None => Failure::new(format_args!("expected {what}, got nothing")),
    }
}
