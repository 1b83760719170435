//! Program types.

use super::open_enum;

open_enum! {
    /// Type of a BPF program (`enum bpf_prog_type`).
    ProgType {
        UNSPEC = 0, "BPF_PROG_TYPE_UNSPEC", "unspec", (3, 18);
        SOCKET_FILTER = 1, "BPF_PROG_TYPE_SOCKET_FILTER", "socket_filter", (3, 19);
        KPROBE = 2, "BPF_PROG_TYPE_KPROBE", "kprobe", (4, 1);
        SCHED_CLS = 3, "BPF_PROG_TYPE_SCHED_CLS", "sched_cls", (4, 1);
        SCHED_ACT = 4, "BPF_PROG_TYPE_SCHED_ACT", "sched_act", (4, 1);
        TRACEPOINT = 5, "BPF_PROG_TYPE_TRACEPOINT", "tracepoint", (4, 7);
        XDP = 6, "BPF_PROG_TYPE_XDP", "xdp", (4, 8);
        PERF_EVENT = 7, "BPF_PROG_TYPE_PERF_EVENT", "perf_event", (4, 9);
        CGROUP_SKB = 8, "BPF_PROG_TYPE_CGROUP_SKB", "cgroup_skb", (4, 10);
        CGROUP_SOCK = 9, "BPF_PROG_TYPE_CGROUP_SOCK", "cgroup_sock", (4, 10);
        LWT_IN = 10, "BPF_PROG_TYPE_LWT_IN", "lwt_in", (4, 10);
        LWT_OUT = 11, "BPF_PROG_TYPE_LWT_OUT", "lwt_out", (4, 10);
        LWT_XMIT = 12, "BPF_PROG_TYPE_LWT_XMIT", "lwt_xmit", (4, 10);
        SOCK_OPS = 13, "BPF_PROG_TYPE_SOCK_OPS", "sock_ops", (4, 13);
        SK_SKB = 14, "BPF_PROG_TYPE_SK_SKB", "sk_skb", (4, 14);
        CGROUP_DEVICE = 15, "BPF_PROG_TYPE_CGROUP_DEVICE", "cgroup_device", (4, 15);
        SK_MSG = 16, "BPF_PROG_TYPE_SK_MSG", "sk_msg", (4, 17);
        RAW_TRACEPOINT = 17, "BPF_PROG_TYPE_RAW_TRACEPOINT", "raw_tracepoint", (4, 17);
        CGROUP_SOCK_ADDR = 18, "BPF_PROG_TYPE_CGROUP_SOCK_ADDR", "cgroup_sock_addr", (4, 17);
        LWT_SEG6LOCAL = 19, "BPF_PROG_TYPE_LWT_SEG6LOCAL", "lwt_seg6local", (4, 18);
        LIRC_MODE2 = 20, "BPF_PROG_TYPE_LIRC_MODE2", "lirc_mode2", (4, 18);
        SK_REUSEPORT = 21, "BPF_PROG_TYPE_SK_REUSEPORT", "sk_reuseport", (4, 19);
        FLOW_DISSECTOR = 22, "BPF_PROG_TYPE_FLOW_DISSECTOR", "flow_dissector", (4, 20);
        CGROUP_SYSCTL = 23, "BPF_PROG_TYPE_CGROUP_SYSCTL", "cgroup_sysctl", (5, 2);
        RAW_TRACEPOINT_WRITABLE = 24, "BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE", "raw_tracepoint_writable", (5, 2);
        CGROUP_SOCKOPT = 25, "BPF_PROG_TYPE_CGROUP_SOCKOPT", "cgroup_sockopt", (5, 3);
        TRACING = 26, "BPF_PROG_TYPE_TRACING", "tracing", (5, 5);
        STRUCT_OPS = 27, "BPF_PROG_TYPE_STRUCT_OPS", "struct_ops", (5, 6);
        EXT = 28, "BPF_PROG_TYPE_EXT", "ext", (5, 6);
        LSM = 29, "BPF_PROG_TYPE_LSM", "lsm", (5, 7);
        SK_LOOKUP = 30, "BPF_PROG_TYPE_SK_LOOKUP", "sk_lookup", (5, 9);
        SYSCALL = 31, "BPF_PROG_TYPE_SYSCALL", "syscall", (5, 14);
        NETFILTER = 32, "BPF_PROG_TYPE_NETFILTER", "netfilter", (6, 4);
    }
}
