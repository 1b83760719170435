//! Network namespaces: socket lookup, flow dissectors, netfilter.

use std::fs::File;
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd as _, AsRawFd as _};

use anyhow::{Context as _, Result, ensure};
use bpfsys::cmd::{MapCreate, MapUpdateElem};
use bpfsys::{AttachType, MapType, ProgType};
use loader::attach::{Netfilter, NetfilterHook, Netns, Tc};
use rbpftool_tests::{Private, ensure_eq};
use serde_json::{Value, json};

use crate::support::{
    Counter, NONE, Test, arrives, loopback, must_arrive, needs_config, net, refused, shown, since,
    tool,
};

pub(crate) const TESTS: &[Test] = &[
    ("sk_lookup", sk_lookup),
    ("flow_dissector", flow_dissector),
    ("flow_dissector::without_link", flow_dissector_without_link),
    ("netfilter", netfilter),
];

/// A port where nobody listens reaches the socket that a program chooses.
fn sk_lookup(_: &Private) -> Result<()> {
    loopback()?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let sockets = MapCreate::new(MapType::SOCKMAP, 4, 8, 1)
        .name("n_sockets")
        .run()?;
    let fd = u64::try_from(listener.as_raw_fd())?;
    MapUpdateElem::new(&sockets, &[0; 4], &fd.to_ne_bytes()).run()?;
    // look the socket up, give the packet to it, give it back
    let end = format!(
        "r2 = 0\n*(u32 *)(r10 -4) = r2\nr1 = map[id:{}]\nr2 = r10\nr2 += -4\ncall bpf_map_lookup_elem#1\n\
         if r0 == 0x0 goto pc+7\nr7 = r0\nr1 = r6\nr2 = r7\nr3 = 0\ncall bpf_sk_assign#124\nr1 = r7\ncall bpf_sk_release#86\n\
         r0 = 1\nexit",
        sockets.as_raw_fd()
    );
    let steers = Counter::with(ProgType::SK_LOOKUP, Some(AttachType::SK_LOOKUP), &end)?;
    // a port that was free a moment ago
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let connects = || TcpStream::connect(("127.0.0.1", port)).is_ok();
    ensure!(!connects(), "somebody listens at {port}");
    let link = Netns::sk_lookup().attach(&steers.prog)?;
    ensure!(connects(), "the socket was not found");
    ensure!(steers.hits()? > 0);
    shown(
        &link,
        steers.id()?,
        &json!({"type": "netns", "attach_type": "sk_lookup"}),
    )?;
    let ns = File::open("/proc/thread-self/ns/net")?;
    let refuses = Counter::new(ProgType::SK_LOOKUP, Some(AttachType::SK_LOOKUP), 0)?;
    // any of several may refuse
    let second = Netns::sk_lookup().of(ns.as_fd()).attach(&refuses.prog)?;
    ensure!(
        refuses.runs(|| {
            let _either = connects();
            Ok(())
        })?,
        "it does not run"
    );
    second.detach()?;
    link.update(&refuses.prog, Some(&steers.prog))?;
    ensure!(!connects(), "a connection that is refused was made");
    link.detach()?;
    ensure!(
        !refuses.runs(|| {
            let _either = connects();
            Ok(())
        })?,
        "it still runs"
    );
    refused(
        Netns::sk_lookup().attach_prog(&steers.prog),
        "only flow dissectors",
    )
}

/// Makes the kernel take every packet apart.
fn asking() -> Result<Counter> {
    // forget what is known of the packet's flow, then ask for it
    let end =
        "r1 = r6\ncall bpf_set_hash_invalid#41\nr1 = r6\ncall bpf_get_hash_recalc#34\nr0 = 0\nexit";
    Counter::with(ProgType::SCHED_CLS, None, end)
}

fn dissector() -> Result<Counter> {
    Counter::new(ProgType::FLOW_DISSECTOR, None, 0)
}

fn flow_dissector(_: &Private) -> Result<()> {
    let lo = loopback()?;
    let asks = asking()?;
    let on_lo = Tc::egress(lo).attach(&asks.prog)?;
    let (one, two) = (dissector()?, dissector()?);
    let link = Netns::flow_dissector().attach(&one.prog)?;
    ensure!(one.runs(must_arrive)?, "not run");
    shown(
        &link,
        one.id()?,
        &json!({"type": "netns", "attach_type": "flow_dissector"}),
    )?;
    ensure_eq!(net("flow_dissector")?, [json!({"id": one.id()?})]);
    refused(Netns::flow_dissector().attach(&two.prog), "E2BIG")?;
    link.update(&two.prog, Some(&one.prog))?;
    ensure!(two.runs(|| arrives().map(drop))?, "it does not run");
    link.detach()?;
    ensure!(!two.runs(|| arrives().map(drop))?, "it still runs");
    ensure_eq!(net("flow_dissector")?, NONE);
    on_lo.detach()?;
    Ok(())
}

fn flow_dissector_without_link(_: &Private) -> Result<()> {
    let lo = loopback()?;
    let asks = asking()?;
    let on_lo = Tc::ingress(lo).attach(&asks.prog)?;
    let (one, two) = (dissector()?, dissector()?);
    let first = Netns::flow_dissector().attach_prog(&one.prog)?;
    ensure!(one.runs(must_arrive)?, "not run");
    let second = Netns::flow_dissector().attach_prog(&two.prog)?;
    ensure!(two.runs(|| arrives().map(drop))?, "it does not run");
    ensure!(first.detach().is_err(), "detached what is replaced");
    let (text, _) = tool("net show")?;
    ensure!(text.contains(&format!("id {}", two.id()?)), "{text}");
    second.detach()?;
    ensure_eq!(net("flow_dissector")?, NONE);
    on_lo.detach()?;
    Ok(())
}

fn netfilter(_: &Private) -> Result<()> {
    needs_config("NETFILTER_BPF_LINK")?;
    loopback()?;
    let at = Some(AttachType::NETFILTER);
    let drops = Counter::new(ProgType::NETFILTER, at, 0).context("load a netfilter program")?;
    let accepts = Counter::new(ProgType::NETFILTER, at, 1)?;
    let hook = Netfilter::ipv4(NetfilterHook::Input);
    let link = since((6, 4), hook.priority(-128).attach(&drops.prog))?;
    ensure!(!arrives()?, "a packet that is dropped arrived");
    ensure!(drops.hits()? > 0);
    shown(
        &link,
        drops.id()?,
        &json!({"type": "netfilter", "pf": 2, "hook": 1, "prio": -128, "flags": 0}),
    )?;
    let wanted = json!({"pf": 2, "hook": 1, "prio": -128, "flags": 0, "id": drops.id()?});
    // links of all namespaces are told
    let of = |program: &Counter| -> Result<Vec<Value>> {
        let (all, id) = (net("netfilter")?, program.id()?);
        Ok(all.into_iter().filter(|own| own["id"] == id).collect())
    };
    ensure_eq!(of(&drops)?, [wanted]);
    let (text, _) = tool("net show")?;
    let line = format!("ip input prio -128 prog_id {}", drops.id()?);
    ensure!(text.contains(&line), "{text}");
    refused(hook.priority(-128).attach(&accepts.prog), "EBUSY")?;
    link.update(&accepts.prog, Some(&drops.prog))
        .map_or(Ok(()), |()| must_arrive())?;
    link.detach()?;
    must_arrive()?;
    let output = Netfilter::ipv4(NetfilterHook::Output)
        .priority(7)
        .attach(&accepts.prog)?;
    ensure!(accepts.runs(must_arrive)?, "not run");
    drop(output);
    ensure_eq!(of(&accepts)?, NONE);
    let defragments = Netfilter::ipv6(NetfilterHook::PreRouting)
        .priority(100)
        .defragment()
        .attach(&accepts.prog);
    let defragments = since((6, 6), defragments)?;
    shown(&defragments, accepts.id()?, &json!({"pf": 10, "flags": 1}))?;
    defragments.detach()?;
    Ok(())
}
