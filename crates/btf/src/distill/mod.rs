//! Split BTF that says itself what it needs of its base: `.BTF.base`.
//!
//! Ids and string offsets of split BTF continue those of its base, so it is of use only with that
//! very base. A module that is to be loaded into later builds of a kernel brings a *distilled*
//! base with it: the few types of the base that it refers to, by name and size and with nothing
//! in them. [`distill_base`] makes both; [`relocate`] puts the split types on a whole base again,
//! where it finds each distilled type by its name.
//!
//! ```
//! use std::sync::Arc;
//! use btf::build::Builder;
//! use btf::{Btf, Endian, distill, encoding};
//!
//! let mut b = Builder::new(Endian::Little);
//! b.add_int(b"char", 1, encoding::SIGNED);
//! let int = b.add_int(b"int", 4, encoding::SIGNED);
//! let kernel = Btf::parse(b.finish()?)?;
//! let mut b = Builder::split(&kernel);
//! b.add_typedef(b"number", int);
//! let module = Btf::parse_split(b.finish()?, Arc::new(kernel))?;
//!
//! let parts = distill::distill_base(&module)?;
//! let base = Btf::parse(parts.base)?;
//! assert_eq!(base.len(), 2); // `void` and `int`
//! let module = Btf::parse_split(parts.split, Arc::new(base))?;
//!
//! let mut b = Builder::new(Endian::Little);
//! let int = b.add_int(b"int", 4, encoding::SIGNED);
//! let other = Btf::parse(b.finish()?)?;
//! let moved = distill::relocate(&module, &other)?;
//! let module = Btf::parse_split(moved.into_data(), Arc::new(other))?;
//! let (_, number) = module.types().next().expect("the typedef");
//! assert_eq!(number.referenced(), Some(int));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod error;
mod relocate;

pub use error::DistillError;
pub use relocate::{Relocated, relocate};

use std::collections::BTreeMap;

use crate::build::shape::shape;
use crate::build::{Builder, words};
use crate::types::Record;
use crate::{Btf, BtfError, Kind, TypeId};

/// Two blobs: what split types need of their base, and these types on that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Distilled {
    /// The distilled base, as in `.BTF.base`.
    pub base: Vec<u8>,
    /// The types split from it, as in `.BTF`: first the own ones in their order, then those of
    /// the base that are not found by a name.
    pub split: Vec<u8>,
}

/// Parts split types from their base.
///
/// Named structs, unions and enumerations go to the distilled base with their size alone, named
/// integers, floating-point types and declarations whole. All else that is referred to (pointers,
/// typedefs, arrays, types without name) goes to the split types.
///
/// # Errors
/// Types without base; references to what no type is made of, or to no type; defective bytes.
#[doc(alias = "btf__distill_base")]
pub fn distill_base(btf: &Btf<'_>) -> Result<Distilled, DistillError> {
    let old = btf.base().ok_or(DistillError::NoBase)?;
    let mut used = referred_to(btf)?;

    let mut base = Builder::new(btf.endian());
    for (id, new) in &mut used {
        let record = btf.record(TypeId(*id))?;
        if is_found_by_name(&record) {
            *new = match record.kind() {
                Kind::Int | Kind::Float | Kind::Fwd => {
                    base.copy_type(btf, record.id(), &mut |id| id)
                }
                _ => base.copy_outline(btf, record.id()),
            }?
            .0;
        }
    }
    let base = base.finish()?;
    let distilled = Btf::parse(&base)?;

    let mut split = Builder::split(&distilled);
    let first = distilled.len();
    let own = btf.ids().len();
    let others = used.values_mut().filter(|new| **new == 0);
    for (new, next) in others.zip(u64::from(first) + own as u64..) {
        *new = u32::try_from(next).map_err(|_error| BtfError::TypesFull)?;
    }
    let mut map = |id: TypeId| match used.get(&id.0) {
        Some(new) => TypeId(*new),
        // own: all of the base's are there
        None => TypeId(id.0 - old.len() + first),
    };
    let of_base = used.iter().filter(|(_, new)| **new >= first);
    let of_base = of_base.map(|(id, _)| TypeId(*id));
    for id in btf.ids().chain(of_base) {
        split.copy_type(btf, id, &mut map)?;
    }
    let split = split.finish()?;
    Ok(Distilled { base, split })
}

/// The types of the base that split types refer to, at whatever distance, but not through what is
/// found by name.
fn referred_to(btf: &Btf<'_>) -> Result<BTreeMap<u32, u32>, DistillError> {
    let mut used = BTreeMap::new();
    let mut found = Vec::new();
    let mut refs = |record: &Record<'_>, found: &mut Vec<TypeId>| {
        let kind = record.kind();
        let shape = shape(kind).ok_or(BtfError::UnknownReferences {
            id: record.id(),
            kind: kind.raw(),
        })?;
        let mut wrong = None;
        shape.refs(&words(record), |id| {
            if id >= btf.len() {
                wrong.get_or_insert(id);
            } else if id != 0 && id < btf.start_id() && used.insert(id, 0).is_none() {
                found.push(TypeId(id));
            }
        });
        let end = btf.len();
        match wrong {
            Some(id) => Err(BtfError::NoSuchType { id, end }),
            None => Ok(()),
        }
    };
    for own in btf.records() {
        let mut by = own.id();
        refs(&own, &mut found)?;
        while let Some(id) = found.pop() {
            let record = btf.record(id)?;
            let kind = record.kind();
            if !is_part_of_types(kind) {
                return Err(DistillError::Reference { by, id, kind });
            }
            if !is_found_by_name(&record) {
                by = id;
                refs(&record, &mut found)?;
            }
        }
    }
    Ok(used)
}

/// Whether a type goes to a distilled base.
fn is_found_by_name(record: &Record<'_>) -> bool {
    let kind = matches!(
        record.kind(),
        Kind::Int
            | Kind::Float
            | Kind::Fwd
            | Kind::Struct
            | Kind::Union
            | Kind::Enum
            | Kind::Enum64
    );
    kind && !record.name().is_empty()
}

/// Whether other types can refer to types of a kind.
const fn is_part_of_types(kind: Kind) -> bool {
    !matches!(
        kind,
        Kind::Void | Kind::Func | Kind::Var | Kind::Datasec | Kind::DeclTag | Kind::Unknown(_)
    )
}

#[cfg(test)]
mod tests;
