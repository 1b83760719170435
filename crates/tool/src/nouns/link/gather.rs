//! Links of the kernel, as views.

use std::collections::HashMap;

use bpfsys::cmd::object::{IterTarget, LinkDetails, LinkKind, PerfEventLink};
use bpfsys::uapi::enums::CgroupIterOrder;
use bpfsys::{AttachType, LinkFd, ProgFd, ProgId};

use super::fdinfo;
use super::perf::Counters;
use super::view::{
    CgroupView, DeviceView, EventView, IterView, KprobeFuncView, KprobeMultiView, KprobeView,
    LinkView, NetfilterView, NetnsView, RawTracepointView, SockmapView, StructOpsView, Target,
    TracepointView, TracingFuncView, TracingMultiView, TracingView, UprobeFuncView,
    UprobeMultiView, UprobeView,
};
use crate::failure::{Failure, Result};
use crate::kernel::{Kernel, ObjectKind};
use crate::netdev;
use crate::nouns::NameOrNumber;
use crate::render::escape::Text;
use crate::surroundings::Surroundings;
use crate::xlated::symbols::{KernelSymbols, Symbol};

/// The flag of links that run when a function returns; the same for kprobes and uprobes.
const MULTI_RETURN: u32 = 1;
/// Bytes of the landing instruction that probes are placed behind on some x86 kernels.
const LANDING: u64 = 4;

/// Everything that is said about these links.
pub fn gather(
    kernel: &Kernel,
    with_pins: bool,
    links: impl IntoIterator<Item = Result<LinkFd>>,
) -> Result<Vec<LinkView>> {
    let (around, views) = Surroundings::gather(kernel, ObjectKind::Link, with_pins, || {
        let mut lister = Lister::new(kernel);
        let views = links.into_iter().map(|link| lister.link(&link?));
        views.collect::<Result<Vec<_>>>()
    });
    let mut views = views?;
    for view in &mut views {
        view.pinned = around.pinned(view.id);
        view.pids = around.holders(view.id);
        let cookie = view.target.perf_event_cookie();
        view.bpf_cookie = cookie.filter(|_| !view.pids.is_empty());
    }
    Ok(views)
}

/// Every link of the kernel.
pub fn all() -> impl Iterator<Item = Result<LinkFd>> {
    bpfsys::links().map(|link| link.map_err(|error| Failure::because("can't get next link", error)))
}

/// What links say about themselves, with names that are looked up once, when first needed.
#[derive(Debug)]
struct Lister<'k> {
    kernel: &'k Kernel,
    symbols: Option<KernelSymbols>,
    counters: Option<Counters>,
}

impl<'k> Lister<'k> {
    fn new(kernel: &'k Kernel) -> Self {
        Self {
            kernel,
            symbols: None,
            counters: None,
        }
    }

    fn link(&mut self, link: &LinkFd) -> Result<LinkView> {
        let details = link
            .info()
            .map_err(|error| Failure::because("can't get link info", error))?;
        Ok(LinkView {
            id: details.id.get(),
            r#type: NameOrNumber::new(details.type_.name(), details.type_.0),
            prog_id: details.prog_id.map_or(0, ProgId::get),
            target: self.target(link, details),
            pinned: None,
            bpf_cookie: None,
            pids: Vec::new(),
        })
    }

    fn target(&mut self, fd: &LinkFd, link: LinkDetails) -> Target {
        match link.kind {
            LinkKind::RawTracepoint { name, cookie } => Target::RawTracepoint(RawTracepointView {
                tp_name: Text(name),
                cookie,
            }),
            LinkKind::Tracing {
                attach_type,
                target_obj_id,
                target_btf_id,
                cookie,
            } => Target::Tracing(TracingView {
                prog_type: link.prog_id.and_then(prog_type),
                attach_type: named(attach_type),
                target_obj_id,
                target_btf_id,
                cookie,
            }),
            LinkKind::Cgroup {
                cgroup_id,
                attach_type,
            } => Target::Cgroup(CgroupView {
                cgroup_id,
                attach_type: named(attach_type),
            }),
            LinkKind::Iter {
                target_name,
                target,
            } => Target::Iter(iter(target_name, target)),
            LinkKind::Netns {
                netns_ino,
                attach_type,
            } => Target::Netns(NetnsView {
                netns_ino,
                attach_type: named(attach_type),
            }),
            LinkKind::Xdp { ifindex } => device(ifindex, None),
            LinkKind::Tcx {
                ifindex,
                attach_type,
            }
            | LinkKind::Netkit {
                ifindex,
                attach_type,
            } => device(ifindex, Some(attach_type)),
            LinkKind::PerfEvent(event) => self.perf_event(event),
            LinkKind::KprobeMulti {
                flags,
                missed,
                count,
                addrs,
                cookies,
            } => Target::KprobeMulti(KprobeMultiView {
                retprobe: flags & MULTI_RETURN != 0,
                func_cnt: count,
                missed,
                funcs: functions(&addrs, &cookies, self.symbols()),
            }),
            LinkKind::UprobeMulti {
                path,
                offsets,
                ref_ctr_offsets,
                cookies,
                count,
                flags,
                pid,
            } => Target::UprobeMulti(UprobeMultiView {
                retprobe: flags & MULTI_RETURN != 0,
                path: Text(path),
                func_cnt: count,
                pid: pid.cast_signed(),
                funcs: offsets
                    .iter()
                    .zip(&ref_ctr_offsets)
                    .zip(&cookies)
                    .map(|((offset, ref_ctr_offset), cookie)| UprobeFuncView {
                        offset: *offset,
                        ref_ctr_offset: *ref_ctr_offset,
                        cookie: *cookie,
                    })
                    .collect(),
            }),
            // No link is without functions: Linux 7.2 does not tell them this way.
            LinkKind::TracingMulti { count: 0, .. } => {
                fdinfo::tracing_multi(fd).map_or(Target::Other {}, Target::TracingMulti)
            }
            LinkKind::TracingMulti {
                attach_type,
                count,
                btf_obj_id,
                ids,
                addrs,
                cookies,
            } => Target::TracingMulti(TracingMultiView {
                attach_type: named(attach_type),
                func_cnt: count,
                btf_obj_id,
                funcs: traced(&ids, &addrs, &cookies, self.symbols()),
            }),
            LinkKind::StructOps { map_id } => Target::StructOps(StructOpsView {
                map_id: map_id.map_or(0, bpfsys::MapId::get),
            }),
            LinkKind::Netfilter {
                pf,
                hooknum,
                priority,
                flags,
            } => Target::Netfilter(NetfilterView {
                pf,
                hook: hooknum,
                prio: priority,
                flags,
            }),
            LinkKind::Sockmap {
                map_id,
                attach_type,
            } => Target::Sockmap(SockmapView {
                map_id,
                attach_type: named(attach_type),
            }),
            _ => Target::Other {},
        }
    }

    fn perf_event(&mut self, event: PerfEventLink) -> Target {
        match event {
            PerfEventLink::Uprobe {
                retprobe,
                file,
                offset,
                cookie,
                ref_ctr_offset,
            } => Target::Uprobe(UprobeView {
                retprobe,
                file: Text(file),
                offset,
                cookie,
                ref_ctr_offset,
            }),
            PerfEventLink::Kprobe {
                retprobe,
                func,
                offset,
                addr,
                missed,
                cookie,
            } => Target::Kprobe(KprobeView {
                retprobe,
                addr,
                func: Text(func),
                offset,
                missed,
                cookie,
            }),
            PerfEventLink::Tracepoint { name, cookie } => Target::Tracepoint(TracepointView {
                tracepoint: Text(name),
                cookie,
            }),
            PerfEventLink::Event {
                type_,
                config,
                cookie,
            } => {
                let counters = self.counters.get_or_insert_with(Counters::read);
                let (event_type, event_config) = counters.event(type_, config);
                Target::Event(EventView {
                    event_type,
                    event_config,
                    cookie,
                })
            }
            _ => Target::Other {},
        }
    }

    fn symbols(&mut self) -> &KernelSymbols {
        self.symbols
            .get_or_insert_with(|| KernelSymbols::read(self.kernel.proc_root()))
    }
}

fn named(attach_type: AttachType) -> NameOrNumber {
    NameOrNumber::new(attach_type.name(), attach_type.0)
}

/// The type of a program; `None` when it cannot be opened, for lack of rights or because the
/// link lost it meanwhile.
fn prog_type(id: ProgId) -> Option<NameOrNumber> {
    let prog_type = ProgFd::by_id(id).ok()?.info().ok()?.type_();
    Some(NameOrNumber::new(prog_type.name(), prog_type.0))
}

fn device(ifindex: u32, attach_type: Option<AttachType>) -> Target {
    let devname = if ifindex == 0 {
        "(detached)".into()
    } else {
        netdev::name_of(ifindex).unwrap_or_else(|| "(unknown)".into())
    };
    Target::Device(DeviceView {
        devname,
        ifindex,
        attach_type: attach_type.map(named),
    })
}

fn iter(target_name: Vec<u8>, target: IterTarget) -> IterView {
    let mut view = IterView {
        target_name: Text(target_name),
        ..IterView::default()
    };
    match target {
        IterTarget::MapElem { map_id } => view.map_id = Some(map_id),
        IterTarget::Cgroup { cgroup_id, order } => {
            view.cgroup_id = Some(cgroup_id);
            view.order = Some(NameOrNumber::new(CgroupIterOrder(order).name(), order));
        }
        // the thread says more than its process
        IterTarget::Task { tid, pid: _ } if tid != 0 => view.tid = Some(tid),
        IterTarget::Task { tid: _, pid } if pid != 0 => view.pid = Some(pid),
        _ => {}
    }
    view
}

/// The functions at these addresses, each with its cookie, in the order of addresses.
pub(super) fn functions(
    addrs: &[u64],
    cookies: &[u64],
    symbols: &KernelSymbols,
) -> Vec<KprobeFuncView> {
    let mut wanted: Vec<(u64, u64)> = addrs
        .iter()
        .enumerate()
        .map(|(n, addr)| (*addr, cookies.get(n).copied().unwrap_or_default()))
        .collect();
    wanted.sort_unstable();
    let names = Names::find(addrs, symbols);
    wanted
        .into_iter()
        .map(|(addr, cookie)| {
            let symbol = names.at(addr);
            KprobeFuncView {
                addr,
                func: symbol.map(|symbol| Text::from(symbol.name)),
                module: symbol.and_then(|symbol| symbol.module).map(Text::from),
                cookie,
            }
        })
        .collect()
}

/// The first symbol at each of some addresses.
struct Names<'s>(HashMap<u64, Option<Symbol<'s>>>);

impl<'s> Names<'s> {
    fn find(addrs: &[u64], symbols: &'s KernelSymbols) -> Self {
        let mut names = HashMap::with_capacity(addrs.len() * 2);
        for addr in addrs.iter().filter(|addr| **addr != 0) {
            names.insert(*addr, None);
            names.insert(addr.wrapping_sub(LANDING), None);
        }
        if !names.is_empty() {
            for symbol in symbols.iter() {
                if let Some(slot @ None) = names.get_mut(&symbol.address) {
                    *slot = Some(symbol);
                }
            }
        }
        Self(names)
    }

    /// The symbol at `addr`, else the one that starts a landing instruction earlier.
    fn at(&self, addr: u64) -> Option<Symbol<'s>> {
        let at = |addr| self.0.get(&addr).copied().flatten();
        at(addr).or_else(|| at(addr.wrapping_sub(LANDING)))
    }
}

/// The functions of a `tracing_multi` link. The kernel hides all addresses or none.
fn traced(
    ids: &[u32],
    addrs: &[u64],
    cookies: &[u64],
    symbols: &KernelSymbols,
) -> Vec<TracingFuncView> {
    let names = Names::find(addrs, symbols);
    ids.iter()
        .enumerate()
        .map(|(n, btf_id)| {
            let addr = addrs.get(n).copied().filter(|addr| *addr != 0);
            TracingFuncView {
                btf_id: *btf_id,
                addr,
                func: addr
                    .and_then(|addr| names.at(addr))
                    .map(|symbol| Text::from(symbol.name)),
                cookie: cookies.get(n).copied().unwrap_or_default(),
            }
        })
        .collect()
}
