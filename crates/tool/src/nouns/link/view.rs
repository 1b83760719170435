//! What is said about links, in the order of the JSON keys.

use serde::Serialize;

use crate::holders::Holder;
use crate::nouns::NameOrNumber;
use crate::render::escape::Text;

/// One link of `link show`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "golden", derive(serde::Deserialize))]
pub struct LinkView {
    /// The link's id.
    pub id: u32,
    /// Its type.
    pub r#type: NameOrNumber,
    /// The program it holds; 0 for a `struct_ops` link, which holds a map.
    pub prog_id: u32,
    /// What depends on the type.
    #[serde(flatten)]
    pub target: Target,
    /// Where the link is pinned; absent unless asked for and anything is pinned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pinned: Option<Vec<Text>>,
    /// The cookie of a perf event, once more under the name that tells of its holders.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bpf_cookie: Option<u64>,
    /// The processes that hold it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pids: Vec<Holder>,
}

impl Target {
    /// The cookie of a link on a perf event.
    #[must_use]
    pub fn perf_event_cookie(&self) -> Option<u64> {
        match self {
            Self::Kprobe(target) => Some(target.cookie),
            Self::Uprobe(target) => Some(target.cookie),
            Self::Tracepoint(target) => Some(target.cookie),
            Self::Event(target) => Some(target.cookie),
            _ => None,
        }
    }
}

/// What a link is attached to. The order of the variants lets the keys tell them apart: one
/// whose keys are some of another's comes after it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "golden", derive(serde::Deserialize))]
#[serde(untagged)]
pub enum Target {
    /// A tracepoint without a context of its own.
    RawTracepoint(RawTracepointView),
    /// A kernel function, or another program.
    Tracing(TracingView),
    /// Kernel functions, many at once, through trampolines (Linux 7.2).
    TracingMulti(TracingMultiView),
    /// Kernel functions, many at once, through fprobe.
    KprobeMulti(KprobeMultiView),
    /// Places in an executable.
    UprobeMulti(UprobeMultiView),
    /// One kernel function, through a perf event.
    Kprobe(KprobeView),
    /// One place in an executable, through a perf event.
    Uprobe(UprobeView),
    /// A tracepoint, through a perf event.
    Tracepoint(TracepointView),
    /// Any other perf event.
    Event(EventView),
    /// A hook of a cgroup.
    Cgroup(CgroupView),
    /// An iterator.
    Iter(IterView),
    /// A hook of a network namespace.
    Netns(NetnsView),
    /// A hook of netfilter.
    Netfilter(NetfilterView),
    /// A hook of a network device.
    Device(DeviceView),
    /// A hook of a socket map.
    Sockmap(SockmapView),
    /// A map whose functions the kernel calls.
    StructOps(StructOpsView),
    /// A type that nothing is known about.
    Other {},
}

/// `raw_tracepoint`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "golden", derive(serde::Deserialize))]
pub struct RawTracepointView {
    /// The tracepoint.
    pub tp_name: Text,
    /// What the program gets from `bpf_get_attach_cookie`.
    pub cookie: u64,
}

/// `tracing`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "golden", derive(serde::Deserialize))]
pub struct TracingView {
    /// The type of the program; absent when the program cannot be opened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prog_type: Option<NameOrNumber>,
    /// The kind of hook.
    pub attach_type: NameOrNumber,
    /// The BTF object, or the program, that the target is in.
    pub target_obj_id: u32,
    /// The target's type in that BTF.
    pub target_btf_id: u32,
    /// What the program gets from `bpf_get_attach_cookie`.
    pub cookie: u64,
}

/// `tracing_multi`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "golden", derive(serde::Deserialize))]
pub struct TracingMultiView {
    /// The kind of hook.
    pub attach_type: NameOrNumber,
    /// How many functions.
    pub func_cnt: u32,
    /// The BTF object that the functions are in.
    pub btf_obj_id: u32,
    /// The functions, as far as the kernel tells.
    pub funcs: Vec<TracingFuncView>,
}

/// A function of a `tracing_multi` link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "golden", derive(serde::Deserialize))]
pub struct TracingFuncView {
    /// The function's type in the BTF object.
    pub btf_id: u32,
    /// Where it is; absent when the kernel does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub addr: Option<u64>,
    /// Its name; absent when neither the kernel nor the symbol at its address says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub func: Option<Text>,
    /// What the program gets from `bpf_get_attach_cookie`.
    pub cookie: u64,
}

/// `kprobe_multi`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "golden", derive(serde::Deserialize))]
pub struct KprobeMultiView {
    /// Whether the program runs when the functions return.
    pub retprobe: bool,
    /// How many functions.
    pub func_cnt: u32,
    /// Calls that did not run the program.
    pub missed: u64,
    /// The functions by address.
    pub funcs: Vec<KprobeFuncView>,
}

/// A function of a `kprobe_multi` link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "golden", derive(serde::Deserialize))]
pub struct KprobeFuncView {
    /// Where the probe is; 0 when the kernel hides addresses.
    pub addr: u64,
    /// The function; null when no symbol is there.
    pub func: Option<Text>,
    /// The module it belongs to; null for the kernel itself.
    pub module: Option<Text>,
    /// What the program gets from `bpf_get_attach_cookie`.
    pub cookie: u64,
}

/// `uprobe_multi`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "golden", derive(serde::Deserialize))]
pub struct UprobeMultiView {
    /// Whether the program runs when the functions return.
    pub retprobe: bool,
    /// The executable.
    pub path: Text,
    /// How many places.
    pub func_cnt: u32,
    /// The only process that is watched, 0 for all.
    pub pid: i32,
    /// The places.
    pub funcs: Vec<UprobeFuncView>,
}

/// A place of a `uprobe_multi` link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "golden", derive(serde::Deserialize))]
pub struct UprobeFuncView {
    /// Bytes from the start of the file.
    pub offset: u64,
    /// Where in the file the counter of its users is, 0 for none.
    pub ref_ctr_offset: u64,
    /// What the program gets from `bpf_get_attach_cookie`.
    pub cookie: u64,
}

/// `perf_event` on a kprobe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "golden", derive(serde::Deserialize))]
pub struct KprobeView {
    /// Whether the program runs when the function returns.
    pub retprobe: bool,
    /// Where the probe is; 0 when the kernel hides addresses.
    pub addr: u64,
    /// The function.
    pub func: Text,
    /// Bytes from the start of the function.
    pub offset: u32,
    /// Hits that did not run the program.
    pub missed: u64,
    /// What the program gets from `bpf_get_attach_cookie`.
    pub cookie: u64,
}

/// `perf_event` on a uprobe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "golden", derive(serde::Deserialize))]
pub struct UprobeView {
    /// Whether the program runs when the function returns.
    pub retprobe: bool,
    /// The executable.
    pub file: Text,
    /// Bytes from the start of the file.
    pub offset: u32,
    /// What the program gets from `bpf_get_attach_cookie`.
    pub cookie: u64,
    /// Where in the file the counter of its users is, 0 for none.
    pub ref_ctr_offset: u64,
}

/// `perf_event` on a tracepoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "golden", derive(serde::Deserialize))]
pub struct TracepointView {
    /// The tracepoint.
    pub tracepoint: Text,
    /// What the program gets from `bpf_get_attach_cookie`.
    pub cookie: u64,
}

/// `perf_event` on a counter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "golden", derive(serde::Deserialize))]
pub struct EventView {
    /// The kind of counter.
    pub event_type: TextOrNumber,
    /// Which of its events.
    pub event_config: TextOrNumber,
    /// What the program gets from `bpf_get_attach_cookie`.
    pub cookie: u64,
}

/// A name that is not from a table of this tool, or a number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "golden", derive(serde::Deserialize))]
#[serde(untagged)]
pub enum TextOrNumber {
    /// A name.
    Name(Text),
    /// A number without a name.
    Number(u64),
}

/// `cgroup`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "golden", derive(serde::Deserialize))]
pub struct CgroupView {
    /// The cgroup; 0 when it is gone.
    pub cgroup_id: u64,
    /// The hook.
    pub attach_type: NameOrNumber,
}

/// `iter`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "golden", derive(serde::Deserialize))]
pub struct IterView {
    /// What is walked.
    pub target_name: Text,
    /// The map, for its elements.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub map_id: Option<u32>,
    /// The only thread that is walked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tid: Option<u32>,
    /// The only process that is walked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// The cgroup where the walk starts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cgroup_id: Option<u64>,
    /// In which order cgroups are walked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order: Option<NameOrNumber>,
}

/// `netns`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "golden", derive(serde::Deserialize))]
pub struct NetnsView {
    /// The inode of the namespace's file; 0 when it is gone.
    pub netns_ino: u32,
    /// The hook.
    pub attach_type: NameOrNumber,
}

/// `netfilter`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "golden", derive(serde::Deserialize))]
pub struct NetfilterView {
    /// The protocol family, a number of netfilter's own.
    pub pf: u32,
    /// The hook of that family.
    pub hook: u32,
    /// Its place among the other users of the hook: lower ones go first.
    pub prio: i32,
    /// How it was attached.
    pub flags: u32,
}

/// `xdp`, `tcx`, `netkit`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "golden", derive(serde::Deserialize))]
pub struct DeviceView {
    /// The device's name, `(unknown)` in another network namespace, `(detached)` when gone.
    pub devname: Text,
    /// The device's number, 0 when it is gone.
    pub ifindex: u32,
    /// The hook, where the type does not say it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attach_type: Option<NameOrNumber>,
}

/// `sockmap`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "golden", derive(serde::Deserialize))]
pub struct SockmapView {
    /// The map.
    pub map_id: u32,
    /// The hook.
    pub attach_type: NameOrNumber,
}

/// `struct_ops`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "golden", derive(serde::Deserialize))]
pub struct StructOpsView {
    /// The map; 0 when the link was detached.
    pub map_id: u32,
}
