use super::*;
use crate::model::{AttachTo, Linkage};
use crate::testing::{EXIT, FUNC, GLOBAL, LOCAL, PROGBITS, WEAK};
use bpfsys::uapi::flags::ProgLoadFlags;
use bpfsys::{AttachType, ProgType};
use btf::{Endian, Type};

#[test]
fn programs_are_functions_outside_of_text() {
    let mut file = File::native();
    let text = file.code(".text", &[EXIT, EXIT]);
    let tc = file.code("tc", &[EXIT, EXIT, EXIT]);
    let off = file.code("?xdp.frags", &[EXIT]);
    let odd = file.code("my/own", &[EXIT]);
    file.func("second", tc, 2, 1);
    file.func("first", tc, 0, 2);
    file.func("sub", text, 1, 1);
    file.symbol("local", text, (0, 8), LOCAL | FUNC);
    file.func("off", off, 0, 1);
    file.symbol("odd", odd, (0, 8), WEAK | FUNC);
    let object = parse(&file);

    let names: Vec<_> = object.programs().iter().map(|p| p.name.as_str()).collect();
    assert_eq!(names, ["first", "second", "off", "odd"]);
    let names: Vec<_> = object.functions().iter().map(|f| f.name.as_str()).collect();
    assert_eq!(names, ["local", "sub", "first", "second", "off", "odd"]);
    let first = function(&object, "first");
    assert_eq!((first.section_off, first.insns.len()), (0, 2));
    assert_eq!(function(&object, "second").section_off, 2);
    assert_eq!(function(&object, "local").linkage, Linkage::Static);
    assert_eq!(function(&object, "odd").linkage, Linkage::Weak);

    let off = object.program("off").unwrap();
    assert!(!off.autoload);
    assert_eq!(off.section, "xdp.frags");
    assert_eq!(
        (off.prog_type, off.expected_attach_type),
        (ProgType::XDP, AttachType::XDP)
    );
    assert_eq!(off.flags, ProgLoadFlags::XDP_HAS_FRAGS);
    let odd = object.program("odd").unwrap();
    assert!(odd.autoload);
    assert_eq!(odd.prog_type, ProgType::UNSPEC);
    assert_eq!(object.functions()[odd.func.index()].name, "odd");
    assert!(object.notes.is_empty());
    assert_eq!(object.license, b"GPL");
}

#[test]
fn hidden_functions_are_static_for_the_kernel() {
    let mut file = File::native();
    let text = file.code(".text", &[EXIT, EXIT]);
    file.func("f", text, 0, 1);
    file.hide();
    file.func("g", text, 1, 1);
    file.types(|b| {
        let int = b.add_int(b"int", 4, 0);
        let proto = b.add_func_proto(int, &[]);
        // a static function of another file has the name too
        b.add_func(b"f", 0, proto);
        b.add_func(b"f", 1, proto);
        b.add_func(b"g", 1, proto);
    });
    let object = parse(&file);
    assert_eq!(function(&object, "f").linkage, Linkage::Hidden);
    let btf = object.btf.as_ref().unwrap();
    let linkages: Vec<_> = btf
        .types()
        .filter_map(|(_, ty)| match ty {
            Type::Func(func) => Some(func.linkage()),
            _ => None,
        })
        .collect();
    assert_eq!(linkages, [0, 0, 1]);
}

#[test]
fn sections_say_what_programs_attach_to() {
    let target = |section: &str| {
        let mut file = File::native();
        let code = file.code(section, &[EXIT]);
        file.func("f", code, 0, 1);
        let object = parse(&file);
        match &object.programs()[0].attach_to {
            AttachTo::None => "none".to_owned(),
            AttachTo::Missing => "missing".to_owned(),
            AttachTo::Kernel { module, name } => format!("{module:?} {name}"),
            AttachTo::Module(module) => format!("module {module}"),
            AttachTo::Prog { .. } => "program".to_owned(),
        }
    };
    for (section, expected) in [
        ("tc", "none"),
        ("kprobe/vfs_read", "none"),
        ("fentry", "missing"),
        ("fentry/", "missing"),
        ("fentry/vfs_read", "None vfs_read"),
        ("fentry.s/nf:hook", "Some(\"nf\") hook"),
        ("?lsm/file_open", "None file_open"),
        ("iter.s/task", "None task"),
        ("tp_btf/sched_switch", "None sched_switch"),
        ("freplace/f", "missing"),
        ("freplace", "missing"),
        ("fentry.multi/tcp_*", "none"),
        ("fexit.multi.s/nf:tcp_*", "module nf"),
        ("fsession.multi/vmlinux:tcp_*", "none"),
        ("unknown/a:b", "none"),
    ] {
        assert_eq!(target(section), expected, "{section}");
    }
}

#[test]
fn both_orders_have_the_same_instructions() {
    let object = |endian| {
        let mut file = File::new(endian);
        let code = file.code("tc", &[(0xb7, 0, 0, 7), (0x85, 1, 0x102, -1), EXIT]);
        file.func("f", code, 0, 3);
        parse(&file)
    };
    let (little, big) = (object(Endian::Little), object(Endian::Big));
    assert_eq!(little.endian, Endian::Little);
    assert_eq!(big.endian, Endian::Big);
    assert_eq!(little.functions()[0].insns, big.functions()[0].insns);
    assert_eq!(little.functions()[0].insns[1].off, 0x102);
}

#[test]
fn one_function_may_have_two_names() {
    let mut file = File::native();
    let code = file.code("tc", &[EXIT, EXIT]);
    file.func("a", code, 0, 2);
    file.func("b", code, 0, 2);
    file.func("inside", code, 1, 1);
    let object = parse(&file);
    assert_eq!(function(&object, "a").insns, function(&object, "b").insns);
    expect(
        &object,
        "inside",
        &[(0, "broken it overlaps with the function at offset 0")],
    );
}

#[test]
fn symbols_that_lead_to_no_instructions() {
    for (start, size, why) in [
        (0, 0, "0 bytes at offset 0 are not a number of instructions"),
        (0, 7, "7 bytes at offset 0 are not a number of instructions"),
        (4, 8, "8 bytes at offset 4 are not a number of instructions"),
        (
            8,
            16,
            "16 bytes at offset 8 end past the section of 16 bytes",
        ),
        // the sum of place and size is small again
        (
            u64::MAX - 7,
            16,
            "16 bytes at offset 18446744073709551608 end past the section of 16 bytes",
        ),
        (
            8,
            u64::MAX - 7,
            "18446744073709551608 bytes at offset 8 end past the section of 16 bytes",
        ),
    ] {
        let mut file = File::native();
        let code = file.code("tc", &[EXIT, EXIT]);
        file.symbol("f", code, (start, size), GLOBAL | FUNC);
        let object = parse(&file);
        expect(&object, "f", &[(0, &format!("broken {why}"))]);
        assert!(function(&object, "f").insns.is_empty());
        assert_eq!(
            object.notes,
            [format!("function 'f' of section 'tc': {why}")]
        );
    }
}

#[test]
fn static_functions_outside_of_text_are_no_programs() {
    let mut file = File::native();
    let code = file.code("tc", &[EXIT]);
    file.symbol("f", code, (0, 8), LOCAL | FUNC);
    let object = parse(&file);
    assert!(object.programs().is_empty());
    let note = "function 'f' of section 'tc' is static: it is no program";
    assert_eq!(object.notes, [note]);
}

#[test]
fn licence_and_version() {
    let mut file = File::new(Endian::Big);
    file.section("license", PROGBITS, 0, b"Dual BSD/GPL");
    file.section("version", PROGBITS, 0, &[0, 5, 10, 1]);
    let object = parse(&file);
    assert_eq!(object.license, b"Dual BSD/GPL");
    assert_eq!(object.kern_version, Some(0x0005_0a01));

    let mut file = File::new(Endian::Little);
    file.section("version", PROGBITS, 0, &[1, 2, 3]);
    let object = parse(&file);
    assert_eq!(
        (object.license.as_slice(), object.kern_version),
        (&b""[..], None)
    );
    assert_eq!(object.notes, ["section 'version' has 3 bytes instead of 4"]);
}
