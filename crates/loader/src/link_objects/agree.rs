//! Whether an external and its definition have one type.

use std::collections::HashSet;

use btf::types::Name;
use btf::{Btf, Kind, Type, TypeId};

use super::error::Mismatch;

/// Linkage of what only one object sees.
pub(super) const STATIC: u32 = 0;

/// Whether a variable or function is static; `None` for other types.
pub(super) fn is_static(ty: &Type<'_>) -> Option<bool> {
    match ty {
        Type::Var(var) => Some(var.linkage() == STATIC),
        Type::Func(func) => Some(func.linkage() == STATIC),
        _ => None,
    }
}

/// Pairs that are compared, for each type there is.
const PAIRS_PER_TYPE: usize = 16;

/// Two types to compare. Behind pointers only names count: of structs that are declared, or
/// defined otherwise.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Pair {
    found: TypeId,
    want: TypeId,
    exact: bool,
}

/// Compares a type with that of the same name in another object: all that a compiler relies on
/// must be equal, but for lengths of arrays, values of enumerations and names of parameters.
pub(super) fn agree<'b>(
    (found, found_id): (&'b Btf<'b>, TypeId),
    (want, want_id): (&'b Btf<'b>, TypeId),
) -> Result<(), Mismatch> {
    let first = Pair {
        found: found_id,
        want: want_id,
        exact: true,
    };
    // alike types come to about as many pairs as there are types
    let types = found.ids().len() + want.ids().len();
    let limit = types.saturating_mul(PAIRS_PER_TYPE);
    let mut seen = HashSet::new();
    let mut todo = vec![first];
    let mut more = Vec::new();
    while let Some(pair) = todo.pop() {
        let (found_id, found_type) = found.resolve(pair.found)?;
        let (want_id, want_type) = want.resolve(pair.want)?;
        let pair = Pair {
            found: found_id,
            want: want_id,
            exact: pair.exact,
        };
        if seen.insert(pair) {
            if seen.len() > limit {
                return Err(Mismatch::TooComplex(found_id));
            }
            compare(&found_type, &want_type, pair.exact, &mut more)?;
            // what comes first is compared first
            todo.extend(more.drain(..).rev());
        }
    }
    Ok(())
}

/// Compares two types themselves; pairs that they refer to are added to `more`.
fn compare(
    found: &Type<'_>,
    want: &Type<'_>,
    exact: bool,
    more: &mut Vec<Pair>,
) -> Result<(), Mismatch> {
    let mut also = |found, want, exact| more.push(Pair { found, want, exact });
    match (found, want) {
        (Type::Fwd(_), Type::Fwd(_)) => return same_names(found, want),
        (Type::Fwd(declared), _) if !exact => {
            same_names(found, want)?;
            return declares(found, declared.is_union(), want);
        }
        (_, Type::Fwd(declared)) if !exact => {
            same_names(found, want)?;
            return declares(want, declared.is_union(), found);
        }
        _ => {}
    }
    if found.kind() != want.kind() {
        return Err(Mismatch::Kind {
            found: found.kind(),
            want: want.kind(),
        });
    }
    match (found, want) {
        (Type::Void, Type::Void) => {}
        (Type::Int(one), Type::Int(other)) => same_size(found, one.size(), other.size())?,
        (Type::Float(one), Type::Float(other)) => same_size(found, one.size(), other.size())?,
        (Type::Enum(one), Type::Enum(other)) => {
            same_names(found, want)?;
            same_size(found, one.size(), other.size())?;
        }
        (Type::Enum64(one), Type::Enum64(other)) => {
            same_names(found, want)?;
            same_size(found, one.size(), other.size())?;
        }
        (Type::Ptr(one), Type::Ptr(other)) => also(one.type_id(), other.type_id(), false),
        (Type::Array(one), Type::Array(other)) => {
            also(one.elem_type(), other.elem_type(), exact);
        }
        (Type::Var(one), Type::Var(other)) => {
            same_names(found, want)?;
            same_linkage(found, want)?;
            also(one.type_id(), other.type_id(), exact);
        }
        (Type::Func(one), Type::Func(other)) => {
            same_names(found, want)?;
            same_linkage(found, want)?;
            also(one.proto(), other.proto(), exact);
        }
        (Type::FuncProto(one), Type::FuncProto(other)) => {
            same_count(found, "parameters", one.vlen(), other.vlen())?;
            for (one, other) in one.params().zip(other.params()) {
                also(one.type_id, other.type_id, exact);
            }
            also(one.return_type(), other.return_type(), exact);
        }
        (Type::Struct(one) | Type::Union(one), Type::Struct(other) | Type::Union(other)) => {
            same_names(found, want)?;
            if !exact {
                return Ok(());
            }
            same_count(found, "members", one.vlen(), other.vlen())?;
            for (index, (one, other)) in one.members().zip(other.members()).enumerate() {
                if one.name.or_empty() != other.name.or_empty() {
                    return Err(Mismatch::Member {
                        kind: found.kind(),
                        name: shown(found),
                        index,
                        found: one.name.to_text().into_owned(),
                        want: other.name.to_text().into_owned(),
                    });
                }
                let place =
                    |member: &btf::types::Member<'_>| (member.bit_offset, member.bitfield_size);
                if place(&one) != place(&other) {
                    return Err(Mismatch::Offset {
                        kind: found.kind(),
                        name: shown(found),
                        member: label(one.name),
                        found: one.bit_offset,
                        want: other.bit_offset,
                    });
                }
                also(one.type_id, other.type_id, exact);
            }
        }
        _ => return Err(Mismatch::Unsupported(found.kind())),
    }
    Ok(())
}

/// A type's name, fit for a terminal.
fn shown(ty: &Type<'_>) -> String {
    btf::escape(ty.label()).into_owned()
}

fn label(name: Name<'_>) -> String {
    btf::escape(name.label()).into_owned()
}

fn same_names(found: &Type<'_>, want: &Type<'_>) -> Result<(), Mismatch> {
    if found.name() == want.name() {
        return Ok(());
    }
    Err(Mismatch::Name {
        kind: found.kind(),
        found: shown(found),
        want: shown(want),
    })
}

/// Whether a declaration is one of a definition.
fn declares(declared: &Type<'_>, is_union: bool, defined: &Type<'_>) -> Result<(), Mismatch> {
    let kind = if is_union { Kind::Union } else { Kind::Struct };
    if defined.kind() == kind {
        return Ok(());
    }
    Err(Mismatch::Declared {
        name: shown(declared),
        declared: kind,
        defined: defined.kind(),
    })
}

fn same_size(of: &Type<'_>, found: u32, want: u32) -> Result<(), Mismatch> {
    if found == want {
        return Ok(());
    }
    Err(Mismatch::Size {
        kind: of.kind(),
        name: shown(of),
        found,
        want,
    })
}

fn same_linkage(found: &Type<'_>, want: &Type<'_>) -> Result<(), Mismatch> {
    if is_static(found) == is_static(want) {
        return Ok(());
    }
    Err(Mismatch::Linkage {
        kind: found.kind(),
        name: shown(found),
    })
}

fn same_count(of: &Type<'_>, what: &'static str, found: u32, want: u32) -> Result<(), Mismatch> {
    if found == want {
        return Ok(());
    }
    Err(Mismatch::Count {
        kind: of.kind(),
        name: shown(of),
        what,
        found,
        want,
    })
}
