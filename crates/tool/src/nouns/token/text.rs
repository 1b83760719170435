//! What bpf file systems delegate as text, laid out as bpftool does.

use std::io::{self, Write};

use super::view::TokenView;
use crate::render::View;

/// Names in a line.
const PER_LINE: usize = 4;

impl View for TokenView {
    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        write!(out, "token_info  {}", self.token_info)?;
        let sets = [
            ("allowed_cmds", &self.allowed_cmds),
            ("allowed_maps", &self.allowed_maps),
            ("allowed_progs", &self.allowed_progs),
            ("allowed_attachs", &self.allowed_attachs),
        ];
        for (title, names) in sets {
            write!(out, "\n\t{title}:")?;
            for line in names.chunks(PER_LINE) {
                out.write_all(b"\n\t  ")?;
                for name in line {
                    write!(out, "{:<20}", name.to_string())?;
                }
            }
        }
        writeln!(out)
    }
}
