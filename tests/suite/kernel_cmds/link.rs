//! Links: made, found, updated, detached; iterators read.

use std::io::Read as _;
use std::os::fd::AsFd as _;

use anyhow::{Context as _, Result, ensure};
use bpfsys::cmd::{
    IterCreate, IterTargetSpec, LinkCreate, LinkDetach, LinkKind, LinkTarget, LinkUpdate,
    MapCreate, RawTracepointOpen,
};
use bpfsys::uapi::flags::AttachFlags;
use bpfsys::{AttachType, ErrorKind, LinkFd, LinkId, LinkType, MapType, ProgFd, ProgType};
use rbpftool_tests::state::links::QUIET_TRACEPOINT;
use rbpftool_tests::state::progs::{simple_of, tracing};
use rbpftool_tests::{Private, ensure_eq};

use crate::support::{Bench, refused};

pub(crate) fn add(bench: &mut Bench) {
    bench.cmd("link_create", create, create_errors);
    bench.cmd("link_update", update, update_errors);
    bench.cmd("link_detach", detach, detach_errors);
    bench.cmd("link_get_fd_by_id", by_id, by_id_errors);
    bench.cmd("link_get_next_id", next_id, next_id_ends);
    bench.cmd("iter_create", iterate, iterate_errors);
}

fn xdp_link(prog: &ProgFd) -> Result<LinkFd> {
    // The loopback of our own namespace, in generic mode.
    Ok(LinkCreate::new(
        prog,
        LinkTarget::Xdp {
            ifindex: 1,
            flags: 2,
        },
    )
    .run()?)
}

fn kernel_btf() -> Result<btf::Btf<'static>> {
    let bytes = std::fs::read("/sys/kernel/btf/vmlinux").context("read the kernel's BTF")?;
    btf::Btf::parse(bytes).context("parse the kernel's BTF")
}

fn create(_: &Private) -> Result<()> {
    let prog = simple_of(ProgType::XDP)?;
    let info = xdp_link(&prog)?.info()?;
    ensure_eq!(
        (info.type_, info.prog_id),
        (LinkType::XDP, prog.info()?.id())
    );
    ensure!(
        matches!(info.kind, LinkKind::Xdp { ifindex: 1 }),
        "{info:?}"
    );
    Ok(())
}

fn create_errors(_: &Private) -> Result<()> {
    let prog = simple_of(ProgType::XDP)?;
    let nowhere = LinkCreate::new(
        &prog,
        LinkTarget::Xdp {
            ifindex: 9999,
            flags: 0,
        },
    )
    .run();
    ensure!(nowhere.is_err(), "attached to no interface");
    let held = xdp_link(&prog)?;
    let twice = LinkCreate::new(
        &prog,
        LinkTarget::Xdp {
            ifindex: 1,
            flags: 2,
        },
    )
    .run();
    refused("a second XDP link", twice, ErrorKind::Busy)?;
    drop(held);
    let unfit = LinkTarget::Tcx {
        ifindex: 1,
        attach_type: AttachType::TCX_INGRESS,
        anchor: None,
        expected_revision: 0,
    };
    refused(
        "XDP at tcx",
        LinkCreate::new(&prog, unfit).run(),
        ErrorKind::Invalid,
    )?;
    let map = MapCreate::new(MapType::ARRAY, 4, 4, 1).run()?;
    let no_ops = LinkCreate::struct_ops(&map).run();
    refused("an array as operations", no_ops, ErrorKind::Invalid)?;
    let uneven = LinkTarget::UprobeMulti {
        path: "/proc/self/exe".as_ref(),
        offsets: &[1, 2],
        ref_ctr_offsets: &[],
        cookies: &[1],
        flags: bpfsys::uapi::flags::UprobeMultiFlags::empty(),
        pid: 0,
        session: false,
    };
    refused(
        "one cookie for two",
        LinkCreate::new(&prog, uneven).run(),
        ErrorKind::Invalid,
    )
}

fn update(_: &Private) -> Result<()> {
    let (old, new) = (simple_of(ProgType::XDP)?, simple_of(ProgType::XDP)?);
    let link = xdp_link(&old)?;
    LinkUpdate::new(&link, &new).expect_prog(&old).run()?;
    ensure_eq!(link.info()?.prog_id, new.info()?.id());
    Ok(())
}

fn update_errors(_: &Private) -> Result<()> {
    let (old, new) = (simple_of(ProgType::XDP)?, simple_of(ProgType::XDP)?);
    let link = xdp_link(&old)?;
    let wrong = LinkUpdate::new(&link, &old).expect_prog(&new).run();
    refused("another program than expected", wrong, ErrorKind::Denied)?;
    let flags = AttachFlags::from_bits_retain(1 << 30);
    let flagged = LinkUpdate::new(&link, &new).flags(flags).run();
    refused("an unknown flag", flagged, ErrorKind::Invalid)?;
    let unfit = LinkUpdate::new(&link, &simple_of(ProgType::SOCKET_FILTER)?).run();
    refused("a program of another type", unfit, ErrorKind::Invalid)
}

fn detach(_: &Private) -> Result<()> {
    let prog = simple_of(ProgType::XDP)?;
    let link = xdp_link(&prog)?;
    LinkDetach::new(&link).run()?;
    ensure!(
        matches!(link.info()?.kind, LinkKind::Xdp { ifindex: 0 }),
        "still attached"
    );
    Ok(())
}

fn detach_errors(_: &Private) -> Result<()> {
    let prog = simple_of(ProgType::RAW_TRACEPOINT)?;
    let link = RawTracepointOpen::new(Some(QUIET_TRACEPOINT), &prog).run()?;
    refused(
        "a raw tracepoint",
        LinkDetach::new(&link).run(),
        ErrorKind::Unsupported,
    )
}

fn by_id(_: &Private) -> Result<()> {
    let link = xdp_link(&simple_of(ProgType::XDP)?)?;
    let id = link.info()?.id;
    ensure_eq!(LinkFd::by_id(id)?.info()?.id, id);
    Ok(())
}

fn by_id_errors(_: &Private) -> Result<()> {
    let none = LinkId::new(u32::MAX - 1).context("not zero")?;
    refused(
        "an id that is not used",
        LinkFd::by_id(none),
        ErrorKind::NotFound,
    )
}

fn next_id(_: &Private) -> Result<()> {
    let link = xdp_link(&simple_of(ProgType::XDP)?)?;
    let ids: Vec<LinkId> = bpfsys::link_ids().collect::<Result<_, _>>()?;
    ensure!(ids.contains(&link.info()?.id), "the link is not listed");
    Ok(())
}

fn next_id_ends(_: &Private) -> Result<()> {
    let mut ids = bpfsys::link_ids();
    while ids.next().transpose()?.is_some() {}
    ensure!(ids.next().is_none(), "the walk went on after its end");
    Ok(())
}

fn iterate(_: &Private) -> Result<()> {
    let kernel = kernel_btf()?;
    let prog = tracing(
        &kernel,
        "iterates",
        AttachType::TRACE_ITER,
        "bpf_iter_bpf_map",
    )?;
    let link = LinkCreate::new(&prog, LinkTarget::Iter(IterTargetSpec::All)).run()?;
    let mut text = String::new();
    IterCreate::new(&link)
        .run()?
        .read_to_string(&mut text)
        .context("read the iterator")?;
    ensure_eq!(text, "", "a program that writes nothing");
    Ok(())
}

fn iterate_errors(_: &Private) -> Result<()> {
    let link = xdp_link(&simple_of(ProgType::XDP)?)?;
    refused(
        "an XDP link",
        IterCreate::new(&link).run(),
        ErrorKind::Invalid,
    )?;
    let kernel = kernel_btf()?;
    let prog = tracing(
        &kernel,
        "iterates",
        AttachType::TRACE_ITER,
        "bpf_iter_bpf_map",
    )?;
    let iter = LinkCreate::new(&prog, LinkTarget::Iter(IterTargetSpec::All)).run()?;
    refused(
        "an unknown flag",
        IterCreate::new(&iter).flags(1).run(),
        ErrorKind::Invalid,
    )?;
    ensure!(
        iter.as_fd().try_clone_to_owned().is_ok(),
        "the link is gone"
    );
    Ok(())
}
