//! What is said about maps of functions, in the order of the JSON keys.

use serde::Serialize;

use crate::render::escape::Text;

/// One map of `struct_ops show`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "golden", derive(serde::Deserialize))]
pub struct StructOpsView {
    /// The map's id.
    pub id: u32,
    /// Its name.
    pub name: Text,
    /// The kernel's type that it implements: `tcp_congestion_ops`.
    pub kernel_struct_ops: Text,
}
