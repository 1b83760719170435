//! Programs of cgroups as text, laid out as bpftool does.

use std::io::{self, Write};

use super::view::{ProgramView, ProgramsView, TreeView};
use crate::nouns::NameOrNumber;
use crate::render::View;

impl View for ProgramsView {
    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        let Some(first) = self.0.first() else {
            return Ok(());
        };
        header(out, first.attach_flags.is_none())?;
        self.0.iter().try_for_each(|program| program.text(out))
    }
}

impl View for TreeView {
    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(b"CgroupPath\n")?;
        header(out, self.effective)?;
        for cgroup in &self.cgroups {
            writeln!(out, "{}", cgroup.cgroup)?;
            for program in &cgroup.programs {
                if cgroup.cgroup != self.root {
                    out.write_all(b"    ")?;
                }
                program.text(out)?;
            }
        }
        Ok(())
    }
}

fn header(out: &mut dyn Write, effective: bool) -> io::Result<()> {
    let (id, hook, flags, name) = ("ID", "AttachType", "AttachFlags", "Name");
    if effective {
        writeln!(out, "{id:<8} {hook:<15} {name:<15}")
    } else {
        writeln!(out, "{id:<8} {hook:<15} {flags:<15} {name:<15}")
    }
}

impl ProgramView {
    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        write!(out, "{:<8} ", self.id)?;
        match &self.attach_type {
            NameOrNumber::Name(name) => write!(out, "{name:<15}")?,
            NameOrNumber::Number(number) => write!(out, "type {number:<10}")?,
        }
        if let Some(flags) = &self.attach_flags {
            write!(out, " {:<15}", flags.to_string())?;
        }
        write!(out, " {:<15}", self.name.to_string())?;
        match &self.attach_btf_name {
            Some(name) => write!(out, " {:<15}", name.to_string())?,
            None if self.attach_btf_id != 0 => write!(
                out,
                " attach_btf_obj_id={} attach_btf_id={}",
                self.attach_btf_obj_id, self.attach_btf_id
            )?,
            None => {}
        }
        out.write_all(b"\n")
    }
}
