//! Types as JSON, key by key as bpftool writes them.
//!
//! A kernel has some hundred thousand types, so the text between values is literal.

use btf::raw_dump::label;
use btf::types::{Composite, Enumerator, Name, Record};
use btf::{Btf, Type};

use super::stream::{Full, LIMIT, Stop};
use crate::render::json::part::Part;

/// Writes the types with these ids, each with a comma in front; ids without a type are left out.
///
/// Whenever there are more than [`LIMIT`] bytes, within a type too, `full` gets them.
pub(super) fn write(
    part: &mut Part<'_>,
    btf: &Btf<'_>,
    ids: impl IntoIterator<Item = u32>,
    full: &mut Full<'_>,
) -> Result<(), Stop> {
    for id in ids {
        if let Ok(ty) = btf.type_by_id(id) {
            write_type(part, id, &ty, full)?;
            part.settle(LIMIT, full)?;
        }
    }
    Ok(())
}

/// Begins the object of a type; the kind is part of a literal.
macro_rules! head {
    ($part:ident, $kind:literal, $name:expr) => {
        $part.piece(concat!(",\"kind\":\"", $kind, "\",\"name\":"));
        $part.string($name.label());
    };
}

fn write_type(
    part: &mut Part<'_>,
    id: u32,
    ty: &Type<'_>,
    full: &mut Full<'_>,
) -> Result<(), Stop> {
    part.piece(",{\"id\":");
    part.uint(id);
    match ty {
        Type::Int(t) => {
            head!(part, "INT", t.name());
            part.piece(",\"size\":");
            part.uint(t.size());
            part.piece(",\"bits_offset\":");
            part.uint(t.bit_offset());
            part.piece(",\"nr_bits\":");
            part.uint(t.bits());
            part.piece(",\"encoding\":");
            word(part, label::int_encoding(t.encoding()));
        }
        Type::Ptr(t) => {
            head!(part, "PTR", t.name());
            type_id(part, t.type_id().0);
        }
        Type::Const(t) => {
            head!(part, "CONST", t.name());
            type_id(part, t.type_id().0);
        }
        Type::Volatile(t) => {
            head!(part, "VOLATILE", t.name());
            type_id(part, t.type_id().0);
        }
        Type::Restrict(t) => {
            head!(part, "RESTRICT", t.name());
            type_id(part, t.type_id().0);
        }
        Type::Typedef(t) => {
            head!(part, "TYPEDEF", t.name());
            type_id(part, t.type_id().0);
        }
        Type::TypeTag(t) => {
            head!(part, "TYPE_TAG", t.name());
            type_id(part, t.type_id().0);
        }
        Type::Array(t) => {
            head!(part, "ARRAY", t.name());
            type_id(part, t.elem_type().0);
            part.piece(",\"index_type_id\":");
            part.uint(t.index_type().0);
            part.piece(",\"nr_elems\":");
            part.uint(t.len());
        }
        Type::Struct(t) => {
            head!(part, "STRUCT", t.name());
            members(part, t, full)?;
        }
        Type::Union(t) => {
            head!(part, "UNION", t.name());
            members(part, t, full)?;
        }
        Type::Enum(t) => {
            head!(part, "ENUM", t.name());
            values(part, t, t.is_signed(), t.enumerators(), full)?;
        }
        Type::Enum64(t) => {
            head!(part, "ENUM64", t.name());
            values(part, t, t.is_signed(), t.enumerators(), full)?;
        }
        Type::Fwd(t) => {
            head!(part, "FWD", t.name());
            part.piece(",\"fwd_kind\":");
            word(part, label::fwd_kind(t.is_union()));
        }
        Type::Func(t) => {
            head!(part, "FUNC", t.name());
            type_id(part, t.proto().0);
            part.piece(",\"linkage\":");
            word(part, label::linkage(t.linkage()));
        }
        Type::FuncProto(t) => {
            head!(part, "FUNC_PROTO", t.name());
            part.piece(",\"ret_type_id\":");
            part.uint(t.return_type().0);
            part.piece(",\"vlen\":");
            part.uint(t.vlen());
            part.piece(",\"params\":[");
            for param in t.params() {
                part.settle(LIMIT, full)?;
                element(part, param.name);
                type_id(part, param.type_id.0);
                part.piece("},");
            }
            part.close_array();
        }
        Type::Var(t) => {
            head!(part, "VAR", t.name());
            type_id(part, t.type_id().0);
            part.piece(",\"linkage\":");
            word(part, label::linkage(t.linkage()));
        }
        Type::Datasec(t) => {
            head!(part, "DATASEC", t.name());
            size_and_vlen(part, t.size(), t.vlen());
            part.piece(",\"vars\":[");
            for var in t.vars() {
                part.settle(LIMIT, full)?;
                part.piece("{\"type_id\":");
                part.uint(var.type_id.0);
                part.piece(",\"offset\":");
                part.uint(var.offset);
                part.piece(",\"size\":");
                part.uint(var.size);
                part.piece("},");
            }
            part.close_array();
        }
        Type::Float(t) => {
            head!(part, "FLOAT", t.name());
            part.piece(",\"size\":");
            part.uint(t.size());
        }
        Type::DeclTag(t) => {
            head!(part, "DECL_TAG", t.name());
            type_id(part, t.type_id().0);
            part.piece(",\"component_idx\":");
            part.wide(t.component_idx().into());
        }
        Type::Unknown(t) => {
            part.piece(",\"kind\":\"UNKNOWN\",\"kind_nr\":");
            part.uint(ty.kind().raw().into());
            part.piece(",\"name\":");
            part.string(t.name().label());
            part.piece(",\"vlen\":");
            part.uint(t.vlen());
            part.piece(",\"size_or_type\":");
            part.uint(t.size_or_type());
        }
        // void, and what a newer version of the library may know
        _ => {
            part.piece(",\"kind\":");
            word(part, ty.kind().name());
            part.piece(",\"name\":");
            part.string(ty.label());
        }
    }
    part.piece("}");
    Ok(())
}

#[inline]
fn type_id(part: &mut Part<'_>, id: u32) {
    part.piece(",\"type_id\":");
    part.uint(id);
}

#[inline]
fn size_and_vlen(part: &mut Part<'_>, size: u32, vlen: u32) {
    part.piece(",\"size\":");
    part.uint(size);
    part.piece(",\"vlen\":");
    part.uint(vlen);
}

#[inline]
fn word(part: &mut Part<'_>, word: &str) {
    part.string(word.as_bytes());
}

/// Begins an element that has a name.
#[inline]
fn element(part: &mut Part<'_>, name: Name<'_>) {
    part.piece("{\"name\":");
    part.string(name.label());
}

#[inline]
fn members(
    part: &mut Part<'_>,
    composite: &Composite<'_>,
    full: &mut Full<'_>,
) -> Result<(), Stop> {
    size_and_vlen(part, composite.size(), composite.vlen());
    part.piece(",\"members\":[");
    for member in composite.members() {
        part.settle(LIMIT, full)?;
        element(part, member.name);
        type_id(part, member.type_id.0);
        part.piece(",\"bits_offset\":");
        part.uint(member.bit_offset);
        if member.bitfield_size != 0 {
            part.piece(",\"bitfield_size\":");
            part.uint(member.bitfield_size);
        }
        part.piece("},");
    }
    part.close_array();
    Ok(())
}

#[inline]
fn values<'a>(
    part: &mut Part<'_>,
    record: &Record<'a>,
    signed: bool,
    enumerators: impl Iterator<Item = Enumerator<'a>>,
    full: &mut Full<'_>,
) -> Result<(), Stop> {
    part.piece(",\"encoding\":");
    word(part, label::enum_encoding(signed));
    size_and_vlen(part, record.size_or_type(), record.vlen());
    part.piece(",\"values\":[");
    for enumerator in enumerators {
        part.settle(LIMIT, full)?;
        element(part, enumerator.name);
        part.piece(",\"val\":");
        part.wide(enumerator.value);
        part.piece("},");
    }
    part.close_array();
    Ok(())
}
