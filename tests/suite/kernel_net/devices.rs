//! Interfaces: XDP, traffic control, netkit.

use std::os::fd::AsFd as _;

use anyhow::{Context as _, Result, ensure};
use bpfsys::cmd::{Anchor, ProgQuery, Target};
use bpfsys::{AttachType, ProgType};
use loader::attach::{Link, Links, Netkit, Tc, Tcx, Xdp};
use loader::netlink::{Route, TcHandle, XdpMode};
use rbpftool_tests::{Private, ensure_eq, netlink};
use serde_json::json;

use crate::support::{
    Counter, NONE, Test, Veth, arrives, change, contains, ifindex, ip, loopback, must_arrive,
    needs_config, net, refused, send_to, shown, since,
};

pub(crate) const TESTS: &[Test] = &[
    ("xdp::link", xdp_link),
    ("xdp::netlink", xdp_netlink),
    ("xdp::driver", xdp_driver),
    ("tc::ingress", tc_ingress),
    ("tc::egress", tc_egress),
    ("tc::discipline", tc_discipline),
    ("tcx::order", tcx_order),
    ("tcx::without_link", tcx_without_link),
    ("netkit", netkit),
    ("several_or_none", several_or_none),
    ("interfaces_that_are_gone", gone),
];

const XDP_DROP: i32 = 1;
const XDP_PASS: i32 = 2;
const TC_OK: i32 = 0;
const TC_SHOT: i32 = 2;
const TCX_NEXT: i32 = -1;

fn xdp(ret: i32) -> Result<Counter> {
    Counter::new(ProgType::XDP, None, ret)
}

fn tc(ret: i32) -> Result<Counter> {
    Counter::new(ProgType::SCHED_CLS, None, ret)
}

fn xdp_link(_: &Private) -> Result<()> {
    let lo = loopback()?;
    let (drops, passes) = (xdp(XDP_DROP)?, xdp(XDP_PASS)?);
    let hook = Xdp::new(lo).mode(XdpMode::Generic);
    let link = hook.attach(&drops.prog)?;
    ensure!(!arrives()?, "a packet that is dropped arrived");
    ensure!(drops.hits()? > 0, "the program did not run");
    shown(
        &link,
        drops.id()?,
        &json!({"type": "xdp", "devname": "lo", "ifindex": 1}),
    )?;
    let on_lo = json!({"devname": "lo", "ifindex": 1, "mode": "generic", "id": drops.id()?});
    ensure_eq!(net("xdp")?, [on_lo]);
    refused(hook.attach(&passes.prog), "busy")?;
    refused(hook.overwrite().attach(&passes.prog), "cannot replace")?;
    link.update(&passes.prog, Some(&drops.prog))?;
    ensure!(link.update(&drops.prog, Some(&drops.prog)).is_err());
    ensure!(passes.runs(must_arrive)?);
    shown(&link, passes.id()?, &json!({"ifindex": 1}))?;
    link.detach()?;
    ensure!(!passes.runs(|| arrives().map(drop))?, "it still runs");
    ensure_eq!(net("xdp")?, NONE);
    Ok(())
}

fn xdp_netlink(_: &Private) -> Result<()> {
    let lo = loopback()?;
    let (drops, passes) = (xdp(XDP_DROP)?, xdp(XDP_PASS)?);
    let hook = Xdp::new(lo).mode(XdpMode::Generic);
    let link = hook.attach_netlink(&drops.prog)?;
    ensure!(!arrives()?, "a packet that is dropped arrived");
    let device = Route::open()?.device(lo)?;
    let id = drops.prog.info()?.id();
    ensure_eq!(device.xdp.in_mode(XdpMode::Generic), id);
    ensure_eq!(device.name, b"lo");
    // the kernel's own words
    refused(
        hook.attach_netlink(&passes.prog),
        "XDP program already attached",
    )?;
    refused(
        hook.replace(&passes.prog).attach_netlink(&passes.prog),
        "Active program does not match expected",
    )?;
    let mut link = link;
    ensure!(link.pin("/nowhere".as_ref()).is_err(), "there is no link");
    let second = hook.replace(&drops.prog).attach_netlink(&passes.prog)?;
    ensure!(passes.runs(must_arrive)?);
    // it is another's by now
    ensure!(link.detach().is_err(), "detached what is not there");
    ensure_eq!(net("xdp")?.len(), 1);
    // and stays when it is forgotten
    second.forget();
    ensure!(passes.runs(|| arrives().map(drop))?);
    let third = hook.overwrite().attach_netlink(&drops.prog)?;
    ensure!(!arrives()?, "a packet that is dropped arrived");
    third.detach()?;
    must_arrive()?;
    ensure_eq!(net("xdp")?, NONE);
    Ok(())
}

fn xdp_driver(_: &Private) -> Result<()> {
    let _veth = Veth::new()?;
    let at = ifindex("n_b")?;
    let counts = xdp(XDP_PASS)?;
    let links = [
        Xdp::new(at).attach_netlink(&counts.prog)?,
        Xdp::new(ifindex("n_a")?)
            .mode(XdpMode::Driver)
            .attach(&counts.prog)?,
    ];
    let ask = || send_to("10.77.0.2:9");
    ensure!(counts.runs(ask)?, "nobody was asked for the address");
    let modes: Vec<_> = net("xdp")?.iter().map(|x| x["mode"].clone()).collect();
    ensure_eq!(modes, ["driver", "driver"]);
    refused(
        Xdp::new(at).mode(XdpMode::Offload).attach(&counts.prog),
        "attach to offloaded XDP",
    )?;
    for link in links {
        link.detach()?;
    }
    let ask = || send_to("10.77.0.3:9");
    ensure!(!counts.runs(ask)?, "it still runs");
    Ok(())
}

/// The disciplines of the loopback that have hooks.
fn hooks() -> Result<usize> {
    let qdiscs = Route::open()?.qdiscs()?;
    Ok(qdiscs.iter().filter(|q| q.kind == b"clsact").count())
}

fn tc_ingress(_: &Private) -> Result<()> {
    let lo = loopback()?;
    let (drops, passes) = (tc(TC_SHOT)?, tc(TC_OK)?);
    let hook = Tc::ingress(lo).priority(7).handle(3);
    let link = hook.attach(&drops.prog)?;
    ensure!(!arrives()?, "a packet that is dropped arrived");
    let filters = Route::open()?.filters(lo, TcHandle::INGRESS)?;
    let ours = filters.iter().find(|f| f.bpf.is_some()).context("none")?;
    ensure_eq!((ours.handle, ours.priority), (3, 7));
    ensure_eq!(ours.bpf.as_ref().map(|b| b.direct_action), Some(true));
    let name = format!("n_counter:[{}]", drops.id()?);
    let wanted = json!({
        "devname": "lo", "ifindex": 1, "kind": "clsact/ingress", "name": name, "id": drops.id()?,
    });
    ensure_eq!(net("tc")?, [wanted]);
    refused(hook.attach(&passes.prog), "exists")?;
    let second = hook.replace().attach(&passes.prog)?;
    ensure!(passes.runs(must_arrive)?);
    ensure!(link.detach().is_err(), "detached what is another's");
    ensure_eq!(net("tc")?.len(), 1);
    second.detach()?;
    ensure!(!passes.runs(|| arrives().map(drop))?, "it still runs");
    // the first one added the discipline, and another used it when it went
    ensure_eq!(hooks()?, 1);
    Route::open()?.remove_clsact(lo)?;
    Ok(())
}

fn tc_egress(_: &Private) -> Result<()> {
    let lo = loopback()?;
    let (first, second) = (tc(TC_OK)?, tc(TC_OK)?);
    let one = Tc::egress(lo).attach(&first.prog)?;
    let two = Tc::egress(lo).attach(&second.prog)?;
    ensure!(second.runs(must_arrive)?);
    // the kernel puts later ones first, and the first one's verdict is final
    ensure_eq!(first.hits()?, 0);
    two.detach()?;
    ensure!(first.runs(|| arrives().map(drop))?, "it does not run");
    ensure_eq!(net("tc")?.len(), 1);
    drop(one);
    ensure_eq!((net("tc")?.len(), hooks()?), (0, 0));
    Ok(())
}

fn tc_discipline(_: &Private) -> Result<()> {
    let lo = loopback()?;
    let counts = tc(TC_OK)?;
    let mut route = Route::open()?;
    route.add_clsact(lo)?;
    ensure!(route.add_clsact(lo).is_err(), "added twice");
    let link = Tc::ingress(lo).attach(&counts.prog)?;
    link.detach()?;
    // it was not ours
    ensure_eq!(hooks()?, 1);
    route.remove_clsact(lo)?;
    ensure!(route.remove_clsact(lo).is_err(), "removed twice");
    let nowhere = Tc::under(lo, TcHandle::new(1, 0)).attach(&counts.prog);
    refused(nowhere, "attach to 1:0 of interface 1")?;
    let unfit = xdp(XDP_PASS)?;
    refused(Tc::ingress(lo).attach(&unfit.prog), "clsact/ingress")?;
    // what was added for it is gone again
    ensure_eq!(hooks()?, 0);
    Ok(())
}

fn tcx_order(_: &Private) -> Result<()> {
    let lo = loopback()?;
    let (last, first) = (tc(TCX_NEXT)?, tc(TCX_NEXT)?);
    let hook = Tcx::ingress(lo);
    let behind = since((6, 6), hook.attach(&last.prog))?;
    let before = hook.anchor(Anchor::First).attach(&first.prog)?;
    ensure!(last.runs(must_arrive)?);
    ensure!(first.hits()? > 0);
    shown(
        &before,
        first.id()?,
        &json!({"type": "tcx", "devname": "lo", "ifindex": 1, "attach_type": "tcx_ingress"}),
    )?;
    let order = || -> Result<Vec<u32>> {
        let query = ProgQuery::new(Target::Ifindex(lo), AttachType::TCX_INGRESS).run()?;
        Ok(query.progs.iter().map(|p| p.prog_id.get()).collect())
    };
    ensure_eq!(order()?, [first.id()?, last.id()?]);
    // one that drops, between the two, by the link of the last
    let drops = tc(TC_SHOT)?;
    let by = behind.fd().context("no link")?.as_fd();
    let between = hook.anchor(Anchor::BeforeLink(by)).attach(&drops.prog)?;
    ensure_eq!(order()?, [first.id()?, drops.id()?, last.id()?]);
    ensure!(!last.runs(|| {
        ensure!(!arrives()?, "arrived");
        Ok(())
    })?);
    let stale = hook.expected_revision(1).attach(&last.prog);
    refused(stale, "ESTALE")?;
    refused(
        hook.replace(&last.prog).attach(&last.prog),
        "cannot replace",
    )?;
    between.update(&last.prog, None).map_or(Ok(()), |()| {
        anyhow::bail!("the same program twice at a hook")
    })?;
    between.detach()?;
    must_arrive()?;
    let tc = net("tc")?;
    contains(
        tc.first().context("none")?,
        &json!({"kind": "tcx/ingress", "prog_id": first.id()?, "name": "n_counter"}),
    )?;
    drop((before, behind));
    ensure_eq!(net("tc")?, NONE);
    Ok(())
}

fn tcx_without_link(_: &Private) -> Result<()> {
    let lo = loopback()?;
    let (old, new) = (tc(TCX_NEXT)?, tc(TCX_NEXT)?);
    let hook = Tcx::egress(lo);
    let one = since((6, 6), hook.attach_prog(&old.prog))?;
    ensure!(old.runs(must_arrive)?);
    refused(hook.attach_prog(&old.prog), "EEXIST")?;
    let two = hook.replace(&old.prog).attach_prog(&new.prog)?;
    ensure!(!old.runs(|| arrives().map(drop))?, "it still runs");
    ensure!(new.hits()? > 0, "it does not run");
    ensure!(one.detach().is_err(), "detached what is replaced");
    two.detach()?;
    ensure_eq!(net("tc")?, NONE);
    Ok(())
}

/// The interfaces there are.
fn names() -> Result<Vec<String>> {
    let all = nix::net::if_::if_nameindex()?;
    let names = all
        .iter()
        .map(|own| own.name().to_string_lossy().into_owned());
    Ok(names.collect())
}

fn netkit(_: &Private) -> Result<()> {
    needs_config("NETKIT")?;
    let counts = tc(TCX_NEXT)?;
    let before = names()?;
    let at = match netlink::device("netkit", "n_nk") {
        Ok(at) => at,
        Err(error) => {
            let lacking = since((6, 7), Netkit::primary(1).attach(&counts.prog));
            return match lacking {
                Err(skip) if skip.is::<rbpftool_tests::Skip>() => Err(skip),
                _ => Err(error),
            };
        }
    };
    ip("link set n_nk up")?;
    // the kernel gives the other end a name, and runs programs where both ends are up
    let peer = names()?
        .into_iter()
        .find(|name| !before.contains(name) && name != "n_nk")
        .context("a device without another end")?;
    ip(&format!("link set {peer} up"))?;
    ip("addr add 10.78.0.1/24 dev n_nk")?;
    let link = Netkit::primary(at).attach(&counts.prog)?;
    ensure!(counts.runs(|| send_to("10.78.0.2:9"))?, "it does not run");
    shown(
        &link,
        counts.id()?,
        &json!({"type": "netkit", "devname": "n_nk", "attach_type": "netkit_primary"}),
    )?;
    let shots = tc(TC_SHOT)?;
    let first = Netkit::primary(at)
        .anchor(Anchor::First)
        .attach(&shots.prog)?;
    ensure!(!counts.runs(|| send_to("10.78.0.2:9"))?, "it still runs");
    ensure!(shots.hits()? > 0, "it does not run");
    first.update(&tc(TCX_NEXT)?.prog, Some(&shots.prog))?;
    ensure!(counts.runs(|| send_to("10.78.0.2:9"))?, "it does not run");
    let peer = Netkit::peer(at).attach_prog(&counts.prog)?;
    let kinds: Vec<_> = net("tc")?.iter().map(|x| x["kind"].clone()).collect();
    ensure_eq!(kinds, ["netkit/primary", "netkit/primary", "netkit/peer"]);
    peer.detach()?;
    drop((first, link));
    ensure_eq!(net("tc")?, NONE);
    let id = counts.id()?;
    change(&format!("net attach netkit_primary id {id} dev n_nk"))?;
    ensure!(counts.runs(|| send_to("10.78.0.2:9"))?, "it does not run");
    change("net detach netkit_primary dev n_nk")?;
    ip("link del n_nk")
}

/// A failure in the middle of several takes the earlier ones away.
fn several_or_none(_: &Private) -> Result<()> {
    let lo = loopback()?;
    let (on_xdp, on_tc) = (xdp(XDP_PASS)?, tc(TC_OK)?);
    let attach = || -> Result<Links> {
        let mut links = Links::new();
        links.push(Xdp::new(lo).mode(XdpMode::Generic).attach(&on_xdp.prog)?);
        links.push(Tc::ingress(lo).attach(&on_tc.prog)?);
        links.push(Tc::egress(9999).attach(&on_tc.prog)?);
        Ok(links)
    };
    let error = attach().err().context("attached to no interface")?;
    ensure!(format!("{error:#}").contains("interface 9999"), "{error:#}");
    ensure_eq!((net("xdp")?.len(), net("tc")?.len(), hooks()?), (0, 0, 0));
    let mut links = vec![Xdp::new(lo).mode(XdpMode::Generic).attach(&on_xdp.prog)?];
    links.push(Tc::ingress(lo).attach(&on_tc.prog)?);
    let group = Link::group("two places", links);
    ensure!(on_xdp.runs(must_arrive)?);
    ensure!(on_tc.hits()? > 0);
    group.detach()?;
    ensure_eq!((net("xdp")?.len(), net("tc")?.len(), hooks()?), (0, 0, 0));
    Ok(())
}

/// What was attached without a link to an interface that goes says so.
fn gone(_: &Private) -> Result<()> {
    let veth = Veth::new()?;
    let counts = xdp(XDP_PASS)?;
    let at = ifindex("n_a")?;
    let link = Xdp::new(at).attach_netlink(&counts.prog)?;
    let by_link = Xdp::new(ifindex("n_b")?).attach(&counts.prog)?;
    drop(veth);
    let error = link.detach().err().context("detached from nothing")?;
    let text = format!("{:#}", anyhow::Error::from(error));
    ensure!(text.contains("ENODEV"), "{text}");
    shown(
        &by_link,
        counts.id()?,
        &json!({"devname": "(detached)", "ifindex": 0}),
    )?;
    refused(Xdp::new(at).attach(&counts.prog), "XDP of interface")
}
