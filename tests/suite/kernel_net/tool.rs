//! Attaching and detaching in words: `net`, `prog attach`.

use anyhow::{Result, ensure};
use bpfsys::{AttachType, KernelVersion, ProgType};
use loader::netlink::Route;
use rbpftool_tests::{Private, ensure_eq};
use serde_json::json;

use crate::support::{
    Counter, NONE, Test, arrives, change, complains, contains, loopback, needs_config, net, tool,
};

pub(crate) const TESTS: &[Test] = &[
    ("tool::net_xdp", net_xdp),
    ("tool::net_clsact", net_clsact),
    ("tool::net_tcx", net_tcx),
    ("tool::prog_attach_by_link", prog_attach_by_link),
    ("tool::prog_attach_in_place", prog_attach_in_place),
    ("flow_dissector_is_json", flow_dissector_is_json),
    ("cgroups_are_json", cgroups_are_json),
];

fn runs(counter: &Counter) -> Result<bool> {
    counter.runs(|| arrives().map(drop))
}

/// Whether it stops: the kernel ends links that nobody holds when it has time.
fn stops(counter: &Counter) -> Result<bool> {
    for _ in 0..20 {
        if !runs(counter)? {
            return Ok(true);
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    Ok(false)
}

fn net_xdp(_: &Private) -> Result<()> {
    loopback()?;
    let (one, two) = (
        Counter::new(ProgType::XDP, None, 2)?,
        Counter::new(ProgType::XDP, None, 2)?,
    );
    let (first, second) = (one.id()?, two.id()?);
    change(&format!("net attach xdpgeneric id {first} dev lo"))?;
    ensure!(runs(&one)?, "it does not run");
    complains(
        &format!("net attach xdpgeneric id {second} dev lo"),
        "interface xdpgeneric attach failed: XDP program already attached",
    )?;
    change(&format!(
        "net attach xdpgeneric id {second} dev lo overwrite"
    ))?;
    ensure!(runs(&two)? && !runs(&one)?);
    complains(
        &format!("net detach xdpgeneric dev lo id {first}"),
        "does not match",
    )?;
    change(&format!(
        "net attach xdpgeneric id {first} dev lo replace id {second}"
    ))?;
    ensure!(runs(&one)?, "it does not run");
    let (text, _) = tool("net show dev lo")?;
    let line = format!("lo(1) generic id {first}");
    ensure!(text.contains(&line), "{text}");
    change("net detach xdpgeneric dev lo")?;
    ensure!(!runs(&one)?, "it still runs");
    ensure_eq!(net("xdp")?, NONE);
    complains(&format!("net attach xdp id {first} dev nope"), "nope")
}

fn net_clsact(_: &Private) -> Result<()> {
    let lo = loopback()?;
    let (one, two) = (
        Counter::new(ProgType::SCHED_CLS, None, 0)?,
        Counter::new(ProgType::SCHED_CLS, None, -1)?,
    );
    let (first, second) = (one.id()?, two.id()?);
    change(&format!("net attach clsact_ingress id {first} dev lo"))?;
    change(&format!(
        "net attach clsact_ingress id {second} dev lo priority 1 handle 2"
    ))?;
    ensure!(runs(&one)?, "it does not run");
    ensure!(two.hits()? > 0, "it does not run");
    let kinds: Vec<_> = net("tc")?.iter().map(|own| own["id"].clone()).collect();
    ensure_eq!(kinds, [json!(second), json!(first)]);
    complains("net detach clsact_ingress dev lo", "several programs")?;
    change(&format!("net detach clsact_ingress dev lo id {second}"))?;
    change("net detach clsact_ingress dev lo")?;
    ensure!(!runs(&one)?, "it still runs");
    complains("net detach clsact_ingress dev lo", "no program")?;
    Route::open()?.remove_clsact(lo)?;
    Ok(())
}

fn net_tcx(_: &Private) -> Result<()> {
    loopback()?;
    let (one, two) = (
        Counter::new(ProgType::SCHED_CLS, None, -1)?,
        Counter::new(ProgType::SCHED_CLS, None, -1)?,
    );
    let (first, second) = (one.id()?, two.id()?);
    let running = KernelVersion::running()?;
    if (running.major, running.minor) < (6, 6) {
        complains(
            &format!("net attach tcx_ingress id {first} dev lo"),
            "interface tcx_ingress attach failed",
        )?;
        return Err(rbpftool_tests::skip("tcx needs Linux 6.6"));
    }
    change(&format!("net attach tcx_ingress id {first} dev lo"))?;
    change(&format!("net attach tcx_i id {second} dev lo prepend"))?;
    ensure!(runs(&one)?, "it does not run");
    let order = || -> Result<Vec<_>> {
        Ok(net("tc")?
            .iter()
            .map(|own| own["prog_id"].clone())
            .collect())
    };
    ensure_eq!(order()?, [json!(second), json!(first)]);
    change(&format!("net detach tcx_ingress dev lo id {second}"))?;
    change(&format!(
        "net attach tcx_ingress id {second} dev lo after id {first}"
    ))?;
    ensure_eq!(order()?, [json!(first), json!(second)]);
    change(&format!("net detach tcx_ingress dev lo id {first}"))?;
    change(&format!(
        "net attach tcx_ingress id {first} dev lo replace id {second}"
    ))?;
    ensure_eq!(order()?, [json!(first)]);
    change("net detach tcx_ingress dev lo")?;
    ensure_eq!(net("tc")?, NONE);
    complains("net detach tcx_ingress dev lo", "detach failed")
}

fn prog_attach_by_link(private: &Private) -> Result<()> {
    loopback()?;
    let cgroup = private.cgroup()?;
    let dir = private.bpffs();
    let egress = Some(AttachType::CGROUP_INET_EGRESS);
    let counts = Counter::new(ProgType::CGROUP_SKB, egress, 1)?;
    let (id, pin) = (counts.id()?, dir.join("by_link"));
    let pin = pin.display();
    let cgroup = cgroup.display();
    change(&format!(
        "prog attach id {id} cgroup_inet_egress link {pin} cgroup {cgroup}"
    ))?;
    let (_, value) = tool(&format!("link show pinned {pin}"))?;
    contains(
        &value,
        &json!({"type": "cgroup", "prog_id": id, "attach_type": "cgroup_inet_egress"}),
    )?;
    let second = dir.join("second");
    complains(
        &format!(
            "prog attach id {id} cgroup_inet_egress link {} cgroup {cgroup} before id {id}",
            second.display()
        ),
        "before or after a link, not a program",
    )?;
    ensure!(!second.exists(), "it leaves a pin");
    change(&format!("link detach pinned {pin}"))?;
    std::fs::remove_file(dir.join("by_link"))?;
    let lookup = Counter::new(ProgType::SK_LOOKUP, Some(AttachType::SK_LOOKUP), 1)?;
    let id = lookup.id()?;
    complains(&format!("prog attach id {id} sk_lookup"), "by a link only")?;
    change(&format!("prog attach id {id} sk_lookup link {pin}"))?;
    let (_, value) = tool(&format!("link show pinned {pin}"))?;
    contains(&value, &json!({"type": "netns", "prog_id": id}))?;
    complains(&format!("prog detach id {id} sk_lookup"), "by a link only")?;
    // what cannot be pinned is not left attached
    complains(
        &format!("prog attach id {id} sk_lookup link {pin}"),
        "already exists",
    )?;
    std::fs::remove_file(dir.join("by_link"))?;
    let passes = Counter::new(ProgType::XDP, None, 2)?;
    let id = passes.id()?;
    change(&format!(
        "prog attach id {id} xdp link {pin} dev lo generic"
    ))?;
    ensure!(runs(&passes)?, "it does not run");
    std::fs::remove_file(dir.join("by_link"))?;
    ensure!(stops(&passes)?, "it still runs");
    needs_config("NETFILTER_BPF_LINK")?;
    let accepts = Counter::new(ProgType::NETFILTER, Some(AttachType::NETFILTER), 1)?;
    let id = accepts.id()?;
    change(&format!(
        "prog attach id {id} netfilter link {pin} ipv4 input priority 9"
    ))?;
    ensure!(runs(&accepts)?, "it does not run");
    std::fs::remove_file(dir.join("by_link"))?;
    Ok(())
}

fn prog_attach_in_place(private: &Private) -> Result<()> {
    loopback()?;
    let cgroup = private.cgroup()?;
    let cgroup = cgroup.display();
    let counts = Counter::new(
        ProgType::CGROUP_SKB,
        Some(AttachType::CGROUP_INET_EGRESS),
        1,
    )?;
    let id = counts.id()?;
    let place = format!("id {id} cgroup_inet_egress cgroup {cgroup}");
    change(&format!("prog attach {place} multi"))?;
    let (_, value) = tool(&format!("cgroup show {cgroup}"))?;
    contains(&value[0], &json!({"id": id, "attach_flags": "multi"}))?;
    change(&format!("prog detach {place}"))?;
    ensure_eq!(tool(&format!("cgroup show {cgroup}"))?.1, json!([]));
    let passes = Counter::new(ProgType::XDP, None, 2)?;
    let id = passes.id()?;
    change(&format!("prog attach id {id} xdp dev lo generic"))?;
    ensure!(runs(&passes)?, "it does not run");
    change(&format!("prog detach id {id} xdp dev lo generic"))?;
    ensure!(!runs(&passes)?, "it still runs");
    complains(
        &format!("prog attach id {id} struct_ops"),
        "'struct_ops register' does it",
    )?;
    complains(
        &format!("prog attach id {id} cgroup_device cgroup /nope"),
        "/nope",
    )
}

/// A list with a flow dissector in it is still JSON.
pub(crate) fn flow_dissector_is_json(_: &Private) -> Result<()> {
    let dissects = Counter::new(ProgType::FLOW_DISSECTOR, None, 0)?;
    let id = dissects.id()?;
    change(&format!("prog attach id {id} flow_dissector"))?;
    ensure_eq!(net("flow_dissector")?, [json!({"id": id})]);
    change(&format!("prog detach id {id} flow_dissector"))?;
    ensure_eq!(net("flow_dissector")?, NONE);
    Ok(())
}

/// A cgroup without programs is an empty list, and programs that are at no security hook have no
/// name of one.
pub(crate) fn cgroups_are_json(private: &Private) -> Result<()> {
    let cgroup = private.cgroup()?;
    let cgroup = cgroup.display();
    let (text, value) = tool(&format!("cgroup show {cgroup}"))?;
    ensure_eq!((text.as_str(), value), ("", json!([])));
    let counts = Counter::new(
        ProgType::CGROUP_SKB,
        Some(AttachType::CGROUP_INET_INGRESS),
        1,
    )?;
    let id = counts.id()?;
    change(&format!("cgroup attach {cgroup} ingress id {id} multi"))?;
    let (text, value) = tool(&format!("cgroup show {cgroup}"))?;
    ensure!(value[0].get("attach_btf_name").is_none(), "{value}");
    ensure!(
        text.ends_with(&format!("{:<15}\n", "n_counter")),
        "{text:?}"
    );
    change(&format!("cgroup detach {cgroup} ingress id {id}"))
}
