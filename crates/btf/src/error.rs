//! What can be wrong with BTF bytes, each with the place where it was seen.

use crate::{Kind, TypeId};

/// The part of a BTF blob an error speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Section {
    /// `struct btf_header`.
    Header,
    /// The type records.
    Types,
    /// The per-kind record sizes (Linux 7.1).
    Layout,
    /// The NUL-terminated names.
    Strings,
}

impl core::fmt::Display for Section {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Header => "header",
            Self::Types => "type section",
            Self::Layout => "layout section",
            Self::Strings => "string section",
        })
    }
}

/// A defect of BTF bytes, or a question about a type that has no answer.
///
/// Offsets count from the first byte of the blob unless the text says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BtfError {
    /// The blob ends inside the header.
    #[error("btf header needs {need} bytes at offset 0, {have} are there")]
    HeaderTruncated {
        /// Bytes the header takes.
        need: u64,
        /// Bytes in the blob.
        have: u64,
    },
    /// The first two bytes are `0xeb9f` in neither byte order.
    #[error("not btf: magic {found:#06x} at offset 0 instead of 0xeb9f")]
    Magic {
        /// The two bytes, read little-endian.
        found: u16,
    },
    /// A format version other than 1.
    #[error("btf version {found} at offset 2 is not supported")]
    Version {
        /// The version byte.
        found: u8,
    },
    /// `hdr_len` is smaller than the oldest header.
    #[error("btf header length {found} at offset 4 is below 24")]
    HeaderLen {
        /// The field's value.
        found: u32,
    },
    /// A section does not lie inside the blob.
    #[error("btf {section} of {len} bytes at offset {offset} ends past the blob of {have} bytes")]
    SectionBounds {
        /// Which one.
        section: Section,
        /// Where it starts.
        offset: u64,
        /// How long it says it is.
        len: u64,
        /// Bytes in the blob.
        have: u64,
    },
    /// A section starts at an address that its records cannot have.
    #[error("btf {section} at offset {offset} is not 4-byte aligned")]
    SectionAlign {
        /// Which one.
        section: Section,
        /// Where it starts.
        offset: u64,
    },
    /// A section starts before the end of the one in front of it.
    #[error("btf {section} at offset {offset} overlaps the section in front, which ends at {end}")]
    SectionOverlap {
        /// The later section.
        section: Section,
        /// Where it starts.
        offset: u64,
        /// Where the one in front ends.
        end: u64,
    },
    /// The layout section is not a whole number of 4-byte entries.
    #[error("btf layout section length {len} at offset {offset} is not a multiple of 4")]
    LayoutLen {
        /// Where the section starts.
        offset: u64,
        /// Its length.
        len: u64,
    },
    /// A layout entry gives sizes that no record can have.
    #[error(
        "btf layout entry of kind {kind} has sizes {info_sz} and {elem_sz}, not multiples of 4"
    )]
    LayoutEntry {
        /// The kind it is about.
        kind: u8,
        /// Bytes after the common part.
        info_sz: u8,
        /// Bytes per element.
        elem_sz: u8,
    },
    /// The string section is empty, or does not end with NUL.
    #[error("btf string section at offset {offset} is not NUL-terminated")]
    StringsTerminator {
        /// Where the section starts.
        offset: u64,
    },
    /// The first string of a stand-alone blob is not the empty one: it is split BTF.
    #[error(
        "btf string section at offset {offset} does not start with NUL (split btf needs its base)"
    )]
    StringsFirst {
        /// Where the section starts.
        offset: u64,
    },
    /// A kind this crate does not know, with no layout entry to skip it by.
    #[error(
        "type {id} at offset {offset} has unknown kind {kind} and the layout section does not tell its size"
    )]
    UnknownKind {
        /// The type's id.
        id: u32,
        /// The kind number.
        kind: u8,
        /// Where the record starts.
        offset: u64,
    },
    /// A type record goes past the end of the type section.
    #[error("type {id} at offset {offset} needs {need} bytes, the type section has {have} left")]
    TypeTruncated {
        /// The type's id.
        id: u32,
        /// Where the record starts.
        offset: u64,
        /// Bytes the record takes.
        need: u64,
        /// Bytes left in the section.
        have: u64,
    },
    /// More types than ids.
    #[error("type section at offset {offset} holds more types than there are ids")]
    TooManyTypes {
        /// Where the first type without an id starts.
        offset: u64,
    },
    /// An id that no type has.
    #[error("no type with id {id}: ids end at {end}")]
    NoSuchType {
        /// The id asked for.
        id: u32,
        /// One past the last id.
        end: u32,
    },
    /// A name offset outside the string section(s).
    #[error("string offset {offset} is out of bounds: strings end at {end}")]
    NoSuchString {
        /// The offset asked for, counted from the base's first string.
        offset: u32,
        /// One past the last string byte.
        end: u64,
    },
    /// A type that contains, or refers to, itself with no pointer in between.
    #[error("type {id} refers to itself")]
    Cycle {
        /// A type on the cycle.
        id: TypeId,
    },
    /// More nesting than any compiler makes.
    #[error("type {id} is nested too deeply")]
    TooDeep {
        /// Where the walk gave up.
        id: TypeId,
    },
    /// A size that does not fit in 64 bits.
    #[error("size of type {id} overflows")]
    SizeOverflow {
        /// The type.
        id: TypeId,
    },
    /// A type whose values have no size.
    #[error("type {id} ({kind}) has no size")]
    NoSize {
        /// The type.
        id: TypeId,
        /// Its kind.
        kind: Kind,
    },
    /// A type of another kind than the question is about.
    #[error("type {id} is {kind}, not a struct or union")]
    NotComposite {
        /// The type.
        id: TypeId,
        /// Its kind.
        kind: Kind,
    },
    /// More flattened members than a walk may return.
    #[error("type {id} has more than {limit} members in all")]
    TooManyMembers {
        /// The type.
        id: TypeId,
        /// The bound.
        limit: u32,
    },
    /// An integer or bit field wider than any register pair.
    #[error("bit width {bits} of type {id} is above 128")]
    BitWidth {
        /// The type.
        id: TypeId,
        /// Its width.
        bits: u32,
    },
    /// A name to write that has NUL in it.
    #[error("a name contains nul")]
    NameWithNul,
    /// More bytes of strings than offsets.
    #[error("btf string section would exceed 4 gib")]
    StringsFull,
    /// More types than ids, or more bytes of them than a blob can have.
    #[error("btf type section would exceed 4 gib")]
    TypesFull,
    /// More elements in a record to write than the format allows.
    #[error("type {id} ({kind}) would have more than 16777215 elements")]
    TooManyElements {
        /// The type.
        id: TypeId,
        /// Its kind.
        kind: Kind,
    },
    /// A member to write in a struct with bit fields, beyond what the format allows.
    #[error("bit field of {width} bits at bit {offset} of type {id} cannot be written")]
    BitField {
        /// The struct or union.
        id: TypeId,
        /// Its first bit.
        offset: u32,
        /// Its width.
        width: u32,
    },
    /// A record whose references cannot be renumbered, because its kind is not known.
    #[error("type {id} has unknown kind {kind}, its references cannot be renumbered")]
    UnknownReferences {
        /// The type's id.
        id: TypeId,
        /// The kind number.
        kind: u8,
    },
    /// A header whose extra fields would be lost by writing it anew.
    #[error("btf header has fields this version does not know")]
    UnknownHeader,
    /// Split BTF to take over, of another base.
    #[error("split btf is not of the base that it is added to")]
    BaseMismatch,
    /// A kind to take over, whose size the layout section gives otherwise.
    #[error("btf layout section gives kind {kind} another size")]
    LayoutConflict {
        /// The kind number.
        kind: u8,
    },
    /// Names that are parts of each other and would be many times the string section, each for
    /// itself.
    #[error("names overlap in the btf string section, with one at offset {offset}")]
    NamesOverlap {
        /// Where the name starts that was too much.
        offset: u32,
    },
    /// A type that nothing in C can be declared with: a function, a variable, a section, a tag.
    #[error("type {id} ({kind}) cannot stand in a c declaration")]
    NoDeclaration {
        /// The type.
        id: TypeId,
        /// Its kind.
        kind: Kind,
    },
    /// More text or work than types of this number can need: anonymous types that contain each
    /// other many times over.
    #[error("declaring type {id} takes more steps than its btf allows")]
    TooComplex {
        /// Where the walk gave up.
        id: TypeId,
    },
}
