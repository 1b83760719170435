//! Writing `.BTF.ext`.

use super::core_relo::CoreRelo;
use super::error::ExtError;
use super::record::{FuncInfo, LineInfo, Record};
use super::{Ext, HEADER, MAGIC};
use crate::Endian;

/// A `.BTF.ext` section under construction.
#[derive(Clone, Debug)]
pub struct ExtBuilder {
    endian: Endian,
    func_info: Vec<u8>,
    line_info: Vec<u8>,
    core_relos: Vec<u8>,
}

impl ExtBuilder {
    /// Nothing yet.
    pub const fn new(endian: Endian) -> Self {
        Self {
            endian,
            func_info: Vec::new(),
            line_info: Vec::new(),
            core_relos: Vec::new(),
        }
    }

    /// All of `ext`, to be written in the byte order `endian`; what longer records have behind
    /// the words this crate knows is left out.
    pub fn copy(ext: &Ext<'_>, endian: Endian) -> Self {
        let mut out = Self::new(endian);
        for block in ext.func_info().blocks() {
            out.func_info(block.section_name_off(), block.records());
        }
        for block in ext.line_info().blocks() {
            out.line_info(block.section_name_off(), block.records());
        }
        for block in ext.core_relos().blocks() {
            out.core_relos(block.section_name_off(), block.records());
        }
        out
    }

    /// Adds a block for the ELF section whose name is the string at `section_name_off`; none
    /// without records.
    pub fn func_info(
        &mut self,
        section_name_off: u32,
        records: impl IntoIterator<Item = FuncInfo>,
    ) -> &mut Self {
        block(
            self.endian,
            &mut self.func_info,
            section_name_off,
            records.into_iter(),
        );
        self
    }

    /// As [`func_info`](Self::func_info).
    pub fn line_info(
        &mut self,
        section_name_off: u32,
        records: impl IntoIterator<Item = LineInfo>,
    ) -> &mut Self {
        block(
            self.endian,
            &mut self.line_info,
            section_name_off,
            records.into_iter(),
        );
        self
    }

    /// As [`func_info`](Self::func_info).
    pub fn core_relos(
        &mut self,
        section_name_off: u32,
        records: impl IntoIterator<Item = CoreRelo>,
    ) -> &mut Self {
        block(
            self.endian,
            &mut self.core_relos,
            section_name_off,
            records.into_iter(),
        );
        self
    }

    /// The bytes.
    ///
    /// # Errors
    /// [`ExtError::TooLarge`] for tables of 4 GiB and more.
    pub fn finish(&self) -> Result<Vec<u8>, ExtError> {
        let tables = [
            ("func_info", &self.func_info),
            ("line_info", &self.line_info),
            ("core_relo", &self.core_relos),
        ];
        let mut out = Vec::new();
        let [a, b] = match self.endian {
            Endian::Little => MAGIC.to_le_bytes(),
            Endian::Big => MAGIC.to_be_bytes(),
        };
        out.extend([a, b, 1, 0]);
        put(self.endian, &mut out, HEADER);
        let mut off = 0u32;
        for (table, data) in tables {
            let len = u32::try_from(data.len()).ok();
            let end = len.and_then(|len| off.checked_add(len));
            let (Some(len), Some(end)) = (len, end) else {
                return Err(ExtError::TooLarge {
                    table,
                    len: data.len() as u64,
                });
            };
            put(self.endian, &mut out, off);
            put(self.endian, &mut out, len);
            off = end;
        }
        for (_, data) in tables {
            out.extend_from_slice(data);
        }
        Ok(out)
    }
}

fn put(endian: Endian, out: &mut Vec<u8>, word: u32) {
    out.extend(match endian {
        Endian::Little => word.to_le_bytes(),
        Endian::Big => word.to_be_bytes(),
    });
}

fn block<R: Record>(
    endian: Endian,
    out: &mut Vec<u8>,
    name: u32,
    records: impl Iterator<Item = R>,
) {
    let mut records = records.peekable();
    if records.peek().is_none() {
        return;
    }
    if out.is_empty() {
        put(endian, out, 4 * u32::try_from(R::WORDS).unwrap_or_default());
    }
    put(endian, out, name);
    let at = out.len();
    put(endian, out, 0);
    let mut count = 0u32;
    for record in records {
        for word in record.to_words().into_iter().take(R::WORDS) {
            put(endian, out, word);
        }
        // a table that long is refused when it is finished
        count = count.saturating_add(1);
    }
    let count = match endian {
        Endian::Little => count.to_le_bytes(),
        Endian::Big => count.to_be_bytes(),
    };
    if let Some(place) = out.get_mut(at..at + 4) {
        place.copy_from_slice(&count);
    }
}
