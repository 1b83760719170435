//! Iterators.

use std::fs::File;
use std::os::fd::AsFd as _;

use anyhow::{Context as _, Result};
use bpfsys::AttachType;
use bpfsys::MapType;
use bpfsys::cmd::{IterTargetSpec, LinkCreate, LinkTarget, MapCreate};
use bpfsys::uapi::enums::CgroupIterOrder;
use bpfsys::uapi::flags::MapFlags;
use btf::Kind;

use super::{ALWAYS, Ground, Held, LinkRecipe, link};
use crate::state::Lacking;
use crate::state::progs::tracing;

pub(super) const RECIPES: [LinkRecipe; 22] = [
    link("iter", ALWAYS, |g| whole(g, "task")),
    link("iter map", ALWAYS, |g| {
        of(g, "bpf_map_elem", IterTargetSpec::Map(g.map))
    }),
    link("iter socket storage", ALWAYS, storage),
    link("iter process", (6, 1), |g| task(g, "task_file", 0, own())),
    link("iter thread", (6, 1), |g| task(g, "task", own(), 0)),
    link("iter memory areas", (6, 1), |g| {
        task(g, "task_vma", 0, own())
    }),
    link("iter cgroup", (6, 1), |g| {
        cgroup(g, CgroupIterOrder::SELF_ONLY)
    }),
    link("iter cgroup pre-order", (6, 1), |g| {
        cgroup(g, CgroupIterOrder::DESCENDANTS_PRE)
    }),
    link("iter cgroup post-order", (6, 1), |g| {
        cgroup(g, CgroupIterOrder::DESCENDANTS_POST)
    }),
    link("iter cgroup upwards", (6, 1), |g| {
        cgroup(g, CgroupIterOrder::ANCESTORS_UP)
    }),
    link("iter cgroup children", (7, 0), |g| {
        cgroup(g, CgroupIterOrder::CHILDREN)
    }),
    link("iter maps", ALWAYS, |g| whole(g, "bpf_map")).alike(),
    link("iter programs", ALWAYS, |g| whole(g, "bpf_prog")).alike(),
    link("iter links", (5, 19), |g| whole(g, "bpf_link")).alike(),
    link("iter netlink", ALWAYS, |g| whole(g, "netlink")).alike(),
    link("iter tcp", ALWAYS, |g| whole(g, "tcp")).alike(),
    link("iter udp", ALWAYS, |g| whole(g, "udp")).alike(),
    link("iter unix", (5, 15), |g| whole(g, "unix")).alike(),
    link("iter ksym", (6, 0), |g| whole(g, "ksym")).alike(),
    link("iter ipv6_route", ALWAYS, |g| whole(g, "ipv6_route"))
        .config("CONFIG_IPV6=y")
        .alike(),
    link("iter kmem_cache", (6, 13), |g| whole(g, "kmem_cache")).alike(),
    link("iter dmabuf", (6, 16), |g| whole(g, "dmabuf"))
        .config("CONFIG_DMA_SHARED_BUFFER")
        .alike(),
];

fn of(g: &Ground<'_>, target: &str, spec: IterTargetSpec<'_>) -> Result<Held> {
    let at = AttachType::TRACE_ITER;
    let prog = tracing(g.kernel, "l_iter", at, &format!("bpf_iter_{target}"))?;
    let link = LinkCreate::new(&prog, LinkTarget::Iter(spec)).run()?;
    Ok(Held::new(link, prog))
}

fn whole(g: &Ground<'_>, target: &str) -> Result<Held> {
    of(g, target, IterTargetSpec::All)
}

fn own() -> u32 {
    std::process::id()
}

fn task(g: &Ground<'_>, target: &str, tid: u32, pid: u32) -> Result<Held> {
    // Kernels that know of maps only take a thread for the map's descriptor, which they do not
    // look at, and walk every task.
    let info = g
        .kernel
        .find_by_name_kind(b"bpf_iter_link_info", Kind::Union);
    let info = info.context("no union of what iterators are limited to")?;
    if g.kernel.size_of(info)? < 12 {
        return Err(Lacking("bpf_iter_link_info.task".to_owned()).into());
    }
    let spec = IterTargetSpec::Task {
        tid,
        pid,
        pid_fd: None,
    };
    of(g, target, spec)
}

fn cgroup(g: &Ground<'_>, order: CgroupIterOrder) -> Result<Held> {
    let dir = File::open(g.private.cgroup()?).context("open our cgroup")?;
    let spec = IterTargetSpec::Cgroup {
        cgroup: Some(dir.as_fd()),
        order,
    };
    of(g, "cgroup", spec)
}

fn storage(g: &Ground<'_>) -> Result<Held> {
    let map = MapCreate::new(MapType::SK_STORAGE, 4, 8, 0)
        .flags(MapFlags::NO_PREALLOC)
        .btf(&g.types.fd, g.types.int, g.types.u64)
        .run()?;
    let held = of(g, "bpf_sk_storage_map", IterTargetSpec::Map(&map))?;
    Ok(held.with(map))
}
