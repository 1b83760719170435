//! Kinds of types that the kernel does not know become kinds that it knows, of the same size.

use super::{Edit, Kinds, STATIC, Seen};
use crate::relocate::{Downgrades, lacks};
use crate::target::{Feature, Target};
use btf::build::Builder;
use btf::types::Datasec;
use btf::{Btf, BtfError, Kind, Type, TypeId};

#[doc(alias = "bpf_object__sanitize_btf")]
pub(super) fn change<'o>(
    btf: &'o Btf<'static>,
    seen: &Seen,
    target: &dyn Target,
    edit: &mut Edit<'o>,
    downgrades: &mut Downgrades,
) -> Result<(), BtfError> {
    let mut check = |seen: bool, feature: Feature, what: &str| {
        let lacking = seen && lacks(target, feature);
        if lacking {
            downgrades.add(feature, what.to_owned());
        }
        lacking
    };
    let kinds = &seen.kinds;
    let funcs = kinds.funcs && seen.lacks_funcs(target);
    let datasecs = check(
        kinds.datasecs,
        Feature::BtfDatasec,
        "variables become integers, sections structs",
    );
    let lacking = Kinds {
        funcs: check(
            funcs,
            Feature::BtfFunc,
            "functions become typedefs, signatures enumerations; no types of functions and source lines",
        ),
        global_funcs: check(
            kinds.global_funcs && !funcs,
            Feature::BtfGlobalFunc,
            "global functions become static",
        ),
        qmark: check(
            kinds.qmark && !datasecs,
            Feature::BtfQmarkDatasec,
            "the mark in names of sections becomes '_'",
        ),
        floats: check(
            kinds.floats,
            Feature::BtfFloat,
            "floating-point numbers become structs",
        ),
        decl_tags: check(
            kinds.decl_tags,
            Feature::BtfDeclTag,
            "tags of declarations become integers",
        ),
        type_tags: check(
            kinds.type_tags,
            Feature::BtfTypeTag,
            "tags of types become const",
        ),
        enums: check(
            kinds.enums,
            Feature::BtfEnum64,
            "enumerations of 64 bits become unions, signed ones unsigned",
        ),
        layout: check(
            kinds.layout,
            Feature::BtfLayout,
            "the layout of kinds is left out",
        ),
        datasecs,
    };
    if lacking == Kinds::default() {
        return Ok(());
    }
    let builder = edit.builder()?;
    if lacking.layout {
        builder.remove_layout();
    }
    let mut placeholder = None;
    for id in (builder.start_id()..builder.next_id()).map(TypeId) {
        lacking.record(btf, builder, id, &mut placeholder);
    }
    Ok(())
}

impl Kinds {
    fn record(
        self,
        btf: &Btf<'_>,
        builder: &mut Builder<'_>,
        id: TypeId,
        placeholder: &mut Option<TypeId>,
    ) {
        let Some(mut record) = builder.record_mut(id) else {
            return;
        };
        let elements = record.vlen();
        match record.kind() {
            // one byte is the most that every variable has
            Kind::Var if self.datasecs => byte(&mut record),
            Kind::DeclTag if self.decl_tags => byte(&mut record),
            Kind::Datasec if self.datasecs => {
                let Ok(Type::Datasec(section)) = btf.type_by_id(id) else {
                    return;
                };
                if record.set_kind(Kind::Struct, false, elements) {
                    let vars = record.rest().to_vec();
                    members(builder, id, &vars);
                    rename(builder, &section, |byte| matches!(byte, b'.' | b'?'));
                }
            }
            Kind::Datasec if self.qmark => {
                if let Ok(Type::Datasec(section)) = btf.type_by_id(id)
                    && section.name().or_empty().first() == Some(&b'?')
                {
                    rename(builder, &section, |byte| byte == b'?');
                }
            }
            Kind::FuncProto if self.funcs => {
                record.set_kind(Kind::Enum, false, elements);
                record.set_size_or_type(4);
            }
            Kind::Func if self.funcs => {
                record.set_kind(Kind::Typedef, false, 0);
            }
            Kind::Func if self.global_funcs => {
                record.set_kind(Kind::Func, false, STATIC);
            }
            // without a name: the compiler's are no names of structs
            Kind::Float if self.floats => {
                record.set_kind(Kind::Struct, false, 0);
                record.set_name(btf::build::StrOff(0));
            }
            Kind::TypeTag if self.type_tags => {
                record.set_kind(Kind::Const, false, 0);
                record.set_name(btf::build::StrOff(0));
            }
            Kind::Enum if self.enums => {
                record.set_kind(Kind::Enum, false, elements);
            }
            Kind::Enum64 if self.enums => {
                let member = *placeholder
                    .get_or_insert_with(|| builder.add_int(b"enum64_placeholder", 1, 0));
                let Some(mut record) = builder.record_mut(id) else {
                    return;
                };
                if record.set_kind(Kind::Union, false, elements) {
                    let (members, _) = record.rest_mut().as_chunks_mut::<3>();
                    for [_, type_id, offset] in members {
                        (*type_id, *offset) = (member.0, 0);
                    }
                }
            }
            _ => {}
        }
    }
}

fn byte(record: &mut btf::build::RecordMut<'_>) {
    if record.set_kind(Kind::Int, false, 0) {
        record.set_size_or_type(1);
        if let Some(word) = record.rest_mut().first_mut() {
            // eight bits, no encoding
            *word = 8;
        }
    }
}

/// Members of a struct from the variables of the section that it was.
fn members(builder: &mut Builder<'_>, id: TypeId, vars: &[u32]) {
    let (vars, _) = vars.as_chunks::<3>();
    let words: Vec<u32> = vars
        .iter()
        .flat_map(|[var, offset, _]| {
            let name = builder
                .record_mut(TypeId(*var))
                .map_or(0, |var| var.name().0);
            [name, *var, offset.wrapping_mul(8)]
        })
        .collect();
    if let Some(mut record) = builder.record_mut(id) {
        for (to, from) in record.rest_mut().iter_mut().zip(words) {
            *to = from;
        }
    }
}

/// Names the section in the way that names of structs allow.
fn rename(builder: &mut Builder<'_>, section: &Datasec<'_>, odd: impl Fn(u8) -> bool) {
    let mut name = section.name().or_empty().to_vec();
    for byte in &mut name {
        if odd(*byte) {
            *byte = b'_';
        }
    }
    let name = builder.string(&name);
    if let Some(mut record) = builder.record_mut(section.id()) {
        record.set_name(name);
    }
}
