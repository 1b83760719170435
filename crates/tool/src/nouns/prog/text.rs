//! Programs as text, laid out as bpftool does.

use std::io::{self, Write};

use super::view::{ProgHeader, ProgView, RunView};
use crate::nouns::{begin_header, holder_line, pinned_lines};
use crate::render::View;
use crate::render::hexdump;
use crate::render::size::Size;
use crate::render::time::LocalTime;

impl View for ProgHeader {
    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        header(self, None, out)
    }
}

fn header(
    header: &ProgHeader,
    dev: Option<&crate::netdev::DevView>,
    out: &mut dyn Write,
) -> io::Result<()> {
    begin_header(out, header.id, &header.r#type, header.name.as_ref())?;
    write!(out, "tag {}", header.tag)?;
    if let Some(dev) = dev {
        dev.text(out)?;
    }
    if header.gpl_compatible {
        out.write_all(b"  gpl")?;
    }
    if let (Some(time), Some(count)) = (header.run_time_ns, header.run_cnt) {
        write!(out, " run_time_ns {time} run_cnt {count}")?;
    }
    if let Some(misses) = header.recursion_misses {
        write!(out, " recursion_misses {misses}")?;
    }
    out.write_all(b"\n")
}

impl View for ProgView {
    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        header(&self.header, self.dev.as_ref(), out)?;
        if let (Some(loaded_at), Some(uid)) = (self.loaded_at, self.uid) {
            writeln!(out, "\tloaded_at {}  uid {uid}", LocalTime(loaded_at))?;
        }
        write!(out, "\txlated {}", Size(self.bytes_xlated.into()))?;
        match self.bytes_jited {
            Some(bytes) => write!(out, "  jited {}", Size(bytes.into()))?,
            None => out.write_all(b"  not jited")?,
        }
        if let Some(bytes) = self.bytes_memlock {
            write!(out, "  memlock {}", Size(bytes))?;
        }
        if self.orphaned {
            out.write_all(b"  orphaned")?;
        }
        for (n, id) in self.map_ids.iter().enumerate() {
            out.write_all(if n == 0 { b"  map_ids " } else { b"," })?;
            write!(out, "{id}")?;
        }
        pinned_lines(out, self.pinned.as_deref())?;
        if let Some(id) = self.btf_id {
            write!(out, "\n\tbtf_id {id}")?;
        }
        holder_line(out, &self.pids)?;
        out.write_all(b"\n")?;
        if let Some(entries) = self.metadata.entries() {
            out.write_all(b"\tmetadata:")?;
            for (name, value) in entries {
                write!(out, "\n\t\t{name} = ")?;
                value.write_compact(out)?;
            }
            out.write_all(b"\n")?;
        }
        Ok(())
    }
}

impl View for RunView {
    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        for bytes in [&self.data_out, &self.ctx_out].into_iter().flatten() {
            hexdump::table(out, bytes)?;
        }
        let average = if self.average { " (average)" } else { "" };
        writeln!(
            out,
            "Return value: {}, duration{average}: {}ns",
            self.retval, self.duration
        )
    }
}
