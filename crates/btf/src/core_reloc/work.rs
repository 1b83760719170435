//! A bound on what one relocation may cost.

use super::CoreError;
use crate::types::Type;
use crate::{Btf, BtfError, TypeId};

/// Members, names and references looked at for one relocation. The largest struct of a kernel
/// takes some ten thousand.
const STEPS: u32 = 1 << 20;
/// References in a row.
const CHAIN: u32 = 1024;

/// Whose types are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Local,
    Target,
}

impl Side {
    pub(super) const fn error(self, error: BtfError) -> CoreError {
        match self {
            Self::Local => CoreError::Local(error),
            Self::Target => CoreError::Target(error),
        }
    }
}

/// What may still be looked at.
pub(super) struct Work(u32);

impl Work {
    pub(super) const fn new() -> Self {
        Self(STEPS)
    }

    /// Takes a step for looking at `id`.
    #[inline]
    pub(super) fn step(&mut self, id: TypeId) -> Result<(), CoreError> {
        self.steps(1, id)
    }

    #[inline]
    pub(super) fn steps(&mut self, steps: u32, id: TypeId) -> Result<(), CoreError> {
        match self.0.checked_sub(steps) {
            Some(left) => {
                self.0 = left;
                Ok(())
            }
            None => Err(CoreError::TooComplex { id }),
        }
    }

    /// The type without qualifiers, type tags and typedefs.
    pub(super) fn resolve<'b>(
        &mut self,
        btf: &'b Btf<'b>,
        first: TypeId,
        side: Side,
    ) -> Result<(TypeId, Type<'b>), CoreError> {
        let mut id = first;
        for _ in 0..CHAIN {
            self.step(id)?;
            let ty = btf.type_by_id(id).map_err(|e| side.error(e))?;
            match ty {
                Type::Typedef(r)
                | Type::Volatile(r)
                | Type::Const(r)
                | Type::Restrict(r)
                | Type::TypeTag(r) => id = r.type_id(),
                _ => return Ok((id, ty)),
            }
        }
        Err(side.error(BtfError::Cycle { id: first }))
    }
}
