//! Attach types.

use super::open_enum;

open_enum! {
    /// Kind of hook a program attaches to (`enum bpf_attach_type`).
    AttachType {
        CGROUP_INET_INGRESS = 0, "BPF_CGROUP_INET_INGRESS", "cgroup_inet_ingress", (4, 10);
        CGROUP_INET_EGRESS = 1, "BPF_CGROUP_INET_EGRESS", "cgroup_inet_egress", (4, 10);
        CGROUP_INET_SOCK_CREATE = 2, "BPF_CGROUP_INET_SOCK_CREATE", "cgroup_inet_sock_create", (4, 10);
        CGROUP_SOCK_OPS = 3, "BPF_CGROUP_SOCK_OPS", "cgroup_sock_ops", (4, 13);
        SK_SKB_STREAM_PARSER = 4, "BPF_SK_SKB_STREAM_PARSER", "sk_skb_stream_parser", (4, 14);
        SK_SKB_STREAM_VERDICT = 5, "BPF_SK_SKB_STREAM_VERDICT", "sk_skb_stream_verdict", (4, 14);
        CGROUP_DEVICE = 6, "BPF_CGROUP_DEVICE", "cgroup_device", (4, 15);
        SK_MSG_VERDICT = 7, "BPF_SK_MSG_VERDICT", "sk_msg_verdict", (4, 17);
        CGROUP_INET4_BIND = 8, "BPF_CGROUP_INET4_BIND", "cgroup_inet4_bind", (4, 17);
        CGROUP_INET6_BIND = 9, "BPF_CGROUP_INET6_BIND", "cgroup_inet6_bind", (4, 17);
        CGROUP_INET4_CONNECT = 10, "BPF_CGROUP_INET4_CONNECT", "cgroup_inet4_connect", (4, 17);
        CGROUP_INET6_CONNECT = 11, "BPF_CGROUP_INET6_CONNECT", "cgroup_inet6_connect", (4, 17);
        CGROUP_INET4_POST_BIND = 12, "BPF_CGROUP_INET4_POST_BIND", "cgroup_inet4_post_bind", (4, 17);
        CGROUP_INET6_POST_BIND = 13, "BPF_CGROUP_INET6_POST_BIND", "cgroup_inet6_post_bind", (4, 17);
        CGROUP_UDP4_SENDMSG = 14, "BPF_CGROUP_UDP4_SENDMSG", "cgroup_udp4_sendmsg", (4, 18);
        CGROUP_UDP6_SENDMSG = 15, "BPF_CGROUP_UDP6_SENDMSG", "cgroup_udp6_sendmsg", (4, 18);
        LIRC_MODE2 = 16, "BPF_LIRC_MODE2", "lirc_mode2", (4, 18);
        FLOW_DISSECTOR = 17, "BPF_FLOW_DISSECTOR", "flow_dissector", (4, 20);
        CGROUP_SYSCTL = 18, "BPF_CGROUP_SYSCTL", "cgroup_sysctl", (5, 2);
        CGROUP_UDP4_RECVMSG = 19, "BPF_CGROUP_UDP4_RECVMSG", "cgroup_udp4_recvmsg", (5, 2);
        CGROUP_UDP6_RECVMSG = 20, "BPF_CGROUP_UDP6_RECVMSG", "cgroup_udp6_recvmsg", (5, 2);
        CGROUP_GETSOCKOPT = 21, "BPF_CGROUP_GETSOCKOPT", "cgroup_getsockopt", (5, 3);
        CGROUP_SETSOCKOPT = 22, "BPF_CGROUP_SETSOCKOPT", "cgroup_setsockopt", (5, 3);
        TRACE_RAW_TP = 23, "BPF_TRACE_RAW_TP", "trace_raw_tp", (5, 5);
        TRACE_FENTRY = 24, "BPF_TRACE_FENTRY", "trace_fentry", (5, 5);
        TRACE_FEXIT = 25, "BPF_TRACE_FEXIT", "trace_fexit", (5, 5);
        MODIFY_RETURN = 26, "BPF_MODIFY_RETURN", "modify_return", (5, 7);
        LSM_MAC = 27, "BPF_LSM_MAC", "lsm_mac", (5, 7);
        TRACE_ITER = 28, "BPF_TRACE_ITER", "trace_iter", (5, 8);
        CGROUP_INET4_GETPEERNAME = 29, "BPF_CGROUP_INET4_GETPEERNAME", "cgroup_inet4_getpeername", (5, 8);
        CGROUP_INET6_GETPEERNAME = 30, "BPF_CGROUP_INET6_GETPEERNAME", "cgroup_inet6_getpeername", (5, 8);
        CGROUP_INET4_GETSOCKNAME = 31, "BPF_CGROUP_INET4_GETSOCKNAME", "cgroup_inet4_getsockname", (5, 8);
        CGROUP_INET6_GETSOCKNAME = 32, "BPF_CGROUP_INET6_GETSOCKNAME", "cgroup_inet6_getsockname", (5, 8);
        XDP_DEVMAP = 33, "BPF_XDP_DEVMAP", "xdp_devmap", (5, 8);
        CGROUP_INET_SOCK_RELEASE = 34, "BPF_CGROUP_INET_SOCK_RELEASE", "cgroup_inet_sock_release", (5, 9);
        XDP_CPUMAP = 35, "BPF_XDP_CPUMAP", "xdp_cpumap", (5, 9);
        SK_LOOKUP = 36, "BPF_SK_LOOKUP", "sk_lookup", (5, 9);
        XDP = 37, "BPF_XDP", "xdp", (5, 9);
        SK_SKB_VERDICT = 38, "BPF_SK_SKB_VERDICT", "sk_skb_verdict", (5, 13);
        SK_REUSEPORT_SELECT = 39, "BPF_SK_REUSEPORT_SELECT", "sk_reuseport_select", (5, 14);
        SK_REUSEPORT_SELECT_OR_MIGRATE = 40, "BPF_SK_REUSEPORT_SELECT_OR_MIGRATE", "sk_reuseport_select_or_migrate", (5, 14);
        PERF_EVENT = 41, "BPF_PERF_EVENT", "perf_event", (5, 15);
        TRACE_KPROBE_MULTI = 42, "BPF_TRACE_KPROBE_MULTI", "trace_kprobe_multi", (5, 18);
        LSM_CGROUP = 43, "BPF_LSM_CGROUP", "lsm_cgroup", (6, 0);
        STRUCT_OPS = 44, "BPF_STRUCT_OPS", "struct_ops", (6, 4);
        NETFILTER = 45, "BPF_NETFILTER", "netfilter", (6, 4);
        TCX_INGRESS = 46, "BPF_TCX_INGRESS", "tcx_ingress", (6, 6);
        TCX_EGRESS = 47, "BPF_TCX_EGRESS", "tcx_egress", (6, 6);
        TRACE_UPROBE_MULTI = 48, "BPF_TRACE_UPROBE_MULTI", "trace_uprobe_multi", (6, 6);
        CGROUP_UNIX_CONNECT = 49, "BPF_CGROUP_UNIX_CONNECT", "cgroup_unix_connect", (6, 7);
        CGROUP_UNIX_SENDMSG = 50, "BPF_CGROUP_UNIX_SENDMSG", "cgroup_unix_sendmsg", (6, 7);
        CGROUP_UNIX_RECVMSG = 51, "BPF_CGROUP_UNIX_RECVMSG", "cgroup_unix_recvmsg", (6, 7);
        CGROUP_UNIX_GETPEERNAME = 52, "BPF_CGROUP_UNIX_GETPEERNAME", "cgroup_unix_getpeername", (6, 7);
        CGROUP_UNIX_GETSOCKNAME = 53, "BPF_CGROUP_UNIX_GETSOCKNAME", "cgroup_unix_getsockname", (6, 7);
        NETKIT_PRIMARY = 54, "BPF_NETKIT_PRIMARY", "netkit_primary", (6, 7);
        NETKIT_PEER = 55, "BPF_NETKIT_PEER", "netkit_peer", (6, 7);
        TRACE_KPROBE_SESSION = 56, "BPF_TRACE_KPROBE_SESSION", "trace_kprobe_session", (6, 10);
        TRACE_UPROBE_SESSION = 57, "BPF_TRACE_UPROBE_SESSION", "trace_uprobe_session", (6, 13);
        TRACE_FSESSION = 58, "BPF_TRACE_FSESSION", "trace_fsession", (7, 0);
        TRACE_FENTRY_MULTI = 59, "BPF_TRACE_FENTRY_MULTI", "trace_fentry_multi", (7, 2);
        TRACE_FEXIT_MULTI = 60, "BPF_TRACE_FEXIT_MULTI", "trace_fexit_multi", (7, 2);
        TRACE_FSESSION_MULTI = 61, "BPF_TRACE_FSESSION_MULTI", "trace_fsession_multi", (7, 2);
    }
}
