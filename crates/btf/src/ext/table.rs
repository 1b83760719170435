//! A table: record size, then blocks of one ELF section's records.

use core::marker::PhantomData;

use super::error::ExtError;
use super::record::Record;
use crate::Endian;
use crate::raw::cursor::word;

/// Section name and count in front of a block's records.
const BLOCK: usize = 8;

/// One of the tables; empty when the section has none.
#[derive(Clone, Copy)]
pub struct Table<'a, R> {
    endian: Endian,
    record_size: usize,
    /// The blocks.
    data: &'a [u8],
    /// Where they start in the section.
    offset: u64,
    records: PhantomData<R>,
}

impl<'a, R: Record> Table<'a, R> {
    /// The table of `len` bytes at `off` behind the header, every count checked.
    pub(super) fn parse(
        section: &'a [u8],
        endian: Endian,
        header_len: u32,
        off: u32,
        len: u32,
    ) -> Result<Self, ExtError> {
        let table = R::TABLE;
        let offset = u64::from(header_len) + u64::from(off);
        let mut out = Self {
            endian,
            record_size: 4 * R::WORDS,
            data: &[],
            offset,
            records: PhantomData,
        };
        if len == 0 {
            return Ok(out);
        }
        if !off.is_multiple_of(4) {
            return Err(ExtError::TableAlign { table, offset });
        }
        let all = usize::try_from(offset)
            .ok()
            .and_then(|start| section.get(start..))
            .and_then(|rest| rest.get(..usize::try_from(len).ok()?))
            .ok_or(ExtError::TableBounds {
                table,
                offset,
                len: len.into(),
                have: section.len() as u64,
            })?;
        let truncated = |at: u64, need: u64, have: usize| ExtError::BlockTruncated {
            table,
            offset: at,
            need,
            have: have as u64,
        };
        let Some((size, data)) = all.split_first_chunk::<4>() else {
            return Err(truncated(offset, 4, all.len()));
        };
        let size = endian.u32(*size);
        let least = 4 * u32::try_from(R::WORDS).unwrap_or_default();
        if size < least || !size.is_multiple_of(4) {
            return Err(ExtError::RecordSize {
                table,
                found: size,
                least,
                offset,
            });
        }
        out.offset += 4;
        out.data = data;
        out.record_size = usize::try_from(size).unwrap_or(usize::MAX);
        let mut rest = data;
        while !rest.is_empty() {
            let at = out.offset + (data.len() - rest.len()) as u64;
            if rest.len() < BLOCK {
                return Err(truncated(at, BLOCK as u64, rest.len()));
            }
            let count = word(endian, rest, 4);
            let need = u64::from(count) * u64::from(size) + BLOCK as u64;
            rest = usize::try_from(need)
                .ok()
                .and_then(|need| rest.get(need..))
                .ok_or(truncated(at, need, rest.len()))?;
        }
        Ok(out)
    }

    /// Bytes of each record in the section: at least those this crate knows.
    pub const fn record_size(&self) -> usize {
        self.record_size
    }

    /// Whether there is no block.
    pub const fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// The blocks in order.
    pub fn blocks(&self) -> impl Iterator<Item = Block<'a, R>> + use<'a, R> {
        let table = *self;
        let mut rest = self.data;
        core::iter::from_fn(move || {
            let (head, behind) = rest.split_at_checked(BLOCK)?;
            let count = word(table.endian, head, 4) as usize;
            let offset = table.offset + (table.data.len() - behind.len()) as u64;
            let (records, next) = behind.split_at_checked(count * table.record_size)?;
            rest = next;
            Some(Block {
                section_name_off: word(table.endian, head, 0),
                offset,
                records: Records {
                    endian: table.endian,
                    record_size: table.record_size,
                    data: records,
                    records: PhantomData,
                },
            })
        })
    }

    /// The records of all blocks in order.
    pub fn records(&self) -> impl Iterator<Item = R> + use<'a, R> {
        self.blocks().flat_map(|block| block.records)
    }
}

impl<R: Record> core::fmt::Debug for Table<'_, R> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Table")
            .field("table", &R::TABLE)
            .field("record_size", &self.record_size)
            .field("bytes", &self.data.len())
            .finish_non_exhaustive()
    }
}

/// The records of one ELF section.
#[derive(Clone)]
pub struct Block<'a, R> {
    section_name_off: u32,
    offset: u64,
    records: Records<'a, R>,
}

impl<'a, R: Record> Block<'a, R> {
    /// String offset of the ELF section's name.
    pub const fn section_name_off(&self) -> u32 {
        self.section_name_off
    }

    /// Where the first record starts in `.BTF.ext`.
    pub const fn offset(&self) -> u64 {
        self.offset
    }

    /// The records in order.
    pub fn records(&self) -> Records<'a, R> {
        self.records.clone()
    }
}

impl<R: Record + core::fmt::Debug> core::fmt::Debug for Block<'_, R> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Block")
            .field("section_name_off", &self.section_name_off)
            .field("records", &self.records)
            .finish_non_exhaustive()
    }
}

/// Iterator over a block's records.
#[derive(Clone)]
pub struct Records<'a, R> {
    endian: Endian,
    record_size: usize,
    data: &'a [u8],
    records: PhantomData<R>,
}

impl<R: Record> Iterator for Records<'_, R> {
    type Item = R;

    fn next(&mut self) -> Option<R> {
        let (head, rest) = self.data.split_at_checked(self.record_size)?;
        self.data = rest;
        let endian = self.endian;
        let words = core::array::from_fn(|i| {
            if i < R::WORDS {
                word(endian, head, 4 * i)
            } else {
                0
            }
        });
        Some(R::from_words(words))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let len = self.data.len() / self.record_size;
        (len, Some(len))
    }
}

impl<R: Record> ExactSizeIterator for Records<'_, R> {}

impl<R: Record + core::fmt::Debug> core::fmt::Debug for Records<'_, R> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}
