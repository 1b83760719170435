//! Maps that are defined by numbers, in sections `maps` and `maps/…` (`struct bpf_map_def`).
//!
//! libbpf gave them up; objects of other compilers and older sources have them. The struct is a
//! row of words: type, key size, value size, entries, flags. It may lack the flags. What is behind
//! must be zero, but for one form that is known: with two words more, the second of which is 1
//! for "pinned by name".

use super::ModelError;
use super::map_defs::{Maps, kernel_name};
use super::sections::Role;
use super::source::{Log, Source, shown};
use crate::elf::{Section, Symbol, SymbolKind};
use crate::model::parse::data::map;
use crate::model::{MapOrigin, Pinning};
use bpfsys::MapType;
use bpfsys::uapi::flags::MapFlags;
use btf::Endian;

/// Bytes of the members that must be there.
const LEAST: usize = 16;
/// Bytes of the members that mean something.
const KNOWN: usize = 20;
/// Bytes of the longer form.
const PINNED: usize = 28;

/// The maps of these sections, in the order of their places.
pub(super) fn collect(
    source: &Source<'_>,
    maps: &mut Maps,
    log: &mut Log,
) -> Result<(), ModelError> {
    for section in source.with_role(Role::LegacyMaps) {
        let data = section.data()?;
        let mut symbols = source
            .symbols_in(section.index)
            .map(|(_, symbol)| symbol)
            .filter(|symbol| matches!(symbol.kind, SymbolKind::Object | SymbolKind::None))
            .filter(|symbol| symbol.name.is_some_and(|name| !name.is_empty()))
            .peekable();
        while let Some(symbol) = symbols.next() {
            let next = symbols.peek().map_or(section.size, |next| next.value);
            let bytes = match symbol.size {
                0 => next.saturating_sub(symbol.value),
                size => size,
            };
            let def = usize::try_from(symbol.value)
                .ok()
                .zip(usize::try_from(bytes).ok())
                .and_then(|(start, len)| data.get(start..)?.get(..len))
                .ok_or_else(|| format!("{bytes} bytes are not in the section of {}", section.size))
                .and_then(|bytes| read(bytes, source.elf.endian()));
            let def = def.map_err(|why| wrong(section, symbol, why))?;
            let name = log.own(symbol.name.unwrap_or_default())?;
            let mut new = map(MapOrigin::Legacy, kernel_name(&name), &name);
            let [map_type, key_size, value_size, max_entries, flags] = def.words;
            new.spec.map_type = MapType(map_type);
            new.spec.key_size = key_size;
            new.spec.value_size = value_size;
            new.spec.max_entries = max_entries;
            new.spec.flags = MapFlags::from_bits_retain(flags);
            new.pinning = def.pinning;
            maps.push_at(section.index, symbol.value, new);
        }
    }
    Ok(())
}

fn wrong(section: &Section<'_>, symbol: &Symbol<'_>, why: String) -> ModelError {
    ModelError::LegacyMap {
        map: shown(symbol.name.unwrap_or(b"?")),
        section: shown(section.name),
        offset: symbol.value,
        why,
    }
}

/// What a definition says.
struct Def {
    words: [u32; 5],
    pinning: Pinning,
}

fn read(bytes: &[u8], endian: Endian) -> Result<Def, String> {
    if bytes.len() < LEAST {
        return Err(format!(
            "{} bytes are less than the {LEAST} of type, sizes and entries",
            bytes.len()
        ));
    }
    let word = |at: usize| {
        let bytes = bytes.get(at * 4..).and_then(<[u8]>::first_chunk);
        bytes.map_or(0, |bytes| match endian {
            Endian::Little => u32::from_le_bytes(*bytes),
            Endian::Big => u32::from_be_bytes(*bytes),
        })
    };
    let words = std::array::from_fn(word);
    if words[0] == 0 {
        return Err("it has no type".to_owned());
    }
    let pinned = bytes.len() == PINNED && word(5) == 0 && word(6) == 1;
    let rest = bytes.get(KNOWN..).unwrap_or_default();
    if let Some(at) = rest.iter().position(|byte| *byte != 0).filter(|_| !pinned) {
        return Err(format!(
            "byte {} of the definition means nothing and is not zero",
            KNOWN + at
        ));
    }
    Ok(Def {
        words,
        pinning: if pinned {
            Pinning::ByName
        } else {
            Pinning::None
        },
    })
}
