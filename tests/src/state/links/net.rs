//! Cgroups, network namespaces, interfaces, netfilter, sockets.

use std::fs::File;
use std::os::fd::AsFd as _;

use anyhow::{Context as _, Result};
use bpfsys::cmd::{Anchor, LinkCreate, LinkTarget, MapCreate, ProgLoad};
use bpfsys::uapi::flags::NetfilterFlags;
use bpfsys::{AttachType, LinkFd, MapType, ProgFd, ProgType};

use super::trace::function;
use super::{ALWAYS, Ground, Held, LinkRecipe, link};
use crate::netlink;
use crate::state::progs::{asm, simple_of};

pub(super) const RECIPES: [LinkRecipe; 15] = [
    link("cgroup", ALWAYS, |g| {
        cgroup(g, simple_of(ProgType::CGROUP_SKB)?)
    }),
    // Debian's 6.12.117 has the commit that brought it.
    link("cgroup before link", (6, 17), cgroup_before_link).backported(),
    link("cgroup lsm", (6, 0), cgroup_lsm).whole_machine(),
    link("netns", ALWAYS, |_| {
        netns(ProgType::SK_LOOKUP, AttachType::SK_LOOKUP)
    }),
    link("netns flow dissector", ALWAYS, |_| {
        netns(ProgType::FLOW_DISSECTOR, AttachType::FLOW_DISSECTOR)
    }),
    link("xdp", ALWAYS, |_| xdp()),
    link("tcx", (6, 6), |_| {
        tcx(AttachType::TCX_INGRESS, None).map(|(link, prog)| Held::new(link, prog))
    }),
    link("tcx first", (6, 6), |_| tcx_first()),
    link("tcx after link", (6, 6), |_| tcx_after_link()).alike(),
    link("tcx before program", (6, 6), |_| tcx_before_program()).alike(),
    link("netkit", (6, 7), |_| netkit(AttachType::NETKIT_PRIMARY)).config("CONFIG_NETKIT"),
    link("netkit peer", (6, 7), |_| netkit(AttachType::NETKIT_PEER)).config("CONFIG_NETKIT"),
    link("netfilter", (6, 4), |_| {
        // IPv4, input.
        netfilter(2, 1, -128, NetfilterFlags::empty())
    })
    .config("CONFIG_NETFILTER_BPF_LINK"),
    link("netfilter defragmented", (6, 6), |_| {
        // IPv6, before routing.
        netfilter(10, 0, 100, NetfilterFlags::IP_DEFRAG)
    })
    .config("CONFIG_NETFILTER_BPF_LINK"),
    link("sockmap", (6, 10), |_| sockmap()),
];

fn on_cgroup(
    g: &Ground<'_>,
    prog: &ProgFd,
    attach_type: AttachType,
    anchor: Option<Anchor<'_>>,
) -> Result<LinkFd> {
    let dir = File::open(g.private.cgroup()?).context("open our cgroup")?;
    let target = LinkTarget::Cgroup {
        cgroup: dir.as_fd(),
        attach_type,
        anchor,
        expected_revision: 0,
    };
    Ok(LinkCreate::new(prog, target).run()?)
}

fn cgroup(g: &Ground<'_>, prog: ProgFd) -> Result<Held> {
    let link = on_cgroup(g, &prog, AttachType::CGROUP_INET_EGRESS, None)?;
    Ok(Held::new(link, prog))
}

fn cgroup_before_link(g: &Ground<'_>) -> Result<Held> {
    let at = AttachType::CGROUP_INET_INGRESS;
    let later = simple_of(ProgType::CGROUP_SKB)?;
    let later = on_cgroup(g, &later, at, None)?;
    let prog = simple_of(ProgType::CGROUP_SKB)?;
    let link = on_cgroup(g, &prog, at, Some(Anchor::BeforeLink(later.as_fd())))?;
    Ok(Held::new(link, prog).with(later))
}

fn cgroup_lsm(g: &Ground<'_>) -> Result<Held> {
    let insns = asm("r0 = 1\nexit")?;
    let prog = ProgLoad::new(ProgType::LSM, &insns)
        .name("l_lsm_cgroup")
        .expected_attach_type(AttachType::LSM_CGROUP)
        .attach_btf_id(function(g.kernel, "bpf_lsm_socket_bind")?)
        .run()?;
    let link = on_cgroup(g, &prog, AttachType::LSM_CGROUP, None)?;
    Ok(Held::new(link, prog))
}

fn netns(prog_type: ProgType, attach_type: AttachType) -> Result<Held> {
    let ns = File::open("/proc/thread-self/ns/net").context("open our network namespace")?;
    let prog = simple_of(prog_type)?;
    let target = LinkTarget::Netns {
        netns: ns.as_fd(),
        attach_type,
    };
    let link = LinkCreate::new(&prog, target).run()?;
    Ok(Held::new(link, prog))
}

/// The loopback of our own namespace.
const LOOPBACK: u32 = 1;
/// `XDP_FLAGS_SKB_MODE`
const XDP_GENERIC: u32 = 2;

fn xdp() -> Result<Held> {
    let prog = simple_of(ProgType::XDP)?;
    let target = LinkTarget::Xdp {
        ifindex: LOOPBACK,
        flags: XDP_GENERIC,
    };
    let link = LinkCreate::new(&prog, target).run()?;
    Ok(Held::new(link, prog))
}

fn tcx(attach_type: AttachType, anchor: Option<Anchor<'_>>) -> Result<(LinkFd, ProgFd)> {
    let prog = simple_of(ProgType::SCHED_CLS)?;
    let target = LinkTarget::Tcx {
        ifindex: LOOPBACK,
        attach_type,
        anchor,
        expected_revision: 0,
    };
    let link = LinkCreate::new(&prog, target).run()?;
    Ok((link, prog))
}

fn tcx_first() -> Result<Held> {
    let (link, prog) = tcx(AttachType::TCX_EGRESS, Some(Anchor::First))?;
    Ok(Held::new(link, prog))
}

fn tcx_after_link() -> Result<Held> {
    let at = AttachType::TCX_EGRESS;
    let (earlier, _) = tcx(at, None)?;
    let (link, prog) = tcx(at, Some(Anchor::AfterLink(earlier.as_fd())))?;
    Ok(Held::new(link, prog).with(earlier))
}

fn tcx_before_program() -> Result<Held> {
    let at = AttachType::TCX_INGRESS;
    let (later, its) = tcx(at, None)?;
    let id = its.info()?.id().context("a program without id")?;
    let (link, prog) = tcx(at, Some(Anchor::BeforeProgId(id)))?;
    Ok(Held::new(link, prog).with(later))
}

fn netkit(attach_type: AttachType) -> Result<Held> {
    let prog = simple_of(ProgType::SCHED_CLS)?;
    // Both ends are attached to by way of the first.
    let target = LinkTarget::Netkit {
        ifindex: netlink::device("netkit", "rbpf_nk")?,
        attach_type,
        anchor: None,
        expected_revision: 0,
    };
    let link = LinkCreate::new(&prog, target).run()?;
    Ok(Held::new(link, prog))
}

fn netfilter(pf: u32, hooknum: u32, priority: i32, flags: NetfilterFlags) -> Result<Held> {
    let prog = simple_of(ProgType::NETFILTER)?;
    let target = LinkTarget::Netfilter {
        pf,
        hooknum,
        priority,
        flags,
    };
    let link = LinkCreate::new(&prog, target).run()?;
    Ok(Held::new(link, prog))
}

fn sockmap() -> Result<Held> {
    let map = MapCreate::new(MapType::SOCKMAP, 4, 4, 4)
        .name("l_sockmap")
        .run()?;
    let prog = simple_of(ProgType::SK_SKB)?;
    let target = LinkTarget::Sockmap {
        map: &map,
        attach_type: AttachType::SK_SKB_VERDICT,
    };
    let link = LinkCreate::new(&prog, target).run()?;
    Ok(Held::new(link, prog).with(map))
}
