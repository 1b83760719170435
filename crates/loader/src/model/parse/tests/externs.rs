use super::*;
use crate::model::{ExternKind, KconfigType, MapOrigin};
use crate::testing::{EXIT, GLOBAL, NOTYPE, SECOND, WEAK, call, load};
use bpfsys::uapi::flags::MapFlags;
use btf::build::{Builder, SecVar};
use btf::{Kind, Type, TypeId, encoding};

/// A section of externs: name, type, size.
fn section(b: &mut Builder<'static>, name: &[u8], vars: &[(&str, TypeId, u32)]) {
    let vars: Vec<_> = vars
        .iter()
        .map(|(name, id, size)| SecVar {
            type_id: b.add_var(name.as_bytes(), 2, *id),
            offset: 0,
            size: *size,
        })
        .collect();
    b.add_datasec(name, 0, &vars);
}

fn externs(file: &mut File, names: &[&str]) -> Vec<u32> {
    names
        .iter()
        .map(|name| file.symbol(name, 0, (0, 0), GLOBAL | NOTYPE))
        .collect()
}

#[test]
fn options_are_sorted_and_laid_out() {
    let mut file = File::native();
    file.types(|b| {
        let int = b.add_int(b"int", 4, encoding::SIGNED);
        let long = b.add_int(b"long", 8, 0);
        let flag = b.add_int(b"_Bool", 1, encoding::BOOL);
        let letter = b.add_int(b"char", 1, encoding::SIGNED);
        let short = b.add_int(b"short", 2, encoding::SIGNED);
        let text = b.add_array(letter, int, 5);
        let tristate = b.add_enum(b"libbpf_tristate", 4, false, &[(b"TRI_NO", 0)]);
        let constant = b.add_const(long);
        section(
            b,
            b".kconfig",
            &[
                ("CONFIG_TEXT", text, 5),
                ("CONFIG_FLAG", flag, 1),
                ("CONFIG_INT", int, 4),
                ("CONFIG_TRI", tristate, 4),
                ("CONFIG_LONG", constant, 8),
                ("CONFIG_SHORT", short, 2),
                ("CONFIG_CHAR", letter, 1),
            ],
        );
    });
    let names = ["TEXT", "FLAG", "INT", "TRI", "LONG", "SHORT", "CHAR"];
    let names = names.map(|name| format!("CONFIG_{name}"));
    externs(&mut file, &names.each_ref().map(String::as_str));
    let object = parse(&file);
    let found: Vec<_> = object
        .externs()
        .iter()
        .map(|ext| match ext.kind {
            ExternKind::Kconfig { ty, size, offset } => (&ext.name[7..], ty, size, offset),
            _ => panic!("{ext:?}"),
        })
        .collect();
    let expected = [
        ("LONG", KconfigType::Int { signed: false }, 8, 0),
        ("INT", KconfigType::Int { signed: true }, 4, 8),
        ("TRI", KconfigType::Tristate, 4, 12),
        ("SHORT", KconfigType::Int { signed: true }, 2, 16),
        ("CHAR", KconfigType::Char, 1, 18),
        ("FLAG", KconfigType::Bool, 1, 19),
        ("TEXT", KconfigType::CharArray, 5, 20),
    ];
    assert_eq!(found, expected);
    let map = object.map(".kconfig").unwrap();
    assert_eq!(map.name, "obj.kconfig");
    assert_eq!(
        (map.origin.clone(), map.spec.value_size),
        (MapOrigin::Kconfig, 25)
    );
    assert_eq!(map.spec.flags, MapFlags::RDONLY_PROG | MapFlags::MMAPABLE);
    let btf = object.btf.as_ref().unwrap();
    let Ok(Type::Datasec(types)) = btf.type_by_id(map.spec.value_type) else {
        panic!()
    };
    assert_eq!(types.size(), 25);
    let places: Vec<_> = types.vars().map(|var| var.offset).collect();
    assert_eq!(places, [0, 8, 12, 16, 18, 19, 20]);
}

#[test]
fn options_that_make_no_sense() {
    let mut file = File::native();
    file.types(|b| {
        let int = b.add_int(b"int", 4, encoding::SIGNED);
        let wide = b.add_int(b"__int128", 16, encoding::SIGNED);
        let flag = b.add_int(b"bool", 4, encoding::BOOL);
        let empty = b.add_array(int, int, 0);
        let ints = b.add_array(int, int, 3);
        let pointer = b.add_ptr(int);
        let other = b.add_enum(b"other", 4, false, &[(b"A", 0)]);
        let proto = b.add_func_proto(int, &[]);
        let func = b.add_func(b"func", 2, proto);
        let var = b.add_var(b"homeless", 2, int);
        let own = b.add_var(b"own", 1, int);
        let void = b.add_var(b"void", 2, TypeId::VOID);
        let mut vars: Vec<_> = [wide, flag, empty, ints, pointer, other]
            .into_iter()
            .zip(["wide", "flag", "empty", "ints", "pointer", "other"])
            .map(|(id, name)| b.add_var(name.as_bytes(), 2, id))
            .collect();
        vars.extend([func, own, void]);
        let vars: Vec<_> = vars
            .into_iter()
            .map(|type_id| SecVar {
                type_id,
                offset: 0,
                size: 4,
            })
            .collect();
        b.add_datasec(b".kconfig", 0, &vars);
        b.add_datasec(
            b".other",
            4,
            &[SecVar {
                type_id: var,
                offset: 0,
                size: 4,
            }],
        );
    });
    let names = [
        "wide", "flag", "empty", "ints", "pointer", "other", "func", "homeless", "own", "void",
        "unheard",
    ];
    externs(&mut file, &names);
    let object = parse(&file);
    let broken = |name: &str| {
        let ext = object
            .externs()
            .iter()
            .find(|ext| ext.name == name)
            .unwrap();
        match &ext.kind {
            ExternKind::Broken(why) => why.clone(),
            kind => panic!("{kind:?}"),
        }
    };
    for (name, why) in [
        ("wide", "no option is INT"),
        ("flag", "no option is INT"),
        ("empty", "its size is not that of an option"),
        ("ints", "no option is ARRAY"),
        ("pointer", "no option is PTR"),
        ("other", "no option is ENUM"),
        ("func", "an option is no function"),
        (
            "homeless",
            "it is neither in section '.ksyms' nor in '.kconfig'",
        ),
        ("own", "the BTF says that it is defined here"),
        ("void", "type 0 (void) has no size"),
        ("unheard", "the BTF does not say what it is"),
    ] {
        assert_eq!(broken(name), why, "{name}");
    }
    assert!(object.maps().is_empty(), "nothing needs a map of options");
    assert_eq!(object.notes[0], "extern 'wide': no option is INT");
}

#[test]
fn without_types_externs_are_broken() {
    let mut file = File::native();
    let code = file.code("tc", &[call(-1), load(0, 0), SECOND, EXIT]);
    file.func("main", code, 0, 4);
    let symbols = externs(&mut file, &["f", "v"]);
    file.relocs(code, &[(0, symbols[0]), (8, symbols[1])]);
    let object = parse(&file);
    expect(&object, "main", &[(0, "extern f"), (1, "extern v")]);
    for ext in object.externs() {
        let why = "the object has no BTF that says what it is";
        assert_eq!(ext.kind, ExternKind::Broken(why.to_owned()));
    }
}

#[test]
fn symbols_of_the_kernel() {
    let mut file = File::native();
    let code = file.code(
        "tc",
        &[call(-1), load(0, 0), SECOND, load(0, 0), SECOND, EXIT],
    );
    file.func("main", code, 0, 6);
    file.types(|b| {
        let long = b.add_int(b"long", 8, encoding::SIGNED);
        let rq = b.add_struct(b"rq", 8, &[]);
        let rq = b.add_const(rq);
        let any = b.add_const(TypeId::VOID);
        let proto = b.add_func_proto(long, &[(b"", long), (b"", TypeId::VOID)]);
        let func = b.add_func(b"kfunc___mine", 2, proto);
        let typed = b.add_var(b"typed", 2, rq);
        let address = b.add_var(b"address", 2, any);
        let vars = [func, typed, address].map(|type_id| SecVar {
            type_id,
            offset: 0,
            size: 8,
        });
        b.add_datasec(b".ksyms", 0, &vars);
    });
    let symbols = externs(&mut file, &["kfunc___mine", "typed"]);
    let address = file.symbol("address", 0, (0, 0), WEAK | NOTYPE);
    file.relocs(code, &[(0, symbols[0]), (8, symbols[1]), (24, address)]);
    let object = parse(&file);
    let externs: Vec<_> = object
        .externs()
        .iter()
        .map(|ext| (ext.name.as_str(), ext.weak, ext.kind.clone()))
        .collect();
    let expected = [
        ("address", true, ExternKind::KsymAddr),
        (
            "kfunc___mine",
            false,
            ExternKind::Kfunc { proto: TypeId(5) },
        ),
        ("typed", false, ExternKind::Ksym { type_id: TypeId(2) }),
    ];
    assert_eq!(externs, expected);
    let refs = [
        (0, "extern kfunc___mine"),
        (1, "extern typed"),
        (3, "extern address"),
    ];
    expect(&object, "main", &refs);

    // what the kernel is shown instead: integers, which the object had none of
    let btf = object.btf.as_ref().unwrap();
    let id = btf.find_by_name_kind(b".ksyms", Kind::Datasec).unwrap();
    let Ok(Type::Datasec(section)) = btf.type_by_id(id) else {
        panic!()
    };
    assert_eq!(section.size(), 12);
    let int = btf.find_by_name_kind(b"int", Kind::Int).unwrap();
    let mut names = Vec::new();
    for (var, at) in section.vars().zip(0u32..) {
        assert_eq!((var.offset, var.size), (4 * at, 4));
        let Ok(Type::Var(var)) = btf.type_by_id(var.type_id) else {
            panic!()
        };
        assert_eq!((var.linkage(), var.type_id()), (1, int));
        names.push(var.name().to_text().into_owned());
    }
    assert_eq!(names, ["dummy_ksym", "typed", "address"]);
    let Ok(Type::Func(func)) = btf.type_by_id(6) else {
        panic!()
    };
    assert_eq!(func.linkage(), 1);
    let Ok(Type::FuncProto(proto)) = btf.type_by_id(5) else {
        panic!()
    };
    let params: Vec<_> = proto
        .params()
        .map(|p| p.name.to_text().into_owned())
        .collect();
    assert_eq!(params, ["dummy_ksym", ""]);
}

#[test]
fn a_declaration_elsewhere_does_not_hide_the_extern() {
    let mut file = File::native();
    file.types(|b| {
        let int = b.add_int(b"int", 4, 0);
        b.add_var(b"x", 0, int);
        section(b, b".ksyms", &[("x", int, 4)]);
    });
    externs(&mut file, &["x"]);
    let object = parse(&file);
    assert_eq!(
        object.externs()[0].kind,
        ExternKind::Ksym { type_id: TypeId(1) }
    );
}
