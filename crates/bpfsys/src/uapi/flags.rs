//! Flag words. Bits this crate does not know are kept, not dropped.

use bitflags::bitflags;

/// Defines a flag set that keeps unknown bits.
macro_rules! flags {
    ($(
        $(#[$meta:meta])*
        $name:ident: $bits:ty {
            $( $(#[$fmeta:ident $($args:tt)*])* $flag:ident = $value:expr; )*
        }
    )*) => {
        $(
            bitflags! {
                $(#[$meta])*
                #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
                pub struct $name: $bits {
                    $( $(#[$fmeta $($args)*])* const $flag = $value; )*
                    const _ = !0;
                }
            }
        )*
    };
}

flags! {
    /// `map_flags` of MAP_CREATE and of map information; also the open flags of map fds and
    /// `file_flags` of OBJ_GET.
    MapFlags: u32 {
        /// Allocate elements when they are inserted. Linux 4.6.
        #[doc(alias = "BPF_F_NO_PREALLOC")]
        NO_PREALLOC = 1 << 0;
        /// One LRU list per CPU. Linux 4.10.
        #[doc(alias = "BPF_F_NO_COMMON_LRU")]
        NO_COMMON_LRU = 1 << 1;
        /// `numa_node` is set. Linux 4.14.
        #[doc(alias = "BPF_F_NUMA_NODE")]
        NUMA_NODE = 1 << 2;
        /// Read-only from system calls. Linux 4.15.
        #[doc(alias = "BPF_F_RDONLY")]
        RDONLY = 1 << 3;
        /// Write-only from system calls. Linux 4.15.
        #[doc(alias = "BPF_F_WRONLY")]
        WRONLY = 1 << 4;
        /// Stack maps store build ids and offsets. Linux 4.17.
        #[doc(alias = "BPF_F_STACK_BUILD_ID")]
        STACK_BUILD_ID = 1 << 5;
        /// Hash seed of zero, for tests. Linux 5.0.
        #[doc(alias = "BPF_F_ZERO_SEED")]
        ZERO_SEED = 1 << 6;
        /// Read-only from programs. Linux 5.2.
        #[doc(alias = "BPF_F_RDONLY_PROG")]
        RDONLY_PROG = 1 << 7;
        /// Write-only from programs. Linux 5.2.
        #[doc(alias = "BPF_F_WRONLY_PROG")]
        WRONLY_PROG = 1 << 8;
        /// Socket storage is copied to accepted sockets. Linux 5.4.
        #[doc(alias = "BPF_F_CLONE")]
        CLONE = 1 << 9;
        /// The map's memory can be mapped. Linux 5.5.
        #[doc(alias = "BPF_F_MMAPABLE")]
        MMAPABLE = 1 << 10;
        /// Perf events stay when the fd that inserted them closes. Linux 5.10.
        #[doc(alias = "BPF_F_PRESERVE_ELEMS")]
        PRESERVE_ELEMS = 1 << 11;
        /// An inner map may differ in `max_entries`. Linux 5.10.
        #[doc(alias = "BPF_F_INNER_MAP")]
        INNER_MAP = 1 << 12;
        /// A struct_ops map that is registered by a link. Linux 6.4.
        #[doc(alias = "BPF_F_LINK")]
        LINK = 1 << 13;
        /// `path_fd` is set (OBJ_PIN and OBJ_GET only). Linux 6.5.
        #[doc(alias = "BPF_F_PATH_FD")]
        PATH_FD = 1 << 14;
        /// `value_type_btf_obj_fd` is set. Linux 6.9.
        #[doc(alias = "BPF_F_VTYPE_BTF_OBJ_FD")]
        VTYPE_BTF_OBJ_FD = 1 << 15;
        /// The token fd field is set. Linux 6.9.
        #[doc(alias = "BPF_F_TOKEN_FD")]
        TOKEN_FD = 1 << 16;
        /// Arena: a fault on an absent page is a signal. Linux 6.9.
        #[doc(alias = "BPF_F_SEGV_ON_FAULT")]
        SEGV_ON_FAULT = 1 << 17;
        /// Arena: pointers are not translated to user addresses. Linux 6.9.
        #[doc(alias = "BPF_F_NO_USER_CONV")]
        NO_USER_CONV = 1 << 18;
        /// Ring buffer: overwrite the oldest records. Linux 6.19.
        #[doc(alias = "BPF_F_RB_OVERWRITE")]
        RB_OVERWRITE = 1 << 19;
    }

    /// Flags of element and batch commands. The upper 32 bits are the CPU number that goes with
    /// [`CPU`](Self::CPU).
    ElemFlags: u64 {
        /// Create only: EEXIST when the key is there.
        #[doc(alias = "BPF_NOEXIST")]
        NOEXIST = 1;
        /// Replace only: ENOENT when the key is not there.
        #[doc(alias = "BPF_EXIST")]
        EXIST = 2;
        /// Copy under the value's spin lock. Linux 5.1.
        #[doc(alias = "BPF_F_LOCK")]
        LOCK = 4;
        /// One CPU's value of a per-CPU map. Linux 7.0.
        #[doc(alias = "BPF_F_CPU")]
        CPU = 8;
        /// The same value for all CPUs of a per-CPU map (updates). Linux 7.0.
        #[doc(alias = "BPF_F_ALL_CPUS")]
        ALL_CPUS = 16;
    }

    /// `prog_flags` of PROG_LOAD.
    ProgLoadFlags: u32 {
        /// Check alignment as strictly as the strictest architecture. Linux 4.12.
        #[doc(alias = "BPF_F_STRICT_ALIGNMENT")]
        STRICT_ALIGNMENT = 1 << 0;
        /// Check no alignment. Linux 5.0.
        #[doc(alias = "BPF_F_ANY_ALIGNMENT")]
        ANY_ALIGNMENT = 1 << 1;
        /// Verifier test. Linux 5.3.
        #[doc(alias = "BPF_F_TEST_RND_HI32")]
        TEST_RND_HI32 = 1 << 2;
        /// Verifier test. Linux 5.4.
        #[doc(alias = "BPF_F_TEST_STATE_FREQ")]
        TEST_STATE_FREQ = 1 << 3;
        /// The program may sleep. Linux 5.10.
        #[doc(alias = "BPF_F_SLEEPABLE")]
        SLEEPABLE = 1 << 4;
        /// An XDP program that handles fragments. Linux 5.18.
        #[doc(alias = "BPF_F_XDP_HAS_FRAGS")]
        XDP_HAS_FRAGS = 1 << 5;
        /// Bound to a device, but not offloaded. Linux 6.3.
        #[doc(alias = "BPF_F_XDP_DEV_BOUND_ONLY")]
        XDP_DEV_BOUND_ONLY = 1 << 6;
        /// Verifier test. Linux 6.8.
        #[doc(alias = "BPF_F_TEST_REG_INVARIANTS")]
        TEST_REG_INVARIANTS = 1 << 7;
        /// `prog_token_fd` is set. Linux 6.9.
        #[doc(alias = "BPF_F_TOKEN_FD")]
        TOKEN_FD = 1 << 16;
    }

    /// Flags of BTF_LOAD.
    BtfLoadFlags: u32 {
        /// `btf_token_fd` is set. Linux 6.9.
        #[doc(alias = "BPF_F_TOKEN_FD")]
        TOKEN_FD = 1 << 16;
    }

    /// Flags of the *_GET_FD_BY_ID commands; MAP_GET_FD_BY_ID takes `RDONLY` and `WRONLY`.
    OpenFlags: u32 {
        /// Read-only from system calls. Linux 4.15.
        #[doc(alias = "BPF_F_RDONLY")]
        RDONLY = 1 << 3;
        /// Write-only from system calls. Linux 4.15.
        #[doc(alias = "BPF_F_WRONLY")]
        WRONLY = 1 << 4;
        /// The token fd field is set. Linux 6.9.
        #[doc(alias = "BPF_F_TOKEN_FD")]
        TOKEN_FD = 1 << 16;
    }

    /// Flags of PROG_ATTACH, PROG_DETACH and LINK_CREATE, and what PROG_QUERY reports.
    AttachFlags: u32 {
        /// A descendant's program replaces this one. Linux 4.10.
        #[doc(alias = "BPF_F_ALLOW_OVERRIDE")]
        ALLOW_OVERRIDE = 1 << 0;
        /// A descendant's programs run too. Linux 4.15.
        #[doc(alias = "BPF_F_ALLOW_MULTI")]
        ALLOW_MULTI = 1 << 1;
        /// Replace a given program. Linux 5.6.
        #[doc(alias = "BPF_F_REPLACE")]
        REPLACE = 1 << 2;
        /// Before the relative program. Linux 6.6.
        #[doc(alias = "BPF_F_BEFORE")]
        BEFORE = 1 << 3;
        /// After the relative program. Linux 6.6.
        #[doc(alias = "BPF_F_AFTER")]
        AFTER = 1 << 4;
        /// The relative object is given by id, not fd. Linux 6.6.
        #[doc(alias = "BPF_F_ID")]
        ID = 1 << 5;
        /// Runs before the descendants' programs. Linux 6.15.
        #[doc(alias = "BPF_F_PREORDER")]
        PREORDER = 1 << 6;
        /// The relative object is a link, not a program. Linux 6.6.
        #[doc(alias = "BPF_F_LINK")]
        LINK = 1 << 13;
    }

    /// Flags of PROG_QUERY.
    QueryFlags: u32 {
        /// Programs that run here, inherited ones included. Linux 4.15.
        #[doc(alias = "BPF_F_QUERY_EFFECTIVE")]
        EFFECTIVE = 1 << 0;
    }

    /// Flags of PROG_TEST_RUN.
    TestRunFlags: u32 {
        /// Run on the given CPU. Linux 5.10.
        #[doc(alias = "BPF_F_TEST_RUN_ON_CPU")]
        RUN_ON_CPU = 1 << 0;
        /// Send the frames an XDP program passes on. Linux 5.18.
        #[doc(alias = "BPF_F_TEST_XDP_LIVE_FRAMES")]
        XDP_LIVE_FRAMES = 1 << 1;
        /// Set and validate the packet's complete checksum. Linux 6.12.
        #[doc(alias = "BPF_F_TEST_SKB_CHECKSUM_COMPLETE")]
        SKB_CHECKSUM_COMPLETE = 1 << 2;
    }

    /// Flags of a kprobe_multi link.
    KprobeMultiFlags: u32 {
        /// Run when the functions return.
        #[doc(alias = "BPF_F_KPROBE_MULTI_RETURN")]
        RETURN = 1 << 0;
    }

    /// Flags of a uprobe_multi link.
    UprobeMultiFlags: u32 {
        /// Run when the functions return.
        #[doc(alias = "BPF_F_UPROBE_MULTI_RETURN")]
        RETURN = 1 << 0;
        /// The file is given by fd. Linux 7.2.
        #[doc(alias = "BPF_F_UPROBE_MULTI_PATH_FD")]
        PATH_FD = 1 << 1;
    }

    /// Flags of a netfilter link.
    NetfilterFlags: u32 {
        /// Defragment packets first. Linux 6.6.
        #[doc(alias = "BPF_F_NETFILTER_IP_DEFRAG")]
        IP_DEFRAG = 1 << 0;
    }
}

impl ElemFlags {
    /// The flags that select one CPU's value of a per-CPU map.
    #[must_use]
    pub const fn on_cpu(cpu: u32) -> Self {
        Self::from_bits_retain(((cpu as u64) << 32) | Self::CPU.bits())
    }
}

/// `BPF_COMMON_ATTRS`: set in the command number when the call has the two arguments for
/// [`CommonAttr`](super::attr::CommonAttr). Linux 7.2.
#[doc(alias = "BPF_COMMON_ATTRS")]
pub const COMMON_ATTRS: u32 = 1 << 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_bits_survive() {
        assert_eq!(MapFlags::from_bits_retain(1 << 31).bits(), 1 << 31);
        assert_eq!(
            (MapFlags::RDONLY | MapFlags::from_bits_retain(1 << 30)).bits(),
            (1 << 30) | 8
        );
        assert_eq!(ElemFlags::on_cpu(3).bits(), (3 << 32) | 8);
    }
}
