//! `prog dump jited`: the machine code of programs.

use std::io::{self, Write};

use bpfsys::ProgFd;
use nix::sys::utsname::uname;

use super::{Insns, Shown, show, source_text, source_view};
use crate::command::Context;
use crate::failure::{Failure, Result};
use crate::jited::disasm::Arch;
use crate::jited::{self, Function, Listing, Row};
use crate::names::ProgNames;
use crate::nouns::prog::gather;
use crate::nouns::prog::view::{CodeView, FunctionView, ListingView, MachineInsnView};
use crate::render::json::HexBytes;
use crate::xlated::symbols::KernelSymbols;

/// Lists the machine code of programs.
pub(super) fn list(context: &mut Context<'_, '_>, progs: &[ProgFd], what: Shown) -> Result<()> {
    let system = uname().map_err(|error| Failure::because("can't tell the machine", error))?;
    let machine = system.machine().to_string_lossy();
    let arch = Arch::of_machine(&machine);
    let symbols = KernelSymbols::read(context.kernel.proc_root());
    let mut names = ProgNames::default();
    let mut views = Vec::with_capacity(progs.len());
    for prog in progs {
        let details = jited::image(prog)?;
        let listing = jited::listing(&details, &symbols, arch)?;
        views.push(ListingView {
            header: gather::header(prog, &details.info, &mut names),
            insns: code_view(listing, what),
        });
    }
    if arch == Arch::Unknown {
        context.output.remark(format_args!(
            "the instructions of {machine} are not known: their bytes are shown"
        ));
    }
    show(context, &views)
}

fn code_view(listing: Listing, what: Shown) -> CodeView {
    let insns = |rows: Vec<Row>| rows.into_iter().map(|row| insn_view(row, what)).collect();
    let function = |function: Function| FunctionView {
        proto: function.proto,
        name: function.name,
        insns: insns(function.rows),
    };
    match listing {
        Listing::Functions(functions) => {
            CodeView::Functions(functions.into_iter().map(function).collect())
        }
        Listing::Insns(rows) => CodeView::Insns(insns(rows)),
    }
}

fn insn_view(row: Row, what: Shown) -> MachineInsnView {
    let operands: Vec<_> = row
        .insn
        .operands()
        .map(|part| Some(part.to_owned()))
        .collect();
    MachineInsnView {
        source: row.source.map(|source| source_view(source, what)),
        pc: format!("{:#x}", row.insn.offset),
        operation: row.insn.operation().to_owned(),
        operands: if operands.is_empty() {
            vec![None]
        } else {
            operands
        },
        opcodes: what.opcodes.then_some(HexBytes(row.bytes)),
        offset: row.insn.offset,
        text: row.insn.text,
    }
}

impl Insns for CodeView {
    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        let functions = match self {
            Self::Functions(functions) => functions,
            Self::Insns(insns) => return insns_text(insns, out),
        };
        for function in functions {
            if let Some(proto) = &function.proto {
                writeln!(out, "{proto}:")?;
            }
            writeln!(out, "{}:", function.name)?;
            insns_text(&function.insns, out)?;
            out.write_all(b"\n")?;
        }
        Ok(())
    }
}

fn insns_text(insns: &[MachineInsnView], out: &mut dyn Write) -> io::Result<()> {
    for insn in insns {
        source_text(insn.source.as_ref(), out)?;
        writeln!(out, "{:4x}:\t{}", insn.offset, insn.text)?;
        if let Some(HexBytes(bytes)) = &insn.opcodes {
            out.write_all(b"\t")?;
            for byte in bytes {
                write!(out, "{byte:02x} ")?;
            }
            out.write_all(b"\n")?;
        }
    }
    Ok(())
}
