//! The machine code that the kernel compiled a program to: its functions with their names,
//! prototypes and source lines beside the instructions.

mod arm64;
pub mod disasm;
#[cfg(test)]
mod tests;
mod x86;

use bpfsys::ProgFd;
use bpfsys::cmd::{ProgDetails, ProgParts};
use bpfsys::uapi::info::LineInfo;
use btf::Btf;
use loader::machine::Machine;

use crate::failure::{Failure, Result};
use crate::render::escape::Text;
use crate::xlated::symbols::KernelSymbols;
use crate::xlated::{SourceLine, load_btf, proto, source_of};
use disasm::{Arch, Insn, disassemble};

/// What a function is called where the kernel does not tell where it is.
const UNNAMED: &str = "unknown";

/// A line of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The source line that begins here.
    pub source: Option<SourceLine>,
    /// The instruction.
    pub insn: Insn,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// A function of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    /// Its prototype, where the program has BTF.
    pub proto: Option<Text>,
    /// Its symbol, or its address where it has none.
    pub name: Text,
    /// Its instructions.
    pub rows: Vec<Row>,
}

/// A listing of a program's machine code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listing {
    /// Function by function.
    Functions(Vec<Function>),
    /// The kernel does not tell where functions begin.
    Insns(Vec<Row>),
}

/// The program's machine code; says why there is none.
pub fn image(prog: &ProgFd) -> Result<ProgDetails> {
    let parts = ProgParts::JITED
        | ProgParts::JITED_KSYMS
        | ProgParts::JITED_FUNC_LENS
        | ProgParts::FUNC_INFO
        | ProgParts::LINE_INFO
        | ProgParts::JITED_LINE_INFO;
    let details = prog
        .details(parts)
        .map_err(|error| Failure::because("can't get prog info", error))?;
    if details.jited.is_empty() {
        return Err(no_image(&details, &Machine::ask()));
    }
    Ok(details)
}

/// Why a program has no machine code to show, by the machine's settings.
fn no_image(details: &ProgDetails, machine: &Machine) -> Failure {
    let info = &details.info;
    // without CAP_BPF not even lengths are told
    if details.jited_hidden || (info.jited_prog_len == 0 && info.xlated_prog_len == 0) {
        let failure = Failure::new(format_args!(
            "the kernel does not show the machine code of program {}",
            info.id
        ));
        return match machine.without_bpf().or_else(|| machine.hides_addresses()) {
            Some(why) => failure.with_hint(why),
            None => failure,
        };
    }
    let hint = match machine.jit_enable {
        Some(0) => {
            "net.core.bpf_jit_enable is 0: programs that are loaded while it is 1 are compiled"
        }
        Some(_) => {
            "net.core.bpf_jit_enable was 0 when it was loaded, or the compiler of this machine cannot compile it"
        }
        None => {
            "the kernel has no compiler (CONFIG_BPF_JIT), or net.core.bpf_jit_enable was 0 when it was loaded"
        }
    };
    Failure::new(format_args!(
        "program {} has no machine code: it is interpreted",
        info.id
    ))
    .with_hint(hint)
}

/// Lists the machine code of a program. Without symbols of the kernel, addresses stand for names.
pub fn listing(details: &ProgDetails, symbols: &KernelSymbols, arch: Arch) -> Result<Listing> {
    // what is offloaded is for the processor of a device
    let arch = match details.info.ifindex {
        0 => arch,
        _ => Arch::Unknown,
    };
    let btf = load_btf(details.info.btf_id)?;
    Ok(listed(details, btf.as_ref(), symbols, arch))
}

fn listed(
    details: &ProgDetails,
    btf: Option<&Btf<'_>>,
    symbols: &KernelSymbols,
    arch: Arch,
) -> Listing {
    let mut code = details.jited.as_slice();
    if details.jited_func_lens.is_empty() {
        return Listing::Insns(rows(arch, code, None, btf, &[]));
    }
    let lines = line_addresses(details);
    let names = symbols.names_of(&details.jited_ksyms);
    let mut functions = Vec::with_capacity(details.jited_func_lens.len());
    for (n, length) in details.jited_func_lens.iter().enumerate() {
        let length = usize::try_from(*length).unwrap_or(usize::MAX);
        let (own, rest) = code.split_at_checked(length).unwrap_or((code, &[]));
        code = rest;
        let address = details.jited_ksyms.get(n).copied();
        let name = match address {
            Some(address) => names
                .get(&address)
                .filter(|name| !name.is_empty())
                .map_or_else(|| format!("0x{address:016x}"), Clone::clone),
            None => UNNAMED.to_owned(),
        };
        let proto = btf
            .zip(details.func_info.get(n))
            .and_then(|(btf, record)| proto::of_function(btf, record.type_id));
        functions.push(Function {
            proto,
            name: Text::from(name.as_bytes()),
            rows: rows(arch, own, address, btf, &lines),
        });
    }
    // no length says whose they are
    if !code.is_empty() {
        functions.push(Function {
            proto: None,
            name: Text::from(UNNAMED.as_bytes()),
            rows: rows(arch, code, None, btf, &[]),
        });
    }
    Listing::Functions(functions)
}

/// Source lines by the address that they begin at; none where the kernel does not tell.
fn line_addresses(details: &ProgDetails) -> Vec<(u64, &LineInfo)> {
    if details.jited_line_info.len() != details.line_info.len() {
        return Vec::new();
    }
    let addresses = details.jited_line_info.iter().copied();
    let mut lines: Vec<_> = addresses.zip(&details.line_info).collect();
    lines.sort_by_key(|(address, _)| *address);
    lines
}

/// The instructions of a function, which is at `address`.
fn rows(
    arch: Arch,
    code: &[u8],
    address: Option<u64>,
    btf: Option<&Btf<'_>>,
    lines: &[(u64, &LineInfo)],
) -> Vec<Row> {
    let start = address.unwrap_or_default();
    let first = lines.partition_point(|(at, _)| *at < start);
    let mut lines = lines.get(first..).unwrap_or_default();
    disassemble(arch, code, start)
        .into_iter()
        .map(|insn| {
            let at = start.wrapping_add(insn.offset as u64);
            let here = lines.iter().take_while(|(line, _)| *line <= at).count();
            let (passed, rest) = lines.split_at_checked(here).unwrap_or_default();
            lines = rest;
            // of several that begin here, the last is what the code does
            let source = passed
                .last()
                .zip(btf)
                .and_then(|((_, record), btf)| source_of(btf, record));
            let end = insn.offset.saturating_add(insn.length);
            Row {
                source,
                bytes: code.get(insn.offset..end).unwrap_or_default().to_vec(),
                insn,
            }
        })
        .collect()
}
