//! Programs, made with our own assembler.

use anyhow::{Context as _, Result};
use bpfsys::cmd::ProgLoad;
use bpfsys::insn::Insn;
use bpfsys::insn::asm::assemble;
use bpfsys::uapi::flags::ProgLoadFlags;
use bpfsys::uapi::info::{FuncInfo, LineInfo};
use bpfsys::{AttachType, MapFd, ProgFd, ProgType};
use btf::Kind;
use std::os::fd::AsRawFd as _;

use super::types::Types;

/// The instructions of `text`.
///
/// # Errors
///
/// The line that is no instruction.
pub fn asm(text: &str) -> Result<Vec<Insn>> {
    assemble(text).with_context(|| format!("assemble:\n{text}"))
}

/// A program of one type that returns `ret` and does nothing else.
///
/// # Errors
///
/// The kernel's, with the verifier's log.
pub fn returning(kind: &Simple, ret: i32) -> Result<ProgFd> {
    let insns = asm(&format!("r0 = {ret}\nexit"))?;
    let mut load = ProgLoad::new(kind.prog_type, &insns)
        .license("GPL")
        .name(kind.name);
    if let Some(attach) = kind.attach {
        load = load.expected_attach_type(attach);
    }
    load.flags(kind.flags)
        .run()
        .with_context(|| format!("load {}", kind.name))
}

/// What loads with two instructions.
#[derive(Debug, Clone, Copy)]
pub struct Simple {
    /// The name given to it.
    pub name: &'static str,
    /// Its type.
    pub prog_type: ProgType,
    /// The attach type it must be loaded for.
    pub attach: Option<AttachType>,
    /// Load flags.
    pub flags: ProgLoadFlags,
    /// What it must return, at least for this attach type.
    pub ret: i32,
    /// Can it be run on 64 bytes of packet?
    pub runs_on_data: bool,
    /// The first kernel that has it, where not every supported one does.
    pub since: (u16, u16),
}

const fn simple(name: &'static str, prog_type: ProgType, ret: i32) -> Simple {
    Simple {
        name,
        prog_type,
        attach: None,
        flags: ProgLoadFlags::empty(),
        ret,
        runs_on_data: false,
        since: (0, 0),
    }
}

/// Programs of types that need nothing but instructions.
#[must_use]
pub fn simples() -> Vec<Simple> {
    let data = |s: Simple| Simple {
        runs_on_data: true,
        ..s
    };
    let at = |s: Simple, attach| Simple {
        attach: Some(attach),
        ..s
    };
    vec![
        data(simple("t_socket", ProgType::SOCKET_FILTER, 0)),
        simple("t_kprobe", ProgType::KPROBE, 0),
        data(simple("t_cls", ProgType::SCHED_CLS, 0)),
        data(simple("t_act", ProgType::SCHED_ACT, 0)),
        simple("t_tracepoint", ProgType::TRACEPOINT, 0),
        data(simple("t_xdp", ProgType::XDP, 2)),
        simple("t_perf", ProgType::PERF_EVENT, 0),
        data(simple("t_cg_skb", ProgType::CGROUP_SKB, 1)),
        simple("t_cg_sock", ProgType::CGROUP_SOCK, 1),
        data(simple("t_lwt_in", ProgType::LWT_IN, 0)),
        data(simple("t_lwt_xmit", ProgType::LWT_XMIT, 0)),
        simple("t_sock_ops", ProgType::SOCK_OPS, 1),
        simple("t_sk_skb", ProgType::SK_SKB, 1),
        simple("t_cg_dev", ProgType::CGROUP_DEVICE, 1),
        simple("t_sk_msg", ProgType::SK_MSG, 1),
        simple("t_raw_tp", ProgType::RAW_TRACEPOINT, 0),
        at(
            simple("t_sock_addr", ProgType::CGROUP_SOCK_ADDR, 1),
            AttachType::CGROUP_INET4_CONNECT,
        ),
        simple("t_reuseport", ProgType::SK_REUSEPORT, 1),
        data(simple("t_flow", ProgType::FLOW_DISSECTOR, 0)),
        simple("t_sysctl", ProgType::CGROUP_SYSCTL, 1),
        at(
            simple("t_sockopt", ProgType::CGROUP_SOCKOPT, 1),
            AttachType::CGROUP_GETSOCKOPT,
        ),
        at(
            simple("t_sk_lookup", ProgType::SK_LOOKUP, 1),
            AttachType::SK_LOOKUP,
        ),
        Simple {
            flags: ProgLoadFlags::SLEEPABLE,
            since: (5, 14),
            ..simple("t_syscall", ProgType::SYSCALL, 0)
        },
        at(
            Simple {
                since: (6, 4),
                ..simple("t_netfilter", ProgType::NETFILTER, 1)
            },
            AttachType::NETFILTER,
        ),
    ]
}

/// The simple program of a type.
///
/// # Errors
///
/// If there is none, or the kernel refuses it.
pub fn simple_of(prog_type: ProgType) -> Result<ProgFd> {
    let kind = simples()
        .into_iter()
        .find(|s| s.prog_type == prog_type)
        .with_context(|| format!("no simple program of type {prog_type}"))?;
    returning(&kind, kind.ret)
}

/// A traffic classifier with a subprogram, a map look-up, a kernel helper and
/// wide constants, described by BTF down to its source lines.
///
/// # Errors
///
/// The kernel's, with the verifier's log.
pub fn described(types: &Types, map: &MapFd) -> Result<ProgFd> {
    let fd = map.as_raw_fd();
    let insns = asm(&format!(
        "r6 = r1
        r1 = 0
        *(u32 *)(r10 -4) = r1
        r2 = r10
        r2 += -4
        r1 = map[id:{fd}]
        call bpf_map_lookup_elem#1
        if r0 == 0x0 goto pc+3
        r1 = *(u64 *)(r0 +0)
        lock *(u64 *)(r0 +0) += r1
        w3 = w1
        r1 = 0x1122334455667788
        r1 = 21
        call pc+1
        exit
        r0 = r1
        r0 <<= 1
        exit"
    ))?;
    let len = u32::try_from(insns.len()).context("too many instructions")?;
    let funcs = [
        FuncInfo {
            insn_off: 0,
            type_id: types.funcs.entry,
        },
        FuncInfo {
            insn_off: len - 3,
            type_id: types.funcs.helper,
        },
    ];
    let [file, one, two] = types.lines;
    let line = |insn_off, line_off, number: u32, column: u32| LineInfo {
        insn_off,
        file_name_off: file,
        line_off,
        line_col: number << 10 | column,
    };
    let lines = [line(0, one, 7, 9), line(len - 3, two, 3, 2)];
    ProgLoad::new(ProgType::SCHED_CLS, &insns)
        .license("GPL")
        .name("entry_point_wit")
        .btf(&types.fd)
        .func_info(&funcs)
        .line_info(&lines)
        .run()
        .context("load the described program")
}

/// A program that reads a global variable of each map (a map's value by address).
///
/// # Errors
///
/// The kernel's, with the verifier's log.
pub fn with_globals(maps: &[&MapFd]) -> Result<ProgFd> {
    let mut text = String::new();
    for map in maps {
        text.push_str(&format!(
            "r1 = map[id:{}][0]+4\nr0 = *(u8 *)(r1 +0)\n",
            map.as_raw_fd()
        ));
    }
    let insns = asm(&format!("{text}r0 = 0\nexit"))?;
    ProgLoad::new(ProgType::SOCKET_FILTER, &insns)
        .license("Dual MIT/GPL")
        .name("with_globals")
        .run()
        .context("load a program with global data")
}

/// A program of type `tracing`, at a tracepoint or as an iterator.
///
/// # Errors
///
/// If the kernel's BTF lacks the type, or the kernel refuses the program.
pub fn tracing(
    kernel: &btf::Btf<'_>,
    name: &str,
    attach: AttachType,
    target: &str,
) -> Result<ProgFd> {
    let kind = if attach == AttachType::TRACE_ITER {
        Kind::Func
    } else {
        Kind::Typedef
    };
    let id = kernel
        .find_by_name_kind(target.as_bytes(), kind)
        .ok_or_else(|| super::Lacking(target.to_owned()))?;
    let insns = asm("r0 = 0\nexit")?;
    ProgLoad::new(ProgType::TRACING, &insns)
        .license("GPL")
        .name(name)
        .expected_attach_type(attach)
        .attach_btf_id(id.get())
        .run()
        .with_context(|| format!("load {name} for {target}"))
}
