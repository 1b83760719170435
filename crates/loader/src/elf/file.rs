//! The header and the sections.

use super::consts as elf;
use super::{Bytes, ElfError, Symbol, name, symbol};
use btf::Endian;

/// The first bytes of a file.
const MAGIC: [u8; 4] = *b"\x7fELF";
/// Bytes of the file's header.
const HEADER: usize = 64;
/// Bytes of a section's header.
const SECTION: u16 = 64;

/// A relocatable ELF file.
#[derive(Debug)]
pub struct Elf<'a> {
    data: &'a [u8],
    endian: Endian,
    sections: Vec<Section<'a>>,
    symbols: Vec<Symbol<'a>>,
    symbol_table: u32,
}

/// A section.
#[derive(Clone, Copy, Debug)]
pub struct Section<'a> {
    /// Its number.
    pub index: u32,
    /// Its name; empty when the name is nowhere.
    pub name: &'a [u8],
    /// Type: `SHT_…` of [`consts`](super::consts).
    pub kind: u32,
    /// Flags: `SHF_…` of [`consts`](super::consts).
    pub flags: u64,
    /// Where in the file it is.
    pub offset: u64,
    /// Bytes it takes, in the file or in memory.
    pub size: u64,
    /// A section it refers to.
    pub link: u32,
    /// For relocations, the section they are for.
    pub info: u32,
    /// Bytes of an entry, of sections that are tables.
    pub entry_size: u64,
    /// Its alignment.
    pub align: u64,
    content: Option<&'a [u8]>,
    file_size: u64,
}

impl<'a> Section<'a> {
    /// Its bytes; none for sections that have none in the file (`SHT_NOBITS`).
    ///
    /// # Errors
    /// The file ends before the section, or the section is compressed.
    pub fn data(&self) -> Result<&'a [u8], ElfError> {
        if self.kind == elf::SHT_NOBITS {
            return Ok(&[]);
        }
        if self.flags & elf::SHF_COMPRESSED != 0 {
            return Err(ElfError::Compressed {
                index: self.index,
                name: self.text(),
            });
        }
        self.content.ok_or_else(|| ElfError::SectionBounds {
            index: self.index,
            name: self.text(),
            offset: self.offset,
            size: self.size,
            have: self.file_size,
        })
    }

    /// Its name as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(self.name).into_owned()
    }

    /// Whether it has instructions.
    #[must_use]
    pub fn is_code(&self) -> bool {
        self.kind == elf::SHT_PROGBITS && self.flags & elf::SHF_EXECINSTR != 0 && self.size > 0
    }
}

impl<'a> Elf<'a> {
    /// Reads headers and symbols.
    ///
    /// # Errors
    /// Bytes that are no relocatable 64-bit ELF file for BPF with one symbol table.
    pub fn parse(data: &'a [u8]) -> Result<Self, ElfError> {
        let have = data.len() as u64;
        let Some(head) = data.first_chunk::<HEADER>() else {
            return Err(match data.first_chunk::<4>() {
                Some(magic) if *magic != MAGIC => ElfError::Magic { found: *magic },
                _ => ElfError::Truncated {
                    need: HEADER as u64,
                    have,
                },
            });
        };
        let [a, b, c, d, class, order, ..] = *head;
        let found = [a, b, c, d];
        if found != MAGIC {
            return Err(ElfError::Magic { found });
        }
        if class != elf::ELFCLASS64 {
            return Err(ElfError::Class { found: class });
        }
        let endian = match order {
            elf::ELFDATA2LSB => Endian::Little,
            elf::ELFDATA2MSB => Endian::Big,
            found => return Err(ElfError::ByteOrder { found }),
        };
        let header = Bytes { data, endian };
        let half = |at| header.u16(at).unwrap_or_default();
        if half(16) != elf::ET_REL {
            return Err(ElfError::Type { found: half(16) });
        }
        // old compilers left the machine out
        if !matches!(half(18), elf::EM_NONE | elf::EM_BPF) {
            return Err(ElfError::Machine { found: half(18) });
        }
        let sections = sections(header)?;
        let (symbol_table, symbols) = symbol::table(endian, &sections)?;
        Ok(Self {
            data,
            endian,
            sections,
            symbols,
            symbol_table,
        })
    }

    /// The file.
    #[must_use]
    pub const fn data(&self) -> &'a [u8] {
        self.data
    }

    /// Its byte order.
    #[must_use]
    pub const fn endian(&self) -> Endian {
        self.endian
    }

    /// All sections, also the first, which is none.
    #[must_use]
    pub fn sections(&self) -> &[Section<'a>] {
        &self.sections
    }

    /// The section with this number; none for 0, which stands for "no section".
    #[must_use]
    pub fn section(&self, index: u32) -> Option<&Section<'a>> {
        if index == 0 {
            return None;
        }
        self.sections.get(index as usize)
    }

    /// The first section of this name.
    #[must_use]
    pub fn section_by_name(&self, name: &[u8]) -> Option<&Section<'a>> {
        self.sections
            .iter()
            .skip(1)
            .find(|section| section.name == name)
    }

    /// All symbols, also the first, which is none.
    #[must_use]
    pub fn symbols(&self) -> &[Symbol<'a>] {
        &self.symbols
    }

    /// The symbol with this number.
    #[must_use]
    pub fn symbol(&self, index: u32) -> Option<&Symbol<'a>> {
        self.symbols.get(index as usize)
    }

    /// Number of the section that has the symbols.
    #[must_use]
    pub const fn symbol_table(&self) -> u32 {
        self.symbol_table
    }
}

/// Reads the table of sections. Names and content are looked up, not required.
fn sections(header: Bytes<'_>) -> Result<Vec<Section<'_>>, ElfError> {
    let data = header.data;
    let have = data.len() as u64;
    let offset = header.u64(0x28).unwrap_or_default();
    let size = header.u16(0x3a).unwrap_or_default();
    let bad = |count: u64| ElfError::SectionTable {
        offset,
        count,
        size,
        have,
    };
    let mut count = u64::from(header.u16(0x3c).unwrap_or_default());
    let mut names = u32::from(header.u16(0x3e).unwrap_or_default());
    let table = usize::try_from(offset)
        .ok()
        .and_then(|offset| data.get(offset..))
        .unwrap_or_default();
    let entries = Bytes {
        data: table,
        endian: header.endian,
    };
    if size != SECTION || offset == 0 || table.len() < usize::from(SECTION) {
        return Err(bad(count));
    }
    // numbers too large for the header are in the first section
    if count == 0 {
        count = entries.u64(0x20).unwrap_or_default();
    }
    if names == elf::SHN_XINDEX {
        names = entries.u32(0x28).unwrap_or_default();
    }
    let bytes = count
        .checked_mul(u64::from(SECTION))
        .and_then(|bytes| usize::try_from(bytes).ok())
        .and_then(|bytes| table.get(..bytes))
        .ok_or_else(|| bad(count))?;

    let mut sections: Vec<_> = bytes
        .chunks_exact(usize::from(SECTION))
        .zip(0u32..)
        .map(|(entry, index)| {
            let entry = Bytes {
                data: entry,
                endian: header.endian,
            };
            let word = |at| entry.u32(at).unwrap_or_default();
            let wide = |at| entry.u64(at).unwrap_or_default();
            let (offset, size) = (wide(0x18), wide(0x20));
            let content = usize::try_from(offset)
                .ok()
                .zip(usize::try_from(size).ok())
                .and_then(|(offset, size)| data.get(offset..)?.get(..size));
            let section = Section {
                index,
                name: b"",
                kind: word(4),
                flags: wide(8),
                offset,
                size,
                link: word(0x28),
                info: word(0x2c),
                entry_size: wide(0x38),
                align: wide(0x30),
                content,
                file_size: have,
            };
            (section, word(0))
        })
        .collect();
    let strings = sections
        .get(names as usize)
        .filter(|(section, _)| names != 0 && section.kind == elf::SHT_STRTAB)
        .and_then(|(section, _)| section.content)
        .ok_or(ElfError::SectionNames { index: names })?;
    for (section, at) in &mut sections {
        section.name = name(strings, *at).unwrap_or_default();
    }
    Ok(sections.into_iter().map(|(section, _)| section).collect())
}
