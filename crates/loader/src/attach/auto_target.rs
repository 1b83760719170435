//! What programs attach to whose sections do not say it.

use super::{
    AttachError, Cgroup, Link, Lirc, Netfilter, Netkit, Netns, PerfEvents, Sockmap, Tc, Tcx, Xdp,
};
use crate::kernel::LoadedProgram;
use bpfsys::cmd::link::IterTargetSpec;
use bpfsys::{AttachType, LinkType, MapFd, ProgFd, ProgType, probe};
use nix::net::if_::if_nametoindex;
use std::fs::File;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::Path;

/// What a program attaches to. At which hook of it is what its section or its type says.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum AttachTarget<'a> {
    /// An interface, by its number in the network namespace of the caller: XDP, TCX, netkit.
    Interface(u32),
    /// An interface by its name.
    InterfaceName(&'a str),
    /// A direction of an interface: traffic control, for programs whose sections name none.
    Tc(&'a Tc),
    /// The directory of a cgroup.
    Cgroup(BorrowedFd<'a>),
    /// The path of a cgroup.
    CgroupPath(&'a Path),
    /// The network namespace of the caller: socket lookup, flow dissector.
    CurrentNetns,
    /// A network namespace.
    Netns(BorrowedFd<'a>),
    /// The path of a network namespace.
    NetnsPath(&'a Path),
    /// A map of sockets.
    Map(&'a MapFd),
    /// A hook of netfilter.
    Netfilter(&'a Netfilter),
    /// Perf events.
    PerfEvents(&'a PerfEvents),
    /// An infrared receiver: the device, open.
    Lirc(BorrowedFd<'a>),
    /// What an iterator walks.
    Iter(IterTargetSpec<'a>),
    /// A function of a program that is loaded, which another one replaces.
    Program {
        /// The program.
        prog: &'a ProgFd,
        /// The function.
        function: &'a str,
    },
}

impl AttachTarget<'_> {
    /// Attaches a program, by a link where the kernel has one.
    pub(super) fn attach(
        &self,
        program: &LoadedProgram,
        prog: &ProgFd,
        cookie: u64,
    ) -> Result<Link, AttachError> {
        let (prog_type, hook) = (program.prog_type(), program.attach_type());
        let no_cookie = || match cookie {
            0 => Ok(()),
            _ => Err(AttachError::Options {
                what: self.what().to_owned(),
                why: "its links have no cookie",
            }),
        };
        match self {
            Self::PerfEvents(events) if prog_type == ProgType::PERF_EVENT => {
                let events: &PerfEvents = events;
                return events.clone().cookie(cookie).attach(prog);
            }
            _ => no_cookie()?,
        }
        match (self, prog_type) {
            (Self::Interface(ifindex), _) => interface(*ifindex, prog_type, hook, prog),
            (Self::InterfaceName(name), _) => {
                let ifindex = if_nametoindex(*name).map_err(|_none| AttachError::Missing {
                    what: "interface",
                    name: (*name).to_owned(),
                })?;
                interface(ifindex, prog_type, hook, prog)
            }
            (Self::Tc(tc), ProgType::SCHED_CLS | ProgType::SCHED_ACT) => tc.attach(prog),
            (Self::Cgroup(cgroup), _) => Cgroup::new(*cgroup, cgroup_hook(program)?).attach(prog),
            (Self::CgroupPath(path), _) => {
                let hook = cgroup_hook(program)?;
                let cgroup = open(path, "open a cgroup")?;
                Cgroup::new(cgroup.as_fd(), hook).attach(prog)
            }
            (Self::CurrentNetns, _) => netns(prog_type)?.attach(prog),
            (Self::Netns(file), _) => netns(prog_type)?.of(*file).attach(prog),
            (Self::NetnsPath(path), _) => {
                let hook = netns(prog_type)?;
                let file = open(path, "open a network namespace")?;
                hook.of(file.as_fd()).attach(prog)
            }
            (Self::Map(map), ProgType::SK_SKB | ProgType::SK_MSG) => {
                let sockets = Sockmap::new(map, hook);
                if probe::link_type(LinkType::SOCKMAP).is_no() {
                    sockets.attach_prog(prog)
                } else {
                    sockets.attach(prog)
                }
            }
            (Self::Netfilter(hook), ProgType::NETFILTER) => hook.attach(prog),
            (Self::Lirc(device), ProgType::LIRC_MODE2) => Lirc::new(*device).attach(prog),
            _ => Err(misfit(self.what(), prog_type)),
        }
    }

    /// What it is, in words.
    fn what(&self) -> &'static str {
        match self {
            Self::Interface(_) | Self::InterfaceName(_) => "an interface",
            Self::Tc(_) => "traffic control",
            Self::Cgroup(_) | Self::CgroupPath(_) => "a cgroup",
            Self::CurrentNetns | Self::Netns(_) | Self::NetnsPath(_) => "a network namespace",
            Self::Map(_) => "a map of sockets",
            Self::Netfilter(_) => "netfilter",
            Self::PerfEvents(_) => "perf events",
            Self::Lirc(_) => "an infrared receiver",
            Self::Iter(_) => "what an iterator walks",
            Self::Program { .. } => "a function of a program",
        }
    }
}

fn misfit(what: &str, prog_type: ProgType) -> AttachError {
    AttachError::Misfit {
        prog_type,
        what: what.to_owned(),
    }
}

fn open(path: &Path, what: &str) -> Result<File, AttachError> {
    File::open(path).map_err(|source| AttachError::File {
        what: what.to_owned(),
        path: path.to_owned(),
        source,
    })
}

fn interface(
    ifindex: u32,
    prog_type: ProgType,
    hook: AttachType,
    prog: &ProgFd,
) -> Result<Link, AttachError> {
    match (prog_type, hook) {
        (ProgType::XDP, _) => Xdp::new(ifindex).attach(prog),
        (ProgType::SCHED_CLS, AttachType::TCX_INGRESS | AttachType::TCX_EGRESS) => {
            let ingress = hook == AttachType::TCX_INGRESS;
            // What was there before TCX runs the same programs at the same place.
            match (probe::link_type(LinkType::TCX).is_no(), ingress) {
                (true, true) => Tc::ingress(ifindex).attach(prog),
                (true, false) => Tc::egress(ifindex).attach(prog),
                (false, true) => Tcx::ingress(ifindex).attach(prog),
                (false, false) => Tcx::egress(ifindex).attach(prog),
            }
        }
        (ProgType::SCHED_CLS, AttachType::NETKIT_PRIMARY) => Netkit::primary(ifindex).attach(prog),
        (ProgType::SCHED_CLS, AttachType::NETKIT_PEER) => Netkit::peer(ifindex).attach(prog),
        (ProgType::SCHED_CLS, _) => Err(AttachError::Options {
            what: "an interface".into(),
            why: "the program's section does not say in which direction of it",
        }),
        _ => Err(misfit("an interface", prog_type)),
    }
}

fn netns(prog_type: ProgType) -> Result<Netns<'static>, AttachError> {
    match prog_type {
        ProgType::SK_LOOKUP => Ok(Netns::sk_lookup()),
        ProgType::FLOW_DISSECTOR => Ok(Netns::flow_dissector()),
        _ => Err(misfit("a network namespace", prog_type)),
    }
}

fn cgroup_hook(program: &LoadedProgram) -> Result<AttachType, AttachError> {
    let hook = program.attach_type();
    match program.prog_type() {
        // The number of the one hook is that of no hook.
        ProgType::CGROUP_SKB if program.section() == "cgroup/skb" => Err(AttachError::Options {
            what: "a cgroup".into(),
            why: "the program's section does not say in which direction",
        }),
        ProgType::CGROUP_SKB
        | ProgType::CGROUP_SOCK
        | ProgType::CGROUP_SOCK_ADDR
        | ProgType::CGROUP_SOCKOPT
        | ProgType::CGROUP_SYSCTL
        | ProgType::CGROUP_DEVICE
        | ProgType::SOCK_OPS => Ok(hook),
        ProgType::LSM if hook == AttachType::LSM_CGROUP => Ok(hook),
        prog_type => Err(misfit("a cgroup", prog_type)),
    }
}
