//! Maps that hold sections of variables, and the global data of arenas.

use super::map_defs::Maps;
use super::sections::Role;
use super::source::{Log, Source, shown};
use super::types::datasec;
use super::{ModelError, ParseOptions};
use crate::model::{Map, MapIdx, MapOrigin, MapSpec};
use bpfsys::MapType;
use bpfsys::uapi::flags::MapFlags;
use btf::types::Datasec;
use btf::{Btf, Type};

/// Bytes of a name in the kernel.
const NAME: usize = 15;

/// A map of one value, which the reader changes to what it needs.
pub(super) fn map(origin: MapOrigin, name: String, symbol: &str) -> Map {
    let spec = MapSpec::new(MapType::ARRAY, 4, 0, 1);
    Map::new(origin, name, symbol.to_owned(), spec)
}

/// The name of a section's map in the kernel: as much of the object's name as there is room for
/// beside that of the section, for which 7 bytes are kept at least; the section alone, when its
/// name has more than one dot. Bytes that the kernel does not take become `_`.
pub(super) fn internal_name(object: &str, section: &[u8]) -> String {
    let room = section.len().clamp(7, NAME);
    let custom = section.iter().skip(1).any(|byte| *byte == b'.');
    let prefix = if custom { 0 } else { NAME - room };
    let object = object.as_bytes();
    object
        .iter()
        .take(prefix)
        .chain(section.iter().take(room))
        .map(|byte| match byte {
            b'_' | b'.' => char::from(*byte),
            byte if byte.is_ascii_alphanumeric() => char::from(*byte),
            _ => '_',
        })
        .collect()
}

/// Adds the maps of sections, in the order of the file, and gives the arena its data.
pub(super) fn collect(
    source: &Source<'_>,
    btf: Option<&Btf<'_>>,
    options: &ParseOptions,
    maps: &mut Maps,
    log: &mut Log,
) -> Result<(), ModelError> {
    let sections = source.elf.sections().iter();
    for section in sections.filter(|section| source.role(section.index).is_data()) {
        let role = source.role(section.index);
        let data = section.data()?;
        let too_large = |_| ModelError::SectionTooLarge {
            section: shown(section.name),
            size: section.size,
        };
        let value_size = u32::try_from(section.size).map_err(too_large)?;
        if value_size == 0 {
            continue;
        }
        let origin = if role == Role::Constants {
            MapOrigin::Constants
        } else {
            MapOrigin::Data
        };
        let name = internal_name(&options.name, section.name);
        let mut new = map(origin, name, &log.own(section.name)?);
        new.spec.value_size = value_size;
        log.take(data.len())?;
        new.data = data.to_vec();
        if role == Role::Constants {
            new.spec.flags = MapFlags::RDONLY_PROG;
        }
        if let Some((id, types)) = btf.and_then(|btf| datasec(btf, section.name)) {
            new.spec.value_type = id;
            log.take(types.raw().len())?;
            if btf.is_some_and(|btf| is_seen(btf, &types)) {
                new.spec.flags |= MapFlags::MMAPABLE;
            }
        }
        maps.push_section(section.index, new);
    }
    arena(source, maps, log)
}

/// Whether a variable of the section is seen by others: then its map can be mapped.
fn is_seen(btf: &Btf<'_>, section: &Datasec<'_>) -> bool {
    section
        .vars()
        .any(|var| matches!(btf.type_by_id(var.type_id), Ok(Type::Var(var)) if var.linkage() != 0))
}

/// Gives the only arena the section of global data of arenas.
fn arena(source: &Source<'_>, maps: &mut Maps, log: &mut Log) -> Result<(), ModelError> {
    let Some(section) = source.with_role(Role::Arena).last() else {
        return Ok(());
    };
    let data = section.data()?;
    let mut arenas = (0u32..)
        .zip(&mut maps.maps)
        .filter(|(_, map)| map.spec.map_type == MapType::ARENA);
    match (arenas.next(), arenas.next()) {
        (Some((at, arena)), None) => {
            arena.data = data.to_vec();
            maps.hold(section.index, MapIdx(at));
        }
        (None, _) => log.note(|| {
            "section '.addr_space.1' is left out: there is no arena to hold it".to_owned()
        }),
        (Some(_), Some(_)) => log.note(|| {
            "section '.addr_space.1' is left out: there is more than one arena".to_owned()
        }),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::internal_name;

    #[test]
    fn names_of_maps_of_sections() {
        for (object, section, name) in [
            ("my_object_name", ".rodata", "my_objec.rodata"),
            ("my_object_name", ".bss", "my_objec.bss"),
            ("my_object_name", ".data", "my_objec.data"),
            ("my_object_name", ".kconfig", "my_obje.kconfig"),
            ("x", ".bss", "x.bss"),
            ("", ".data", ".data"),
            ("a-b c", ".bss", "a_b_c.bss"),
            ("obj", ".rodata.str1.1", ".rodata.str1.1"),
            ("obj", ".rodata.abracadabra", ".rodata.abracad"),
            ("obj", ".data.x", ".data.x"),
            ("o", ".data_of_something_long", ".data_of_someth"),
        ] {
            assert_eq!(internal_name(object, section.as_bytes()), name);
        }
    }
}
