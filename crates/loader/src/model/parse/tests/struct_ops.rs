use super::*;
use crate::model::{MapOrigin, ProgIdx};
use crate::testing::{EXIT, FUNC, GLOBAL, OBJECT, PROGBITS};
use bpfsys::MapType;
use bpfsys::uapi::flags::MapFlags;
use btf::build::{Member, SecVar};
use btf::{TypeId, encoding};

/// `struct ops { int flags; int (*init)(); int (*exit)(); }`, and variables of it.
fn types(file: &mut File, sections: &[(&str, &[&str])]) {
    file.types(|b| {
        let int = b.add_int(b"int", 4, encoding::SIGNED);
        let proto = b.add_func_proto(int, &[]);
        let pointer = b.add_ptr(proto);
        let members = [
            Member::new(b"flags", int, 0),
            Member::new(b"init", pointer, 64),
            Member::new(b"exit", pointer, 128),
        ];
        let ops = b.add_struct(b"ops___mine", 24, &members);
        for (section, vars) in sections {
            let vars: Vec<_> = vars
                .iter()
                .zip((0u32..).step_by(24))
                .map(|(name, offset)| SecVar {
                    type_id: b.add_var(name.as_bytes(), 1, ops),
                    offset,
                    size: 24,
                })
                .collect();
            b.add_datasec(section.as_bytes(), 24 * vars.len() as u32, &vars);
        }
    });
}

#[test]
fn variables_become_maps() {
    let mut file = File::native();
    let code = file.code("struct_ops/init", &[EXIT, EXIT]);
    let plain = file.section(".struct_ops", PROGBITS, 3, &[7; 24]);
    let link = file.section("?.struct_ops.link", PROGBITS, 3, &[0; 48]);
    types(
        &mut file,
        &[
            (".struct_ops", &["one"]),
            ("?.struct_ops.link", &["two", "three"]),
        ],
    );
    let init = file.func("init", code, 0, 1);
    let exit = file.func("exit", code, 1, 1);
    file.sections[2].data[8..].fill(0);
    file.relocs(plain, &[(8, init)]);
    file.relocs(link, &[(16, exit), (8, init), (32, init), (40, exit)]);
    let object = parse(&file);

    let names: Vec<_> = object.maps().iter().map(|map| map.name.as_str()).collect();
    assert_eq!(names, ["one", "two", "three"]);
    for (map, (progs, link)) in object.maps().iter().zip([
        (vec![(1, ProgIdx(0))], false),
        (vec![(1, ProgIdx(0)), (2, ProgIdx(1))], true),
        (vec![(1, ProgIdx(0)), (2, ProgIdx(1))], true),
    ]) {
        let MapOrigin::StructOps(ops) = &map.origin else {
            panic!()
        };
        assert_eq!(
            (ops.type_name.as_str(), ops.type_id),
            ("ops___mine", TypeId(4))
        );
        assert_eq!((&ops.progs, ops.link), (&progs, link));
        assert_eq!(map.spec.map_type, MapType::STRUCT_OPS);
        assert_eq!(
            (map.spec.key_size, map.spec.value_size, map.spec.max_entries),
            (4, 24, 1)
        );
        assert_eq!(map.autocreate, !link, "those of sections with ? are off");
        let flags = if link {
            MapFlags::LINK
        } else {
            MapFlags::empty()
        };
        assert_eq!(map.spec.flags, flags);
    }
    assert_eq!(object.maps()[0].data[..9], [7, 7, 7, 7, 7, 7, 7, 7, 0]);
    assert!(object.loads(ProgIdx(0)));
    assert!(!object.loads(ProgIdx(1)), "all its maps are off");
    assert!(!object.loads(ProgIdx(2)));
}

#[test]
fn programs_follow_their_maps() {
    let mut file = File::native();
    let code = file.code("?struct_ops", &[EXIT, EXIT]);
    let plain = file.section(".struct_ops", PROGBITS, 3, &[0; 48]);
    types(&mut file, &[(".struct_ops", &["one", "two"])]);
    let used = file.func("used", code, 0, 1);
    file.func("unused", code, 1, 1);
    file.relocs(plain, &[(8, used), (32, used)]);
    let mut object = parse(&file);
    assert!(object.loads(ProgIdx(0)), "its maps are on");
    assert!(
        !object.loads(ProgIdx(1)),
        "no map has it, its section has ?"
    );
    object.map_mut("one").unwrap().autocreate = false;
    assert!(object.loads(ProgIdx(0)), "the other map is on");
    object.map_mut("two").unwrap().autocreate = false;
    assert!(!object.loads(ProgIdx(0)));
    object.select_only(&["used"]).unwrap();
    assert!(object.loads(ProgIdx(0)) && object.maps().iter().all(|map| map.autocreate));
    object.select_only(&["unused"]).unwrap();
    assert!(!object.loads(ProgIdx(0)) && object.loads(ProgIdx(1)));
    object.select_only(&["two"]).unwrap();
    assert!(object.loads(ProgIdx(0)) && !object.loads(ProgIdx(1)));
    assert!(!object.map("one").unwrap().autocreate);
}

#[test]
fn variables_that_are_wrong() {
    let mut file = File::native();
    file.section(".struct_ops", PROGBITS, 3, &[0; 24]);
    let no_btf = "no section '.BTF', which section '.struct_ops' needs: compile with '-g'";
    assert_eq!(error(&file), no_btf);

    let mut missing = file.clone();
    types(&mut missing, &[]);
    assert_eq!(
        error(&missing),
        "no type of kind DATASEC is named '.struct_ops'"
    );

    let mut behind = file.clone();
    types(&mut behind, &[(".struct_ops", &["a", "b"])]);
    let why = "24 bytes at offset 24 are not in the section of 24";
    let expected = format!("section '.struct_ops': variable 'b': {why}");
    assert_eq!(error(&behind), expected);

    for (body, why) in [
        (0, "its type has no name"),
        (1, "its type is INT, not a struct"),
    ] {
        let mut other = file.clone();
        other.types(|b| {
            let int = b.add_int(b"int", 4, 0);
            let id = if body == 0 {
                b.add_struct(b"", 4, &[])
            } else {
                int
            };
            let type_id = b.add_var(b"v", 1, id);
            let var = SecVar {
                type_id,
                offset: 0,
                size: 4,
            };
            b.add_datasec(b".struct_ops", 4, &[var]);
        });
        assert_eq!(
            error(&other),
            format!("section '.struct_ops': variable 'v': {why}")
        );
    }
}

#[test]
fn relocations_that_are_wrong() {
    let wrong = |place: u64, section: &str, value: u64, why: &str| {
        let mut file = File::native();
        let code = file.code(section, &[EXIT, EXIT]);
        let plain = file.section(".struct_ops", PROGBITS, 3, &[0; 24]);
        types(&mut file, &[(".struct_ops", &["one"])]);
        file.func("f", code, 0, 1);
        let kind = if value.is_multiple_of(8) {
            FUNC
        } else {
            OBJECT
        };
        let symbol = file.symbol("g", code, (value, 8), GLOBAL | kind);
        file.relocs(plain, &[(place, symbol)]);
        let expected =
            format!("section '.struct_ops': relocation at offset {place} against 'g': {why}");
        assert_eq!(error(&file), expected);
    };
    wrong(
        0,
        "struct_ops",
        8,
        "member 'flags' is no pointer to a function",
    );
    wrong(12, "struct_ops", 8, "no member is there");
    wrong(24, "struct_ops", 8, "no variable is there");
    wrong(u64::MAX, "struct_ops", 8, "no variable is there");
    wrong(
        8,
        "struct_ops",
        4,
        "what member 'init' points to is no program",
    );
    wrong(
        8,
        "tc",
        8,
        "program 'g' of section 'tc' is not of section 'struct_ops'",
    );
    wrong(8, ".text", 8, "what member 'init' points to is no program");
}
