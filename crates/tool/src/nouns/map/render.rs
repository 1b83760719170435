//! Elements of maps, written one at a time: the hot path of dumps.

use std::io::{self, Write};

use bpfsys::MapType;
use bpfsys::SysError;
use bpfsys::uapi::info::MapInfo;
use nix::errno::Errno;

use super::types::MapTypes;
use crate::render::hexdump;
use crate::render::json::Json;
use crate::render::tree::Style;

/// How the elements of one map are written.
#[derive(Debug)]
pub struct ElementFormat {
    map_type: MapType,
    key_size: usize,
    value_size: usize,
    /// Bytes from one CPU's value to the next; `None` when there is only one value.
    per_cpu_step: Option<usize>,
    types: Option<MapTypes>,
}

/// bpftool puts keys and values that together are this short on one line…
const ONE_LINE_MAX: usize = 24;
/// …unless one of them is longer than this: then its name stands on a line of its own.
const INLINE_MAX: usize = 16;

impl ElementFormat {
    /// The format of a map's elements; `types` where they are known.
    #[must_use]
    pub fn new(info: &MapInfo, types: Option<MapTypes>) -> Self {
        let size = |bytes| usize::try_from(bytes).unwrap_or(usize::MAX);
        let map_type = info.type_();
        let value_size = size(info.value_size);
        Self {
            map_type,
            key_size: size(info.key_size),
            value_size,
            per_cpu_step: map_type
                .is_per_cpu()
                .then(|| value_size.next_multiple_of(8)),
            types,
        }
    }

    /// Whether the types of keys and values are known.
    #[must_use]
    pub fn is_typed(&self) -> bool {
        self.types.is_some()
    }

    /// The values of all CPUs.
    fn per_cpu<'a>(
        &self,
        value: &'a [u8],
        step: usize,
    ) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let size = self.value_size;
        value
            .chunks(step.max(1))
            .map(move |value| value.get(..size).unwrap_or(value))
    }

    fn single<'a>(&self, value: &'a [u8]) -> &'a [u8] {
        value.get(..self.value_size).unwrap_or(value)
    }

    /// An element as a JSON object.
    pub fn json(&self, json: &mut Json<'_>, key: &[u8], value: &[u8]) -> io::Result<()> {
        json.begin_object()?;
        json.key("key")?;
        json.hex_bytes(key)?;
        self.values(json, value, Json::hex_bytes)?;
        if self.per_cpu_step.is_none() {
            let value = self.single(value);
            if let Some(id) = self.inner_map_id(value) {
                json.key("inner_map_id")?;
                json.uint(id.into())?;
            }
        }
        if let Some(types) = &self.types {
            json.key("formatted")?;
            self.typed(json, types, key, value, Style::Json)?;
        }
        json.end_object()
    }

    /// An element in bpftool's plain typed form, when its types are known.
    pub fn plain_typed(&self, json: &mut Json<'_>, key: &[u8], value: &[u8]) -> io::Result<()> {
        match &self.types {
            Some(types) => self.typed(json, types, key, value, Style::Plain),
            None => Ok(()),
        }
    }

    fn typed(
        &self,
        json: &mut Json<'_>,
        types: &MapTypes,
        key: &[u8],
        value: &[u8],
        style: Style,
    ) -> io::Result<()> {
        json.begin_object()?;
        if types.has_key() {
            json.key("key")?;
            types.write_key(json, key, style)?;
        }
        self.values(json, value, |json, value| {
            types.write_value(json, value, style)
        })?;
        json.end_object()
    }

    /// `"value": …`, or `"values": [{"cpu": 0, "value": …}, …]` for a per-CPU map.
    fn values<'w>(
        &self,
        json: &mut Json<'w>,
        value: &[u8],
        write: impl Fn(&mut Json<'w>, &[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        let Some(step) = self.per_cpu_step else {
            json.key("value")?;
            return write(json, self.single(value));
        };
        json.key("values")?;
        json.begin_array()?;
        for (cpu, value) in self.per_cpu(value, step).enumerate() {
            json.begin_object()?;
            json.key("cpu")?;
            json.uint(cpu as u64)?;
            json.key("value")?;
            write(json, value)?;
            json.end_object()?;
        }
        json.end_array()
    }

    /// The value of a map of maps, as user space sees it.
    fn inner_map_id(&self, value: &[u8]) -> Option<u32> {
        let id = value
            .first_chunk()
            .filter(|_| self.map_type.is_map_of_maps());
        id.map(|id| u32::from_ne_bytes(*id))
    }

    /// An element as hexadecimal text.
    pub fn plain(&self, out: &mut Vec<u8>, key: &[u8], value: &[u8]) {
        if let Some(step) = self.per_cpu_step {
            if self.key_size > 0 {
                out.extend_from_slice(b"key:\n");
                hexdump::append(out, key);
                out.push(b'\n');
            }
            if self.value_size > 0 {
                for (cpu, value) in self.per_cpu(value, step).enumerate() {
                    let end = if self.value_size > INLINE_MAX {
                        '\n'
                    } else {
                        ' '
                    };
                    out.extend_from_slice(b"value (CPU ");
                    let mut number = itoa::Buffer::new();
                    let number = number.format(cpu);
                    if number.len() < 2 {
                        out.push(b'0');
                    }
                    out.extend_from_slice(number.as_bytes());
                    out.extend_from_slice(if end == '\n' { b"):\n" } else { b"): " });
                    hexdump::append(out, value);
                    out.push(b'\n');
                }
            }
            return;
        }
        let value = self.single(value);
        let own_lines = self.key_size > INLINE_MAX || self.value_size > INLINE_MAX;
        let one_line = self.key_size + self.value_size <= ONE_LINE_MAX && !own_lines;
        let end = if own_lines { b'\n' } else { b' ' };
        if self.key_size > 0 {
            out.extend_from_slice(b"key:");
            out.push(end);
            hexdump::append(out, key);
            out.extend_from_slice(if one_line { b"  " } else { b"\n" });
        }
        if self.value_size > 0 {
            if let Some(id) = self.inner_map_id(value) {
                out.extend_from_slice(b"inner_map_id:");
                out.push(end);
                out.extend_from_slice(itoa::Buffer::new().format(id).as_bytes());
                out.push(b' ');
            } else {
                out.extend_from_slice(b"value:");
                out.push(end);
                hexdump::append(out, value);
            }
        }
        out.push(b'\n');
    }

    /// Whether an element that cannot be looked up is simply not there.
    #[must_use]
    pub fn is_absent(&self, error: &SysError) -> bool {
        let sparse = self.map_type.is_map_of_maps() || self.map_type == MapType::PROG_ARRAY;
        sparse && error.is(Errno::ENOENT)
    }

    /// An element whose value could not be read, as a JSON object.
    pub fn json_error(&self, json: &mut Json<'_>, key: &[u8], error: &SysError) -> io::Result<()> {
        json.begin_object()?;
        json.key("key")?;
        json.hex_bytes(key)?;
        json.key("value")?;
        json.begin_object()?;
        json.field("error", &strerror(error))?;
        json.end_object()?;
        json.end_object()
    }

    /// An element whose value could not be read, as text.
    pub fn plain_error(&self, out: &mut Vec<u8>, key: &[u8], error: &SysError) {
        let message = match error.errno() {
            Some(Errno::ENOENT) => "<no entry>".to_owned(),
            Some(Errno::ENOSPC) if self.map_type == MapType::REUSEPORT_SOCKARRAY => {
                "<cannot read>".to_owned()
            }
            _ => strerror(error),
        };
        let own_lines = self.key_size > INLINE_MAX || message.len() > INLINE_MAX;
        let one_line = self.key_size + message.len() <= ONE_LINE_MAX && !own_lines;
        let end = if own_lines { b'\n' } else { b' ' };
        out.extend_from_slice(b"key:");
        out.push(end);
        hexdump::append(out, key);
        out.extend_from_slice(if one_line { b"  value:" } else { b"\nvalue:" });
        out.push(end);
        out.extend_from_slice(message.as_bytes());
        out.push(b'\n');
    }
}

/// The C library's words for an error: what scripts know from bpftool.
fn strerror(error: &SysError) -> String {
    /// The kernel's own "not supported", which has no name in C.
    const ENOTSUPP: i32 = 524;
    match error.raw_os_error() {
        Some(ENOTSUPP) => "Operation not supported".to_owned(),
        Some(errno) => {
            let text = io::Error::from_raw_os_error(errno).to_string();
            text.split(" (os error")
                .next()
                .unwrap_or_default()
                .to_owned()
        }
        None => error.to_string(),
    }
}

/// Writes a key as `lookup` and `getnext` do: its name, then the bytes on the next line.
pub fn named_key(out: &mut dyn Write, name: &str, key: &[u8]) -> io::Result<()> {
    let mut bytes = Vec::new();
    hexdump::append(&mut bytes, key);
    writeln!(out, "{name}:")?;
    out.write_all(&bytes)?;
    out.write_all(b"\n")
}
