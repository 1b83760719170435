//! Links as text, laid out as bpftool does.

use std::fmt;
use std::io::{self, Write};

use super::view::{
    DeviceView, EventView, IterView, KprobeMultiView, KprobeView, LinkView, NetfilterView, Target,
    TextOrNumber, TracingMultiView, TracingView, UprobeMultiView, UprobeView,
};
use crate::nouns::{NameOrNumber, holder_line, pinned_lines};
use crate::render::View;

impl View for LinkView {
    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        write!(out, "{}: ", self.id)?;
        match &self.r#type {
            NameOrNumber::Name(name) => write!(out, "{name}  ")?,
            NameOrNumber::Number(number) => write!(out, "type {number}  ")?,
        }
        match &self.target {
            Target::StructOps(target) => write!(out, "map {}  ", target.map_id)?,
            _ => write!(out, "prog {}  ", self.prog_id)?,
        }
        self.target.text(out)?;
        pinned_lines(out, self.pinned.as_deref())?;
        if let Some(cookie) = self.bpf_cookie {
            write!(out, "\n\tbpf_cookie {cookie}")?;
        }
        holder_line(out, &self.pids)?;
        out.write_all(b"\n")
    }
}

impl Target {
    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        match self {
            Self::RawTracepoint(target) => {
                write!(out, "\n\ttp '{}'  ", target.tp_name)?;
                unless_zero(out, "cookie ", target.cookie, "  ")
            }
            Self::Tracing(target) => target.text(out),
            Self::TracingMulti(target) => target.text(out),
            Self::KprobeMulti(target) => target.text(out),
            Self::UprobeMulti(target) => target.text(out),
            Self::Kprobe(target) => target.text(out),
            Self::Uprobe(target) => target.text(out),
            // the kernel keeps no name for an event that is gone
            Self::Tracepoint(target) if target.tracepoint.0.is_empty() => Ok(()),
            Self::Tracepoint(target) => {
                write!(out, "\n\ttracepoint {}  ", target.tracepoint)?;
                unless_zero(out, "cookie ", target.cookie, "  ")
            }
            Self::Event(target) => target.text(out),
            Self::Cgroup(target) => write!(
                out,
                "\n\tcgroup_id {}  attach_type {}  ",
                target.cgroup_id, target.attach_type
            ),
            Self::Iter(target) => target.text(out),
            Self::Netns(target) => write!(
                out,
                "\n\tnetns_ino {}  attach_type {}  ",
                target.netns_ino, target.attach_type
            ),
            Self::Netfilter(target) => netfilter(target, out),
            Self::Device(target) => target.text(out),
            Self::Sockmap(target) => write!(
                out,
                "\n\tmap_id {}  attach_type {}  ",
                target.map_id, target.attach_type
            ),
            Self::StructOps(_) | Self::Other {} => Ok(()),
        }
    }
}

/// Writes a number between two texts, or nothing at all for 0.
fn unless_zero(out: &mut dyn Write, before: &str, number: u64, after: &str) -> io::Result<()> {
    if number == 0 {
        return Ok(());
    }
    write!(out, "{before}{number}{after}")
}

/// An offset in C's `%#x`: 0 has no prefix.
struct Offset(u32);

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("0"),
            offset => write!(f, "{offset:#x}"),
        }
    }
}

impl fmt::Display for TextOrNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => name.fmt(f),
            Self::Number(number) => number.fmt(f),
        }
    }
}

impl TracingView {
    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(b"\n\t")?;
        if let Some(prog_type) = &self.prog_type {
            write!(out, "prog_type {prog_type}  ")?;
        }
        write!(out, "attach_type {}  ", self.attach_type)?;
        if self.target_obj_id != 0 || self.target_btf_id != 0 {
            write!(
                out,
                "\n\ttarget_obj_id {}  target_btf_id {}  ",
                self.target_obj_id, self.target_btf_id
            )?;
        }
        unless_zero(out, "\n\tcookie ", self.cookie, "  ")
    }
}

impl TracingMultiView {
    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        write!(
            out,
            "\n\tattach_type {}  func_cnt {}  btf_obj_id {}  ",
            self.attach_type, self.func_cnt, self.btf_obj_id
        )?;
        if self.funcs.is_empty() {
            return Ok(());
        }
        write!(out, "\n\t{:<16} {:<16} btf_id func", "addr", "cookie")?;
        for func in &self.funcs {
            write!(
                out,
                "\n\t{:016x} {:<16x} {} ",
                func.addr.unwrap_or_default(),
                func.cookie,
                func.btf_id
            )?;
            match &func.func {
                Some(name) => write!(out, "{name}  ")?,
                None => out.write_all(b"(unknown)  ")?,
            }
        }
        Ok(())
    }
}

impl KprobeMultiView {
    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        if self.func_cnt == 0 {
            return Ok(());
        }
        let kind = if self.retprobe { "kretprobe" } else { "kprobe" };
        write!(out, "\n\t{kind}.multi  func_cnt {}  ", self.func_cnt)?;
        unless_zero(out, "missed ", self.missed, "  ")?;
        write!(out, "\n\t{:<16} {:<16} func [module]", "addr", "cookie")?;
        for func in &self.funcs {
            write!(out, "\n\t{:016x} {:<16x} ", func.addr, func.cookie)?;
            match &func.func {
                Some(name) => write!(out, "{name}")?,
                None => out.write_all(b"(unknown)")?,
            }
            if let Some(module) = &func.module {
                write!(out, " [{module}]")?;
            }
            out.write_all(b"  ")?;
        }
        Ok(())
    }
}

impl UprobeMultiView {
    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        if self.func_cnt == 0 {
            return Ok(());
        }
        let kind = if self.retprobe { "uretprobe" } else { "uprobe" };
        write!(
            out,
            "\n\t{kind}.multi  path {}  func_cnt {}  ",
            self.path, self.func_cnt
        )?;
        unless_zero(out, "pid ", self.pid.cast_unsigned().into(), "  ")?;
        write!(
            out,
            "\n\t{:<16}   {:<16}   {:<16}",
            "offset", "ref_ctr_offset", "cookies"
        )?;
        for func in &self.funcs {
            write!(
                out,
                "\n\t0x{:<16x} 0x{:<16x} 0x{:<16x}",
                func.offset, func.ref_ctr_offset, func.cookie
            )?;
        }
        Ok(())
    }
}

impl KprobeView {
    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        if self.func.0.is_empty() && self.addr == 0 {
            return Ok(());
        }
        let kind = if self.retprobe { "kretprobe" } else { "kprobe" };
        write!(out, "\n\t{kind} ")?;
        if self.addr != 0 {
            write!(out, "{:x} ", self.addr)?;
        }
        write!(out, "{}", self.func)?;
        if self.offset != 0 {
            write!(out, "+{}", Offset(self.offset))?;
        }
        unless_zero(out, "  missed ", self.missed, "")?;
        unless_zero(out, "  cookie ", self.cookie, "")?;
        out.write_all(b"  ")
    }
}

impl UprobeView {
    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        if self.file.0.is_empty() {
            return Ok(());
        }
        let kind = if self.retprobe { "uretprobe" } else { "uprobe" };
        write!(out, "\n\t{kind} {}+{}  ", self.file, Offset(self.offset))?;
        unless_zero(out, "cookie ", self.cookie, "  ")?;
        if self.ref_ctr_offset != 0 {
            write!(out, "ref_ctr_offset 0x{:x}  ", self.ref_ctr_offset)?;
        }
        Ok(())
    }
}

impl EventView {
    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        match &self.event_type {
            TextOrNumber::Name(name) => write!(out, "\n\tevent {name}:")?,
            TextOrNumber::Number(number) => write!(out, "\n\tevent {number} :")?,
        }
        write!(out, "{}  ", self.event_config)?;
        unless_zero(out, "cookie ", self.cookie, "  ")
    }
}

impl IterView {
    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        write!(out, "target_name {}  ", self.target_name)?;
        if let Some(map_id) = self.map_id {
            write!(out, "map_id {map_id}  ")?;
        }
        // one blank only, in bpftool too
        if let Some(tid) = self.tid {
            write!(out, "tid {tid} ")?;
        }
        if let Some(pid) = self.pid {
            write!(out, "pid {pid} ")?;
        }
        if let Some(cgroup_id) = self.cgroup_id {
            write!(out, "cgroup_id {cgroup_id}  ")?;
        }
        if let Some(order) = &self.order {
            write!(out, "order {order}  ")?;
        }
        Ok(())
    }
}

impl DeviceView {
    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        write!(out, "\n\tifindex {}", self.devname)?;
        if !matches!(self.devname.0.as_slice(), b"(unknown)" | b"(detached)") {
            write!(out, "({})", self.ifindex)?;
        }
        out.write_all(b"  ")?;
        if let Some(attach_type) = &self.attach_type {
            write!(out, "attach_type {attach_type}  ")?;
        }
        Ok(())
    }
}

/// The line of a netfilter link, without blanks behind it.
pub fn netfilter(link: &NetfilterView, out: &mut dyn Write) -> io::Result<()> {
    const INET: [&str; 5] = ["prerouting", "input", "forward", "output", "postrouting"];
    const ARP: [&str; 2] = ["input", "output"];
    // families by netfilter's numbers; bridges number their hooks as inet does
    let (family, hooks): (_, &[&str]) = match link.pf {
        1 => (Some("inet"), &INET),
        2 => (Some("ip"), &INET),
        3 => (Some("arp"), &ARP),
        5 => (Some("netdev"), &[]),
        7 => (Some("bridge"), &INET),
        10 => (Some("ip6"), &INET),
        _ => (None, &[]),
    };
    match family {
        Some(family) => write!(out, "\n\t{family}")?,
        None => write!(out, "\n\tpf: {}", link.pf)?,
    }
    match usize::try_from(link.hook)
        .ok()
        .and_then(|hook| hooks.get(hook))
    {
        Some(hook) => write!(out, " {hook}")?,
        None => write!(out, ", hook {},", link.hook)?,
    }
    write!(out, " prio {}", link.prio)?;
    if link.flags != 0 {
        write!(out, " flags 0x{:x}", link.flags)?;
    }
    Ok(())
}
