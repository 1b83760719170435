//! Questions that follow references: size, alignment, what is behind a typedef, members.
//!
//! Every walk ends: loops of references are found, recursion is bounded, sizes are checked.

use std::collections::HashMap;

use crate::types::{Member, Name, Type};
use crate::{Btf, BtfError, Kind, TypeId};

/// Structs inside structs; compilers stay far below.
const MAX_NESTING: u32 = 64;
/// References in a row (typedefs, qualifiers, array dimensions).
const MAX_CHAIN: u32 = 1024;
/// Members that [`Btf::flatten`] returns at most.
const MAX_MEMBERS: u32 = 1 << 20;

/// Finds loops in a chain of ids by keeping one of them, later and later (Brent).
struct Chain {
    kept: TypeId,
    steps: u32,
    keep_at: u32,
}

impl Chain {
    const fn new(first: TypeId) -> Self {
        Self {
            kept: first,
            steps: 0,
            keep_at: 1,
        }
    }

    fn step(&mut self, to: TypeId) -> Result<(), BtfError> {
        if to == self.kept {
            return Err(BtfError::Cycle { id: to });
        }
        self.steps += 1;
        if self.steps > MAX_CHAIN {
            return Err(BtfError::TooDeep { id: to });
        }
        if self.steps == self.keep_at {
            self.kept = to;
            self.keep_at *= 2;
        }
        Ok(())
    }
}

/// A member of a struct, or of an anonymous struct or union inside it.
#[derive(Clone, Copy, Debug)]
pub struct FlatMember<'a> {
    /// The innermost struct or union that has the member.
    pub parent: TypeId,
    /// Name; empty for an unnamed bit field or scalar.
    pub name: Name<'a>,
    /// Type.
    pub type_id: TypeId,
    /// Bits from the start of the outermost struct.
    pub bit_offset: u64,
    /// As [`Member::bitfield_size`].
    pub bitfield_size: u32,
}

impl Btf<'_> {
    /// The type without qualifiers and type tags; typedefs stay.
    ///
    /// # Errors
    /// A reference to no type, or a loop of them.
    pub fn strip_modifiers(&self, id: impl Into<TypeId>) -> Result<(TypeId, Type<'_>), BtfError> {
        self.follow(id.into(), |ty| match ty {
            Type::Volatile(r) | Type::Const(r) | Type::Restrict(r) | Type::TypeTag(r) => {
                Some(r.type_id())
            }
            _ => None,
        })
    }

    /// The type without qualifiers, type tags and typedefs.
    ///
    /// # Errors
    /// A reference to no type, or a loop of them.
    pub fn resolve(&self, id: impl Into<TypeId>) -> Result<(TypeId, Type<'_>), BtfError> {
        self.follow(id.into(), |ty| match ty {
            Type::Var(_) => None,
            ty => ty.referenced(),
        })
    }

    #[inline]
    fn follow(
        &self,
        mut id: TypeId,
        next: impl Fn(Type<'_>) -> Option<TypeId>,
    ) -> Result<(TypeId, Type<'_>), BtfError> {
        let mut chain = Chain::new(id);
        loop {
            let ty = self.type_by_id(id)?;
            match next(ty) {
                None => return Ok((id, ty)),
                Some(to) => {
                    chain.step(to)?;
                    id = to;
                }
            }
        }
    }

    /// Bytes that a value of the type takes; for a variable, of its type.
    ///
    /// # Errors
    /// No size (`void`, functions, declared structs), references that lead nowhere or loop,
    /// an array beyond 64 bits.
    #[doc(alias = "btf__resolve_size")]
    pub fn size_of(&self, id: impl Into<TypeId>) -> Result<u64, BtfError> {
        let first = id.into();
        let mut id = first;
        let mut chain = Chain::new(id);
        let mut count = 1u64;
        loop {
            let ty = self.type_by_id(id)?;
            let size = match ty {
                Type::Int(t) => u64::from(t.size()),
                Type::Float(t) => u64::from(t.size()),
                Type::Enum(t) => u64::from(t.size()),
                Type::Enum64(t) => u64::from(t.size()),
                Type::Struct(t) | Type::Union(t) => u64::from(t.size()),
                Type::Datasec(t) => u64::from(t.size()),
                Type::Ptr(_) => u64::from(self.pointer_size()),
                Type::Array(array) => {
                    count = count
                        .checked_mul(u64::from(array.len()))
                        .ok_or(BtfError::SizeOverflow { id: first })?;
                    id = array.elem_type();
                    chain.step(id)?;
                    continue;
                }
                other => {
                    id = other.referenced().ok_or_else(|| BtfError::NoSize {
                        id,
                        kind: other.kind(),
                    })?;
                    chain.step(id)?;
                    continue;
                }
            };
            return size
                .checked_mul(count)
                .ok_or(BtfError::SizeOverflow { id: first });
        }
    }

    /// Alignment in bytes; 1 for a struct whose members are packed.
    ///
    /// # Errors
    /// As [`size_of`](Self::size_of), and structs that contain themselves.
    #[doc(alias = "btf__align_of")]
    pub fn align_of(&self, id: impl Into<TypeId>) -> Result<u32, BtfError> {
        self.align(id.into(), &mut HashMap::new(), 0)
    }

    /// `known` has the structs seen, 0 for those not finished.
    fn align(
        &self,
        mut id: TypeId,
        known: &mut HashMap<TypeId, u32>,
        depth: u32,
    ) -> Result<u32, BtfError> {
        let pointer = u32::from(self.pointer_size());
        let mut chain = Chain::new(id);
        loop {
            let ty = self.type_by_id(id)?;
            let scalar = |size: u32| Ok(size.clamp(1, pointer));
            id = match ty {
                Type::Int(t) => return scalar(t.size()),
                Type::Enum(t) => return scalar(t.size()),
                Type::Enum64(t) => return scalar(t.size()),
                Type::Float(t) => return scalar(t.size()),
                Type::Ptr(_) => return Ok(pointer),
                Type::Struct(t) | Type::Union(t) => {
                    match known.get(&id) {
                        Some(0) => return Err(BtfError::Cycle { id }),
                        Some(align) => return Ok(*align),
                        None if depth >= MAX_NESTING => return Err(BtfError::TooDeep { id }),
                        None => known.insert(id, 0),
                    };
                    let mut align = 1;
                    for member in t.members() {
                        let own = self.align(member.type_id, known, depth + 1)?;
                        align = align.max(own);
                        // Members off their alignment: the struct is packed.
                        if member.bitfield_size == 0
                            && u64::from(member.bit_offset) % (u64::from(own) * 8) != 0
                        {
                            align = 1;
                            break;
                        }
                    }
                    if t.size() % align != 0 {
                        align = 1;
                    }
                    known.insert(id, align);
                    return Ok(align);
                }
                Type::Array(array) => array.elem_type(),
                other => other.referenced().ok_or_else(|| BtfError::NoSize {
                    id,
                    kind: other.kind(),
                })?,
            };
            chain.step(id)?;
        }
    }

    /// All members of a struct or union, with those of anonymous structs and unions in their
    /// place.
    ///
    /// # Errors
    /// Another kind of type; references that lead nowhere or loop; more than 2^20 members.
    pub fn flatten(&self, id: impl Into<TypeId>) -> Result<Vec<FlatMember<'_>>, BtfError> {
        let (id, ty) = self.resolve(id)?;
        let (Type::Struct(top) | Type::Union(top)) = ty else {
            return Err(BtfError::NotComposite {
                id,
                kind: ty.kind(),
            });
        };
        let mut flat = Vec::new();
        let mut walked = 0;
        let mut stack = vec![(id, 0u64, top.members())];
        while let Some((parent, base, members)) = stack.last_mut() {
            let Some(member) = members.next() else {
                stack.pop();
                continue;
            };
            walked += 1;
            if walked > MAX_MEMBERS {
                return Err(BtfError::TooManyMembers {
                    id,
                    limit: MAX_MEMBERS,
                });
            }
            let Member {
                name,
                type_id,
                bit_offset,
                bitfield_size,
            } = member;
            let bit_offset = *base + u64::from(bit_offset);
            if name.is_empty() && bitfield_size == 0 {
                let (inner, ty) = self.resolve(type_id)?;
                if let Type::Struct(t) | Type::Union(t) = ty {
                    if stack.iter().any(|(open, ..)| *open == inner) {
                        return Err(BtfError::Cycle { id: inner });
                    }
                    if stack.len() >= MAX_NESTING as usize {
                        return Err(BtfError::TooDeep { id: inner });
                    }
                    stack.push((inner, bit_offset, t.members()));
                    continue;
                }
            }
            flat.push(FlatMember {
                parent: *parent,
                name,
                type_id,
                bit_offset,
                bitfield_size,
            });
        }
        Ok(flat)
    }

    /// The type's kind; `void` for id 0.
    ///
    /// # Errors
    /// [`BtfError::NoSuchType`].
    pub fn kind_of(&self, id: impl Into<TypeId>) -> Result<Kind, BtfError> {
        Ok(self.type_by_id(id)?.kind())
    }
}

#[cfg(test)]
mod tests;
