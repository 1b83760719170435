//! A local path in a type of the target.

use super::compat::Pair;
use super::name;
use super::spec::{Accessor, Spec};
use super::work::{Side, Work};
use super::{CoreError, Mismatch};
use crate::TypeId;
use crate::ext::RelocKind;
use crate::types::{Member, Name, Type};

/// The path there, or why there is none.
pub(super) type Located<'b> = Result<Spec<'b>, Mismatch>;

/// What looking for a member came to.
enum Search {
    /// The type that the member has.
    Found(TypeId),
    Absent,
    Unfit(Mismatch),
}

impl<'b> Pair<'b> {
    /// The path of `local` in the type `target` of the target.
    pub(super) fn locate(
        self,
        kind: RelocKind,
        local: &Spec<'b>,
        target: TypeId,
        work: &mut Work,
    ) -> Result<Located<'b>, CoreError> {
        let spec = Spec::new(target);
        if kind.is_type() {
            let verdict = if kind == RelocKind::TypeMatches {
                self.types_match(local.root, target, work)?
            } else {
                self.types_fit(local.root, target, work)?
            };
            return Ok(match verdict {
                None => Ok(spec),
                Some(mismatch) => Err(mismatch),
            });
        }
        if kind.is_enumval() {
            return self.locate_constant(local, spec, work);
        }
        self.locate_field(local, spec, work)
    }

    /// The constant of the same name.
    fn locate_constant(
        self,
        local: &Spec<'b>,
        mut spec: Spec<'b>,
        work: &mut Work,
    ) -> Result<Located<'b>, CoreError> {
        let (id, ty) = work.resolve(self.target, spec.root, Side::Target)?;
        let Some(wanted) = local.accessors.first().and_then(|a| a.name) else {
            return Err(CoreError::UnknownKind { kind: 0 });
        };
        let wanted = name::essential_name(name::bytes(wanted));
        let mut is_it = |name: Name<'b>| -> Result<bool, CoreError> {
            work.step(id)?;
            Ok(if wanted.is_empty() {
                name.is_empty()
            } else {
                name::is_essential(name, wanted)
            })
        };
        let mut found = None;
        match ty {
            Type::Enum(t) => {
                for (index, e) in (0..).zip(t.enumerators()) {
                    if is_it(e.name)? {
                        found = Some((index, e.name));
                        break;
                    }
                }
            }
            Type::Enum64(t) => {
                for (index, e) in (0..).zip(t.enumerators()) {
                    if is_it(e.name)? {
                        found = Some((index, e.name));
                        break;
                    }
                }
            }
            _ => return Ok(Err(Mismatch::NotEnum { target: id })),
        }
        Ok(match found {
            Some((index, name)) => {
                spec.push_raw(index)?;
                spec.accessors.push(Accessor {
                    type_id: id,
                    index,
                    name: Some(name),
                });
                Ok(spec)
            }
            None => Err(Mismatch::NoConstant { target: id }),
        })
    }

    /// The same members by name and elements by index.
    fn locate_field(
        self,
        local: &Spec<'b>,
        mut spec: Spec<'b>,
        work: &mut Work,
    ) -> Result<Located<'b>, CoreError> {
        let mut at = spec.root;
        for (step, accessor) in local.accessors.iter().enumerate() {
            if let Some(name) = accessor.name {
                let wanted = Wanted::new(self, accessor, name)?;
                let (within, ty) = work.resolve(self.target, at, Side::Target)?;
                if !matches!(ty, Type::Struct(_) | Type::Union(_)) {
                    return Ok(Err(Mismatch::NotComposite {
                        step,
                        target: within,
                    }));
                }
                at = match self.search(&wanted, step, within, &mut spec, work)? {
                    Search::Found(id) => id,
                    Search::Absent => {
                        return Ok(Err(Mismatch::NoMember {
                            step,
                            target: within,
                        }));
                    }
                    Search::Unfit(mismatch) => return Ok(Err(mismatch)),
                };
                continue;
            }
            // The first element is the root itself.
            let (id, ty) = work.resolve(self.target, at, Side::Target)?;
            at = id;
            if step > 0 {
                let Type::Array(array) = ty else {
                    return Ok(Err(Mismatch::NotArray { step, target: id }));
                };
                if accessor.index >= array.len() && !spec.is_flexible(self.target, &array) {
                    return Ok(Err(Mismatch::PastEnd {
                        step,
                        target: id,
                        index: accessor.index,
                    }));
                }
                (at, _) = work.resolve(self.target, array.elem_type(), Side::Target)?;
            }
            spec.push_raw(accessor.index)?;
            spec.accessors.push(Accessor {
                type_id: at,
                index: accessor.index,
                name: None,
            });
            let size = self.target.size_of(at).map_err(CoreError::Target)?;
            spec.advance(accessor.index, size)?;
        }
        Ok(Ok(spec))
    }

    /// The member of that name, also in anonymous structs and unions; the first one decides.
    /// `within` is a struct or union; recursion ends because paths do.
    fn search(
        self,
        wanted: &Wanted<'b>,
        step: usize,
        within: TypeId,
        spec: &mut Spec<'b>,
        work: &mut Work,
    ) -> Result<Search, CoreError> {
        let (Type::Struct(composite) | Type::Union(composite)) =
            self.target.type_by_id(within).map_err(CoreError::Target)?
        else {
            return Ok(Search::Absent);
        };
        let before = spec.bit_offset;
        for (index, member) in (0..).zip(composite.members()) {
            work.step(within)?;
            if member.name.is(wanted.name) {
                spec.push_raw(index)?;
                spec.add_bits(member.bit_offset.into())?;
                let verdict = self.fields_fit(wanted.type_id, member.type_id, work)?;
                if verdict.is_some() {
                    return Ok(Search::Unfit(Mismatch::Field {
                        step,
                        local: wanted.type_id,
                        target: member.type_id,
                    }));
                }
                spec.accessors.push(Accessor {
                    type_id: within,
                    index,
                    name: Some(member.name),
                });
                return Ok(Search::Found(member.type_id));
            }
            if member.name.is_empty() {
                let (inner, ty) = work.resolve(self.target, member.type_id, Side::Target)?;
                if !matches!(ty, Type::Struct(_) | Type::Union(_)) {
                    continue;
                }
                spec.push_raw(index)?;
                spec.add_bits(member.bit_offset.into())?;
                match self.search(wanted, step, inner, spec, work)? {
                    Search::Absent => {}
                    done => return Ok(done),
                }
                spec.raw.pop();
                spec.bit_offset = before;
            }
        }
        Ok(Search::Absent)
    }
}

/// A local member to look for.
struct Wanted<'b> {
    /// Not empty.
    name: &'b [u8],
    type_id: TypeId,
}

impl<'b> Wanted<'b> {
    fn new(pair: Pair<'b>, accessor: &Accessor<'b>, name: Name<'b>) -> Result<Self, CoreError> {
        let Member { type_id, .. } = member(pair.local, accessor, Side::Local)?;
        Ok(Self {
            name: name.or_empty(),
            type_id,
        })
    }
}

/// The member that an accessor of either side leads to.
pub(super) fn member<'b>(
    btf: &'b crate::Btf<'b>,
    accessor: &Accessor<'b>,
    side: Side,
) -> Result<Member<'b>, CoreError> {
    let id = accessor.type_id;
    let ty = btf.type_by_id(id).map_err(|e| side.error(e))?;
    let member = match ty {
        Type::Struct(t) | Type::Union(t) => t.members().nth(accessor.index as usize),
        _ => None,
    };
    member.ok_or_else(|| {
        side.error(crate::BtfError::NotComposite {
            id,
            kind: ty.kind(),
        })
    })
}
