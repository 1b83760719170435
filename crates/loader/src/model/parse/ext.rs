//! What the compiler says about instructions (`.BTF.ext`), handed out to functions.

use super::ModelError;
use super::functions::{Functions, SLOT};
use super::sections::Role;
use super::source::{Log, Source, shown};
use crate::model::{FuncInfo, LineInfo};
use btf::Btf;
use btf::ext::{CoreRelo, Ext, Record, Table};
use std::collections::HashMap;
use std::ops::Range;

/// Records of one table with the section they are for, ascending.
struct Sorted<R> {
    records: Vec<(u32, u32, R)>,
}

impl<R: Record> Sorted<R> {
    fn new(
        table: &Table<'_, R>,
        place: impl Fn(&R) -> u32,
        btf: &Btf<'_>,
        sections: &HashMap<&[u8], u32>,
        log: &mut Log,
    ) -> Result<Self, ModelError> {
        let mut records = Vec::new();
        for block in table.blocks() {
            let name = btf.str_at(block.section_name_off()).unwrap_or_default();
            log.count(name)?;
            let Some(section) = sections.get(name) else {
                log.note(|| {
                    let name = shown(name);
                    format!("'.BTF.ext' speaks of section '{name}', which is none of code")
                });
                continue;
            };
            records.extend(
                block
                    .records()
                    .map(|record| (*section, place(&record), record)),
            );
        }
        if !records.is_sorted_by_key(|(section, place, _)| (*section, *place)) {
            records.sort_by_key(|(section, place, _)| (*section, *place));
        }
        Ok(Self { records })
    }

    /// The records of a place, each with its distance from the start.
    fn of(&self, section: u32, range: &Range<u64>) -> impl Iterator<Item = (u32, R)> {
        let first = self
            .records
            .partition_point(|(of, at, _)| (*of, u64::from(*at)) < (section, range.start));
        let rest = self.records.get(first..).unwrap_or_default();
        let (start, end) = (range.start, range.end);
        rest.iter()
            .take_while(move |(of, at, _)| *of == section && u64::from(*at) < end)
            .filter_map(move |(_, at, record)| {
                let off = u64::from(*at).checked_sub(start)?;
                Some((u32::try_from(off).ok()?, *record))
            })
    }
}

/// Hands out the records of all tables. Those of no function belong to weak functions that gave
/// way to others.
pub(super) fn collect(
    source: &Source<'_>,
    btf: &Btf<'_>,
    functions: &mut Functions,
    log: &mut Log,
) -> Result<(), ModelError> {
    let Some(section) = source.with_role(Role::BtfExt).last() else {
        return Ok(());
    };
    let ext = match Ext::parse(section.data()?) {
        Ok(ext) => ext,
        Err(error) => {
            log.note(|| format!("section '.BTF.ext' is left out: {error}"));
            return Ok(());
        }
    };
    let mut sections = HashMap::new();
    for section in source.elf.sections() {
        if source.role(section.index).is_code() {
            sections.entry(section.name).or_insert(section.index);
        }
    }
    let funcs = Sorted::new(&ext.func_info(), |r| r.insn_off, btf, &sections, log)?;
    let lines = Sorted::new(&ext.line_info(), |r| r.insn_off, btf, &sections, log)?;
    let relos = Sorted::new(&ext.core_relos(), |r| r.insn_off, btf, &sections, log)?;
    let slot = |off: u32| off / Slot32::SLOT;
    for at in 0..functions.functions.len() {
        let Some(span) = u32::try_from(at)
            .ok()
            .and_then(|at| functions.span(crate::model::FuncIdx(at)))
        else {
            continue;
        };
        let Some(function) = functions.functions.get_mut(at) else {
            continue;
        };
        let range = span.start..span.end;
        function.func_info = funcs
            .of(span.section, &range)
            .map(|(off, record)| FuncInfo {
                insn: slot(off),
                type_id: record.type_id,
            })
            .collect();
        function.line_info = lines
            .of(span.section, &range)
            .map(|(off, record)| LineInfo {
                insn: slot(off),
                file_name_off: record.file_name_off,
                line_off: record.line_off,
                line_col: record.line_col,
            })
            .collect();
        // the kernel takes one line for an instruction
        function.line_info.dedup_by_key(|line| line.insn);
        function.core_relos = relos
            .of(span.section, &range)
            .map(|(off, record)| CoreRelo {
                insn_off: off,
                ..record
            })
            .collect();
    }
    Ok(())
}

/// Bytes of an instruction, in 32 bits.
struct Slot32;

impl Slot32 {
    #[expect(clippy::cast_possible_truncation, reason = "8")]
    const SLOT: u32 = SLOT as u32;
}
