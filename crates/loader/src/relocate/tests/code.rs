//! Programs of several functions, and references to maps.

use super::*;
use crate::model::JumpTable;
use crate::model::TableIdx;

/// Two programs: `a` calls `sub_a`, `b` calls `sub_c`, both of which call `sub_b`.
fn diamond() -> Object {
    let mut object = empty();
    let a = object.add("a", ProgType::XDP, "r1 = 1\ncall pc+0\nexit");
    let b = object.add("b", ProgType::XDP, "call pc+0\ncall pc+0\nexit");
    let sub_a = object.add_function(function("sub_a", "call pc+0\nr0 = 10\nexit"));
    let sub_b = object.add_function(function("sub_b", "r0 = 20\nexit"));
    let sub_c = object.add_function(function("sub_c", "r0 = 30\ncall pc+0\nexit"));
    let (a, b) = (object.main(a), object.main(b));
    object.refer(a, 1, RefTarget::Call(sub_a));
    object.refer(b, 0, RefTarget::Call(sub_c));
    object.refer(b, 1, RefTarget::Call(sub_b));
    object.refer(sub_a, 0, RefTarget::Call(sub_b));
    object.refer(sub_c, 1, RefTarget::Call(sub_b));
    object
}

#[test]
fn functions_follow_where_they_are_called_first() {
    let plan = planned(&diamond(), &Described::default());
    listing(
        &plan,
        0,
        "a:
         0: (b7) r1 = 1
         1: (85) call pc+1#sub_a
         2: (95) exit
         sub_a:
         3: (85) call pc+2#sub_b
         4: (b7) r0 = 10
         5: (95) exit
         sub_b:
         6: (b7) r0 = 20
         7: (95) exit",
    );
    listing(
        &plan,
        1,
        "b:
         0: (85) call pc+2#sub_c
         1: (85) call pc+4#sub_b
         2: (95) exit
         sub_c:
         3: (b7) r0 = 30
         4: (85) call pc+1#sub_b
         5: (95) exit
         sub_b:
         6: (b7) r0 = 20
         7: (95) exit",
    );
    let part = &plan.programs[1].parts[2];
    assert_eq!((part.start, part.function.as_str()), (6, "sub_b"));
}

#[test]
fn programs_that_are_not_selected_need_nothing() {
    let mut object = diamond();
    object.programs[1].autoload = false;
    let sub_c = FuncIdx(4);
    object.refer(sub_c, 0, RefTarget::Broken("no such symbol".into()));
    object.functions[4].core_relos.push(CoreRelo {
        insn_off: 3,
        type_id: TypeId(1),
        access_str_off: 0,
        kind: RelocKind::TypeSize,
    });
    let plan = planned(&object, &Described::default());
    assert_eq!(plan.programs.len(), 1);
    object.programs[1].autoload = true;
    fails(
        &object,
        &Described::default(),
        "program 'b': function 'sub_c': instruction 0 (.text+0x0): \
         core relocation at byte 3 of a function of 3 instructions",
    );
    object.functions[4].core_relos.clear();
    fails(
        &object,
        &Described::default(),
        "program 'b': function 'sub_c': instruction 0 (.text+0x0): no such symbol",
    );
}

#[test]
fn recursion_ends() {
    let mut object = empty();
    let a = object.add("a", ProgType::XDP, "call pc+0\nexit");
    let a = object.main(a);
    let sub = object.add_function(function("sub", "call pc+0\ncall pc+0\nexit"));
    object.refer(a, 0, RefTarget::Call(sub));
    object.refer(sub, 0, RefTarget::Call(sub));
    object.refer(sub, 1, RefTarget::Call(a));
    let plan = planned(&object, &Described::default());
    listing(
        &plan,
        0,
        "a:
         0: (85) call pc+1#sub
         1: (95) exit
         sub:
         2: (85) call pc-1#sub
         3: (85) call pc-4#a
         4: (95) exit",
    );
}

#[test]
fn callbacks_are_appended_and_named_by_distance() {
    let mut object = empty();
    let a = object.add(
        "a",
        ProgType::XDP,
        "r2 = 0x0\nr1 = 1\ncall bpf_loop#181\nexit",
    );
    let thrown = object.add_function(function("thrown", "r0 = 7\nexit"));
    let callback = object.add_function(function("callback", "r0 = 0\nexit"));
    object.programs[0].exception_callback = Some(thrown);
    let a = object.main(a);
    object.refer(a, 0, RefTarget::FuncAddr(callback));
    let plan = planned(&object, &Described::default());
    listing(
        &plan,
        0,
        "a:
         0: (18) r2 = function callback
         2: (b7) r1 = 1
         3: (85) call bpf_loop#181
         4: (95) exit
         callback:
         5: (b7) r0 = 0
         6: (95) exit
         thrown:
         7: (b7) r0 = 7
         8: (95) exit",
    );
    assert_eq!(plan.programs[0].insns[0].src(), 4);
    assert_eq!(plan.programs[0].insns[0].imm, 4);

    let mut old = Described::default();
    old.missing.insert(Feature::BtfDeclTag);
    let plan = planned(&object, &old);
    assert_eq!(plan.programs[0].parts.len(), 2);
    assert_eq!(
        plan.downgrades[0].what,
        "program 'a' has no exception callback"
    );
}

#[test]
fn calls_without_a_function_are_errors() {
    let mut object = empty();
    let a = object.add("a", ProgType::XDP, "call pc+0\nexit");
    let why = "program 'a': instruction 0 (main+0x0): ";
    fails(
        &object,
        &Described::default(),
        &format!(
            "{why}it calls or takes the address of a function, and the object does not say of which"
        ),
    );
    let a = object.main(a);
    object.refer(a, 0, RefTarget::Call(FuncIdx(9)));
    fails(
        &object,
        &Described::default(),
        &format!("{why}it refers to function 9, which the object does not have"),
    );
    object.functions[0].refs[0].target = RefTarget::FuncAddr(a);
    fails(
        &object,
        &Described::default(),
        &format!("{why}it refers to the address of a function, which only a load of 64 bits can"),
    );
    object.functions[0].refs[0].target = RefTarget::Call(a);
    object.functions[0].refs[0].insn = 1;
    fails(
        &object,
        &Described::default(),
        "program 'a': instruction 1 (main+0x8): \
         it refers to a function of the object, which only a call can",
    );
}

#[test]
fn programs_have_bounds() {
    let mut object = empty();
    let main = object.add("a", ProgType::XDP, "call pc+0\nexit");
    let main = object.main(main);
    let mut long = function("long", "exit");
    long.insns = vec![long.insns[0]; 600_000];
    let one = object.add_function(long.clone());
    long.name = "longer".into();
    let two = object.add_function(long);
    object.refer(main, 0, RefTarget::Call(one));
    planned(&object, &Described::default());
    object.refer(one, 5, RefTarget::Call(two));
    fails(
        &object,
        &Described::default(),
        "program 'a': function 'long': instruction 5 (.text+0x28): \
         the program has more than 1000000 instructions up to here",
    );

    object.functions[one.index()].refs.clear();
    let program = object.programs[0].clone();
    object.programs = vec![program; 140];
    let error = plan(&object, &Described::default()).expect_err("too large");
    assert!(matches!(error, PlanError::TooLarge { limit: 80_800_128 }));
}

#[test]
fn maps_and_places_in_them_become_operands() {
    let mut object = empty();
    let text = "r1 = 0x0\nr2 = 0x0\nr3 = 0x0\nexit";
    let a = object.add("a", ProgType::XDP, text);
    let a = object.main(a);
    let map = object.add_map(hash("counts"));
    let data = object.add_map(section(".data", MapOrigin::Data, &[1; 16]));
    let off = object.add_map(Map {
        autocreate: false,
        ..hash("off")
    });
    object.refer(a, 0, RefTarget::Map(map));
    object.refer(
        a,
        2,
        RefTarget::MapValue {
            map: data,
            offset: 12,
        },
    );
    object.refer(a, 4, RefTarget::Map(off));
    let plan = planned(&object, &Described::default());
    listing(
        &plan,
        0,
        "a:
         0: (18) r1 = map 'counts'
         2: (18) r2 = map '.data'[0]+12
         4: (85) call unknown#2001000002
         must not be reached: map 'off' is not made
         5: (85) call unknown#2001000002
         6: (95) exit",
    );
    let program = &plan.programs[0];
    let operand = |insn, map| Operand {
        insn,
        kind: OperandKind::Map(map),
    };
    assert_eq!(program.operands, [operand(0, map), operand(2, data)]);
    let sources: Vec<u8> = program.insns.iter().map(|insn| insn.src()).collect();
    assert_eq!(sources, [1, 0, 2, 0, 0, 0, 0]);
    assert_eq!(program.insns[3].imm, 12);

    object.functions[0].refs[0].target = RefTarget::Map(MapIdx(7));
    fails(
        &object,
        &Described::default(),
        "program 'a': instruction 0 (main+0x0): \
         it refers to map 7, which the object does not have",
    );
    object.functions[0].refs[0] = CodeRef {
        insn: 6,
        target: RefTarget::Map(map),
    };
    fails(
        &object,
        &Described::default(),
        "program 'a': instruction 6 (main+0x30): \
         it refers to a map, which only a load of 64 bits can",
    );
}

#[test]
fn jump_tables_move_with_their_function() {
    let mut object = empty();
    let main = object.add("a", ProgType::XDP, "call pc+0\nexit");
    let main = object.main(main);
    let text = "r1 = 0x0\nr1 = *(u64 *)(r1 +0)\ngotox r1\nr0 = 1\nexit";
    let mut sub = function("sub", text);
    sub.section_off = 10;
    let sub = object.add_function(sub);
    object.jump_tables.push(JumpTable {
        name: "BPF.JT.0.0".into(),
        section: ".text".into(),
        entries: vec![14, 15, 14],
    });
    object.refer(main, 0, RefTarget::Call(sub));
    object.refer(sub, 0, RefTarget::JumpTable(TableIdx(0)));
    let plan = planned(&object, &Described::default());
    listing(
        &plan,
        0,
        "jump table 0 'BPF.JT.0.0': 6 7 6
         a:
         0: (85) call pc+1#sub
         1: (95) exit
         sub:
         2: (18) r1 = jump table 0
         4: (79) r1 = *(u64 *)(r1 +0)
         5: (0d) gotox r1
         6: (b7) r0 = 1
         7: (95) exit",
    );
    assert_eq!(plan.programs[0].insns[2].src(), 2);

    let why = "program 'a': function 'sub': instruction 0 (.text+0x50): jump table 'BPF.JT.0.0': ";
    object.jump_tables[0].entries[0] = 9;
    fails(
        &object,
        &Described::default(),
        &format!("{why}instruction 9 of section '.text' is not in function 'sub'"),
    );
    object.jump_tables[0].section = "main".into();
    fails(
        &object,
        &Described::default(),
        &format!("{why}its places are in section 'main', the function is in '.text'"),
    );
    object.jump_tables.clear();
    fails(
        &object,
        &Described::default(),
        "program 'a': function 'sub': instruction 0 (.text+0x50): \
         it refers to jump table 0, which the object does not have",
    );
}

#[test]
fn records_are_of_all_functions_or_none() {
    let mut object = diamond();
    object.btf = Some(Arc::new(types(|b| {
        let proto = b.add_func_proto(0, &[]);
        for name in [b"a", b"b", b"c"] {
            b.add_func(name, 0, proto);
        }
        b.string(b"prog.bpf.c");
        b.string(b"  return 1;");
    })));
    let btf = object.btf.clone().unwrap();
    let strings = |text: &[u8]| {
        (0..200)
            .find(|off| btf.str_at(*off) == Ok(text))
            .expect("the string")
    };
    let (file, line) = (strings(b"prog.bpf.c"), strings(b"  return 1;"));
    for (at, function) in object.functions.iter_mut().enumerate() {
        function.func_info = vec![FuncInfo {
            insn: 0,
            type_id: TypeId(2 + at as u32 % 3),
        }];
        function.line_info = vec![LineInfo {
            insn: 1,
            file_name_off: file,
            line_off: line,
            line_col: (10 + at as u32) << 10 | 3,
        }];
    }
    let plan = planned(&object, &Described::default());
    let funcs: Vec<(u32, u32)> = plan.programs[0]
        .func_info
        .iter()
        .map(|info| (info.insn, info.type_id.0))
        .collect();
    assert_eq!(funcs, [(0, 2), (3, 4), (6, 2)]);
    let lines: Vec<u32> = plan.programs[0].line_info.iter().map(|l| l.insn).collect();
    assert_eq!(lines, [1, 4, 7]);
    assert!(plan.to_string().contains("; prog.bpf.c:13:3: return 1;\n"));

    object.functions[3].func_info.clear();
    let plan = planned(&object, &Described::default());
    assert!(
        plan.programs
            .iter()
            .all(|program| program.func_info.is_empty())
    );
    assert_eq!(plan.programs[0].line_info.len(), 3);
    assert_eq!(
        plan.notes[0],
        "program 'a': no types of functions, function 'sub_b' has none"
    );
    object.functions[4].refs[0].target = RefTarget::Broken("gone".into());
    fails(
        &object,
        &Described::default(),
        "program 'b': function 'sub_c': instruction 1 at prog.bpf.c:14:3: return 1;: gone",
    );
}

#[test]
fn programs_of_no_type_or_code_are_errors() {
    let mut object = empty();
    object.add("a", ProgType::UNSPEC, "exit");
    let target = Described::default();
    fails(
        &object,
        &target,
        "program 'a': section 'main' does not tell a type of program",
    );
    object.programs[0].prog_type = ProgType::XDP;
    object.functions[0].insns.clear();
    fails(&object, &target, "program 'a': it has no instructions");
    object.programs[0].autoload = false;
    assert!(planned(&object, &target).programs.is_empty());
}
