//! `prog dump xlated`: the instructions of programs.

use std::io::{self, Write};
use std::path::Path;

use bpfsys::ProgFd;
use zerocopy::IntoBytes;

use super::gather;
use super::view::{InsnView, ListingView, OpcodesView, SourceView};
use crate::command::{Context, unsupported};
use crate::failure::{Failure, Result};
use crate::handle::ProgHandle;
use crate::names::ProgNames;
use crate::render::View;
use crate::render::hexdump;
use crate::render::json::HexBytes;
use crate::words::{Words, shown};
use crate::xlated::dot::Dot;
use crate::xlated::symbols::KernelSymbols;
use crate::xlated::{self, Row, graph};

/// What to show beside the instructions.
#[derive(Debug, Clone, Copy, Default)]
struct Shown {
    opcodes: bool,
    line_numbers: bool,
    /// As a graph.
    visual: bool,
}

/// `prog dump xlated PROG [{ file FILE | [opcodes] [linum] [visual] }]`
pub(super) fn run(context: &mut Context<'_, '_>, mut words: Words<'_>) -> Result<()> {
    if words.next_is("jited") && !words.is_empty() {
        return Err(unsupported("prog dump jited"));
    }
    if !words.accept("xlated") {
        return Err(match words.peek() {
            Some(word) => Failure::new(format_args!(
                "expected 'xlated' or 'jited', got: {}",
                shown(word)
            )),
            None => Failure::new("expected 'xlated' or 'jited', got nothing"),
        });
    }
    words.require(2)?;
    let handle = ProgHandle::parse(&mut words)?;
    let mut what = Shown::default();
    let mut file: Option<&Path> = None;
    while let Some(word) = words.peek() {
        if words.accept("file") {
            file = Some(words.take_path("file path")?);
        } else if words.accept("opcodes") {
            what.opcodes = true;
        } else if words.accept("visual") {
            what.visual = true;
        } else if words.accept("linum") {
            what.line_numbers = true;
        } else {
            return Err(Failure::usage(format_args!("what is '{}'?", shown(word))));
        }
    }
    if file.is_some() && (what.opcodes || what.line_numbers || what.visual) {
        return Err(Failure::new(
            "'file' is not compatible with 'opcodes', 'visual', or 'linum'",
        ));
    }
    if what.visual && context.output.is_json() {
        return Err(Failure::new("'visual' is not compatible with JSON output"));
    }
    let progs = handle.open_all()?;
    if let Some(path) = file {
        let [prog] = progs.as_slice() else {
            return Err(Failure::new("several programs matched"));
        };
        let details = xlated::instructions(prog)?;
        super::act::write_file(path, xlated::bytes(&details), 0o600)?;
        return context.output.done();
    }
    if what.visual {
        let [prog] = progs.as_slice() else {
            return Err(Failure::new("several programs matched"));
        };
        return draw(context, prog, what);
    }
    list(context, &progs, what)
}

/// The flow of control of a program, for the programs that draw graphs.
fn draw(context: &mut Context<'_, '_>, prog: &ProgFd, what: Shown) -> Result<()> {
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

fn list(context: &mut Context<'_, '_>, progs: &[ProgFd], what: Shown) -> Result<()> {
    let symbols = KernelSymbols::read(context.kernel.proc_root());
    let mut names = ProgNames::default();
    let mut views = Vec::with_capacity(progs.len());
    for prog in progs {
        let details = xlated::instructions(prog)?;
        let rows = xlated::listing(&details, &symbols)?;
        views.push(ListingView {
            header: gather::header(prog, &details.info, &mut names),
            insns: rows.into_iter().map(|row| insn_view(row, what)).collect(),
        });
    }
    let output = &mut *context.output;
    match views.as_slice() {
        [only] if output.is_json() => output.json().value(&only.insns)?,
        [only] => insns_text(&only.insns, output.text())?,
        several => {
            for (n, view) in several.iter().enumerate() {
                if n > 0 && !output.is_json() {
                    output.text().write_all(b"\n")?;
                }
                if !output.is_json() {
                    view.text(output.text())?;
                }
            }
            if output.is_json() {
                output.json().value(several)?;
            }
        }
    }
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
        source: row.source.map(|source| SourceView {
            src: source.text,
            file: what.line_numbers.then_some(source.file),
            line_num: what.line_numbers.then_some(source.line),
            line_col: what.line_numbers.then_some(source.column),
        }),
        disasm: row.text,
        opcodes,
        index: row.index,
    }
}

impl View for ListingView {
    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        self.header.text(out)?;
        insns_text(&self.insns, out)
    }
}

fn insns_text(insns: &[InsnView], out: &mut dyn Write) -> io::Result<()> {
    for insn in insns {
        if let Some(proto) = &insn.proto {
            writeln!(out, "{proto}:")?;
        }
        if let Some(source) = &insn.source {
            write!(out, "; {}", source.src)?;
            if let (Some(file), Some(line), Some(column)) =
                (&source.file, source.line_num, source.line_col)
            {
                write!(out, " [file:{file} line_num:{line} line_col:{column}]")?;
            }
            out.write_all(b"\n")?;
        }
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
