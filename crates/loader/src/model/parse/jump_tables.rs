//! Tables that programs jump through (`.jumptables`).

use super::ModelError;
use super::functions::SLOT;
use super::sections::Role;
use super::source::{Log, Source, shown};
use crate::elf::{Section, Symbol};
use crate::model::{JumpTable, TableIdx};
use btf::Endian;
use std::collections::HashMap;

/// Bytes of an entry.
const ENTRY: usize = 8;
/// How often tables may say the same entry.
const MAX_SHARED: usize = 4;

/// The tables that were asked for.
pub(super) struct Tables<'a> {
    data: &'a [u8],
    endian: Endian,
    tables: Vec<JumpTable>,
    /// By place, size and section of the instructions.
    known: HashMap<(u64, u64, &'a [u8]), TableIdx>,
    /// Entries that may yet be made.
    left: usize,
}

impl<'a> Tables<'a> {
    pub(super) fn new(source: &Source<'a>) -> Result<Self, ModelError> {
        let section = source.with_role(Role::JumpTables).last();
        let data = section.map_or(Ok(&[][..]), Section::data)?;
        Ok(Self {
            data,
            endian: source.elf.endian(),
            tables: Vec::new(),
            known: HashMap::new(),
            left: data.len() / ENTRY * MAX_SHARED,
        })
    }

    /// The table of a symbol, for instructions of a section.
    pub(super) fn table(
        &mut self,
        symbol: &Symbol<'_>,
        addend: i64,
        section: &'a [u8],
    ) -> Result<TableIdx, String> {
        if addend != 0 {
            return Err("it leads into the middle of a jump table".to_owned());
        }
        let key = (symbol.value, symbol.size, section);
        if let Some(known) = self.known.get(&key) {
            return Ok(*known);
        }
        let (start, size) = (symbol.value, symbol.size);
        if size == 0 || size % ENTRY as u64 != 0 || start % ENTRY as u64 != 0 {
            return Err(format!(
                "{size} bytes at offset {start} are not a number of entries of a jump table"
            ));
        }
        let bytes = usize::try_from(start)
            .ok()
            .zip(usize::try_from(size).ok())
            .and_then(|(start, size)| self.data.get(start..)?.get(..size))
            .ok_or_else(|| {
                let have = self.data.len();
                format!("{size} bytes at offset {start} are not in section '.jumptables' of {have}")
            })?;
        let (entries, _) = bytes.as_chunks::<ENTRY>();
        self.left = self
            .left
            .checked_sub(entries.len())
            .ok_or("jump tables overlap")?;
        let endian = self.endian;
        let insns = entries.iter().map(|bytes| {
            let place = match endian {
                Endian::Little => u64::from_le_bytes(*bytes),
                Endian::Big => u64::from_be_bytes(*bytes),
            };
            let insn = place.is_multiple_of(SLOT).then_some(place / SLOT);
            insn.and_then(|insn| u32::try_from(insn).ok())
                .ok_or_else(|| format!("entry {place} of its jump table is no instruction"))
        });
        let table = JumpTable {
            name: shown(symbol.name.unwrap_or(b"?")),
            section: String::from_utf8_lossy(section).into_owned(),
            entries: insns.collect::<Result<_, _>>()?,
        };
        let at = TableIdx(u32::try_from(self.tables.len()).unwrap_or(u32::MAX));
        self.tables.push(table);
        self.known.insert(key, at);
        Ok(at)
    }

    /// The tables.
    pub(super) fn finish(self, log: &mut Log) -> Vec<JumpTable> {
        if self.tables.is_empty() && !self.data.is_empty() {
            log.note(|| "section '.jumptables' is left out: nothing jumps through it".to_owned());
        }
        self.tables
    }
}
