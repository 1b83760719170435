//! The object's types as the kernel gets them.

use super::*;
use btf::build::{Member, SecVar};
use btf::{encoding, raw_dump};

/// The types of the plan as text, from an id on.
#[track_caller]
fn dump(plan: &LoadPlan, first: u32) -> String {
    let btf = Btf::parse(&plan.btf.as_ref().unwrap().data).unwrap();
    let mut out = Vec::new();
    for id in btf.ids().filter(|id| id.0 >= first) {
        raw_dump::write_type(&mut out, &btf, id).unwrap();
        out.push(b'\n');
    }
    let text = String::from_utf8(out).unwrap();
    text.replace("\n\n", "\n")
}

fn with(make: impl FnOnce(&mut Builder<'_>)) -> Object {
    let mut object = empty();
    object.btf = Some(Arc::new(types(make)));
    object
}

const fn var(type_id: u32, offset: u32, size: u32) -> SecVar {
    SecVar {
        type_id: TypeId(type_id),
        offset,
        size,
    }
}

#[test]
fn types_that_need_no_change_are_those_of_the_object() {
    let object = with(|b| {
        let int = b.add_int(b"int", 4, encoding::SIGNED);
        let proto = b.add_func_proto(int, &[(b"", int)]);
        b.add_func(b"f", 1, proto);
    });
    let plan = planned(&object, &Described::default());
    assert_eq!(plan.btf.unwrap().data, object.btf.unwrap().data());
}

/// All kinds that not every kernel knows.
fn zoo() -> Object {
    with(|b| {
        let int = b.add_int(b"int", 4, encoding::SIGNED);
        let proto = b.add_func_proto(int, &[(b"x", int)]);
        b.add_func(b"global", 1, proto);
        b.add_func(b"local", 0, proto);
        b.add_var(b"v", 1, int);
        b.add_datasec(b"?.struct_ops", 4, &[var(5, 0, 4)]);
        b.add_float(b"double", 8);
        b.add_decl_tag(b"tag", 5, -1);
        b.add_type_tag(b"user", int);
        b.add_enum(b"signed", 4, true, &[(b"A", u32::MAX)]);
        b.add_enum64(b"wide", 8, false, &[(b"B", 1 << 40), (b"C", 1)]);
        b.add_struct(b"s", 4, &[Member::new(b"m", int, 0)]);
        b.add_layout();
    })
}

#[track_caller]
fn lacking(feature: Feature, what: &str, expect: expect_test::Expect) {
    let mut object = zoo();
    object.add("main", ProgType::XDP, "exit");
    object.functions[0].func_info = vec![FuncInfo {
        insn: 0,
        type_id: TypeId(3),
    }];
    let full = planned(&object, &Described::default());
    assert!(full.downgrades.is_empty());
    let mut target = Described::default();
    target.missing.insert(feature);
    let plan = planned(&object, &target);
    assert_eq!(
        plan.downgrades,
        [Downgrade {
            feature,
            what: what.into()
        }]
    );
    let no_funcs = feature == Feature::BtfFunc;
    assert_eq!(plan.programs[0].func_info.is_empty(), no_funcs);
    let (before, after) = (dump(&full, 1), dump(&plan, 1));
    let changed: Vec<&str> = after
        .lines()
        .filter(|line| !before.lines().any(|old| old == *line))
        .collect();
    expect.assert_eq(&changed.join("\n"));
}

#[test]
fn kinds_that_a_kernel_lacks_become_others() {
    lacking(
        Feature::BtfDatasec,
        "variables become integers, sections structs",
        expect_test::expect![[r#"
            [5] INT 'v' size=1 bits_offset=0 nr_bits=8 encoding=(none)
            [6] STRUCT '__struct_ops' size=4 vlen=1
            	'v' type_id=5 bits_offset=0"#]],
    );
    lacking(
        Feature::BtfQmarkDatasec,
        "the mark in names of sections becomes '_'",
        expect_test::expect![[r#"[6] DATASEC '_.struct_ops' size=4 vlen=1"#]],
    );
    lacking(
        Feature::BtfGlobalFunc,
        "global functions become static",
        expect_test::expect![[r#"[3] FUNC 'global' type_id=2 linkage=static"#]],
    );
    lacking(
        Feature::BtfFloat,
        "floating-point numbers become structs",
        expect_test::expect![[r#"[7] STRUCT '(anon)' size=8 vlen=0"#]],
    );
    lacking(
        Feature::BtfDeclTag,
        "tags of declarations become integers",
        expect_test::expect![[r#"[8] INT 'tag' size=1 bits_offset=0 nr_bits=8 encoding=(none)"#]],
    );
    lacking(
        Feature::BtfTypeTag,
        "tags of types become const",
        expect_test::expect![[r#"[9] CONST '(anon)' type_id=1"#]],
    );
    lacking(
        Feature::BtfEnum64,
        "enumerations of 64 bits become unions, signed ones unsigned",
        expect_test::expect![[r#"
            [10] ENUM 'signed' encoding=UNSIGNED size=4 vlen=1
            	'A' val=4294967295
            [11] UNION 'wide' size=8 vlen=2
            	'B' type_id=13 bits_offset=0
            	'C' type_id=13 bits_offset=0
            [13] INT 'enum64_placeholder' size=1 bits_offset=0 nr_bits=8 encoding=(none)"#]],
    );
    lacking(
        Feature::BtfLayout,
        "the layout of kinds is left out",
        expect_test::expect![""],
    );
}

#[test]
fn functions_that_a_kernel_lacks_become_typedefs() {
    let mut target = Described::default();
    // a kernel without functions has no global ones either
    target.missing.insert(Feature::BtfFunc);
    target.missing.insert(Feature::BtfGlobalFunc);
    let mut object = zoo();
    object.add("main", ProgType::XDP, "exit");
    object.functions[0].func_info = vec![FuncInfo {
        insn: 0,
        type_id: TypeId(3),
    }];
    object.functions[0].line_info = vec![LineInfo {
        insn: 0,
        file_name_off: 0,
        line_off: 0,
        line_col: 0,
    }];
    let plan = planned(&object, &target);
    assert_eq!(plan.downgrades.len(), 1);
    assert_eq!(plan.downgrades[0].feature, Feature::BtfFunc);
    let program = &plan.programs[0];
    assert!(program.func_info.is_empty() && program.line_info.is_empty());
    let text = dump(&plan, 2);
    let start: Vec<&str> = text.lines().take(4).collect();
    assert_eq!(
        start,
        [
            "[2] ENUM '(anon)' encoding=UNSIGNED size=4 vlen=1",
            "\t'x' val=1",
            "[3] TYPEDEF 'global' type_id=2",
            "[4] TYPEDEF 'local' type_id=2",
        ]
    );
}

#[test]
fn layouts_are_gone_from_the_header() {
    let object = zoo();
    let mut target = Described::default();
    target.missing.insert(Feature::BtfLayout);
    let plan = planned(&object, &target);
    let data = plan.btf.unwrap().data;
    let btf = Btf::parse(&data).unwrap();
    assert!(!btf.has_layout());
    assert!(object.btf.unwrap().has_layout());
}

/// Programs that call global functions with `__arg_ctx`: `void *`, `struct pt_regs *`, `int *`.
fn contexts(prog_type: ProgType) -> Object {
    let mut object = with(|b| {
        let int = b.add_int(b"int", 4, encoding::SIGNED);
        let void = b.add_ptr(0);
        let regs = b.add_struct(b"pt_regs", 8, &[]);
        let regs = b.add_ptr(regs);
        let other = b.add_ptr(int);
        for (name, arg) in [(&b"void"[..], void), (b"regs", regs), (b"other", other)] {
            let proto = b.add_func_proto(int, &[(b"n", int), (b"ctx", arg)]);
            let func = b.add_func(name, 1, proto);
            b.add_decl_tag(b"arg:ctx", func, 1);
        }
        let proto = b.add_func_proto(int, &[]);
        b.add_func(b"main", 1, proto);
    });
    object.add("main", prog_type, "call pc+0\ncall pc+0\ncall pc+0\nexit");
    for (at, name, id) in [(0, "void", 7), (1, "regs", 10), (2, "other", 13)] {
        let mut function = function(name, "exit");
        function.linkage = Linkage::Global;
        function.func_info = vec![FuncInfo {
            insn: 0,
            type_id: TypeId(id),
        }];
        let function = object.add_function(function);
        object.refer(FuncIdx(0), at, RefTarget::Call(function));
    }
    object.functions[0].func_info = vec![FuncInfo {
        insn: 0,
        type_id: TypeId(16),
    }];
    object
}

#[test]
fn contexts_are_said_by_type_where_tags_are_not_known() {
    let mut old = Described::default();
    old.missing.insert(Feature::ArgCtxTag);
    let ids = |plan: &LoadPlan| -> Vec<u32> {
        plan.programs[0]
            .func_info
            .iter()
            .map(|info| info.type_id.0)
            .collect()
    };
    let object = contexts(ProgType::KPROBE);
    let plan = planned(&object, &Described::default());
    assert_eq!(ids(&plan), [16, 7, 10, 13]);
    let plan = planned(&object, &old);
    assert_eq!(ids(&plan), [16, 18, 23, 13]);
    expect_test::expect![[r#"
        [17] FUNC_PROTO '(anon)' ret_type_id=1 vlen=2
        	'n' type_id=1
        	'ctx' type_id=20
        [18] FUNC 'void' type_id=17 linkage=global
        [19] STRUCT 'bpf_user_pt_regs_t' size=0 vlen=0
        [20] PTR '(anon)' type_id=19
        [21] DECL_TAG 'arg:ctx' type_id=18 component_idx=1
        [22] FUNC_PROTO '(anon)' ret_type_id=1 vlen=2
        	'n' type_id=1
        	'ctx' type_id=20
        [23] FUNC 'regs' type_id=22 linkage=global
        [24] DECL_TAG 'arg:ctx' type_id=23 component_idx=1
    "#]]
    .assert_eq(&dump(&plan, 17));
    let what: Vec<&str> = plan.downgrades.iter().map(|d| d.what.as_str()).collect();
    assert_eq!(
        what,
        [
            "function 'void' says its context by type",
            "function 'regs' says its context by type",
        ]
    );
    // registers are not what these get
    let plan = planned(&contexts(ProgType::XDP), &old);
    assert_eq!(ids(&plan), [16, 18, 10, 13]);
    // no struct is named for these
    let plan = planned(&contexts(ProgType::SYSCALL), &old);
    assert_eq!(ids(&plan), [16, 7, 10, 13]);
    assert!(plan.downgrades.is_empty());
}

#[test]
fn types_with_a_header_of_the_future_are_passed_on_but_not_changed() {
    let mut blob = with(|b| {
        b.add_float(b"double", 8);
    })
    .btf
    .unwrap()
    .data()
    .to_vec();
    // a field behind those that are known, which is not 0
    let field = 24 + 8;
    blob.splice(24..24, [0; 12]);
    blob[field] = 1;
    blob[4..8].copy_from_slice(&match HOST {
        Endian::Little => 36_u32.to_le_bytes(),
        Endian::Big => 36_u32.to_be_bytes(),
    });
    let mut object = empty();
    object.btf = Some(Arc::new(Btf::parse(blob.clone()).unwrap()));
    let mut target = Described::default();
    assert_eq!(planned(&object, &target).btf.unwrap().data, blob);
    target.missing.insert(Feature::BtfFloat);
    fails(
        &object,
        &target,
        "types of the object cannot be changed for this kernel: \
         btf header has fields this version does not know",
    );
}
