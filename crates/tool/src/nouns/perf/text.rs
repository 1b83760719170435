//! Programs behind descriptors as text, laid out as bpftool does.

use std::io::{self, Write};

use super::view::{PerfView, Place};
use crate::nouns::NameOrNumber;
use crate::render::View;

impl View for PerfView {
    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        let Self { pid, fd, .. } = self;
        write!(out, "pid {pid}  fd {fd}: prog_id {}  ", self.prog_id)?;
        match &self.fd_type {
            NameOrNumber::Name(name) => write!(out, "{name}")?,
            NameOrNumber::Number(number) => write!(out, "type {number}")?,
        }
        match &self.place {
            Place::Tracepoint { tracepoint } => write!(out, "  {tracepoint}")?,
            Place::Function { func, offset } => write!(out, "  func {func}  offset {offset}")?,
            Place::Address { addr } => write!(out, "  addr {addr}")?,
            Place::File { filename, offset } => {
                write!(out, "  filename {filename}  offset {offset}")?;
            }
            Place::Unknown {} => {}
        }
        writeln!(out)
    }
}
