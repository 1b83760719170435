//! Cgroups: denied connections of their processes, order, inheritance.

use std::fs::File;
use std::net::TcpListener;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use bpfsys::cmd::{Anchor, ProgLoad};
use bpfsys::{AttachType, ProgType};
use loader::attach::Cgroup;
use rbpftool_tests::{Private, ensure_eq, run, skip};
use serde_json::{Value, json};

use crate::support::{Counter, NONE, Test, contains, loopback, refused, shown, since, tool};

pub(crate) const TESTS: &[Test] = &[
    ("cgroup::link", link),
    ("cgroup::without_link", without_link),
    ("cgroup::flags", flags),
    ("cgroup::order", order),
    ("cgroup::security_hook", security_hook),
    ("cgroup::tree", tree),
];

const AT: AttachType = AttachType::CGROUP_INET4_CONNECT;
const DENY: i32 = 0;
const ALLOW: i32 = 1;

fn hook(ret: i32) -> Result<Counter> {
    Counter::new(ProgType::CGROUP_SOCK_ADDR, Some(AT), ret)
}

/// Whether a process of a cgroup can connect to us.
fn connects(cgroup: &Path) -> Result<bool> {
    loopback()?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    let procs = cgroup.join("cgroup.procs");
    let script = format!(
        "echo $$ > {} || exit 9; exec 3<>/dev/tcp/127.0.0.1/{port}",
        procs.display()
    );
    let mut command = Command::new("bash");
    command.args(["-c", &script]);
    let out = run(&mut command, b"")?;
    ensure!(out.status != 9, "no process may join: {}", out.err());
    let denied = out.err().contains("Operation not permitted");
    ensure!(
        denied || out.status == 0,
        "neither connected nor denied: {}",
        out.err()
    );
    Ok(!denied)
}

/// A cgroup below ours, for as long as this lives.
struct Below(PathBuf);

impl Below {
    fn new(parent: &Path, name: &str) -> Result<Self> {
        let path = parent.join(name);
        std::fs::create_dir(&path).with_context(|| format!("create {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Below {
    fn drop(&mut self) {
        let _removed = std::fs::remove_dir(&self.0);
    }
}

/// What `cgroup show` says.
fn programs(path: &Path, effective: bool) -> Result<Vec<Value>> {
    let effective = if effective { " effective" } else { "" };
    let (_, value) = tool(&format!("cgroup show {}{effective}", path.display()))?;
    value.as_array().cloned().context("no list")
}

fn link(private: &Private) -> Result<()> {
    let cgroup = private.cgroup()?;
    let dir = File::open(&cgroup)?;
    let (denies, allows) = (hook(DENY)?, hook(ALLOW)?);
    let link = Cgroup::new(dir.as_fd(), AT).attach(&denies.prog)?;
    ensure!(!connects(&cgroup)?, "a connection that is denied was made");
    ensure!(denies.hits()? > 0);
    shown(
        &link,
        denies.id()?,
        &json!({"type": "cgroup", "attach_type": "cgroup_inet4_connect"}),
    )?;
    let own = programs(&cgroup, false)?;
    contains(
        own.first().context("no program")?,
        &json!({
            "id": denies.id()?, "attach_type": "cgroup_inet4_connect", "attach_flags": "multi",
            "name": "n_counter", "attach_btf_id": 0,
        }),
    )?;
    link.update(&allows.prog, Some(&denies.prog))?;
    ensure!(allows.runs(|| {
        ensure!(connects(&cgroup)?, "denied");
        Ok(())
    })?);
    let pin = private.bpffs().join("on_cgroup");
    let mut link = link;
    link.pin(&pin)?;
    drop(link);
    ensure!(allows.runs(|| connects(&cgroup).map(drop))?, "not kept");
    let mut again = loader::attach::Link::open_pinned(&pin)?;
    again.unpin()?;
    again.detach()?;
    ensure!(
        !allows.runs(|| connects(&cgroup).map(drop))?,
        "it still runs"
    );
    ensure_eq!(programs(&cgroup, false)?, NONE);
    let unfit = Counter::new(ProgType::XDP, None, 2)?;
    refused(
        Cgroup::new(dir.as_fd(), AT).attach(&unfit.prog),
        "attach to cgroup_inet4_connect of a cgroup",
    )?;
    let no_cgroup = File::open("/proc")?;
    refused(
        Cgroup::new(no_cgroup.as_fd(), AT).attach(&allows.prog),
        "EBADF",
    )
}

fn without_link(private: &Private) -> Result<()> {
    let cgroup = private.cgroup()?;
    let dir = File::open(&cgroup)?;
    let (denies, allows) = (hook(DENY)?, hook(ALLOW)?);
    let at = Cgroup::new(dir.as_fd(), AT).allow_multi();
    let one = at.attach_prog(&denies.prog)?;
    ensure!(!connects(&cgroup)?, "a connection that is denied was made");
    let two = at.replace(&denies.prog).attach_prog(&allows.prog)?;
    ensure!(allows.runs(|| {
        ensure!(connects(&cgroup)?, "denied");
        Ok(())
    })?);
    refused(
        at.replace(&denies.prog).attach(&allows.prog),
        "a link cannot",
    )?;
    ensure!(one.detach().is_err(), "detached what is replaced");
    two.detach()?;
    ensure_eq!(programs(&cgroup, false)?, NONE);
    // it stays when it is forgotten
    at.attach_prog(&denies.prog)?.forget();
    ensure!(!connects(&cgroup)?, "a connection that is denied was made");
    let out = tool(&format!("cgroup show {}", cgroup.display()))?;
    ensure!(out.0.contains("multi"), "{}", out.0);
    crate::support::change(&format!(
        "cgroup detach {} connect4 id {}",
        cgroup.display(),
        denies.id()?
    ))?;
    ensure!(connects(&cgroup)?, "denied");
    Ok(())
}

fn flags(private: &Private) -> Result<()> {
    let cgroup = private.cgroup()?;
    let below = Below::new(&cgroup, "below")?;
    let (dir, dir_below) = (File::open(&cgroup)?, File::open(&below.0)?);
    let (denies, allows) = (hook(DENY)?, hook(ALLOW)?);
    let (up, down) = (
        Cgroup::new(dir.as_fd(), AT),
        Cgroup::new(dir_below.as_fd(), AT),
    );
    // nobody below may have one
    let alone = up.attach_prog(&denies.prog)?;
    refused(down.attach_prog(&allows.prog), "EPERM")?;
    alone.detach()?;
    // one below runs instead
    let weak = up.allow_override().attach_prog(&denies.prog)?;
    let strong = down.attach_prog(&allows.prog)?;
    ensure!(connects(&below.0)? && !connects(&cgroup)?);
    let flags = |programs: &[Value]| programs.first().map(|p| p["attach_flags"].clone());
    ensure_eq!(flags(&programs(&cgroup, false)?), Some(json!("override")));
    ensure_eq!(flags(&programs(&below.0, false)?), Some(json!("")));
    ensure_eq!(programs(&below.0, true)?.len(), 1);
    strong.detach()?;
    weak.detach()?;
    // both run
    let one = up.allow_multi().attach_prog(&denies.prog)?;
    let two = down.allow_multi().attach_prog(&allows.prog)?;
    ensure!(!connects(&below.0)?, "the upper one did not run");
    ensure_eq!(programs(&below.0, true)?.len(), 2);
    two.detach()?;
    one.detach().map_err(anyhow::Error::from).and_then(|()| {
        ensure!(connects(&below.0)?, "denied");
        Ok(())
    })
}

fn order(private: &Private) -> Result<()> {
    let cgroup = private.cgroup()?;
    let dir = File::open(&cgroup)?;
    let (last, first) = (hook(ALLOW)?, hook(ALLOW)?);
    let at = Cgroup::new(dir.as_fd(), AT);
    let behind = at.attach(&last.prog)?;
    let by = behind.fd().context("no link")?.as_fd();
    let before = at.anchor(Anchor::BeforeLink(by)).attach(&first.prog);
    let before = since((6, 17), before)?;
    let ids: Vec<_> = programs(&cgroup, false)?
        .iter()
        .map(|p| p["id"].clone())
        .collect();
    ensure_eq!(ids, [json!(first.id()?), json!(last.id()?)]);
    ensure!(first.runs(|| {
        ensure!(connects(&cgroup)?, "denied");
        Ok(())
    })?);
    refused(at.expected_revision(1).attach(&hook(ALLOW)?.prog), "ESTALE")?;
    before.detach()?;
    let early = at.preorder().attach(&first.prog)?;
    ensure_eq!(programs(&cgroup, false)?.len(), 2);
    early.detach()?;
    behind.detach()?;
    ensure_eq!(programs(&cgroup, false)?, NONE);
    Ok(())
}

fn security_hook(private: &Private) -> Result<()> {
    if std::env::var_os("RBPF_GUEST").is_none() {
        return Err(skip("is attached to the kernel itself: guests only"));
    }
    let bytes = std::fs::read("/sys/kernel/btf/vmlinux").context("read the kernel's types")?;
    let types = btf::Btf::parse(bytes)?;
    let function = types
        .find_by_name_kind(b"bpf_lsm_socket_connect", btf::Kind::Func)
        .ok_or_else(|| skip("this kernel has no BPF security hooks"))?;
    let denies = Counter::load("r0 = 0\nexit", |insns| {
        ProgLoad::new(ProgType::LSM, insns)
            .license("GPL")
            .name("n_counter")
            .expected_attach_type(AttachType::LSM_CGROUP)
            .attach_btf_id(function.get())
            .run()
    });
    let running = bpfsys::KernelVersion::running()?;
    let denies = match denies {
        Err(error) if (running.major, running.minor) < (6, 0) => {
            return Err(skip(format!("needs Linux 6.0: {error:#}")));
        }
        denies => denies?,
    };
    let cgroup = private.cgroup()?;
    let dir = File::open(&cgroup)?;
    let link = Cgroup::new(dir.as_fd(), AttachType::LSM_CGROUP).attach(&denies.prog)?;
    let own = programs(&cgroup, false)?;
    contains(
        own.first().context("no program")?,
        &json!({
            "id": denies.id()?, "attach_type": "lsm_cgroup",
            "attach_btf_name": "bpf_lsm_socket_connect", "attach_btf_id": function.get(),
        }),
    )?;
    // without "bpf" among the security modules the hook is never called
    let modules = std::fs::read_to_string("/sys/kernel/security/lsm").unwrap_or_default();
    if modules.split(',').any(|name| name.trim() == "bpf") {
        ensure!(!connects(&cgroup)?, "a connection that is denied was made");
        ensure!(denies.hits()? > 0);
    }
    link.detach()?;
    ensure!(connects(&cgroup)?, "denied");
    ensure_eq!(programs(&cgroup, false)?, NONE);
    Ok(())
}

fn tree(private: &Private) -> Result<()> {
    let cgroup = private.cgroup()?;
    let (a, b) = (Below::new(&cgroup, "a")?, Below::new(&cgroup, "b")?);
    let deep = Below::new(&a.0, "deep")?;
    let counts = hook(ALLOW)?;
    let show = |line: &str| tool(&format!("cgroup tree {}{line}", cgroup.display()));
    ensure_eq!(show("")?.1, json!([]));
    let links: Vec<_> = [&a.0, &deep.0]
        .into_iter()
        .map(|path| {
            let dir = File::open(path)?;
            Ok(Cgroup::new(dir.as_fd(), AT).attach(&counts.prog)?)
        })
        .collect::<Result<_>>()?;
    let (text, value) = show("")?;
    let paths: Vec<_> = value
        .as_array()
        .context("no list")?
        .iter()
        .map(|own| own["cgroup"].clone())
        .collect();
    ensure_eq!(
        paths,
        [
            json!(a.0.to_string_lossy()),
            json!(deep.0.to_string_lossy())
        ]
    );
    ensure_eq!(text.matches("\n    ").count(), 2, "{text}");
    ensure!(!text.contains(&*b.0.to_string_lossy()), "{text}");
    let (_, effective) = show(" effective")?;
    let below = effective
        .pointer("/1/programs")
        .and_then(Value::as_array)
        .context("no programs")?;
    ensure_eq!(below.len(), 2);
    drop(links);
    drop(deep);
    Ok(())
}
