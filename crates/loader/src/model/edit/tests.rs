#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test may fail"
)]

use super::*;
use crate::model::{Map, MapSpec, ParseOptions};
use crate::testing::{EXIT, File};
use bpfsys::{AttachType, MapType};

fn object() -> Object {
    let mut file = File::native();
    for (section, name) in [
        ("tc", "shape"),
        ("?xdp", "filter"),
        ("fentry.s/vfs_read", "trace"),
        ("freplace/sub", "replace"),
        ("usdt.s/a:b:c", "usdt"),
    ] {
        let code = file.code(section, &[EXIT]);
        file.func(name, code, 0, 1);
    }
    Object::parse(&file.build(), &ParseOptions::named("obj")).unwrap()
}

#[test]
fn only_named_programs_are_selected() {
    let mut object = object();
    object.select_only(&["filter", "trace"]).unwrap();
    let on: Vec<_> = object
        .programs()
        .iter()
        .filter(|program| program.autoload)
        .map(|program| program.name.as_str())
        .collect();
    assert_eq!(on, ["filter", "trace"]);
    assert!(object.loads(ProgIdx(1)) && !object.loads(ProgIdx(0)));
    object.select_only(&[]).unwrap();
    assert!((0..9).all(|at| !object.loads(ProgIdx(at))));
}

#[test]
fn names_must_be_there() {
    let mut object = object();
    let error = object.select_only(&["shape", "filtre"]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "no program 'filtre', did you mean 'filter'?"
    );
    assert!(object.programs()[0].autoload, "nothing was changed");
    assert_eq!(object.no_map("m").to_string(), "no map 'm'");
}

#[test]
fn maps_are_known_by_their_variable_or_section_before_the_name_in_the_kernel() {
    let mut object = object();
    let spec = MapSpec::new(MapType::ARRAY, 4, 8, 1);
    for (symbol, name) in [("other", "counts"), ("counts", "cut"), (".bss", "obj.bss")] {
        let origin = MapOrigin::Definition;
        object
            .maps
            .push(Map::new(origin, name.into(), symbol.into(), spec.clone()));
    }
    for (name, expect) in [
        ("counts", Some(1)),
        ("cut", Some(1)),
        ("other", Some(0)),
        (".bss", Some(2)),
        ("obj.bss", Some(2)),
        ("nothing", None),
    ] {
        assert_eq!(object.map_index(name).map(|at| at.0), expect, "{name}");
    }
}

#[test]
fn another_type_forgets_the_section() {
    let mut object = object();
    let usdt = object.program_mut("usdt").unwrap();
    usdt.set_type(ProgType::KPROBE);
    assert!(
        usdt.usdt && usdt.flags == ProgLoadFlags::SLEEPABLE,
        "it is that already"
    );
    usdt.set_type(ProgType::XDP);
    assert!(!usdt.usdt && usdt.flags.is_empty());
    let trace = object.program_mut("trace").unwrap();
    trace.set_type(ProgType::LSM);
    assert!(matches!(trace.attach_to, AttachTo::None));
    assert_eq!(trace.expected_attach_type, AttachType::TRACE_FENTRY);
}

#[test]
fn targets() {
    let mut object = object();
    let trace = object.program_mut("trace").unwrap();
    trace.set_target("nf:hook").unwrap();
    let AttachTo::Kernel { module, name } = &trace.attach_to else {
        unreachable!()
    };
    assert_eq!((module.as_deref(), name.as_str()), (Some("nf"), "hook"));
    trace.set_target("vfs_write").unwrap();
    assert!(matches!(
        &trace.attach_to,
        AttachTo::Kernel { module: None, .. }
    ));
    let shape = object.program_mut("shape").unwrap();
    assert_eq!(
        shape.set_target("f").unwrap_err().to_string(),
        "program 'shape' of section 'tc' attaches to no function of the kernel"
    );
    let replace = object.program_mut("replace").unwrap();
    assert!(
        replace.set_target("f").is_err(),
        "it replaces a function of a program"
    );
}
