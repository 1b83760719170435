//! Features that are no program, map, attach or link type, helper or command.

use super::{Key, Support, btf, cached, helper_with, prog_type_with};
use crate::KernelVersion;
use crate::cmd::{BtfLoad, LogLevel, MapCreate, MapUpdateElem, ProgLoad};
use crate::error::{Op, Refusal, SysError};
use crate::fd::{BtfFd, TokenFd};
use crate::insn::{Insn, Reg, asm};
use crate::sys::bpf::common_attrs_known;
use crate::uapi::enums::{AttachType, Cmd, LinkType, MapType, ProgType};
use crate::uapi::flags::{ElemFlags, MapFlags, ProgLoadFlags};
use crate::uapi::helpers::HelperId;
use crate::uapi::info::FuncInfo;
use std::os::fd::{AsFd, AsRawFd};

/// Something a kernel may or may not be able to do.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Feature {
    /// Short name, in words joined by `_`.
    pub name: &'static str,
    /// What it is, in a few words.
    pub what: &'static str,
    /// The first kernel with it, as far as versions tell: for messages and sanity checks.
    pub since: KernelVersion,
    ask: fn(Option<&TokenFd>) -> Support,
}

impl Feature {
    /// The feature with this name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<&'static Self> {
        FEATURES.iter().find(|feature| feature.name == name)
    }

    /// Whether the running kernel has it.
    #[must_use]
    pub fn probe(&self) -> Support {
        self.probe_with(None)
    }

    /// As [`probe`](Self::probe), with the rights of a token; answers to it are not kept.
    #[must_use]
    pub fn probe_with(&self, token: Option<&TokenFd>) -> Support {
        match token {
            None => cached(Key::Feature(self.name), || (self.ask)(None)),
            Some(_) => (self.ask)(token),
        }
    }
}

macro_rules! features {
    ($($name:literal ($major:literal, $minor:literal) $what:literal $ask:expr;)*) => {
        /// Every feature there is a probe for, in the order kernels got them.
        pub static FEATURES: &[Feature] = &[
            $(Feature {
                name: $name,
                what: $what,
                since: KernelVersion::new($major, $minor, 0),
                ask: $ask,
            },)*
        ];
    };
}

features! {
    "v2_isa" (4, 14) "comparisons for less than" |t| run(t, "r0 = 0\nif r0 < 0x1 goto pc+1\nr0 = 1\nexit");
    "object_names" (4, 15) "names of programs and maps" object_names;
    "subprograms" (4, 16) "calls between functions of a program" |t| run(t, "call pc+1\nexit\nr0 = 0\nexit");
    "expected_attach_type" (4, 17) "attach types that are checked when a program is loaded" expected_attach_type;
    "syscall_wrapper" (4, 17) "system calls behind wrappers that take saved registers" |_t| super::syscall_wrapper::probe();
    "v3_isa" (5, 1) "jumps on 32-bit values" |t| run(t, "r0 = 0\nif w0 < 0x1 goto pc+1\nr0 = 1\nexit");
    "large_insn_limit" (5, 2) "programs of more than 4096 instructions" large_insn_limit;
    "global_data" (5, 2) "addresses of map values in programs" global_data;
    "bounded_loops" (5, 3) "loops that the verifier sees end" |t| run(t, "r0 = 10\nr0 -= 1\nif r0 != 0x0 goto pc-2\nexit");
    "kernel_btf" (5, 4) "types of the running kernel" kernel_btf;
    "array_mmap" (5, 5) "arrays that can be mapped" |t| map(t, MapCreate::new(MapType::ARRAY, 4, 4, 1).flags(MapFlags::MMAPABLE));
    "probe_read_kernel" (5, 5) "reading user and kernel memory by separate helpers" |t| helper_with(ProgType::TRACEPOINT, HelperId::PROBE_READ_KERNEL, t);
    "btf_global_func" (5, 6) "functions that are verified by themselves" btf::global_func;
    "prog_bind_map" (5, 10) "maps bound to programs that do not use them" |_t| super::command(Cmd::PROG_BIND_MAP);
    "module_btf" (5, 11) "types of modules" btf::module_btf;
    "memcg_accounting" (5, 11) "memory counted by cgroup, not against the lock limit" |t| helper_with(ProgType::SOCKET_FILTER, HelperId::KTIME_GET_COARSE_NS, t);
    "atomics" (5, 12) "atomic operations that give the old value" |t| run(t, "r1 = 0\n*(u64 *)(r10 -8) = r1\nr1 = atomic64_fetch_add((u64 *)(r10 -8), r1)\nr0 = 0\nexit");
    "fd_array" (5, 14) "maps named by index in an array of descriptors" fd_array;
    "bpf_cookie" (5, 15) "values that a program gets from its attachment" |t| helper_with(ProgType::TRACEPOINT, HelperId::GET_ATTACH_COOKIE, t);
    "perf_link" (5, 15) "links of perf events" |_t| super::link_type(LinkType::PERF_EVENT);
    "map_extra" (5, 16) "a type's own number when a map is made" |_t| super::map_type(MapType::BLOOM_FILTER);
    "xdp_frags" (5, 18) "XDP programs that take packets in fragments" xdp_frags;
    "log_true_size" (6, 4) "the kernel says how long its log is" log_true_size;
    "v4_isa" (6, 6) "sign extension, far jumps, byte swaps" |t| run(t, "r0 = 0\nr0 = (s8)r0\nr0 = bswap16 r0\ngotol pc+0\nexit");
    "arg_ctx_tag" (6, 8) "arguments tagged as the context" arg_ctx_tag;
    "may_goto" (6, 9) "loops that the kernel ends" |t| run(t, "r0 = 0\nmay_goto pc+1\ngoto pc-2\nexit");
    "arena" (6, 9) "memory shared with user space" |_t| super::map_type(MapType::ARENA);
    "token" (6, 9) "rights given by a mounted file system" |_t| super::command(Cmd::TOKEN_CREATE);
    "btf_qmark_datasec" (6, 9) "optional sections in BTF" btf::qmark_datasec;
    "uprobe_multi" (6, 10) "links of many user probes, by process" |_t| super::link::uprobe_multi_by_process();
    "fd_array_cnt" (6, 14) "maps bound to a program when it is loaded" fd_array_cnt;
    "btf_tag_kind_flag" (6, 15) "tags that stand for attributes in BTF" btf::tag_kind_flag;
    "load_acquire" (6, 15) "loads and stores with memory order" |t| run(t, "r1 = 0\n*(u64 *)(r10 -8) = r1\nr0 = load_acquire((u64 *)(r10 -8))\nexit");
    "streams" (6, 17) "output of programs by stream" |_t| super::command(Cmd::PROG_STREAM_READ_BY_FD);
    "excl_map" (6, 18) "maps for one program only" excl_map;
    "gotox" (6, 19) "indirect jumps" |_t| super::map_type(MapType::INSN_ARRAY);
    "elem_cpu" (7, 0) "one CPU's value of a per-CPU map" elem_cpu;
    "btf_layout" (7, 1) "BTF that describes its own kinds" btf::layout;
    "full_range_map_value" (7, 1) "places in map values beyond 512 MiB" full_range_map_value;
    "btf_wide_vlen" (7, 2) "types of more than 65535 members in BTF" btf::wide_vlen;
    "common_attrs" (7, 2) "a log for commands of any kind" common_attrs;
}

/// A load of a socket filter without a log.
fn filter<'a>(token: Option<&'a TokenFd>, insns: &'a [Insn]) -> ProgLoad<'a> {
    ProgLoad::new(ProgType::SOCKET_FILTER, insns)
        .log_level(LogLevel::Off)
        .maybe_token(token)
}

/// Loads a socket filter.
fn load(token: Option<&TokenFd>, insns: &[Insn]) -> Support {
    Support::of(filter(token, insns).run())
}

/// Loads a socket filter given as text.
fn run(token: Option<&TokenFd>, text: &str) -> Support {
    match asm::assemble(text) {
        Ok(insns) => load(token, &insns),
        Err(_) => Support::Unknown(SysError::refused(
            Op::Bpf(Cmd::PROG_LOAD),
            Refusal::BadProbe,
        )),
    }
}

/// Makes a map. An attribute too many is `E2BIG`.
fn map<'a>(token: Option<&'a TokenFd>, create: MapCreate<'a>) -> Support {
    let create = create.maybe_token(token);
    Support::judge(create.run(), &[], &[libc::EINVAL, libc::E2BIG])
}

fn object_names(token: Option<&TokenFd>) -> Support {
    map(token, MapCreate::new(MapType::ARRAY, 4, 4, 1).name("probe"))
}

/// Loads a program with an attach type. Kernels without the field refuse it as too big; others may
/// have been built without the program's type.
fn expected_attach_type(token: Option<&TokenFd>) -> Support {
    let insns = [asm::mov64_imm(Reg::R0, 1), asm::exit()];
    let load = ProgLoad::new(ProgType::CGROUP_SOCK, &insns)
        .expected_attach_type(AttachType::CGROUP_INET_SOCK_CREATE)
        .log_level(LogLevel::Off)
        .maybe_token(token);
    Support::judge(load.run(), &[libc::EINVAL], &[libc::E2BIG])
}

/// Loads a program whose function may pass its argument to a helper only if that is the context,
/// which nothing but the tag says.
fn arg_ctx_tag(token: Option<&TokenFd>) -> Support {
    let data = btf::with_ctx_tag();
    let btf = BtfLoad::new(&data)
        .log_level(LogLevel::Off)
        .maybe_token(token)
        .run();
    let btf = match btf {
        Ok(btf) => btf,
        Err(error) => return Support::of::<(), _>(Err(error)),
    };
    let insns = [
        asm::call_rel(1),
        asm::exit(),
        asm::call_helper(HelperId::GET_FUNC_IP),
        asm::exit(),
    ];
    let funcs = [(0, 4), (2, 6)].map(|(insn_off, type_id)| FuncInfo { insn_off, type_id });
    let load = ProgLoad::new(ProgType::KPROBE, &insns)
        .btf(&btf)
        .func_info(&funcs)
        .log_level(LogLevel::Off)
        .maybe_token(token);
    Support::judge(load.run(), &[], &[libc::EINVAL, libc::EACCES])
}

/// Names a place far outside of a map: kernels that limit places say so, others find that the map
/// is smaller.
fn full_range_map_value(token: Option<&TokenFd>) -> Support {
    let array = match MapCreate::new(MapType::ARRAY, 4, 1, 1)
        .maybe_token(token)
        .run()
    {
        Ok(array) => array,
        Err(error) => return Support::Unknown(error),
    };
    let mut insns = asm::ld_map_value(Reg::R1, array.as_raw_fd(), 1 << 30).to_vec();
    insns.push(asm::exit());
    let load = filter(token, &insns).log_level(LogLevel::Level(1));
    let error = match load.run() {
        // The place is outside of the map.
        Ok(_) => {
            return Support::Unknown(SysError::refused(
                Op::Bpf(Cmd::PROG_LOAD),
                Refusal::BadAnswer,
            ));
        }
        Err(error) => error,
    };
    let log = error.log().as_str();
    if log.contains("direct value offset of") {
        Support::No
    } else if log.contains("invalid access to map value pointer") {
        Support::Yes
    } else {
        Support::Unknown(error.sys())
    }
}

/// Kernel BTF is the first object of the system where there is any. Before 5.11 it had no id, but
/// programs that trace it could be loaded, or be refused for the type they name.
fn kernel_btf(token: Option<&TokenFd>) -> Support {
    for id in crate::btf_ids() {
        let is_kernel = id
            .and_then(BtfFd::by_id)
            .and_then(|btf| btf.info())
            .map(|info| info.is_kernel());
        match is_kernel {
            Ok(true) => return Support::Yes,
            Ok(false) => {}
            // Went away meanwhile.
            Err(error) if error.is(nix::errno::Errno::ENOENT) => {}
            Err(error) => return Support::of::<(), _>(Err(error)),
        }
    }
    prog_type_with(ProgType::TRACING, token)
}

fn large_insn_limit(token: Option<&TokenFd>) -> Support {
    let mut insns = vec![asm::mov64_imm(Reg::R0, 1); 4097];
    insns.push(asm::exit());
    let result = filter(token, &insns).run();
    Support::judge(result, &[], &[libc::E2BIG, libc::EINVAL])
}

/// Loads a socket filter that names an array in its first instruction.
fn with_array(token: Option<&TokenFd>, first: impl Fn(i32) -> [Insn; 2]) -> Support {
    let create = MapCreate::new(MapType::ARRAY, 4, 32, 1).maybe_token(token);
    let array = match create.run() {
        Ok(array) => array,
        Err(error) => return Support::Unknown(error),
    };
    let mut insns = first(array.as_raw_fd()).to_vec();
    insns.extend([asm::mov64_imm(Reg::R0, 0), asm::exit()]);
    load(token, &insns)
}

fn global_data(token: Option<&TokenFd>) -> Support {
    with_array(token, |fd| asm::ld_map_value(Reg::R1, fd, 16))
}

fn array_by_index(token: Option<&TokenFd>, bound: bool) -> Support {
    let create = MapCreate::new(MapType::ARRAY, 4, 32, 1).maybe_token(token);
    let array = match create.run() {
        Ok(array) => array,
        Err(error) => return Support::Unknown(error),
    };
    let mut insns = asm::ld_map_idx(Reg::R1, 0).to_vec();
    insns.extend([asm::mov64_imm(Reg::R0, 0), asm::exit()]);
    let fds = [array.as_fd()];
    let load = filter(token, &insns);
    let load = if bound {
        load.fd_array_bound(&fds)
    } else {
        load.fd_array(&fds)
    };
    Support::judge(load.run(), &[], &[libc::EINVAL, libc::E2BIG])
}

fn fd_array(token: Option<&TokenFd>) -> Support {
    array_by_index(token, false)
}

fn fd_array_cnt(token: Option<&TokenFd>) -> Support {
    array_by_index(token, true)
}

fn xdp_frags(token: Option<&TokenFd>) -> Support {
    let insns = [asm::mov64_imm(Reg::R0, 2), asm::exit()];
    Support::of(
        ProgLoad::new(ProgType::XDP, &insns)
            .flags(ProgLoadFlags::XDP_HAS_FRAGS)
            .log_level(LogLevel::Off)
            .maybe_token(token)
            .run(),
    )
}

fn log_true_size(token: Option<&TokenFd>) -> Support {
    let insns = [asm::mov64_imm(Reg::R0, 0), asm::exit()];
    match filter(token, &insns)
        .log_level(LogLevel::Level(1))
        .run_with_log()
    {
        Ok((_, log)) if log.true_size() > 0 => Support::Yes,
        Ok(_) => Support::No,
        Err(error) => Support::Unknown(error.sys()),
    }
}

fn excl_map(token: Option<&TokenFd>) -> Support {
    map(
        token,
        MapCreate::new(MapType::ARRAY, 4, 4, 1).excl_prog_hash(&[1; 32]),
    )
}

fn elem_cpu(token: Option<&TokenFd>) -> Support {
    let cpus = crate::cpus::possible_list();
    let cpu = match cpus.map(|list| list.first().copied().unwrap_or(0)) {
        Ok(cpu) => cpu,
        Err(error) => return Support::Unknown(error),
    };
    let create = MapCreate::new(MapType::PERCPU_ARRAY, 4, 8, 1).maybe_token(token);
    match create.run() {
        Ok(array) => Support::of(
            MapUpdateElem::new(&array, &[0; 4], &[0; 8])
                .flags(ElemFlags::on_cpu(cpu))
                .run(),
        ),
        Err(error) => Support::Unknown(error),
    }
}

/// The answer to a missing structure tells, except that without privilege none may come.
fn common_attrs(_token: Option<&TokenFd>) -> Support {
    if common_attrs_known() {
        Support::Yes
    } else {
        match super::command(Cmd::PROG_LOAD) {
            Support::Yes => Support::No,
            other => other,
        }
    }
}
