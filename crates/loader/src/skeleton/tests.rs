//! Objects that nobody would write.

use super::{SkeletonError, c, rust};
use crate::model::{Object, ParseOptions};
use crate::testing::{EXIT, FUNC, File, GLOBAL, OBJECT, PROGBITS};
use btf::build::{Builder, Member, SecVar};
use btf::{TypeId, encoding};

fn parse(file: &File) -> Object {
    Object::parse(&file.build(), &ParseOptions::named("odd")).unwrap()
}

/// The module, without the object.
fn module(object: &Object) -> String {
    let options = rust::Options {
        include: Some("odd.o".to_owned()),
    };
    rust::skeleton(object, &[], &options)
}

/// An object with variables: name, type, offset, size.
fn variables(
    size: u32,
    make: impl FnOnce(&mut Builder<'static>) -> Vec<(&'static str, TypeId, u32, u32)>,
) -> Object {
    let mut file = File::native();
    let data = file.section(".data", PROGBITS, 3, &vec![0; size as usize]);
    let mut symbols = Vec::new();
    file.types(|b| {
        let mut vars = Vec::new();
        for (name, id, offset, size) in make(b) {
            vars.push(SecVar {
                type_id: b.add_var(name.as_bytes(), 1, id),
                offset,
                size,
            });
            symbols.push((name, offset, size));
        }
        b.add_datasec(b".data", size, &vars);
    });
    for (name, offset, size) in symbols {
        file.symbol(name, data, (offset.into(), size.into()), GLOBAL | OBJECT);
    }
    parse(&file)
}

#[track_caller]
fn has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "no `{part}` in\n{text}");
    }
}

#[test]
fn names_become_identifiers_of_each_language() {
    let object = variables(20, |b| {
        let int = b.add_int(b"unsigned int", 4, 0);
        ["match", "int", "a.b", "a_b", "9\u{e9}"]
            .into_iter()
            .zip(0..)
            .map(|(name, n)| (name, int, 4 * n, 4))
            .collect()
    });
    let header = c::skeleton(&object, &[]).unwrap();
    has(
        &header,
        &[
            "unsigned int match;",
            "unsigned int int_;",
            "unsigned int a_b;",
            "unsigned int a_b_2;",
            "unsigned int _9__;",
            "sizeof(s->data->int_) == 4",
        ],
    );
    let module = module(&object);
    has(
        &module,
        &[
            "pub match_: u32,",
            "pub int: u32,",
            "pub a_b: u32,",
            "pub a_b_2: u32,",
            "pub _9__: u32,",
            "pub fn match_(self) -> sk::LiveMut<'a, u32> {",
        ],
    );
    let sub = c::subskeleton(&object, "int").unwrap();
    has(
        &sub,
        &["struct int_ {", "s->vars[4].name = \"9\\303\\251\";"],
    );
}

#[test]
fn programs_and_maps_may_share_names() {
    let mut file = File::native();
    let tc = file.code("tc", &[EXIT, EXIT]);
    file.func("a.b", tc, 0, 1);
    file.func("a_b", tc, 1, 1);
    let words = [2, 4, 4, 1, 0].repeat(2);
    let words: Vec<u8> = words.into_iter().flat_map(|word| file.word(word)).collect();
    let maps = file.section("maps", PROGBITS, 3, &words);
    file.symbol("a.b", maps, (0, 20), GLOBAL | OBJECT);
    file.symbol("rodata", maps, (20, 20), GLOBAL | OBJECT);
    file.section(".rodata", PROGBITS, 2, &[1]);
    let object = parse(&file);
    let module = module(&object);
    has(
        &module,
        &[
            "pub fn rodata_2(self) -> Option<&'a sk::MapFd> {",
            "pub fn a_b_2(self) -> Option<&'a sk::ProgFd> {",
            "new.a_b_2 = sk::attach(&self.loaded, 1)?;",
        ],
    );
    let header = c::skeleton(&object, &[]).unwrap();
    has(
        &header,
        &[
            "struct bpf_program *a_b_2;",
            "s->progs[0].name = \"a.b\";",
            "map->map = &skel->maps.rodata_2;",
        ],
    );
}

#[test]
fn variables_that_overlap_are_functions() {
    let object = variables(16, |b| {
        let int = b.add_int(b"long", 8, encoding::SIGNED);
        vec![("one", int, 0, 8), ("two", int, 4, 8)]
    });
    let error = c::skeleton(&object, &[]).unwrap_err();
    assert_eq!(
        error,
        SkeletonError::Overlap {
            section: "data".into(),
            variable: "two".into(),
            offset: 4,
            end: 8
        }
    );
    assert_eq!(
        error.to_string(),
        "section `data`: variable `two` is at 4, the one before it ends at 8"
    );
    has(
        &module(&object),
        &[
            "pub bytes: [u8; 16],",
            "pub fn set_two(&mut self, value: i64) {",
            "sk::set_part(self, 4, &value);",
            "pub fn two(self) -> sk::LiveMut<'a, i64> {",
        ],
    );
}

#[test]
fn types_that_are_not_where_they_should_be() {
    let object = variables(64, |b| {
        let int = b.add_int(b"int", 4, encoding::SIGNED);
        let truth = b.add_int(b"_Bool", 1, encoding::BOOL);
        let real = b.add_float(b"long double", 16);
        let many = b.add_array(int, int, 0);
        let list = b.add_struct(b"list", 8, &[Member::new(b"next", int, 0)]);
        // An alignment that the offset does not have.
        vec![
            ("truth", truth, 0, 1),
            ("off", int, 1, 4),
            ("real", real, 16, 16),
            ("wrong", list, 32, 4),
            ("many", many, 40, 12),
        ]
    });
    has(
        &module(&object),
        &[
            "#[repr(C, packed)]",
            "pub truth: sk::Bool,",
            "pub off: i32,",
            "pub _pad0: [u8; 11],",
            "pub real: [u8; 16],",
            "pub wrong: [u8; 4],",
            "pub many: [i32; 3],",
            "pub _pad2: [u8; 12],",
        ],
    );
}

#[test]
fn a_type_that_contains_itself_is_bytes() {
    let object = variables(8, |b| {
        // The struct is the first type, its member is the struct.
        let knot = b.add_struct(b"knot", 8, &[Member::new(b"inner", TypeId(1), 0)]);
        assert_eq!(knot, TypeId(1));
        vec![("knot", knot, 0, 8)]
    });
    has(
        &module(&object),
        &["pub inner: [u8; 8],", "pub knot: types::knot,"],
    );
    assert!(matches!(
        c::skeleton(&object, &[]),
        Err(SkeletonError::Variable { .. })
    ));
}

#[test]
fn an_object_without_types_has_no_variables() {
    let mut file = File::native();
    let tc = file.code("tc", &[EXIT]);
    file.symbol("main", tc, (0, 8), GLOBAL | FUNC);
    file.section(".data", PROGBITS, 3, &[1; 4]);
    let object = parse(&file);
    assert_eq!(c::subskeleton(&object, "sub"), Err(SkeletonError::NoTypes));
    let header = c::skeleton(&object, b"\0\x01").unwrap();
    has(&header, &["struct bpf_map *data;", "\\0\\x01\\\n\";"]);
    assert!(!header.contains("__assert"));
    has(
        &module(&object),
        &["Ok(OpenOdd { object })", "pub main: Option<sk::Link>,"],
    );
}
