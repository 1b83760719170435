//! Maps with values of another size.

use super::patch::Patch;
use super::{EditError, MapIdx, MapOrigin, Object, Variable};
use btf::build::Builder;
use btf::types::Array;
use btf::{Btf, Type, TypeId};
use std::sync::Arc;

/// The last variable of a section, which grows or shrinks with it.
struct Last {
    /// Its place among the section's variables.
    index: usize,
    var: TypeId,
    offset: u32,
    element: TypeId,
    index_type: TypeId,
    len: u32,
}

impl Object {
    /// Changes the size of a map's values.
    ///
    /// In a map that holds a section, the last variable must be an array: it gets as many elements
    /// as there is room for, in the types too. Where that cannot be, the map loses its types, and
    /// a note says so.
    ///
    /// # Errors
    /// No such map; a size of zero, or one that ends in front of the last variable; a map whose
    /// size others decide.
    #[doc(alias = "bpf_map__set_value_size")]
    pub fn set_value_size(&mut self, map: &str, size: u32) -> Result<(), EditError> {
        let at = self.map_index(map).ok_or_else(|| self.no_map(map))?;
        let Some(target) = self.maps.get(at.index()) else {
            return Err(self.no_map(map));
        };
        let wrong = |why: &str| EditError::Resize {
            map: map.to_owned(),
            size,
            why: why.to_owned(),
        };
        if size == target.spec.value_size {
            return Ok(());
        }
        match target.origin {
            MapOrigin::Kconfig => return Err(wrong("the options decide its size")),
            MapOrigin::StructOps(_) => return Err(wrong("the kernel's type decides its size")),
            MapOrigin::Definition | MapOrigin::Legacy => {
                let own = self
                    .btf
                    .as_ref()
                    .map(|btf| btf.size_of(target.spec.value_type));
                let fits = matches!(own, Some(Ok(own)) if own == u64::from(size));
                if let Some(target) = self.maps.get_mut(at.index()) {
                    target.spec.value_size = size;
                    if !fits {
                        target.spec.value_type = TypeId::VOID;
                    }
                }
                return Ok(());
            }
            MapOrigin::Data | MapOrigin::Constants => {}
        }
        if size == 0 {
            return Err(wrong("it holds variables"));
        }
        let section = target.spec.value_type;
        let first_of_last = self
            .variables
            .iter()
            .filter(|variable| variable.map == at)
            .map(|variable| variable.offset)
            .max();
        if first_of_last.is_some_and(|first| size <= first) {
            return Err(wrong("its last variable would not be in it"));
        }
        let types = self.btf.clone().filter(|_| !section.is_void());
        match types.map(|btf| resized(&btf, section, size)) {
            None => {}
            Some(Ok((btf, last))) => self.grow(at, &last, Arc::new(btf)),
            Some(Err(why)) => {
                let note = format!("map '{map}' loses its types: {why}");
                self.notes.push(note);
                if let Some(target) = self.maps.get_mut(at.index()) {
                    target.spec.value_type = TypeId::VOID;
                }
            }
        }
        if let Some(target) = self.maps.get_mut(at.index()) {
            target.spec.value_size = size;
            if !target.data.is_empty() {
                target
                    .data
                    .resize(usize::try_from(size).unwrap_or(usize::MAX), 0);
            }
        }
        Ok(())
    }

    /// Takes over types in which the last variable of a map has another length.
    fn grow(&mut self, map: MapIdx, last: &Grown, btf: Arc<Btf<'static>>) {
        self.btf = Some(btf);
        let variable = self
            .variables
            .iter_mut()
            .find(|variable| variable.map == map && variable.offset == last.offset);
        if let Some(Variable { size, type_id, .. }) = variable {
            *size = last.size;
            *type_id = Some(last.type_id);
        }
    }
}

/// The last variable, after.
struct Grown {
    offset: u32,
    size: u32,
    type_id: TypeId,
}

/// The types with another size of a section, or why there are none.
fn resized(btf: &Btf<'_>, section: TypeId, size: u32) -> Result<(Btf<'static>, Grown), String> {
    let last = last(btf, section, size)?;
    let text = |error: btf::BtfError| error.to_string();
    let mut builder = Builder::from_btf(btf).map_err(text)?;
    let array = builder.add_array(last.element, last.index_type, last.len);
    let bytes = builder.finish().map_err(text)?;
    let written = Btf::parse(&bytes).map_err(text)?;
    let mut patch = Patch::new(&written);
    let room = size.saturating_sub(last.offset);
    if let (Ok(Type::Datasec(types)), Ok(Type::Var(var))) =
        (written.type_by_id(section), written.type_by_id(last.var))
    {
        patch.set(types.offset(), 2, size);
        patch.set(types.offset(), 3 + 3 * last.index + 2, room);
        patch.set(var.offset(), 2, array.0);
    }
    let changes = patch.finish();
    let grown = Grown {
        offset: last.offset,
        size: room,
        type_id: array,
    };
    drop(written);
    Ok((changes.apply(bytes).map_err(text)?, grown))
}

fn last(btf: &Btf<'_>, section: TypeId, size: u32) -> Result<Last, String> {
    let text = |error: btf::BtfError| error.to_string();
    let Type::Datasec(types) = btf.type_by_id(section).map_err(text)? else {
        return Err("its values are no section of variables".to_owned());
    };
    let (index, place) = types
        .vars()
        .enumerate()
        .last()
        .ok_or("no variable is described")?;
    let Type::Var(var) = btf.type_by_id(place.type_id).map_err(text)? else {
        return Err("what is last is no variable".to_owned());
    };
    let name = var.name();
    let array: Array<'_> = match btf.resolve(var.type_id()).map_err(text)? {
        (_, Type::Array(array)) => array,
        _ => return Err(format!("the last variable, '{name}', is no array")),
    };
    let element = btf.size_of(array.elem_type()).map_err(text)?;
    let room = size
        .checked_sub(place.offset)
        .ok_or_else(|| format!("the last variable, '{name}', starts behind"))?;
    let len = u64::from(room)
        .checked_rem(element)
        .filter(|rest| *rest == 0)
        .and_then(|_| u32::try_from(u64::from(room) / element).ok())
        .ok_or_else(|| {
            format!("{room} bytes are no number of elements of '{name}', of {element} bytes each")
        })?;
    Ok(Last {
        index,
        var: place.type_id,
        offset: place.offset,
        element: array.elem_type(),
        index_type: array.index_type(),
        len,
    })
}

#[cfg(test)]
mod tests;
