//! One structure per arm of `union bpf_attr`.
//!
//! Padding is spelled out, since the kernel insists that bytes it does not know are zero; the
//! derives refuse a structure with hidden padding. [`Attr::SIZE`] is what is passed to the call:
//! the offset just past the last field the command knows, not the size of the whole union.

#![allow(
    missing_debug_implementations,
    reason = "the zerocopy derives make hidden types, which the lint takes for ours in macros"
)]

use super::UserPtr;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Length of object names in the kernel, including the terminating zero.
pub const OBJ_NAME_LEN: usize = 16;

/// `sizeof(union bpf_attr)` of the newest kernel this crate knows.
pub const ATTR_UNION_SIZE: usize = 168;

/// An attribute structure: plain bytes with a known length for the kernel.
pub trait Attr: Copy + FromBytes + IntoBytes + Immutable + KnownLayout {
    /// Bytes to announce to the kernel; at most the size of the structure.
    const SIZE: u32;
}

macro_rules! attr {
    ($(
        $(#[$meta:meta])*
        $name:ident[$size:literal] {
            $( $(#[$fmeta:meta])* $field:ident: $ty:ty, )*
        }
    )*) => {$(
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
        #[repr(C)]
        #[expect(missing_docs, reason = "fields carry the kernel's names and meaning")]
        pub struct $name {
            $( $(#[$fmeta])* pub $field: $ty, )*
        }

        impl Attr for $name {
            const SIZE: u32 = $size;
        }

        const _: () = {
            assert!(size_of::<$name>() >= $size);
            assert!(size_of::<$name>() - $size < 8);
            assert!(size_of::<$name>() <= ATTR_UNION_SIZE);
        };
    )*};
}

attr! {
    /// For [`Cmd::MAP_CREATE`](super::enums::Cmd::MAP_CREATE).
    MapCreateAttr[92] {
        map_type: u32,
        key_size: u32,
        value_size: u32,
        max_entries: u32,
        map_flags: u32,
        inner_map_fd: u32,
        numa_node: u32,
        map_name: [u8; OBJ_NAME_LEN],
        map_ifindex: u32,
        btf_fd: u32,
        btf_key_type_id: u32,
        btf_value_type_id: u32,
        btf_vmlinux_value_type_id: u32,
        map_extra: u64,
        value_type_btf_obj_fd: i32,
        map_token_fd: i32,
        excl_prog_hash: UserPtr,
        excl_prog_hash_size: u32,
        pad: u32,
    }

    /// For the commands on one map element.
    MapElemAttr[32] {
        map_fd: u32,
        pad: u32,
        key: UserPtr,
        /// Also `next_key`.
        value: UserPtr,
        flags: u64,
    }

    /// For MAP_FREEZE.
    MapFreezeAttr[4] {
        map_fd: u32,
    }

    /// For the four batch commands.
    MapBatchAttr[56] {
        in_batch: UserPtr,
        out_batch: UserPtr,
        keys: UserPtr,
        values: UserPtr,
        /// In: capacity in elements. Out: elements moved.
        count: u32,
        map_fd: u32,
        elem_flags: u64,
        flags: u64,
    }

    /// For [`Cmd::PROG_LOAD`](super::enums::Cmd::PROG_LOAD).
    ProgLoadAttr[168] {
        prog_type: u32,
        insn_cnt: u32,
        insns: UserPtr,
        license: UserPtr,
        log_level: u32,
        log_size: u32,
        log_buf: UserPtr,
        kern_version: u32,
        prog_flags: u32,
        prog_name: [u8; OBJ_NAME_LEN],
        prog_ifindex: u32,
        expected_attach_type: u32,
        prog_btf_fd: u32,
        func_info_rec_size: u32,
        func_info: UserPtr,
        func_info_cnt: u32,
        line_info_rec_size: u32,
        line_info: UserPtr,
        line_info_cnt: u32,
        attach_btf_id: u32,
        /// Program fd, or BTF object fd, of the attach target.
        attach_fd: u32,
        core_relo_cnt: u32,
        fd_array: UserPtr,
        core_relos: UserPtr,
        core_relo_rec_size: u32,
        /// Out.
        log_true_size: u32,
        prog_token_fd: i32,
        fd_array_cnt: u32,
        signature: UserPtr,
        signature_size: u32,
        keyring_id: i32,
    }

    /// For OBJ_PIN and OBJ_GET.
    ObjAttr[20] {
        pathname: UserPtr,
        bpf_fd: u32,
        file_flags: u32,
        path_fd: i32,
        pad: u32,
    }

    /// For PROG_ATTACH and PROG_DETACH.
    ProgAttachAttr[32] {
        /// Fd or interface index.
        target: u32,
        attach_bpf_fd: u32,
        attach_type: u32,
        attach_flags: u32,
        replace_bpf_fd: u32,
        /// Fd or id, by `BPF_F_ID` in the flags.
        relative: u32,
        expected_revision: u64,
    }

    /// For PROG_TEST_RUN.
    ProgTestRunAttr[76] {
        prog_fd: u32,
        /// Out.
        retval: u32,
        data_size_in: u32,
        /// In and out.
        data_size_out: u32,
        data_in: UserPtr,
        data_out: UserPtr,
        repeat: u32,
        /// Out, nanoseconds per run.
        duration: u32,
        ctx_size_in: u32,
        /// In and out.
        ctx_size_out: u32,
        ctx_in: UserPtr,
        ctx_out: UserPtr,
        flags: u32,
        cpu: u32,
        batch_size: u32,
        pad: u32,
    }

    /// For the *_GET_NEXT_ID commands.
    NextIdAttr[8] {
        start_id: u32,
        /// Out.
        next_id: u32,
    }

    /// For the *_GET_FD_BY_ID commands.
    FdByIdAttr[16] {
        id: u32,
        next_id: u32,
        open_flags: u32,
        token_fd: i32,
    }

    /// For OBJ_GET_INFO_BY_FD.
    ObjGetInfoAttr[16] {
        bpf_fd: u32,
        /// In: bytes of the buffer. Out: bytes the kernel knows of it.
        info_len: u32,
        info: UserPtr,
    }

    /// For PROG_QUERY.
    ProgQueryAttr[64] {
        /// Fd or interface index.
        target: u32,
        attach_type: u32,
        query_flags: u32,
        /// Out.
        attach_flags: u32,
        prog_ids: UserPtr,
        /// In: capacity. Out: number of programs.
        count: u32,
        pad: u32,
        prog_attach_flags: UserPtr,
        link_ids: UserPtr,
        link_attach_flags: UserPtr,
        /// Out.
        revision: u64,
    }

    /// For RAW_TRACEPOINT_OPEN.
    RawTracepointAttr[24] {
        name: UserPtr,
        prog_fd: u32,
        pad: u32,
        cookie: u64,
    }

    /// For BTF_LOAD.
    BtfLoadAttr[40] {
        btf: UserPtr,
        btf_log_buf: UserPtr,
        btf_size: u32,
        btf_log_size: u32,
        btf_log_level: u32,
        /// Out.
        btf_log_true_size: u32,
        btf_flags: u32,
        btf_token_fd: i32,
    }

    /// For TASK_FD_QUERY.
    TaskFdQueryAttr[48] {
        pid: u32,
        fd: u32,
        flags: u32,
        /// In: capacity. Out: length of the name without its zero.
        buf_len: u32,
        buf: UserPtr,
        /// Out.
        prog_id: u32,
        /// Out.
        fd_type: u32,
        /// Out.
        probe_offset: u64,
        /// Out.
        probe_addr: u64,
    }

    /// For LINK_CREATE; `args` is the arm that belongs to the kind of target, as 32-bit words.
    LinkCreateAttr[64] {
        /// Program fd, or map fd of a struct_ops map.
        prog_fd: u32,
        /// Fd or interface index.
        target: u32,
        attach_type: u32,
        flags: u32,
        args: LinkCreateArgs,
    }

    /// For LINK_UPDATE.
    LinkUpdateAttr[16] {
        link_fd: u32,
        /// Program fd or map fd.
        new_fd: u32,
        flags: u32,
        /// Program fd or map fd.
        old_fd: u32,
    }

    /// For LINK_DETACH.
    LinkDetachAttr[4] {
        link_fd: u32,
    }

    /// For ENABLE_STATS.
    EnableStatsAttr[4] {
        stats_type: u32,
    }

    /// For ITER_CREATE.
    IterCreateAttr[8] {
        link_fd: u32,
        flags: u32,
    }

    /// For PROG_BIND_MAP.
    ProgBindMapAttr[12] {
        prog_fd: u32,
        map_fd: u32,
        flags: u32,
    }

    /// For TOKEN_CREATE.
    TokenCreateAttr[8] {
        flags: u32,
        bpffs_fd: u32,
    }

    /// For PROG_STREAM_READ_BY_FD.
    ProgStreamReadAttr[20] {
        stream_buf: UserPtr,
        stream_buf_len: u32,
        stream_id: u32,
        prog_fd: u32,
        pad: u32,
    }

    /// For PROG_ASSOC_STRUCT_OPS.
    ProgAssocStructOpsAttr[12] {
        map_fd: u32,
        prog_fd: u32,
        flags: u32,
    }

    /// The second structure of the five-argument form of the call (`struct bpf_common_attr`),
    /// announced by `BPF_COMMON_ATTRS` in the command.
    CommonAttr[20] {
        log_buf: UserPtr,
        log_size: u32,
        log_level: u32,
        /// Out.
        log_true_size: u32,
        pad: u32,
    }
}

/// The union inside LINK_CREATE's attributes: 48 bytes, read by the kernel according to the
/// program and attach type.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct LinkCreateArgs([u64; 6]);

impl LinkCreateArgs {
    /// The union with one of its arms filled in; the rest is zero.
    #[must_use]
    pub fn from_arm<T: IntoBytes + Immutable>(arm: &T) -> Self {
        const { assert!(size_of::<T>() <= size_of::<Self>()) }
        let mut args = Self::default();
        for (to, from) in args.as_mut_bytes().iter_mut().zip(arm.as_bytes()) {
            *to = *from;
        }
        args
    }
}

macro_rules! arm {
    ($(
        $(#[$meta:meta])*
        $name:ident { $( $(#[$fmeta:meta])* $field:ident: $ty:ty, )* }
    )*) => {$(
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
        #[repr(C)]
        #[expect(missing_docs, reason = "fields carry the kernel's names and meaning")]
        pub struct $name {
            $( $(#[$fmeta])* pub $field: $ty, )*
        }
    )*};
}

arm! {
    /// `iter_info` and its length.
    LinkIterArm {
        iter_info: UserPtr,
        iter_info_len: u32,
        pad: u32,
    }

    /// `perf_event`.
    LinkPerfEventArm {
        bpf_cookie: u64,
    }

    /// `kprobe_multi`.
    LinkKprobeMultiArm {
        flags: u32,
        cnt: u32,
        syms: UserPtr,
        addrs: UserPtr,
        cookies: UserPtr,
    }

    /// `tracing`; its first field overlays the older lone `target_btf_id`.
    LinkTracingArm {
        target_btf_id: u32,
        pad: u32,
        cookie: u64,
    }

    /// `netfilter`.
    LinkNetfilterArm {
        pf: u32,
        hooknum: u32,
        priority: i32,
        flags: u32,
    }

    /// `tcx`, `netkit` and `cgroup`, which have the same form.
    LinkMprogArm {
        /// Fd or id, by `BPF_F_ID` in the flags.
        relative: u32,
        pad: u32,
        expected_revision: u64,
    }

    /// `uprobe_multi`.
    LinkUprobeMultiArm {
        path: UserPtr,
        offsets: UserPtr,
        ref_ctr_offsets: UserPtr,
        cookies: UserPtr,
        cnt: u32,
        flags: u32,
        pid: u32,
        path_fd: u32,
    }

    /// `tracing_multi`.
    LinkTracingMultiArm {
        ids: UserPtr,
        cookies: UserPtr,
        cnt: u32,
        pad: u32,
    }

    /// `union bpf_iter_link_info` for a map target.
    IterMapInfo {
        map_fd: u32,
    }

    /// `union bpf_iter_link_info` for a cgroup target.
    IterCgroupInfo {
        order: u32,
        cgroup_fd: u32,
        cgroup_id: u64,
    }

    /// `union bpf_iter_link_info` for task targets.
    IterTaskInfo {
        tid: u32,
        pid: u32,
        pid_fd: u32,
    }
}

const _: () = {
    assert!(size_of::<IterCgroupInfo>() == 16);
    assert!(size_of::<IterTaskInfo>() == 12);
    assert!(size_of::<LinkUprobeMultiArm>() == 48);
    assert!(size_of::<LinkKprobeMultiArm>() == 32);
    assert!(size_of::<ProgLoadAttr>() == ATTR_UNION_SIZE);
    assert!(core::mem::offset_of!(ProgLoadAttr, log_true_size) == 140);
    assert!(core::mem::offset_of!(ProgLoadAttr, signature) == 152);
    assert!(core::mem::offset_of!(MapCreateAttr, map_extra) == 64);
    assert!(core::mem::offset_of!(ProgTestRunAttr, ctx_in) == 48);
    assert!(core::mem::offset_of!(ProgQueryAttr, prog_attach_flags) == 32);
    assert!(core::mem::offset_of!(LinkCreateAttr, args) == 16);
    assert!(core::mem::offset_of!(TaskFdQueryAttr, probe_addr) == 40);
};

/// The name field of an attribute, from at most 15 bytes of letters, digits, `_` and `.`.
/// `None` when the name does not fit the rules the kernel enforces.
#[must_use]
pub fn obj_name(name: &[u8]) -> Option<[u8; OBJ_NAME_LEN]> {
    let mut field = [0; OBJ_NAME_LEN];
    let allowed = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_' || *b == b'.';
    if name.len() >= OBJ_NAME_LEN || !name.iter().all(allowed) {
        return None;
    }
    for (to, from) in field.iter_mut().zip(name) {
        *to = *from;
    }
    Some(field)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arm_fills_front_when_shorter_than_union() {
        let args = LinkCreateArgs::from_arm(&LinkTracingArm {
            target_btf_id: 7,
            pad: 0,
            cookie: 9,
        });
        assert_eq!(args.0[1..], [9, 0, 0, 0, 0]);
        assert_eq!(args.as_bytes()[..4], 7u32.to_ne_bytes());
    }

    #[test]
    fn attr_round_trips_through_bytes() {
        let attr = ProgQueryAttr {
            target: 3,
            attach_type: 46,
            count: 64,
            revision: u64::MAX,
            ..Default::default()
        };
        let back = ProgQueryAttr::read_from_bytes(attr.as_bytes()).unwrap();
        assert_eq!(back.as_bytes(), attr.as_bytes());
        assert_eq!(back.revision, u64::MAX);
    }

    #[test]
    fn every_attr_is_its_bytes() {
        fn check<A: Attr>() {
            let bytes: Vec<u8> = (1..=255).cycle().take(size_of::<A>()).collect();
            let attr = A::read_from_bytes(&bytes).unwrap();
            assert_eq!(attr.as_bytes(), bytes);
            assert!(A::SIZE as usize <= bytes.len());
        }
        check::<MapCreateAttr>();
        check::<MapElemAttr>();
        check::<MapFreezeAttr>();
        check::<MapBatchAttr>();
        check::<ProgLoadAttr>();
        check::<ObjAttr>();
        check::<ProgAttachAttr>();
        check::<ProgTestRunAttr>();
        check::<NextIdAttr>();
        check::<FdByIdAttr>();
        check::<ObjGetInfoAttr>();
        check::<ProgQueryAttr>();
        check::<RawTracepointAttr>();
        check::<BtfLoadAttr>();
        check::<TaskFdQueryAttr>();
        check::<LinkCreateAttr>();
        check::<LinkUpdateAttr>();
        check::<LinkDetachAttr>();
        check::<EnableStatsAttr>();
        check::<IterCreateAttr>();
        check::<ProgBindMapAttr>();
        check::<TokenCreateAttr>();
        check::<ProgStreamReadAttr>();
        check::<ProgAssocStructOpsAttr>();
        check::<CommonAttr>();
    }

    #[test]
    fn names_follow_kernel_rules() {
        assert_eq!(obj_name(b"a_1.x").unwrap()[..6], *b"a_1.x\0");
        assert!(obj_name(b"123456789012345").is_some());
        assert!(obj_name(b"1234567890123456").is_none());
        assert!(obj_name(b"a-b").is_none());
        assert!(obj_name(b"a\0b").is_none());
    }
}
