//! The records of the tables, as words.

use crate::TypeId;

/// A record of a `.BTF.ext` table: up to four 32-bit words.
pub trait Record: Copy + sealed::Words {}

pub(super) mod sealed {
    /// How a record is made of words.
    pub trait Words: Sized {
        /// The table's name in messages.
        const TABLE: &'static str;
        /// Words of the record.
        const WORDS: usize;
        /// The record that the words stand for; those behind [`WORDS`](Self::WORDS) are 0.
        fn from_words(words: [u32; 4]) -> Self;
        /// The other way.
        fn to_words(self) -> [u32; 4];
    }
}

/// A function starts at an instruction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[doc(alias = "bpf_func_info")]
pub struct FuncInfo {
    /// Bytes from the start of the ELF section.
    pub insn_off: u32,
    /// A type of kind `FUNC`.
    pub type_id: TypeId,
}

impl Record for FuncInfo {}

impl sealed::Words for FuncInfo {
    const TABLE: &'static str = "func_info";
    const WORDS: usize = 2;

    fn from_words([insn_off, type_id, ..]: [u32; 4]) -> Self {
        Self {
            insn_off,
            type_id: TypeId(type_id),
        }
    }

    fn to_words(self) -> [u32; 4] {
        [self.insn_off, self.type_id.0, 0, 0]
    }
}

/// The source line of the instructions from one on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[doc(alias = "bpf_line_info")]
pub struct LineInfo {
    /// Bytes from the start of the ELF section.
    pub insn_off: u32,
    /// String offset of the file's name.
    pub file_name_off: u32,
    /// String offset of the line's text.
    pub line_off: u32,
    /// Line and column in one word, as the kernel takes it.
    pub line_col: u32,
}

impl LineInfo {
    /// Line, from 1 on.
    pub const fn line(&self) -> u32 {
        self.line_col >> 10
    }

    /// Column, from 1 on; 0 when it is not known.
    pub const fn column(&self) -> u32 {
        self.line_col & 0x3ff
    }
}

impl Record for LineInfo {}

impl sealed::Words for LineInfo {
    const TABLE: &'static str = "line_info";
    const WORDS: usize = 4;

    fn from_words([insn_off, file_name_off, line_off, line_col]: [u32; 4]) -> Self {
        Self {
            insn_off,
            file_name_off,
            line_off,
            line_col,
        }
    }

    fn to_words(self) -> [u32; 4] {
        [
            self.insn_off,
            self.file_name_off,
            self.line_off,
            self.line_col,
        ]
    }
}
