//! Loader programs of the fixtures: what they do, and that it is the same in both byte orders.

use super::{LightError, LightOptions, LightProgram, Step, generate};
use crate::model::{
    AttachTo, CodeRef, Extern, ExternIdx, ExternKind, Map, MapOrigin, MapSpec, Object,
    ParseOptions, Program, RefTarget,
};
use crate::sha256::sha256;
use bpfsys::insn::asm::assemble;
use bpfsys::insn::{ByteOrder, disasm, stream};
use bpfsys::{MapType, ProgType};
use btf::Endian;
use expect_test::{ExpectFile, expect_file};
use std::fmt::Write;

macro_rules! object {
    ($name:literal) => {
        Object::parse(
            include_bytes!(concat!("../../../../tests/fixtures/bpf/", $name, ".bpf.o")).as_slice(),
            &ParseOptions::for_file($name),
        )
        .unwrap()
    };
}

fn program(object: &Object) -> LightProgram {
    generate(object, &LightOptions::default()).unwrap()
}

/// Steps and instructions.
fn text(program: &LightProgram) -> String {
    let mut text = String::new();
    for (number, step) in program.steps.iter().enumerate() {
        writeln!(text, "step {number}: {step}").unwrap();
    }
    for (at, _) in stream::instructions(&program.insns) {
        let line = disasm::disasm_one(&program.insns, at, &disasm::References);
        writeln!(text, "{at:4}: {}", line.text).unwrap();
    }
    text
}

fn check(object: &Object, expected: ExpectFile) {
    let program = program(object);
    expected.assert_eq(&text(&program));
    let again = self::program(object);
    assert_eq!((again.insns, again.data), (program.insns, program.data));
}

#[test]
fn programs_do_what_they_should() {
    check(&object!("minimal"), expect_file!["golden/minimal.txt"]);
    check(
        &object!("inner_maps"),
        expect_file!["golden/inner_maps.txt"],
    );
    check(&object!("kfuncs"), expect_file!["golden/kfuncs.txt"]);
    check(&object!("ksyms"), expect_file!["golden/ksyms.txt"]);
}

#[test]
fn byte_orders_differ_in_nothing_else() {
    for (little, big) in [
        (object!("minimal"), object!("minimal.eb")),
        (object!("subprogs"), object!("subprogs.eb")),
        (object!("data"), object!("data.eb")),
        (object!("inner_maps"), object!("inner_maps.eb")),
        (object!("tail_calls"), object!("tail_calls.eb")),
    ] {
        let (little, big) = (program(&little), program(&big));
        assert_eq!((little.endian, big.endian), (Endian::Little, Endian::Big));
        // Instructions are in the host's order, and say the same but for lengths of strings.
        assert_eq!(little.insns.len(), big.insns.len(), "{}", little.name);
        assert_eq!(little.steps, big.steps);
        assert_eq!(
            little.insn_bytes(),
            stream::encode(&little.insns, ByteOrder::Little)
        );
        assert_eq!(big.insn_bytes(), stream::encode(&big.insns, ByteOrder::Big));
        assert_eq!(little.data.len(), big.data.len(), "{}", little.name);
    }
}

/// The number at a place of the data, in the order of the program.
fn word(program: &LightProgram, at: usize) -> u32 {
    let bytes = *program.data[at..].first_chunk().unwrap();
    match program.endian {
        Endian::Little => u32::from_le_bytes(bytes),
        Endian::Big => u32::from_be_bytes(bytes),
    }
}

#[test]
fn attributes_are_in_the_order_of_the_target() {
    for object in [object!("minimal"), object!("minimal.eb")] {
        let program = program(&object);
        // The attributes of PROG_LOAD are what the last command before the end reads.
        let attr = 140usize.next_multiple_of(8);
        let mut starts = (0..program.data.len() - attr).step_by(8);
        let found = starts.find(|at| {
            word(&program, *at) == ProgType::SCHED_CLS.0
                && program.data[at + 48..].starts_with(b"pass\0")
        });
        let at = found.expect("attributes of a program");
        assert_eq!(word(&program, at + 4), 2, "instructions");
        assert_eq!(word(&program, at + 76), 8, "bytes of a func_info");
    }
}

#[test]
fn a_hash_covers_the_data() {
    let options = LightOptions {
        hash: true,
        ..LightOptions::default()
    };
    for object in [object!("data"), object!("data.eb")] {
        let program = generate(&object, &options).unwrap();
        assert!(program.hashed);
        let hash = sha256(&program.data);
        let bytes = program.insn_bytes();
        for part in hash.chunks(8) {
            // Both halves of a wide load, each in the order of the program.
            let (low, high) = match program.endian {
                Endian::Little => (&part[..4], &part[4..]),
                Endian::Big => (&part[4..], &part[..4]),
            };
            let found =
                bytes.chunks(8).collect::<Vec<_>>().windows(2).any(|pair| {
                    pair[0][0] == 0x18 && &pair[0][4..] == low && &pair[1][4..] == high
                });
            assert!(found, "{part:02x?}");
        }
        assert_eq!(program.program_hash(), sha256(&bytes));
    }
}

#[test]
fn contexts_have_all_maps_and_the_programs_that_are_loaded() {
    let mut object = object!("tail_calls");
    for program in object.programs_mut() {
        program.autoload = program.name != "last";
    }
    object.map_mut("empty").unwrap().autocreate = false;
    let program = program(&object);
    let names: Vec<_> = program.progs.iter().map(|prog| &*prog.name).collect();
    assert_eq!(names, ["middle", "start"]);
    let made: Vec<_> = program
        .maps
        .iter()
        .map(|map| (&*map.name, map.made))
        .collect();
    assert_eq!(made, [("steps", true), ("empty", false)]);
    assert_eq!(program.ctx_size(), 24 + 2 * 16 + 2 * 4);
    // The slot of the program that is not loaded stays empty.
    let slots = program
        .steps
        .iter()
        .filter(|step| matches!(step, Step::FillSlot { .. }));
    assert_eq!(slots.count(), 1);
}

#[test]
fn more_maps_and_programs_than_libbpf_has_room_for() {
    let mut object = object!("minimal");
    let map = Map::new(
        MapOrigin::Definition,
        "many".to_owned(),
        "many".to_owned(),
        MapSpec::new(MapType::ARRAY, 4, 4, 1),
    );
    object.maps = vec![map; 1500];
    let one: Program = object.programs[0].clone();
    object.programs = vec![one; 400];
    // Failures in the middle reach the end: jumps have 16 bits.
    let program = program(&object);
    assert!(program.insns.len() > 56_000);
    assert_eq!((program.maps.len(), program.progs.len()), (1500, 400));
    object.maps.resize(2047, object.maps[0].clone());
    let error = generate(&object, &LightOptions::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "2047 maps and 400 programs are more than a loader program can handle"
    );
}

#[test]
fn what_only_a_process_can_do_is_refused() {
    fn check(object: &Object, expected: &str) {
        let error = generate(object, &LightOptions::default()).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
    check(
        &object!("struct_ops"),
        "map 'linked': a loader program cannot lay out a value of a kernel type",
    );
    check(
        &object!("arena"),
        "map 'arena': a loader program cannot write to an arena",
    );
    check(
        &object!("replaces"),
        "program 'instead': a loader program cannot load what replaces a function of another \
         program",
    );
    let mut object = object!("minimal");
    object.programs[0].attach_to = AttachTo::Missing;
    check(
        &object,
        "program 'pass' needs a target to attach to and section 'tc' names none",
    );
    // what the plan refuses is told as the plan tells it
    let mut object = object!("core_direct");
    object.btf = None;
    let error = generate(&object, &LightOptions::default()).unwrap_err();
    let why = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(
        format!("{error}: {why}"),
        "program 'fields': instruction 5 (raw_tp+0x28): a core relocation needs the object's \
         types, and it has none"
    );
    let error = generate(&object!("kconfig"), &LightOptions::default()).unwrap_err();
    assert!(matches!(error, LightError::Plan(_)), "{error}");
}

#[test]
fn calls_have_numbers_for_few_functions_only() {
    let mut object = object!("kfuncs");
    let known = object.externs().iter().find_map(|e| match e.kind {
        ExternKind::Kfunc { proto } => Some(proto),
        _ => None,
    });
    let proto = known.expect("a function of the kernel");
    for program in object.programs_mut() {
        program.autoload = false;
    }
    let count = 1 << 15;
    object.programs[0].autoload = true;
    let name = object.programs[0].name.clone();
    object.externs = (0..count)
        .map(|at| Extern {
            name: format!("function{at}"),
            weak: false,
            btf_id: None,
            kind: ExternKind::Kfunc { proto },
        })
        .collect();
    let func = object.programs[0].func.index();
    let function = &mut object.functions[func];
    let body = "call pc+0\n".repeat(count as usize);
    function.insns = assemble(&format!("{body}exit")).unwrap();
    function.refs = (0..count)
        .map(|at| CodeRef {
            insn: at,
            target: RefTarget::Extern(ExternIdx(at)),
        })
        .collect();
    function.core_relos.clear();
    let error = generate(&object, &LightOptions::default()).unwrap_err();
    // 0 means the kernel proper
    assert_eq!(
        error.to_string(),
        format!("program '{name}' uses 32768 symbols of the kernel, more than calls can number")
    );
    let func = &mut object.functions[func];
    func.insns.remove(0);
    func.refs.pop();
    generate(&object, &LightOptions::default()).unwrap();
}
