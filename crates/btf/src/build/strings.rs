//! The string pool: each string once, found by hash.

use crate::hash::Key;
use crate::raw::strings;
use crate::{Btf, BtfError};

/// Own strings of a blob under construction, after those of its base.
#[derive(Clone, Debug)]
pub(crate) struct Pool<'b> {
    base: Option<&'b Btf<'b>>,
    /// Offset of the first own string.
    start: u32,
    bytes: Vec<u8>,
    /// How many of the own bytes are in the table, and whether those of the base are.
    indexed: usize,
    base_indexed: bool,
    /// Whether no string can be there twice.
    unique: bool,
    table: Table,
}

impl<'b> Pool<'b> {
    /// An empty pool; the empty string is there, own or the base's.
    pub(crate) fn new(base: Option<&'b Btf<'b>>) -> Self {
        let bytes = if base.is_some() { Vec::new() } else { vec![0] };
        Self {
            unique: base.is_none(),
            ..Self::with_bytes(base, bytes)
        }
    }

    /// A pool that starts with a whole section.
    pub(crate) fn with_bytes(base: Option<&'b Btf<'b>>, bytes: Vec<u8>) -> Self {
        let end = base.map_or(0, Btf::strings_end);
        Self {
            base,
            // behind a base that leaves no offsets nothing can be added
            start: u32::try_from(end).unwrap_or(u32::MAX),
            bytes,
            indexed: 0,
            base_indexed: base.is_none(),
            unique: false,
            table: Table::default(),
        }
    }

    /// The own section.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether equal strings are at equal offsets.
    pub(crate) const fn is_unique(&self) -> bool {
        self.unique
    }

    /// Offset of the first own string.
    pub(crate) const fn start(&self) -> u32 {
        self.start
    }

    /// One past the last offset.
    pub(crate) fn end(&self) -> u64 {
        u64::from(self.start) + self.bytes.len() as u64
    }

    /// All bytes from an offset on, own or the base's.
    #[inline]
    pub(crate) fn tail(&self, offset: u32) -> Option<&[u8]> {
        tail(self.base, self.start, &self.bytes, offset)
    }

    /// The byte in front of an offset, in the same section.
    #[inline]
    pub(crate) fn before(&self, offset: u32) -> Option<u8> {
        if offset == self.start {
            return None;
        }
        self.tail(offset.checked_sub(1)?)?.first().copied()
    }

    /// The string at an offset.
    ///
    /// # Errors
    /// [`BtfError::NoSuchString`].
    #[inline]
    pub(crate) fn at(&self, offset: u32) -> Result<&[u8], BtfError> {
        let string = self.tail(offset).and_then(|tail| strings::at(tail, 0));
        string.ok_or_else(|| BtfError::NoSuchString {
            offset,
            end: self.end(),
        })
    }

    /// Offset of a string, which is added if it is not there yet.
    pub(crate) fn add(&mut self, name: &[u8]) -> Result<u32, BtfError> {
        if memchr::memchr(0, name).is_some() {
            return Err(BtfError::NameWithNul);
        }
        self.add_name(name)
    }

    /// The same for a string without NUL.
    pub(crate) fn add_name(&mut self, name: &[u8]) -> Result<u32, BtfError> {
        if name.is_empty() {
            return Ok(0);
        }
        self.index();
        let new = u32::try_from(self.end()).map_err(|_error| BtfError::StringsFull)?;
        if self.end() + name.len() as u64 >= u64::from(u32::MAX) {
            return Err(BtfError::StringsFull);
        }
        let (base, start, bytes) = (self.base, self.start, &self.bytes);
        let hash = self.table.hash(name);
        let found = self.table.find_or_add(hash, new, |offset| {
            tail(base, start, bytes, offset).is_some_and(|tail| strings::starts_as_name(tail, name))
        });
        if found == new {
            self.bytes.extend_from_slice(name);
            self.bytes.push(0);
            self.indexed = self.bytes.len();
        }
        Ok(found)
    }

    /// Adds a string that is known not to be there; for pools that were never asked.
    pub(crate) fn push(&mut self, name: &[u8]) -> u32 {
        let offset = u32::try_from(self.end()).unwrap_or(u32::MAX);
        self.bytes.extend_from_slice(name);
        self.bytes.push(0);
        offset
    }

    /// The offset that stands for all those of one string. Call [`index`](Self::index) first.
    ///
    /// # Errors
    /// [`BtfError::NoSuchString`].
    pub(crate) fn canonical(&mut self, offset: u32) -> Result<u32, BtfError> {
        let (base, start, bytes) = (self.base, self.start, &self.bytes);
        let here = tail(base, start, bytes, offset).and_then(|tail| strings::at(tail, 0));
        let Some(name) = here else {
            let end = self.end();
            return Err(BtfError::NoSuchString { offset, end });
        };
        if name.is_empty() {
            return Ok(0);
        }
        let hash = self.table.hash(name);
        Ok(self.table.find_or_add(hash, offset, |known| {
            tail(base, start, bytes, known).is_some_and(|tail| strings::starts_as_name(tail, name))
        }))
    }

    /// Puts the strings that are not in the table yet there, those of the base first.
    #[inline]
    pub(crate) fn index(&mut self) {
        if !self.base_indexed || self.indexed < self.bytes.len() {
            self.index_new();
        }
    }

    #[inline(never)]
    fn index_new(&mut self) {
        if !self.base_indexed {
            self.base_indexed = true;
            let chain: Vec<_> = core::iter::successors(self.base, |btf| btf.base()).collect();
            for btf in chain.into_iter().rev() {
                let end = btf.strings_end();
                self.index_range(btf.strings_start(), end);
            }
        }
        if self.indexed < self.bytes.len() {
            let from = u64::from(self.start) + self.indexed as u64;
            self.index_range(from, self.end());
            self.indexed = self.bytes.len();
        }
    }

    /// The same for the strings of one section.
    fn index_range(&mut self, from: u64, end: u64) {
        let (base, start, bytes) = (self.base, self.start, &self.bytes);
        let mut at = from;
        while at < end {
            // offsets of pools have 32 bits
            let Ok(offset) = u32::try_from(at) else { break };
            let here = tail(base, start, bytes, offset).and_then(|tail| strings::at(tail, 0));
            let Some(name) = here else { break };
            if !name.is_empty() {
                let hash = self.table.hash(name);
                self.table.find_or_add(hash, offset, |known| {
                    tail(base, start, bytes, known)
                        .is_some_and(|tail| strings::starts_as_name(tail, name))
                });
            }
            at += name.len() as u64 + 1;
        }
    }
}

/// Bounds the bytes of names that start inside another string: each may be nearly as long as
/// the section.
#[derive(Clone, Debug)]
pub(crate) struct Overlap {
    left: u64,
}

impl Overlap {
    /// Times the section that overlapping names may come to.
    const TIMES: u64 = 16;

    /// For names in so many bytes of strings.
    pub(crate) const fn new(section: usize) -> Self {
        Self {
            left: section as u64 * Self::TIMES,
        }
    }

    /// Counts the name at `offset`, when `before` is the byte in front of it.
    #[inline]
    pub(crate) fn count(
        &mut self,
        offset: u32,
        before: Option<u8>,
        name: &[u8],
    ) -> Result<(), BtfError> {
        if before.is_none_or(|byte| byte == 0) {
            return Ok(());
        }
        match self.left.checked_sub(name.len() as u64) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => Err(BtfError::NamesOverlap { offset }),
        }
    }
}

#[inline]
fn tail<'s>(base: Option<&'s Btf<'_>>, start: u32, own: &'s [u8], offset: u32) -> Option<&'s [u8]> {
    match offset.checked_sub(start) {
        Some(at) => own.get(at as usize..),
        None => base?.str_tail(offset),
    }
}

/// Open addressing; a slot has the hash and the offset plus one, so that growing needs no
/// string.
#[derive(Clone, Debug)]
struct Table {
    key: Key,
    slots: Vec<(u32, u32)>,
    used: usize,
}

impl Default for Table {
    fn default() -> Self {
        Self {
            key: Key::random(),
            slots: vec![(0, 0); 64],
            used: 0,
        }
    }
}

impl Table {
    #[inline]
    fn hash(&self, name: &[u8]) -> u32 {
        (self.key.bytes(name) >> 32) as u32
    }

    /// The offset with that hash for which `same` holds, else `new`, which is put there.
    #[inline]
    fn find_or_add(&mut self, hash: u32, new: u32, same: impl Fn(u32) -> bool) -> u32 {
        let mask = self.slots.len() - 1;
        let mut at = hash as usize & mask;
        while let Some(slot) = self.slots.get_mut(at) {
            if slot.1 == 0 {
                *slot = (hash, new + 1);
                break;
            }
            if slot.0 == hash && same(slot.1 - 1) {
                return slot.1 - 1;
            }
            at = (at + 1) & mask;
        }
        self.used += 1;
        if self.used * 8 > self.slots.len() * 5 {
            self.grow();
        }
        new
    }

    #[cold]
    fn grow(&mut self) {
        let size = self.slots.len() * 2;
        let old = core::mem::replace(&mut self.slots, vec![(0, 0); size]);
        for (hash, offset) in old.into_iter().filter(|(_, offset)| *offset != 0) {
            let mut at = hash as usize & (size - 1);
            while let Some(slot) = self.slots.get_mut(at) {
                if slot.1 == 0 {
                    *slot = (hash, offset);
                    break;
                }
                at = (at + 1) & (size - 1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn add_when_known_then_the_same_offset() {
        let mut pool = Pool::new(None);
        assert_eq!(pool.add(b""), Ok(0));
        assert_eq!(pool.add(b"int"), Ok(1));
        assert_eq!(pool.add(b"nt"), Ok(5));
        assert_eq!(pool.add(b"int"), Ok(1));
        assert_eq!(pool.add(b"a\0b"), Err(BtfError::NameWithNul));
        assert_eq!(pool.bytes(), b"\0int\0nt\0");
    }

    #[test]
    fn many_strings_are_each_there_once() {
        let mut pool = Pool::new(None);
        let offsets: Vec<_> = (0..5000)
            .map(|n| pool.add(format!("name{n}").as_bytes()).unwrap())
            .collect();
        let size = pool.bytes().len();
        for (n, offset) in offsets.iter().enumerate() {
            let name = format!("name{n}");
            assert_eq!(pool.add(name.as_bytes()), Ok(*offset));
            assert_eq!(pool.at(*offset), Ok(name.as_bytes()));
        }
        assert_eq!(pool.bytes().len(), size);
        assert!(pool.at(u32::MAX).is_err());
    }

    #[test]
    fn canonical_when_a_section_has_a_string_twice_then_the_first() {
        let mut pool = Pool::with_bytes(None, b"\0ab\0b\0ab\0".to_vec());
        pool.index();
        assert_eq!(pool.canonical(6), Ok(1));
        assert_eq!(pool.canonical(7), Ok(4));
        assert_eq!(pool.canonical(3), Ok(0));
        assert_eq!(pool.add(b"b"), Ok(4));
        assert!(pool.canonical(9).is_err());
    }
}
