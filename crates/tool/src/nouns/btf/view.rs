//! What is said about BTF objects, in the order of the JSON keys.

use serde::Serialize;

use crate::holders::Holder;
use crate::render::escape::Text;

/// One object of `btf show`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "golden", derive(serde::Deserialize))]
pub struct BtfView {
    /// The object's id.
    pub id: u32,
    /// Bytes of the blob.
    pub size: u32,
    /// The programs loaded with it, ascending.
    pub prog_ids: Vec<u32>,
    /// The maps made with it, ascending.
    pub map_ids: Vec<u32>,
    /// The processes that hold it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pids: Vec<Holder>,
    /// Whether it describes the kernel or a module.
    pub kernel: bool,
    /// `vmlinux`, or the module's name; absent for what users load.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Text>,
}
