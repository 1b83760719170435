//! Values of struct_ops maps: what can be set before the map is made.

use super::Names;
use super::text::{Code, shown};
use super::types::{Mapped, Types};
use crate::skeleton::names::{Language, Scope, camel};
use crate::skeleton::shape::Shape;
use btf::{Btf, Type, TypeId};

/// A struct_ops map.
pub(super) struct Ops {
    map: u32,
    symbol: String,
    type_name: String,
    ident: String,
    /// Its struct.
    values: String,
    members: Vec<Member>,
}

struct Member {
    name: String,
    ident: String,
    what: What,
}

/// What a member is.
enum What {
    /// A program; with the number of the member.
    Program(u32),
    /// A value at an offset.
    Value(u64, Mapped),
}

pub(super) fn collect(shape: &Shape<'_>, names: &mut Names, types: &mut Types<'_>) -> Vec<Ops> {
    let Some(btf) = shape.btf else {
        return Vec::new();
    };
    let mut all = Vec::new();
    for (map, ops) in shape.struct_ops() {
        all.push(Ops {
            map: map.index.0,
            symbol: map.map.symbol.clone(),
            type_name: ops.type_name.clone(),
            ident: map.ident.clone(),
            values: names.own(&format!("{}Ops", camel(&map.ident))),
            members: members(btf, ops.type_id, shape.programs.is_empty(), types),
        });
    }
    all
}

fn members(btf: &Btf<'_>, id: TypeId, no_programs: bool, types: &mut Types<'_>) -> Vec<Member> {
    let Ok((_, Type::Struct(of) | Type::Union(of))) = btf.resolve(id) else {
        return Vec::new();
    };
    let mut scope = Scope::new(Language::Rust);
    let mut all = Vec::new();
    for (number, member) in (0u32..).zip(of.members()) {
        let name = String::from_utf8_lossy(member.name.or_empty()).into_owned();
        let Ok((_, ty)) = btf.resolve(member.type_id) else {
            continue;
        };
        if name.is_empty() || member.bitfield_size != 0 {
            continue;
        }
        let what = match ty {
            Type::Ptr(to) => match btf.resolve(to.type_id()) {
                Ok((_, Type::FuncProto(_))) if !no_programs => What::Program(number),
                // An address means nothing before the load.
                _ => continue,
            },
            _ => match types.any(member.type_id, &name) {
                Some(of) => What::Value(u64::from(member.bit_offset / 8), of),
                None => continue,
            },
        };
        all.push(Member {
            ident: scope.add(&name),
            name,
            what,
        });
    }
    all
}

/// Writes the struct of each map, and one of all of them.
pub(super) fn write(code: &mut Code, all: &[Ops], names: &Names) {
    let (group, program) = (&names.ops, &names.program);
    code.gap();
    code.doc("What implements types of the kernel.");
    code.line("#[derive(Clone, Debug)]");
    code.open(&format!("pub struct {group} {{"));
    for ops in all {
        code.doc(&format!("Map {}.", shown(&ops.symbol)));
        code.pair(&format!("pub {}:", ops.ident), &format!("{},", ops.values));
    }
    code.close("}");
    for ops in all {
        code.gap();
        let of = shown(&format!("struct {}", ops.type_name));
        code.doc(&format!("Map {}, a {of}.", shown(&ops.symbol)));
        code.line("#[derive(Clone, Debug)]");
        if ops.members.is_empty() {
            code.line(&format!("pub struct {} {{}}", ops.values));
        } else {
            code.open(&format!("pub struct {} {{", ops.values));
            for Member { name, ident, what } in &ops.members {
                match what {
                    What::Program(_) => {
                        code.doc(&format!("The program that implements {}.", shown(name)));
                        code.pair(&format!("pub {ident}:"), &format!("Option<{program}>,"));
                    }
                    What::Value(_, of) => {
                        code.doc(&format!("Member {}.", shown(name)));
                        code.pair(&format!("pub {ident}:"), &format!("{},", of.text));
                    }
                }
            }
            code.close("}");
        }
        code.gap();
        code.open(&format!("impl {} {{", ops.values));
        read(code, ops, program);
        code.gap();
        write_back(code, ops);
        code.close("}");
    }
}

fn read(code: &mut Code, ops: &Ops, program: &str) {
    let map = ops.map;
    code.open("fn read(object: &sk::model::Object) -> Self {");
    for Member { ident, what, .. } in &ops.members {
        match what {
            What::Program(number) => {
                let call = format!("sk::ops_program(object, {map}, {number});");
                code.pair(&format!("let {ident} ="), &call);
            }
            What::Value(offset, _) => {
                let call = format!("sk::ops_value(object, {map}, {offset});");
                code.pair(&format!("let {ident} ="), &call);
            }
        }
    }
    if ops.members.is_empty() {
        code.line("let _ = object;");
        code.line("Self {}");
    } else {
        let mut value = Code::inside(0);
        for Member { ident, what, .. } in &ops.members {
            match what {
                What::Program(_) => {
                    value.line(&format!(
                        "{ident}: {ident}.and_then({program}::from_number),"
                    ));
                }
                What::Value(..) => value.line(&format!("{ident},")),
            }
        }
        super::literal(code, "Self", &value.out, "");
    }
    code.close("}");
}

fn write_back(code: &mut Code, ops: &Ops) {
    let map = ops.map;
    code.open("fn write(&self, object: &mut sk::model::Object) {");
    for Member { ident, what, .. } in &ops.members {
        match what {
            What::Program(number) => {
                code.pair(
                    "let program =",
                    &format!("self.{ident}.map(|program| program as u32);"),
                );
                code.line(&format!(
                    "sk::set_ops_program(object, {map}, {number}, program);"
                ));
            }
            What::Value(offset, _) => {
                code.line(&format!("let value = &self.{ident};"));
                code.line(&format!(
                    "sk::set_ops_value(object, {map}, {offset}, value);"
                ));
            }
        }
    }
    if ops.members.is_empty() {
        code.line("let _ = object;");
    }
    code.close("}");
}

impl Ops {
    /// The member of the struct of all maps, and its type.
    pub(super) fn member(&self) -> (&str, &str) {
        (&self.ident, &self.values)
    }
}
