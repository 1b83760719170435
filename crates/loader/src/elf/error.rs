//! What can be wrong with an ELF file, each with the place where it was seen.

/// A defect that makes a file of no use as a BPF object.
///
/// Offsets count from the first byte of the file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ElfError {
    /// The file ends inside the header.
    #[error("elf header needs {need} bytes at offset 0, {have} are there")]
    Truncated {
        /// Bytes the header takes.
        need: u64,
        /// Bytes in the file.
        have: u64,
    },
    /// The first four bytes are something else.
    #[error("not an elf file: it starts with {found:02x?} instead of 7f 45 4c 46")]
    Magic {
        /// What is there.
        found: [u8; 4],
    },
    /// Not a 64-bit file.
    #[error("elf class {found} at offset 4 is not 64-bit")]
    Class {
        /// The class byte.
        found: u8,
    },
    /// Neither byte order.
    #[error("elf byte order {found} at offset 5 is neither little- nor big-endian")]
    ByteOrder {
        /// The byte.
        found: u8,
    },
    /// A linked program or library.
    #[error(
        "elf type {found} at offset 16 is not relocatable (1): link bpf objects with '-r' only"
    )]
    Type {
        /// The type.
        found: u16,
    },
    /// Compiled for another machine.
    #[error("elf machine {found} at offset 18 is not bpf (247)")]
    Machine {
        /// The machine.
        found: u16,
    },
    /// The table of sections is not inside the file, or has entries of another size.
    #[error(
        "table of {count} sections of {size} bytes at offset {offset} is not in the file of {have} bytes"
    )]
    SectionTable {
        /// Where it starts.
        offset: u64,
        /// How many entries it says it has.
        count: u64,
        /// Bytes of an entry.
        size: u16,
        /// Bytes in the file.
        have: u64,
    },
    /// No section has the sections' names.
    #[error("names of sections: section {index} does not have them")]
    SectionNames {
        /// The section that should have them.
        index: u32,
    },
    /// A section goes past the end of the file.
    #[error(
        "section {index} '{name}' of {size} bytes at offset {offset} ends past the file of {have} bytes"
    )]
    SectionBounds {
        /// Its number.
        index: u32,
        /// Its name.
        name: String,
        /// Where it starts.
        offset: u64,
        /// Its size.
        size: u64,
        /// Bytes in the file.
        have: u64,
    },
    /// A compressed section, which the compiler writes for debug information only.
    #[error("section {index} '{name}' is compressed")]
    Compressed {
        /// Its number.
        index: u32,
        /// Its name.
        name: String,
    },
    /// No symbol table.
    #[error("no symbol table: the object was stripped")]
    NoSymbols,
    /// More than one symbol table.
    #[error("two symbol tables: sections {first} and {second}")]
    TwoSymbolTables {
        /// The first.
        first: u32,
        /// The second.
        second: u32,
    },
    /// Symbols of another size.
    #[error("symbol table in section {index}: entries of {found} bytes instead of 24")]
    SymbolSize {
        /// The section.
        index: u32,
        /// The size it says.
        found: u64,
    },
    /// The symbols' names are nowhere.
    #[error("symbol table in section {index}: section {strings} does not have the names")]
    SymbolNames {
        /// The section with the symbols.
        index: u32,
        /// The section that should have the names.
        strings: u32,
    },
    /// Relocations of another size.
    #[error(
        "relocations in section {index} '{name}': entries of {found} bytes instead of {expected}"
    )]
    RelocationSize {
        /// The section.
        index: u32,
        /// Its name.
        name: String,
        /// The size it says.
        found: u64,
        /// The size of such relocations.
        expected: u64,
    },
}
