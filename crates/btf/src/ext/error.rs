//! What can be wrong with `.BTF.ext`.

/// A defect of `.BTF.ext` bytes. Offsets count from the first byte of the section.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExtError {
    /// The section ends inside the header.
    #[error(".BTF.ext header needs {need} bytes at offset 0, {have} are there")]
    HeaderTruncated {
        /// Bytes the header takes.
        need: u64,
        /// Bytes in the section.
        have: u64,
    },
    /// The first two bytes are `0xeb9f` in neither byte order.
    #[error("not .BTF.ext: magic {found:#06x} at offset 0 instead of 0xeb9f")]
    Magic {
        /// The two bytes, read little-endian.
        found: u16,
    },
    /// A format version other than 1.
    #[error(".BTF.ext version {found} at offset 2 is not supported")]
    Version {
        /// The version byte.
        found: u8,
    },
    /// A flag, of which none is defined.
    #[error(".BTF.ext flags {found:#04x} at offset 3 are not supported")]
    Flags {
        /// The flags byte.
        found: u8,
    },
    /// `hdr_len` is smaller than the oldest header.
    #[error(".BTF.ext header length {found} at offset 4 is below 24")]
    HeaderLen {
        /// The field's value.
        found: u32,
    },
    /// A table that does not lie inside the section.
    #[error(
        ".BTF.ext {table} table of {len} bytes at offset {offset} ends past the section of {have} bytes"
    )]
    TableBounds {
        /// Which one.
        table: &'static str,
        /// Where it starts.
        offset: u64,
        /// How long it says it is.
        len: u64,
        /// Bytes in the section.
        have: u64,
    },
    /// A table that does not start at a multiple of 4.
    #[error(".BTF.ext {table} table at offset {offset} is not 4-byte aligned")]
    TableAlign {
        /// Which one.
        table: &'static str,
        /// Where it starts.
        offset: u64,
    },
    /// A record size below the oldest records', or no multiple of 4.
    #[error(
        ".BTF.ext {table} record size {found} at offset {offset} is below {least} or no multiple of 4"
    )]
    RecordSize {
        /// Which table.
        table: &'static str,
        /// The size it says.
        found: u32,
        /// The smallest size.
        least: u32,
        /// Where the size is.
        offset: u64,
    },
    /// A block's header or records go past the end of the table.
    #[error(
        ".BTF.ext {table} block at offset {offset} needs {need} bytes, the table has {have} left"
    )]
    BlockTruncated {
        /// Which table.
        table: &'static str,
        /// Where the block starts.
        offset: u64,
        /// Bytes it takes.
        need: u64,
        /// Bytes left in the table.
        have: u64,
    },
    /// Tables to be written do not fit in 32-bit lengths.
    #[error(".BTF.ext {table} table of {len} bytes is too large")]
    TooLarge {
        /// Which table.
        table: &'static str,
        /// Its bytes.
        len: u64,
    },
}
