//! `prog dump xlated`: the instructions of programs, as the verifier left them.

use std::io::{self, Write};

use bpfsys::ProgFd;
use zerocopy::IntoBytes;

use super::{Insns, Shown, show, source_text, source_view};
use crate::command::Context;
use crate::failure::Result;
use crate::names::ProgNames;
use crate::nouns::prog::gather;
use crate::nouns::prog::view::{InsnView, ListingView, OpcodesView};
use crate::render::hexdump;
use crate::render::json::HexBytes;
use crate::xlated::dot::Dot;
use crate::xlated::symbols::KernelSymbols;
use crate::xlated::{self, Row, graph};

/// Lists the instructions of programs.
pub(super) fn list(context: &mut Context<'_, '_>, progs: &[ProgFd], what: Shown) -> Result<()> {
    let symbols = KernelSymbols::read(context.kernel.proc_root());
    let mut names = ProgNames::default();
    let mut views: Vec<ListingView<Vec<InsnView>>> = Vec::with_capacity(progs.len());
    for prog in progs {
        let details = xlated::instructions(prog)?;
        let rows = xlated::listing(&details, &symbols)?;
        views.push(ListingView {
            header: gather::header(prog, &details.info, &mut names),
            insns: rows.into_iter().map(|row| insn_view(row, what)).collect(),
        });
    }
    show(context, &views)
}

/// Draws the flow of control of a program, for the programs that show graphs.
pub(super) fn draw(context: &mut Context<'_, '_>, prog: &ProgFd, what: Shown) -> Result<()> {
    let symbols = KernelSymbols::read(context.kernel.proc_root());
    let details = xlated::instructions(prog)?;
    let rows = xlated::listing(&details, &symbols)?;
    let functions = graph::functions(&rows, &details.func_info, &graph::jump_table(prog));
    let dot = Dot {
        opcodes: what.opcodes,
        line_numbers: what.line_numbers,
    };
    dot.write(&rows, &functions, context.output.text())?;
    Ok(())
}

fn insn_view(row: Row, what: Shown) -> InsnView {
    let opcodes = row.slots.first().filter(|_| what.opcodes).map(|insn| {
        let bytes = row.slots.as_bytes();
        OpcodesView {
            code: format!("0x{:02x}", insn.code),
            src_reg: format!("0x{:x}", insn.src()),
            dst_reg: format!("0x{:x}", insn.dst()),
            off: HexBytes(insn.off.as_bytes().to_vec()),
            imm: HexBytes(bytes.get(4..).unwrap_or_default().to_vec()),
            slots: bytes.as_chunks().0.to_vec(),
        }
    });
    InsnView {
        proto: row.proto,
        source: row.source.map(|source| source_view(source, what)),
        disasm: row.text,
        opcodes,
        index: row.index,
    }
}

impl Insns for Vec<InsnView> {
    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        insns_text(self, out)
    }
}

fn insns_text(insns: &[InsnView], out: &mut dyn Write) -> io::Result<()> {
    for insn in insns {
        if let Some(proto) = &insn.proto {
            writeln!(out, "{proto}:")?;
        }
        source_text(insn.source.as_ref(), out)?;
        writeln!(out, "{:4}: {}", insn.index, insn.disasm)?;
        if let Some(opcodes) = &insn.opcodes {
            let mut bytes = Vec::new();
            for slot in &opcodes.slots {
                bytes.push(b' ');
                hexdump::append(&mut bytes, slot);
            }
            out.write_all(b"      ")?;
            out.write_all(&bytes)?;
            out.write_all(b"\n")?;
        }
    }
    Ok(())
}
