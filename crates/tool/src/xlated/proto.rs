//! The prototype of a function, spelled from BTF as bpftool spells it: types are written in
//! front of names without regard to C's declarators.

use btf::types::FuncProto;
use btf::{Btf, Type, TypeId};

use crate::render::escape::Text;

/// Types that nest deeper than this are not spelled: a chain that long is a cycle.
const DEPTH_MAX: u32 = 32;
/// bpftool's room for a prototype; a longer one is left out, there as here.
const LENGTH_MAX: usize = 1023;

/// The prototype of a `FUNC` type. `None` when it cannot be spelled.
#[must_use]
pub fn of_function(btf: &Btf<'_>, type_id: u32) -> Option<Text> {
    of_type(btf, TypeId::from(type_id)).filter(|text| !text.0.is_empty())
}

/// Any type, spelled in the same way. `None` when it cannot be.
#[must_use]
pub fn of_type(btf: &Btf<'_>, id: TypeId) -> Option<Text> {
    let mut out = Vec::new();
    spell(btf, id, &mut out, 0)?;
    Some(Text(out))
}

fn spell(btf: &Btf<'_>, id: TypeId, out: &mut Vec<u8>, depth: u32) -> Option<()> {
    if depth > DEPTH_MAX || out.len() > LENGTH_MAX {
        return None;
    }
    let ty = btf.type_by_id(id).ok()?;
    let words: &[&[u8]] = match &ty {
        Type::Void => &[b"void"],
        Type::Int(_) | Type::Typedef(_) | Type::Float(_) => &[ty.name()],
        Type::Struct(_) => &[b"struct", ty.name()],
        Type::Union(_) => &[b"union", ty.name()],
        Type::Enum(_) | Type::Enum64(_) => &[b"enum", ty.name()],
        Type::Fwd(fwd) if fwd.is_union() => &[b"union", ty.name()],
        Type::Fwd(_) => &[b"struct", ty.name()],
        Type::Volatile(_) => &[b"volatile"],
        Type::Const(_) => &[b"const"],
        Type::Restrict(_) => &[b"restrict"],
        _ => &[],
    };
    for word in words {
        out.extend_from_slice(word);
        out.push(b' ');
    }
    let depth = depth + 1;
    match &ty {
        Type::Volatile(inner) | Type::Const(inner) | Type::Restrict(inner) => {
            spell(btf, inner.type_id(), out, depth)?;
        }
        // a tag is no part of the spelling
        Type::TypeTag(inner) => spell(btf, inner.type_id(), out, depth)?,
        Type::Ptr(inner) => {
            spell(btf, inner.type_id(), out, depth)?;
            out.extend_from_slice(b"* ");
        }
        Type::Array(array) => {
            spell(btf, array.elem_type(), out, depth)?;
            out.extend_from_slice(format!("[{}]", array.len()).as_bytes());
        }
        Type::FuncProto(proto) => function(btf, proto, b"", out, depth)?,
        Type::Func(func) => {
            let Ok(Type::FuncProto(proto)) = btf.type_by_id(func.proto()) else {
                return None;
            };
            function(btf, &proto, ty.name(), out, depth)?;
        }
        _ if words.is_empty() => return None,
        _ => {}
    }
    (out.len() <= LENGTH_MAX).then_some(())
}

fn function(
    btf: &Btf<'_>,
    proto: &FuncProto<'_>,
    name: &[u8],
    out: &mut Vec<u8>,
    depth: u32,
) -> Option<()> {
    spell(btf, proto.return_type(), out, depth)?;
    out.extend_from_slice(name);
    out.push(b'(');
    for (n, param) in proto.params().enumerate() {
        if n > 0 {
            out.extend_from_slice(b", ");
        }
        if param.type_id == TypeId::from(0) {
            out.extend_from_slice(b"...");
            continue;
        }
        spell(btf, param.type_id, out, depth)?;
        if param.name.is_empty() {
            if out.last() == Some(&b' ') {
                out.pop();
            }
        } else {
            out.extend_from_slice(param.name.or_empty());
        }
    }
    out.push(b')');
    Some(())
}
