//! What programs can be attached to, and what the kernel must have for it.

use bpfsys::probe::{self, Support};
use bpfsys::{AttachType, KernelVersion, LinkType, ProgType};

/// A way to attach programs.
#[derive(Debug)]
pub(super) struct Mechanism {
    /// Its name, as sections and `link create` have it.
    pub(super) name: &'static str,
    /// What the kernel is asked for.
    pub(super) ask: Ask,
    /// The option that the kernel must be built with.
    pub(super) option: &'static str,
    /// What else it needs.
    pub(super) needs: Need,
}

/// What stands for a mechanism.
#[derive(Debug, Clone, Copy)]
pub(super) enum Ask {
    /// A type of programs.
    Prog(ProgType),
    /// A way to attach programs of a type.
    Attach(AttachType),
    /// A type of links.
    Link(LinkType),
}

/// What a mechanism needs besides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// Nothing.
    Nothing,
    /// A kind of perf event, by the name of its event source.
    Event(&'static str),
    /// Names of events in tracefs.
    TraceFs,
    /// Types of the kernel, and code patched to call the program.
    Trampoline,
    /// As a trampoline, and BPF among the security modules.
    SecurityModule,
    /// Types of the kernel.
    Btf,
}

impl Ask {
    /// Asks the running kernel.
    #[must_use]
    pub(super) fn answer(self) -> Support {
        match self {
            Self::Prog(t) => probe::prog_type(t),
            Self::Attach(t) => probe::attach_type(t),
            Self::Link(t) => probe::link_type(t),
        }
    }

    /// Which kernel brought it.
    #[must_use]
    pub(super) fn since(self) -> Option<KernelVersion> {
        match self {
            Self::Prog(t) => t.since(),
            Self::Attach(t) => t.since(),
            Self::Link(t) => t.since(),
        }
    }
}

macro_rules! mechanisms {
    ($($name:literal $kind:ident $what:ident $option:literal $needs:expr;)*) => {
        /// All of them: tracing, security, network, cgroups.
        pub(super) static MECHANISMS: &[Mechanism] = &[
            $(Mechanism {
                name: $name,
                ask: mechanisms!(@ $kind $what),
                option: concat!("CONFIG_", $option),
                needs: $needs,
            },)*
        ];
    };
    (@ prog $what:ident) => { Ask::Prog(ProgType::$what) };
    (@ attach $what:ident) => { Ask::Attach(AttachType::$what) };
    (@ link $what:ident) => { Ask::Link(LinkType::$what) };
}

mechanisms! {
    "kprobe" prog KPROBE "KPROBE_EVENTS" Need::Event("kprobe");
    "kprobe.multi" link KPROBE_MULTI "FPROBE" Need::Nothing;
    "kprobe.session" attach TRACE_KPROBE_SESSION "FPROBE" Need::Nothing;
    "uprobe" prog KPROBE "UPROBE_EVENTS" Need::Event("uprobe");
    "uprobe.multi" link UPROBE_MULTI "UPROBE_EVENTS" Need::Nothing;
    "tracepoint" prog TRACEPOINT "BPF_EVENTS" Need::TraceFs;
    "raw_tracepoint" prog RAW_TRACEPOINT "BPF_EVENTS" Need::Nothing;
    "tp_btf" attach TRACE_RAW_TP "DEBUG_INFO_BTF" Need::Btf;
    "perf_event" prog PERF_EVENT "BPF_EVENTS" Need::Nothing;
    "fentry, fexit" attach TRACE_FENTRY "DYNAMIC_FTRACE_WITH_DIRECT_CALLS" Need::Trampoline;
    "fmod_ret" attach MODIFY_RETURN "FUNCTION_ERROR_INJECTION" Need::Trampoline;
    "iter" attach TRACE_ITER "DEBUG_INFO_BTF" Need::Btf;
    "freplace" prog EXT "BPF_JIT" Need::Trampoline;
    "struct_ops" prog STRUCT_OPS "BPF_JIT" Need::Btf;
    "syscall" prog SYSCALL "BPF_SYSCALL" Need::Nothing;
    "lsm" attach LSM_MAC "BPF_LSM" Need::SecurityModule;
    "lsm_cgroup" attach LSM_CGROUP "BPF_LSM" Need::SecurityModule;
    "socket filter" prog SOCKET_FILTER "NET" Need::Nothing;
    "xdp" prog XDP "NET" Need::Nothing;
    "clsact" prog SCHED_CLS "NET_CLS_BPF" Need::Nothing;
    "tcx" link TCX "NET_XGRESS" Need::Nothing;
    "netkit" link NETKIT "NETKIT" Need::Nothing;
    "netfilter" prog NETFILTER "NETFILTER_BPF_LINK" Need::Nothing;
    "sk_lookup" prog SK_LOOKUP "NET" Need::Nothing;
    "sk_reuseport" prog SK_REUSEPORT "INET" Need::Nothing;
    "sockmap" prog SK_SKB "BPF_STREAM_PARSER" Need::Nothing;
    "flow_dissector" prog FLOW_DISSECTOR "NET" Need::Nothing;
    "lwt" prog LWT_XMIT "LWTUNNEL_BPF" Need::Nothing;
    "lirc_mode2" prog LIRC_MODE2 "BPF_LIRC_MODE2" Need::Nothing;
    "cgroup skb" prog CGROUP_SKB "CGROUP_BPF" Need::Nothing;
    "cgroup sock_addr" prog CGROUP_SOCK_ADDR "CGROUP_BPF" Need::Nothing;
    "cgroup sysctl" prog CGROUP_SYSCTL "CGROUP_BPF" Need::Nothing;
    "cgroup sockopt" prog CGROUP_SOCKOPT "CGROUP_BPF" Need::Nothing;
    "cgroup device" prog CGROUP_DEVICE "CGROUP_DEVICE" Need::Nothing;
}
