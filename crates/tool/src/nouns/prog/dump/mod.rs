//! `prog dump`: the instructions of programs.

mod jited;
mod xlated;

use std::io::{self, Write};
use std::path::Path;

use bpfsys::ProgFd;
use serde::Serialize;

use super::view::{ListingView, SourceView};
use crate::command::Context;
use crate::failure::{Failure, Result};
use crate::handle::ProgHandle;
use crate::render::View as _;
use crate::words::{Words, shown};
use crate::xlated::SourceLine;

/// Which instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Code {
    /// Those that the verifier left.
    Xlated,
    /// Those that the kernel compiled them to.
    Jited,
}

/// What to show beside the instructions.
#[derive(Debug, Clone, Copy, Default)]
struct Shown {
    opcodes: bool,
    line_numbers: bool,
    /// As a graph.
    visual: bool,
}

/// `prog dump xlated PROG [{ file FILE | [opcodes] [linum] [visual] }]`,
/// `prog dump jited PROG [{ file FILE | [opcodes] [linum] }]`
pub(super) fn run(context: &mut Context<'_, '_>, mut words: Words<'_>) -> Result<()> {
    let code = if words.is_empty() {
        return Err(Failure::new("expected 'xlated' or 'jited', got nothing"));
    } else if words.accept("jited") {
        Code::Jited
    } else if words.accept("xlated") {
        Code::Xlated
    } else {
        let word = words.peek().unwrap_or_default();
        return Err(Failure::new(format_args!(
            "expected 'xlated' or 'jited', got: {}",
            shown(word)
        )));
    };
    words.require(2)?;
    let handle = ProgHandle::parse(&mut words)?;
    let mut what = Shown::default();
    let mut file: Option<&Path> = None;
    while let Some(word) = words.peek() {
        if words.accept("file") {
            file = Some(words.take_path("file path")?);
        } else if words.accept("opcodes") {
            what.opcodes = true;
        } else if code == Code::Xlated && words.accept("visual") {
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
        save(prog, code, path)?;
        return context.output.done();
    }
    match code {
        Code::Xlated if what.visual => match progs.as_slice() {
            [prog] => xlated::draw(context, prog, what),
            _ => Err(Failure::new("several programs matched")),
        },
        Code::Xlated => xlated::list(context, &progs, what),
        Code::Jited => jited::list(context, &progs, what),
    }
}

/// Writes the bytes of the instructions to a file.
fn save(prog: &ProgFd, code: Code, path: &Path) -> Result<()> {
    let details = match code {
        Code::Xlated => crate::xlated::instructions(prog)?,
        Code::Jited => crate::jited::image(prog)?,
    };
    let bytes = match code {
        Code::Xlated => crate::xlated::bytes(&details),
        Code::Jited => &details.jited,
    };
    super::act::write_file(path, bytes, 0o600)
}

/// The instructions of one program.
trait Insns: Serialize {
    /// Writes them as text.
    fn text(&self, out: &mut dyn Write) -> io::Result<()>;
}

/// Shows one program as it is, several with what names them.
fn show<I: Insns>(context: &mut Context<'_, '_>, views: &[ListingView<I>]) -> Result<()> {
    let output = &mut *context.output;
    match views {
        [only] if output.is_json() => output.json().value(&only.insns)?,
        [only] => only.insns.text(output.text())?,
        several if output.is_json() => output.json().value(&several)?,
        several => {
            for (n, view) in several.iter().enumerate() {
                let out = output.text();
                if n > 0 {
                    out.write_all(b"\n")?;
                }
                view.header.text(out)?;
                view.insns.text(out)?;
            }
        }
    }
    Ok(())
}

fn source_view(source: SourceLine, what: Shown) -> SourceView {
    SourceView {
        src: source.text,
        file: what.line_numbers.then_some(source.file),
        line_num: what.line_numbers.then_some(source.line),
        line_col: what.line_numbers.then_some(source.column),
    }
}

fn source_text(source: Option<&SourceView>, out: &mut dyn Write) -> io::Result<()> {
    let Some(source) = source else {
        return Ok(());
    };
    write!(out, "; {}", source.src)?;
    if let (Some(file), Some(line), Some(column)) = (&source.file, source.line_num, source.line_col)
    {
        write!(out, " [file:{file} line_num:{line} line_col:{column}]")?;
    }
    out.write_all(b"\n")
}
