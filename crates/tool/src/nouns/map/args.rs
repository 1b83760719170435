//! The words that stand for keys, values and flags of elements.

use std::ffi::OsStr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use bpfsys::MapType;
use bpfsys::uapi::flags::{ElemFlags, MapFlags};
use bpfsys::uapi::info::MapInfo;

use crate::failure::{Failure, Result};
use crate::handle::{MapHandle, ProgHandle};
use crate::words::{Words, parse_number, shown};

/// What an update was given.
#[derive(Debug, Default)]
pub struct ElementArgs {
    /// The key; empty for maps without keys.
    pub key: Vec<u8>,
    /// The value as the kernel wants it: repeated for each CPU of a per-CPU map.
    pub value: Vec<u8>,
    /// `any`, `exist` or `noexist`.
    pub flags: ElemFlags,
    /// The map or program that `value` names by descriptor; open until the update is done.
    pub referred: Option<OwnedFd>,
    /// Whether the update goes to a program array by an id, which nothing may keep alive.
    pub by_id: bool,
}

/// Which parts a command takes.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    /// Whether a key must be given, for maps that have keys.
    pub key: bool,
    /// Whether a value must be given.
    pub value: bool,
}

impl ElementArgs {
    /// Reads `key DATA`, `value VALUE` and flags in any order, until no word is left.
    /// `value_len` is what the kernel takes for a value: those of all CPUs of a per-CPU map.
    pub fn parse(
        words: &mut Words<'_>,
        info: &MapInfo,
        value_len: usize,
        wanted: Wanted,
    ) -> Result<Self> {
        let size = |bytes| usize::try_from(bytes).unwrap_or(usize::MAX);
        let (key_size, value_size) = (size(info.key_size), size(info.value_size));
        let mut args = Self::default();
        let mut open = Wanted {
            key: wanted.key && key_size > 0,
            value: wanted.value && value_size > 0,
        };
        let mut flags_open = wanted.value;
        while let Some(word) = words.peek() {
            if words.accept("key") {
                if !open.key {
                    let has_keys = wanted.key && key_size > 0;
                    return Err(surplus("key", has_keys));
                }
                args.key = bytes(words, "key", key_size)?;
                open.key = false;
            } else if words.accept("value") {
                if !open.value {
                    return Err(surplus("value", wanted.value && value_size > 0));
                }
                args.read_value(words, info, value_len, value_size)?;
                open.value = false;
            } else if let Some(flags) = element_flags(words) {
                if !flags_open {
                    return Err(Failure::new(format_args!(
                        "flags specified multiple times: {}",
                        shown(word)
                    )));
                }
                args.flags = flags;
                flags_open = false;
            } else {
                return Err(Failure::new(format_args!(
                    "expected key or value, got: {}",
                    shown(word)
                )));
            }
        }
        if open.key || open.value {
            let missing = if open.key { "key" } else { "value" };
            return Err(Failure::new(format_args!("did not find {missing}")));
        }
        Ok(args)
    }

    fn read_value(
        &mut self,
        words: &mut Words<'_>,
        info: &MapInfo,
        value_len: usize,
        value_size: usize,
    ) -> Result<()> {
        let map_type = info.type_();
        let fd: OwnedFd = if map_type.is_map_of_maps() {
            MapHandle::parse(words)?.open_one(MapFlags::empty())?.into()
        } else if map_type == MapType::PROG_ARRAY {
            let handle = ProgHandle::parse(words)?;
            self.by_id = matches!(handle, ProgHandle::Id(_));
            handle.open_one()?.into()
        } else {
            let value = bytes(words, "value", value_size)?;
            self.value = if map_type.is_per_cpu() {
                spread(&value, value_len)
            } else {
                value
            };
            return Ok(());
        };
        self.value = fd.as_fd().as_raw_fd().to_ne_bytes().to_vec();
        self.referred = Some(fd);
        Ok(())
    }
}

/// The same value for every CPU of a per-CPU map, each at its place.
fn spread(value: &[u8], value_len: usize) -> Vec<u8> {
    let mut all = vec![0; value_len];
    for place in all.chunks_mut(value.len().next_multiple_of(8).max(1)) {
        if let Some(place) = place.get_mut(..value.len()) {
            place.copy_from_slice(value);
        }
    }
    all
}

fn element_flags(words: &mut Words<'_>) -> Option<ElemFlags> {
    [
        ("any", ElemFlags::empty()),
        ("noexist", ElemFlags::NOEXIST),
        ("exist", ElemFlags::EXIST),
    ]
    .into_iter()
    .find(|(word, _)| words.accept(word))
    .map(|(_, flags)| flags)
}

fn surplus(what: &str, twice: bool) -> Failure {
    let how = if twice { "duplicate" } else { "unnecessary" };
    Failure::new(format_args!("{how} {what}"))
}

/// `[hex] BYTES`: exactly `count` numbers of one byte each.
fn bytes(words: &mut Words<'_>, name: &str, count: usize) -> Result<Vec<u8>> {
    let base = if words.accept("hex") { 16 } else { 0 };
    // the words bound what is read, however large the map says its keys are
    let mut bytes = Vec::new();
    while bytes.len() < count
        && let Some(word) = words.peek()
    {
        let told = |failure: Failure| {
            failure.with_hint(format!(
                "{name}s of this map are {count} byte{}, each a word: `1 0x2 017`, or `hex 01 02 0f`",
                if count == 1 { "" } else { "s" }
            ))
        };
        bytes.push(byte(word, base).map_err(told)?);
        words.take("a byte")?;
    }
    if bytes.len() < count {
        return Err(Failure::new(format_args!(
            "{name} expected {count} bytes got {}",
            bytes.len()
        )));
    }
    Ok(bytes)
}

fn byte(word: &OsStr, base: u32) -> Result<u8> {
    parse_number(word, base)
        .and_then(|number| u8::try_from(number).ok())
        .ok_or_else(|| Failure::new(format_args!("error parsing byte: {}", shown(word))))
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;

    fn parse(
        line: &str,
        key_size: u32,
        value_size: u32,
    ) -> std::result::Result<ElementArgs, String> {
        let words: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        let info = MapInfo {
            type_: MapType::HASH.0,
            key_size,
            value_size,
            ..MapInfo::default()
        };
        let wanted = Wanted {
            key: true,
            value: true,
        };
        ElementArgs::parse(&mut Words::new(&words), &info, 0, wanted)
            .map_err(|failure| failure.message().unwrap())
    }

    #[test]
    fn keys_values_and_flags_come_in_any_order() {
        let args = parse("noexist value 1 0x2 key hex 0a ff", 2, 2).unwrap();
        assert_eq!(args.key, [0x0a, 0xff]);
        assert_eq!(args.value, [1, 2]);
        assert_eq!(args.flags, ElemFlags::NOEXIST);
        assert!(parse("value 1", 0, 1).unwrap().key.is_empty());
    }

    #[test]
    fn wrong_words_are_named() {
        for (line, message) in [
            ("key 1", "key expected 2 bytes got 1"),
            ("key 1 256", "error parsing byte: 256"),
            ("key 1 x", "error parsing byte: x"),
            ("key 1 2", "did not find value"),
            ("value 1 2", "did not find key"),
            ("key 1 2 key 3 4", "duplicate key"),
            ("key 1 2 value 3 4 value 3 4", "duplicate value"),
            ("any any", "flags specified multiple times: any"),
            ("key 1 2 3", "expected key or value, got: 3"),
        ] {
            assert_eq!(parse(line, 2, 2).unwrap_err(), message, "{line}");
        }
        assert_eq!(parse("key 1 value 1", 0, 1).unwrap_err(), "unnecessary key");
    }
}
