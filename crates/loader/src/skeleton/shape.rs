//! What of an object a skeleton shows: its maps, variables and programs, with identifiers.

use super::names::{Language, Scope};
use crate::model::{Map, MapIdx, MapOrigin, Object, Program, StructOps};
use bpfsys::MapType;
use bpfsys::uapi::flags::MapFlags;
use btf::{Btf, Kind, Type, TypeId};

/// The section of global data of arenas.
const ARENA: &str = ".addr_space.1";

/// An object with identifiers for its parts.
#[derive(Debug)]
pub(super) struct Shape<'o> {
    pub(super) object: &'o Object,
    pub(super) btf: Option<&'o Btf<'static>>,
    pub(super) maps: Vec<MapShape<'o>>,
    pub(super) programs: Vec<ProgShape<'o>>,
}

/// A map.
#[derive(Debug)]
pub(super) struct MapShape<'o> {
    pub(super) map: &'o Map,
    pub(super) index: MapIdx,
    pub(super) ident: String,
    /// The section it holds, if that can be mapped.
    pub(super) section: Option<Section>,
}

/// A section of variables that can be mapped.
#[derive(Debug)]
pub(super) struct Section {
    pub(super) ident: String,
    /// Whether the object's types say which variables there are.
    pub(super) typed: bool,
    /// Variables that others see, in the order of their offsets.
    pub(super) variables: Vec<VarShape>,
}

/// A variable.
#[derive(Debug)]
pub(super) struct VarShape {
    pub(super) name: String,
    pub(super) ident: String,
    pub(super) type_id: TypeId,
    pub(super) offset: u32,
    pub(super) size: u32,
}

/// A program.
#[derive(Debug)]
pub(super) struct ProgShape<'o> {
    pub(super) program: &'o Program,
    pub(super) ident: String,
}

impl<'o> Shape<'o> {
    /// `taken` are names that the maps, programs and sections cannot have.
    pub(super) fn new(object: &'o Object, language: Language, taken: &[&str]) -> Self {
        let btf = object.btf.as_deref();
        let (mut maps, mut programs) = (Scope::new(language), Scope::new(language));
        maps.reserve(taken);
        programs.reserve(taken);
        let mut sections = Scope::new(language);
        sections.reserve(taken);
        let shape_of = |(index, map): (u32, &'o Map)| MapShape {
            map,
            index: MapIdx(index),
            ident: maps.add(map.symbol.strip_prefix('.').unwrap_or(&map.symbol)),
            section: section_name(map).map(|name| {
                let short = if name == ARENA {
                    "arena"
                } else {
                    name.strip_prefix('.').unwrap_or(name)
                };
                section(btf, name, sections.add(short), language)
            }),
        };
        Self {
            object,
            btf,
            maps: (0..).zip(object.maps()).map(shape_of).collect(),
            programs: object
                .programs()
                .iter()
                .map(|program| ProgShape {
                    program,
                    ident: programs.add(&program.name),
                })
                .collect(),
        }
    }

    /// Sections that can be mapped, with their maps.
    pub(super) fn sections(&self) -> impl Iterator<Item = (&MapShape<'o>, &Section)> {
        self.maps
            .iter()
            .filter_map(|map| Some((map, map.section.as_ref()?)))
    }

    /// The same without those of arenas: libbpf finds no variables there by their names.
    pub(super) fn named_sections(&self) -> impl Iterator<Item = (&MapShape<'o>, &Section)> {
        self.sections()
            .filter(|(map, section)| section.typed && map.map.symbol.starts_with('.'))
    }

    /// Maps that implement a type of the kernel.
    pub(super) fn struct_ops(&self) -> impl Iterator<Item = (&MapShape<'o>, &'o StructOps)> {
        self.maps.iter().filter_map(|map| match &map.map.origin {
            MapOrigin::StructOps(ops) => Some((map, ops)),
            _ => None,
        })
    }
}

impl MapShape<'_> {
    /// The name by which libbpf finds the map in an object whose name is that of the skeleton:
    /// sections with more than one dot keep theirs.
    pub(super) fn libbpf_name(&self) -> &str {
        let symbol = &self.map.symbol;
        match symbol.strip_prefix('.') {
            Some(rest) if !rest.contains('.') => &self.map.name,
            _ => symbol,
        }
    }

    /// Bytes that are mapped, in whole pages of the usual size.
    pub(super) fn mapped_bytes(&self) -> u64 {
        let spec = &self.map.spec;
        let value = u64::from(spec.value_size).next_multiple_of(8);
        let all = value.saturating_mul(spec.max_entries.max(1).into());
        all.checked_next_multiple_of(4096).unwrap_or(all)
    }

    /// Whether programs only read it.
    pub(super) fn is_constant(&self) -> bool {
        self.map.spec.flags.contains(MapFlags::RDONLY_PROG)
    }
}

/// The section that a map holds, if it can be mapped.
fn section_name(map: &Map) -> Option<&str> {
    match map.origin {
        MapOrigin::Definition | MapOrigin::Legacy => {
            let filled = map.spec.map_type == MapType::ARENA && !map.data.is_empty();
            filled.then_some(ARENA)
        }
        MapOrigin::Data | MapOrigin::Constants | MapOrigin::Kconfig => {
            let mapped = map.spec.flags.contains(MapFlags::MMAPABLE);
            (mapped && map.symbol.starts_with('.')).then_some(&map.symbol)
        }
        MapOrigin::StructOps(_) => None,
    }
}

fn section(btf: Option<&Btf<'_>>, name: &str, ident: String, language: Language) -> Section {
    let mut scope = Scope::new(language);
    let mut variables = Vec::new();
    let found = btf.and_then(|btf| {
        let id = btf.find_by_name_kind(name.as_bytes(), Kind::Datasec)?;
        match btf.type_by_id(id) {
            Ok(Type::Datasec(section)) => Some((btf, section)),
            _ => None,
        }
    });
    if let Some((btf, section)) = found {
        for info in section.vars() {
            let Ok(Type::Var(var)) = btf.type_by_id(info.type_id) else {
                continue;
            };
            // Only its own file sees a static variable.
            if var.linkage() == 0 {
                continue;
            }
            let bytes = var.name().or_empty();
            let name = String::from_utf8_lossy(bytes.get(..256).unwrap_or(bytes));
            variables.push(VarShape {
                ident: scope.add(&name),
                name: name.into_owned(),
                type_id: var.type_id(),
                offset: info.offset,
                size: info.size,
            });
        }
    }
    variables.sort_by_key(|variable| variable.offset);
    Section {
        ident,
        typed: found.is_some(),
        variables,
    }
}

/// A number that stands for all that a skeleton depends on: names and sizes of maps, names of
/// programs, names and places of variables.
pub(super) fn fingerprint(object: &Object) -> u64 {
    // FNV-1a: the same on every machine and in every version.
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut add = |bytes: &[u8]| {
        for byte in bytes.iter().chain(&[0xff]) {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    };
    for map in object.maps() {
        add(map.symbol.as_bytes());
        add(&map.spec.key_size.to_le_bytes());
        add(&map.spec.value_size.to_le_bytes());
    }
    for program in object.programs() {
        add(program.name.as_bytes());
    }
    for variable in object.variables() {
        add(variable.name.as_bytes());
        for number in [variable.map.0, variable.offset, variable.size] {
            add(&number.to_le_bytes());
        }
    }
    hash
}
