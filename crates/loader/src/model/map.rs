//! Maps: what to make, and what to put into them.

use super::{MapIdx, ProgIdx};
use bpfsys::uapi::flags::MapFlags;
use bpfsys::{MapFd, MapType};
use btf::TypeId;
use std::path::PathBuf;
use std::sync::Arc;

/// A map.
#[derive(Clone, Debug)]
pub struct Map {
    /// Its name in the kernel, at most 15 bytes.
    pub name: String,
    /// The variable, or the whole name of the section for data maps: `.rodata.str1.1`.
    pub symbol: String,
    /// Where it comes from.
    pub origin: MapOrigin,
    /// What to make.
    pub spec: MapSpec,
    /// The pattern for maps inside a map of maps.
    pub inner: Option<Box<MapSpec>>,
    /// What to put where, for maps of maps and of programs.
    pub slots: Vec<Slot>,
    /// The initial value of a data map, of a struct_ops map (zeros where programs go), or the
    /// global data of an arena; empty when it is all zeros (`.bss`), or filled in later
    /// (`.kconfig`).
    pub data: Vec<u8>,
    /// Whether it is found, or pinned when it is made, by its name.
    pub pinning: Pinning,
    /// Where exactly it is found or pinned, instead of by name.
    pub pin_path: Option<PathBuf>,
    /// A map that is there already, to be used instead of making one.
    pub reuse: Option<Arc<MapFd>>,
    /// Whether the object's load makes it. Programs that reach a reference to a map that is not
    /// made are refused.
    pub autocreate: bool,
    /// The only program that may use it.
    pub exclusive: Option<ProgIdx>,
}

/// Which of some maps is meant by a name: that whose variable or section is called so, else that
/// which the kernel knows by it. Two sections may come to the same name in the kernel, where names
/// are cut, but not to the same whole one.
pub(crate) fn position_named<'m>(
    symbols_and_names: impl Iterator<Item = (&'m str, &'m str)> + Clone,
    name: &str,
) -> Option<usize> {
    let mut symbols = symbols_and_names.clone();
    symbols.position(|(symbol, _)| symbol == name).or_else(|| {
        symbols_and_names
            .map(|(_, name)| name)
            .position(|known| known == name)
    })
}

/// Where a map comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MapOrigin {
    /// A definition by types, in section `.maps`.
    Definition,
    /// A definition by numbers, in section `maps` (`struct bpf_map_def`).
    Legacy,
    /// A section of variables that programs may change (`.data…`, `.bss…`).
    Data,
    /// A section of constants (`.rodata…`): frozen once it is filled.
    Constants,
    /// Values of configuration options: filled from the target, then frozen.
    Kconfig,
    /// A variable of section `.struct_ops…`.
    StructOps(StructOps),
}

/// Attributes of a map.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MapSpec {
    /// Type.
    pub map_type: MapType,
    /// Bytes of a key.
    pub key_size: u32,
    /// Bytes of a value. Changing that of a data map makes its last array longer or shorter.
    pub value_size: u32,
    /// Entries at most, bytes for ring buffers and pages for arenas; 0 where the loader chooses.
    pub max_entries: u32,
    /// Flags.
    pub flags: MapFlags,
    /// The NUMA node of its memory.
    pub numa_node: Option<u32>,
    /// The interface it is offloaded to; 0 for none.
    pub ifindex: u32,
    /// What the type makes of it.
    pub map_extra: u64,
    /// Type of keys in the object's BTF; void when it is not known or not told.
    pub key_type: TypeId,
    /// Type of values; void when it is not known or not told.
    pub value_type: TypeId,
}

impl MapSpec {
    /// A map of this type and these sizes, and nothing else.
    #[must_use]
    pub const fn new(map_type: MapType, key_size: u32, value_size: u32, max_entries: u32) -> Self {
        Self {
            map_type,
            key_size,
            value_size,
            max_entries,
            flags: MapFlags::empty(),
            numa_node: None,
            ifindex: 0,
            map_extra: 0,
            key_type: TypeId::VOID,
            value_type: TypeId::VOID,
        }
    }
}

impl Map {
    /// A map that is made, with nothing in it.
    pub(crate) const fn new(
        origin: MapOrigin,
        name: String,
        symbol: String,
        spec: MapSpec,
    ) -> Self {
        Self {
            name,
            symbol,
            origin,
            spec,
            inner: None,
            slots: Vec::new(),
            data: Vec::new(),
            pinning: Pinning::None,
            pin_path: None,
            reuse: None,
            autocreate: true,
            exclusive: None,
        }
    }
}

/// What is found by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pinning {
    /// Nothing.
    None,
    /// The map, below the directory for pins that the load is given.
    ByName,
}

/// An element that is known before anything runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// The key: an index of four bytes.
    pub index: u32,
    /// What goes there.
    pub value: SlotValue,
}

/// What a slot holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotValue {
    /// A map.
    Map(MapIdx),
    /// A program.
    Prog(ProgIdx),
}

/// Functions that implement a type of the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StructOps {
    /// The type's name, with its flavour: `tcp_congestion_ops`.
    pub type_name: String,
    /// The type in the object's BTF. [`Map::data`] is a value of it.
    pub type_id: TypeId,
    /// Members that are programs: number of the member in the local type, program.
    pub progs: Vec<(u32, ProgIdx)>,
    /// Whether it is attached by a link (`.struct_ops.link`).
    pub link: bool,
}
