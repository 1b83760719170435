//! From bytes and their type to values: a tree of them, or one after the other.

mod bits;
mod decode;
#[cfg(test)]
mod tests;
mod visitor;

pub use decode::{decode, visit};
pub use visitor::{Group, Visitor};

use crate::types::Name;
use crate::{BtfError, Kind, TypeId};

/// Bytes, read as their type says. Borrows the names from the BTF and strings from the bytes.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Value<'a> {
    /// Unsigned integer of 8, 16, 32 or 64 bits.
    Uint(u64),
    /// Signed integer of 8, 16, 32 or 64 bits.
    Int(i64),
    /// Truth value.
    Bool(bool),
    /// Integer with character encoding.
    Char(u8),
    /// Bit field, or an integer of another width, 128 included.
    Bits(Bits),
    /// Enumeration.
    Enum(EnumValue<'a>),
    /// Floating-point number of 4 or 8 bytes.
    Float {
        /// The number; a 4-byte one is extended, which is exact.
        value: f64,
        /// 4 or 8.
        size: u8,
    },
    /// Floating-point number of another size, as its bytes.
    RawFloat(&'a [u8]),
    /// Pointer.
    Ptr {
        /// The address.
        value: u64,
        /// What it points to.
        pointee: TypeId,
    },
    /// Array of characters that are all printable up to a NUL, without it.
    Str(&'a [u8]),
    /// Any other array.
    Array(Vec<Self>),
    /// Struct or union, members in order.
    Struct(Composite<'a>),
    /// Global variable.
    Var {
        /// Its name.
        name: Name<'a>,
        /// Its value.
        value: Box<Self>,
    },
    /// Section of variables.
    Datasec {
        /// The section's name.
        name: Name<'a>,
        /// The variables in order, a [`Value::Var`] each.
        vars: Vec<Self>,
    },
    /// A type that has no values: `void`, function, declared struct, unknown kind.
    Opaque {
        /// The kind.
        kind: Kind,
        /// The type.
        type_id: TypeId,
        /// The bytes from where it starts to the end of what it is part of.
        bytes: &'a [u8],
    },
    /// Fewer bytes than the value takes.
    Truncated {
        /// Bytes needed.
        need: u64,
        /// The bytes there are.
        bytes: &'a [u8],
    },
    /// The type is defective.
    Invalid {
        /// In what way.
        error: Box<BtfError>,
        /// The bytes from where it starts to the end of what it is part of.
        bytes: &'a [u8],
    },
    /// The tree would become far larger than the bytes it stands for; the rest is left out.
    Omitted,
}

/// Struct or union.
#[derive(Clone, Debug)]
pub struct Composite<'a> {
    /// The type.
    pub type_id: TypeId,
    /// Whether all members start at the same place.
    pub is_union: bool,
    /// The members in order. A last one without name and with [`Value::Omitted`] stands for
    /// those left out.
    pub members: Vec<Field<'a>>,
}

/// Member of a struct or union.
#[derive(Clone, Debug)]
pub struct Field<'a> {
    /// Name; empty for an anonymous member.
    pub name: Name<'a>,
    /// Value.
    pub value: Value<'a>,
}

/// Value of an enumeration.
#[derive(Clone, Copy, Debug)]
pub struct EnumValue<'a> {
    /// Name of the first constant with the value.
    pub name: Option<Name<'a>>,
    /// The value in 64 bits, extended as the type's signedness says.
    pub raw: u64,
    /// Whether the enumeration is signed.
    pub signed: bool,
    /// Bytes of the enumeration.
    pub size: u8,
}

impl EnumValue<'_> {
    /// The value as a number.
    pub fn value(&self) -> i128 {
        if self.signed {
            i128::from(self.raw.cast_signed())
        } else {
            i128::from(self.raw)
        }
    }
}

/// Bits that are no plain integer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bits {
    // Two words, to keep values small: one of 128 bits would double their alignment.
    low: u64,
    high: u64,
    /// How many, at most 128.
    pub width: u8,
    /// Whether the type is signed.
    pub signed: bool,
    /// The type: an integer or an enumeration.
    pub type_id: TypeId,
}

impl Bits {
    /// The bits, as an unsigned number.
    pub const fn raw(&self) -> u128 {
        (self.high as u128) << 64 | self.low as u128
    }

    /// The bits with their sign extended when the type is signed; `None` when an unsigned
    /// value needs all 128 bits.
    pub fn value(&self) -> Option<i128> {
        if self.signed {
            Some(self.signed_value())
        } else {
            i128::try_from(self.raw()).ok()
        }
    }

    /// The bits as two's complement, whatever the type says.
    pub const fn signed_value(&self) -> i128 {
        match self.width {
            0 => 0,
            width if width >= 128 => self.raw().cast_signed(),
            width => {
                let unused = 128 - width as u32;
                (self.raw() << unused).cast_signed() >> unused
            }
        }
    }
}

impl Value<'_> {
    /// Number of nodes in the tree, this one included.
    pub fn nodes(&self) -> usize {
        1 + match self {
            Self::Array(items) | Self::Datasec { vars: items, .. } => {
                items.iter().map(Self::nodes).sum()
            }
            Self::Struct(s) => s.members.iter().map(|m| m.value.nodes()).sum(),
            Self::Var { value, .. } => value.nodes(),
            _ => 0,
        }
    }

    /// Whether a part could not be read: too few bytes, a defective type, or left out.
    pub fn is_incomplete(&self) -> bool {
        match self {
            Self::Truncated { .. } | Self::Invalid { .. } | Self::Omitted => true,
            Self::Array(items) | Self::Datasec { vars: items, .. } => {
                items.iter().any(Self::is_incomplete)
            }
            Self::Struct(s) => s.members.iter().any(|m| m.value.is_incomplete()),
            Self::Var { value, .. } => value.is_incomplete(),
            _ => false,
        }
    }
}
