//! Maps that implement a type of the kernel.

use super::*;
use crate::model::StructOps;
use crate::target::ModuleBtf;
use btf::build::Member;
use btf::encoding;

/// Members of `struct ops`: name, type, bit offset. Types: 1 int, 2 signature, 3 function
/// pointer, 4 long, 5 pointer to int.
type Ops<'a> = &'a [(&'a [u8], u32, u32)];

fn basics(b: &mut Builder<'_>) {
    let int = b.add_int(b"int", 4, encoding::SIGNED);
    let proto = b.add_func_proto(int, &[]);
    b.add_ptr(proto);
    b.add_int(b"long", 8, encoding::SIGNED);
    b.add_ptr(int);
}

fn members<'a>(ops: Ops<'a>) -> Vec<Member<'a>> {
    ops.iter()
        .map(|(name, type_id, offset)| Member::new(name, TypeId(*type_id), *offset))
        .collect()
}

/// Adds the kernel's `struct ops` and `struct bpf_struct_ops_ops`, where it is at byte 16.
fn add_kernel(b: &mut Builder<'_>, size: u32, ops: Ops<'_>) {
    let ops = b.add_struct(b"ops", size, &members(ops));
    let common = Member::new(b"refcnt", TypeId(1), 0);
    let data = Member::new(b"data", ops, 128);
    b.add_struct(b"bpf_struct_ops_ops", 16 + size, &[common, data]);
}

fn kernel(size: u32, ops: Ops<'_>) -> Described {
    Described::of(types(|b| {
        basics(b);
        add_kernel(b, size, ops);
    }))
}

/// An object with `struct ops___local`, type 6, a map of it and programs.
fn object(size: u32, ops: Ops<'_>, data: &[u8], progs: &[(u32, u32)]) -> Object {
    let mut object = empty();
    object.btf = Some(Arc::new(types(|b| {
        basics(b);
        b.add_struct(b"ops___local", size, &members(ops));
    })));
    for name in ["first", "second"] {
        object.add(name, ProgType::STRUCT_OPS, "r0 = 0\nexit");
    }
    let used: Vec<u32> = progs.iter().map(|(_, prog)| *prog).collect();
    for (at, program) in (0..).zip(&mut object.programs) {
        program.autoload = used.contains(&at);
    }
    object.add_map(Map {
        data: data.to_vec(),
        origin: MapOrigin::StructOps(StructOps {
            type_name: "ops___local".into(),
            type_id: TypeId(6),
            progs: progs
                .iter()
                .map(|(member, prog)| (*member, ProgIdx(*prog)))
                .collect(),
            link: true,
        }),
        spec: MapSpec {
            map_type: MapType::STRUCT_OPS,
            key_size: 4,
            value_size: size,
            max_entries: 1,
            value_type: TypeId(6),
            ..hash("my_ops").spec
        },
        ..hash("my_ops")
    });
    object
}

const LOCAL: Ops<'_> = &[
    (b"init", 3, 0),
    (b"flags", 1, 64),
    (b"extra", 1, 96),
    (b"stop", 3, 128),
];

fn data() -> Vec<u8> {
    let mut data = vec![0; 24];
    data[8] = 0x2a;
    data
}

#[test]
fn members_are_matched_by_name() {
    let target = kernel(
        32,
        &[
            (b"new", 4, 0),
            (b"stop", 3, 64),
            (b"flags", 1, 128),
            (b"init", 3, 192),
        ],
    );
    let object = object(24, LOCAL, &data(), &[(0, 1), (3, 0)]);
    let plan = planned(&object, &target);
    let map = &plan.maps[0];
    let ops = map.struct_ops.as_ref().unwrap();
    assert_eq!(ops.value_type, TypeId(7));
    assert_eq!(ops.module, None);
    assert_eq!(ops.progs, [(16 + 24, ProgIdx(1)), (16 + 8, ProgIdx(0))]);
    let mut value = vec![0; 48];
    value[32] = 0x2a;
    assert_eq!(ops.value, value);
    assert_eq!(map.spec.value_size, 48);
    assert_eq!(map.spec.value_type, TypeId::VOID);
    assert!(ops.link);
    assert!(plan.btf.as_ref().unwrap().required);
    let hooks: Vec<Option<AttachType>> = plan
        .programs
        .iter()
        .map(|program| program.expected_attach_type)
        .collect();
    assert_eq!(hooks, [Some(AttachType(1)), Some(AttachType(3))]);
    for program in &plan.programs {
        let AttachPlan::Kernel { btf_id } = program.attach else {
            panic!("{:?}", program.attach);
        };
        assert_eq!(btf_id, TypeId(6));
    }
}

#[test]
fn types_of_modules_are_found_too() {
    let base = Arc::new(types(basics));
    let split = {
        let mut b = Builder::split(&base);
        add_kernel(&mut b, 24, LOCAL);
        Btf::parse_split(b.finish().unwrap(), base.clone()).unwrap()
    };
    let target = Described {
        modules: vec![ModuleBtf {
            name: "tcp_x".into(),
            id: 3,
            btf: split,
        }],
        ..Described::of(types(basics))
    };
    let plan = planned(&object(24, LOCAL, &data(), &[(0, 0)]), &target);
    let map = &plan.maps[0];
    assert_eq!(map.struct_ops.as_ref().unwrap().module, Some(ModuleIdx(0)));
    assert!(map.spec.flags.contains(MapFlags::VTYPE_BTF_OBJ_FD));
    assert!(matches!(
        plan.programs[0].attach,
        AttachPlan::Module {
            module: ModuleIdx(0),
            btf_id: TypeId(6)
        }
    ));
    assert_eq!(plan.modules[0].name, "tcp_x");
}

#[test]
fn maps_decide_which_of_their_programs_are_loaded() {
    let target = kernel(24, LOCAL);
    let mut object = object(24, LOCAL, &data(), &[(0, 0)]);
    // a program that no map uses says it itself
    object.programs[0].autoload = false;
    let plan = planned(&object, &target);
    assert_eq!(plan.programs.len(), 1);

    object.maps[0].autocreate = false;
    object.programs[0].autoload = true;
    let plan = planned(&object, &target);
    assert!(plan.programs.is_empty());
    assert!(!plan.btf.unwrap().required);

    object.programs[1].autoload = true;
    fails(
        &object,
        &target,
        "program 'second': no struct_ops map that is made uses it",
    );
}

#[test]
fn members_that_cannot_be_set_are_errors() {
    let target = kernel(24, LOCAL);
    let check = |target: &Described, ops: Ops<'_>, data: &[u8], progs: &[(u32, u32)], expect| {
        let size = data.len() as u32;
        fails(
            &object(size, ops, data, progs),
            target,
            &format!("map 'my_ops': {expect}"),
        );
    };
    let without = kernel(16, &[(b"flags", 1, 64), (b"extra", 1, 96)]);
    check(
        &without,
        LOCAL,
        &data(),
        &[(0, 0)],
        "the kernel's struct 'ops' has no member 'init', and the object sets it",
    );
    let mut set = data();
    set[12] = 1;
    check(
        &kernel(16, &[(b"flags", 1, 64)]),
        LOCAL,
        &set,
        &[],
        "the kernel's struct 'ops' has no member 'extra', and the object sets it",
    );
    planned(&object(24, LOCAL, &data(), &[]), &without);
    check(
        &target,
        &[(b"flags", 4, 0)],
        &[0; 8],
        &[],
        "member 'flags': it has 8 bytes here and 4 in the kernel",
    );
    check(
        &target,
        &[(b"flags", 3, 0)],
        &[0; 8],
        &[],
        "member 'flags': it is PTR here and INT in the kernel",
    );
    check(
        &target,
        LOCAL,
        &[0; 16],
        &[],
        "member 'stop': the object's value ends before it",
    );
    check(
        &kernel(24, &[(b"init", 5, 0)]),
        LOCAL,
        &[0; 24],
        &[(0, 0)],
        "member 'init': it is no pointer to a function in the kernel",
    );
    check(
        &Described::of(types(basics)),
        LOCAL,
        &[0; 24],
        &[(0, 0)],
        "the kernel has no struct 'ops' that can be implemented",
    );
    check(
        &target,
        LOCAL,
        &[0; 24],
        &[(0, 9)],
        "member 'init': the object has no such program",
    );
    let bits = Described::of(types(|b| {
        basics(b);
        let field = Member {
            bitfield_size: 3,
            ..Member::new(b"flags", TypeId(1), 0)
        };
        let ops = b.add_struct(b"ops", 4, &[field]);
        b.add_struct(b"bpf_struct_ops_ops", 4, &[Member::new(b"data", ops, 0)]);
    }));
    check(
        &bits,
        &[(b"flags", 1, 0)],
        &[0; 4],
        &[],
        "member 'flags': it is a bit field, which cannot be set",
    );
    let huge = kernel(1 << 20, LOCAL);
    check(
        &huge,
        LOCAL,
        &[0; 24],
        &[],
        "a value of 1048592 bytes is more than any kernel takes",
    );
    let mut other = object(24, LOCAL, &data(), &[(0, 0)]);
    other.programs[0].prog_type = ProgType::XDP;
    fails(
        &other,
        &target,
        "map 'my_ops': member 'init': 'first' is no struct_ops program",
    );
    other.btf = None;
    fails(
        &other,
        &target,
        "map 'my_ops': it needs the object's types, and it has none",
    );
}

#[test]
fn a_program_implements_one_member() {
    let target = kernel(24, LOCAL);
    let mut object = object(24, LOCAL, &data(), &[(0, 0)]);
    let map = object.maps[0].clone();
    object.add_map(map);
    planned(&object, &target);
    if let MapOrigin::StructOps(ops) = &mut object.maps[1].origin {
        ops.progs[0].0 = 3;
    }
    fails(
        &object,
        &target,
        "program 'first': struct_ops maps use it as struct ops.init and as struct ops.stop",
    );
}

#[test]
fn members_of_all_maps_together_are_bounded() {
    let target = kernel(4, &[(b"flags", 1, 0)]);
    // as many members as a type can have; the kernel has none of them, and none is set
    let many = vec![(&b"x"[..], 1, 0); 65535];
    let mut object = object(4, &many, &[0; 4], &[]);
    let map = object.maps[0].clone();
    object.maps = vec![map; 4];
    planned(&object, &target);
    object.maps.push(object.maps[0].clone());
    fails(
        &object,
        &target,
        "map 'my_ops': struct_ops maps have more than 262144 members together",
    );
}

#[test]
fn types_that_cannot_be_read_are_errors() {
    let target = kernel(24, LOCAL);
    let change = |object: &mut Object, make: &dyn Fn(&mut StructOps)| {
        if let MapOrigin::StructOps(ops) = &mut object.maps[0].origin {
            make(ops);
        }
    };
    let mut object = object(24, LOCAL, &data(), &[(0, 0)]);
    change(&mut object, &|ops| ops.type_id = TypeId(77));
    fails(
        &object,
        &target,
        "map 'my_ops': its type cannot be read: no type with id 77: ids end at 7",
    );
    // a member of a type that the kernel's types do not have
    change(&mut object, &|ops| ops.type_id = TypeId(6));
    fails(
        &object,
        &kernel(24, &[(b"init", 99, 0)]),
        "map 'my_ops': the kernel's type cannot be read: no type with id 99: ids end at 8",
    );
}
