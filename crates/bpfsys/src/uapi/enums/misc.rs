//! The small enumerations.

use super::open_enum;

open_enum! {
    /// What kind of event a perf-event link sits on (`enum bpf_perf_event_type`).
    PerfEventType {
        UNSPEC = 0, "BPF_PERF_EVENT_UNSPEC", "unspec", (6, 6);
        UPROBE = 1, "BPF_PERF_EVENT_UPROBE", "uprobe", (6, 6);
        URETPROBE = 2, "BPF_PERF_EVENT_URETPROBE", "uretprobe", (6, 6);
        KPROBE = 3, "BPF_PERF_EVENT_KPROBE", "kprobe", (6, 6);
        KRETPROBE = 4, "BPF_PERF_EVENT_KRETPROBE", "kretprobe", (6, 6);
        TRACEPOINT = 5, "BPF_PERF_EVENT_TRACEPOINT", "tracepoint", (6, 6);
        EVENT = 6, "BPF_PERF_EVENT_EVENT", "event", (6, 6);
    }
}

open_enum! {
    /// What a process's fd is attached to, as told by TASK_FD_QUERY (`enum bpf_task_fd_type`).
    TaskFdType {
        RAW_TRACEPOINT = 0, "BPF_FD_TYPE_RAW_TRACEPOINT", "raw_tracepoint", (4, 18);
        TRACEPOINT = 1, "BPF_FD_TYPE_TRACEPOINT", "tracepoint", (4, 18);
        KPROBE = 2, "BPF_FD_TYPE_KPROBE", "kprobe", (4, 18);
        KRETPROBE = 3, "BPF_FD_TYPE_KRETPROBE", "kretprobe", (4, 18);
        UPROBE = 4, "BPF_FD_TYPE_UPROBE", "uprobe", (4, 18);
        URETPROBE = 5, "BPF_FD_TYPE_URETPROBE", "uretprobe", (4, 18);
    }
}

open_enum! {
    /// Walk order of a cgroup iterator (`enum bpf_cgroup_iter_order`).
    CgroupIterOrder {
        UNSPEC = 0, "BPF_CGROUP_ITER_ORDER_UNSPEC", "order_unspec", (6, 1);
        SELF_ONLY = 1, "BPF_CGROUP_ITER_SELF_ONLY", "self_only", (6, 1);
        DESCENDANTS_PRE = 2, "BPF_CGROUP_ITER_DESCENDANTS_PRE", "descendants_pre", (6, 1);
        DESCENDANTS_POST = 3, "BPF_CGROUP_ITER_DESCENDANTS_POST", "descendants_post", (6, 1);
        ANCESTORS_UP = 4, "BPF_CGROUP_ITER_ANCESTORS_UP", "ancestors_up", (6, 1);
        CHILDREN = 5, "BPF_CGROUP_ITER_CHILDREN", "children", (7, 0);
    }
}

open_enum! {
    /// Which statistics ENABLE_STATS switches on (`enum bpf_stats_type`).
    StatsType {
        RUN_TIME = 0, "BPF_STATS_RUN_TIME", "run_time", (5, 8);
    }
}

open_enum! {
    /// Output stream of a program.
    StreamId {
        STDOUT = 1, "BPF_STREAM_STDOUT", "stdout", (6, 17);
        STDERR = 2, "BPF_STREAM_STDERR", "stderr", (6, 17);
    }
}

open_enum! {
    /// State of one entry of a stack map that stores build ids
    /// (`enum bpf_stack_build_id_status`).
    StackBuildIdStatus {
        EMPTY = 0, "BPF_STACK_BUILD_ID_EMPTY", "empty", (4, 17);
        VALID = 1, "BPF_STACK_BUILD_ID_VALID", "valid", (4, 17);
        IP = 2, "BPF_STACK_BUILD_ID_IP", "ip", (4, 17);
    }
}

open_enum! {
    /// What a CO-RE relocation asks about its target (`enum bpf_core_relo_kind`).
    CoreReloKind {
        FIELD_BYTE_OFFSET = 0, "BPF_CORE_FIELD_BYTE_OFFSET", "field_byte_offset", (5, 17);
        FIELD_BYTE_SIZE = 1, "BPF_CORE_FIELD_BYTE_SIZE", "field_byte_size", (5, 17);
        FIELD_EXISTS = 2, "BPF_CORE_FIELD_EXISTS", "field_exists", (5, 17);
        FIELD_SIGNED = 3, "BPF_CORE_FIELD_SIGNED", "field_signed", (5, 17);
        FIELD_LSHIFT_U64 = 4, "BPF_CORE_FIELD_LSHIFT_U64", "field_lshift_u64", (5, 17);
        FIELD_RSHIFT_U64 = 5, "BPF_CORE_FIELD_RSHIFT_U64", "field_rshift_u64", (5, 17);
        TYPE_ID_LOCAL = 6, "BPF_CORE_TYPE_ID_LOCAL", "type_id_local", (5, 17);
        TYPE_ID_TARGET = 7, "BPF_CORE_TYPE_ID_TARGET", "type_id_target", (5, 17);
        TYPE_EXISTS = 8, "BPF_CORE_TYPE_EXISTS", "type_exists", (5, 17);
        TYPE_SIZE = 9, "BPF_CORE_TYPE_SIZE", "type_size", (5, 17);
        ENUMVAL_EXISTS = 10, "BPF_CORE_ENUMVAL_EXISTS", "enumval_exists", (5, 17);
        ENUMVAL_VALUE = 11, "BPF_CORE_ENUMVAL_VALUE", "enumval_value", (5, 17);
        TYPE_MATCHES = 12, "BPF_CORE_TYPE_MATCHES", "type_matches", (5, 19);
    }
}
