//! Whether a type of the target has all that the local one has, down to members and
//! constants.

use super::compat::{Pair, Verdict};
use super::name;
use super::work::Work;
use super::{CoreError, Mismatch};
use crate::TypeId;
use crate::types::{Composite, Name, Type};

/// References followed on one level, and levels.
const DEPTH: u32 = 32;

impl<'b> Pair<'b> {
    /// Whether the target's type matches: names, sizes and signs of integers, lengths of
    /// arrays, local members and constants are all there; behind a pointer, only the names and
    /// kinds of structs count. The names of the types asked for are not compared when they are
    /// typedefs.
    pub(super) fn types_match(
        self,
        local: TypeId,
        target: TypeId,
        work: &mut Work,
    ) -> Result<Verdict, CoreError> {
        self.match_in(local, target, false, DEPTH, work)
    }

    fn match_in(
        self,
        mut local: TypeId,
        mut target: TypeId,
        mut behind_pointer: bool,
        level: u32,
        work: &mut Work,
    ) -> Result<Verdict, CoreError> {
        if level == 0 {
            return Err(CoreError::TooComplex { id: target });
        }
        for _ in 0..DEPTH {
            let ((l_id, l), (t_id, t)) = self.resolve(local, target, work)?;
            let verdict = |fit: bool| {
                let (local, target) = (l_id, t_id);
                (!fit).then_some(Mismatch::Types { local, target })
            };
            let names_fit = match (l.record(), t.record()) {
                (Some(l), Some(t)) => name::same(l.name(), t.name()),
                (Some(r), None) | (None, Some(r)) => r.name().is_empty(),
                (None, None) => true,
            };
            if !names_fit {
                return Ok(verdict(false));
            }
            match (l, t) {
                (Type::Void, Type::Void) => return Ok(None),
                (Type::Fwd(l), Type::Fwd(t)) => {
                    return Ok(verdict(l.is_union() == t.is_union()));
                }
                (Type::Fwd(l), Type::Struct(t) | Type::Union(t)) => {
                    return Ok(verdict(behind_pointer && l.is_union() == t.is_union()));
                }
                (Type::Struct(l) | Type::Union(l), Type::Fwd(t)) => {
                    return Ok(verdict(behind_pointer && l.is_union() == t.is_union()));
                }
                (Type::Struct(l) | Type::Union(l), Type::Struct(t) | Type::Union(t)) => {
                    if l.is_union() != t.is_union() {
                        return Ok(verdict(false));
                    }
                    if behind_pointer {
                        return Ok(None);
                    }
                    return self.members_match(&l, &t, level, work);
                }
                (Type::Enum(_) | Type::Enum64(_), Type::Enum(_) | Type::Enum64(_)) => {
                    return constants_match((l_id, l), (t_id, t), work);
                }
                (Type::Int(l), Type::Int(t)) => {
                    return Ok(verdict(
                        l.size() == t.size() && l.is_signed() == t.is_signed(),
                    ));
                }
                (Type::Ptr(l), Type::Ptr(t)) => {
                    behind_pointer = true;
                    (local, target) = (l.type_id(), t.type_id());
                }
                (Type::Array(l), Type::Array(t)) => {
                    if l.len() != t.len() {
                        return Ok(verdict(false));
                    }
                    (local, target) = (l.elem_type(), t.elem_type());
                }
                (Type::FuncProto(l), Type::FuncProto(t)) => {
                    if l.vlen() != t.vlen() {
                        return Ok(verdict(false));
                    }
                    for (l, t) in l.params().zip(t.params()) {
                        let verdict =
                            self.match_in(l.type_id, t.type_id, behind_pointer, level - 1, work)?;
                        if verdict.is_some() {
                            return Ok(verdict);
                        }
                    }
                    (local, target) = (l.return_type(), t.return_type());
                }
                _ => return Ok(verdict(false)),
            }
        }
        Err(CoreError::TooComplex { id: target })
    }

    /// Each local member has one of that name in the target that matches.
    fn members_match(
        self,
        local: &Composite<'b>,
        target: &Composite<'b>,
        level: u32,
        work: &mut Work,
    ) -> Result<Verdict, CoreError> {
        let missing = |index| Mismatch::Element {
            local: local.id(),
            target: target.id(),
            index,
        };
        if local.vlen() > target.vlen() {
            return Ok(Some(Mismatch::Types {
                local: local.id(),
                target: target.id(),
            }));
        }
        for (index, l) in (0..).zip(local.members()) {
            let mut verdict = Some(missing(index));
            let name = name::essential_name(name::bytes(l.name));
            for t in target.members() {
                if !same(name, t.name, target.id(), work)? {
                    continue;
                }
                verdict = self.match_in(l.type_id, t.type_id, false, level - 1, work)?;
                if verdict.is_none() {
                    break;
                }
            }
            if verdict.is_some() {
                return Ok(verdict);
            }
        }
        Ok(None)
    }
}

/// Sizes agree and the target has each local constant's name; values do not matter.
fn constants_match(
    (l_id, local): (TypeId, Type<'_>),
    (t_id, target): (TypeId, Type<'_>),
    work: &mut Work,
) -> Result<Verdict, CoreError> {
    fn parts<'a>(ty: Type<'a>) -> (u32, Vec<Name<'a>>) {
        match ty {
            Type::Enum(t) => (t.size(), t.enumerators().map(|e| e.name).collect()),
            Type::Enum64(t) => (t.size(), t.enumerators().map(|e| e.name).collect()),
            _ => (0, Vec::new()),
        }
    }
    let ((l_size, l_names), (t_size, t_names)) = (parts(local), parts(target));
    if l_size != t_size || l_names.len() > t_names.len() {
        return Ok(Some(Mismatch::Types {
            local: l_id,
            target: t_id,
        }));
    }
    for (index, l) in (0..).zip(l_names) {
        let mut found = false;
        let name = name::essential_name(name::bytes(l));
        for t in &t_names {
            if same(name, *t, t_id, work)? {
                found = true;
                break;
            }
        }
        if !found {
            return Ok(Some(Mismatch::Element {
                local: l_id,
                target: t_id,
                index,
            }));
        }
    }
    Ok(None)
}

/// Whether `target` without flavour is `local`, which has none; paid for by the byte.
fn same(local: &[u8], target: Name<'_>, id: TypeId, work: &mut Work) -> Result<bool, CoreError> {
    work.steps(1 + u32::try_from(local.len() / 64).unwrap_or(u32::MAX), id)?;
    Ok(if local.is_empty() {
        target.is_empty()
    } else {
        name::is_essential(target, local)
    })
}
