//! What objects expect from the kernel.

use super::*;
use crate::model::KconfigType;
use crate::target::{ModuleBtf, Symbol};
use btf::encoding;

/// Loads the address of each extern.
fn loading(externs: Vec<Extern>) -> Object {
    let mut object = empty();
    let text = "r1 = 0x0\n".repeat(externs.len()) + "exit";
    object.add("a", ProgType::XDP, &text);
    for (at, extern_) in (0..).zip(externs) {
        let extern_ = object.add_extern(extern_);
        object.refer(FuncIdx(0), 2 * at, RefTarget::Extern(extern_));
    }
    object
}

const AT: &str = "program 'a': instruction 0 (main+0x0): extern ";

#[test]
fn addresses_come_from_the_list_of_symbols() {
    let mut target = Described::default();
    let symbols = target.symbols.as_mut().unwrap();
    symbols.insert("here".into(), Symbol::At(0xffff_ffff_8100_0010));
    symbols.insert("twice".into(), Symbol::Ambiguous(0x10, 0x20));
    let addr = |name, weak| extern_(name, weak, ExternKind::KsymAddr);

    let object = loading(vec![addr("here", false), addr("gone", true)]);
    let plan = planned(&object, &target);
    listing(
        &plan,
        0,
        "a:
         0: (18) r1 = 0xffffffff81000010, address of here
         2: (18) r1 = 0x0, address of gone
         4: (95) exit",
    );
    fails(
        &loading(vec![addr("gone", false)]),
        &target,
        &format!("{AT}'gone': the kernel has no symbol of this name"),
    );
    fails(
        &loading(vec![addr("twice", true)]),
        &target,
        &format!("{AT}'twice': the kernel has symbols of this name at 0x10 and 0x20"),
    );
    // who may not see addresses sees no symbol either
    let symbols = target.symbols.as_mut().unwrap();
    symbols.insert("secret".into(), Symbol::Hidden);
    fails(
        &loading(vec![addr("secret", false)]),
        &target,
        &format!(
            "{AT}'secret': addresses of the kernel's symbols are not shown (kernel.kptr_restrict)"
        ),
    );
    let plan = planned(&loading(vec![addr("secret", true)]), &target);
    assert_eq!(plan.programs[0].insns[0].imm, 0);
    target.symbols = None;
    fails(
        &loading(vec![addr("here", true)]),
        &target,
        "the address of the kernel's symbol 'here': \
         the target's description does not say: where the kernel's symbols are",
    );
    // what no instruction refers to is not asked for
    let mut object = loading(vec![]);
    object.add_extern(addr("here", false));
    planned(&object, &target);
}

/// A kernel with a variable and functions, and a module with more.
fn kernel() -> Described {
    let vmlinux = types(|b| {
        let int = b.add_int(b"int", 4, encoding::SIGNED);
        let one = b.add_func_proto(int, &[(b"x", int)]);
        b.add_func(b"kfunc", 1, one);
        b.add_var(b"runqueues", 1, int);
    });
    let base = Arc::new(Btf::parse(vmlinux.data().to_vec()).unwrap());
    let split = {
        let mut b = Builder::split(&base);
        b.add_func(b"mod_kfunc", 1, TypeId(2));
        b.add_var(b"mod_var", 1, TypeId(1));
        b.finish().unwrap()
    };
    let modules = ["empty", "mod"].map(|name| ModuleBtf {
        name: name.into(),
        id: 7,
        btf: match name {
            "mod" => Btf::parse_split(split.clone(), base.clone()).unwrap(),
            _ => {
                let blob = Builder::split(&base).finish().unwrap();
                Btf::parse_split(blob, base.clone()).unwrap()
            }
        },
    });
    Described {
        modules: modules.into(),
        ..Described::of(vmlinux)
    }
}

/// The object's types: 1 int, 2 `int (int)`, 3 `int ()`, 4 struct.
fn local() -> Option<Arc<Btf<'static>>> {
    Some(Arc::new(types(|b| {
        let int = b.add_int(b"int", 4, encoding::SIGNED);
        b.add_func_proto(int, &[(b"x", int)]);
        b.add_func_proto(int, &[]);
        b.add_struct(b"rq", 4, &[]);
    })))
}

fn kfunc(name: &str, weak: bool, proto: u32) -> Extern {
    let proto = TypeId(proto);
    extern_(name, weak, ExternKind::Kfunc { proto })
}

fn ksym(name: &str, weak: bool, type_id: u32) -> Extern {
    let type_id = TypeId(type_id);
    extern_(name, weak, ExternKind::Ksym { type_id })
}

/// Calls each function.
fn calling(externs: Vec<Extern>) -> Object {
    let mut object = empty();
    let text = "call pc+0\n".repeat(externs.len()) + "exit";
    object.add("a", ProgType::XDP, &text);
    for (at, extern_) in (0..).zip(externs) {
        let extern_ = object.add_extern(extern_);
        object.refer(FuncIdx(0), at, RefTarget::Extern(extern_));
    }
    object.btf = local();
    object
}

#[test]
fn kernel_functions_are_called_by_type() {
    let object = calling(vec![
        kfunc("kfunc", false, 2),
        kfunc("kfunc___v2", false, 2),
        kfunc("mod_kfunc", false, 2),
        kfunc("gone", true, 2),
        kfunc("kfunc", true, 3),
    ]);
    let plan = planned(&object, &kernel());
    listing(
        &plan,
        0,
        "calls module 'mod' as 1
         a:
         0: (85) call kfunc#3
         1: (85) call kfunc___v2#3
         2: (85) call mod_kfunc#5 of module 1
         3: (85) call unknown#2002000003
         must not be reached: the kernel has no function 'gone'
         4: (85) call unknown#2002000004
         must not be reached: the kernel has no function 'kfunc'
         5: (95) exit",
    );
    let call = plan.programs[0].insns[2];
    assert_eq!((call.src(), call.off, call.imm), (2, 1, 5));
    assert_eq!(plan.modules[0].name, "mod");
    assert_eq!(plan.modules[0].btf_id, 7);

    fails(
        &calling(vec![kfunc("gone___old", false, 2)]),
        &kernel(),
        &format!(
            "{AT}'gone___old': no function 'gone' is in the types of the kernel and its \
             modules"
        ),
    );
    fails(
        &calling(vec![kfunc("kfunc", false, 3)]),
        &kernel(),
        &format!("{AT}'kfunc': the object declares it as 'int ()', the kernel has 'int (int)'"),
    );
    fails(
        &calling(vec![ksym("runqueues", false, 1)]),
        &kernel(),
        "program 'a': instruction 0 (main+0x0): \
         it refers to a variable of the kernel, which only a load of 64 bits can",
    );
    // no such type in the object: weak or not, nobody can tell whether it fits
    for weak in [false, true] {
        fails(
            &calling(vec![kfunc("kfunc", weak, 99)]),
            &kernel(),
            &format!(
                "{AT}'kfunc': its type cannot be compared with the kernel's: \
                 defect in the object's btf: no type with id 99: ids end at 5"
            ),
        );
    }
    let mut object = calling(vec![kfunc("kfunc", false, 2)]);
    object.btf = None;
    fails(
        &object,
        &kernel(),
        &format!("{AT}'kfunc': it has a type, and the object has none"),
    );
}

#[test]
fn typed_variables_and_functions_are_loaded_by_type() {
    let mut object = loading(vec![
        ksym("runqueues", false, 1),
        ksym("mod_var", false, 1),
        ksym("gone", true, 1),
        kfunc("kfunc", false, 2),
        kfunc("mod_kfunc", false, 2),
        kfunc("gone", true, 2),
    ]);
    object.btf = local();
    let plan = planned(&object, &kernel());
    listing(
        &plan,
        0,
        "a:
         0: (18) r1 = runqueues, type 4 of the kernel
         2: (18) r1 = mod_var, type 6 of module 'mod'
         4: (18) r1 = 0x0, address of gone
         6: (18) r1 = kfunc, type 3 of the kernel
         8: (18) r1 = mod_kfunc, type 5 of module 'mod'
         10: (18) r1 = 0x0, address of gone
         12: (95) exit",
    );
    let module = OperandKind::ModuleBtf(ModuleIdx(0));
    let expect = [2, 8].map(|insn| Operand { insn, kind: module });
    assert_eq!(plan.programs[0].operands, expect);

    let fail = |extern_, expect: &str| {
        let mut object = loading(vec![extern_]);
        object.btf = local();
        fails(&object, &kernel(), &format!("{AT}{expect}"));
    };
    fail(
        ksym("runqueues", true, 4),
        "'runqueues': the object declares it as 'struct rq', the kernel has 'int'",
    );
    fail(
        ksym("runqueues___x", false, 1),
        "'runqueues___x': no variable 'runqueues___x' is in the types of the \
         kernel and its modules",
    );
    fail(
        extern_("odd", true, ExternKind::Broken("no type".into())),
        "'odd': no type",
    );
}

#[test]
fn modules_that_calls_name_are_few() {
    let vmlinux = types(|b| {
        let int = b.add_int(b"int", 4, encoding::SIGNED);
        b.add_func_proto(int, &[]);
    });
    let base = Arc::new(Btf::parse(vmlinux.data().to_vec()).unwrap());
    let names: Vec<String> = (0..3).map(|at| format!("kfunc{at}")).collect();
    let modules = names.iter().map(|name| {
        let mut b = Builder::split(&base);
        b.add_func(name.as_bytes(), 1, TypeId(2));
        let blob = b.finish().unwrap();
        ModuleBtf {
            name: format!("mod_{name}"),
            id: 0,
            btf: Btf::parse_split(blob, base.clone()).unwrap(),
        }
    });
    let target = Described {
        modules: modules.collect(),
        ..Described::of(vmlinux)
    };
    let externs = names.iter().rev().map(|name| kfunc(name, false, 3));
    let plan = planned(&calling(externs.collect()), &target);
    let offs: Vec<i16> = plan.programs[0].insns.iter().map(|insn| insn.off).collect();
    assert_eq!(offs, [1, 2, 3, 0]);
    let names: Vec<&str> = plan.modules.iter().map(|m| m.name.as_str()).collect();
    assert_eq!(names, ["mod_kfunc2", "mod_kfunc1", "mod_kfunc0"]);
}

fn option(name: &str, weak: bool, ty: KconfigType, size: u32, offset: u32) -> Extern {
    extern_(name, weak, ExternKind::Kconfig { ty, size, offset })
}

fn options(externs: Vec<Extern>) -> Object {
    let mut object = loading(externs);
    let end = object.externs.iter().map(|extern_| match extern_.kind {
        ExternKind::Kconfig { size, offset, .. } => offset + size,
        _ => 0,
    });
    let size = end.max().unwrap_or(0);
    let mut map = section(".kconfig", MapOrigin::Kconfig, &[]);
    map.spec.value_size = size;
    object.add_map(map);
    object
}

#[test]
fn options_have_the_values_of_the_kernel() {
    let signed = KconfigType::Int { signed: true };
    let unsigned = KconfigType::Int { signed: false };
    let object = options(vec![
        option("LINUX_KERNEL_VERSION", false, unsigned, 4, 0),
        option("CONFIG_HZ", false, signed, 4, 4),
        option("LINUX_HAS_SYSCALL_WRAPPER", false, KconfigType::Bool, 1, 8),
        option("LINUX_HAS_BPF_COOKIE", true, KconfigType::Bool, 1, 9),
        option("CONFIG_BPF", false, KconfigType::Bool, 1, 10),
        option("CONFIG_VETH", false, KconfigType::Char, 1, 11),
        option("CONFIG_DUMMY", false, KconfigType::Tristate, 4, 12),
        option("CONFIG_HOSTNAME", false, KconfigType::CharArray, 8, 16),
        option("CONFIG_GONE", true, signed, 4, 24),
        option("LINUX_UNKNOWN", true, signed, 4, 28),
    ]);
    let mut target = Described {
        version: 0x0006_1203,
        ..Described::default()
    };
    target.missing.insert(Feature::BpfCookie);
    target.kconfig = Some(
        [
            ("CONFIG_HZ", "1000"),
            ("CONFIG_BPF", "y"),
            ("CONFIG_VETH", "m"),
            ("CONFIG_DUMMY", "m"),
            ("CONFIG_HOSTNAME", "\"(none)\""),
        ]
        .map(|(name, value)| (name.into(), value.into()))
        .into(),
    );
    let plan = planned(&object, &target);
    let mut expect = Vec::new();
    let word = |word: u32| match HOST {
        Endian::Little => word.to_le_bytes(),
        Endian::Big => word.to_be_bytes(),
    };
    expect.extend(word(0x0006_1203));
    expect.extend(word(1000));
    expect.extend([1, 0, 1, b'm']);
    expect.extend(word(2));
    expect.extend(b"(none)\0\0");
    expect.extend([0; 8]);
    let map = &plan.maps[0];
    assert_eq!(map.value.as_deref(), Some(&expect[..]));
    assert!(map.freeze);
    let program = &plan.programs[0];
    assert_eq!(program.insns[2].src(), 2);
    assert_eq!(program.insns[3].imm, 4);
    assert_eq!(program.operands[1].kind, OperandKind::Map(MapIdx(0)));

    // lines that are given come first
    let given = PlanOptions {
        kconfig: Some("# a comment\nCONFIG_HZ=250\nCONFIG_HZ=300\nOTHER=1".into()),
        ..PlanOptions::default()
    };
    let plan = LoadPlan::new(&object, &target, &given).unwrap();
    let value = plan.maps[0].value.as_ref().unwrap();
    assert_eq!(value[4..8], word(250));
}

#[test]
fn options_that_make_no_sense_are_errors_where_they_are_used() {
    let signed = KconfigType::Int { signed: true };
    let mut target = Described::default();
    let check = |target: &Described, extern_: Extern, expect: &str| {
        let name = extern_.name.clone();
        let mut object = options(vec![extern_]);
        fails(&object, target, &format!("{AT}'{name}': {expect}"));
        object.programs[0].autoload = false;
        let plan = planned(&object, target);
        assert_eq!(plan.maps[0].value.as_deref(), Some(&[0; 4][..]));
    };
    check(
        &target,
        option("CONFIG_HZ", false, signed, 4, 0),
        "the kernel's configuration does not set it",
    );
    check(
        &target,
        option("LINUX_UNKNOWN", false, signed, 4, 0),
        "it is neither an option (CONFIG_…) nor a value that is known (LINUX_KERNEL_VERSION, \
         LINUX_HAS_BPF_COOKIE, LINUX_HAS_SYSCALL_WRAPPER)",
    );
    check(
        &target,
        option("LINUX_KERNEL_VERSION", false, KconfigType::Tristate, 4, 0),
        "value 0: only integers, characters and truth values can have it",
    );
    let kconfig = target.kconfig.as_mut().unwrap();
    kconfig.insert("CONFIG_HZ".into(), "y".into());
    check(
        &target,
        option("CONFIG_HZ", true, signed, 4, 0),
        "value y: only truth values, tristates and characters can have it",
    );
    let mut object = options(vec![option("CONFIG_HZ", true, signed, 4, 0)]);
    target.kconfig = None;
    fails(
        &object,
        &target,
        "the value of option 'CONFIG_HZ': \
         the target's description does not say: how the kernel is configured",
    );
    let given = PlanOptions {
        kconfig: Some("CONFIG_HZ=1".into()),
        ..PlanOptions::default()
    };
    LoadPlan::new(&object, &target, &given).unwrap();
    object.maps.clear();
    fails(
        &object,
        &Described::default(),
        &format!("{AT}'CONFIG_HZ': the object has no map '.kconfig'"),
    );
    let huge = option("CONFIG_X", true, KconfigType::CharArray, 1 << 30, 0);
    fails(
        &options(vec![huge]),
        &Described::default(),
        "map '.kconfig': a value of 1073741824 bytes is more than any kernel takes",
    );
}
