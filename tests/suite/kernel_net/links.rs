//! `link create`, `link update` and `link show` in words, for each place of the network.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use bpfsys::cmd::MapCreate;
use bpfsys::{AttachType, KernelVersion, LinkFd, LinkId, MapType, ProgType};
use rbpftool_tests::{Private, ends, ensure_eq, link_create, netlink, skip};
use serde_json::{Value, json};

use crate::support::{
    Counter, Test, arrives, change, complains, contains, ip, loopback, needs_config, tool,
};

pub(crate) const TESTS: &[Test] = &[
    ("link_create::xdp", xdp),
    ("link_create::tcx", tcx),
    ("link_create::netkit", netkit),
    ("link_create::cgroup", cgroup),
    ("link_create::netns", netns),
    ("link_create::netfilter", netfilter),
    ("link_create::sockmap", sockmap),
    ("link_create::what_is_refused", refused),
];

/// A link that was made in words, until it is unpinned.
struct Made<'p> {
    pin: &'p Path,
    id: LinkId,
    value: Value,
}

impl<'p> Made<'p> {
    /// Makes it; where that came with a newer kernel, a skip with what this one says.
    fn new(since: (u16, u16), place: &str, program: u32, pin: &'p Path) -> Result<Self> {
        let value = link_create(place, program, pin, "")?.map_err(|said| {
            let too_old = KernelVersion::running()
                .is_ok_and(|running| (running.major, running.minor) < since);
            match too_old {
                true => skip(format!("needs Linux {}.{}: {said}", since.0, since.1)),
                false => anyhow::anyhow!(said),
            }
        })?;
        let id = value["id"].as_u64().and_then(|id| u32::try_from(id).ok());
        let id = id.and_then(LinkId::new).context("no id")?;
        let made = Self { pin, id, value };
        let kind = made.value["type"].as_str().context("no type")?;
        let (text, _) = tool(&format!("link show prog id {program}"))?;
        ensure!(text.contains(&format!("{id}: {kind}")), "{text}");
        Ok(made)
    }

    fn shows(&self, wanted: &Value) -> Result<()> {
        contains(&self.value, wanted)
    }

    /// Another program takes over, but only from the one that is there.
    fn update(&self, new: u32, old: u32) -> Result<()> {
        let pin = self.pin.display();
        complains(
            &format!("link update pinned {pin} id {new} old id {new}"),
            "failed link update: ",
        )?;
        change(&format!("link update pinned {pin} id {new} old id {old}"))?;
        let (_, now) = tool(&format!("link show id {}", self.id))?;
        ensure_eq!(now["prog_id"], json!(new));
        Ok(())
    }

    /// Detaches it, after which it is on nothing, and unpins it, after which it is not there.
    fn detach(self) -> Result<()> {
        change(&format!("link detach pinned {}", self.pin.display()))?;
        self.unpin()
    }

    /// Unpins it: the kernel ends it when it has time.
    fn unpin(self) -> Result<()> {
        std::fs::remove_file(self.pin).context("unpin")?;
        for _ in 0..200 {
            match LinkFd::by_id(self.id) {
                Err(error) if error.is(nix::errno::Errno::ENOENT) => return Ok(()),
                other => drop(other),
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        anyhow::bail!("link {} is still there", self.id)
    }
}

fn runs(counter: &Counter) -> Result<bool> {
    counter.runs(|| arrives().map(drop))
}

fn xdp(private: &Private) -> Result<()> {
    loopback()?;
    let pin = private.bpffs().join("created");
    let (one, two) = (
        Counter::new(ProgType::XDP, None, 2)?,
        Counter::new(ProgType::XDP, None, 2)?,
    );
    let made = Made::new((5, 9), "xdp dev lo generic", one.id()?, &pin)?;
    made.shows(&json!({"type": "xdp", "devname": "lo", "ifindex": 1}))?;
    ensure!(runs(&one)?, "it does not run");
    made.update(two.id()?, one.id()?)?;
    ensure!(runs(&two)? && !runs(&one)?);
    made.detach()?;
    ensure!(!runs(&two)?, "it still runs");
    Ok(())
}

fn tcx(private: &Private) -> Result<()> {
    loopback()?;
    let (pin, second) = (
        private.bpffs().join("created"),
        private.bpffs().join("second"),
    );
    let counter = || Counter::new(ProgType::SCHED_CLS, None, -1);
    let (one, two) = (counter()?, counter()?);
    let running = KernelVersion::running()?;
    if (running.major, running.minor) < (6, 6) {
        let line = format!(
            "link create tcx dev lo ingress prog id {} pin {}",
            one.id()?,
            pin.display()
        );
        complains(&line, "Linux 6.6 brought tcx")?;
    }
    let behind = Made::new((6, 6), "tcx dev lo ingress", one.id()?, &pin)?;
    behind.shows(&json!({"type": "tcx", "devname": "lo", "attach_type": "tcx_ingress"}))?;
    let place = format!("tcx dev lo ingress before id {}", one.id()?);
    let before = Made::new((6, 6), &place, two.id()?, &second)?;
    let (_, all) = tool("net show dev lo")?;
    let order = all
        .pointer("/0/tc")
        .and_then(Value::as_array)
        .context("no list")?;
    let order: Vec<_> = order.iter().map(|own| own["prog_id"].clone()).collect();
    ensure_eq!(order, [json!(two.id()?), json!(one.id()?)]);
    ensure!(runs(&one)? && runs(&two)?, "it does not run");
    before.detach()?;
    let three = counter()?;
    complains(
        &format!(
            "link create tcx dev lo ingress revision 1 prog id {} pin {}",
            three.id()?,
            second.display()
        ),
        "failed link create: ",
    )?;
    ensure!(!second.exists(), "a pin is left");
    behind.update(two.id()?, one.id()?)?;
    ensure!(runs(&two)? && !runs(&one)?);
    behind.detach()?;
    let out = Made::new((6, 6), "tcx dev lo egress prepend", one.id()?, &pin)?;
    out.shows(&json!({"attach_type": "tcx_egress"}))?;
    ensure!(runs(&one)?, "it does not run");
    out.unpin()?;
    ends(|| Ok(!runs(&one)?))
}

fn netkit(private: &Private) -> Result<()> {
    needs_config("NETKIT")?;
    let pin = private.bpffs().join("created");
    let counts = Counter::new(ProgType::SCHED_CLS, None, -1)?;
    netlink::device("netkit", "n_nk").map_err(|error| skip(format!("needs netkit: {error:#}")))?;
    for (end, attach_type) in [("primary", "netkit_primary"), ("peer", "netkit_peer")] {
        let place = format!("netkit dev n_nk {end}");
        let made = Made::new((6, 7), &place, counts.id()?, &pin)?;
        made.shows(&json!({"type": "netkit", "attach_type": attach_type}))?;
        // a link of the peer is on the other end, to which the kernel gave a name
        ensure_eq!(made.value["devname"] == "n_nk", end == "primary");
        ensure!(made.value["devname"].is_string());
        made.detach()?;
    }
    ip("link del n_nk")
}

fn cgroup(private: &Private) -> Result<()> {
    loopback()?;
    let cgroup = private.cgroup()?;
    let (pin, second) = (
        private.bpffs().join("created"),
        private.bpffs().join("second"),
    );
    let create = Some(AttachType::CGROUP_INET_SOCK_CREATE);
    let counter = || Counter::new(ProgType::CGROUP_SOCK, create, 1);
    let (one, two) = (counter()?, counter()?);
    let place = format!("cgroup {} sock_create", cgroup.display());
    let made = Made::new((5, 7), &place, one.id()?, &pin)?;
    made.shows(&json!({"type": "cgroup", "attach_type": "cgroup_inet_sock_create"}))?;
    // a process of the cgroup makes a socket
    let socket = || {
        let script = format!(
            "echo $$ > {}/cgroup.procs && exec 3<>/dev/udp/127.0.0.1/9",
            cgroup.display()
        );
        let mut command = std::process::Command::new("bash");
        let out = rbpftool_tests::run(command.args(["-c", &script]), b"")?;
        ensure!(out.status == 0, "{}", out.err());
        Ok(())
    };
    ensure!(one.runs(socket)?, "it does not run");
    made.update(two.id()?, one.id()?)?;
    ensure!(two.runs(socket)? && !one.runs(socket)?);
    let running = KernelVersion::running()?;
    if (running.major, running.minor) >= (6, 17) {
        let place = format!("{place} before id {}", made.id);
        Made::new((6, 17), &place, one.id()?, &second)?.detach()?;
    }
    made.detach()?;
    ensure!(!two.runs(socket)?, "it still runs");
    ensure_eq!(
        tool(&format!("cgroup show {}", cgroup.display()))?.1,
        json!([])
    );
    Ok(())
}

fn netns(private: &Private) -> Result<()> {
    loopback()?;
    let pin = private.bpffs().join("created");
    let counter = || Counter::new(ProgType::SK_LOOKUP, Some(AttachType::SK_LOOKUP), 1);
    let (one, two) = (counter()?, counter()?);
    // nobody is connected there, so the kernel looks for who listens
    let looked = || {
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        std::net::TcpStream::connect(listener.local_addr()?)?;
        Ok(())
    };
    let this = std::process::id();
    for place in [
        "netns current sk_lookup".to_owned(),
        format!("netns pid {this} sk_lookup"),
        format!("netns /proc/{this}/ns/net sk_lookup"),
    ] {
        let made = Made::new((5, 9), &place, one.id()?, &pin)?;
        made.shows(&json!({"type": "netns", "attach_type": "sk_lookup"}))?;
        ensure!(one.runs(looked)?, "it does not run");
        made.update(two.id()?, one.id()?)?;
        ensure!(two.runs(looked)? && !one.runs(looked)?);
        made.detach()?;
        ensure!(!two.runs(looked)?, "it still runs");
    }
    let dissects = Counter::new(ProgType::FLOW_DISSECTOR, None, 0)?;
    let place = "netns current flow_dissector";
    let made = Made::new((5, 8), place, dissects.id()?, &pin)?;
    made.shows(&json!({"attach_type": "flow_dissector"}))?;
    made.detach()
}

fn netfilter(private: &Private) -> Result<()> {
    needs_config("NETFILTER_BPF_LINK")?;
    loopback()?;
    let pin = private.bpffs().join("created");
    let counts = Counter::new(ProgType::NETFILTER, Some(AttachType::NETFILTER), 1)?;
    let place = "netfilter ipv4 input priority -9";
    let made = Made::new((6, 4), place, counts.id()?, &pin)?;
    made.shows(&json!({"type": "netfilter", "pf": 2, "hook": 1, "prio": -9}))?;
    ensure!(runs(&counts)?, "it does not run");
    made.unpin()?;
    ends(|| Ok(!runs(&counts)?))
}

fn sockmap(private: &Private) -> Result<()> {
    let pin = private.bpffs().join("created");
    let map = MapCreate::new(MapType::SOCKMAP, 4, 4, 2).run()?;
    let (one, two) = (
        Counter::new(ProgType::SK_MSG, None, 1)?,
        Counter::new(ProgType::SK_MSG, None, 1)?,
    );
    let id = map.info()?.id;
    let place = format!("sockmap id {id} msg_verdict");
    let made = Made::new((6, 10), &place, one.id()?, &pin)?;
    made.shows(&json!({"type": "sockmap", "map_id": id, "attach_type": "sk_msg_verdict"}))?;
    made.update(two.id()?, one.id()?)?;
    made.detach()
}

/// Nothing is attached or pinned when something is wrong.
fn refused(private: &Private) -> Result<()> {
    loopback()?;
    let pin = private.bpffs().join("created");
    let taken = private.bpffs().join("taken");
    let passes = Counter::new(ProgType::XDP, None, 2)?;
    let id = passes.id()?;
    let create = |place: &str, rest: &str| format!("link create {place} prog id {id} {rest}");
    let at = format!("pin {}", pin.display());
    change(&format!("prog pin id {id} {}", taken.display()))?;
    for (line, why) in [
        (create("xdp dev lo", ""), "unless it is pinned"),
        (
            create("xdp dev lo", &format!("pin {}", taken.display())),
            "already exists",
        ),
        (
            create("xdp dev lo", "pin /tmp/n_link"),
            "is not in a bpf file system",
        ),
        (
            create("xdp dev lo", &format!("{at} cookie 1")),
            "have no cookie",
        ),
        (create("raw_tp sys_enter", &at), "failed link create: "),
        (
            create("netns current sk_lookup", &at),
            "failed link create: ",
        ),
        (
            create("xdp dev lo", "pin /x pin").replace("id ", "name no_such_"),
            "expected a path",
        ),
    ] {
        complains(line.trim_end(), why)?;
        ensure!(!runs(&passes)?, "$ {line}\nattaches");
        ensure!(!pin.exists(), "$ {line}\npins");
    }
    std::fs::remove_file(&taken).context("unpin")?;
    let (_, none) = tool(&format!("link show prog id {id}"))?;
    ensure_eq!(none, json!([]));
    Ok(())
}
