//! What each rule makes of objects that are built for it.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::panic,
    reason = "a test may fail"
)]

mod data;
mod externs;
mod functions;
mod malformed;
mod maps;
mod refs;
mod struct_ops;

use super::ParseOptions;
use crate::model::{Function, ModelError, Object, RefTarget};
use crate::testing::File;
use std::error::Error as _;

fn parse(file: &File) -> Object {
    try_parse(file).unwrap()
}

fn try_parse(file: &File) -> Result<Object, ModelError> {
    Object::parse(&file.build(), &ParseOptions::named("obj"))
}

/// The whole chain of an error.
fn error(file: &File) -> String {
    let error = try_parse(file).unwrap_err();
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

fn function<'o>(object: &'o Object, name: &str) -> &'o Function {
    let mut found = object.functions().iter().filter(|f| f.name == name);
    found.next().unwrap()
}

/// References as (instruction, what it refers to by name).
fn refs(object: &Object, name: &str) -> Vec<(u32, String)> {
    let refs = function(object, name).refs.iter();
    refs.map(|reference| {
        let text = match &reference.target {
            RefTarget::Call(f) => format!("call {}", object.functions()[f.index()].name),
            RefTarget::FuncAddr(f) => format!("address {}", object.functions()[f.index()].name),
            RefTarget::Map(m) => format!("map {}", object.maps()[m.index()].symbol),
            RefTarget::MapValue { map, offset } => {
                format!("value {}+{offset}", object.maps()[map.index()].symbol)
            }
            RefTarget::Extern(e) => format!("extern {}", object.externs()[e.index()].name),
            RefTarget::JumpTable(t) => format!("table {}", object.jump_tables()[t.index()].name),
            RefTarget::Broken(why) => format!("broken {why}"),
        };
        (reference.insn, text)
    })
    .collect()
}

fn expect(object: &Object, name: &str, expected: &[(u32, &str)]) {
    let found = refs(object, name);
    let found: Vec<_> = found
        .iter()
        .map(|(at, text)| (*at, text.as_str()))
        .collect();
    assert_eq!(found, expected, "{name}");
}

#[test]
fn names_of_objects_are_those_of_files() {
    for (path, name) in [
        ("minimal.bpf.o", "minimal"),
        ("/a/b.c/prog.o", "prog"),
        ("x", "x"),
        (".hidden", ""),
    ] {
        assert_eq!(ParseOptions::for_file(path).name, name);
    }
}
