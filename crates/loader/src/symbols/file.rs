//! The header, the segments and the sections of a linked file.

use super::read::{self, Numbers, ReadAt};
use super::{SymbolError, versions};
use btf::Endian;
use object::elf;

/// Bytes of an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Class {
    /// Four.
    Elf32,
    /// Eight.
    Elf64,
}

/// A linked ELF file of either class and byte order: a program, a library, or the debug file of
/// one.
#[derive(Debug)]
pub struct ElfFile<R> {
    source: R,
    class: Class,
    endian: Endian,
    kind: u16,
    machine: u16,
    entry: u64,
    segments: Vec<Segment>,
    sections: Vec<Section>,
    /// Names of sections.
    names: Vec<u8>,
}

/// A part of the file that is loaded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Segment {
    /// `p_type`.
    pub kind: u32,
    /// `p_flags`.
    pub flags: u32,
    /// Where in the file.
    pub offset: u64,
    /// Where in memory, before the whole is moved.
    pub address: u64,
    /// Bytes in the file.
    pub file_size: u64,
    /// Bytes in memory; what the file does not have is zero.
    pub memory_size: u64,
}

impl Segment {
    /// Whether its bytes are run.
    #[must_use]
    pub const fn is_code(&self) -> bool {
        self.flags & elf::PF_X.0 != 0
    }

    /// The place in the file of an address, if this has it. Beyond the bytes in the file only when
    /// `in_memory`.
    fn offset_of(&self, address: u64, in_memory: bool) -> Option<u64> {
        let size = if in_memory {
            self.memory_size
        } else {
            self.file_size
        };
        let into = address.checked_sub(self.address)?;
        (into < size).then(|| self.offset.checked_add(into))?
    }
}

/// A section.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Section {
    /// Its number.
    pub index: usize,
    /// `sh_type`.
    pub kind: u32,
    /// `sh_flags`.
    pub flags: u64,
    /// Where in memory.
    pub address: u64,
    /// Where in the file.
    pub offset: u64,
    /// Its bytes.
    pub size: u64,
    /// `sh_link`: another section.
    pub link: u32,
    /// `sh_info`.
    pub info: u32,
    /// Bytes of an entry.
    pub entry_size: u64,
    name: u32,
}

/// Reads that fail, by what was read.
pub(super) fn failed(what: &'static str) -> impl Fn(std::io::Error) -> SymbolError {
    move |source| SymbolError::Read { what, source }
}

impl<R: ReadAt> ElfFile<R> {
    /// Reads the headers.
    ///
    /// # Errors
    /// Not an ELF file, or the tables of segments or sections are not in it.
    pub fn parse(source: R) -> Result<Self, SymbolError> {
        let mut head = [0u8; 64];
        let have = source.size();
        let first = usize::try_from(have.min(64)).unwrap_or(64);
        let place = head.get_mut(..first).unwrap_or_default();
        source
            .read_exact_at(place, 0)
            .map_err(failed("the elf header"))?;
        let not = |why| SymbolError::NotElf { why };
        let [a, b, c, d, class, order, ..] = head;
        if [a, b, c, d] != elf::ELFMAG {
            return Err(not("it starts with other bytes"));
        }
        let class = match class {
            class if class == elf::ELFCLASS32.0 => Class::Elf32,
            class if class == elf::ELFCLASS64.0 => Class::Elf64,
            _ => return Err(not("its class is neither 32-bit nor 64-bit")),
        };
        let endian = match order {
            order if order == elf::ELFDATA2LSB.0 => Endian::Little,
            order if order == elf::ELFDATA2MSB.0 => Endian::Big,
            _ => return Err(not("its byte order is neither little- nor big-endian")),
        };
        let wide = class == Class::Elf64;
        if first < if wide { 64 } else { 52 } {
            return Err(not("it ends inside the header"));
        }
        let header = Numbers {
            data: &head,
            big: endian == Endian::Big,
            wide,
        };
        let half = |at| header.u16(at).unwrap_or_default();
        let word = |at| header.word(at).unwrap_or_default();
        let mut file = Self {
            class,
            endian,
            kind: half(16),
            machine: half(18),
            entry: word(24),
            segments: Vec::new(),
            sections: Vec::new(),
            names: Vec::new(),
            source,
        };
        let (segments_at, sections_at) = if wide {
            (word(32), word(40))
        } else {
            (word(28), word(32))
        };
        // the last six halves: sizes and counts of both tables
        let tail = if wide { 54 } else { 42 };
        file.read_sections(
            sections_at,
            half(tail + 4),
            u64::from(half(tail + 6)),
            u32::from(half(tail + 8)),
        )?;
        file.read_segments(segments_at, half(tail), u64::from(half(tail + 2)))?;
        Ok(file)
    }

    fn table(
        &self,
        what: &'static str,
        offset: u64,
        count: u64,
        size: u16,
        least: u16,
    ) -> Result<Vec<u8>, SymbolError> {
        let bytes = count.saturating_mul(u64::from(size));
        let bad = SymbolError::Bounds {
            what,
            offset,
            size: bytes,
            have: self.source.size(),
        };
        if count > 0 && size < least {
            return Err(bad);
        }
        let read = read::bytes(&self.source, offset, bytes).map_err(failed(what))?;
        read.ok_or(bad)
    }

    fn read_sections(
        &mut self,
        offset: u64,
        size: u16,
        mut count: u64,
        mut names: u32,
    ) -> Result<(), SymbolError> {
        if offset == 0 {
            return Ok(());
        }
        const WHAT: &str = "the table of sections";
        let wide = self.class == Class::Elf64;
        let least = if wide { 64 } else { 40 };
        // numbers too large for the header are in the first section
        if count == 0 || names == u32::from(elf::SHN_XINDEX.0) {
            let first = self.table(WHAT, offset, 1, size, least)?;
            let first = self.numbers(&first);
            let (size_at, link_at) = if wide { (32, 40) } else { (20, 24) };
            if count == 0 {
                count = first.word(size_at).unwrap_or_default();
            }
            if names == u32::from(elf::SHN_XINDEX.0) {
                names = first.u32(link_at).unwrap_or_default();
            }
        }
        let table = self.table(WHAT, offset, count, size, least)?;
        let entries = table.chunks_exact(usize::from(size.max(1))).enumerate();
        self.sections = entries
            .map(|(index, entry)| {
                let entry = self.numbers(entry);
                let u32 = |at| entry.u32(at).unwrap_or_default();
                let word = |at| entry.word(at).unwrap_or_default();
                let at = |wide_at, at| if wide { wide_at } else { at };
                Section {
                    index,
                    name: u32(0),
                    kind: u32(4),
                    flags: word(8),
                    address: word(at(16, 12)),
                    offset: word(at(24, 16)),
                    size: word(at(32, 20)),
                    link: u32(at(40, 24)),
                    info: u32(at(44, 28)),
                    entry_size: word(at(56, 36)),
                }
            })
            .collect();
        if let Some(section) = self.section(names) {
            // a file without them is of use still
            self.names = self.data(&section, "names of sections").unwrap_or_default();
        }
        Ok(())
    }

    fn read_segments(&mut self, offset: u64, size: u16, mut count: u64) -> Result<(), SymbolError> {
        if offset == 0 || count == 0 {
            return Ok(());
        }
        let wide = self.class == Class::Elf64;
        // numbers too large for the header are in the first section
        if count == u64::from(elf::PN_XNUM)
            && let Some(first) = self.sections.first()
        {
            count = u64::from(first.info);
        }
        let least = if wide { 56 } else { 32 };
        let table = self.table("the table of segments", offset, count, size, least)?;
        self.segments = table
            .chunks_exact(usize::from(size.max(1)))
            .map(|entry| {
                let entry = self.numbers(entry);
                let u32 = |at| entry.u32(at).unwrap_or_default();
                let word = |at| entry.word(at).unwrap_or_default();
                let at = |wide_at, at| if wide { wide_at } else { at };
                Segment {
                    kind: u32(0),
                    flags: u32(at(4, 24)),
                    offset: word(at(8, 4)),
                    address: word(at(16, 8)),
                    file_size: word(at(32, 16)),
                    memory_size: word(at(40, 20)),
                }
            })
            .collect();
        Ok(())
    }

    /// Numbers of this file.
    pub(super) fn numbers<'a>(&self, data: &'a [u8]) -> Numbers<'a> {
        Numbers {
            data,
            big: self.endian == Endian::Big,
            wide: self.class == Class::Elf64,
        }
    }

    /// What it is read from.
    pub const fn source(&self) -> &R {
        &self.source
    }

    /// Its class.
    pub const fn class(&self) -> Class {
        self.class
    }

    /// Its byte order.
    pub const fn endian(&self) -> Endian {
        self.endian
    }

    /// `e_type`: 2 for programs at fixed addresses, 3 for other programs and libraries.
    pub const fn kind(&self) -> u16 {
        self.kind
    }

    /// Whether it is loaded at the addresses that it says.
    pub fn is_at_fixed_addresses(&self) -> bool {
        self.kind == elf::ET_EXEC.0
    }

    /// `e_machine`.
    pub const fn machine(&self) -> u16 {
        self.machine
    }

    /// Where it starts.
    pub const fn entry(&self) -> u64 {
        self.entry
    }

    /// All segments.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// All sections, also the first, which is none.
    pub fn sections(&self) -> &[Section] {
        &self.sections
    }

    /// The section with this number.
    pub fn section(&self, index: u32) -> Option<Section> {
        let index = usize::try_from(index).ok().filter(|index| *index > 0)?;
        self.sections.get(index).copied()
    }

    /// The name of a section; empty when it is nowhere.
    pub fn section_name(&self, section: &Section) -> &[u8] {
        read::c_str(&self.names, u64::from(section.name)).unwrap_or_default()
    }

    /// The first section of this name.
    pub fn section_by_name(&self, name: &[u8]) -> Option<Section> {
        let mut sections = self.sections.iter().skip(1);
        sections.find(|s| self.section_name(s) == name).copied()
    }

    /// The first section of this type.
    pub fn section_by_kind(&self, kind: u32) -> Option<Section> {
        let mut sections = self.sections.iter().skip(1);
        sections.find(|section| section.kind == kind).copied()
    }

    /// The bytes of a section as they are in the file; none for one that has none there.
    ///
    /// # Errors
    /// They are not within the file, or cannot be read.
    pub fn data(&self, section: &Section, what: &'static str) -> Result<Vec<u8>, SymbolError> {
        if section.kind == elf::SHT_NOBITS.0 {
            return Ok(Vec::new());
        }
        read::bytes(&self.source, section.offset, section.size)
            .map_err(failed(what))?
            .ok_or(SymbolError::Bounds {
                what,
                offset: section.offset,
                size: section.size,
                have: self.source.size(),
            })
    }

    /// The name at an offset of a section of names. A name is at most 64 KiB long.
    pub(super) fn string(&self, section: &Section, at: u64) -> Option<Vec<u8>> {
        let mut name = Vec::new();
        let mut at_most = section.size.checked_sub(at)?.min(1 << 16);
        let mut offset = section.offset.checked_add(at)?;
        while at_most > 0 {
            let chunk = at_most.min(256);
            let bytes = read::bytes(&self.source, offset, chunk).ok()??;
            match memchr::memchr(0, &bytes) {
                Some(end) => {
                    name.extend_from_slice(bytes.get(..end)?);
                    return Some(name);
                }
                None => name.extend_from_slice(&bytes),
            }
            offset = offset.checked_add(chunk)?;
            at_most = at_most.saturating_sub(chunk);
        }
        None
    }

    /// Where in the file an address is, through the segments that are loaded.
    pub fn file_offset(&self, address: u64) -> Option<u64> {
        let (_, offset) = self.segment_of(address, false)?;
        Some(offset)
    }

    /// The loaded segment that an address is in, and the place in the file.
    pub(super) fn segment_of(&self, address: u64, in_memory: bool) -> Option<(&Segment, u64)> {
        self.loaded()
            .find_map(|segment| Some((segment, segment.offset_of(address, in_memory)?)))
    }

    /// The address of a place in the file.
    pub fn address_of(&self, offset: u64) -> Option<u64> {
        self.loaded().find_map(|segment| {
            let into = offset.checked_sub(segment.offset)?;
            (into < segment.file_size).then(|| segment.address.checked_add(into))?
        })
    }

    fn loaded(&self) -> impl Iterator<Item = &Segment> {
        self.segments
            .iter()
            .filter(|segment| segment.kind == elf::PT_LOAD.0)
    }

    /// The versions of dynamic symbols.
    pub(super) fn versions(&self) -> versions::Versions {
        versions::Versions::read(self)
    }
}
