//! Names that do not conflict.
//!
//! C has one space of names for structs, unions and enumerations, and one for typedefs and
//! enumerators. BTF may have several types of a name: all but the first get a number.

use core::hash::{BuildHasher, Hasher};
use std::collections::HashMap;
use std::hash::RandomState;

use super::{Declarations, Writer, flag};
use crate::text::{number, push_name};
use crate::types::{Name, Record};
use crate::{BtfError, TypeId};

/// A name as it is to be written.
#[derive(Clone, Copy)]
pub(super) struct Label<'n> {
    /// Starts with the name, which ends at NUL or the end.
    tail: &'n [u8],
    /// Which of several, from 2 on; less for the only one or the first.
    nth: u32,
}

impl<'n> Label<'n> {
    pub(super) const fn plain(tail: &'n [u8]) -> Self {
        Self { tail, nth: 0 }
    }

    /// A name that is written as it is.
    pub(super) fn of(name: Name<'n>) -> Result<Self, BtfError> {
        match name.tail() {
            Some(tail) => Ok(Self::plain(tail)),
            // no name, or an error
            None => name.bytes().map(Self::plain),
        }
    }

    pub(super) fn is_empty(self) -> bool {
        matches!(self.tail.first(), None | Some(0))
    }

    pub(super) fn is(self, text: &str) -> bool {
        self.nth < 2 && crate::raw::strings::starts_as(self.tail, text.as_bytes())
    }
}

impl Writer<'_> {
    #[inline]
    pub(super) fn label(&mut self, label: Label<'_>) {
        push_name(&mut self.out, label.tail);
        if label.nth > 1 {
            self.text("___");
            self.number(label.nth);
        }
    }

    #[inline]
    pub(super) fn number(&mut self, value: u32) {
        number(&mut self.out, value);
    }
}

type Counts<'a> = HashMap<&'a [u8], u32, Keyed>;

/// How often names occurred.
#[derive(Default)]
pub(super) struct Names<'a> {
    tags: Counts<'a>,
    idents: Counts<'a>,
    /// The numbers of types that are not the first of their name.
    nth: HashMap<TypeId, u32>,
}

impl<'a> Declarations<'a> {
    /// Name of a struct, union or enumeration that is defined.
    pub(super) fn tag(&mut self, record: &Record<'a>) -> Result<Label<'a>, BtfError> {
        self.unique(record, |names| &mut names.tags)
    }

    /// Name of a typedef.
    pub(super) fn ident(&mut self, record: &Record<'a>) -> Result<Label<'a>, BtfError> {
        self.unique(record, |names| &mut names.idents)
    }

    /// Name of an enumerator that is being written.
    pub(super) fn enumerator(&mut self, name: Name<'a>) -> Result<Label<'a>, BtfError> {
        let nth = count(&mut self.names.idents, name.bytes()?);
        Ok(Label {
            nth,
            ..Label::of(name)?
        })
    }

    fn unique(
        &mut self,
        record: &Record<'a>,
        space: impl for<'n> Fn(&'n mut Names<'a>) -> &'n mut Counts<'a>,
    ) -> Result<Label<'a>, BtfError> {
        let (id, name) = (record.id(), record.name());
        let label = Label::of(name)?;
        if name.offset() == 0 {
            return Ok(label);
        }
        if self.has(id, flag::NAMED) {
            let nth = match self.has(id, flag::NUMBERED) {
                true => self.names.nth.get(&id).copied().unwrap_or_default(),
                false => 0,
            };
            return Ok(Label { nth, ..label });
        }
        self.set(id, flag::NAMED);
        let nth = count(space(&mut self.names), name.bytes()?);
        if nth > 1 {
            self.names.nth.insert(id, nth);
            self.set(id, flag::NUMBERED);
        }
        Ok(Label { nth, ..label })
    }
}

fn count<'a>(names: &mut Counts<'a>, name: &'a [u8]) -> u32 {
    let count = names.entry(name).or_default();
    *count = count.saturating_add(1);
    *count
}

/// Hashes short names quickly, with a key that whoever made the names cannot know.
struct Keyed([u64; 2]);

impl Default for Keyed {
    fn default() -> Self {
        let random = RandomState::new();
        Self([random.hash_one(0), random.hash_one(1) | 1])
    }
}

impl BuildHasher for Keyed {
    type Hasher = Folds;

    fn build_hasher(&self) -> Folds {
        let [state, key] = self.0;
        Folds { state, key }
    }
}

struct Folds {
    state: u64,
    key: u64,
}

impl Folds {
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "both halves are used")]
    fn fold(&mut self, word: u64) {
        let product = u128::from(self.state ^ word) * u128::from(self.key);
        self.state = product as u64 ^ (product >> 64) as u64;
    }
}

impl Hasher for Folds {
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.fold(u64::from_le_bytes(*word));
        }
        let mut last = [0; 8];
        for (to, from) in last.iter_mut().zip(rest) {
            *to = *from;
        }
        self.fold(u64::from_le_bytes(last));
    }

    #[inline]
    fn write_usize(&mut self, n: usize) {
        self.fold(n as u64);
    }

    fn finish(&self) -> u64 {
        self.state
    }
}
