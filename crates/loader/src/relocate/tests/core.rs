//! CO-RE relocations in programs.

use super::*;
use crate::target::ModuleBtf;
use btf::build::Member;
use btf::encoding;

/// The object's `struct s { int a; int b; }` and names of paths; the struct is type 2.
fn local() -> Arc<Btf<'static>> {
    Arc::new(types(|b| {
        let int = b.add_int(b"int", 4, encoding::SIGNED);
        b.add_struct(
            b"s",
            8,
            &[Member::new(b"a", int, 0), Member::new(b"b", int, 32)],
        );
        b.add_struct(b"absent", 4, &[Member::new(b"a", int, 0)]);
        b.add_struct(b"in_module", 4, &[Member::new(b"a", int, 0)]);
        b.string(b"0:1");
        b.string(b"0:0");
        b.string(b"0");
    }))
}

fn path(btf: &Btf<'_>, text: &[u8]) -> u32 {
    (0..200).find(|off| btf.str_at(*off) == Ok(text)).unwrap()
}

/// The kernel's `struct s { long new; int b; int a; }` and a module.
fn kernel() -> Described {
    let vmlinux = types(|b| {
        let int = b.add_int(b"int", 4, encoding::SIGNED);
        let long = b.add_int(b"long", 8, encoding::SIGNED);
        let members = [
            Member::new(b"new", long, 0),
            Member::new(b"b", int, 64),
            Member::new(b"a", int, 96),
        ];
        b.add_struct(b"s", 16, &members);
    });
    let base = Arc::new(Btf::parse(vmlinux.data().to_vec()).unwrap());
    let split = {
        let mut b = Builder::split(&base);
        b.add_struct(b"in_module", 8, &[Member::new(b"a", TypeId(1), 32)]);
        b.finish().unwrap()
    };
    let module = ModuleBtf {
        name: "mod".into(),
        id: 5,
        btf: Btf::parse_split(split, base).unwrap(),
    };
    Described {
        modules: vec![module],
        ..Described::of(vmlinux)
    }
}

fn with(text: &str, relos: &[(u32, u32, &[u8], RelocKind)]) -> Object {
    let mut object = empty();
    object.add("a", ProgType::XDP, text);
    let btf = local();
    object.functions[0].core_relos = relos
        .iter()
        .map(|(insn, type_id, text, kind)| CoreRelo {
            insn_off: insn * 8,
            type_id: TypeId(*type_id),
            access_str_off: path(&btf, text),
            kind: *kind,
        })
        .collect();
    object.btf = Some(btf);
    object
}

#[test]
fn instructions_get_what_the_kernel_has() {
    use RelocKind::{FieldByteOffset, FieldExists, TypeExists, TypeIdLocal, TypeSize};
    let text = "r0 = *(u32 *)(r1 +4)\nr2 = 4\nr3 = 1\nr4 = 8\nr5 = 0x2\nr6 = *(u32 *)(r1 +0)\nr7 = 1\nexit";
    let object = with(
        text,
        &[
            (0, 2, b"0:1", FieldByteOffset),
            (1, 2, b"0:1", FieldByteOffset),
            (2, 2, b"0:0", FieldExists),
            (3, 2, b"0", TypeSize),
            (4, 2, b"0", TypeIdLocal),
            (6, 4, b"0:0", FieldByteOffset),
            (7, 3, b"0", TypeExists),
        ],
    );
    let plan = planned(&object, &kernel());
    listing(
        &plan,
        0,
        "a:
         0: (61) r0 = *(u32 *)(r1 +8)
         core <byte_off> [2] struct s.b (0:1 @ offset 4): 4 -> 8
         1: (b7) r2 = 8
         core <byte_off> [2] struct s.b (0:1 @ offset 4): 4 -> 8
         2: (b7) r3 = 1
         core <field_exists> [2] struct s.a (0:0 @ offset 0): 1 -> 1
         3: (b7) r4 = 16
         core <type_size> [2] struct s: 8 -> 16
         4: (18) r5 = 0x2
         core <local_type_id> [2] struct s: 2 -> 2
         6: (61) r6 = *(u32 *)(r1 +4)
         core <byte_off> [4] struct in_module.a (0:0 @ offset 0): 0 -> 4
         7: (b7) r7 = 0
         core <type_exists> [3] struct absent: 1 -> 0: the target has no struct absent
         8: (95) exit",
    );
    let quiet = LoadPlan::new(&object, &kernel(), &PlanOptions::default()).unwrap();
    assert_eq!(quiet.programs[0].insns, plan.programs[0].insns);
    assert!(quiet.programs[0].core.is_empty());
}

#[test]
fn what_is_not_there_must_not_be_reached() {
    let text = "r0 = *(u32 *)(r1 +0)\nr2 = 0x0\nexit";
    let object = with(
        text,
        &[
            (0, 3, b"0:0", RelocKind::FieldByteOffset),
            (1, 3, b"0:0", RelocKind::FieldByteOffset),
        ],
    );
    let quiet = LoadPlan::new(&object, &kernel(), &PlanOptions::default()).unwrap();
    let program = &quiet.programs[0];
    let insns: Vec<u32> = program.poisoned.iter().map(|p| p.insn).collect();
    assert_eq!(insns, [0, 1]);
    assert_eq!(
        program.poisoned[0].why,
        Poison::CoreRelo {
            what: "<byte_off> [3] struct absent.a (0:0 @ offset 0)".into(),
            why: "the target has no struct absent".into(),
        }
    );
    assert!(
        program
            .insns
            .iter()
            .take(3)
            .all(|insn| insn.imm == 195_896_080)
    );
}

#[test]
fn a_function_of_two_programs_is_relocated_alike() {
    let mut object = with("call pc+0\nexit", &[]);
    object.add("b", ProgType::XDP, "r0 = 0\ncall pc+0\nexit");
    let mut sub = function("sub", "r0 = *(u32 *)(r1 +4)\nexit");
    sub.core_relos = vec![CoreRelo {
        insn_off: 0,
        type_id: TypeId(2),
        access_str_off: path(object.btf.as_ref().unwrap(), b"0:1"),
        kind: RelocKind::FieldByteOffset,
    }];
    let sub = object.add_function(sub);
    object.refer(FuncIdx(0), 0, RefTarget::Call(sub));
    object.refer(FuncIdx(1), 1, RefTarget::Call(sub));
    let plan = planned(&object, &kernel());
    assert_eq!(plan.programs[0].insns[2].off, 8);
    assert_eq!(plan.programs[1].insns[3].off, 8);
    assert_eq!(plan.programs[1].core[0].insn, 3);
}

#[test]
fn local_ids_need_no_kernel() {
    let object = with("r1 = 0x2\nexit", &[(0, 2, b"0", RelocKind::TypeIdLocal)]);
    planned(&object, &Described::default());
    let object = with("r1 = 8\nexit", &[(0, 2, b"0", RelocKind::TypeSize)]);
    fails(
        &object,
        &Described::default(),
        "the kernel's types for core relocations: \
         the target's description does not say: the kernel's types",
    );
    // other types may be given instead, without modules
    let options = PlanOptions {
        core_btf: Some(Arc::new(types(|b| {
            b.add_struct(b"s", 24, &[]);
        }))),
        ..PlanOptions::default()
    };
    let plan = LoadPlan::new(&object, &Described::default(), &options).unwrap();
    assert_eq!(plan.programs[0].insns[0].imm, 24);
}

#[test]
fn errors_name_the_question_and_the_instruction() {
    let object = with(
        "r1 = 5\nexit",
        &[(0, 2, b"0:1", RelocKind::FieldByteOffset)],
    );
    fails(
        &object,
        &kernel(),
        "program 'a': instruction 0 (main+0x0): \
         core relocation <byte_off> [2] struct s.b (0:1 @ offset 4): \
         instruction 0 holds 5, the object's types give 4",
    );
    let object = with(
        "r1 = 4\nexit",
        &[(0, 2, b"0:1", RelocKind::FieldByteOffset)],
    );
    let two = Described::of(types(|b| {
        let int = b.add_int(b"int", 4, encoding::SIGNED);
        b.add_struct(b"s", 8, &[Member::new(b"b", int, 0)]);
        b.add_struct(b"s___2", 8, &[Member::new(b"b", int, 32)]);
    }));
    fails(
        &object,
        &two,
        "program 'a': instruction 0 (main+0x0): \
         core relocation <byte_off> [2] struct s.b (0:1 @ offset 4): \
         ambiguous: the field is at bit 0 of type 2 and at bit 32 of type 3",
    );
    let mut object = object;
    object.btf = None;
    fails(
        &object,
        &kernel(),
        "program 'a': instruction 0 (main+0x0): \
         a core relocation needs the object's types, and it has none",
    );
}
