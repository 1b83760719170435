//! Symbol tables, read in passes with small buffers.
//!
//! A look-up by name does not read the names of symbols one by one: it searches the section of
//! names for the name, then the symbols for the offsets where it is. Both are read from front to
//! end in pieces that stay in the processor's cache, which is what makes it fast in files of any
//! size.

use super::file::failed;
use super::read::ReadAt;
use super::{ElfFile, Section, SymbolError};
use memchr::memmem::Finder;
use object::elf;
use std::ops::ControlFlow;

/// Bytes of a section of names that are searched at a time.
const NAMES: usize = 128 << 10;
/// Symbols that are looked at at a time.
const SYMBOLS: usize = 4096;

/// A table of symbols and the section of their names.
#[derive(Clone, Copy, Debug)]
pub(super) struct Table {
    pub(super) section: Section,
    pub(super) strings: Section,
    pub(super) dynamic: bool,
}

/// A symbol as it is in the file.
#[derive(Clone, Copy, Debug)]
pub(super) struct RawSymbol {
    pub(super) index: u64,
    pub(super) name: u32,
    info: u8,
    shndx: u16,
    pub(super) value: u64,
    pub(super) size: u64,
}

impl RawSymbol {
    const fn kind(&self) -> u8 {
        self.info & 0xf
    }

    const fn is_defined(&self) -> bool {
        self.shndx != elf::SHN_UNDEF.0 && self.shndx != elf::SHN_ABS.0
    }

    /// Whether it is a function of this file.
    pub(super) const fn is_function(&self) -> bool {
        self.kind() == elf::STT_FUNC.0 && self.is_defined()
    }

    /// Whether it is a function that is chosen at run time.
    pub(super) const fn is_indirect(&self) -> bool {
        self.kind() == elf::STT_GNU_IFUNC.0 && self.is_defined()
    }

    pub(super) const fn is_weak(&self) -> bool {
        self.info >> 4 == elf::STB_WEAK.0
    }

    /// Which of several names of a place is shown: the more public, the lower.
    pub(super) const fn rank(&self) -> u8 {
        match self.info >> 4 {
            binding if binding == elf::STB_WEAK.0 => 1,
            binding if binding == elf::STB_LOCAL.0 => 2,
            _ => 0,
        }
    }
}

impl<R: ReadAt> ElfFile<R> {
    /// The table of symbols for the dynamic linker, or of all.
    pub(super) fn table_of(&self, dynamic: bool) -> Option<Table> {
        let kind = if dynamic {
            elf::SHT_DYNSYM
        } else {
            elf::SHT_SYMTAB
        };
        let section = self.section_by_kind(kind.0)?;
        let strings = self.section(section.link)?;
        (strings.kind == elf::SHT_STRTAB.0).then_some(Table {
            section,
            strings,
            dynamic,
        })
    }

    fn within(&self, section: &Section, what: &'static str) -> Result<(), SymbolError> {
        let end = section.offset.checked_add(section.size);
        let have = self.source().size();
        if end.is_some_and(|end| end <= have) {
            return Ok(());
        }
        Err(SymbolError::Bounds {
            what,
            offset: section.offset,
            size: section.size,
            have,
        })
    }

    /// Where in a section of names `name` is, followed by a zero or by `@`; in ascending order.
    pub(super) fn places_of(
        &self,
        strings: &Section,
        name: &[u8],
    ) -> Result<Vec<u32>, SymbolError> {
        const WHAT: &str = "names of symbols";
        self.within(strings, WHAT)?;
        let finder = Finder::new(name);
        // The name and the byte after it are looked at together, so this much is looked at twice.
        let keep = name.len();
        let all = usize::try_from(strings.size).unwrap_or(usize::MAX);
        let mut buffer = vec![0u8; keep.saturating_add(NAMES.min(all))];
        let mut places = Vec::new();
        let (mut carried, mut at) = (0usize, 0u64);
        while at < strings.size {
            let left = usize::try_from(strings.size - at).unwrap_or(usize::MAX);
            let new = NAMES.min(left);
            let filled = carried.saturating_add(new);
            let place = buffer.get_mut(carried..filled).unwrap_or_default();
            self.source()
                .read_exact_at(place, strings.offset.saturating_add(at))
                .map_err(failed(WHAT))?;
            let data = buffer.get(..filled).unwrap_or_default();
            let base = at.saturating_sub(carried as u64);
            let mut from = 0;
            while let Some(found) = data.get(from..).and_then(|data| finder.find(data)) {
                let start = from + found;
                from = start + 1;
                if matches!(data.get(start + keep), Some(0 | b'@')) {
                    // names further on cannot be named by symbols
                    places.extend(u32::try_from(base.saturating_add(start as u64)));
                }
            }
            at = at.saturating_add(new as u64);
            let tail = filled.saturating_sub(keep);
            buffer.copy_within(tail..filled, 0);
            carried = filled - tail;
        }
        Ok(places)
    }

    /// Calls `each` with the symbols whose names start at one of `names`, which ascend; with all
    /// when there are none given.
    pub(super) fn each_symbol(
        &self,
        table: &Table,
        names: Option<&[u32]>,
        mut each: impl FnMut(RawSymbol) -> ControlFlow<()>,
    ) -> Result<(), SymbolError> {
        const WHAT: &str = "the table of symbols";
        self.within(&table.section, WHAT)?;
        let wide = self.class() == super::Class::Elf64;
        let size = if wide { 24usize } else { 16 };
        let (first, last) = match names {
            Some([]) => return Ok(()),
            Some(names) => (
                names.first().copied().unwrap_or_default(),
                names.last().copied().unwrap_or_default(),
            ),
            None => (0, u32::MAX),
        };
        let count = table.section.size / size as u64;
        let some = usize::try_from(count).map_or(SYMBOLS, |count| count.min(SYMBOLS));
        let mut buffer = vec![0u8; some * size];
        let mut done = 0u64;
        while done < count {
            let left = usize::try_from(count - done).unwrap_or(usize::MAX);
            let some = SYMBOLS.min(left);
            let place = buffer.get_mut(..some * size).unwrap_or_default();
            let into = done.saturating_mul(size as u64);
            let offset = table.section.offset.saturating_add(into);
            self.source()
                .read_exact_at(place, offset)
                .map_err(failed(WHAT))?;
            for (entry, index) in place.chunks_exact(size).zip(done..) {
                let entry = self.numbers(entry);
                let name = entry.u32(0).unwrap_or_default();
                if name < first || name > last {
                    continue;
                }
                if let Some(names) = names
                    && names.binary_search(&name).is_err()
                {
                    continue;
                }
                let symbol = symbol(entry, index, name);
                if each(symbol).is_break() {
                    return Ok(());
                }
            }
            done = done.saturating_add(some as u64);
        }
        Ok(())
    }
}

fn symbol(entry: super::read::Numbers<'_>, index: u64, name: u32) -> RawSymbol {
    let byte = |at: usize| entry.data.get(at).copied().unwrap_or_default();
    let half = |at| entry.u16(at).unwrap_or_default();
    let word = |at| entry.word(at).unwrap_or_default();
    if entry.wide {
        RawSymbol {
            index,
            name,
            info: byte(4),
            shndx: half(6),
            value: word(8),
            size: word(16),
        }
    } else {
        RawSymbol {
            index,
            name,
            info: byte(12),
            shndx: half(14),
            value: word(4),
            size: word(8),
        }
    }
}
