//! Questions to the object's types.

use btf::{Btf, Kind, Type, TypeId, types::Datasec};

/// The section of variables of this name.
pub(super) fn datasec<'b>(btf: &'b Btf<'_>, name: &[u8]) -> Option<(TypeId, Datasec<'b>)> {
    let id = btf.find_by_name_kind(name, Kind::Datasec)?;
    match btf.type_by_id(id) {
        Ok(Type::Datasec(section)) => Some((id, section)),
        _ => None,
    }
}

/// A kind with its article, for messages.
pub(super) fn kind_text(btf: &Btf<'_>, id: TypeId) -> String {
    match btf.kind_of(id) {
        Ok(kind) => format!("{kind}"),
        Err(_) => format!("type {id}, which is not there"),
    }
}
