//! A kernel that is described: small, and unlike any other, so that what a plan has of it is seen
//! to be from here.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Result;
use btf::build::{Builder, Member};
use btf::{Btf, Endian, TypeId, encoding};
use loader::target::{Described, ModuleBtf, Symbol};

/// Types that the rest is made of.
struct Basics {
    int: TypeId,
    u8_: TypeId,
    u16_: TypeId,
    u32_: TypeId,
    u64_: TypeId,
    chars: TypeId,
    name: TypeId,
    pointer: TypeId,
    callback: TypeId,
    proto: TypeId,
}

fn basics(b: &mut Builder<'_>) -> Basics {
    let int = b.add_int(b"int", 4, encoding::SIGNED);
    let character = b.add_int(b"char", 1, encoding::SIGNED);
    let u8_ = b.add_int(b"unsigned char", 1, 0);
    let u16_ = b.add_int(b"unsigned short", 2, 0);
    let u32_ = b.add_int(b"unsigned int", 4, 0);
    let u64_ = b.add_int(b"unsigned long", 8, 0);
    let chars = b.add_array(character, int, 16);
    let name = b.add_array(character, int, 128);
    let pointer = b.add_ptr(TypeId::VOID);
    let proto = b.add_func_proto(int, &[(b"context", pointer)]);
    let callback = b.add_ptr(proto);
    Basics {
        int,
        u8_,
        u16_,
        u32_,
        u64_,
        chars,
        name,
        pointer,
        callback,
        proto,
    }
}

/// Functions that programs attach to, all of one signature.
const FUNCTIONS: [&str; 10] = [
    "do_nanosleep",
    "__x64_sys_nanosleep",
    "security_file_permission",
    "bpf_fentry_test1",
    "bpf_lsm_file_open",
    "bpf_lsm_socket_bind",
    "bpf_iter_task",
    "bpf_iter_bpf_map",
    "bpf_iter_bpf_map_elem",
    "bpf_iter_cgroup",
];

const TRACEPOINTS: [&str; 3] = ["task_newtask", "sys_enter", "sched_switch"];

/// Gives the type of tasks.
fn structs(b: &mut Builder<'_>, of: &Basics) -> TypeId {
    let list = TypeId(b.next_id() + 1);
    let list_pointer = b.add_ptr(list);
    let members = [
        Member::new(b"next", list_pointer, 0),
        Member::new(b"prev", list_pointer, 64),
    ];
    b.add_struct(b"list_head", 16, &members);
    let task = TypeId(b.next_id() + 1);
    let task_pointer = b.add_ptr(task);
    let members = [
        Member::new(b"__state", of.u32_, 64),
        Member::new(b"flags", of.u32_, 96),
        Member::new(b"prio", of.int, 128),
        Member::new(b"tasks", list, 192),
        Member::new(b"pid", of.int, 320),
        Member::new(b"tgid", of.int, 352),
        Member::new(b"group_leader", task_pointer, 384),
        Member::new(b"start_time", of.u64_, 448),
        Member::new(b"comm", of.chars, 512),
        Member {
            bitfield_size: 1,
            ..Member::new(b"sched_reset_on_fork", of.u32_, 640)
        },
    ];
    b.add_struct(b"task_struct", 88, &members);
    let bits = |name, offset, width| Member {
        bitfield_size: width,
        ..Member::new(name, of.u8_, offset)
    };
    let members = [
        Member::new(b"len", of.u32_, 96),
        bits(b"cloned", 128, 1),
        bits(b"pkt_type", 131, 3),
        Member::new(b"protocol", of.u16_, 144),
        Member::new(b"mark", of.u32_, 160),
    ];
    b.add_struct(b"sk_buff", 24, &members);
    b.add_typedef(b"pid_t", of.int);
    let atomic = b.add_struct(b"", 4, &[Member::new(b"counter", of.int, 0)]);
    b.add_typedef(b"atomic_t", atomic);
    let names: [(&[u8], u32); 3] = [
        (b"BPF_MAP_TYPE_UNSPEC", 0),
        (b"BPF_MAP_TYPE_HASH", 1),
        (b"BPF_MAP_TYPE_ARRAY", 2),
    ];
    b.add_enum(b"bpf_map_type", 4, false, &names);
    b.add_union(b"bpf_attr", 4, &[Member::new(b"map_type", of.u32_, 0)]);
    let rq = [Member::new(b"cpu", of.int, 2048)];
    let rq = b.add_struct(b"rq", 260, &rq);
    b.add_var(b"runqueues", 1, rq);
    b.add_var(b"bpf_prog_active", 1, of.int);
    task
}

/// A type that maps can implement, and the type of such maps' values.
fn operations(b: &mut Builder<'_>, of: &Basics, name: &str, size: u32, members: &[Member<'_>]) {
    let ops = b.add_struct(name.as_bytes(), size, members);
    let value = format!("bpf_struct_ops_{name}");
    let common = Member::new(b"common", of.u64_, 0);
    let data = Member::new(b"data", ops, 64 * 8);
    b.add_struct(value.as_bytes(), 64 + size, &[common, data]);
}

fn all_operations(b: &mut Builder<'_>, of: &Basics) {
    let call = |name, slot: u32| Member::new(name, of.callback, slot * 64);
    operations(
        b,
        of,
        "tcp_congestion_ops",
        72,
        &[
            call(b"init", 0),
            call(b"release", 1),
            call(b"ssthresh", 2),
            call(b"undo_cwnd", 3),
            call(b"cong_avoid", 4),
            Member::new(b"flags", of.u32_, 320),
            Member::new(b"name", of.chars, 384),
        ],
    );
    let members = [
        call(b"test_1", 0),
        call(b"test_2", 1),
        call(b"test_sleepable", 2),
    ];
    operations(b, of, "bpf_dummy_ops", 24, &members);
    operations(
        b,
        of,
        "sched_ext_ops",
        160,
        &[
            call(b"exit", 0),
            call(b"init", 1),
            Member::new(b"timeout_ms", of.u32_, 128),
            Member::new(b"flags", of.u64_, 192),
            Member::new(b"name", of.name, 256),
        ],
    );
    b.add_struct(b"bpf_dummy_ops_state", 4, &[Member::new(b"val", of.int, 0)]);
}

/// Functions that programs call.
fn kfuncs(b: &mut Builder<'_>, of: &Basics, task: TypeId) {
    let task = b.add_ptr(task);
    let node = b.add_struct(b"bpf_list_node", 24, &[]);
    let node = b.add_ptr(node);
    let head = b.add_struct(b"bpf_list_head", 16, &[]);
    let head = b.add_ptr(head);
    let mut func = |name: &str, returns: TypeId, params: &[TypeId]| {
        let params: Vec<(&[u8], TypeId)> = params.iter().map(|id| (&b"it"[..], *id)).collect();
        let proto = b.add_func_proto(returns, &params);
        b.add_func(name.as_bytes(), 1, proto);
    };
    let void = TypeId::VOID;
    func("bpf_rcu_read_lock", void, &[]);
    func("bpf_rcu_read_unlock", void, &[]);
    func("bpf_throw", void, &[of.u64_]);
    func("bpf_cast_to_kern_ctx", of.pointer, &[of.pointer]);
    func(
        "bpf_arena_free_pages",
        void,
        &[of.pointer, of.pointer, of.u32_],
    );
    let alloc = [of.pointer, of.pointer, of.u32_, of.int, of.u64_];
    func("bpf_arena_alloc_pages", of.pointer, &alloc);
    func("bpf_obj_new_impl", of.pointer, &[of.u64_, of.pointer]);
    func("bpf_obj_drop_impl", void, &[of.pointer, of.pointer]);
    let push = [head, node, of.pointer, of.u64_];
    func("bpf_list_push_front_impl", of.int, &push);
    func("bpf_list_push_back_impl", of.int, &push);
    func("bpf_list_pop_front", node, &[head]);
    func("bpf_task_from_pid", task, &[of.int]);
    func("bpf_task_acquire", task, &[task]);
    func("bpf_task_release", void, &[task]);
}

fn module(base: &Arc<Btf<'static>>, of: &Basics) -> Result<Btf<'static>> {
    let mut b = Builder::split(base);
    let conn = b.add_struct(b"nf_conn", 32, &[Member::new(b"status", of.u64_, 128)]);
    let conn = b.add_ptr(conn);
    b.add_func(b"nf_ct_delete", 0, of.proto);
    let proto = b.add_func_proto(TypeId::VOID, &[(b"ct", conn)]);
    b.add_func(b"bpf_ct_release", 1, proto);
    let pointer_to = |b: &mut Builder<'_>, name: &[u8]| {
        let of = b.add_struct(name, 12, &[]);
        b.add_ptr(of)
    };
    let skb = pointer_to(&mut b, b"__sk_buff");
    let tuple = pointer_to(&mut b, b"bpf_sock_tuple");
    let opts = pointer_to(&mut b, b"bpf_ct_opts");
    let params: [(&[u8], TypeId); 5] = [
        (b"skb", skb),
        (b"tuple", tuple),
        (b"size", of.u32_),
        (b"opts", opts),
        (b"opts_size", of.u32_),
    ];
    let proto = b.add_func_proto(conn, &params);
    b.add_func(b"bpf_skb_ct_lookup", 1, proto);
    Ok(Btf::parse_split(b.finish()?, base.clone())?)
}

/// The kernel, of the host's byte order.
pub(crate) fn kernel() -> Result<Described> {
    let endian = if cfg!(target_endian = "little") {
        Endian::Little
    } else {
        Endian::Big
    };
    let mut b = Builder::new(endian);
    let of = basics(&mut b);
    let task = structs(&mut b, &of);
    for name in FUNCTIONS {
        b.add_func(name.as_bytes(), 1, of.proto);
    }
    for name in TRACEPOINTS {
        b.add_typedef(format!("btf_trace_{name}").as_bytes(), of.proto);
    }
    all_operations(&mut b, &of);
    kfuncs(&mut b, &of, task);
    let vmlinux = Btf::parse(b.finish()?)?;
    let base = Arc::new(Btf::parse(vmlinux.data().to_vec())?);
    let options = [
        ("CONFIG_BPF_SYSCALL", "y"),
        ("CONFIG_BPF", "m"),
        ("CONFIG_NET", "n"),
        ("CONFIG_LOG_BUF_SHIFT", "18"),
        ("CONFIG_HZ", "1000"),
        ("CONFIG_NR_CPUS", "0x40"),
        ("CONFIG_PHYSICAL_START", "0x1000000"),
        ("CONFIG_DEFAULT_HOSTNAME", "\"(none)\""),
    ];
    let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    Ok(Described {
        vmlinux: Some(vmlinux),
        modules: vec![ModuleBtf {
            name: "nf_conntrack".to_owned(),
            id: 42,
            btf: module(&base, &of)?,
        }],
        symbols: Some(BTreeMap::from([(
            "bpf_prog_put".to_owned(),
            Symbol::At(0xffff_ffff_8123_4560),
        )])),
        kconfig: Some(options.into_iter().map(owned).collect()),
        version: 6 << 16 | 7 << 8 | 8,
        cpus: 6,
        ..Described::default()
    })
}
