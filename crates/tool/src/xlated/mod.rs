//! The listing of a program's instructions as the kernel keeps them: names of what is called,
//! prototypes and source lines beside them.

pub mod dot;
pub mod graph;
pub mod proto;
pub mod symbols;

use bpfsys::cmd::{ProgDetails, ProgParts};
use bpfsys::insn::Insn;
use bpfsys::insn::disasm::disasm_one;
use bpfsys::uapi::info::{FuncInfo, LineInfo};
use bpfsys::{BtfFd, BtfId, ProgFd};
use btf::Btf;
use loader::machine::Machine;
use zerocopy::IntoBytes;

use crate::failure::{Failure, Result};
use crate::render::escape::Text;
use symbols::{CallNames, KernelSymbols};

/// A source line beside an instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceLine {
    /// Its text, without the blanks in front.
    pub text: Text,
    /// The file, as the compiler was given it.
    pub file: Text,
    /// Line number, 0 when unknown.
    pub line: u32,
    /// Column, 0 when unknown.
    pub column: u32,
}

/// One instruction of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its slot.
    pub index: usize,
    /// The prototype of the function that begins here.
    pub proto: Option<Text>,
    /// The source line that begins here.
    pub source: Option<SourceLine>,
    /// `(95) exit`
    pub text: String,
    /// The slot, and the next one of a 64-bit load.
    pub slots: Vec<Insn>,
}

/// The program's instructions, as the verifier left them; fails where the kernel hides them.
pub fn instructions(prog: &ProgFd) -> Result<ProgDetails> {
    let parts =
        ProgParts::XLATED | ProgParts::JITED_KSYMS | ProgParts::FUNC_INFO | ProgParts::LINE_INFO;
    let details = prog
        .details(parts)
        .map_err(|error| Failure::because("can't get prog info", error))?;
    if details.xlated.is_empty() {
        let failure = Failure::new(format_args!(
            "the kernel does not show the instructions of program {}",
            details.info.id
        ));
        return Err(match Machine::ask().hides_instructions() {
            Some(why) => failure.with_hint(why),
            None => failure,
        });
    }
    Ok(details)
}

/// Lists a program. Without symbols of the kernel, addresses stand for names.
pub fn listing(details: &ProgDetails, symbols: &KernelSymbols) -> Result<Vec<Row>> {
    let btf = load_btf(details.info.btf_id)?;
    let names = CallNames::new(symbols, &details.jited_ksyms, &details.xlated);
    let mut functions = details.func_info.as_slice();
    let mut lines = details.line_info.as_slice();
    let mut rows = Vec::with_capacity(details.xlated.len());
    let mut index = 0;
    while index < details.xlated.len() {
        let line = disasm_one(&details.xlated, index, &names);
        let end = index + line.slots.max(1);
        rows.push(Row {
            index,
            proto: btf
                .as_ref()
                .and_then(|btf| prototype(btf, &mut functions, index)),
            source: btf
                .as_ref()
                .and_then(|btf| source_line(btf, &mut lines, index)),
            text: line.to_string(),
            slots: details.xlated.get(index..end).unwrap_or_default().to_vec(),
        });
        index = end;
    }
    Ok(rows)
}

/// The raw bytes of the instructions.
#[must_use]
pub fn bytes(details: &ProgDetails) -> &[u8] {
    details.xlated.as_bytes()
}

/// The types of a program; `None` where it has none.
pub(crate) fn load_btf(id: u32) -> Result<Option<Btf<'static>>> {
    let Some(id) = BtfId::new(id) else {
        return Ok(None);
    };
    let data = BtfFd::by_id(id)
        .and_then(|fd| fd.data())
        .map_err(|error| Failure::because(format_args!("failed to get BTF {id}"), error))?;
    let btf = Btf::parse(data)
        .map_err(|error| Failure::because(format_args!("can't read BTF {id}"), error))?;
    Ok(Some(btf))
}

/// The prototype of the function that begins at `index`; records come in the order of
/// instructions, and each is used up by the first instruction at or after it.
fn prototype(btf: &Btf<'_>, functions: &mut &[FuncInfo], index: usize) -> Option<Text> {
    let at = |record: &FuncInfo| usize::try_from(record.insn_off).unwrap_or(usize::MAX);
    let (first, rest) = functions.split_first()?;
    if at(first) > index {
        return None;
    }
    *functions = rest;
    (at(first) == index)
        .then(|| proto::of_function(btf, first.type_id))
        .flatten()
}

fn source_line(btf: &Btf<'_>, lines: &mut &[LineInfo], index: usize) -> Option<SourceLine> {
    let mut found = None;
    while let Some((first, rest)) = lines.split_first()
        && usize::try_from(first.insn_off).is_ok_and(|at| at <= index)
    {
        found = Some(first);
        *lines = rest;
    }
    source_of(btf, found?)
}

/// The line of source that a record tells of.
pub(crate) fn source_of(btf: &Btf<'_>, record: &LineInfo) -> Option<SourceLine> {
    let text = btf.str_at(record.line_off).ok()?;
    Some(SourceLine {
        text: Text::from(text.trim_ascii_start()),
        file: Text::from(btf.str_at(record.file_name_off).unwrap_or_default()),
        line: record.line_col >> 10,
        column: record.line_col & 0x3ff,
    })
}
