//! `.BTF.ext` of all objects: a block for each section of the result.

use std::collections::HashMap;

use btf::build::{Builder, Renumbered};
use btf::ext::{CoreRelo, Ext, ExtBuilder, FuncInfo, LineInfo, Record, Table};
use btf::{Btf, Endian};

use super::error::{LinkError, LinkErrorKind};
use super::input::Input;
use super::output::{Merged, Output};
use super::types::Ids;

/// What is said about the instructions of a section; strings are still those of the object
/// with that number.
#[derive(Clone, Default)]
struct Block {
    funcs: Vec<FuncInfo>,
    lines: Vec<(usize, LineInfo)>,
    relos: Vec<(usize, CoreRelo)>,
}

/// All records, with the ids that the types were planned to get.
pub(super) struct Records {
    /// By section of the result.
    blocks: Vec<Block>,
}

impl Records {
    /// Collects what the objects say.
    pub(super) fn collect(
        inputs: &[Input<'_>],
        out: &Output<'_>,
        ids: &Ids,
    ) -> Result<Self, LinkError> {
        let mut blocks = vec![Block::default(); out.sections.len()];
        for (object, (input, merged)) in inputs.iter().zip(&out.merged).enumerate() {
            if let (Some(ext), Some(btf)) = (&input.ext, &input.btf) {
                let mut part = Part {
                    object,
                    input,
                    btf,
                    merged,
                    ids,
                    overlap: (btf.data().len() as u64).saturating_mul(OVERLAP),
                    checked: HashMap::new(),
                };
                part.add_all(ext, &mut blocks)
                    .map_err(|kind| kind.of(&input.name))?;
            }
        }
        Ok(Self { blocks })
    }

    /// The section's bytes, with the ids and strings that the types have now; `None` without
    /// records.
    pub(super) fn write(
        &self,
        inputs: &[Input<'_>],
        out: &Output<'_>,
        endian: Endian,
        types: &mut Builder<'_>,
        renumbered: &Renumbered,
    ) -> Result<Option<Vec<u8>>, LinkErrorKind> {
        let mut ext = ExtBuilder::new(endian);
        let mut is_empty = true;
        let mut strings = HashMap::new();
        let mut string = |types: &mut Builder<'_>, object: usize, offset: u32| {
            let known = strings.entry((object, offset)).or_insert_with(|| {
                let btf = inputs.get(object).and_then(|input| input.btf.as_ref());
                // it was looked at before
                let text = btf.and_then(|btf| btf.str_at(offset).ok());
                types.string(text.unwrap_or_default()).0
            });
            *known
        };
        for at in &out.order {
            let (Some(block), Some(section)) = (self.blocks.get(*at), out.sections.get(*at)) else {
                continue;
            };
            if block.funcs.is_empty() && block.lines.is_empty() && block.relos.is_empty() {
                continue;
            }
            is_empty = false;
            let name = types.string(section.name).0;
            ext.func_info(
                name,
                block.funcs.iter().map(|record| FuncInfo {
                    type_id: renumbered.map(record.type_id),
                    ..*record
                }),
            );
            let mut lines = Vec::with_capacity(block.lines.len());
            for (object, record) in &block.lines {
                lines.push(LineInfo {
                    file_name_off: string(types, *object, record.file_name_off),
                    line_off: string(types, *object, record.line_off),
                    ..*record
                });
            }
            ext.line_info(name, lines);
            let mut relos = Vec::with_capacity(block.relos.len());
            for (object, record) in &block.relos {
                relos.push(CoreRelo {
                    type_id: renumbered.map(record.type_id),
                    access_str_off: string(types, *object, record.access_str_off),
                    ..*record
                });
            }
            ext.core_relos(name, relos);
        }
        if is_empty {
            return Ok(None);
        }
        ext.finish().map(Some).map_err(LinkErrorKind::WriteExt)
    }
}

/// Times the types' bytes that strings which are parts of others may come to.
const OVERLAP: u64 = 16;

/// What one object says.
struct Part<'i> {
    object: usize,
    input: &'i Input<'i>,
    btf: &'i Btf<'i>,
    merged: &'i Merged<'i>,
    ids: &'i Ids,
    /// Bytes that strings which start inside another may still have.
    overlap: u64,
    /// Strings that were looked at, and whether they are there.
    checked: HashMap<u32, bool>,
}

/// What is wrong with a record.
type Defect = &'static str;

impl Part<'_> {
    fn add_all(&mut self, ext: &Ext<'_>, blocks: &mut [Block]) -> Result<(), LinkErrorKind> {
        self.add("func_info", ext.func_info(), blocks, Self::func)?;
        self.add("line_info", ext.line_info(), blocks, Self::line)?;
        self.add("core_relo", ext.core_relos(), blocks, Self::relo)
    }

    /// Adds a table: each record is moved with its section, then `add` puts it where it
    /// belongs.
    fn add<R: Record>(
        &mut self,
        table: &'static str,
        records: Table<'_, R>,
        blocks: &mut [Block],
        add: impl Fn(&mut Self, &mut Block, R, u64) -> Result<u32, (u32, Defect)>,
    ) -> Result<(), LinkErrorKind> {
        for block in records.blocks() {
            let name = self
                .btf
                .str_at(block.section_name_off())
                .unwrap_or_default();
            let Some(section) = self.input.section_by_name(name) else {
                return Err(LinkErrorKind::ExtSection {
                    table,
                    section: btf::escape(name).into_owned(),
                });
            };
            // what is said about sections that are left out is left out
            let Some(placed) = self.merged.sections.get(section).copied().flatten() else {
                continue;
            };
            let Some(out) = blocks.get_mut(placed.section) else {
                continue;
            };
            for record in block.records() {
                add(self, out, record, placed.offset).map_err(|(offset, why)| {
                    LinkErrorKind::ExtRecord {
                        table,
                        section: btf::escape(name).into_owned(),
                        offset: offset.into(),
                        why,
                    }
                })?;
            }
        }
        Ok(())
    }

    fn func(&mut self, out: &mut Block, record: FuncInfo, by: u64) -> Result<u32, (u32, Defect)> {
        let old = record.insn_off;
        let insn_off = moved(old, by)?;
        let type_id = self.ids.get(self.object, record.type_id);
        let type_id = type_id.ok_or((old, NO_TYPE))?;
        out.funcs.push(FuncInfo { insn_off, type_id });
        Ok(insn_off)
    }

    fn line(&mut self, out: &mut Block, record: LineInfo, by: u64) -> Result<u32, (u32, Defect)> {
        let old = record.insn_off;
        let insn_off = moved(old, by)?;
        for offset in [record.file_name_off, record.line_off] {
            self.check_string(offset).map_err(|why| (old, why))?;
        }
        out.lines
            .push((self.object, LineInfo { insn_off, ..record }));
        Ok(insn_off)
    }

    fn relo(&mut self, out: &mut Block, record: CoreRelo, by: u64) -> Result<u32, (u32, Defect)> {
        let old = record.insn_off;
        let insn_off = moved(old, by)?;
        let type_id = self.ids.get(self.object, record.type_id);
        let type_id = type_id.ok_or((old, NO_TYPE))?;
        self.check_string(record.access_str_off)
            .map_err(|why| (old, why))?;
        let record = CoreRelo {
            insn_off,
            type_id,
            ..record
        };
        out.relos.push((self.object, record));
        Ok(insn_off)
    }

    /// Strings that are parts of each other would be many times the section, each for itself.
    fn check_string(&mut self, offset: u32) -> Result<(), Defect> {
        if let Some(sound) = self.checked.get(&offset) {
            return if *sound { Ok(()) } else { Err(NO_STRING) };
        }
        let text = self.btf.str_at(offset);
        self.checked.insert(offset, text.is_ok());
        let text = text.map_err(|_error| NO_STRING)?;
        let before = offset.checked_sub(1).map(|before| self.btf.str_at(before));
        if before.is_some_and(|before| before.is_ok_and(|text| !text.is_empty())) {
            let left = self.overlap.checked_sub(text.len() as u64);
            self.overlap = left.ok_or("has a string that is part of too many others")?;
        }
        Ok(())
    }
}

const NO_TYPE: Defect = "has a type that is not in section .BTF";
const NO_STRING: Defect = "has a string that is not in section .BTF";

fn moved(offset: u32, by: u64) -> Result<u32, (u32, Defect)> {
    u32::try_from(by)
        .ok()
        .and_then(|by| offset.checked_add(by))
        .ok_or((offset, "is 4 gib or more from the start of its section"))
}
