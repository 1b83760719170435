//! Maps as text, laid out as bpftool does.

use std::io::{self, Write};

use super::view::{MapHeader, MapView};
use crate::netdev::DevView;
use crate::nouns::{begin_header, holder_line, pinned_lines};
use crate::render::View;
use crate::render::size::Size;

impl View for MapHeader {
    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        header(self, None, out)
    }
}

fn header(header: &MapHeader, dev: Option<&DevView>, out: &mut dyn Write) -> io::Result<()> {
    begin_header(out, header.id, &header.r#type, header.name.as_ref())?;
    write!(out, "flags 0x{:x}", header.flags)?;
    if let Some(dev) = dev {
        dev.text(out)?;
    }
    out.write_all(b"\n")
}

impl View for MapView {
    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        header(&self.header, self.dev.as_ref(), out)?;
        write!(
            out,
            "\tkey {}B  value {}B  max_entries {}",
            self.bytes_key, self.bytes_value, self.max_entries
        )?;
        if let Some(bytes) = self.bytes_memlock {
            write!(out, "  memlock {}", Size(bytes))?;
        }
        if self.owner_prog_type.is_some() || self.owner_jited.is_some() {
            out.write_all(b"\n\t")?;
        }
        if let Some(owner) = &self.owner_prog_type {
            write!(out, "owner_prog_type {owner}  ")?;
        }
        match self.owner_jited {
            Some(true) => out.write_all(b"owner jited")?,
            Some(false) => out.write_all(b"owner not jited")?,
            None => {}
        }
        pinned_lines(out, self.pinned.as_deref())?;
        match (self.btf_id, self.frozen != 0) {
            (Some(id), true) => write!(out, "\n\tbtf_id {id}  frozen")?,
            (Some(id), false) => write!(out, "\n\tbtf_id {id}")?,
            (None, true) => out.write_all(b"\n\tfrozen")?,
            (None, false) => {}
        }
        holder_line(out, &self.pids)?;
        out.write_all(b"\n")
    }
}
