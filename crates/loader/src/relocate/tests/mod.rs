//! Objects made in code, and what plans make of them.

#![allow(
    clippy::cast_possible_truncation,
    reason = "objects of tests are small"
)]

mod attach;
mod code;
mod core;
mod downgrades;
mod externs;
mod maps;
mod struct_ops;
mod types;

use super::*;
use crate::model::{
    AttachTo, CodeRef, Extern, ExternIdx, ExternKind, Function, LineInfo, Linkage, Map, Pinning,
    RefTarget,
};
use crate::target::Described;
use bpfsys::MapType;
use bpfsys::insn::asm::assemble;
use bpfsys::uapi::flags::{MapFlags, ProgLoadFlags};
use btf::build::Builder;
use btf::core_reloc::{CoreRelo, RelocKind};
use btf::{Btf, Endian, TypeId};
use std::error::Error;
use std::sync::Arc;

pub(super) const HOST: Endian = if cfg!(target_endian = "little") {
    Endian::Little
} else {
    Endian::Big
};

/// An object with nothing in it.
pub(super) fn empty() -> Object {
    Object {
        name: "obj".into(),
        endian: HOST,
        license: b"GPL".to_vec(),
        kern_version: None,
        btf: None,
        functions: Vec::new(),
        programs: Vec::new(),
        maps: Vec::new(),
        variables: Vec::new(),
        externs: Vec::new(),
        jump_tables: Vec::new(),
        notes: Vec::new(),
    }
}

/// A function of these instructions.
pub(super) fn function(name: &str, text: &str) -> Function {
    Function {
        name: name.into(),
        section: ".text".into(),
        section_off: 0,
        linkage: Linkage::Static,
        insns: assemble(text).unwrap(),
        refs: Vec::new(),
        func_info: Vec::new(),
        line_info: Vec::new(),
        core_relos: Vec::new(),
    }
}

/// A map of type hash.
pub(super) fn hash(name: &str) -> Map {
    let spec = MapSpec::new(MapType::HASH, 4, 8, 16);
    Map::new(MapOrigin::Definition, name.into(), name.into(), spec)
}

/// A map that holds a section.
pub(super) fn section(name: &str, origin: MapOrigin, data: &[u8]) -> Map {
    let spec = MapSpec::new(MapType::ARRAY, 4, data.len() as u32, 1);
    Map {
        data: data.to_vec(),
        ..Map::new(origin, name.into(), name.into(), spec)
    }
}

/// An extern of this name.
pub(super) fn extern_(name: &str, weak: bool, kind: ExternKind) -> Extern {
    Extern {
        name: name.into(),
        weak,
        btf_id: None,
        kind,
    }
}

impl Object {
    pub(super) fn add_function(&mut self, function: Function) -> FuncIdx {
        self.functions.push(function);
        FuncIdx(self.functions.len() as u32 - 1)
    }

    /// A program that is a function of these instructions.
    pub(super) fn add(&mut self, name: &str, prog_type: ProgType, text: &str) -> ProgIdx {
        let mut function = function(name, text);
        function.section = "main".into();
        let func = self.add_function(function);
        self.programs.push(Program {
            name: name.into(),
            func,
            section: "main".into(),
            prog_type,
            expected_attach_type: AttachType(0),
            attach_type_optional: false,
            flags: ProgLoadFlags::empty(),
            autoload: true,
            attach_to: AttachTo::None,
            usdt: false,
            ifindex: 0,
            exception_callback: None,
            log_level: None,
        });
        ProgIdx(self.programs.len() as u32 - 1)
    }

    pub(super) fn add_map(&mut self, map: Map) -> MapIdx {
        self.maps.push(map);
        MapIdx(self.maps.len() as u32 - 1)
    }

    pub(super) fn add_extern(&mut self, extern_: Extern) -> ExternIdx {
        self.externs.push(extern_);
        ExternIdx(self.externs.len() as u32 - 1)
    }

    /// Lets an instruction of a function refer to something.
    pub(super) fn refer(&mut self, func: FuncIdx, insn: u32, target: RefTarget) {
        let refs = &mut self.functions[func.index()].refs;
        refs.push(CodeRef { insn, target });
        refs.sort_by_key(|code_ref| code_ref.insn);
    }

    pub(super) fn main(&self, prog: ProgIdx) -> FuncIdx {
        self.programs[prog.index()].func
    }
}

/// Types, read.
pub(super) fn types(make: impl FnOnce(&mut Builder<'_>)) -> Btf<'static> {
    let mut builder = Builder::new(HOST);
    make(&mut builder);
    Btf::parse(builder.finish().unwrap()).unwrap()
}

pub(super) fn plan(object: &Object, target: &dyn Target) -> Result<LoadPlan, PlanError> {
    let options = PlanOptions {
        explain: true,
        ..PlanOptions::default()
    };
    LoadPlan::new(object, target, &options)
}

#[track_caller]
pub(super) fn planned(object: &Object, target: &dyn Target) -> LoadPlan {
    match plan(object, target) {
        Ok(plan) => plan,
        Err(error) => panic!("{}", chain(&error)),
    }
}

/// An error with all its causes.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text += &format!(": {cause}");
        next = cause.source();
    }
    assert!(!text.contains(char::is_control), "{text:?}");
    text
}

#[track_caller]
pub(super) fn fails(object: &Object, target: &dyn Target, expect: &str) {
    match plan(object, target) {
        Ok(plan) => panic!("it should fail:\n{plan}"),
        Err(error) => assert_eq!(chain(&error), expect),
    }
}

/// The instructions of a program as text, one in a line.
#[track_caller]
pub(super) fn listing(plan: &LoadPlan, program: usize, expect: &str) {
    let text = plan.to_string();
    let mut programs = text.split("\nprogram ");
    let program = programs.nth(program + 1).expect("the program");
    let body: Vec<&str> = program
        .split("\nthe kernel lacks")
        .next()
        .unwrap()
        .split("\nnotes:")
        .next()
        .unwrap()
        .lines()
        .skip(1)
        .map(str::trim)
        .collect();
    let expect: Vec<&str> = expect.trim().lines().map(str::trim).collect();
    assert_eq!(body.join("\n"), expect.join("\n"));
}
