//! The records of a blob under construction and of its bases, by id.

use crate::build::shape::{kind_of, len_of, shape};
use crate::build::{Builder, record};
use crate::{Btf, Kind};

/// All records.
#[derive(Debug)]
pub(super) struct Records<'w> {
    base: Builder<'static>,
    words: &'w [u32],
    starts: &'w [u32],
}

impl<'w> Records<'w> {
    pub(super) const fn new(base: Builder<'static>, words: &'w [u32], starts: &'w [u32]) -> Self {
        Self {
            base,
            words,
            starts,
        }
    }

    /// First own id.
    pub(super) fn first_own(&self) -> usize {
        self.base.len() + 1
    }

    /// One past the last id.
    pub(super) fn len(&self) -> usize {
        self.first_own() + self.starts.len()
    }

    /// The record of an id; empty for `void`.
    #[inline]
    pub(super) fn get(&self, id: usize) -> &[u32] {
        match id.checked_sub(self.first_own()) {
            Some(own) => record(self.words, self.starts, own),
            None if id == 0 => &[],
            None => self.base.record(id - 1),
        }
    }
}

/// The records of a base and of those below it.
pub(super) fn base_records(base: Option<&Btf<'_>>) -> Builder<'static> {
    let mut all = Builder::new(base.map_or(crate::Endian::NATIVE, Btf::endian));
    let mut chain: Vec<_> = core::iter::successors(base, |btf| btf.base()).collect();
    while let Some(btf) = chain.pop() {
        all.take_records(btf);
    }
    all
}

/// Numbers of types and words fit, or they could not have been added.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "as it says")]
pub(super) const fn offset(number: usize) -> u32 {
    number as u32
}

/// What a record is to its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// It has none that stands for it.
    Plain,
    /// It says what a struct, union or enumeration of that name is.
    Definition,
    /// It says that there is one.
    Forward,
}

/// The role of a record, and the kind of type that its name stands for.
#[inline]
pub(super) fn role(kind: Kind, record: &[u32]) -> (Role, Kind) {
    let (Some(name), Some(info)) = (record.first(), record.get(1)) else {
        return (Role::Plain, kind);
    };
    if *name == 0 {
        return (Role::Plain, kind);
    }
    match kind {
        Kind::Struct | Kind::Union => (Role::Definition, kind),
        Kind::Fwd if info >> 31 == 0 => (Role::Forward, Kind::Struct),
        Kind::Fwd => (Role::Forward, Kind::Union),
        Kind::Enum | Kind::Enum64 if len_of(record) == 0 => (Role::Forward, Kind::Enum),
        Kind::Enum | Kind::Enum64 => (Role::Definition, Kind::Enum),
        _ => (Role::Plain, kind),
    }
}

/// Whether two records say the same, where `same` compares their ids.
#[inline]
pub(super) fn equal(one: &[u32], other: &[u32], same: impl Fn(u32, u32) -> bool) -> bool {
    let kind = kind_of(one);
    let Some(shape) = shape(kind) else {
        return false;
    };
    // Each is itself: two variables of one name and type are two places.
    if one.len() != other.len() || matches!(kind, Kind::Var | Kind::Datasec) {
        return false;
    }
    let head = shape.head.min(one.len());
    let (one, one_elements) = one.split_at(head);
    let (other, other_elements) = other.split_at(head);
    let mut head = one.iter().zip(other).enumerate();
    if !head.all(|(at, (one, other))| {
        if shape.refs.contains(&at) {
            same(*one, *other)
        } else {
            one == other
        }
    }) {
        return false;
    }
    match (shape.each, shape.each_ref) {
        (3, Some(1)) => {
            let (one, other) = (one_elements.as_chunks().0, other_elements.as_chunks().0);
            one.iter()
                .zip(other)
                .all(|([name, id, place], [name2, id2, place2])| {
                    name == name2 && place == place2 && same(*id, *id2)
                })
        }
        (2, Some(1)) => {
            let (one, other) = (one_elements.as_chunks().0, other_elements.as_chunks().0);
            one.iter()
                .zip(other)
                .all(|([name, id], [name2, id2])| name == name2 && same(*id, *id2))
        }
        _ => one_elements == other_elements,
    }
}
