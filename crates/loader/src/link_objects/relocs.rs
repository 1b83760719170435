//! Relocations: moved with their sections, and what they are relative to moved with them.

use std::collections::BTreeMap;

use btf::Endian;

use super::error::{LinkErrorKind, RelocDefect};
use super::input::{INSN, Input, Place, R_64_64, R_ABS64, RelocTable, Role, Symbol};
use super::output::{Merged, OutReloc, Output, Placed};
use super::symbols::JUMP_TABLES;

type Result<T> = core::result::Result<T, LinkErrorKind>;

/// Operation code of a call.
#[doc(alias = "BPF_CALL")]
const CALL: u8 = 0x85;
/// Bytes of an offset in a jump table.
const OFFSET: u64 = 8;

/// The jump tables of an object: where each starts, where it ends, and by how much the code
/// that it leads to was moved.
#[derive(Default)]
struct JumpTables(BTreeMap<u64, (u64, u64)>);

impl<'d> Output<'d> {
    /// Adds the relocations of an object.
    pub(super) fn add_relocs(
        &mut self,
        inputs: &'d [Input<'d>],
        object: usize,
        merged: &Merged<'d>,
    ) -> Result<()> {
        let Some(input) = inputs.get(object) else {
            return Ok(());
        };
        let mut tables = BTreeMap::new();
        for table in &input.relocs {
            self.add_table(input, merged, table, &mut tables)?;
        }
        for (section, tables) in tables {
            let placed = merged.sections.get(section).copied().flatten();
            if let Some(placed) = placed {
                self.move_tables(placed, input.endian, &tables);
            }
        }
        Ok(())
    }

    fn add_table(
        &mut self,
        input: &Input<'d>,
        merged: &Merged<'d>,
        table: &RelocTable,
        tables: &mut BTreeMap<usize, JumpTables>,
    ) -> Result<()> {
        let placed = merged.sections.get(table.target).copied().flatten();
        let target = input.sections.get(table.target);
        // one that is there once is relocated by the object that it is of
        let (Some(placed), Some(target)) = (placed, target) else {
            return Ok(());
        };
        let mut relocs = Vec::with_capacity(table.relocs.len());
        for (index, reloc) in table.relocs.iter().enumerate() {
            let defect = |why| LinkErrorKind::Reloc {
                index,
                section: input.named_section(table.target),
                offset: reloc.offset,
                why,
            };
            let number = u32::try_from(reloc.symbol).unwrap_or(u32::MAX);
            let symbol = merged.symbols.get(reloc.symbol).copied().flatten();
            let (Some(symbol), Some(old)) = (symbol, input.symbols.get(reloc.symbol)) else {
                return Err(defect(RelocDefect::NotLinked(number)));
            };
            let offset = placed.offset.checked_add(reloc.offset);
            let offset = offset.ok_or_else(|| defect(RelocDefect::Outside(target.size)))?;
            if let Place::Section(section) = old.place
                && let Some(moved) = merged.sections.get(section).copied().flatten()
            {
                if old.is_section() {
                    if target.role == Role::Zeros {
                        return Err(defect(RelocDefect::NoBytes));
                    }
                    let place = Placed { offset, ..placed };
                    self.add_to(
                        input.endian,
                        place,
                        target.is_code(),
                        reloc.kind,
                        moved.offset,
                    );
                }
                let from = input
                    .sections
                    .get(section)
                    .filter(|s| s.name == JUMP_TABLES);
                if let Some(from) = from
                    && target.is_code()
                {
                    let tables = tables.entry(section).or_default();
                    tables.uses(old, from.size, placed.offset).map_err(defect)?;
                }
            }
            relocs.push(OutReloc {
                offset,
                symbol,
                kind: reloc.kind,
            });
        }
        if let Some(out) = self.sections.get_mut(placed.section) {
            out.reloc_flags.get_or_insert(table.flags);
            out.relocs.append(&mut relocs);
        }
        Ok(())
    }

    /// Adds `moved` to what is relative to the start of a section: the bytes of an instruction
    /// or of data. Calls count in instructions.
    fn add_to(&mut self, endian: Endian, at: Placed, is_code: bool, kind: u32, moved: u64) {
        let Some(bytes) = self.bytes_at(at.section, at.offset) else {
            return;
        };
        // sections are below 4 GiB, so all counts fit
        if is_code {
            let is_call = bytes.first() == Some(&CALL);
            let by = if is_call { moved / INSN } else { moved };
            if let Some(imm) = bytes.get_mut(4..).and_then(|rest| rest.first_chunk_mut()) {
                add32(endian, imm, by);
            }
        } else if matches!(kind, R_64_64 | R_ABS64) {
            if let Some(word) = bytes.first_chunk_mut() {
                add64(endian, word, moved);
            }
        } else if let Some(word) = bytes.first_chunk_mut() {
            add32(endian, word, moved);
        }
    }

    /// Adds to the offsets in jump tables, which count from the start of the section with the
    /// code.
    fn move_tables(&mut self, placed: Placed, endian: Endian, tables: &JumpTables) {
        let Some(bytes) = self.bytes_at(placed.section, placed.offset) else {
            return;
        };
        for (start, (end, moved)) in &tables.0 {
            let range = usize::try_from(*start).ok().zip(usize::try_from(*end).ok());
            let table = range.and_then(|(start, end)| bytes.get_mut(start..end));
            let (words, _) = table.unwrap_or_default().as_chunks_mut();
            for word in words {
                add64(endian, word, *moved);
            }
        }
    }
}

impl JumpTables {
    /// Notes that code, which was moved by so much, uses a table in a section of `size` bytes.
    fn uses(
        &mut self,
        table: &Symbol<'_>,
        size: u64,
        moved: u64,
    ) -> core::result::Result<(), RelocDefect> {
        if table.is_section() || table.size == 0 {
            // nothing is to be changed where the code stays
            return match moved {
                0 => Ok(()),
                _ => Err(RelocDefect::TableUnknown),
            };
        }
        let start = table.value;
        let end = start.checked_add(table.size).filter(|end| *end <= size);
        let Some(end) = end else {
            return Err(RelocDefect::TableShape);
        };
        if !start.is_multiple_of(OFFSET) || !end.is_multiple_of(OFFSET) {
            return Err(RelocDefect::TableShape);
        }
        match self.0.get(&start) {
            Some((known, _)) if *known != end => return Err(RelocDefect::TableShape),
            Some((_, known)) if *known != moved => return Err(RelocDefect::TableShared),
            Some(_) => return Ok(()),
            None => {}
        }
        let before = self.0.range(..start).next_back();
        let after = self.0.range(start..).next();
        if before.is_some_and(|(_, (before, _))| *before > start)
            || after.is_some_and(|(after, _)| *after < end)
        {
            return Err(RelocDefect::TableShape);
        }
        self.0.insert(start, (end, moved));
        Ok(())
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "counts wrap, as in the kernel"
)]
fn add32(endian: Endian, word: &mut [u8; 4], by: u64) {
    let by = by as u32;
    *word = match endian {
        Endian::Little => u32::from_le_bytes(*word).wrapping_add(by).to_le_bytes(),
        Endian::Big => u32::from_be_bytes(*word).wrapping_add(by).to_be_bytes(),
    };
}

fn add64(endian: Endian, word: &mut [u8; 8], by: u64) {
    *word = match endian {
        Endian::Little => u64::from_le_bytes(*word).wrapping_add(by).to_le_bytes(),
        Endian::Big => u64::from_be_bytes(*word).wrapping_add(by).to_be_bytes(),
    };
}
