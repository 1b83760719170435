//! What a kernel must be built with for each feature, and why some cannot be
//! known. Versions are where the features are: in `bpfsys`.

use bpfsys::{AttachType, Cmd, ErrorKind, KernelVersion, LinkType, MapType, ProgType};
use btf::Kind;
use rbpftool_tests::kernel::{Excuse, Need};

use Need::{Before, Set};

/// Values, and what all of them need.
pub(crate) type Needs<T> = [(&'static [T], &'static [Need])];

/// The row of `value`.
pub(crate) fn needs<T: PartialEq>(table: &Needs<T>, value: T) -> Option<&'static [Need]> {
    let row = table.iter().find(|(values, _)| values.contains(&value))?;
    Some(row.1)
}

const NET: &[Need] = &[Set("NET")];
const INET: &[Need] = &[Set("NET"), Set("INET")];
const CGROUP: &[Need] = &[Set("CGROUP_BPF")];
const CGROUP_NET: &[Need] = &[Set("NET"), Set("CGROUP_BPF")];
const EVENTS: &[Need] = &[Set("BPF_EVENTS")];
const KERNEL_BTF: &[Need] = &[Set("BPF_EVENTS"), Set("DEBUG_INFO_BTF")];
const LSM: &[Need] = &[Set("BPF_JIT"), Set("BPF_LSM"), Set("DEBUG_INFO_BTF")];
const STRUCT_OPS: &[Need] = &[Set("BPF_JIT"), Set("DEBUG_INFO_BTF")];
const LIRC: &[Need] = &[Set("BPF_LIRC_MODE2")];
const NETFILTER: &[Need] = &[Set("NETFILTER_BPF_LINK")];
const NETKIT: &[Need] = &[Set("NETKIT")];
const TCX: &[Need] = &[Set("NET_XGRESS")];
const PERF: &[Need] = &[Set("PERF_EVENTS"), Set("BPF_EVENTS")];
const KPROBE_MULTI: &[Need] = &[Set("BPF_EVENTS"), Set("FPROBE")];
const UPROBE_MULTI: &[Need] = &[Set("BPF_EVENTS"), Set("UPROBES")];
const SOCKMAP: &[Need] = &[
    Set("NET"),
    Set("INET"),
    Before("BPF_STREAM_PARSER", (5, 13)),
];
const TRACING_MULTI: &[Need] = &[
    Set("BPF_EVENTS"),
    Set("DEBUG_INFO_BTF"),
    Set("DYNAMIC_FTRACE_WITH_DIRECT_CALLS"),
    Set("HAVE_SINGLE_FTRACE_DIRECT_OPS"),
];

pub(crate) const PROG_TYPES: &Needs<ProgType> = &[
    (
        &[
            ProgType::SOCKET_FILTER,
            ProgType::SCHED_CLS,
            ProgType::SCHED_ACT,
            ProgType::XDP,
            ProgType::LWT_IN,
            ProgType::LWT_OUT,
            ProgType::LWT_XMIT,
            ProgType::LWT_SEG6LOCAL,
            ProgType::SOCK_OPS,
            ProgType::SK_SKB,
            ProgType::SK_MSG,
            ProgType::FLOW_DISSECTOR,
        ],
        NET,
    ),
    (
        &[
            ProgType::CGROUP_SKB,
            ProgType::CGROUP_SOCK,
            ProgType::CGROUP_SOCK_ADDR,
        ],
        CGROUP_NET,
    ),
    (
        &[
            ProgType::CGROUP_DEVICE,
            ProgType::CGROUP_SYSCTL,
            ProgType::CGROUP_SOCKOPT,
        ],
        CGROUP,
    ),
    (
        &[
            ProgType::KPROBE,
            ProgType::TRACEPOINT,
            ProgType::PERF_EVENT,
            ProgType::RAW_TRACEPOINT,
            ProgType::RAW_TRACEPOINT_WRITABLE,
        ],
        EVENTS,
    ),
    (&[ProgType::TRACING], KERNEL_BTF),
    (&[ProgType::SK_REUSEPORT, ProgType::SK_LOOKUP], INET),
    (&[ProgType::STRUCT_OPS, ProgType::EXT], STRUCT_OPS),
    (&[ProgType::LSM], LSM),
    (&[ProgType::LIRC_MODE2], LIRC),
    (&[ProgType::NETFILTER], NETFILTER),
    (&[ProgType::SYSCALL], &[]),
];

pub(crate) const MAP_TYPES: &Needs<MapType> = &[
    (
        &[
            MapType::HASH,
            MapType::ARRAY,
            MapType::PROG_ARRAY,
            MapType::PERF_EVENT_ARRAY,
            MapType::PERCPU_HASH,
            MapType::PERCPU_ARRAY,
            MapType::LRU_HASH,
            MapType::LRU_PERCPU_HASH,
            MapType::LPM_TRIE,
            MapType::ARRAY_OF_MAPS,
            MapType::HASH_OF_MAPS,
            MapType::QUEUE,
            MapType::STACK,
            MapType::RINGBUF,
            MapType::BLOOM_FILTER,
            MapType::USER_RINGBUF,
            MapType::INSN_ARRAY,
            MapType::RHASH,
        ],
        &[],
    ),
    (&[MapType::STACK_TRACE], &[Set("PERF_EVENTS")]),
    (
        &[MapType::CGROUP_ARRAY, MapType::CGRP_STORAGE],
        &[Set("CGROUPS")],
    ),
    (
        &[MapType::CGROUP_STORAGE, MapType::PERCPU_CGROUP_STORAGE],
        CGROUP,
    ),
    (
        &[
            MapType::DEVMAP,
            MapType::DEVMAP_HASH,
            MapType::CPUMAP,
            MapType::SK_STORAGE,
        ],
        NET,
    ),
    (&[MapType::XSKMAP], &[Set("NET"), Set("XDP_SOCKETS")]),
    (&[MapType::SOCKMAP, MapType::SOCKHASH], SOCKMAP),
    (&[MapType::REUSEPORT_SOCKARRAY], INET),
    (&[MapType::STRUCT_OPS], STRUCT_OPS),
    (&[MapType::INODE_STORAGE], &[Set("BPF_LSM")]),
    (&[MapType::TASK_STORAGE], &[Before("BPF_LSM", (5, 12))]),
    (&[MapType::ARENA], &[Set("MMU"), Set("64BIT")]),
];

pub(crate) const ATTACH_TYPES: &Needs<AttachType> = &[
    (
        &[
            AttachType::CGROUP_INET_INGRESS,
            AttachType::CGROUP_INET_EGRESS,
            AttachType::CGROUP_INET_SOCK_CREATE,
            AttachType::CGROUP_INET_SOCK_RELEASE,
            AttachType::CGROUP_SOCK_OPS,
            AttachType::CGROUP_DEVICE,
            AttachType::CGROUP_SYSCTL,
            AttachType::CGROUP_GETSOCKOPT,
            AttachType::CGROUP_SETSOCKOPT,
            AttachType::CGROUP_INET4_BIND,
            AttachType::CGROUP_INET6_BIND,
            AttachType::CGROUP_INET4_CONNECT,
            AttachType::CGROUP_INET6_CONNECT,
            AttachType::CGROUP_INET4_POST_BIND,
            AttachType::CGROUP_INET6_POST_BIND,
            AttachType::CGROUP_UDP4_SENDMSG,
            AttachType::CGROUP_UDP6_SENDMSG,
            AttachType::CGROUP_UDP4_RECVMSG,
            AttachType::CGROUP_UDP6_RECVMSG,
            AttachType::CGROUP_INET4_GETPEERNAME,
            AttachType::CGROUP_INET6_GETPEERNAME,
            AttachType::CGROUP_INET4_GETSOCKNAME,
            AttachType::CGROUP_INET6_GETSOCKNAME,
            AttachType::CGROUP_UNIX_CONNECT,
            AttachType::CGROUP_UNIX_SENDMSG,
            AttachType::CGROUP_UNIX_RECVMSG,
            AttachType::CGROUP_UNIX_GETPEERNAME,
            AttachType::CGROUP_UNIX_GETSOCKNAME,
        ],
        CGROUP,
    ),
    (
        &[
            AttachType::SK_SKB_STREAM_PARSER,
            AttachType::SK_SKB_STREAM_VERDICT,
            AttachType::SK_SKB_VERDICT,
            AttachType::SK_MSG_VERDICT,
            AttachType::FLOW_DISSECTOR,
            AttachType::XDP,
            AttachType::XDP_DEVMAP,
            AttachType::XDP_CPUMAP,
        ],
        NET,
    ),
    (
        &[
            AttachType::SK_LOOKUP,
            AttachType::SK_REUSEPORT_SELECT,
            AttachType::SK_REUSEPORT_SELECT_OR_MIGRATE,
        ],
        INET,
    ),
    (&[AttachType::LIRC_MODE2], LIRC),
    (
        &[
            AttachType::TRACE_RAW_TP,
            AttachType::TRACE_FENTRY,
            AttachType::TRACE_FEXIT,
            AttachType::TRACE_FSESSION,
            AttachType::TRACE_ITER,
            AttachType::MODIFY_RETURN,
        ],
        KERNEL_BTF,
    ),
    (
        &[
            AttachType::TRACE_FENTRY_MULTI,
            AttachType::TRACE_FEXIT_MULTI,
            AttachType::TRACE_FSESSION_MULTI,
        ],
        TRACING_MULTI,
    ),
    (&[AttachType::LSM_MAC], LSM),
    (
        &[AttachType::LSM_CGROUP],
        &[
            Set("BPF_JIT"),
            Set("BPF_LSM"),
            Set("DEBUG_INFO_BTF"),
            Set("CGROUP_BPF"),
        ],
    ),
    (&[AttachType::PERF_EVENT], PERF),
    (
        &[
            AttachType::TRACE_KPROBE_MULTI,
            AttachType::TRACE_KPROBE_SESSION,
        ],
        KPROBE_MULTI,
    ),
    (
        &[
            AttachType::TRACE_UPROBE_MULTI,
            AttachType::TRACE_UPROBE_SESSION,
        ],
        UPROBE_MULTI,
    ),
    (&[AttachType::STRUCT_OPS], STRUCT_OPS),
    (&[AttachType::NETFILTER], NETFILTER),
    (&[AttachType::TCX_INGRESS, AttachType::TCX_EGRESS], TCX),
    (
        &[AttachType::NETKIT_PRIMARY, AttachType::NETKIT_PEER],
        NETKIT,
    ),
];

pub(crate) const LINK_TYPES: &Needs<LinkType> = &[
    (&[LinkType::RAW_TRACEPOINT], EVENTS),
    (&[LinkType::TRACING, LinkType::ITER], KERNEL_BTF),
    (&[LinkType::CGROUP], CGROUP_NET),
    (&[LinkType::NETNS, LinkType::XDP], NET),
    (&[LinkType::PERF_EVENT], PERF),
    (&[LinkType::KPROBE_MULTI], KPROBE_MULTI),
    (&[LinkType::UPROBE_MULTI], UPROBE_MULTI),
    (&[LinkType::STRUCT_OPS], STRUCT_OPS),
    (&[LinkType::NETFILTER], NETFILTER),
    (&[LinkType::TCX], TCX),
    (&[LinkType::NETKIT], NETKIT),
    (&[LinkType::SOCKMAP], INET),
    (&[LinkType::TRACING_MULTI], TRACING_MULTI),
];

pub(crate) const COMMANDS: &Needs<Cmd> = &[
    // These are asked about a cgroup.
    (&[Cmd::PROG_DETACH, Cmd::PROG_QUERY], CGROUP),
    (Cmd::ALL, &[]),
];

/// Features that need more than the system call. Those not named here are found out by loading
/// socket filters.
pub(crate) const FEATURE_NEEDS: &Needs<&str> = &[
    (
        &[
            "object_names",
            "array_mmap",
            "map_extra",
            "token",
            "streams",
            "btf_global_func",
            "btf_qmark_datasec",
            "btf_tag_kind_flag",
            "btf_layout",
            "btf_wide_vlen",
            "excl_map",
            "gotox",
            "elem_cpu",
            "common_attrs",
            "expected_attach_type",
            "prog_bind_map",
            "module_btf",
        ],
        &[],
    ),
    (&["syscall_wrapper"], &[Set("ARCH_HAS_SYSCALL_WRAPPER")]),
    (&["perf_link"], PERF),
    (&["uprobe_multi"], UPROBE_MULTI),
    (&["kernel_btf"], &[Set("DEBUG_INFO_BTF")]),
    (&["probe_read_kernel", "bpf_cookie", "arg_ctx_tag"], EVENTS),
    (&["arena"], &[Set("MMU"), Set("64BIT")]),
    (
        &[
            "v2_isa",
            "subprograms",
            "v3_isa",
            "large_insn_limit",
            "global_data",
            "bounded_loops",
            "memcg_accounting",
            "atomics",
            "fd_array",
            "xdp_frags",
            "log_true_size",
            "v4_isa",
            "may_goto",
            "fd_array_cnt",
            "load_acquire",
            "full_range_map_value",
        ],
        NET,
    ),
];

/// The first kernel that takes types of a kind.
pub(crate) fn kind_since(kind: Kind) -> Option<KernelVersion> {
    let (major, minor) = match kind {
        Kind::Int
        | Kind::Ptr
        | Kind::Array
        | Kind::Struct
        | Kind::Union
        | Kind::Enum
        | Kind::Fwd
        | Kind::Typedef
        | Kind::Volatile
        | Kind::Const
        | Kind::Restrict => (4, 18),
        Kind::Func | Kind::FuncProto => (5, 0),
        Kind::Var | Kind::Datasec => (5, 2),
        Kind::Float => (5, 13),
        Kind::DeclTag => (5, 16),
        Kind::TypeTag => (5, 17),
        Kind::Enum64 => (6, 0),
        _ => return None,
    };
    Some(KernelVersion::new(major, minor, 0))
}

const NO_TRAMPOLINES: &str = "kernels may forbid all programs that run by a trampoline, and say \
                              so before they look at them";

/// Attach types whose programs run by a trampoline.
pub(crate) const TRAMPOLINE: Excuse = Excuse {
    names: &[
        "trace_fentry",
        "trace_fexit",
        "trace_fsession",
        "modify_return",
        "lsm_mac",
        "lsm_cgroup",
        "trace_fentry_multi",
        "trace_fexit_multi",
        "trace_fsession_multi",
    ],
    says: |error| error.kind() == ErrorKind::Denied,
    why: NO_TRAMPOLINES,
};

/// Program types that can run no other way.
pub(crate) const TRAMPOLINE_PROGS: Excuse = Excuse {
    names: &["ext", "lsm"],
    says: |error| error.kind() == ErrorKind::Denied,
    why: NO_TRAMPOLINES,
};

/// Program types whose helpers follow from what they attach to, so there is no one answer.
pub(crate) const TARGET: Excuse = Excuse {
    names: &["tracing", "struct_ops", "ext", "lsm"],
    says: |error| error.errno().is_none(),
    why: "it depends on what the program attaches to",
};
