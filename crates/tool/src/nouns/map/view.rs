//! What is said about maps, in the order of the JSON keys.

use serde::Serialize;

use crate::holders::Holder;
use crate::netdev::DevView;
use crate::nouns::NameOrNumber;
use crate::render::escape::Text;

/// The keys that name a map; they also head its elements in a dump of several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "golden", derive(serde::Deserialize))]
pub struct MapHeader {
    /// The map's id.
    pub id: u32,
    /// Its type.
    pub r#type: NameOrNumber,
    /// Its name, as the kernel cut it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Text>,
    /// The flags it was created with.
    pub flags: u32,
}

/// One map of `map show`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "golden", derive(serde::Deserialize))]
pub struct MapView {
    /// What names it.
    #[serde(flatten)]
    pub header: MapHeader,
    /// The device it was offloaded to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dev: Option<DevView>,
    /// Bytes of a key.
    pub bytes_key: u32,
    /// Bytes of a value, for one CPU.
    pub bytes_value: u32,
    /// The most elements it takes.
    pub max_entries: u32,
    /// Bytes of kernel memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_memlock: Option<u64>,
    /// The type of programs a program array takes, once it has seen one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner_prog_type: Option<NameOrNumber>,
    /// Whether these programs are compiled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner_jited: Option<bool>,
    /// 1 when user space may no longer change it.
    pub frozen: u8,
    /// Its BTF.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub btf_id: Option<u32>,
    /// Where it is pinned; absent unless asked for and anything is pinned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pinned: Option<Vec<Text>>,
    /// The processes that hold it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pids: Vec<Holder>,
}
