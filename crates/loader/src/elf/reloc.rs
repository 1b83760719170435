//! Relocations.

use super::consts as elf;
use super::{Bytes, Elf, ElfError, Section};
use btf::Endian;

/// A place that depends on where a symbol ends up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reloc {
    /// The place, in bytes from the start of the section.
    pub offset: u64,
    /// Number of the symbol.
    pub symbol: u32,
    /// How the place is written: `R_BPF_…`.
    pub kind: u32,
    /// What to add to the symbol, in tables that say so (`SHT_RELA`); else it is at the place.
    pub addend: Option<i64>,
}

/// The relocations of a table in their order.
#[derive(Clone, Debug)]
pub struct Relocs<'a> {
    rest: &'a [u8],
    endian: Endian,
    size: usize,
}

impl Iterator for Relocs<'_> {
    type Item = Reloc;

    fn next(&mut self) -> Option<Reloc> {
        let (data, rest) = self.rest.split_at_checked(self.size)?;
        self.rest = rest;
        let entry = Bytes {
            data,
            endian: self.endian,
        };
        let info = entry.u64(8)?;
        #[expect(clippy::cast_possible_truncation, reason = "two halves")]
        let (symbol, kind) = ((info >> 32) as u32, info as u32);
        Some(Reloc {
            offset: entry.u64(0)?,
            symbol,
            kind,
            addend: entry.u64(16).map(u64::cast_signed),
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let len = self.rest.len() / self.size;
        (len, Some(len))
    }
}

impl ExactSizeIterator for Relocs<'_> {}

impl<'a> Elf<'a> {
    /// The relocations that a section of type `SHT_REL` or `SHT_RELA` has; none for others.
    /// Bytes behind the last whole entry do not count.
    ///
    /// # Errors
    /// Entries of another size, or a section that is cut.
    pub fn relocs(&self, section: &Section<'a>) -> Result<Relocs<'a>, ElfError> {
        let size: u8 = match section.kind {
            elf::SHT_REL => 16,
            elf::SHT_RELA => 24,
            _ => {
                return Ok(Relocs {
                    rest: &[],
                    endian: self.endian(),
                    size: 16,
                });
            }
        };
        if section.entry_size != u64::from(size) {
            return Err(ElfError::RelocationSize {
                index: section.index,
                name: section.text(),
                found: section.entry_size,
                expected: u64::from(size),
            });
        }
        Ok(Relocs {
            rest: section.data()?,
            endian: self.endian(),
            size: usize::from(size),
        })
    }
}
