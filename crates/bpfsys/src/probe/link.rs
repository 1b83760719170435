//! Link types.

use super::programs::{RETURN_0, RETURN_1, request, smallest};
use super::{Key, Support, attach_type, cached, command};
use crate::cmd::{KprobeFunctions, LinkCreate, LinkTarget, known};
use crate::uapi::enums::{AttachType, Cmd, LinkType, ProgType};
use crate::uapi::flags::{KprobeMultiFlags, NetfilterFlags, UprobeMultiFlags};
use std::path::Path;

/// Whether links of this type can be made.
#[must_use]
pub fn link_type(link_type: LinkType) -> Support {
    cached(Key::LinkType(link_type.0), || probe(link_type))
}

fn probe(link_type: LinkType) -> Support {
    match link_type {
        // Before 5.8 the command existed, but what it gave was no link.
        LinkType::RAW_TRACEPOINT => match command(Cmd::LINK_GET_FD_BY_ID) {
            Support::Yes => super::prog_type(ProgType::RAW_TRACEPOINT),
            other => other,
        },
        // Any of the hooks will do, and which can be probed differs.
        LinkType::TRACING => match command(Cmd::LINK_GET_FD_BY_ID) {
            Support::Yes => attach_type(AttachType::TRACE_FENTRY)
                .or_else(|| attach_type(AttachType::TRACE_RAW_TP)),
            other => other,
        },
        LinkType::ITER => attach_type(AttachType::TRACE_ITER),
        LinkType::CGROUP => without_target(ProgType::CGROUP_SKB, AttachType::CGROUP_INET_INGRESS),
        LinkType::NETNS => without_target(ProgType::FLOW_DISSECTOR, AttachType::FLOW_DISSECTOR),
        LinkType::SOCKMAP => without_target(ProgType::SK_MSG, AttachType::SK_MSG_VERDICT),
        LinkType::XDP => match command(Cmd::LINK_CREATE) {
            Support::Yes => attach_type(AttachType::XDP),
            other => other,
        },
        LinkType::PERF_EVENT => perf_event(),
        LinkType::KPROBE_MULTI => kprobe_multi(false),
        LinkType::UPROBE_MULTI => uprobe_multi(false),
        LinkType::STRUCT_OPS => attach_type(AttachType::STRUCT_OPS),
        LinkType::NETFILTER => netfilter(),
        LinkType::TCX => attach_type(AttachType::TCX_INGRESS),
        LinkType::NETKIT => attach_type(AttachType::NETKIT_PRIMARY),
        LinkType::TRACING_MULTI => tracing_multi(AttachType::TRACE_FENTRY_MULTI),
        _ => Support::No,
    }
}

/// Asks for a link without a target: kernels that know the kind miss the target.
fn without_target(prog_type: ProgType, attach: AttachType) -> Support {
    match smallest(prog_type) {
        Ok(prog) => Support::judge(
            known::link(&prog, attach),
            &[libc::EBADF, libc::ENODEV],
            &[libc::EINVAL, libc::EOPNOTSUPP],
        ),
        Err(error) => Support::of::<(), _>(Err(error)),
    }
}

pub(super) fn perf_event() -> Support {
    without_target(ProgType::TRACEPOINT, AttachType::PERF_EVENT)
}

/// Asks for a function there cannot be.
pub(super) fn kprobe_multi(session: bool) -> Support {
    let attach = if session {
        AttachType::TRACE_KPROBE_SESSION
    } else {
        AttachType::TRACE_KPROBE_MULTI
    };
    let load = request(ProgType::KPROBE, &RETURN_1).expected_attach_type(attach);
    let target = LinkTarget::KprobeMulti {
        functions: KprobeFunctions::Symbols(&[c"no function has such a name"]),
        cookies: &[],
        flags: KprobeMultiFlags::empty(),
        session,
    };
    match load.run() {
        Ok(prog) => Support::judge(
            LinkCreate::new(&prog, target).run(),
            &[libc::ESRCH, libc::ENOENT],
            &[libc::EINVAL, libc::EOPNOTSUPP],
        ),
        Err(error) => Support::of::<(), _>(Err(error)),
    }
}

/// Asks for a place in a directory.
pub(super) fn uprobe_multi(session: bool) -> Support {
    uprobe_multi_of(
        session,
        0,
        &[libc::EBADF],
        &[libc::EINVAL, libc::EOPNOTSUPP],
    )
}

/// Whether links of many user probes are of a process. They were of a thread at first (Linux 6.6
/// to 6.9), and kernels since then look at the number before anything else.
pub(super) fn uprobe_multi_by_process() -> Support {
    match link_type(LinkType::UPROBE_MULTI) {
        Support::Yes => uprobe_multi_of(false, u32::MAX, &[libc::EINVAL], &[libc::EBADF]),
        other => other,
    }
}

fn uprobe_multi_of(session: bool, pid: u32, yes: &[i32], no: &[i32]) -> Support {
    let attach = if session {
        AttachType::TRACE_UPROBE_SESSION
    } else {
        AttachType::TRACE_UPROBE_MULTI
    };
    let load = request(ProgType::KPROBE, &RETURN_1).expected_attach_type(attach);
    let target = LinkTarget::UprobeMulti {
        path: Path::new("/"),
        offsets: &[0],
        ref_ctr_offsets: &[],
        cookies: &[],
        flags: UprobeMultiFlags::empty(),
        pid,
        session,
    };
    match load.run() {
        Ok(prog) => Support::judge(LinkCreate::new(&prog, target).run(), yes, no),
        Err(error) => Support::of::<(), _>(Err(error)),
    }
}

/// Asks for kernel type 1, which is no function. Such a program names no function when it is
/// loaded, and kernels that load it know the link, unless they are built without.
pub(super) fn tracing_multi(attach: AttachType) -> Support {
    let no = [libc::EINVAL, libc::EOPNOTSUPP];
    let load = request(ProgType::TRACING, &RETURN_0)
        .expected_attach_type(attach)
        .attach_btf_id(0);
    let target = LinkTarget::TracingMulti {
        attach_type: attach,
        ids: &[1],
        cookies: &[],
    };
    match load.run() {
        Ok(prog) => Support::judge(
            LinkCreate::new(&prog, target).run(),
            &[libc::EINVAL],
            &[libc::EOPNOTSUPP],
        ),
        Err(error) => Support::judge::<(), _>(Err(error), &[], &no),
    }
}

/// Asks for a protocol family that netfilter has no hooks for.
fn netfilter() -> Support {
    let target = LinkTarget::Netfilter {
        pf: 200,
        hooknum: 0,
        priority: 1,
        flags: NetfilterFlags::empty(),
    };
    match smallest(ProgType::NETFILTER) {
        Ok(prog) => Support::judge(
            LinkCreate::new(&prog, target).run(),
            &[libc::EAFNOSUPPORT, libc::EPROTONOSUPPORT],
            &[libc::EINVAL, libc::EOPNOTSUPP],
        ),
        Err(error) => Support::of::<(), _>(Err(error)),
    }
}
