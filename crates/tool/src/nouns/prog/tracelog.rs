//! `prog tracelog`: what programs print, to the kernel's trace or to streams of their own.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;

use bpfsys::ProgFd;
use bpfsys::uapi::enums::StreamId;
use loader::streams::ProgStream;
use nix::fcntl::OFlag;

use crate::command::Context;
use crate::failure::{Failure, Result};
use crate::handle::ProgHandle;
use crate::interrupt::{Interrupt, Wake};
use crate::render::escape::Escaped;
use crate::render::lines::Lines;
use crate::tracefs;
use crate::words::{Words, shown};

/// `prog tracelog [{ stdout | stderr } PROG]`
pub(super) fn run(context: &mut Context<'_, '_>, mut words: Words<'_>) -> Result<()> {
    let Some(word) = words.peek() else {
        return trace_pipe(context);
    };
    // As a prefix, `std` is the first of the two.
    let stream = if words.accept("stdout") {
        StreamId::STDOUT
    } else if words.accept("stderr") {
        StreamId::STDERR
    } else {
        return Err(Failure::usage(format_args!(
            "expected 'stdout' or 'stderr', got: '{}'?",
            shown(word)
        )));
    };
    words.require(2)?;
    let prog = ProgHandle::parse(&mut words)?.open_one()?;
    words.end()?;
    drain(context, &prog, stream)
}

/// Takes what is in a stream now: text of the first to standard output, of the second to standard
/// error, as the program meant it; in JSON both are the answer.
fn drain(context: &mut Context<'_, '_>, prog: &ProgFd, stream: StreamId) -> Result<()> {
    let reader = ProgStream::new(prog, stream);
    let output = &mut *context.output;
    let mut chunk = vec![0; 1 << 16];
    let mut take = || {
        let taken = reader.take_text(&mut chunk);
        let len = taken.map_err(|error| Failure::because("can't read the stream", error))?;
        Ok::<_, Failure>(chunk.get(..len).unwrap_or_default().to_vec())
    };
    // The first read tells whether there is such a stream, before anything is written.
    let mut piece = take()?;
    if stream == StreamId::STDERR && !output.is_json() {
        let mut text = Vec::new();
        while !piece.is_empty() {
            text.append(&mut piece);
            piece = take()?;
        }
        let whole = text.strip_suffix(b"\n").unwrap_or(&text);
        if !text.is_empty() {
            for line in whole.split(|byte| *byte == b'\n') {
                output.remark(Escaped(line));
            }
        }
        return Ok(());
    }
    let mut lines = Lines::begin(output)?;
    while !piece.is_empty() {
        lines.push(output, &piece)?;
        piece = take()?;
    }
    lines.end(output)
}

/// Copies the kernel's trace, until a signal comes.
fn trace_pipe(context: &mut Context<'_, '_>) -> Result<()> {
    let path = tracefs::find(context.kernel)?.join("trace_pipe");
    let fail = |error| Failure::because("could not open trace pipe", error);
    let mut pipe = File::options()
        .read(true)
        .custom_flags(OFlag::O_NONBLOCK.bits())
        .open(&path)
        .map_err(fail)?;
    let interrupt = Interrupt::catch()?;
    let output = &mut *context.output;
    let mut lines = Lines::begin(output)?;
    output.flush()?;
    let mut chunk = vec![0; 1 << 16];
    while interrupt.wait(pipe.as_fd())? == Wake::Readable {
        match pipe.read(&mut chunk) {
            // The trace was emptied meanwhile.
            Ok(0) => {}
            Ok(len) => {
                lines.push(output, chunk.get(..len).unwrap_or_default())?;
                output.flush()?;
            }
            Err(error)
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(error) => {
                let failure = Failure::because("failed to read content from trace pipe", error);
                lines.end(output)?;
                return Err(failure);
            }
        }
    }
    lines.end(output)
}
