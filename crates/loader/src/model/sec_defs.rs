//! What the names of sections say about programs: the table of `SEC("…")`.

use bpfsys::{AttachType as A, ProgType};

/// No hook that the verifier must know.
const NONE: A = A(0);

/// What a name of a section says about the programs in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[doc(alias = "bpf_sec_def")]
pub struct SecDef {
    /// The name. With `+` at its end: the word itself, or the word, `/` and more. With `/` at its
    /// end: something must follow.
    pub pattern: &'static str,
    /// Type of the programs.
    pub prog_type: ProgType,
    /// The hook they are for, where the verifier must know; else 0.
    pub attach_type: A,
    /// They may sleep.
    pub sleepable: bool,
    /// They attach to something that has a BTF type, named behind the first `/`.
    pub needs_btf: bool,
    /// They handle packets in fragments.
    pub frags: bool,
    /// `attach_type` is what a command that attaches by type takes.
    pub attachable: bool,
    /// Kernels that know no attach type may get the program without.
    pub attach_type_optional: bool,
    /// User probes that become links of many where the kernel has them.
    pub usdt: bool,
    /// How they attach by themselves.
    pub auto_attach: Option<AutoAttach>,
}

/// How programs attach with nothing but the name of their section.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AutoAttach {
    /// To a function of the kernel: `kprobe/FUNC+OFFSET`.
    Kprobe,
    /// To a function of a file: `uprobe/PATH:FUNC+OFFSET`.
    Uprobe,
    /// To a system call: `ksyscall/NAME`.
    Ksyscall,
    /// To a marked place of a file: `usdt/PATH:PROVIDER:NAME`.
    Usdt,
    /// To a trace point: `tp/CATEGORY/NAME`.
    Tracepoint,
    /// To a raw trace point: `raw_tp/NAME`.
    RawTracepoint,
    /// To what the load resolved: `fentry/FUNC`, `tp_btf/NAME`.
    Trace,
    /// To functions of the kernel: `kprobe.multi/PATTERN`.
    KprobeMulti,
    /// To functions of the kernel, at both ends: `kprobe.session/PATTERN`.
    KprobeSession,
    /// To functions of a file: `uprobe.multi/PATH:PATTERN`.
    UprobeMulti,
    /// To a security hook: `lsm/HOOK`.
    Lsm,
    /// To an iterator: `iter/TARGET`.
    Iter,
    /// To functions of the kernel, by their types: `fentry.multi/MODULE:PATTERN`.
    TracingMulti,
}

const PLAIN: SecDef = SecDef {
    pattern: "",
    prog_type: ProgType::UNSPEC,
    attach_type: NONE,
    sleepable: false,
    needs_btf: false,
    frags: false,
    attachable: false,
    attach_type_optional: false,
    usdt: false,
    auto_attach: None,
};

macro_rules! sec_defs {
    ($($pattern:literal, $type:ident, $attach:expr, [$($flag:ident)*] $(, $auto:ident)?;)*) => {
        /// All names that mean something, in the order in which they are tried.
        #[doc(alias = "section_defs")]
        pub const SEC_DEFS: &[SecDef] = &[$(SecDef {
            pattern: $pattern,
            prog_type: ProgType::$type,
            attach_type: $attach,
            $($flag: true,)*
            $(auto_attach: Some(AutoAttach::$auto),)?
            ..PLAIN
        }),*];
    };
}

sec_defs! {
    "socket", SOCKET_FILTER, NONE, [];
    "sk_reuseport/migrate", SK_REUSEPORT, A::SK_REUSEPORT_SELECT_OR_MIGRATE, [attachable];
    "sk_reuseport", SK_REUSEPORT, A::SK_REUSEPORT_SELECT, [attachable];
    "kprobe+", KPROBE, NONE, [], Kprobe;
    "uprobe+", KPROBE, NONE, [], Uprobe;
    "uprobe.s+", KPROBE, NONE, [sleepable], Uprobe;
    "kretprobe+", KPROBE, NONE, [], Kprobe;
    "uretprobe+", KPROBE, NONE, [], Uprobe;
    "uretprobe.s+", KPROBE, NONE, [sleepable], Uprobe;
    "kprobe.multi+", KPROBE, A::TRACE_KPROBE_MULTI, [], KprobeMulti;
    "kretprobe.multi+", KPROBE, A::TRACE_KPROBE_MULTI, [], KprobeMulti;
    "kprobe.session+", KPROBE, A::TRACE_KPROBE_SESSION, [], KprobeSession;
    "uprobe.multi+", KPROBE, A::TRACE_UPROBE_MULTI, [], UprobeMulti;
    "uretprobe.multi+", KPROBE, A::TRACE_UPROBE_MULTI, [], UprobeMulti;
    "uprobe.session+", KPROBE, A::TRACE_UPROBE_SESSION, [], UprobeMulti;
    "uprobe.multi.s+", KPROBE, A::TRACE_UPROBE_MULTI, [sleepable], UprobeMulti;
    "uretprobe.multi.s+", KPROBE, A::TRACE_UPROBE_MULTI, [sleepable], UprobeMulti;
    "uprobe.session.s+", KPROBE, A::TRACE_UPROBE_SESSION, [sleepable], UprobeMulti;
    "ksyscall+", KPROBE, NONE, [], Ksyscall;
    "kretsyscall+", KPROBE, NONE, [], Ksyscall;
    "usdt+", KPROBE, NONE, [usdt], Usdt;
    "usdt.s+", KPROBE, NONE, [usdt sleepable], Usdt;
    "tc/ingress", SCHED_CLS, A::TCX_INGRESS, [];
    "tc/egress", SCHED_CLS, A::TCX_EGRESS, [];
    "tcx/ingress", SCHED_CLS, A::TCX_INGRESS, [];
    "tcx/egress", SCHED_CLS, A::TCX_EGRESS, [];
    "tc", SCHED_CLS, NONE, [];
    "classifier", SCHED_CLS, NONE, [];
    "action", SCHED_ACT, NONE, [];
    "netkit/primary", SCHED_CLS, A::NETKIT_PRIMARY, [];
    "netkit/peer", SCHED_CLS, A::NETKIT_PEER, [];
    "tracepoint+", TRACEPOINT, NONE, [], Tracepoint;
    "tp+", TRACEPOINT, NONE, [], Tracepoint;
    "tracepoint.s+", TRACEPOINT, NONE, [sleepable], Tracepoint;
    "tp.s+", TRACEPOINT, NONE, [sleepable], Tracepoint;
    "raw_tracepoint+", RAW_TRACEPOINT, NONE, [], RawTracepoint;
    "raw_tp+", RAW_TRACEPOINT, NONE, [], RawTracepoint;
    "raw_tracepoint.s+", RAW_TRACEPOINT, NONE, [sleepable], RawTracepoint;
    "raw_tp.s+", RAW_TRACEPOINT, NONE, [sleepable], RawTracepoint;
    "raw_tracepoint.w+", RAW_TRACEPOINT_WRITABLE, NONE, [], RawTracepoint;
    "raw_tp.w+", RAW_TRACEPOINT_WRITABLE, NONE, [], RawTracepoint;
    "tp_btf+", TRACING, A::TRACE_RAW_TP, [needs_btf], Trace;
    "tp_btf.s+", TRACING, A::TRACE_RAW_TP, [needs_btf sleepable], Trace;
    "fentry+", TRACING, A::TRACE_FENTRY, [needs_btf], Trace;
    "fmod_ret+", TRACING, A::MODIFY_RETURN, [needs_btf], Trace;
    "fexit+", TRACING, A::TRACE_FEXIT, [needs_btf], Trace;
    "fentry.s+", TRACING, A::TRACE_FENTRY, [needs_btf sleepable], Trace;
    "fmod_ret.s+", TRACING, A::MODIFY_RETURN, [needs_btf sleepable], Trace;
    "fexit.s+", TRACING, A::TRACE_FEXIT, [needs_btf sleepable], Trace;
    "fsession+", TRACING, A::TRACE_FSESSION, [needs_btf], Trace;
    "fsession.s+", TRACING, A::TRACE_FSESSION, [needs_btf sleepable], Trace;
    "fsession.multi+", TRACING, A::TRACE_FSESSION_MULTI, [], TracingMulti;
    "fsession.multi.s+", TRACING, A::TRACE_FSESSION_MULTI, [sleepable], TracingMulti;
    "fentry.multi+", TRACING, A::TRACE_FENTRY_MULTI, [], TracingMulti;
    "fexit.multi+", TRACING, A::TRACE_FEXIT_MULTI, [], TracingMulti;
    "fentry.multi.s+", TRACING, A::TRACE_FENTRY_MULTI, [sleepable], TracingMulti;
    "fexit.multi.s+", TRACING, A::TRACE_FEXIT_MULTI, [sleepable], TracingMulti;
    "freplace+", EXT, NONE, [needs_btf], Trace;
    "lsm+", LSM, A::LSM_MAC, [needs_btf], Lsm;
    "lsm.s+", LSM, A::LSM_MAC, [needs_btf sleepable], Lsm;
    "lsm_cgroup+", LSM, A::LSM_CGROUP, [needs_btf];
    "iter+", TRACING, A::TRACE_ITER, [needs_btf], Iter;
    "iter.s+", TRACING, A::TRACE_ITER, [needs_btf sleepable], Iter;
    "syscall", SYSCALL, NONE, [sleepable];
    "xdp.frags/devmap", XDP, A::XDP_DEVMAP, [frags];
    "xdp/devmap", XDP, A::XDP_DEVMAP, [attachable];
    "xdp.frags/cpumap", XDP, A::XDP_CPUMAP, [frags];
    "xdp/cpumap", XDP, A::XDP_CPUMAP, [attachable];
    "xdp.frags", XDP, A::XDP, [frags];
    "xdp", XDP, A::XDP, [attachable attach_type_optional];
    "perf_event", PERF_EVENT, NONE, [];
    "lwt_in", LWT_IN, NONE, [];
    "lwt_out", LWT_OUT, NONE, [];
    "lwt_xmit", LWT_XMIT, NONE, [];
    "lwt_seg6local", LWT_SEG6LOCAL, NONE, [];
    "sockops", SOCK_OPS, A::CGROUP_SOCK_OPS, [attachable attach_type_optional];
    "sk_skb/stream_parser", SK_SKB, A::SK_SKB_STREAM_PARSER, [attachable attach_type_optional];
    "sk_skb/stream_verdict", SK_SKB, A::SK_SKB_STREAM_VERDICT, [attachable attach_type_optional];
    "sk_skb/verdict", SK_SKB, A::SK_SKB_VERDICT, [attachable attach_type_optional];
    "sk_skb", SK_SKB, NONE, [];
    "sk_msg", SK_MSG, A::SK_MSG_VERDICT, [attachable attach_type_optional];
    "lirc_mode2", LIRC_MODE2, A::LIRC_MODE2, [attachable attach_type_optional];
    "flow_dissector", FLOW_DISSECTOR, A::FLOW_DISSECTOR, [attachable attach_type_optional];
    "cgroup_skb/ingress", CGROUP_SKB, A::CGROUP_INET_INGRESS, [attachable attach_type_optional];
    "cgroup_skb/egress", CGROUP_SKB, A::CGROUP_INET_EGRESS, [attachable attach_type_optional];
    "cgroup/skb", CGROUP_SKB, NONE, [];
    "cgroup/sock_create", CGROUP_SOCK, A::CGROUP_INET_SOCK_CREATE, [attachable];
    "cgroup/sock_release", CGROUP_SOCK, A::CGROUP_INET_SOCK_RELEASE, [attachable];
    "cgroup/sock", CGROUP_SOCK, A::CGROUP_INET_SOCK_CREATE, [attachable attach_type_optional];
    "cgroup/post_bind4", CGROUP_SOCK, A::CGROUP_INET4_POST_BIND, [attachable];
    "cgroup/post_bind6", CGROUP_SOCK, A::CGROUP_INET6_POST_BIND, [attachable];
    "cgroup/bind4", CGROUP_SOCK_ADDR, A::CGROUP_INET4_BIND, [attachable];
    "cgroup/bind6", CGROUP_SOCK_ADDR, A::CGROUP_INET6_BIND, [attachable];
    "cgroup/connect4", CGROUP_SOCK_ADDR, A::CGROUP_INET4_CONNECT, [attachable];
    "cgroup/connect6", CGROUP_SOCK_ADDR, A::CGROUP_INET6_CONNECT, [attachable];
    "cgroup/connect_unix", CGROUP_SOCK_ADDR, A::CGROUP_UNIX_CONNECT, [attachable];
    "cgroup/sendmsg4", CGROUP_SOCK_ADDR, A::CGROUP_UDP4_SENDMSG, [attachable];
    "cgroup/sendmsg6", CGROUP_SOCK_ADDR, A::CGROUP_UDP6_SENDMSG, [attachable];
    "cgroup/sendmsg_unix", CGROUP_SOCK_ADDR, A::CGROUP_UNIX_SENDMSG, [attachable];
    "cgroup/recvmsg4", CGROUP_SOCK_ADDR, A::CGROUP_UDP4_RECVMSG, [attachable];
    "cgroup/recvmsg6", CGROUP_SOCK_ADDR, A::CGROUP_UDP6_RECVMSG, [attachable];
    "cgroup/recvmsg_unix", CGROUP_SOCK_ADDR, A::CGROUP_UNIX_RECVMSG, [attachable];
    "cgroup/getpeername4", CGROUP_SOCK_ADDR, A::CGROUP_INET4_GETPEERNAME, [attachable];
    "cgroup/getpeername6", CGROUP_SOCK_ADDR, A::CGROUP_INET6_GETPEERNAME, [attachable];
    "cgroup/getpeername_unix", CGROUP_SOCK_ADDR, A::CGROUP_UNIX_GETPEERNAME, [attachable];
    "cgroup/getsockname4", CGROUP_SOCK_ADDR, A::CGROUP_INET4_GETSOCKNAME, [attachable];
    "cgroup/getsockname6", CGROUP_SOCK_ADDR, A::CGROUP_INET6_GETSOCKNAME, [attachable];
    "cgroup/getsockname_unix", CGROUP_SOCK_ADDR, A::CGROUP_UNIX_GETSOCKNAME, [attachable];
    "cgroup/sysctl", CGROUP_SYSCTL, A::CGROUP_SYSCTL, [attachable];
    "cgroup/getsockopt", CGROUP_SOCKOPT, A::CGROUP_GETSOCKOPT, [attachable];
    "cgroup/setsockopt", CGROUP_SOCKOPT, A::CGROUP_SETSOCKOPT, [attachable];
    "cgroup/dev", CGROUP_DEVICE, A::CGROUP_DEVICE, [attachable attach_type_optional];
    "struct_ops+", STRUCT_OPS, NONE, [];
    "struct_ops.s+", STRUCT_OPS, NONE, [sleepable];
    "sk_lookup", SK_LOOKUP, A::SK_LOOKUP, [attachable];
    "netfilter", NETFILTER, A::NETFILTER, [];
}

impl SecDef {
    /// Whether a section of this name (without `?`) is of the kind.
    #[must_use]
    pub fn matches(&self, section: &str) -> bool {
        if let Some(word) = self.pattern.strip_suffix('+') {
            let rest = section.strip_prefix(word);
            return rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        }
        if self.pattern.ends_with('/') {
            return section.starts_with(self.pattern);
        }
        section == self.pattern
    }

    /// The kind of a section by its name, without `?`.
    #[must_use]
    pub fn find(section: &str) -> Option<&'static Self> {
        SEC_DEFS.iter().find(|def| def.matches(section))
    }

    /// Names that mean something and are like this one, which does not: at most three, best
    /// first, each with what follows the first `/` where it takes that.
    #[must_use]
    pub fn near(section: &str) -> Vec<String> {
        let (word, target) = match section.split_once('/') {
            Some((word, target)) => (word, Some(target)),
            None => (section, None),
        };
        let named = |def: &Self| match (def.pattern.strip_suffix('+'), target) {
            (Some(known), Some(target)) if known != word => format!("{known}/{target}"),
            (Some(known), _) => known.to_owned(),
            (None, _) => def.pattern.to_owned(),
        };
        let names: Vec<String> = SEC_DEFS.iter().map(named).collect();
        super::error::nearest(section, names.iter().map(String::as_str))
    }
}

#[cfg(test)]
mod tests;
