//! `.BTF.ext`: what a compiler says about instructions, beside the types.
//!
//! Three tables, each in blocks of one ELF section's records: which function starts where
//! ([`FuncInfo`]), which source line an instruction comes from ([`LineInfo`]), and what must
//! be adjusted for the kernel that runs it ([`CoreRelo`]). Names are string offsets of the
//! `.BTF` section that comes with it.
//!
//! [`Ext::parse`] checks every count against the bytes that are there, so looking at records
//! cannot fail. Records may be longer than this crate knows: the rest of each is skipped.

mod build;
mod core_relo;
mod error;
mod record;
mod table;

pub use build::ExtBuilder;
pub use core_relo::{CoreRelo, RelocKind};
pub use error::ExtError;
pub use record::{FuncInfo, LineInfo, Record};
pub use table::{Block, Records, Table};

use crate::Endian;

/// Header bytes before the fields of the third table.
const OLD_HEADER: u32 = 24;
/// Header bytes with all three tables.
const HEADER: u32 = 32;
const MAGIC: u16 = 0xeb9f;

/// A parsed `.BTF.ext` section of either byte order; borrows the bytes.
#[derive(Clone, Copy, Debug)]
pub struct Ext<'a> {
    endian: Endian,
    func_info: Table<'a, FuncInfo>,
    line_info: Table<'a, LineInfo>,
    core_relos: Table<'a, CoreRelo>,
}

impl<'a> Ext<'a> {
    /// Reads the section's bytes.
    ///
    /// # Errors
    /// The first defect of the header or of a table's sizes and counts.
    #[doc(alias = "btf_ext__new")]
    pub fn parse(data: &'a [u8]) -> Result<Self, ExtError> {
        let have = data.len() as u64;
        let short = |need: u32| ExtError::HeaderTruncated {
            need: need.into(),
            have,
        };
        let Some(&[a, b, version, flags, ..]) = data.first_chunk::<8>() else {
            return Err(short(8));
        };
        let endian = match (u16::from_le_bytes([a, b]), u16::from_be_bytes([a, b])) {
            (MAGIC, _) => Endian::Little,
            (_, MAGIC) => Endian::Big,
            (found, _) => return Err(ExtError::Magic { found }),
        };
        if version != 1 {
            return Err(ExtError::Version { found: version });
        }
        if flags != 0 {
            return Err(ExtError::Flags { found: flags });
        }
        let header_len = endian.u32_at(data, 4).ok_or(short(8))?;
        if header_len < OLD_HEADER {
            return Err(ExtError::HeaderLen { found: header_len });
        }
        if u64::from(header_len) > have {
            return Err(short(header_len));
        }
        let field = |at: usize| endian.u32_at(data, at).ok_or(short(header_len));
        let (core_off, core_len) = if header_len >= HEADER {
            (field(24)?, field(28)?)
        } else {
            (0, 0)
        };
        Ok(Self {
            endian,
            func_info: Table::parse(data, endian, header_len, field(8)?, field(12)?)?,
            line_info: Table::parse(data, endian, header_len, field(16)?, field(20)?)?,
            core_relos: Table::parse(data, endian, header_len, core_off, core_len)?,
        })
    }

    /// Byte order of the section.
    pub const fn endian(&self) -> Endian {
        self.endian
    }

    /// Where functions start.
    pub const fn func_info(&self) -> Table<'a, FuncInfo> {
        self.func_info
    }

    /// Source lines of instructions.
    pub const fn line_info(&self) -> Table<'a, LineInfo> {
        self.line_info
    }

    /// What to adjust for the target kernel; empty with the header of before Linux 5.4.
    pub const fn core_relos(&self) -> Table<'a, CoreRelo> {
        self.core_relos
    }
}

#[cfg(test)]
mod tests;
