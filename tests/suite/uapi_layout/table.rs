//! Our structures beside the kernel's names for their parts.
//!
//! `field` has the kernel's name; `field: "other"` is called otherwise there;
//! `pad: ""` is nothing there. A version after a name is where it first
//! appeared, for what the oldest kernel that is fully covered lacks.

use std::mem::{offset_of, size_of};

use bpfsys::uapi::attr::*;
use bpfsys::uapi::info::*;
use bpfsys::uapi::perf::PerfEventAttr;
use btf::Btf;

use crate::kernel::Place;

/// One structure.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) ours: &'static str,
    pub(crate) kernel: &'static str,
    /// Ours begins at this member of the kernel's.
    begins_at: Option<&'static str>,
    pub(crate) since: Option<&'static str>,
    pub(crate) size: usize,
    /// The size given to the kernel.
    pub(crate) announced: Option<usize>,
    /// Ours is the whole of the kernel's, and must be as large.
    pub(crate) whole: bool,
    pub(crate) fields: Vec<Field>,
}

/// One field.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) kernel: &'static str,
    pub(crate) since: Option<&'static str>,
    pub(crate) offset: usize,
    pub(crate) size: usize,
}

impl Row {
    /// Where ours begins, in the terms of [`Place::member`] of `base`.
    pub(crate) fn origin(&self, btf: &Btf<'_>, base: &Place) -> usize {
        let at = self
            .begins_at
            .and_then(|name| base.member(btf, name).ok().flatten());
        at.map_or(base.offset, |member| member.offset)
    }
}

macro_rules! name {
    ($field:ident) => {
        stringify!($field).trim_end_matches('_')
    };
    ($field:ident $kernel:literal) => {
        $kernel
    };
}

macro_rules! maybe {
    () => {
        None
    };
    ($value:expr) => {
        Some($value)
    };
}

/// The size of the field that `get` borrows; it is never called.
fn size_of_field<T, F>(_get: impl FnOnce(&T) -> &F) -> usize {
    size_of::<F>()
}

macro_rules! row {
    ($ours:ident = $kernel:literal $(from $at:literal)? $(since $v:literal)?
     { $($field:ident $(: $name:literal)? $(since $fv:literal)?),* $(,)? }) => {
        Row {
            ours: stringify!($ours),
            kernel: $kernel,
            begins_at: maybe!($($at)?),
            since: maybe!($($v)?),
            size: size_of::<$ours>(),
            announced: None,
            whole: false,
            fields: vec![$(Field {
                kernel: name!($field $($name)?),
                since: maybe!($($fv)?),
                offset: offset_of!($ours, $field),
                size: size_of_field(|s: &$ours| &s.$field),
            }),*],
        }
    };
}

/// A row for the attributes of a command, whose announced size must end with
/// the last field.
macro_rules! attr {
    ($ours:ident $($rest:tt)*) => {
        Row { announced: usize::try_from($ours::SIZE).ok(), ..row!($ours $($rest)*) }
    };
}

/// A row for a structure that must be as large as the kernel's.
macro_rules! whole {
    ($($rest:tt)*) => {
        Row { whole: true, ..row!($($rest)*) }
    };
}

/// All of them.
pub(crate) fn rows() -> Vec<Row> {
    let mut rows = attrs();
    rows.extend(link_create_arms());
    rows.extend(infos());
    rows.extend(link_infos());
    rows
}

fn attrs() -> Vec<Row> {
    vec![
        attr!(MapCreateAttr = "bpf_attr:map_type" {
            map_type, key_size, value_size, max_entries, map_flags, inner_map_fd, numa_node,
            map_name, map_ifindex, btf_fd, btf_key_type_id, btf_value_type_id,
            btf_vmlinux_value_type_id, map_extra since "5.16", value_type_btf_obj_fd since "6.9",
            map_token_fd since "6.9",
            excl_prog_hash since "6.18", excl_prog_hash_size since "6.18", pad: "",
        }),
        attr!(MapElemAttr = "bpf_attr:next_key" { map_fd, pad: "", key, value, flags }),
        attr!(MapBatchAttr = "bpf_attr.batch" {
            in_batch, out_batch, keys, values, count, map_fd, elem_flags, flags,
        }),
        attr!(ProgLoadAttr = "bpf_attr:prog_type" {
            prog_type, insn_cnt, insns, license, log_level, log_size, log_buf, kern_version,
            prog_flags, prog_name, prog_ifindex, expected_attach_type, prog_btf_fd,
            func_info_rec_size, func_info, func_info_cnt, line_info_rec_size, line_info,
            line_info_cnt, attach_btf_id, attach_fd: "attach_prog_fd", core_relo_cnt since "5.17",
            fd_array since "5.14",
            core_relos since "5.17", core_relo_rec_size since "5.17", log_true_size since "6.4",
            prog_token_fd since "6.9", fd_array_cnt since "6.14",
            signature since "6.18", signature_size since "6.18", keyring_id since "6.18",
        }),
        attr!(ObjAttr = "bpf_attr:pathname" {
            pathname, bpf_fd, file_flags, path_fd since "6.5", pad: "",
        }),
        attr!(ProgAttachAttr = "bpf_attr:attach_bpf_fd" {
            target: "target_fd", attach_bpf_fd, attach_type, attach_flags, replace_bpf_fd,
            relative: "relative_id" since "6.6", expected_revision since "6.6",
        }),
        attr!(ProgTestRunAttr = "bpf_attr.test" {
            prog_fd, retval, data_size_in, data_size_out, data_in, data_out, repeat, duration,
            ctx_size_in, ctx_size_out, ctx_in, ctx_out, flags, cpu, batch_size since "5.18",
            pad: "",
        }),
        attr!(NextIdAttr = "bpf_attr:start_id" { start_id, next_id }),
        attr!(FdByIdAttr = "bpf_attr:start_id" {
            id: "prog_id", next_id, open_flags, token_fd: "fd_by_id_token_fd" since "6.17",
        }),
        attr!(ObjGetInfoAttr = "bpf_attr.info" { bpf_fd, info_len, info }),
        attr!(ProgQueryAttr = "bpf_attr.query" {
            target: "target_ifindex" since "6.6", attach_type, query_flags, attach_flags, prog_ids,
            count since "6.6",
            pad: "", prog_attach_flags since "6.0", link_ids since "6.6",
            link_attach_flags since "6.6", revision since "6.6",
        }),
        attr!(RawTracepointAttr = "bpf_attr.raw_tracepoint" {
            name, prog_fd, pad: "", cookie since "6.10",
        }),
        attr!(BtfLoadAttr = "bpf_attr:btf_log_buf" {
            btf, btf_log_buf, btf_size, btf_log_size, btf_log_level, btf_log_true_size since "6.4",
            btf_flags since "6.9", btf_token_fd since "6.9",
        }),
        attr!(TaskFdQueryAttr = "bpf_attr.task_fd_query" {
            pid, fd, flags, buf_len, buf, prog_id, fd_type, probe_offset, probe_addr,
        }),
        row!(LinkCreateAttr = "bpf_attr.link_create" {
            prog_fd, target: "target_fd", attach_type, flags, args: "uprobe_multi" since "6.6",
        }),
        attr!(LinkUpdateAttr = "bpf_attr.link_update" {
            link_fd, new_fd: "new_prog_fd", flags, old_fd: "old_map_fd" since "6.4",
        }),
        attr!(LinkDetachAttr = "bpf_attr.link_detach" { link_fd }),
        attr!(EnableStatsAttr = "bpf_attr.enable_stats" { stats_type: "type" }),
        attr!(IterCreateAttr = "bpf_attr.iter_create" { link_fd, flags }),
        attr!(ProgBindMapAttr = "bpf_attr.prog_bind_map" { prog_fd, map_fd, flags }),
        attr!(TokenCreateAttr = "bpf_attr.token_create" since "6.9" { flags, bpffs_fd }),
        attr!(ProgStreamReadAttr = "bpf_attr.prog_stream_read" since "6.17" {
            stream_buf, stream_buf_len, stream_id, prog_fd, pad: "",
        }),
        attr!(ProgAssocStructOpsAttr = "bpf_attr.prog_assoc_struct_ops" since "7.0" {
            map_fd, prog_fd, flags,
        }),
        attr!(CommonAttr = "bpf_common_attr" since "7.2" {
            log_buf, log_size, log_level, log_true_size, pad: "",
        }),
    ]
}

fn link_create_arms() -> Vec<Row> {
    vec![
        row!(LinkIterArm = "bpf_attr.link_create" from "iter_info" {
            iter_info, iter_info_len, pad: "",
        }),
        row!(LinkPerfEventArm = "bpf_attr.link_create.perf_event" since "5.15" { bpf_cookie }),
        row!(LinkKprobeMultiArm = "bpf_attr.link_create.kprobe_multi" since "5.18" {
            flags, cnt, syms, addrs, cookies,
        }),
        row!(LinkTracingArm = "bpf_attr.link_create.tracing" since "5.19" {
            target_btf_id, pad: "", cookie,
        }),
        row!(LinkNetfilterArm = "bpf_attr.link_create.netfilter" since "6.4" {
            pf, hooknum, priority, flags,
        }),
        row!(LinkMprogArm = "bpf_attr.link_create.tcx" since "6.6" {
            relative: "relative_fd", pad: "", expected_revision,
        }),
        row!(LinkMprogArm = "bpf_attr.link_create.netkit" since "6.7" {
            relative: "relative_id", pad: "", expected_revision,
        }),
        row!(LinkMprogArm = "bpf_attr.link_create.cgroup" since "6.17" {
            relative: "relative_id", pad: "", expected_revision,
        }),
        row!(LinkUprobeMultiArm = "bpf_attr.link_create.uprobe_multi" since "6.6" {
            path, offsets, ref_ctr_offsets, cookies, cnt, flags, pid, path_fd since "7.2",
        }),
        row!(LinkTracingMultiArm = "bpf_attr.link_create.tracing_multi" since "7.2" {
            ids, cookies, cnt, pad: "",
        }),
        row!(IterMapInfo = "bpf_iter_link_info.map" { map_fd }),
        row!(IterCgroupInfo = "bpf_iter_link_info.cgroup" since "6.1" {
            order, cgroup_fd, cgroup_id,
        }),
        row!(IterTaskInfo = "bpf_iter_link_info.task" since "6.1" { tid, pid, pid_fd }),
        row!(PerfEventAttr = "perf_event_attr" {
            type_, size, config, sample_period, sample_type, read_format, flags: "",
            wakeup: "wakeup_events", bp_type, config1, config2, branch_sample_type,
            sample_regs_user, sample_stack_user, clockid, sample_regs_intr, aux_watermark,
            sample_max_stack, reserved_2: "__reserved_2",
        }),
    ]
}

fn infos() -> Vec<Row> {
    vec![
        whole!(ProgInfo = "bpf_prog_info" {
            type_, id, tag, jited_prog_len, xlated_prog_len, jited_prog_insns, xlated_prog_insns,
            load_time, created_by_uid, nr_map_ids, map_ids, name, ifindex,
            bits: "gpl_compatible", netns_dev, netns_ino, nr_jited_ksyms, nr_jited_func_lens,
            jited_ksyms, jited_func_lens, btf_id, func_info_rec_size, func_info, nr_func_info,
            nr_line_info, line_info, jited_line_info, nr_jited_line_info, line_info_rec_size,
            jited_line_info_rec_size, nr_prog_tags, prog_tags, run_time_ns, run_cnt,
            recursion_misses since "5.12", verified_insns since "5.16",
            attach_btf_obj_id since "6.0", attach_btf_id since "6.0", pad: "",
        }),
        whole!(MapInfo = "bpf_map_info" {
            type_, id, key_size, value_size, max_entries, map_flags, name, ifindex,
            btf_vmlinux_value_type_id, netns_dev, netns_ino, btf_id, btf_key_type_id,
            btf_value_type_id, btf_vmlinux_id since "6.9", map_extra since "5.16",
            hash since "6.18", hash_size since "6.18", pad: "",
        }),
        whole!(BtfInfo = "bpf_btf_info" {
            btf, btf_size, id, name since "5.11", name_len since "5.11", kernel_btf since "5.11",
        }),
        whole!(TokenInfo = "bpf_token_info" since "6.17" {
            allowed_cmds, allowed_maps, allowed_progs, allowed_attachs,
        }),
        whole!(FuncInfo = "bpf_func_info" { insn_off, type_id }),
        whole!(LineInfo = "bpf_line_info" { insn_off, file_name_off, line_off, line_col }),
        whole!(CoreRelo = "bpf_core_relo" since "5.17" { insn_off, type_id, access_str_off, kind }),
        whole!(InsnArrayValue = "bpf_insn_array_value" since "6.19" {
            orig_off, xlated_off, jitted_off, pad: "",
        }),
        whole!(LinkInfoRaw = "bpf_link_info" {
            type_, id, prog_id, pad: "", body: "uprobe_multi" since "6.8",
        }),
    ]
}

fn link_infos() -> Vec<Row> {
    vec![
        whole!(LinkRawTracepointBody = "bpf_link_info.raw_tracepoint" {
            tp_name, tp_name_len, pad: "", cookie since "6.17",
        }),
        whole!(LinkTracingBody = "bpf_link_info.tracing" {
            attach_type, target_obj_id since "5.13", target_btf_id since "5.13", pad: "",
            cookie since "6.17",
        }),
        whole!(LinkCgroupBody = "bpf_link_info.cgroup" { cgroup_id, attach_type, pad: "" }),
        whole!(LinkIterBody = "bpf_link_info.iter" {
            target_name, target_name_len, map_id: "map.map_id",
            cgroup_id: "cgroup.cgroup_id" since "6.1",
            order: "cgroup.order" since "6.1", pad: "",
        }),
        row!(LinkIterTaskBody = "bpf_link_info.iter" {
            target_name, target_name_len, map_id: "map.map_id", tid: "task.tid" since "6.1",
            pid: "task.pid" since "6.1",
        }),
        whole!(LinkPairBody = "bpf_link_info.netns" { first: "netns_ino", attach_type }),
        row!(LinkPairBody = "bpf_link_info.xdp" { first: "ifindex", attach_type: "" }),
        row!(LinkPairBody = "bpf_link_info.struct_ops" since "6.4" {
            first: "map_id", attach_type: "",
        }),
        whole!(LinkPairBody = "bpf_link_info.tcx" since "6.6" { first: "ifindex", attach_type }),
        whole!(LinkPairBody = "bpf_link_info.netkit" since "6.7" { first: "ifindex", attach_type }),
        whole!(LinkPairBody = "bpf_link_info.sockmap" since "6.10" {
            first: "map_id", attach_type,
        }),
        whole!(LinkNetfilterBody = "bpf_link_info.netfilter" since "6.4" {
            pf, hooknum, priority, flags,
        }),
        whole!(LinkKprobeMultiBody = "bpf_link_info.kprobe_multi" since "6.6" {
            addrs, count, flags, missed, cookies,
        }),
        whole!(LinkUprobeMultiBody = "bpf_link_info.uprobe_multi" since "6.8" {
            path, offsets, ref_ctr_offsets, cookies, path_size, count, flags, pid,
        }),
        row!(LinkPerfUprobeBody = "bpf_link_info.perf_event" since "6.6" {
            type_, pad: "", file_name: "uprobe.file_name", name_len: "uprobe.name_len",
            offset: "uprobe.offset", cookie: "uprobe.cookie",
            ref_ctr_offset: "uprobe.ref_ctr_offset" since "6.16",
        }),
        whole!(LinkPerfKprobeBody = "bpf_link_info.perf_event" since "6.6" {
            type_, pad: "", func_name: "kprobe.func_name", name_len: "kprobe.name_len",
            offset: "kprobe.offset", addr: "kprobe.addr", missed: "kprobe.missed",
            cookie: "kprobe.cookie",
        }),
        row!(LinkPerfTracepointBody = "bpf_link_info.perf_event" since "6.6" {
            type_, pad: "", tp_name: "tracepoint.tp_name", name_len: "tracepoint.name_len",
            pad2: "", cookie: "tracepoint.cookie",
        }),
        row!(LinkPerfEventBody = "bpf_link_info.perf_event" since "6.6" {
            type_, pad: "", config: "event.config", event_type: "event.type", pad2: "",
            cookie: "event.cookie",
        }),
        whole!(LinkTracingMultiBody = "bpf_link_info.tracing_multi" since "7.3" {
            attach_type, count, btf_obj_id, pad: "", ids, addrs, cookies,
        }),
    ]
}
