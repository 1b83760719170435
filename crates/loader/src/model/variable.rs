//! Global variables.

use super::{Linkage, MapIdx};
use btf::TypeId;

/// A global variable of a data section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// The symbol.
    pub name: String,
    /// The map that holds its section.
    pub map: MapIdx,
    /// Bytes from the start of the section.
    pub offset: u32,
    /// Bytes it takes.
    pub size: u32,
    /// Its type in the object's BTF, where it has one.
    pub type_id: Option<TypeId>,
    /// Who may refer to it.
    pub linkage: Linkage,
}
