//! USDT: static probes that programs have built in.
//!
//! A probe is an instruction that does nothing and a note that says where it is, what it is
//! called, and where its arguments are at that place. The same probe may be at many places, each
//! with arguments in other registers.

mod args;
mod registers;
mod spec;

pub use args::{Argument, Location};
pub use spec::{Layout, MAX_ARGUMENTS, Spec};

use super::read::{Numbers, ReadAt, c_str};
use super::{ElfFile, SymbolError, notes};
use object::elf;

/// The section of the notes.
const SECTION: &[u8] = b".note.stapsdt";
/// The section whose address tells whether the file was moved after notes were written.
const BASE: &[u8] = b".stapsdt.base";
/// Who defines these notes.
const OWNER: &[u8] = b"stapsdt";
/// The only type of such notes.
const KIND: u32 = 3;

/// A static probe at one place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Probe {
    /// Who has it, usually the name of the program or library.
    pub provider: String,
    /// Its name.
    pub name: String,
    /// The address of its instruction, before the file is moved in memory.
    pub address: u64,
    /// The address of the number that says how many look at it.
    pub semaphore: Option<u64>,
    /// Where its arguments are, in the words of the assembler.
    pub arguments: String,
}

/// Where a probe is in its file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UsdtPlace {
    /// Its instruction.
    pub offset: u64,
    /// The number that says how many look at it; 0 when it has none.
    pub ref_ctr_offset: u64,
}

/// The instructions of a probe that newer kernels make fast on x86-64: a `nop` of one byte for
/// kernels that are older, then one of ten bytes that a call fits in.
const NOP_COMBO: [u8; 11] = [
    0x90, 0x66, 0x2e, 0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00,
];

/// The static probes of a file, in the order of their notes.
///
/// # Errors
/// The notes are not within the file, or one of them is damaged.
pub fn probes<R: ReadAt>(file: &ElfFile<R>) -> Result<Vec<Probe>, SymbolError> {
    let Some(section) = file.section_by_name(SECTION) else {
        return Ok(Vec::new());
    };
    let data = file.data(&section, "usdt notes")?;
    let numbers = file.numbers(&data);
    let base = file.section_by_name(BASE).map(|section| section.address);
    notes(&data, numbers.big, 4)
        .enumerate()
        .filter(|(_, note)| note.name == OWNER && note.kind == KIND)
        .map(|(index, note)| {
            let desc = Numbers {
                data: note.desc,
                ..numbers
            };
            probe(desc, base).map_err(|why| SymbolError::BadNote { index, why })
        })
        .collect()
}

/// Three addresses, then three texts.
fn probe(desc: Numbers<'_>, base: Option<u64>) -> Result<Probe, &'static str> {
    let size = desc.word_size();
    let word = |index: usize| desc.word(index * size).ok_or("it is cut");
    let (address, linked_base, semaphore) = (word(0)?, word(1)?, word(2)?);
    let mut texts = desc.data.get(3 * size..).ok_or("it is cut")?;
    let mut text = |why| -> Result<String, &'static str> {
        let text = c_str(texts, 0).ok_or(why)?;
        texts = texts.get(text.len() + 1..).unwrap_or_default();
        Ok(String::from_utf8_lossy(text).into_owned())
    };
    let provider = text("its provider does not end")?;
    let name = text("its name does not end")?;
    if name.is_empty() {
        return Err("it has no name");
    }
    let arguments = text("its arguments do not end")?;
    // The section was moved by as much as everything else since.
    let moved = match base {
        Some(base) if base != 0 && linked_base != 0 => base.wrapping_sub(linked_base),
        _ => 0,
    };
    Ok(Probe {
        provider,
        name,
        address: address.wrapping_add(moved),
        semaphore: (semaphore != 0).then(|| semaphore.wrapping_add(moved)),
        arguments: match arguments.starts_with(':') {
            true => String::new(),
            false => arguments,
        },
    })
}

impl Probe {
    /// Provider and name.
    #[must_use]
    pub fn title(&self) -> String {
        format!("{}:{}", self.provider, self.name)
    }

    /// Where it is in the file.
    ///
    /// # Errors
    /// Its address is not that of code in the file, or the semaphore's is not that of data.
    pub fn place<R: ReadAt>(&self, file: &ElfFile<R>) -> Result<UsdtPlace, SymbolError> {
        let what = || format!("static probe `{}`", self.title());
        let (segment, offset) =
            file.segment_of(self.address, false)
                .ok_or_else(|| SymbolError::NotLoaded {
                    what: what(),
                    address: self.address,
                })?;
        if !segment.is_code() {
            return Err(SymbolError::NotCode {
                what: what(),
                address: self.address,
            });
        }
        let ref_ctr_offset = match self.semaphore {
            None => 0,
            Some(address) => {
                let data = file
                    .segment_of(address, true)
                    .filter(|(segment, _)| !segment.is_code());
                let missing = || SymbolError::NotLoaded {
                    what: format!("the semaphore of static probe `{}`", self.title()),
                    address,
                };
                data.ok_or_else(missing)?.1
            }
        };
        Ok(UsdtPlace {
            offset,
            ref_ctr_offset,
        })
    }

    /// Its arguments.
    ///
    /// # Errors
    /// The text is not understood, or names more than programs can look at.
    pub fn arguments(&self, machine: u16) -> Result<Vec<Argument>, SymbolError> {
        args::parse(&self.arguments, machine, &self.title())
    }
}

/// Whether the instruction at a place is followed by one that newer kernels make fast, so that the
/// second is the better place.
pub fn has_fast_nop<R: ReadAt>(file: &ElfFile<R>, offset: u64) -> bool {
    let mut found = [0; NOP_COMBO.len()];
    file.machine() == elf::EM_X86_64.0
        && file.source().read_exact_at(&mut found, offset).is_ok()
        && found == NOP_COMBO
}

#[cfg(test)]
mod tests;
