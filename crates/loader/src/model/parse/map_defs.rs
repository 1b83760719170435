//! Maps that are defined by types, in section `.maps`.

use super::sections::Role;
use super::source::{Log, Source, shown};
use super::types::{datasec, kind_text};
use super::{ModelError, ParseOptions};
use crate::model::{Map, MapError, MapIdx, MapOrigin, MapSpec, Pinning};
use bpfsys::MapType;
use bpfsys::uapi::flags::MapFlags;
use btf::types::{Composite, Member, VarInfo};
use btf::{Btf, Type, TypeId};
use std::collections::HashMap;

/// Maps, and what places of the file they are.
#[derive(Debug, Default)]
pub(super) struct Maps {
    pub(super) maps: Vec<Map>,
    /// Definitions and struct_ops by section and place.
    places: HashMap<(u32, u64), MapIdx>,
    /// Maps that hold sections.
    sections: HashMap<u32, MapIdx>,
}

impl Maps {
    /// Adds a map.
    pub(super) fn push(&mut self, map: Map) -> MapIdx {
        let at = MapIdx(u32::try_from(self.maps.len()).unwrap_or(u32::MAX));
        self.maps.push(map);
        at
    }

    /// Adds a map that a symbol at a place stands for.
    pub(super) fn push_at(&mut self, section: u32, offset: u64, map: Map) {
        let at = self.push(map);
        self.places.entry((section, offset)).or_insert(at);
    }

    /// Adds a map that holds a section.
    pub(super) fn push_section(&mut self, section: u32, map: Map) {
        let at = self.push(map);
        self.sections.insert(section, at);
    }

    /// Says that a map holds a section too.
    pub(super) fn hold(&mut self, section: u32, map: MapIdx) {
        self.sections.insert(section, map);
    }

    /// The map that is defined at a place.
    pub(super) fn defined_at(&self, section: u32, offset: u64) -> Option<MapIdx> {
        self.places.get(&(section, offset)).copied()
    }

    /// The map that holds a section.
    pub(super) fn of_section(&self, section: u32) -> Option<MapIdx> {
        self.sections.get(&section).copied()
    }
}

/// What a definition says.
#[derive(Debug, Default)]
struct Def {
    spec: MapSpec,
    by_name: bool,
    inner: Option<Box<MapSpec>>,
}

/// The maps of section `.maps`, in the order of its types.
pub(super) fn collect(
    source: &Source<'_>,
    btf: Option<&Btf<'_>>,
    options: &ParseOptions,
    log: &mut Log,
) -> Result<Maps, ModelError> {
    let mut maps = Maps::default();
    let Some(section) = source.with_role(Role::Maps).last() else {
        return Ok(maps);
    };
    let btf = btf.ok_or_else(|| source.needs_btf(section))?;
    section.data()?;
    let (_, vars) = datasec(btf, b".maps").ok_or_else(|| ModelError::NoDatasec {
        section: ".maps".to_owned(),
    })?;
    for (index, var) in (0u32..).zip(vars.vars()) {
        let (name, ty) = match btf.type_by_id(var.type_id) {
            Ok(Type::Var(view)) => (view.name().or_empty(), Some(view)),
            other => (other.map(|ty| ty.name()).unwrap_or_default(), None),
        };
        let symbol = log.own(name)?;
        let mut read = || -> Result<Def, MapError> {
            if symbol.is_empty() {
                return Err(MapError::NoName { index });
            }
            let body = variable(btf, &var, ty, section.size)?;
            parse(btf, body, options, false, log)
        };
        let def = read().map_err(|source| ModelError::Map {
            map: if symbol.is_empty() {
                "?".to_owned()
            } else {
                shown(name)
            },
            source,
        })?;
        maps.push_at(section.index, var.offset.into(), finish(symbol, def));
    }
    Ok(maps)
}

/// The struct that a variable of the section is.
fn variable<'b>(
    btf: &'b Btf<'_>,
    place: &VarInfo<'_>,
    var: Option<btf::types::Var<'_>>,
    have: u64,
) -> Result<Composite<'b>, MapError> {
    let VarInfo { offset, size, .. } = *place;
    if u64::from(offset) + u64::from(size) > have {
        return Err(MapError::Bounds { offset, size, have });
    }
    let Some(var) = var else {
        return Err(MapError::NotStruct {
            found: kind_text(btf, place.type_id),
        });
    };
    let linkage = match var.linkage() {
        1 => None,
        0 => Some("static".to_owned()),
        2 => Some("extern".to_owned()),
        other => Some(format!("of linkage {other}")),
    };
    if let Some(linkage) = linkage {
        return Err(MapError::Linkage { linkage });
    }
    match btf.resolve(var.type_id())? {
        (_, Type::Struct(body)) if body.size() <= size => Ok(body),
        (_, Type::Struct(body)) => Err(MapError::Size {
            size: body.size(),
            have: size,
        }),
        (id, _) => Err(MapError::NotStruct {
            found: kind_text(btf, id),
        }),
    }
}

/// Reads the members of a definition.
fn parse(
    btf: &Btf<'_>,
    body: Composite<'_>,
    options: &ParseOptions,
    inside: bool,
    log: &mut Log,
) -> Result<Def, MapError> {
    // definitions may share their types
    log.take(body.raw().len())
        .map_err(|_error| MapError::TooComplex)?;
    let mut def = Def::default();
    let spec = &mut def.spec;
    let members = body.members();
    let last = members.len().saturating_sub(1);
    for (at, member) in members.enumerate() {
        let field = Field { btf, member };
        match member.name.bytes()? {
            b"type" => spec.map_type = MapType(field.number()?),
            b"max_entries" => spec.max_entries = field.number()?,
            b"map_flags" => spec.flags = MapFlags::from_bits_retain(field.number()?),
            b"numa_node" => spec.numa_node = Some(field.number()?),
            b"map_extra" => spec.map_extra = field.long()?,
            b"key_size" => {
                let size = field.number()?;
                field.agree(&mut spec.key_size, size.into())?;
            }
            b"value_size" => {
                let size = field.number()?;
                field.agree(&mut spec.value_size, size.into())?;
            }
            b"key" => spec.key_type = field.sized(&mut spec.key_size)?,
            b"value" => spec.value_type = field.sized(&mut spec.value_size)?,
            b"values" if inside => {
                return Err(field.misplaced("a map inside of a map has no maps inside"));
            }
            b"values" if at != last => return Err(field.misplaced("it must be the last")),
            b"values" => {
                field.agree(&mut spec.value_size, 4)?;
                def.inner = field.values(spec.map_type, options, log)?;
            }
            b"pinning" if inside => {
                return Err(field.misplaced("a map inside of a map is not pinned"));
            }
            b"pinning" => {
                def.by_name = match field.number()? {
                    0 => false,
                    1 => true,
                    found => {
                        return Err(MapError::Value {
                            member: "pinning".to_owned(),
                            found,
                        });
                    }
                }
            }
            _ if options.relaxed_maps => {}
            _ => {
                return Err(MapError::Unknown {
                    member: field.name(),
                });
            }
        }
    }
    if spec.map_type == MapType::UNSPEC {
        return Err(MapError::NoType);
    }
    Ok(def)
}

/// A member of a definition.
struct Field<'b> {
    btf: &'b Btf<'b>,
    member: Member<'b>,
}

impl Field<'_> {
    fn name(&self) -> String {
        shown(self.member.name.or_empty())
    }

    fn wrong(&self, expected: &'static str, found: TypeId) -> MapError {
        MapError::Kind {
            member: self.name(),
            expected,
            found: kind_text(self.btf, found),
        }
    }

    fn misplaced(&self, why: &'static str) -> MapError {
        MapError::Misplaced {
            member: self.name(),
            why,
        }
    }

    /// A number, written as a pointer to an array of as many elements.
    fn number(&self) -> Result<u32, MapError> {
        let (id, ty) = self.btf.resolve(self.member.type_id)?;
        let Type::Ptr(pointer) = ty else {
            return Err(self.wrong("a pointer to an array", id));
        };
        match self.btf.type_by_id(pointer.type_id())? {
            Type::Array(array) => Ok(array.len()),
            _ => Err(self.wrong("a pointer to an array", pointer.type_id())),
        }
    }

    /// A number of 64 bits: the same, or an enumeration of one constant.
    fn long(&self) -> Result<u64, MapError> {
        const EXPECTED: &str = "a pointer to an array or an enum of one constant";
        let (id, ty) = self.btf.resolve(self.member.type_id)?;
        match ty {
            Type::Ptr(_) => self.number().map(u64::from),
            Type::Enum(of) if of.vlen() == 1 => {
                let one = of
                    .enumerators()
                    .next()
                    .ok_or_else(|| self.wrong(EXPECTED, id))?;
                // constants of 32 bits are signed
                #[expect(clippy::cast_possible_truncation, reason = "32 bits are there")]
                let value = one.raw as i32;
                Ok(i64::from(value).cast_unsigned())
            }
            Type::Enum64(of) if of.vlen() == 1 => {
                let one = of
                    .enumerators()
                    .next()
                    .ok_or_else(|| self.wrong(EXPECTED, id))?;
                Ok(one.raw)
            }
            _ => Err(self.wrong(EXPECTED, id)),
        }
    }

    /// Sets a size, unless an earlier member said something else.
    fn agree(&self, size: &mut u32, found: u64) -> Result<(), MapError> {
        match u32::try_from(found) {
            Ok(found) if *size == 0 || *size == found => {
                *size = found;
                Ok(())
            }
            Ok(_) => Err(MapError::Conflict {
                member: self.name(),
                found,
                earlier: *size,
            }),
            Err(_) => Err(MapError::TooLarge {
                member: self.name(),
                size: found,
            }),
        }
    }

    /// The type that the member points to, of which the size must be known.
    fn sized(&self, size: &mut u32) -> Result<TypeId, MapError> {
        let id = self.member.type_id;
        let Type::Ptr(pointer) = self.btf.type_by_id(id)? else {
            return Err(self.wrong("a pointer", id));
        };
        let id = pointer.type_id();
        let found = self.btf.size_of(id).map_err(|source| MapError::Unsized {
            member: self.name(),
            source,
        })?;
        self.agree(size, found)?;
        Ok(id)
    }

    /// What is inside: the definition of a map, or for programs nothing to know.
    fn values(
        &self,
        map_type: MapType,
        options: &ParseOptions,
        log: &mut Log,
    ) -> Result<Option<Box<MapSpec>>, MapError> {
        let btf = self.btf;
        if !map_type.is_map_of_maps() && !map_type.is_map_of_progs() {
            return Err(self.misplaced("only maps of maps and arrays of programs have values"));
        }
        let id = self.member.type_id;
        let array = match btf.type_by_id(id)? {
            Type::Array(array) if array.is_empty() => array,
            _ => return Err(self.wrong("an array of no size", id)),
        };
        let pointer = match btf.resolve(array.elem_type())? {
            (_, Type::Ptr(pointer)) => pointer,
            (id, _) => return Err(self.wrong("an array of pointers", id)),
        };
        match (btf.resolve(pointer.type_id())?, map_type.is_map_of_progs()) {
            ((_, Type::FuncProto(_)), true) => Ok(None),
            ((id, _), true) => Err(self.wrong("an array of pointers to functions", id)),
            ((_, Type::Struct(body)), false) => {
                let inner = parse(btf, body, options, true, log);
                inner
                    .map(|inner| Some(Box::new(inner.spec)))
                    .map_err(|source| MapError::Inner(Box::new(source)))
            }
            ((id, _), false) => Err(self.wrong("an array of pointers to structs", id)),
        }
    }
}

fn finish(symbol: String, def: Def) -> Map {
    let mut map = Map::new(
        MapOrigin::Definition,
        kernel_name(&symbol),
        symbol,
        def.spec,
    );
    map.inner = def.inner;
    if def.by_name {
        map.pinning = Pinning::ByName;
    }
    map
}

/// What of a name the kernel keeps.
pub(super) fn kernel_name(name: &str) -> String {
    let end = (0..=15).rev().find(|end| name.is_char_boundary(*end));
    name.get(..end.unwrap_or(0).min(name.len()))
        .unwrap_or_default()
        .to_owned()
}
