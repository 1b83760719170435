//! Taking over what other blobs have.

use crate::raw::strings;
use crate::types::Record;
use crate::{Btf, BtfError, Endian, Kind, TypeId};

use super::encode::LayoutEntry;
use super::shape::{kind_of, shape};
use super::strings::Overlap;
use super::{Builder, Pool};

/// Where the types of a blob went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// First own id in the blob that was taken over.
    from: u32,
    /// The id it has now.
    to: u32,
}

impl Appended {
    /// The id that a type of the blob has now; `void` and types of a base keep theirs.
    #[inline]
    pub const fn map(self, id: TypeId) -> TypeId {
        if id.0 < self.from {
            id
        } else {
            TypeId((id.0 - self.from).saturating_add(self.to))
        }
    }
}

impl<'b> Builder<'b> {
    /// Starts with all that `btf` has, on the base it has. Finished without change it gives the
    /// same types, strings and layout entries, at the same ids and offsets; the same bytes,
    /// unless the sections of `btf` have gaps.
    ///
    /// # Errors
    /// A header with fields that are not known, and 4 GiB of strings.
    pub fn from_btf(btf: &'b Btf<'b>) -> Result<Self, BtfError> {
        Self::taken(btf, btf.base())
    }

    /// The same on another base, with names and ids as they were.
    pub(crate) fn taken(btf: &Btf<'_>, base: Option<&'b Btf<'b>>) -> Result<Self, BtfError> {
        if btf.has_unknown_header() {
            return Err(BtfError::UnknownHeader);
        }
        let start = base.map_or(0, Btf::strings_end);
        if start + btf.strings().len() as u64 > u64::from(u32::MAX) {
            return Err(BtfError::StringsFull);
        }
        let ids = u64::from(base.map_or(1, Btf::len)) + btf.ids().len() as u64;
        if ids >= u64::from(u32::MAX) {
            return Err(BtfError::TypesFull);
        }
        let endian = btf.endian();
        let pool = Pool::with_bytes(base, btf.strings().to_vec());
        let mut new = Self::with_pool(endian, base, pool);
        new.flags = btf.flags();
        new.long_header = btf.header_len() > crate::raw::header::OLD_LEN;
        let (layout, _) = btf.own_layout().as_chunks::<4>();
        new.layout = layout
            .iter()
            .map(|entry| LayoutEntry::read(endian, *entry))
            .collect();
        new.take_records(btf);
        Ok(new)
    }

    /// Adds the own types of `btf`, which may have the other byte order, with their strings.
    ///
    /// # Errors
    /// Split BTF of another base, names outside the strings, types of unknown kinds, no ids or
    /// string offsets left. Nothing was added then, but for strings.
    #[doc(alias = "btf__add_btf")]
    pub fn append(&mut self, btf: &Btf<'_>) -> Result<Appended, BtfError> {
        if btf.base().is_some() && !same_base(btf.base(), self.base) {
            return Err(BtfError::BaseMismatch);
        }
        let appended = Appended {
            from: btf.start_id(),
            to: self.next_id(),
        };
        let ids = u64::from(self.next_id()) + btf.ids().len() as u64;
        let bytes = self.words.len() as u64 * 4 + btf.data().len() as u64;
        if ids.max(bytes) >= u64::from(u32::MAX) {
            return Err(BtfError::TypesFull);
        }
        let (words, types) = (self.words.len(), self.starts.len());
        self.take_records(btf);
        let result = self.renumber(btf, appended, words, types);
        if result.is_err() {
            self.words.truncate(words);
            self.starts.truncate(types);
        }
        result.map(|()| appended)
    }

    /// Translates names and ids of the records from `word` on, number `first`, taken from `btf`.
    fn renumber(
        &mut self,
        btf: &Btf<'_>,
        appended: Appended,
        word: usize,
        first: usize,
    ) -> Result<(), BtfError> {
        let mut names = Names::new(btf);
        let mut start = word;
        let starts = self.starts.get(first..).unwrap_or_default();
        for (id, at) in (btf.start_id()..).zip(0..starts.len()) {
            let end = starts.get(at + 1);
            let end = end.map_or(self.words.len(), |end| *end as usize);
            let record = self.words.get_mut(start..end).unwrap_or_default();
            start = end;
            let kind = kind_of(record);
            let Some(shape) = shape(kind) else {
                return Err(BtfError::UnknownReferences {
                    id: TypeId(id),
                    kind: kind.raw(),
                });
            };
            shape.refs_mut(record, |id| *id = appended.map(TypeId(*id)).0);
            shape.names_mut(record, |name| {
                *name = names.translate(&mut self.pool, *name)?;
                Ok(())
            })?;
        }
        Ok(())
    }

    /// Adds one type of another blob, of either byte order: its references are those that `map`
    /// gives, `void` stays `void`.
    ///
    /// A record of an unknown kind is taken over with its words as they are, but for its name;
    /// the layout section then tells its size.
    ///
    /// # Errors
    /// `id` is no type of `from`, or `void`; names outside the strings.
    pub fn copy_type(
        &mut self,
        from: &Btf<'_>,
        id: TypeId,
        map: &mut dyn FnMut(TypeId) -> TypeId,
    ) -> Result<TypeId, BtfError> {
        let source = from.record(id)?;
        let mut words = words(&source);
        let mut name = |offset: &mut u32| -> Result<(), BtfError> {
            *offset = self.copy_name(from, *offset)?;
            Ok(())
        };
        match shape(source.kind()) {
            Some(shape) => {
                shape.names_mut(&mut words, name)?;
                shape.refs_mut(&mut words, |id| {
                    if *id != 0 {
                        *id = map(TypeId(*id)).0;
                    }
                });
            }
            None => {
                words.first_mut().map_or(Ok(()), &mut name)?;
                self.adopt_layout(from, source.kind())?;
            }
        }
        let new = self.open_raw();
        self.words.extend(words);
        Ok(new)
    }

    /// Adds a struct, union or enumeration of another blob, without what is in it; one with large
    /// values becomes an ordinary one of that size.
    ///
    /// # Errors
    /// `id` is no type of `from`; a name outside the strings.
    pub(crate) fn copy_outline(&mut self, from: &Btf<'_>, id: TypeId) -> Result<TypeId, BtfError> {
        let source = from.record(id)?;
        let name = self.copy_name(from, source.name().offset())?;
        let kind = match source.kind() {
            Kind::Enum64 => Kind::Enum,
            kind => kind,
        };
        let new = self.open_raw();
        let info = u32::from(kind.raw()) << 24;
        self.words.extend([name, info, source.size_or_type()]);
        Ok(new)
    }

    fn copy_name(&mut self, from: &Btf<'_>, offset: u32) -> Result<u32, BtfError> {
        if offset == 0 {
            return Ok(0);
        }
        let name = from.str_at(offset)?;
        self.overlap.count(offset, before(from, offset), name)?;
        self.pool.add_name(name)
    }

    fn adopt_layout(&mut self, from: &Btf<'_>, kind: Kind) -> Result<(), BtfError> {
        let at = usize::from(kind.raw()) * 4;
        let entry = from.layout().get(at..).and_then(<[u8]>::first_chunk);
        let entry = entry.ok_or(BtfError::LayoutConflict { kind: kind.raw() })?;
        self.add_layout_of(kind.raw(), LayoutEntry::read(from.endian(), *entry))
    }

    /// Adds the words of all own records of `btf` as they are.
    pub(crate) fn take_records(&mut self, btf: &Btf<'_>) {
        // offsets of words fit where offsets of bytes did, as long as it is one blob; the
        // caller has seen to it for more
        let types = btf.offsets();
        let (Some(first), Some(last)) = (types.first(), types.last()) else {
            return;
        };
        let base = self.words.len();
        #[expect(clippy::cast_possible_truncation, reason = "checked by the caller")]
        let starts = types
            .iter()
            .take(types.len() - 1)
            .map(|start| base as u32 + (*start - *first) / WORD);
        self.starts.extend(starts);
        let bytes = btf.data().get(*first as usize..*last as usize);
        let (chunks, _) = bytes.unwrap_or_default().as_chunks::<4>();
        put(&mut self.words, btf.endian(), chunks);
    }
}

/// Bytes of a word.
const WORD: u32 = 4;

fn put(words: &mut Vec<u32>, endian: Endian, chunks: &[[u8; 4]]) {
    match endian {
        Endian::Little => words.extend(chunks.iter().map(|b| u32::from_le_bytes(*b))),
        Endian::Big => words.extend(chunks.iter().map(|b| u32::from_be_bytes(*b))),
    }
}

/// The words of a record.
pub(crate) fn words(record: &Record<'_>) -> Vec<u32> {
    let (chunks, _) = record.raw().as_chunks::<4>();
    let mut words = Vec::with_capacity(chunks.len());
    put(&mut words, record.endian(), chunks);
    words
}

/// The byte in front of a string.
pub(crate) fn before(btf: &Btf<'_>, offset: u32) -> Option<u8> {
    btf.str_tail(offset.checked_sub(1)?)?.first().copied()
}

/// Whether ids and strings of two bases are the same.
fn same_base(one: Option<&Btf<'_>>, other: Option<&Btf<'_>>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => {
            (core::ptr::eq(one.data(), other.data()) || one.data() == other.data())
                && same_base(one.base(), other.base())
        }
        (None, None) => true,
        _ => false,
    }
}

/// Where the strings of one blob went, so that each is hashed once.
struct Names<'o> {
    btf: &'o Btf<'o>,
    overlap: Overlap,
    /// First offset of the own section.
    start: u32,
    /// By offset in the own section; 0 where it is not known yet.
    known: Vec<u32>,
}

impl<'o> Names<'o> {
    fn new(btf: &'o Btf<'o>) -> Self {
        Self {
            btf,
            overlap: Overlap::new(btf.strings().len()),
            // behind a base that leaves no offsets there is nothing
            start: u32::try_from(btf.strings_start()).unwrap_or(u32::MAX),
            known: vec![0; btf.strings().len()],
        }
    }

    #[inline]
    fn translate(&mut self, pool: &mut Pool<'_>, offset: u32) -> Result<u32, BtfError> {
        if offset == 0 {
            return Ok(0);
        }
        let own = offset.wrapping_sub(self.start) as usize;
        match self.known.get(own) {
            Some(known) if *known != 0 => Ok(*known),
            _ => self.learn(pool, offset),
        }
    }

    /// The same for a string that is not known yet.
    #[inline(never)]
    fn learn(&mut self, pool: &mut Pool<'_>, offset: u32) -> Result<u32, BtfError> {
        let own = offset.checked_sub(self.start).map(|own| own as usize);
        let strings = self.btf.strings();
        let (Some(own), Some(name)) = (own, own.and_then(|own| strings::at(strings, own))) else {
            // a string of the base, which is the same, or none
            return self.btf.str_at(offset).map(|_| offset);
        };
        let before = own.checked_sub(1).and_then(|at| strings.get(at));
        self.overlap.count(offset, before.copied(), name)?;
        let new = pool.add_name(name)?;
        if let Some(known) = self.known.get_mut(own) {
            *known = new;
        }
        Ok(new)
    }
}
