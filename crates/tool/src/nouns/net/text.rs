//! Programs on the network as text, laid out as bpftool does.

use std::io::{self, Write};

use super::view::{ActionView, FilterView, ListedView, NetView, TcView, XdpView};
use crate::nouns::link::text::netfilter;
use crate::render::View;

impl View for NetView {
    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(b"xdp:\n")?;
        for xdp in &self.xdp {
            xdp.text(out)?;
        }
        out.write_all(b"\ntc:\n")?;
        for tc in &self.tc {
            match tc {
                TcView::Listed(program) => program.text(out)?,
                TcView::Filter(filter) => filter.text(out)?,
            }
        }
        out.write_all(b"\nflow_dissector:\n")?;
        for dissector in &self.flow_dissector {
            write!(out, "id {}", dissector.id)?;
        }
        out.write_all(b"\nnetfilter:\n")?;
        for program in &self.netfilter {
            netfilter(&program.hook, out)?;
            write!(out, " prog_id {}", program.id)?;
        }
        out.write_all(b"\n")
    }
}

impl XdpView {
    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        write!(out, "{}({})", self.devname, self.ifindex)?;
        if let (Some(mode), Some(id)) = (&self.mode, self.id) {
            write!(out, " {mode} id {id}")?;
        }
        for one in self.multi_attachments.as_deref().unwrap_or_default() {
            write!(out, " {} id {}", one.mode, one.id)?;
        }
        out.write_all(b"\n")
    }
}

impl ListedView {
    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        write!(out, "{}({}) {}", self.devname, self.ifindex, self.kind)?;
        if let Some(name) = &self.name {
            write!(out, " {name}")?;
        }
        write!(out, " prog_id {} ", self.prog_id)?;
        flags(out, "prog_flags", &self.prog_flags)?;
        if self.link_id != 0 {
            write!(out, "link_id {} ", self.link_id)?;
            flags(out, "link_flags", &self.link_flags)?;
        }
        out.write_all(b"\n")
    }
}

fn flags(out: &mut dyn Write, name: &str, flags: &[u32]) -> io::Result<()> {
    if flags.is_empty() {
        return Ok(());
    }
    write!(out, "{name} ")?;
    for flag in flags {
        write!(out, "{flag} ")?;
    }
    Ok(())
}

impl FilterView {
    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        write!(out, "{}({}) {}", self.devname, self.ifindex, self.kind)?;
        if let Some(name) = &self.name {
            write!(out, " {name}")?;
        }
        if let Some(id) = self.id {
            write!(out, " id {id}")?;
        }
        if let Some(actions) = &self.act {
            out.write_all(b" act [")?;
            for action in actions {
                action.text(out)?;
            }
            out.write_all(b"] ")?;
        }
        out.write_all(b"\n")
    }
}

impl ActionView {
    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(b"{")?;
        if let Some(name) = &self.name {
            write!(out, "{name}")?;
        }
        if let Some(id) = self.id {
            write!(out, " id {id}")?;
        }
        out.write_all(b"}")
    }
}
