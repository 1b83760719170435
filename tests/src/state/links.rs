//! Links of every kind that can be made here, on targets of our own.

use std::ffi::CString;
use std::fs::File;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use bpfsys::cmd::{
    IterTargetSpec, LinkCreate, LinkTarget, MapCreate, MapUpdateElem, ProgLoad, RawTracepointOpen,
};
use bpfsys::sys::perf_event::{PerfEvent, Target};
use bpfsys::uapi::enums::CgroupIterOrder;
use bpfsys::uapi::flags::{MapFlags, NetfilterFlags, UprobeMultiFlags};
use bpfsys::uapi::perf::{self, PerfEventAttr};
use bpfsys::{AttachType, LinkFd, MapFd, MapType, ProgFd, ProgType};
use btf::{Btf, Kind, Type};

use super::Needs;
use super::progs::{asm, simple_of, tracing};
use super::types::Types;
use crate::Private;

/// A link with what must live as long as it.
#[derive(Debug)]
pub struct Held {
    /// What kind it is, for messages.
    pub label: &'static str,
    /// The link.
    pub link: LinkFd,
    /// Its program; a `struct_ops` link has none.
    pub prog: Option<ProgFd>,
    /// Events, directories, maps.
    _with: Vec<OwnedFd>,
}

impl Held {
    fn new(label: &'static str, link: LinkFd, prog: ProgFd) -> Self {
        Self {
            label,
            link,
            prog: Some(prog),
            _with: Vec::new(),
        }
    }

    fn with(mut self, held: impl Into<OwnedFd>) -> Self {
        self._with.push(held.into());
        self
    }
}

/// A link, or why there is none: the label of its kind, which begins with the name of its
/// type, and the link. Every error has a [`Needs`] in its chain.
pub type Attempt = (&'static str, Result<Held>);

fn attempt(label: &'static str, since: (u16, u16), made: Result<Held>) -> Attempt {
    let made = made.map(|held| Held { label, ..held });
    (label, made.context(Needs(since)))
}

/// A tracepoint that hardly ever fires, so that nothing on the machine slows
/// down while a program is attached to it.
pub const QUIET_TRACEPOINT: &str = "xdp_exception";

/// One of each kind. What cannot be made is an error of its own.
pub fn one_of_each(
    private: &Private,
    kernel: &Btf<'_>,
    types: &Types,
    map: &MapFd,
) -> Vec<Attempt> {
    let always = (0, 0);
    let task = IterTargetSpec::Task {
        tid: 0,
        pid: std::process::id(),
        pid_fd: None,
    };
    let elements = IterTargetSpec::Map(map);
    vec![
        attempt("raw_tracepoint", always, raw_tracepoint(0)),
        attempt("raw_tracepoint cookie", (6, 10), raw_tracepoint(0x1122)),
        attempt("raw_tracepoint with BTF", always, tp_btf(kernel)),
        attempt("cgroup", always, cgroup(private)),
        attempt(
            "iter",
            always,
            iterator(kernel, "task", IterTargetSpec::All),
        ),
        attempt(
            "iter map",
            always,
            iterator(kernel, "bpf_map_elem", elements),
        ),
        attempt("iter task", (6, 1), iterator(kernel, "task_file", task)),
        attempt("iter cgroup", (6, 1), iter_cgroup(private, kernel)),
        attempt("netns", always, netns()),
        attempt("xdp", always, xdp()),
        attempt("tcx", (6, 6), tcx()),
        attempt("netfilter", (6, 4), netfilter()),
        attempt("sockmap", (6, 10), sockmap()),
        attempt("perf_event tracepoint", (5, 15), tracepoint(private)),
        attempt("perf_event uprobe", (5, 15), uprobe()),
        attempt("perf_event event", (5, 15), software_event()),
        attempt("uprobe_multi", (6, 6), uprobe_multi()),
        attempt("struct_ops", (6, 4), struct_ops(kernel, types)),
    ]
}

fn raw_tracepoint(cookie: u64) -> Result<Held> {
    let prog = simple_of(ProgType::RAW_TRACEPOINT)?;
    let link = RawTracepointOpen::new(Some(QUIET_TRACEPOINT), &prog)
        .cookie(cookie)
        .run()?;
    Ok(Held::new("raw_tracepoint", link, prog))
}

fn tp_btf(kernel: &Btf<'_>) -> Result<Held> {
    let target = format!("btf_trace_{QUIET_TRACEPOINT}");
    let prog = tracing(kernel, "l_tp_btf", AttachType::TRACE_RAW_TP, &target)?;
    let link = RawTracepointOpen::new(None, &prog).run()?;
    Ok(Held::new("raw_tracepoint with BTF", link, prog))
}

fn cgroup(private: &Private) -> Result<Held> {
    let dir = File::open(private.cgroup()?).context("open our cgroup")?;
    let prog = simple_of(ProgType::CGROUP_SKB)?;
    let target = LinkTarget::Cgroup {
        cgroup: dir.as_fd(),
        attach_type: AttachType::CGROUP_INET_EGRESS,
        anchor: None,
        expected_revision: 0,
    };
    let link = LinkCreate::new(&prog, target).run()?;
    Ok(Held::new("cgroup", link, prog))
}

fn iterator(kernel: &Btf<'_>, target: &str, spec: IterTargetSpec<'_>) -> Result<Held> {
    let prog = tracing(
        kernel,
        "l_iter",
        AttachType::TRACE_ITER,
        &format!("bpf_iter_{target}"),
    )?;
    let link = LinkCreate::new(&prog, LinkTarget::Iter(spec)).run()?;
    Ok(Held::new("iter", link, prog))
}

fn iter_cgroup(private: &Private, kernel: &Btf<'_>) -> Result<Held> {
    let dir = File::open(private.cgroup()?).context("open our cgroup")?;
    let spec = IterTargetSpec::Cgroup {
        cgroup: Some(dir.as_fd()),
        order: CgroupIterOrder::SELF_ONLY,
    };
    iterator(kernel, "cgroup", spec)
}

fn netns() -> Result<Held> {
    let ns = File::open("/proc/thread-self/ns/net").context("open our network namespace")?;
    let prog = simple_of(ProgType::SK_LOOKUP)?;
    let target = LinkTarget::Netns {
        netns: ns.as_fd(),
        attach_type: AttachType::SK_LOOKUP,
    };
    let link = LinkCreate::new(&prog, target).run()?;
    Ok(Held::new("netns", link, prog))
}

/// The loopback of our own namespace.
const LOOPBACK: u32 = 1;
/// `XDP_FLAGS_SKB_MODE`
const XDP_GENERIC: u32 = 2;

fn xdp() -> Result<Held> {
    let prog = simple_of(ProgType::XDP)?;
    let target = LinkTarget::Xdp {
        ifindex: LOOPBACK,
        flags: XDP_GENERIC,
    };
    let link = LinkCreate::new(&prog, target).run()?;
    Ok(Held::new("xdp", link, prog))
}

fn tcx() -> Result<Held> {
    let prog = simple_of(ProgType::SCHED_CLS)?;
    let target = LinkTarget::Tcx {
        ifindex: LOOPBACK,
        attach_type: AttachType::TCX_INGRESS,
        anchor: None,
        expected_revision: 0,
    };
    let link = LinkCreate::new(&prog, target).run()?;
    Ok(Held::new("tcx", link, prog))
}

fn netfilter() -> Result<Held> {
    let prog = simple_of(ProgType::NETFILTER)?;
    // IPv4, input.
    let target = LinkTarget::Netfilter {
        pf: 2,
        hooknum: 1,
        priority: -128,
        flags: NetfilterFlags::empty(),
    };
    let link = LinkCreate::new(&prog, target).run()?;
    Ok(Held::new("netfilter", link, prog))
}

fn sockmap() -> Result<Held> {
    let map = MapCreate::new(MapType::SOCKMAP, 4, 4, 4)
        .name("l_sockmap")
        .run()?;
    let prog = simple_of(ProgType::SK_SKB)?;
    let target = LinkTarget::Sockmap {
        map: &map,
        attach_type: AttachType::SK_SKB_VERDICT,
    };
    let link = LinkCreate::new(&prog, target).run()?;
    Ok(Held::new("sockmap", link, prog).with(map))
}

/// This process, on any CPU.
const SELF: Target = Target { pid: 0, cpu: -1 };

fn on_event(
    label: &'static str,
    event: PerfEvent,
    prog_type: ProgType,
    cookie: u64,
) -> Result<Held> {
    let prog = simple_of(prog_type)?;
    let target = LinkTarget::PerfEvent {
        event: event.as_fd(),
        cookie,
    };
    let link = LinkCreate::new(&prog, target).run()?;
    Ok(Held::new(label, link, prog).with(event))
}

fn tracepoint(private: &Private) -> Result<Held> {
    let path = private
        .tracefs()
        .join("events/xdp")
        .join(QUIET_TRACEPOINT)
        .join("id");
    let id: u64 = std::fs::read_to_string(&path)
        .with_context(|| format!("read {}", path.display()))?
        .trim()
        .parse()
        .context("a tracepoint's id")?;
    let attr = PerfEventAttr::new(perf::TYPE_TRACEPOINT, id);
    let event = PerfEvent::open(attr, SELF)?;
    on_event("perf_event tracepoint", event, ProgType::TRACEPOINT, 0x77)
}

fn software_event() -> Result<Held> {
    let mut attr = PerfEventAttr::new(perf::TYPE_SOFTWARE, perf::SW_CPU_CLOCK);
    attr.sample_period = 1 << 40;
    let event = PerfEvent::open(attr, SELF)?;
    on_event("perf_event event", event, ProgType::PERF_EVENT, 0)
}

/// This executable and the offset of its entry point in the file: code that
/// has run when any test does, and will not again.
fn entry_point() -> Result<(PathBuf, u64)> {
    let path = std::env::current_exe().context("find this executable")?;
    let bytes = std::fs::read(&path).context("read this executable")?;
    let word = |at: usize| -> Result<u64> {
        let b = bytes
            .get(at..)
            .and_then(|b| b.first_chunk::<8>())
            .context("a cut ELF file")?;
        Ok(u64::from_ne_bytes(*b))
    };
    let (entry, headers) = (word(0x18)?, usize::try_from(word(0x20)?)?);
    let count = usize::try_from(word(0x38)? & 0xffff)?;
    for n in 0..count {
        let at = headers + n * 56;
        // PT_LOAD
        if word(at)? & 0xffff_ffff == 1 {
            let (offset, start, len) = (word(at + 8)?, word(at + 16)?, word(at + 32)?);
            if (start..start + len).contains(&entry) {
                return Ok((path, entry - start + offset));
            }
        }
    }
    anyhow::bail!("the entry point of this executable is in no segment")
}

fn uprobe() -> Result<Held> {
    let (path, offset) = entry_point()?;
    let kind: u32 = std::fs::read_to_string("/sys/bus/event_source/devices/uprobe/type")
        .context("the kernel has no uprobe events")?
        .trim()
        .parse()
        .context("an event type")?;
    let path = CString::new(path.as_os_str().as_bytes()).context("a path")?;
    let event = PerfEvent::open_probe(PerfEventAttr::new(kind, 0), Some(&path), offset, SELF)?;
    on_event("perf_event uprobe", event, ProgType::KPROBE, 0xabcd)
}

fn uprobe_multi() -> Result<Held> {
    let (path, offset) = entry_point()?;
    let insns = asm("r0 = 0\nexit")?;
    let prog = ProgLoad::new(ProgType::KPROBE, &insns)
        .license("GPL")
        .name("l_uprobes")
        .expected_attach_type(AttachType::TRACE_UPROBE_MULTI)
        .run()?;
    let target = LinkTarget::UprobeMulti {
        path: &path,
        offsets: &[offset],
        ref_ctr_offsets: &[],
        cookies: &[0x55],
        flags: UprobeMultiFlags::empty(),
        pid: std::process::id(),
        session: false,
    };
    let link = LinkCreate::new(&prog, target).run()?;
    Ok(Held::new("uprobe_multi", link, prog))
}

/// A congestion control of ours, registered by a link; no socket chooses it.
fn struct_ops(kernel: &Btf<'_>, types: &Types) -> Result<Held> {
    // the names of congestion controls are shared by the whole machine
    let name = format!("rbpf_cc_{}", std::process::id());
    let (map, progs) = congestion_control(kernel, types, &name)?;
    let link = LinkCreate::struct_ops(&map).run()?;
    let mut held = Held {
        label: "struct_ops",
        link,
        prog: None,
        _with: vec![map.into()],
    };
    for prog in progs {
        held = held.with(prog);
    }
    Ok(held)
}

/// A filled `struct_ops` map of TCP congestion control, and its programs.
///
/// It is of the kind that a link registers: one that is registered by being
/// filled would outlive every descriptor of it.
///
/// # Errors
///
/// If the kernel's BTF lacks the type, or the kernel refuses any part.
pub fn congestion_control(
    kernel: &Btf<'_>,
    types: &Types,
    name: &str,
) -> Result<(MapFd, Vec<ProgFd>)> {
    let find = |name: &str| {
        kernel
            .find_by_name_kind(name.as_bytes(), Kind::Struct)
            .ok_or_else(|| super::Lacking(format!("struct {name}")))
    };
    let ops = find("tcp_congestion_ops")?;
    let value_type = find("bpf_struct_ops_tcp_congestion_ops")?;
    let size = u32::try_from(kernel.size_of(value_type)?).context("a size")?;
    let member = |of, name: &str| -> Result<(usize, u32)> {
        let (_, ty) = kernel.resolve(of)?;
        let Type::Struct(s) = ty else {
            anyhow::bail!("not a struct")
        };
        let (index, m) = s
            .members()
            .enumerate()
            .find(|(_, m)| m.name.or_empty() == name.as_bytes())
            .with_context(|| format!("no member {name}"))?;
        Ok((usize::try_from(m.bit_offset / 8)?, u32::try_from(index)?))
    };
    let (data, _) = member(value_type, "data")?;
    let mut value = vec![0; usize::try_from(size)?];
    let mut put = |at: usize, bytes: &[u8]| -> Result<()> {
        value
            .get_mut(at..at + bytes.len())
            .context("a member beyond its struct")?
            .copy_from_slice(bytes);
        Ok(())
    };
    let mut progs = Vec::new();
    for (func, ret) in [("ssthresh", 2), ("cong_avoid", 0), ("undo_cwnd", 2)] {
        let (at, index) = member(ops, func)?;
        let insns = asm(&format!("r0 = {ret}\nexit"))?;
        let prog = ProgLoad::new(ProgType::STRUCT_OPS, &insns)
            .license("GPL")
            .name(func)
            .attach_btf_id(ops.get())
            .expected_attach_type(AttachType(index))
            .run()
            .with_context(|| format!("load {func}"))?;
        put(data + at, &i64::from(prog.as_raw_fd()).to_ne_bytes())?;
        progs.push(prog);
    }
    let (at, _) = member(ops, "name")?;
    put(data + at, name.as_bytes())?;
    let map = MapCreate::new(MapType::STRUCT_OPS, 4, size, 1)
        .name("test_cc")
        .flags(MapFlags::LINK)
        // No type of it is used, but the kernel insists on some BTF.
        .btf(&types.fd, 0, 0)
        .vmlinux_value_type(value_type.get(), None)
        .run()
        .context("make a struct_ops map")?;
    MapUpdateElem::new(&map, &0_u32.to_ne_bytes(), &value)
        .run()
        .context("fill a struct_ops map")?;
    Ok((map, progs))
}
