//! The records of a blob under construction and of its bases, by id.

use crate::build::shape::{kind_of, len_of};
use crate::build::{Builder, record};
use crate::{Btf, Kind};

/// All records.
#[derive(Debug)]
pub(super) struct Records<'w> {
    base: Builder<'static>,
    first_own: usize,
    words: &'w [u32],
    starts: &'w [u32],
}

impl<'w> Records<'w> {
    pub(super) const fn new(base: Builder<'static>, words: &'w [u32], starts: &'w [u32]) -> Self {
        Self {
            first_own: base.len() + 1,
            base,
            words,
            starts,
        }
    }

    /// First own id.
    pub(super) const fn first_own(&self) -> usize {
        self.first_own
    }

    /// One past the last id.
    pub(super) fn len(&self) -> usize {
        self.first_own() + self.starts.len()
    }

    fn of_base(&self, id: usize) -> &[u32] {
        id.checked_sub(1)
            .map_or(&[], |index| self.base.record(index))
    }

    /// The record of an id; empty for `void`.
    #[inline]
    pub(super) fn get(&self, id: usize) -> &[u32] {
        match id.checked_sub(self.first_own) {
            Some(own) => record(self.words, self.starts, own),
            None => self.of_base(id),
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
    let (Some(([name, info, word], rest)), Some(([name2, info2, word2], rest2))) =
        (one.split_first_chunk(), other.split_first_chunk())
    else {
        return false;
    };
    if (name, info, rest.len()) != (name2, info2, rest2.len()) {
        return false;
    }
    match kind_of(one) {
        Kind::Ptr
        | Kind::Typedef
        | Kind::Volatile
        | Kind::Const
        | Kind::Restrict
        | Kind::Func
        | Kind::TypeTag
        | Kind::DeclTag => same(*word, *word2) && rest == rest2,
        Kind::Struct | Kind::Union => {
            let mut members = rest.as_chunks().0.iter().zip(rest2.as_chunks().0);
            word == word2
                && members.all(|([name, id, place], [name2, id2, place2])| {
                    (name, place) == (name2, place2) && same(*id, *id2)
                })
        }
        Kind::FuncProto => {
            let mut params = rest.as_chunks().0.iter().zip(rest2.as_chunks().0);
            same(*word, *word2)
                && params.all(|([name, id], [name2, id2])| name == name2 && same(*id, *id2))
        }
        Kind::Array => match (rest, rest2) {
            ([element, index, len], [element2, index2, len2]) => {
                (word, len) == (word2, len2) && same(*element, *element2) && same(*index, *index2)
            }
            _ => false,
        },
        Kind::Int | Kind::Float | Kind::Fwd | Kind::Enum | Kind::Enum64 => {
            word == word2 && rest == rest2
        }
        // Each is itself: two variables of one name and type are two places.
        Kind::Var | Kind::Datasec | Kind::Void | Kind::Unknown(_) => false,
    }
}
