//! Values of struct_ops maps as C structs: what can be set before the map is made.

use super::text::Text;
use crate::skeleton::SkeletonError;
use crate::skeleton::names::{Language, Scope};
use crate::skeleton::shape::{MapShape, Shape};
use btf::c_dump::{Declarations, Declarator};
use btf::{Btf, Type, TypeId};

/// Declares the member `struct_ops`, if there is anything to put into it.
pub(super) fn shadows(text: &mut Text, shape: &Shape<'_>, name: &str) -> Result<(), SkeletonError> {
    let Some(btf) = shape.btf else {
        return Ok(());
    };
    let mut types = Declarations::new(btf);
    let mut any = false;
    for (map, ops) in shape.struct_ops() {
        if !any {
            text.plain("\tstruct {\n");
            any = true;
        }
        let mut scope = Scope::new(Language::C);
        let type_name = scope.add(&ops.type_name);
        text.line(&[
            "\t\tstruct ",
            name,
            "__",
            &map.ident,
            "__",
            &type_name,
            " {",
        ]);
        members(text, &mut types, btf, map, ops.type_id)?;
        text.line(&["\t\t} *", &map.ident, ";"]);
    }
    if any {
        text.plain("\t} struct_ops;\n");
    }
    Ok(())
}

/// Points the member to the values.
pub(super) fn set(text: &mut Text, shape: &Shape<'_>) {
    if shape.btf.is_none() {
        return;
    }
    for (map, _) in shape.struct_ops() {
        text.put(
            "\tskel->struct_ops.@ = (__typeof__(skel->struct_ops.@))\n\
             \t\tbpf_map__initial_value(skel->maps.@, NULL);\n",
            &map.ident,
        );
    }
}

fn members(
    text: &mut Text,
    types: &mut Declarations<'_>,
    btf: &Btf<'_>,
    map: &MapShape<'_>,
    type_id: TypeId,
) -> Result<(), SkeletonError> {
    let of_type = |source| SkeletonError::StructOps {
        map: map.map.symbol.clone(),
        source,
    };
    let (id, ty) = btf.resolve(type_id).map_err(of_type)?;
    let (Type::Struct(of) | Type::Union(of)) = ty else {
        return Ok(());
    };
    let mut scope = Scope::new(Language::C);
    let mut end = 0u64;
    for (number, member) in (0u32..).zip(of.members()) {
        let wrong = |source| SkeletonError::Member {
            map: map.map.symbol.clone(),
            member: number,
            source,
        };
        let at = u64::from(member.bit_offset / 8);
        // Bit fields are left to the gap in front of what follows them, and what begins inside
        // of another member to that.
        if member.bitfield_size != 0 || at < end {
            continue;
        }
        if end < at {
            text.plain(&format!("\t\t\tchar __padding_{number}[{}];\n", at - end));
        }
        let (id, ty) = btf.resolve(member.type_id).map_err(wrong)?;
        let size = btf.size_of(id).map_err(wrong)?;
        let name = String::from_utf8_lossy(member.name.or_empty());
        match ty {
            Type::Int(_) | Type::Float(_) | Type::Enum(_) | Type::Enum64(_) => {
                let ident = scope.add(&name);
                let how = Declarator {
                    name: ident.as_bytes(),
                    indent: 3,
                    strip_modifiers: false,
                };
                let mut out = Vec::new();
                types.write_declarator(&mut out, id, how).map_err(wrong)?;
                text.line(&["\t\t\t", &String::from_utf8_lossy(&out), ";"]);
            }
            Type::Ptr(to) if is_function(btf, to.type_id()) => {
                text.line(&["\t\t\tstruct bpf_program *", &scope.add(&name), ";"]);
            }
            _ => text.plain(&format!("\t\t\tchar __unsupported_{number}[{size}];\n")),
        }
        end = at.saturating_add(size);
    }
    let size = btf.size_of(id).map_err(of_type)?;
    if end < size {
        text.plain(&format!("\t\t\tchar __padding_end[{}];\n", size - end));
    }
    Ok(())
}

fn is_function(btf: &Btf<'_>, id: TypeId) -> bool {
    matches!(btf.resolve(id), Ok((_, Type::FuncProto(_))))
}
