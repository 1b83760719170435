//! Map definitions of `.maps`, as far as two of them must be the same.

use btf::types::Member;
use btf::{Btf, BtfError, Kind, Type, TypeId};

use super::agree::agree;
use super::error::Mismatch;

/// `BPF_MAP_TYPE_PROG_ARRAY`: its `values` are programs.
const PROG_ARRAY: u32 = 3;
/// `BPF_MAP_TYPE_ARRAY_OF_MAPS` and `BPF_MAP_TYPE_HASH_OF_MAPS`: their `values` are maps.
const OF_MAPS: [u32; 2] = [12, 13];
/// Largest value of `pinning`.
const PIN_BY_NAME: u32 = 1;

/// Why a type is no map definition.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MapDefect {
    /// The variable's type is no struct.
    #[error("{0} instead of STRUCT")]
    NotStruct(Kind),
    /// A member that means nothing.
    #[error("member '{0}' is not known")]
    Unknown(String),
    /// A number or type that is not written as one.
    #[error("member '{member}' has type {found} instead of {want}")]
    Shape {
        /// The member.
        member: String,
        /// The kind that is there.
        found: Kind,
        /// The kind it should be.
        want: &'static str,
    },
    /// Two sizes for one thing.
    #[error("member '{member}' gives size {found} after {known}")]
    Size {
        /// The member.
        member: String,
        /// The size it gives.
        found: u64,
        /// The size from another member.
        known: u32,
    },
    /// `values` in front of other members.
    #[error("member 'values' is not the last")]
    NotLast,
    /// `values` of a map that has none.
    #[error("member 'values' of map type {0}, which has none")]
    NoValues(u32),
    /// `values` or `pinning` in the definition of an inner map.
    #[error("member '{0}' of an inner map")]
    Inner(&'static str),
    /// A value of `pinning` that means nothing.
    #[error("member 'pinning' is {0}, not 0 or 1")]
    Pinning(u32),
    /// No `type`.
    #[error("there is no member 'type'")]
    NoType,
    /// A reference that leads nowhere.
    #[error(transparent)]
    Btf(#[from] BtfError),
}

/// How two definitions of one map differ.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MapMismatch {
    /// An attribute of another value.
    #[error("{attribute} is {found} instead of {want}")]
    Value {
        /// The attribute.
        attribute: &'static str,
        /// Its value here.
        found: u32,
        /// Its value there.
        want: u32,
    },
    /// An attribute that one of them has not got.
    #[error("only one of them has {0}")]
    OnlyOne(&'static str),
    /// A key or value of another type.
    #[error("{attribute} has another type: {why}")]
    Type {
        /// The attribute.
        attribute: &'static str,
        /// What differs.
        why: Mismatch,
    },
    /// The inner maps differ.
    #[error("inner map: {0}")]
    Inner(Box<Self>),
}

/// A key or value: its size, and its type if one is given.
#[derive(Clone, Copy, Debug, Default)]
struct Item {
    size: u32,
    type_id: Option<TypeId>,
}

/// A map definition.
#[derive(Clone, Debug)]
pub(super) struct MapDef<'b> {
    btf: &'b Btf<'b>,
    map_type: u32,
    key: Item,
    value: Item,
    max_entries: u32,
    map_flags: u32,
    numa_node: u32,
    pinning: u32,
    inner: Option<Box<Self>>,
}

impl<'b> MapDef<'b> {
    /// Reads the definition that a variable is.
    pub(super) fn parse(btf: &'b Btf<'b>, variable: TypeId) -> Result<Self, MapDefect> {
        let ty = match btf.type_by_id(variable)? {
            Type::Var(var) => btf.resolve(var.type_id())?.1,
            other => other,
        };
        Self::parse_struct(btf, &ty, false)
    }

    fn parse_struct(btf: &'b Btf<'b>, ty: &Type<'b>, is_inner: bool) -> Result<Self, MapDefect> {
        let Type::Struct(definition) = ty else {
            return Err(MapDefect::NotStruct(ty.kind()));
        };
        let mut def = Self {
            btf,
            map_type: 0,
            key: Item::default(),
            value: Item::default(),
            max_entries: 0,
            map_flags: 0,
            numa_node: 0,
            pinning: 0,
            inner: None,
        };
        let mut members = definition.members();
        while let Some(member) = members.next() {
            match member.name.or_empty() {
                b"type" => def.map_type = number(btf, &member)?,
                b"max_entries" => def.max_entries = number(btf, &member)?,
                b"map_flags" => def.map_flags = number(btf, &member)?,
                b"numa_node" => def.numa_node = number(btf, &member)?,
                // as libbpf, the linker leaves it to the definition
                b"map_extra" => {}
                b"key_size" => def.key.set_size(&member, number(btf, &member)?.into())?,
                b"value_size" => def.value.set_size(&member, number(btf, &member)?.into())?,
                b"key" => def.key.set_type(btf, &member)?,
                b"value" => def.value.set_type(btf, &member)?,
                b"pinning" if is_inner => return Err(MapDefect::Inner("pinning")),
                b"pinning" => match number(btf, &member)? {
                    found if found > PIN_BY_NAME => return Err(MapDefect::Pinning(found)),
                    found => def.pinning = found,
                },
                b"values" if is_inner => return Err(MapDefect::Inner("values")),
                b"values" if members.len() != 0 => return Err(MapDefect::NotLast),
                b"values" => def.set_values(&member)?,
                _ => return Err(MapDefect::Unknown(name_of(&member))),
            }
        }
        if def.map_type == 0 {
            return Err(MapDefect::NoType);
        }
        Ok(def)
    }

    /// `values`: an array of pointers to inner maps, or to programs.
    fn set_values(&mut self, member: &Member<'b>) -> Result<(), MapDefect> {
        let btf = self.btf;
        let shape = |found: Kind, want| MapDefect::Shape {
            member: name_of(member),
            found,
            want,
        };
        if self.map_type != PROG_ARRAY && !OF_MAPS.contains(&self.map_type) {
            return Err(MapDefect::NoValues(self.map_type));
        }
        self.value.set_size(member, 4)?;
        let pointer = match btf.type_by_id(member.type_id)? {
            Type::Array(array) if array.is_empty() => btf.resolve(array.elem_type())?.1,
            other => return Err(shape(other.kind(), "an ARRAY without length")),
        };
        let Type::Ptr(pointer) = pointer else {
            return Err(shape(pointer.kind(), "PTR"));
        };
        let (_, target) = btf.resolve(pointer.type_id())?;
        match target {
            Type::FuncProto(_) if self.map_type == PROG_ARRAY => {}
            _ if self.map_type == PROG_ARRAY => return Err(shape(target.kind(), "FUNC_PROTO")),
            _ => self.inner = Some(Box::new(Self::parse_struct(btf, &target, true)?)),
        }
        Ok(())
    }

    /// Whether another definition of the same map says the same.
    pub(super) fn agree(&self, want: &Self) -> Result<(), MapMismatch> {
        let same = |attribute, found, want| {
            if found == want {
                return Ok(());
            }
            Err(MapMismatch::Value {
                attribute,
                found,
                want,
            })
        };
        same("type", self.map_type, want.map_type)?;
        for (size, attribute, found, wanted) in [
            ("key_size", "key", self.key, want.key),
            ("value_size", "value", self.value, want.value),
        ] {
            same(size, found.size, wanted.size)?;
            match (found.type_id, wanted.type_id) {
                (None, None) => {}
                (Some(one), Some(other)) => agree((self.btf, one), (want.btf, other))
                    .map_err(|why| MapMismatch::Type { attribute, why })?,
                _ => return Err(MapMismatch::OnlyOne(attribute)),
            }
        }
        same("max_entries", self.max_entries, want.max_entries)?;
        same("map_flags", self.map_flags, want.map_flags)?;
        same("numa_node", self.numa_node, want.numa_node)?;
        same("pinning", self.pinning, want.pinning)?;
        match (&self.inner, &want.inner) {
            (None, None) => Ok(()),
            (Some(one), Some(other)) => one
                .agree(other)
                .map_err(|why| MapMismatch::Inner(Box::new(why))),
            _ => Err(MapMismatch::OnlyOne("an inner map")),
        }
    }
}

impl Item {
    fn set_size(&mut self, member: &Member<'_>, found: u64) -> Result<(), MapDefect> {
        let size = u32::try_from(found).ok();
        match size.filter(|size| self.size == 0 || self.size == *size) {
            Some(size) => {
                self.size = size;
                Ok(())
            }
            None => Err(MapDefect::Size {
                member: name_of(member),
                found,
                known: self.size,
            }),
        }
    }

    fn set_type(&mut self, btf: &Btf<'_>, member: &Member<'_>) -> Result<(), MapDefect> {
        match btf.type_by_id(member.type_id)? {
            Type::Ptr(pointer) => {
                self.set_size(member, btf.size_of(pointer.type_id())?)?;
                self.type_id = Some(pointer.type_id());
                Ok(())
            }
            other => Err(MapDefect::Shape {
                member: name_of(member),
                found: other.kind(),
                want: "PTR",
            }),
        }
    }
}

fn name_of(member: &Member<'_>) -> String {
    btf::escape(member.name.label()).into_owned()
}

/// A number: the length of the array that the member points to.
fn number(btf: &Btf<'_>, member: &Member<'_>) -> Result<u32, MapDefect> {
    let shape = |found, want| MapDefect::Shape {
        member: name_of(member),
        found,
        want,
    };
    let (_, ty) = btf.resolve(member.type_id)?;
    let Type::Ptr(pointer) = ty else {
        return Err(shape(ty.kind(), "PTR"));
    };
    match btf.type_by_id(pointer.type_id())? {
        Type::Array(array) => Ok(array.len()),
        other => Err(shape(other.kind(), "PTR to ARRAY")),
    }
}
