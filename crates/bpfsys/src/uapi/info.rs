//! What OBJ_GET_INFO_BY_FD fills in.
//!
//! Pointer and count fields are input for the kernel: the commands zero each structure before
//! every call and set only buffers they own, so a structure handed to a caller holds data and
//! counts; its pointer fields say no more than "the kernel had something" or not.

#![allow(
    missing_debug_implementations,
    reason = "the zerocopy derives make hidden types, which the lint takes for ours in macros"
)]

use super::UserPtr;
use super::enums::{LinkType, MapType, ProgType};
use crate::ids::{BtfId, LinkId, MapId, ProgId};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Length of a program tag.
pub const TAG_SIZE: usize = 8;

macro_rules! info {
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

        const _: () = assert!(size_of::<$name>() == $size);
    )*};
}

info! {
    /// `struct bpf_prog_info`.
    ProgInfo[232] {
        type_: u32,
        id: u32,
        tag: [u8; TAG_SIZE],
        jited_prog_len: u32,
        xlated_prog_len: u32,
        jited_prog_insns: UserPtr,
        xlated_prog_insns: UserPtr,
        /// Nanoseconds since boot.
        load_time: u64,
        created_by_uid: u32,
        nr_map_ids: u32,
        map_ids: UserPtr,
        name: [u8; 16],
        ifindex: u32,
        /// Bit 0 is `gpl_compatible`.
        bits: u32,
        netns_dev: u64,
        netns_ino: u64,
        nr_jited_ksyms: u32,
        nr_jited_func_lens: u32,
        jited_ksyms: UserPtr,
        jited_func_lens: UserPtr,
        btf_id: u32,
        func_info_rec_size: u32,
        func_info: UserPtr,
        nr_func_info: u32,
        nr_line_info: u32,
        line_info: UserPtr,
        jited_line_info: UserPtr,
        nr_jited_line_info: u32,
        line_info_rec_size: u32,
        jited_line_info_rec_size: u32,
        nr_prog_tags: u32,
        prog_tags: UserPtr,
        run_time_ns: u64,
        run_cnt: u64,
        recursion_misses: u64,
        verified_insns: u32,
        attach_btf_obj_id: u32,
        attach_btf_id: u32,
        pad: u32,
    }

    /// `struct bpf_map_info`.
    MapInfo[104] {
        type_: u32,
        id: u32,
        key_size: u32,
        value_size: u32,
        max_entries: u32,
        map_flags: u32,
        name: [u8; 16],
        ifindex: u32,
        btf_vmlinux_value_type_id: u32,
        netns_dev: u64,
        netns_ino: u64,
        btf_id: u32,
        btf_key_type_id: u32,
        btf_value_type_id: u32,
        /// BTF object `btf_vmlinux_value_type_id` is in, when it is a module's.
        btf_vmlinux_id: u32,
        map_extra: u64,
        hash: UserPtr,
        hash_size: u32,
        pad: u32,
    }

    /// `struct bpf_btf_info`.
    BtfInfo[32] {
        btf: UserPtr,
        btf_size: u32,
        id: u32,
        name: UserPtr,
        /// Length of the name without its zero.
        name_len: u32,
        kernel_btf: u32,
    }

    /// `struct bpf_link_info`, with its union as bytes; see [`LinkInfoRaw::body`].
    LinkInfoRaw[64] {
        type_: u32,
        id: u32,
        prog_id: u32,
        pad: u32,
        body: LinkBody,
    }

    /// `struct bpf_token_info`: what a token lets its holder do, one bit per enumerator.
    TokenInfo[32] {
        allowed_cmds: u64,
        allowed_maps: u64,
        allowed_progs: u64,
        allowed_attachs: u64,
    }

    /// `struct bpf_func_info`: a function of a program and its BTF type.
    FuncInfo[8] {
        /// Instruction index (bytes inside an object file).
        insn_off: u32,
        type_id: u32,
    }

    /// `struct bpf_line_info`: the source line of an instruction.
    LineInfo[16] {
        /// Instruction index (bytes inside an object file).
        insn_off: u32,
        file_name_off: u32,
        line_off: u32,
        line_col: u32,
    }

    /// `struct bpf_core_relo`: a CO-RE relocation for the kernel to resolve.
    CoreRelo[16] {
        insn_off: u32,
        type_id: u32,
        access_str_off: u32,
        kind: u32,
    }

    /// `struct bpf_insn_array_value`: an element of an instruction array.
    InsnArrayValue[16] {
        orig_off: u32,
        xlated_off: u32,
        jitted_off: u32,
        pad: u32,
    }
}

/// The bytes of a kernel name up to its zero.
fn until_zero(name: &[u8]) -> &[u8] {
    name.split(|b| *b == 0).next().unwrap_or(name)
}

impl ProgInfo {
    /// The program's type.
    #[must_use]
    pub const fn type_(&self) -> ProgType {
        ProgType(self.type_)
    }

    /// The program's id.
    #[must_use]
    pub const fn id(&self) -> Option<ProgId> {
        ProgId::new(self.id)
    }

    /// The name without its padding; at most 15 bytes.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        until_zero(&self.name)
    }

    /// Whether the licence is compatible with the GPL.
    #[must_use]
    pub const fn gpl_compatible(&self) -> bool {
        // The kernel declares a one-bit field: the lowest bit, or the highest on big-endian hosts.
        if cfg!(target_endian = "little") {
            self.bits & 1 != 0
        } else {
            self.bits >> 31 != 0
        }
    }

    /// The BTF the program was loaded with.
    #[must_use]
    pub const fn btf_id(&self) -> Option<BtfId> {
        BtfId::new(self.btf_id)
    }
}

impl MapInfo {
    /// The map's type.
    #[must_use]
    pub const fn type_(&self) -> MapType {
        MapType(self.type_)
    }

    /// The map's id.
    #[must_use]
    pub const fn id(&self) -> Option<MapId> {
        MapId::new(self.id)
    }

    /// The name without its padding; at most 15 bytes.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        until_zero(&self.name)
    }

    /// The flags the map was created with.
    #[must_use]
    pub const fn flags(&self) -> super::flags::MapFlags {
        super::flags::MapFlags::from_bits_retain(self.map_flags)
    }

    /// The BTF that describes key and value.
    #[must_use]
    pub const fn btf_id(&self) -> Option<BtfId> {
        BtfId::new(self.btf_id)
    }
}

impl LinkInfoRaw {
    /// The link's type.
    #[must_use]
    pub const fn type_(&self) -> LinkType {
        LinkType(self.type_)
    }

    /// The link's id.
    #[must_use]
    pub const fn id(&self) -> Option<LinkId> {
        LinkId::new(self.id)
    }
}

impl LineInfo {
    /// Line number, from 1.
    #[must_use]
    pub const fn line(&self) -> u32 {
        self.line_col >> 10
    }

    /// Column, from 1; 0 when unknown.
    #[must_use]
    pub const fn column(&self) -> u32 {
        self.line_col & 0x3ff
    }
}

/// The union of `struct bpf_link_info`: 48 bytes whose meaning follows from the link's type.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct LinkBody([u64; 6]);

impl LinkBody {
    /// The union read as one of its arms.
    #[must_use]
    pub fn arm<T: FromBytes + IntoBytes + Immutable + KnownLayout>(&self) -> T {
        const { assert!(size_of::<T>() <= size_of::<Self>()) }
        let mut arm = T::new_zeroed();
        for (to, from) in arm.as_mut_bytes().iter_mut().zip(self.as_bytes()) {
            *to = *from;
        }
        arm
    }

    /// The union with one of its arms filled in; the rest is zero.
    #[must_use]
    pub fn from_arm<T: IntoBytes + Immutable>(arm: &T) -> Self {
        const { assert!(size_of::<T>() <= size_of::<Self>()) }
        let mut body = Self::default();
        for (to, from) in body.as_mut_bytes().iter_mut().zip(arm.as_bytes()) {
            *to = *from;
        }
        body
    }
}

info! {
    /// `raw_tracepoint` of a link's information.
    LinkRawTracepointBody[24] {
        tp_name: UserPtr,
        tp_name_len: u32,
        pad: u32,
        cookie: u64,
    }

    /// `tracing`.
    LinkTracingBody[24] {
        attach_type: u32,
        target_obj_id: u32,
        target_btf_id: u32,
        pad: u32,
        cookie: u64,
    }

    /// `cgroup`.
    LinkCgroupBody[16] {
        cgroup_id: u64,
        attach_type: u32,
        pad: u32,
    }

    /// `iter`, with the fields of all targets: the name tells which of them are meant.
    LinkIterBody[32] {
        target_name: UserPtr,
        target_name_len: u32,
        map_id: u32,
        /// Or `tid` in its first and `pid` in its second half.
        cgroup_id: u64,
        order: u32,
        pad: u32,
    }

    /// The task arm of [`LinkIterBody`]'s second half.
    LinkIterTaskBody[24] {
        target_name: UserPtr,
        target_name_len: u32,
        map_id: u32,
        tid: u32,
        pid: u32,
    }

    /// Two words: `netns` (inode, attach type), `tcx` and `netkit` (interface, attach type),
    /// `sockmap` (map id, attach type), `xdp` (interface), `struct_ops` (map id).
    LinkPairBody[8] {
        first: u32,
        attach_type: u32,
    }

    /// `netfilter`.
    LinkNetfilterBody[16] {
        pf: u32,
        hooknum: u32,
        priority: i32,
        flags: u32,
    }

    /// `kprobe_multi`.
    LinkKprobeMultiBody[32] {
        addrs: UserPtr,
        count: u32,
        flags: u32,
        missed: u64,
        cookies: UserPtr,
    }

    /// `uprobe_multi`.
    LinkUprobeMultiBody[48] {
        path: UserPtr,
        offsets: UserPtr,
        ref_ctr_offsets: UserPtr,
        cookies: UserPtr,
        path_size: u32,
        count: u32,
        flags: u32,
        pid: u32,
    }

    /// `perf_event` of a uprobe.
    LinkPerfUprobeBody[40] {
        type_: u32,
        pad: u32,
        file_name: UserPtr,
        name_len: u32,
        offset: u32,
        cookie: u64,
        ref_ctr_offset: u64,
    }

    /// `perf_event` of a kprobe.
    LinkPerfKprobeBody[48] {
        type_: u32,
        pad: u32,
        func_name: UserPtr,
        name_len: u32,
        offset: u32,
        addr: u64,
        missed: u64,
        cookie: u64,
    }

    /// `perf_event` of a tracepoint. The fields up to `name_len` are common to all that have a
    /// name.
    LinkPerfTracepointBody[32] {
        type_: u32,
        pad: u32,
        tp_name: UserPtr,
        name_len: u32,
        pad2: u32,
        cookie: u64,
    }

    /// `perf_event` of any other event.
    LinkPerfEventBody[32] {
        type_: u32,
        pad: u32,
        config: u64,
        event_type: u32,
        pad2: u32,
        cookie: u64,
    }

    /// `tracing_multi`.
    LinkTracingMultiBody[40] {
        attach_type: u32,
        count: u32,
        btf_obj_id: u32,
        pad: u32,
        ids: UserPtr,
        addrs: UserPtr,
        cookies: UserPtr,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_end_at_zero() {
        let mut info = ProgInfo::default();
        assert_eq!(info.name(), b"");
        info.name = *b"abc\0efg\0\0\0\0\0\0\0\0\0";
        assert_eq!(info.name(), b"abc");
        info.name = [b'x'; 16];
        assert_eq!(info.name().len(), 16);
    }

    #[test]
    fn link_arms_overlay() {
        let body = LinkBody::from_arm(&LinkIterTaskBody {
            tid: 5,
            pid: 6,
            ..Default::default()
        });
        assert_eq!(body.arm::<LinkIterTaskBody>().tid, 5);
        if cfg!(target_endian = "little") {
            assert_eq!(body.arm::<LinkIterBody>().cgroup_id, 6 << 32 | 5);
        }
        let whole = LinkInfoRaw {
            type_: 12,
            body,
            ..Default::default()
        };
        assert_eq!(
            LinkInfoRaw::read_from_bytes(whole.as_bytes())
                .unwrap()
                .type_(),
            LinkType::UPROBE_MULTI
        );
    }

    #[test]
    fn line_info_splits_line_and_column() {
        let line = LineInfo {
            line_col: 12 << 10 | 34,
            ..Default::default()
        };
        assert_eq!((line.line(), line.column()), (12, 34));
    }
}
