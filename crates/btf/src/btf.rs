//! A blob, one offset per type, and the base that ids and strings continue from.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use crate::index::Names;
use crate::raw::cursor::Endian;
use crate::raw::header::Header;
use crate::raw::kind::{COMMON, COMPOSITE, PLAIN, SIZES, kind_bits, vlen};
use crate::raw::strings;
use crate::types::{Record, Type};
use crate::{BtfError, TypeId};

/// Parsed BTF: borrowed or owned bytes, 4 bytes per type beside them, 8 for structs, unions and
/// enumerations.
///
/// Parsing checks that every record lies inside the type section. Names and references
/// between types are checked when they are followed, so no answer is a panic, and every
/// walk ends.
pub struct Btf<'a> {
    data: Cow<'a, [u8]>,
    header: Header,
    /// Start of each own record in `data`, and the end of the last.
    offsets: Vec<u32>,
    /// Which of them are structs, unions and enumerations: what relocations look for.
    composites: Vec<u32>,
    start_id: u32,
    base: Option<Arc<Self>>,
    /// Length of all base strings.
    start_str: u64,
    names: Names,
    pointer_size: OnceLock<u8>,
}

impl<'a> Btf<'a> {
    /// Reads stand-alone BTF (vmlinux, or the `.BTF` section of an object) of either byte
    /// order.
    ///
    /// # Errors
    /// The first defect found in the header, the section bounds or the record sizes.
    pub fn parse(data: impl Into<Cow<'a, [u8]>>) -> Result<Self, BtfError> {
        Self::parse_with(data.into(), None)
    }

    /// Reads split BTF (a kernel module), whose ids and string offsets continue those of
    /// `base`.
    ///
    /// # Errors
    /// As [`Btf::parse`].
    pub fn parse_split(data: impl Into<Cow<'a, [u8]>>, base: Arc<Self>) -> Result<Self, BtfError> {
        Self::parse_with(data.into(), Some(base))
    }

    fn parse_with(data: Cow<'a, [u8]>, base: Option<Arc<Self>>) -> Result<Self, BtfError> {
        let header = Header::parse(&data)?;
        let strings = data.get(header.strings.clone()).unwrap_or_default();
        let offset = header.strings.start as u64;
        let may_be_empty = base.is_some();
        if strings.last() != Some(&0) && !(may_be_empty && strings.is_empty()) {
            return Err(BtfError::StringsTerminator { offset });
        }
        if base.is_none() && strings.first() != Some(&0) {
            return Err(BtfError::StringsFirst { offset });
        }
        let (start_id, start_str) = base
            .as_ref()
            .map_or((1, 0), |base| (base.len(), base.strings_end()));
        let own_layout = data.get(header.layout.clone()).unwrap_or_default();
        let base_layout = base.as_deref().map_or(&[][..], Btf::layout);
        let layout = if own_layout.is_empty() {
            base_layout
        } else {
            own_layout
        };
        let (offsets, composites) = scan(&data, &header, start_id, layout)?;
        Ok(Self {
            data,
            header,
            offsets,
            composites,
            start_id,
            base,
            start_str,
            names: Names::default(),
            pointer_size: OnceLock::new(),
        })
    }

    /// The blob.
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// Byte order of the blob, and of the values it describes.
    #[inline]
    pub const fn endian(&self) -> Endian {
        self.header.endian
    }

    /// The header's flags byte; no flag is defined so far.
    pub const fn flags(&self) -> u8 {
        self.header.flags
    }

    /// Whether the header is longer than this crate knows and says something there.
    pub const fn has_unknown_header(&self) -> bool {
        self.header.unknown_tail
    }

    /// Whether the blob says how large the records of each kind are (Linux 7.1).
    pub fn has_layout(&self) -> bool {
        !self.header.layout.is_empty()
    }

    /// The base that this is split from.
    pub fn base(&self) -> Option<&Self> {
        self.base.as_deref()
    }

    /// The same, to share.
    pub fn base_arc(&self) -> Option<&Arc<Self>> {
        self.base.as_ref()
    }

    /// First id of this blob's own types: 1, or the base's [`len`](Self::len).
    pub const fn start_id(&self) -> u32 {
        self.start_id
    }

    /// One past the last id; counts `void` and the base.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the scan stops before ids run out"
    )]
    pub const fn len(&self) -> u32 {
        self.start_id + (self.offsets.len() - 1) as u32
    }

    /// Whether the blob has no types of its own.
    pub const fn is_empty(&self) -> bool {
        self.offsets.len() <= 1
    }

    /// Ids of the blob's own types.
    pub fn ids(&self) -> impl DoubleEndedIterator<Item = TypeId> + ExactSizeIterator + use<> {
        (self.start_id..self.len()).map(TypeId)
    }

    /// The blob's own types in the order of their ids.
    pub fn types(&self) -> impl Iterator<Item = (TypeId, Type<'_>)> {
        self.records().map(|r| (r.id(), Type::from_record(r)))
    }

    /// The common part of each own record.
    pub(crate) fn records(&self) -> impl DoubleEndedIterator<Item = Record<'_>> {
        let ends = self.offsets.get(1..).unwrap_or_default();
        let ranges = self.offsets.iter().zip(ends);
        ranges.enumerate().filter_map(|(index, (start, end))| {
            let raw = self.data.get(*start as usize..*end as usize)?;
            #[expect(clippy::cast_possible_truncation, reason = "ids have 32 bits")]
            let id = TypeId(self.start_id + index as u32);
            Some(Record::new(self, id, raw))
        })
    }

    /// The type with this id, own or of the base.
    ///
    /// # Errors
    /// [`BtfError::NoSuchType`].
    #[inline]
    pub fn type_by_id(&self, id: impl Into<TypeId>) -> Result<Type<'_>, BtfError> {
        let id = id.into();
        if id.is_void() {
            return Ok(Type::Void);
        }
        self.record(id).map(Type::from_record)
    }

    /// The record of a type other than `void`.
    #[inline]
    pub(crate) fn record(&self, id: TypeId) -> Result<Record<'_>, BtfError> {
        let (btf, range) = self.locate(id)?;
        match btf.data.get(range) {
            Some(raw) => Ok(Record::new(btf, id, raw)),
            None => Err(self.no_such_type(id)),
        }
    }

    /// The blob that has the type, and where in it the record is.
    #[inline]
    fn locate(&self, id: TypeId) -> Result<(&Self, core::ops::Range<usize>), BtfError> {
        let mut btf = self;
        while id.0 < btf.start_id {
            match &btf.base {
                Some(base) => btf = base,
                None => return Err(self.no_such_type(id)),
            }
        }
        let index = (id.0 - btf.start_id) as usize;
        match btf.offsets.get(index..).and_then(<[u32]>::first_chunk) {
            Some([start, end]) => Ok((btf, *start as usize..*end as usize)),
            None => Err(self.no_such_type(id)),
        }
    }

    #[cold]
    const fn no_such_type(&self, id: TypeId) -> BtfError {
        BtfError::NoSuchType {
            id: id.0,
            end: self.len(),
        }
    }

    /// Where the record starts in the blob that has it.
    pub(crate) fn record_offset(&self, id: TypeId) -> u64 {
        self.locate(id).map_or(0, |(_, range)| range.start as u64)
    }

    /// The string at `offset`, counted from the first string of the outermost base.
    ///
    /// # Errors
    /// [`BtfError::NoSuchString`].
    #[inline]
    pub fn str_at(&self, offset: u32) -> Result<&[u8], BtfError> {
        match self.str_tail(offset).and_then(|tail| strings::at(tail, 0)) {
            Some(name) => Ok(name),
            None => Err(BtfError::NoSuchString {
                offset,
                end: self.strings_end(),
            }),
        }
    }

    /// The strings from `offset` on, to the end of the section that it is in.
    #[inline]
    pub(crate) fn str_tail(&self, offset: u32) -> Option<&[u8]> {
        let mut btf = self;
        while u64::from(offset) < btf.start_str {
            btf = btf.base.as_deref()?;
        }
        let own = usize::try_from(u64::from(offset) - btf.start_str).ok()?;
        btf.strings().get(own..)
    }

    /// The blob's own string section.
    #[inline]
    pub(crate) fn strings(&self) -> &[u8] {
        self.data
            .get(self.header.strings.clone())
            .unwrap_or_default()
    }

    /// First offset of the blob's own strings.
    pub(crate) const fn strings_start(&self) -> u64 {
        self.start_str
    }

    /// One past the last string offset.
    pub(crate) const fn strings_end(&self) -> u64 {
        self.start_str + (self.header.strings.end - self.header.strings.start) as u64
    }

    /// Bytes of the header.
    pub(crate) const fn header_len(&self) -> usize {
        self.header.len
    }

    /// The blob's own layout entries.
    pub(crate) fn own_layout(&self) -> &[u8] {
        self.data
            .get(self.header.layout.clone())
            .unwrap_or_default()
    }

    /// The layout entries, else the base's.
    pub(crate) fn layout(&self) -> &[u8] {
        let own = self.own_layout();
        match &self.base {
            Some(base) if own.is_empty() => base.layout(),
            _ => own,
        }
    }

    pub(crate) const fn names(&self) -> &Names {
        &self.names
    }

    /// Start of each own record, and the end of the last.
    pub(crate) fn offsets(&self) -> &[u32] {
        &self.offsets
    }

    /// Places in [`offsets`](Self::offsets) of structs, unions and enumerations, ascending.
    pub(crate) fn composites(&self) -> &[u32] {
        &self.composites
    }

    /// Bytes of a pointer: the size of `long` where there is one, else 8.
    pub fn pointer_size(&self) -> u8 {
        if let Some(base) = &self.base {
            return base.pointer_size();
        }
        *self.pointer_size.get_or_init(|| {
            let (_, size) = self.long_type().unwrap_or((TypeId::VOID, 8));
            size
        })
    }

    /// The type that tells the size of pointers.
    pub(crate) fn long_type(&self) -> Option<(TypeId, u8)> {
        const LONGS: [&[u8]; 8] = [
            b"long unsigned int",
            b"long int",
            b"unsigned long",
            b"long",
            b"unsigned long int",
            b"int long",
            b"int long unsigned",
            b"long unsigned",
        ];
        self.types().find_map(|(id, ty)| match ty {
            Type::Int(int) if LONGS.iter().any(|long| int.name().is(long)) => {
                let size = u8::try_from(int.size()).ok()?;
                matches!(size, 4 | 8).then_some((id, size))
            }
            _ => None,
        })
    }
}

impl core::fmt::Debug for Btf<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Btf")
            .field("bytes", &self.data.len())
            .field("endian", &self.endian())
            .field("ids", &(self.start_id..self.len()))
            .field("base", &self.base)
            .finish_non_exhaustive()
    }
}

/// The start of each record and the end of the last, and which have members or values.
type Scanned = (Vec<u32>, Vec<u32>);

/// Walks the type section once.
fn scan(data: &[u8], header: &Header, start_id: u32, layout: &[u8]) -> Result<Scanned, BtfError> {
    // The compiler makes a loop for each order, without a test per word.
    match header.endian {
        Endian::Little => scan_in(data, header, start_id, layout, u32::from_le_bytes),
        Endian::Big => scan_in(data, header, start_id, layout, u32::from_be_bytes),
    }
}

#[inline]
#[expect(
    clippy::cast_possible_truncation,
    reason = "the type section ends below 4 GiB"
)]
fn scan_in(
    data: &[u8],
    header: &Header,
    start_id: u32,
    layout: &[u8],
    word: impl Fn([u8; 4]) -> u32,
) -> Result<Scanned, BtfError> {
    let mut rest = data.get(header.types.clone()).unwrap_or_default();
    // Kernels and objects come to 24 to 28 bytes per type.
    let mut offsets = Vec::with_capacity(rest.len() / 24 + 2);
    // One of eight is large; those of small objects come to more.
    let mut composites = Vec::with_capacity(offsets.capacity() / 8);
    let max = (u32::MAX - start_id) as usize;
    let mut at = header.types.start as u32;
    while !rest.is_empty() {
        let offset = u64::from(at);
        let id = start_id.saturating_add(offsets.len() as u32);
        let have = rest.len() as u64;
        if offsets.len() >= max {
            return Err(BtfError::TooManyTypes { offset });
        }
        let Some([_, _, _, _, a, b, c, d, ..]) = rest.first_chunk::<COMMON>() else {
            return Err(BtfError::TypeTruncated {
                id,
                offset,
                need: COMMON as u64,
                have,
            });
        };
        let info = word([*a, *b, *c, *d]);
        let kind = kind_bits(info);
        if kind < 32 && PLAIN >> kind & 1 == 1 {
            // Most are. That they need no look at a table lets the processor go on before it
            // has read this one.
            offsets.push(at);
            rest = rest.get(COMMON..).unwrap_or_default();
            at += COMMON as u32;
            continue;
        }
        let (mut fixed, mut each) = match SIZES.get(usize::from(kind)) {
            Some(&(fixed, each)) => (u64::from(fixed), u64::from(each)),
            None => (0, 0),
        };
        if fixed == 0 {
            (fixed, each) = layout_sizes(layout, kind, id, offset)?;
        }
        let need = fixed + each * u64::from(vlen(info));
        if need > have {
            return Err(BtfError::TypeTruncated {
                id,
                offset,
                need,
                have,
            });
        }
        if COMPOSITE >> kind & 1 == 1 {
            composites.push(offsets.len() as u32);
        }
        offsets.push(at);
        rest = rest.get(need as usize..).unwrap_or_default();
        at += need as u32;
    }
    offsets.push(at);
    if offsets.capacity() > offsets.len() + offsets.len() / 4 {
        offsets.shrink_to_fit();
    }
    Ok((offsets, composites))
}

/// Bytes of a record of an unknown kind, common part included, and of each element.
#[cold]
fn layout_sizes(layout: &[u8], kind: u8, id: u32, offset: u64) -> Result<(u64, u64), BtfError> {
    match layout
        .get(usize::from(kind) * 4..)
        .and_then(<[u8]>::first_chunk)
    {
        Some(&[info_sz, elem_sz]) if info_sz % 4 == 0 && elem_sz % 4 == 0 => {
            Ok((COMMON as u64 + u64::from(info_sz), u64::from(elem_sz)))
        }
        Some(&[info_sz, elem_sz]) => Err(BtfError::LayoutEntry {
            kind,
            info_sz,
            elem_sz,
        }),
        None => Err(BtfError::UnknownKind { id, kind, offset }),
    }
}

#[cfg(test)]
mod tests;
