//! Programs on the network, as views.

use std::fs::File;

use bpfsys::cmd::object::LinkKind;
use bpfsys::cmd::{ProgQuery, QueriedProg, Target};
use bpfsys::uapi::flags::AttachFlags;
use bpfsys::{AttachType, LinkId, LinkType, ProgFd, ProgId};
use loader::netlink::{BpfFilter, Device, NetlinkError, Qdisc, Route, TcHandle};
use nix::errno::Errno;

use super::view::{
    ActionView, FilterView, FlowDissectorView, ListedView, NetView, NetfilterProgView, TcView,
    XdpModeView, XdpView,
};
use crate::failure::{Failure, Result};
use crate::names::ProgNames;
use crate::nouns::link;
use crate::nouns::link::view::NetfilterView;
use crate::render::escape::Text;

/// The hooks of an interface that have ordered lists of programs.
const LISTS: [(&str, AttachType); 4] = [
    ("tcx/ingress", AttachType::TCX_INGRESS),
    ("tcx/egress", AttachType::TCX_EGRESS),
    ("netkit/primary", AttachType::NETKIT_PRIMARY),
    ("netkit/peer", AttachType::NETKIT_PEER),
];

/// What runs on all interfaces of this network namespace, or on one.
pub fn gather(only: Option<u32>) -> Result<NetView> {
    let flow_dissector = flow_dissector()?;
    let failed = |error: NetlinkError| Failure::because("can't list interfaces", error);
    let mut route = Route::open().map_err(failed)?;
    let mut devices = route.devices().map_err(failed)?;
    devices.retain(|device| only.is_none_or(|ifindex| device.ifindex == ifindex));
    let mut names = ProgNames::default();
    let mut tc = Vec::new();
    let qdiscs = route.qdiscs().map_err(failed)?;
    for device in &devices {
        listed(device, &mut names, &mut tc)?;
        match filters(&mut route, device, &qdiscs, &mut tc) {
            // gone since it was listed
            Err(error) if error.is(Errno::ENODEV) => {}
            other => other.map_err(failed)?,
        }
    }
    Ok(NetView {
        xdp: devices.iter().filter_map(xdp).collect(),
        tc,
        flow_dissector,
        netfilter: netfilter()?,
    })
}

fn xdp(device: &Device) -> Option<XdpView> {
    let mode = |mode: loader::netlink::XdpMode| Text::from(mode.name());
    let attached = &device.xdp.attached;
    let single = attached.first().filter(|_| !device.xdp.several);
    let several = || {
        let each = attached.iter().map(|(own, id)| XdpModeView {
            mode: mode(*own),
            id: id.get(),
        });
        each.collect()
    };
    (single.is_some() || device.xdp.several).then(|| XdpView {
        devname: Text::from(device.name.as_slice()),
        ifindex: device.ifindex,
        mode: single.map(|(own, _)| mode(*own)),
        id: single.map(|(_, id)| id.get()),
        multi_attachments: device.xdp.several.then(several),
    })
}

/// The programs of the ordered lists.
fn listed(device: &Device, names: &mut ProgNames, tc: &mut Vec<TcView>) -> Result<()> {
    for (kind, attach_type) in LISTS {
        let query = ProgQuery::new(Target::Ifindex(device.ifindex), attach_type);
        let programs = match query.run() {
            Ok(result) => result.progs,
            Err(error) if error.is(Errno::EPERM) => {
                let what = format!("can't query the programs at {kind}");
                return Err(Failure::because(what, error));
            }
            // no such hook on this kernel, or not on this interface
            Err(_) => continue,
        };
        tc.extend(programs.iter().map(|program| {
            TcView::Listed(ListedView {
                devname: Text::from(device.name.as_slice()),
                ifindex: device.ifindex,
                kind: Text::from(kind),
                name: name(program, names),
                prog_id: program.prog_id.get(),
                prog_flags: bits(program.attach_flags),
                link_id: program.link_id.map_or(0, LinkId::get),
                link_flags: bits(program.link_attach_flags),
            })
        }));
    }
    Ok(())
}

/// The name of a program, if it has one and is still there.
fn name(program: &QueriedProg, names: &mut ProgNames) -> Option<Text> {
    let prog = ProgFd::by_id(program.prog_id).ok()?;
    let info = prog.info().ok()?;
    let name = names.full_name(&prog, &info);
    (!info.name().is_empty()).then(|| Text::from(name))
}

fn bits(flags: Option<AttachFlags>) -> Vec<u32> {
    let flags = flags.map_or(0, |flags| flags.bits());
    (0..u32::BITS)
        .map(|bit| 1 << bit)
        .filter(|bit| flags & bit != 0)
        .collect()
}

/// The programs that are filters: of classes, of disciplines, of the two hooks.
fn filters(
    route: &mut Route,
    device: &Device,
    qdiscs: &[Qdisc],
    tc: &mut Vec<TcView>,
) -> std::result::Result<(), NetlinkError> {
    let classes = route.classes(device.ifindex)?;
    let own = qdiscs.iter().filter(|own| own.ifindex == device.ifindex);
    let (hooks, others): (Vec<&Qdisc>, Vec<_>) = own.partition(|own| own.kind == b"clsact");
    let mut parents: Vec<(Text, TcHandle)> = classes
        .iter()
        .chain(others.into_iter().filter(|own| own.handle != TcHandle(0)))
        .map(|own| (Text::from(own.kind.as_slice()), own.handle))
        .collect();
    if !hooks.is_empty() {
        parents.extend([TcHandle::INGRESS, TcHandle::EGRESS].map(|h| (h.to_string().into(), h)));
    }
    for (kind, parent) in parents {
        for filter in route.filters(device.ifindex, parent)? {
            if let Some(bpf) = filter.bpf {
                tc.push(TcView::Filter(filter_view(device, &kind, bpf)));
            }
        }
    }
    Ok(())
}

fn filter_view(device: &Device, kind: &Text, bpf: BpfFilter) -> FilterView {
    FilterView {
        devname: Text::from(device.name.as_slice()),
        ifindex: device.ifindex,
        kind: kind.clone(),
        name: bpf.name.map(Text::from),
        id: bpf.prog_id.map(ProgId::get),
        act: bpf.actions.map(|actions| {
            let each = actions.into_iter().map(|action| ActionView {
                name: action.name.map(Text::from),
                id: action.prog_id.map(ProgId::get),
            });
            each.collect()
        }),
    }
}

fn flow_dissector() -> Result<Vec<FlowDissectorView>> {
    const NETNS: &str = "/proc/self/ns/net";
    let netns = File::open(NETNS)
        .map_err(|error| Failure::because(format_args!("can't open {NETNS}"), error))?;
    match ProgQuery::new(&netns, AttachType::FLOW_DISSECTOR).run() {
        Ok(result) => Ok(result
            .progs
            .iter()
            .map(|program| FlowDissectorView {
                id: program.prog_id.get(),
            })
            .collect()),
        // kernels that cannot be asked
        Err(error) if error.is(Errno::EINVAL) => Ok(Vec::new()),
        Err(error) => Err(Failure::because("can't query prog", error)),
    }
}

/// The netfilter links of the machine, in the order of the hooks and on these as they run.
fn netfilter() -> Result<Vec<NetfilterProgView>> {
    let mut found = Vec::new();
    for link in link::gather::all() {
        let details = link?
            .info()
            .map_err(|error| Failure::because("can't get link info", error))?;
        if details.type_ != LinkType::NETFILTER {
            continue;
        }
        if let LinkKind::Netfilter {
            pf,
            hooknum,
            priority,
            flags,
        } = details.kind
        {
            found.push(NetfilterProgView {
                hook: NetfilterView {
                    pf,
                    hook: hooknum,
                    prio: priority,
                    flags,
                },
                id: details.prog_id.map_or(0, ProgId::get),
            });
        }
    }
    found.sort_by_key(|own| (own.hook.pf, own.hook.hook, own.hook.prio, own.hook.flags));
    Ok(found)
}
