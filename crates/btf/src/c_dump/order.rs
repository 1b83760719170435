//! Which definitions come first.
//!
//! A definition needs those of the types that it contains, and of what is anonymous behind its
//! pointers: that is spelled out inside of it. Named structs behind pointers can wait.

use super::{Declarations, flag};
use crate::types::Type;
use crate::{BtfError, TypeId};

impl Declarations<'_> {
    /// Queues the definitions that a type needs, and its own. Whether it has to stand in front
    /// of what led to it; behind a pointer a named struct does not.
    ///
    /// A type that is in its place already counts as one that has to stand in front: typedefs
    /// behind pointers are then written early, which is what bpftool does.
    pub(super) fn order(
        &mut self,
        id: TypeId,
        behind_ptr: bool,
        depth: u32,
    ) -> Result<bool, BtfError> {
        if self.has(id, flag::ORDERED) {
            return Ok(true);
        }
        self.step_down(id, depth)?;
        let ty = self.btf.type_by_id(id)?;
        let named = ty.record().is_some_and(|r| r.name().offset() != 0);
        match ty {
            Type::Void => Ok(true),
            Type::Int(_) | Type::Float(_) => {
                self.set(id, flag::ORDERED);
                Ok(false)
            }
            Type::Ptr(t) => {
                let strong = self.order(t.type_id(), true, depth + 1)?;
                self.set(id, flag::ORDERED);
                Ok(strong)
            }
            Type::Array(t) => self.order(t.elem_type(), false, depth + 1),
            Type::Struct(t) | Type::Union(t) => {
                if behind_ptr && named {
                    return Ok(false);
                }
                if self.has(id, flag::ORDERING) {
                    return Err(BtfError::Cycle { id });
                }
                self.set(id, flag::ORDERING);
                for member in t.members() {
                    self.order(member.type_id, false, depth + 1)?;
                }
                if named {
                    self.queue.push(id);
                }
                self.set(id, flag::ORDERED);
                Ok(true)
            }
            Type::Enum(_) | Type::Enum64(_) | Type::Fwd(_) => {
                if named || !self.has(id, flag::REFERENCED) {
                    self.queue.push(id);
                }
                self.set(id, flag::ORDERED);
                Ok(true)
            }
            Type::Typedef(t) => {
                let strong = self.order(t.type_id(), behind_ptr, depth + 1)?;
                if behind_ptr && !strong {
                    return Ok(false);
                }
                self.queue.push(id);
                self.set(id, flag::ORDERED);
                Ok(true)
            }
            Type::Volatile(t) | Type::Const(t) | Type::Restrict(t) | Type::TypeTag(t) => {
                self.order(t.type_id(), behind_ptr, depth + 1)
            }
            Type::FuncProto(t) => {
                let mut strong = self.order(t.return_type(), behind_ptr, depth + 1)?;
                for param in t.params() {
                    strong |= self.order(param.type_id, behind_ptr, depth + 1)?;
                }
                Ok(strong)
            }
            Type::Func(_) | Type::Var(_) | Type::Datasec(_) | Type::DeclTag(_) => {
                self.set(id, flag::ORDERED);
                Ok(false)
            }
            Type::Unknown(t) => Err(BtfError::NoDeclaration { id, kind: t.kind() }),
        }
    }
}
