//! `__arg_ctx` for kernels that do not know it: functions that are verified by themselves get the
//! type of context that those kernels go by.

use super::{CTX_TAG, Edit, GLOBAL, Program, Seen};
use crate::relocate::{Downgrades, lacks};
use crate::target::{Feature, Target};
use bpfsys::ProgType;
use btf::build::Builder;
use btf::{Btf, BtfError, Type, TypeId, escape};
use std::collections::{HashMap, HashSet};

/// The context of each type of program, as a struct's name.
#[doc(alias = "global_ctx_map")]
const fn context(prog_type: ProgType) -> Option<&'static [u8]> {
    Some(match prog_type {
        ProgType::CGROUP_DEVICE => b"bpf_cgroup_dev_ctx",
        ProgType::CGROUP_SKB
        | ProgType::FLOW_DISSECTOR
        | ProgType::LWT_IN
        | ProgType::LWT_OUT
        | ProgType::LWT_SEG6LOCAL
        | ProgType::LWT_XMIT
        | ProgType::SCHED_ACT
        | ProgType::SCHED_CLS
        | ProgType::SK_SKB
        | ProgType::SOCKET_FILTER => b"__sk_buff",
        ProgType::CGROUP_SOCK => b"bpf_sock",
        ProgType::CGROUP_SOCK_ADDR => b"bpf_sock_addr",
        ProgType::CGROUP_SOCKOPT => b"bpf_sockopt",
        ProgType::CGROUP_SYSCTL => b"bpf_sysctl",
        ProgType::KPROBE => b"bpf_user_pt_regs_t",
        ProgType::NETFILTER => b"bpf_nf_ctx",
        ProgType::PERF_EVENT => b"bpf_perf_event_data",
        ProgType::RAW_TRACEPOINT | ProgType::RAW_TRACEPOINT_WRITABLE => b"bpf_raw_tracepoint_args",
        ProgType::SK_LOOKUP => b"bpf_sk_lookup",
        ProgType::SK_MSG => b"sk_msg_md",
        ProgType::SK_REUSEPORT => b"sk_reuseport_md",
        ProgType::SOCK_OPS => b"bpf_sock_ops",
        ProgType::XDP => b"xdp_md",
        _ => return None,
    })
}

/// What registers of a process are called, by architecture.
const REGISTERS: &[u8] = if cfg!(any(target_arch = "aarch64", target_arch = "s390x")) {
    b"user_pt_regs"
} else if cfg!(any(target_arch = "riscv64", target_arch = "loongarch64")) {
    b"user_regs_struct"
} else {
    b"pt_regs"
};

pub(super) fn change<'o>(
    btf: &'o Btf<'static>,
    seen: &Seen,
    target: &dyn Target,
    programs: &mut [Program<'_>],
    edit: &mut Edit<'o>,
    downgrades: &mut Downgrades,
) -> Result<(), BtfError> {
    if seen.ctx_tags.is_empty() || !lacks(target, Feature::ArgCtxTag) {
        return Ok(());
    }
    let mut tagged: HashMap<TypeId, Vec<Arg<'_>>> = HashMap::new();
    for arg in seen.ctx_tags.iter().filter_map(|tag| Arg::of(btf, *tag)) {
        tagged.entry(arg.func).or_default().push(arg);
    }
    for program in programs {
        let Some(name) = context(program.prog_type) else {
            continue;
        };
        let mut pointer = None;
        let mut done = HashSet::new();
        for info in program.func_info.iter_mut() {
            let Some(args) = tagged.get(&info.type_id) else {
                continue;
            };
            let func = info.type_id;
            if !done.insert(func) {
                continue;
            }
            for arg in args {
                if !needs_change(btf, arg.type_id, program.prog_type, name) {
                    continue;
                }
                let builder = edit.builder()?;
                if info.type_id == func {
                    info.type_id = copy(btf, builder, arg)?;
                    let name = escape(arg.name);
                    let what = format!("function '{name}' says its context by type");
                    downgrades.add(Feature::ArgCtxTag, what);
                }
                let to = *pointer.get_or_insert_with(|| {
                    let context = builder.add_struct(name, 0, &[]);
                    builder.add_ptr(context)
                });
                builder.add_decl_tag(CTX_TAG, info.type_id, arg.component);
                let func = builder.record_mut(info.type_id);
                let proto = TypeId(func.map_or(0, |func| func.size_or_type()));
                if let Some(mut proto) = builder.record_mut(proto) {
                    let (params, _) = proto.rest_mut().as_chunks_mut::<2>();
                    if let Some([_, type_id]) = params.get_mut(arg.index) {
                        *type_id = to.0;
                    }
                }
            }
        }
    }
    Ok(())
}

/// Parameters that a function has at most. Copies of more would be many times the object.
const MAX_PARAMS: usize = 16;

/// A parameter with the tag, of a global function.
struct Arg<'o> {
    func: TypeId,
    name: &'o [u8],
    proto: TypeId,
    component: i32,
    index: usize,
    type_id: TypeId,
}

impl<'o> Arg<'o> {
    fn of(btf: &'o Btf<'static>, tag: TypeId) -> Option<Self> {
        let Ok(Type::DeclTag(tag)) = btf.type_by_id(tag) else {
            return None;
        };
        let Ok(Type::Func(func)) = btf.type_by_id(tag.type_id()) else {
            return None;
        };
        let Ok(Type::FuncProto(proto)) = btf.type_by_id(func.proto()) else {
            return None;
        };
        let index = usize::try_from(tag.component_idx()).ok()?;
        let param = proto.params().take(MAX_PARAMS).nth(index)?;
        (func.linkage() == GLOBAL && proto.params().len() <= MAX_PARAMS).then(|| Self {
            func: tag.type_id(),
            name: func.name().or_empty(),
            proto: func.proto(),
            component: tag.component_idx(),
            index,
            type_id: param.type_id,
        })
    }
}

/// Copies a function with its signature.
fn copy(btf: &Btf<'_>, builder: &mut Builder<'_>, arg: &Arg<'_>) -> Result<TypeId, BtfError> {
    let proto = builder.copy_type(btf, arg.proto, &mut |id| id)?;
    builder.copy_type(btf, arg.func, &mut |id| {
        if id == arg.proto { proto } else { id }
    })
}

/// Whether the parameter's type is one that may be replaced by the context's.
#[doc(alias = "need_func_arg_type_fixup")]
fn needs_change(btf: &Btf<'_>, id: TypeId, prog_type: ProgType, context: &[u8]) -> bool {
    let Ok((_, Type::Ptr(pointer))) = btf.resolve(id) else {
        return false;
    };
    let registers = matches!(prog_type, ProgType::KPROBE | ProgType::PERF_EVENT);
    if let Ok((_, Type::Typedef(t))) = btf.strip_modifiers(pointer.type_id())
        && registers
        && t.name().is(b"bpf_user_pt_regs_t")
    {
        return false;
    }
    let Ok((_, ty)) = btf.resolve(pointer.type_id()) else {
        return false;
    };
    let is = |name: &[u8]| matches!(ty, Type::Struct(t) if t.name().is(name));
    if matches!(ty, Type::Void) {
        return true;
    }
    match prog_type {
        _ if is(context) => false,
        ProgType::KPROBE => is(b"pt_regs"),
        ProgType::PERF_EVENT => is(REGISTERS),
        ProgType::RAW_TRACEPOINT | ProgType::RAW_TRACEPOINT_WRITABLE => {
            matches!(ty, Type::Int(int) if int.size() == 8)
        }
        _ => false,
    }
}
