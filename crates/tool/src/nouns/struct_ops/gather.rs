//! Maps of functions, found and as views.

use bpfsys::uapi::flags::MapFlags;
use bpfsys::uapi::info::MapInfo;
use bpfsys::{MapFd, MapId, MapType};
use nix::errno::Errno;

use super::view::StructOpsView;
use crate::failure::{Failure, Result};
use crate::nouns::map::gather;
use crate::nouns::map::types::MapTypes;
use crate::render::escape::{Escaped, Text};

/// What the kernel puts before the name of a type to name that of the map's value.
const VALUE_PREFIX: &[u8] = b"bpf_struct_ops_";

/// Which maps are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// Every one.
    All,
    /// The one with this id.
    Id(u32),
    /// Those with this name; at least one.
    Name(Vec<u8>),
}

/// A map of functions, open.
#[derive(Debug)]
pub struct StructOpsMap {
    /// Its descriptor.
    pub fd: MapFd,
    /// What the kernel says about it.
    pub info: MapInfo,
}

impl Selection {
    /// Opens the maps with access as `flags` say.
    pub fn open(&self, flags: MapFlags) -> Result<Vec<StructOpsMap>> {
        match self {
            Self::Id(id) => by_id(*id, flags).map(|map| vec![map]),
            Self::All => search(flags, |_| true),
            Self::Name(name) => {
                let found = search(flags, |info| info.name() == name.as_slice())?;
                if found.is_empty() {
                    let name = Escaped(name);
                    return Err(Failure::new(format_args!("no struct_ops found for {name}")));
                }
                Ok(found)
            }
        }
    }
}

impl StructOpsMap {
    /// The map behind a descriptor.
    pub fn new(fd: MapFd) -> Result<Self> {
        let info = gather::info(&fd)?;
        Ok(Self { fd, info })
    }
}

fn by_id(id: u32, flags: MapFlags) -> Result<StructOpsMap> {
    let fail = |error| Failure::because(format_args!("can't get map by id ({id})"), error);
    let id = MapId::new(id).ok_or_else(|| Failure::new("no map has id 0"))?;
    let map = StructOpsMap::new(MapFd::by_id(id, flags).map_err(fail)?)?;
    if map.info.type_() != MapType::STRUCT_OPS {
        return Err(Failure::new(format_args!(
            "{} id {id} is not a struct_ops map",
            Escaped(map.info.name())
        )));
    }
    Ok(map)
}

fn search(flags: MapFlags, fits: impl Fn(&MapInfo) -> bool) -> Result<Vec<StructOpsMap>> {
    let mut found = Vec::new();
    // reading is enough to learn the type; the access asked for comes after
    for map in bpfsys::maps(MapFlags::RDONLY) {
        let map = map.map_err(|error| Failure::because("can't get next map", error))?;
        let info = gather::info(&map)?;
        let Some(id) = info
            .id()
            .filter(|_| info.type_() == MapType::STRUCT_OPS && fits(&info))
        else {
            continue;
        };
        match MapFd::by_id(id, flags) {
            Ok(fd) => found.push(StructOpsMap { fd, info }),
            // gone since it was listed
            Err(error) if error.is(Errno::ENOENT) => {}
            Err(error) => {
                let what = format_args!("can't get map by id ({id})");
                return Err(Failure::because(what, error));
            }
        }
    }
    Ok(found)
}

/// What is said about these maps.
pub fn views(maps: &[StructOpsMap]) -> Result<Vec<StructOpsView>> {
    maps.iter()
        .map(|map| {
            Ok(StructOpsView {
                id: map.info.id,
                name: Text::from(map.info.name()),
                kernel_struct_ops: kernel_type(&map.info)?,
            })
        })
        .collect()
}

/// The type of the kernel, or of a module, that a map implements.
pub fn kernel_type(info: &MapInfo) -> Result<Text> {
    let types = types(info)?;
    let name = types.value_name();
    Ok(Text::from(name.strip_prefix(VALUE_PREFIX).unwrap_or(&name)))
}

/// The types of a map's value.
pub fn types(info: &MapInfo) -> Result<MapTypes> {
    MapTypes::load(info)?.ok_or_else(|| {
        Failure::new(format_args!(
            "the kernel does not say which type map {} implements",
            info.id
        ))
    })
}
