//! BTF objects as text, laid out as bpftool does.

use std::io::{self, Write};

use super::view::BtfView;
use crate::nouns::holder_line;
use crate::render::View;
use crate::render::size::Size;

impl View for BtfView {
    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        write!(out, "{}: ", self.id)?;
        match &self.name {
            _ if self.kernel => {
                write!(out, "name [{}]  ", self.name.clone().unwrap_or_default())?;
            }
            Some(name) => write!(out, "name {name}  ")?,
            None => out.write_all(b"name <anon>  ")?,
        }
        write!(out, "size {}", Size(self.size.into()))?;
        for (label, ids) in [("prog_ids", &self.prog_ids), ("map_ids", &self.map_ids)] {
            for (n, id) in ids.iter().enumerate() {
                if n == 0 {
                    write!(out, "  {label} {id}")?;
                } else {
                    write!(out, ",{id}")?;
                }
            }
        }
        holder_line(out, &self.pids)?;
        out.write_all(b"\n")
    }
}
