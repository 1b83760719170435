//! The objects of the command line, one folder each, the same files in every folder:
//! `args` (words), `gather` (kernel to view), `view` (plain data in JSON order), `text`
//! (view to text), `act` (changes).

pub mod batch;
pub mod btf;
pub mod cgroup;
pub mod completion;
pub mod demo;
pub mod doctor;
pub mod feature;
pub mod r#gen;
pub mod help;
pub mod iter;
pub mod link;
pub mod map;
pub mod net;
pub mod perf;
pub(crate) mod place;
pub mod plan;
pub mod prog;
pub mod struct_ops;
pub mod token;
pub mod version;

use serde::Serialize;

/// A kernel enumeration in a view: its name, or its number where this tool knows no name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "golden", derive(serde::Deserialize))]
#[serde(untagged)]
pub enum NameOrNumber {
    /// A known value.
    Name(std::borrow::Cow<'static, str>),
    /// An unknown value.
    Number(u64),
}

impl NameOrNumber {
    /// `name`, or `number` where there is none.
    pub fn new(name: Option<&'static str>, number: impl Into<u64>) -> Self {
        name.map_or_else(
            || Self::Number(number.into()),
            |name| Self::Name(name.into()),
        )
    }

    /// Whether this is the value with that name.
    #[must_use]
    pub fn is(&self, name: Option<&str>) -> bool {
        matches!(self, Self::Name(own) if Some(own.as_ref()) == name)
    }
}

impl std::fmt::Display for NameOrNumber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Number(number) => number.fmt(f),
        }
    }
}

/// Writes what the line of a program or map begins with: `7: xdp  name x  `.
pub(crate) fn begin_header(
    out: &mut dyn std::io::Write,
    id: u32,
    r#type: &NameOrNumber,
    name: Option<&crate::render::escape::Text>,
) -> std::io::Result<()> {
    match r#type {
        NameOrNumber::Name(word) => write!(out, "{id}: {word}  ")?,
        NameOrNumber::Number(number) => write!(out, "{id}: type {number}  ")?,
    }
    match name {
        Some(name) => write!(out, "name {name}  "),
        None => Ok(()),
    }
}

/// Writes what bpftool puts after each object: `pinned` lines.
pub(crate) fn pinned_lines(
    out: &mut dyn std::io::Write,
    pinned: Option<&[crate::render::escape::Text]>,
) -> std::io::Result<()> {
    for path in pinned.unwrap_or_default() {
        write!(out, "\n\tpinned {path}")?;
    }
    Ok(())
}

/// Writes the line of the processes that hold an object.
pub(crate) fn holder_line(
    out: &mut dyn std::io::Write,
    holders: &[crate::holders::Holder],
) -> std::io::Result<()> {
    for (n, holder) in holders.iter().enumerate() {
        out.write_all(if n == 0 { b"\n\tpids " } else { b", " })?;
        write!(out, "{}({})", holder.comm, holder.pid)?;
    }
    Ok(())
}
