//! ELF bytes: sections, symbols and relocations.
//!
//! A reader for relocatable 64-bit files of either byte order. Nothing is copied, every number is
//! checked where it is used, and what is wrong with a part does not matter until the part is
//! asked for: a cut debug section harms nobody.

pub mod consts;
mod error;
mod file;
mod reloc;
mod symbol;

pub use error::ElfError;
pub use file::{Elf, Section};
pub use reloc::{Reloc, Relocs};
pub use symbol::{Binding, Symbol, SymbolKind, Visibility};

use btf::Endian;

/// Bytes with the byte order of the numbers in them.
#[derive(Clone, Copy)]
struct Bytes<'a> {
    data: &'a [u8],
    endian: Endian,
}

impl Bytes<'_> {
    fn take<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        self.data.get(at..)?.first_chunk().copied()
    }

    fn u16(&self, at: usize) -> Option<u16> {
        let bytes = self.take(at)?;
        Some(match self.endian {
            Endian::Little => u16::from_le_bytes(bytes),
            Endian::Big => u16::from_be_bytes(bytes),
        })
    }

    fn u32(&self, at: usize) -> Option<u32> {
        let bytes = self.take(at)?;
        Some(match self.endian {
            Endian::Little => u32::from_le_bytes(bytes),
            Endian::Big => u32::from_be_bytes(bytes),
        })
    }

    fn u64(&self, at: usize) -> Option<u64> {
        let bytes = self.take(at)?;
        Some(match self.endian {
            Endian::Little => u64::from_le_bytes(bytes),
            Endian::Big => u64::from_be_bytes(bytes),
        })
    }
}

/// Names longer than this are no names: a path may be 4095 bytes, and a symbol may follow it.
const MAX_NAME: usize = 8192;

/// The name at `offset`, ended by a zero.
fn name(strings: &[u8], offset: u32) -> Option<&[u8]> {
    let tail = strings.get(usize::try_from(offset).ok()?..)?;
    let tail = tail.get(..MAX_NAME).unwrap_or(tail);
    let end = memchr::memchr(0, tail)?;
    tail.get(..end)
}

#[cfg(test)]
mod tests;
