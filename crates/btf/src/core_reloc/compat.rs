//! When a type of the target may stand in for a local one.

use super::name;
use super::work::{Side, Work};
use super::{CoreError, Mismatch};
use crate::types::{Int, Record, Type};
use crate::{Btf, Kind, TypeId};

/// References followed on one level, and levels of parameters.
const DEPTH: u32 = 32;

/// The types of both sides.
#[derive(Clone, Copy)]
pub(super) struct Pair<'b> {
    pub(super) local: &'b Btf<'b>,
    pub(super) target: &'b Btf<'b>,
}

/// A type behind typedefs and qualifiers.
type Resolved<'b> = (TypeId, Type<'b>);

/// `None` when they fit, else the two types that do not.
pub(super) type Verdict = Option<Mismatch>;

/// Kinds that may stand in for each other.
pub(super) const fn kinds_fit(a: Kind, b: Kind) -> bool {
    a.raw() == b.raw() || is_enum(a) && is_enum(b)
}

const fn is_enum(kind: Kind) -> bool {
    matches!(kind, Kind::Enum | Kind::Enum64)
}

/// Integers that are a part of their storage only compilers of before 2018 made.
fn whole(a: &Int<'_>, b: &Int<'_>) -> bool {
    a.bit_offset() == 0 && b.bit_offset() == 0
}

impl<'b> Pair<'b> {
    pub(super) fn resolve(
        self,
        local: TypeId,
        target: TypeId,
        work: &mut Work,
    ) -> Result<(Resolved<'b>, Resolved<'b>), CoreError> {
        Ok((
            work.resolve(self.local, local, Side::Local)?,
            work.resolve(self.target, target, Side::Target)?,
        ))
    }

    /// Whether a field of the one type may be read as if it were of the other: kinds agree,
    /// sizes and signs do not matter, structs and unions are all alike, enumerations and
    /// declared types must not have different names.
    pub(super) fn fields_fit(
        self,
        local: TypeId,
        target: TypeId,
        work: &mut Work,
    ) -> Result<Verdict, CoreError> {
        let (mut local_id, mut target_id) = (local, target);
        loop {
            let ((l_id, l), (t_id, t)) = self.resolve(local_id, target_id, work)?;
            let fit = match (l, t) {
                (Type::Struct(_) | Type::Union(_), Type::Struct(_) | Type::Union(_))
                | (Type::Ptr(_), Type::Ptr(_))
                | (Type::Float(_), Type::Float(_)) => true,
                (Type::Fwd(_), Type::Fwd(_))
                | (Type::Enum(_) | Type::Enum64(_), Type::Enum(_) | Type::Enum64(_)) => {
                    names_fit(l.record(), t.record())
                }
                (Type::Int(l), Type::Int(t)) => whole(&l, &t),
                (Type::Array(l), Type::Array(t)) => {
                    (local_id, target_id) = (l.elem_type(), t.elem_type());
                    continue;
                }
                _ => false,
            };
            return Ok((!fit).then_some(Mismatch::Types {
                local: l_id,
                target: t_id,
            }));
        }
    }

    /// Whether the target's type is what the local one is, as far as questions about types
    /// go: names do not matter, nor what structs have in them.
    pub(super) fn types_fit(
        self,
        local: TypeId,
        target: TypeId,
        work: &mut Work,
    ) -> Result<Verdict, CoreError> {
        let kind = |btf: &Btf<'_>, id, side: Side| btf.kind_of(id).map_err(|e| side.error(e));
        let kinds = (
            kind(self.local, local, Side::Local)?,
            kind(self.target, target, Side::Target)?,
        );
        if !kinds_fit(kinds.0, kinds.1) {
            return Ok(Some(Mismatch::Types { local, target }));
        }
        self.types_fit_in(local, target, DEPTH, work)
    }

    fn types_fit_in(
        self,
        mut local: TypeId,
        mut target: TypeId,
        level: u32,
        work: &mut Work,
    ) -> Result<Verdict, CoreError> {
        for _ in 0..DEPTH {
            let ((l_id, l), (t_id, t)) = self.resolve(local, target, work)?;
            let mismatch = Some(Mismatch::Types {
                local: l_id,
                target: t_id,
            });
            match (l, t) {
                (Type::Void, Type::Void)
                | (Type::Struct(_), Type::Struct(_))
                | (Type::Union(_), Type::Union(_))
                | (Type::Fwd(_), Type::Fwd(_))
                | (Type::Enum(_) | Type::Enum64(_), Type::Enum(_) | Type::Enum64(_)) => {
                    return Ok(None);
                }
                (Type::Int(l), Type::Int(t)) => {
                    return Ok(if whole(&l, &t) { None } else { mismatch });
                }
                (Type::Ptr(l), Type::Ptr(t)) => (local, target) = (l.type_id(), t.type_id()),
                (Type::Array(l), Type::Array(t)) => {
                    (local, target) = (l.elem_type(), t.elem_type());
                }
                (Type::FuncProto(l), Type::FuncProto(t)) => {
                    if l.vlen() != t.vlen() {
                        return Ok(mismatch);
                    }
                    for (l, t) in l.params().zip(t.params()) {
                        let Some(level) = level.checked_sub(1) else {
                            return Err(CoreError::TooComplex { id: t_id });
                        };
                        let verdict = self.types_fit_in(l.type_id, t.type_id, level, work)?;
                        if verdict.is_some() {
                            return Ok(verdict);
                        }
                    }
                    (local, target) = (l.return_type(), t.return_type());
                }
                _ => return Ok(mismatch),
            }
        }
        Err(CoreError::TooComplex { id: target })
    }
}

/// The same names but for flavours, or no name on one side.
fn names_fit(local: Option<&Record<'_>>, target: Option<&Record<'_>>) -> bool {
    let bytes = |record: Option<&Record<'_>>| -> Vec<u8> {
        record.map_or_else(Vec::new, |r| {
            name::essential_name(name::bytes(r.name())).to_vec()
        })
    };
    let (local, target) = (bytes(local), bytes(target));
    local.is_empty() || target.is_empty() || local == target
}
