//! Sections whose map was made longer or shorter: the array at their end follows.

use super::super::maps::is_data;
use super::Edit;
use crate::model::{Map, MapIdx, Object};
use btf::types::VarInfo;
use btf::{Btf, BtfError, Type, TypeId};
use std::collections::HashSet;

/// Changes what can be changed; gives the maps whose types say another size.
#[doc(alias = "map_btf_datasec_resize")]
pub(super) fn change<'o>(
    object: &Object,
    btf: &'o Btf<'static>,
    edit: &mut Edit<'o>,
) -> Result<HashSet<MapIdx>, BtfError> {
    let mut unfit = HashSet::new();
    for (at, map) in (0..).map(MapIdx).zip(&object.maps) {
        if !is_data(map) || map.value_type.is_void() {
            continue;
        }
        let Ok(Type::Datasec(section)) = btf.type_by_id(map.value_type) else {
            continue;
        };
        // sections of options get their size from the externs
        if section.size() == map.value_size || map.origin == crate::model::MapOrigin::Kconfig {
            continue;
        }
        let last = section.vars().max_by_key(|var| var.offset);
        match last.and_then(|var| grown(btf, map, &var)) {
            Some(new) => apply(edit, map, &new)?,
            None => {
                unfit.insert(at);
            }
        }
    }
    Ok(unfit)
}

/// The array at the end of a section, with another number of elements.
struct Grown {
    var: TypeId,
    offset: u32,
    size: u32,
    element: TypeId,
    index: TypeId,
    len: u32,
}

fn grown(btf: &Btf<'_>, map: &Map, last: &VarInfo<'_>) -> Option<Grown> {
    let Ok(Type::Var(var)) = btf.type_by_id(last.type_id) else {
        return None;
    };
    let Ok((_, Type::Array(array))) = btf.resolve(var.type_id()) else {
        return None;
    };
    let element = btf.size_of(array.elem_type()).ok()?;
    let element = u32::try_from(element).ok().filter(|size| *size > 0)?;
    let size = map.value_size.checked_sub(last.offset)?;
    (size % element == 0).then(|| Grown {
        var: last.type_id,
        offset: last.offset,
        size,
        element: array.elem_type(),
        index: array.index_type(),
        len: size / element,
    })
}

fn apply(edit: &mut Edit<'_>, map: &Map, new: &Grown) -> Result<(), BtfError> {
    let builder = edit.builder()?;
    let array = builder.add_array(new.element, new.index, new.len);
    if let Some(mut var) = builder.record_mut(new.var) {
        var.set_size_or_type(array.0);
    }
    if let Some(mut section) = builder.record_mut(map.value_type) {
        section.set_size_or_type(map.value_size);
        let (vars, _) = section.rest_mut().as_chunks_mut::<3>();
        for [var, offset, size] in vars {
            if *var == new.var.0 && *offset == new.offset {
                *size = new.size;
            }
        }
    }
    Ok(())
}
