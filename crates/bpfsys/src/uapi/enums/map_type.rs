//! Map types and what follows from them.

use super::open_enum;

open_enum! {
    /// Type of a BPF map (`enum bpf_map_type`).
    MapType {
        UNSPEC = 0, "BPF_MAP_TYPE_UNSPEC", "unspec", (3, 18);
        HASH = 1, "BPF_MAP_TYPE_HASH", "hash", (3, 19);
        ARRAY = 2, "BPF_MAP_TYPE_ARRAY", "array", (3, 19);
        PROG_ARRAY = 3, "BPF_MAP_TYPE_PROG_ARRAY", "prog_array", (4, 2);
        PERF_EVENT_ARRAY = 4, "BPF_MAP_TYPE_PERF_EVENT_ARRAY", "perf_event_array", (4, 3);
        PERCPU_HASH = 5, "BPF_MAP_TYPE_PERCPU_HASH", "percpu_hash", (4, 6);
        PERCPU_ARRAY = 6, "BPF_MAP_TYPE_PERCPU_ARRAY", "percpu_array", (4, 6);
        STACK_TRACE = 7, "BPF_MAP_TYPE_STACK_TRACE", "stack_trace", (4, 6);
        CGROUP_ARRAY = 8, "BPF_MAP_TYPE_CGROUP_ARRAY", "cgroup_array", (4, 8);
        LRU_HASH = 9, "BPF_MAP_TYPE_LRU_HASH", "lru_hash", (4, 10);
        LRU_PERCPU_HASH = 10, "BPF_MAP_TYPE_LRU_PERCPU_HASH", "lru_percpu_hash", (4, 10);
        LPM_TRIE = 11, "BPF_MAP_TYPE_LPM_TRIE", "lpm_trie", (4, 11);
        ARRAY_OF_MAPS = 12, "BPF_MAP_TYPE_ARRAY_OF_MAPS", "array_of_maps", (4, 12);
        HASH_OF_MAPS = 13, "BPF_MAP_TYPE_HASH_OF_MAPS", "hash_of_maps", (4, 12);
        DEVMAP = 14, "BPF_MAP_TYPE_DEVMAP", "devmap", (4, 14);
        SOCKMAP = 15, "BPF_MAP_TYPE_SOCKMAP", "sockmap", (4, 14);
        CPUMAP = 16, "BPF_MAP_TYPE_CPUMAP", "cpumap", (4, 15);
        XSKMAP = 17, "BPF_MAP_TYPE_XSKMAP", "xskmap", (4, 18);
        SOCKHASH = 18, "BPF_MAP_TYPE_SOCKHASH", "sockhash", (4, 18);
        CGROUP_STORAGE = 19, "BPF_MAP_TYPE_CGROUP_STORAGE", "cgroup_storage", (4, 19);
        REUSEPORT_SOCKARRAY = 20, "BPF_MAP_TYPE_REUSEPORT_SOCKARRAY", "reuseport_sockarray", (4, 19);
        PERCPU_CGROUP_STORAGE = 21, "BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE", "percpu_cgroup_storage", (4, 20);
        QUEUE = 22, "BPF_MAP_TYPE_QUEUE", "queue", (4, 20);
        STACK = 23, "BPF_MAP_TYPE_STACK", "stack", (4, 20);
        SK_STORAGE = 24, "BPF_MAP_TYPE_SK_STORAGE", "sk_storage", (5, 2);
        DEVMAP_HASH = 25, "BPF_MAP_TYPE_DEVMAP_HASH", "devmap_hash", (5, 4);
        STRUCT_OPS = 26, "BPF_MAP_TYPE_STRUCT_OPS", "struct_ops", (5, 6);
        RINGBUF = 27, "BPF_MAP_TYPE_RINGBUF", "ringbuf", (5, 8);
        INODE_STORAGE = 28, "BPF_MAP_TYPE_INODE_STORAGE", "inode_storage", (5, 10);
        TASK_STORAGE = 29, "BPF_MAP_TYPE_TASK_STORAGE", "task_storage", (5, 11);
        BLOOM_FILTER = 30, "BPF_MAP_TYPE_BLOOM_FILTER", "bloom_filter", (5, 16);
        USER_RINGBUF = 31, "BPF_MAP_TYPE_USER_RINGBUF", "user_ringbuf", (6, 1);
        CGRP_STORAGE = 32, "BPF_MAP_TYPE_CGRP_STORAGE", "cgrp_storage", (6, 2);
        ARENA = 33, "BPF_MAP_TYPE_ARENA", "arena", (6, 9);
        INSN_ARRAY = 34, "BPF_MAP_TYPE_INSN_ARRAY", "insn_array", (6, 19);
        RHASH = 35, "BPF_MAP_TYPE_RHASH", "rhash", (7, 2);
    }
}

impl MapType {
    /// One value per possible CPU: lookups and updates move the values of all CPUs at once.
    #[must_use]
    pub const fn is_per_cpu(self) -> bool {
        matches!(
            self,
            Self::PERCPU_HASH
                | Self::PERCPU_ARRAY
                | Self::LRU_PERCPU_HASH
                | Self::PERCPU_CGROUP_STORAGE
        )
    }

    /// Values are other maps: an fd when written, an id when read.
    #[must_use]
    pub const fn is_map_of_maps(self) -> bool {
        matches!(self, Self::ARRAY_OF_MAPS | Self::HASH_OF_MAPS)
    }

    /// Values are programs: an fd when written, an id when read.
    #[must_use]
    pub const fn is_map_of_progs(self) -> bool {
        matches!(self, Self::PROG_ARRAY)
    }

    /// Values are file descriptors when written, whatever they read back as.
    #[must_use]
    pub const fn is_fd_map(self) -> bool {
        self.is_map_of_maps()
            || matches!(
                self,
                Self::PROG_ARRAY | Self::PERF_EVENT_ARRAY | Self::CGROUP_ARRAY
            )
    }

    /// Elements have no key: `queue`, `stack`, `bloom_filter`.
    #[must_use]
    pub const fn is_keyless(self) -> bool {
        matches!(self, Self::QUEUE | Self::STACK | Self::BLOOM_FILTER)
    }

    /// A hash table with keys chosen by the user.
    #[must_use]
    pub const fn is_hash(self) -> bool {
        matches!(
            self,
            Self::HASH
                | Self::PERCPU_HASH
                | Self::LRU_HASH
                | Self::LRU_PERCPU_HASH
                | Self::HASH_OF_MAPS
                | Self::RHASH
        )
    }

    /// Storage that hangs off another kernel object and is keyed by an fd of it.
    #[must_use]
    pub const fn is_local_storage(self) -> bool {
        matches!(
            self,
            Self::SK_STORAGE | Self::INODE_STORAGE | Self::TASK_STORAGE | Self::CGRP_STORAGE
        )
    }
}
