//! The walk over a type and bytes at once.

use super::bits::extract;
use super::visitor::Builder;
use super::{Bits, EnumValue, Group, Value, Visitor};
use crate::types::{self, Array, Datasec, Enumerator, Int, Ref, Type, encoding};
use crate::{Btf, BtfError, TypeId};

/// Structs, arrays and variables inside each other.
const MAX_NESTING: u32 = 64;

/// Nodes that a tree for so many bytes may have. Small values may be all bit fields seen
/// through unions; over large ones that evens out.
pub(super) const fn node_limit(bytes: usize) -> usize {
    let first = if bytes < 4096 { bytes } else { 4096 };
    1024usize
        .saturating_add(bytes.saturating_mul(4))
        .saturating_add(first * 12)
}

/// Reads `bytes` as a value of type `id`.
///
/// Never fails as a whole: what cannot be read is a node that says so, next to what can
/// ([`Value::Truncated`], [`Value::Invalid`], [`Value::Opaque`]). Bytes beyond the type's size
/// are left alone. The number of nodes is bounded by the number of bytes, whatever the type
/// says: 4 per byte, 12 more for each of the first 4096, and 1024. A tree for large arrays of
/// small numbers takes tens of bytes per byte; [`visit`] needs no memory for them.
pub fn decode<'a>(btf: &'a Btf<'_>, id: impl Into<TypeId>, bytes: &'a [u8]) -> Value<'a> {
    let mut tree = Builder::new();
    let Ok(()) = visit(btf, id, bytes, &mut tree);
    tree.finish()
}

/// Reads `bytes` as [`decode`] does, with the same bounds, and hands the parts to `visitor` in
/// order, without making a tree of them.
///
/// # Errors
/// The first error of `visitor`.
pub fn visit<'a, V: Visitor<'a>>(
    btf: &'a Btf<'_>,
    id: impl Into<TypeId>,
    bytes: &'a [u8],
    visitor: &mut V,
) -> Result<(), V::Error> {
    let mut decoder = Decoder {
        btf,
        nodes_left: node_limit(bytes.len()),
        visitor,
    };
    decoder.value(id.into(), bytes, 0, 0).map(drop)
}

struct Decoder<'a, 'v, V> {
    btf: &'a Btf<'a>,
    nodes_left: usize,
    visitor: &'v mut V,
}

/// Whether a value was left out, and those after it are to be.
type Omitted = bool;

fn invalid(error: BtfError, bytes: &[u8]) -> Value<'_> {
    Value::Invalid {
        error: Box::new(error),
        bytes,
    }
}

impl<'a, V: Visitor<'a>> Decoder<'a, '_, V> {
    /// Hands on a value without parts.
    #[inline]
    fn leaf(&mut self, value: Value<'a>) -> Result<Omitted, V::Error> {
        let omitted = matches!(value, Value::Omitted);
        self.visitor.leaf(value).map(|()| omitted)
    }

    /// The value at bit `shift` (below 8) of `bytes`.
    fn value(
        &mut self,
        id: TypeId,
        bytes: &'a [u8],
        shift: u32,
        depth: u32,
    ) -> Result<Omitted, V::Error> {
        if self.nodes_left == 0 {
            return self.leaf(Value::Omitted);
        }
        self.nodes_left -= 1;
        let (id, ty) = match self.btf.resolve(id) {
            Ok(found) => found,
            Err(error) => return self.leaf(invalid(error, bytes)),
        };
        if depth > MAX_NESTING {
            return self.leaf(invalid(BtfError::TooDeep { id }, bytes));
        }
        let leaf = match ty {
            Type::Array(array) => return self.array(array, bytes, depth),
            Type::Struct(s) | Type::Union(s) => return self.composite(id, s, bytes, depth),
            Type::Datasec(section) => return self.datasec(section, bytes, depth),
            Type::Var(var) => {
                let group = Group::Var { name: var.name() };
                self.visitor.begin(group, 1)?;
                self.value(var.type_id(), bytes, 0, depth + 1)?;
                self.visitor.end(group)?;
                return Ok(false);
            }
            Type::Int(int) => self.int(id, int, bytes, shift),
            Type::Ptr(ptr) => self.ptr(ptr, bytes),
            Type::Enum(e) => self.enumeration(e.size(), e.is_signed(), e.enumerators(), bytes),
            Type::Enum64(e) => self.enumeration(e.size(), e.is_signed(), e.enumerators(), bytes),
            Type::Float(float) => self.float(float.size(), bytes),
            other => Value::Opaque {
                kind: other.kind(),
                type_id: id,
                bytes,
            },
        };
        self.leaf(leaf)
    }

    /// The first `size` bytes as an unsigned number, for the sizes that machines have.
    fn unsigned(&self, bytes: &[u8], size: u32) -> Option<u64> {
        let endian = self.btf.endian();
        Some(match size {
            1 => u64::from(*bytes.first()?),
            2 => u64::from(endian.u16(*bytes.first_chunk()?)),
            4 => u64::from(endian.u32(*bytes.first_chunk()?)),
            8 => endian.u64(*bytes.first_chunk()?),
            _ => return None,
        })
    }

    fn int(&self, id: TypeId, int: Int<'a>, bytes: &'a [u8], shift: u32) -> Value<'a> {
        let (width, how) = (int.bits(), int.encoding());
        let offset = shift + int.bit_offset();
        if offset != 0 || !matches!(width, 8 | 16 | 32 | 64) {
            return self.bits(
                id,
                how & encoding::SIGNED != 0,
                bytes,
                u64::from(offset),
                width,
            );
        }
        let Some(raw) = self.unsigned(bytes, width / 8) else {
            return Value::Truncated {
                need: u64::from(width / 8),
                bytes,
            };
        };
        if how & encoding::BOOL != 0 {
            Value::Bool(raw != 0)
        } else if how & encoding::CHAR != 0 && width == 8 {
            bytes
                .first()
                .map_or(Value::Omitted, |byte| Value::Char(*byte))
        } else if how & encoding::SIGNED != 0 {
            Value::Int(extend(raw, width))
        } else {
            Value::Uint(raw)
        }
    }

    fn bits(
        &self,
        id: TypeId,
        signed: bool,
        bytes: &'a [u8],
        offset: u64,
        width: u32,
    ) -> Value<'a> {
        let Ok(small @ 0..=128) = u8::try_from(width) else {
            return invalid(BtfError::BitWidth { id, bits: width }, bytes);
        };
        // All of an integer in its own bytes: faster, and the common case of 128 bits.
        let raw = match bytes.first_chunk() {
            Some(chunk) if offset == 0 && width == 128 => Some(self.btf.endian().u128(*chunk)),
            _ => extract(self.btf.endian(), bytes, offset, width),
        };
        match raw {
            #[expect(clippy::cast_possible_truncation, reason = "both halves are kept")]
            Some(raw) => Value::Bits(Bits {
                low: raw as u64,
                high: (raw >> 64) as u64,
                width: small,
                signed,
                type_id: id,
            }),
            None => Value::Truncated {
                need: (offset + u64::from(width)).div_ceil(8),
                bytes,
            },
        }
    }

    /// A bit field of the new style, whose width is in the member.
    fn bit_field(&mut self, id: TypeId, bytes: &'a [u8], offset: u64, width: u32) -> Value<'a> {
        if self.nodes_left == 0 {
            return Value::Omitted;
        }
        self.nodes_left -= 1;
        let (id, ty) = match self.btf.resolve(id) {
            Ok(found) => found,
            Err(error) => return invalid(error, bytes),
        };
        let signed = match ty {
            Type::Int(int) => int.is_signed(),
            Type::Enum(e) => e.is_signed(),
            Type::Enum64(e) => e.is_signed(),
            _ => false,
        };
        self.bits(id, signed, bytes, offset, width)
    }

    fn ptr(&self, ptr: Ref<'a>, bytes: &'a [u8]) -> Value<'a> {
        let size = u32::from(self.btf.pointer_size());
        match self.unsigned(bytes, size) {
            Some(value) => Value::Ptr {
                value,
                pointee: ptr.type_id(),
            },
            None => Value::Truncated {
                need: u64::from(size),
                bytes,
            },
        }
    }

    fn enumeration(
        &self,
        size: u32,
        signed: bool,
        mut constants: impl Iterator<Item = Enumerator<'a>> + Clone,
        bytes: &'a [u8],
    ) -> Value<'a> {
        let (Some(raw), Ok(small)) = (self.unsigned(bytes, size), u8::try_from(size)) else {
            return Value::Truncated {
                need: u64::from(size),
                bytes,
            };
        };
        let extended = extend(raw, size * 8).cast_unsigned();
        let raw = if signed { extended } else { raw };
        let mut found = EnumValue {
            name: None,
            raw,
            signed,
            size: small,
        };
        let value = found.value();
        let mut again = constants.clone();
        let mut constant = constants.find(|e| e.value == value);
        if constant.is_none() && !signed && size < 4 {
            // Before Linux 6.0 nothing told that an enumeration was signed.
            constant = again.find(|e| e.raw == extended & u64::from(u32::MAX));
        }
        found.name = constant.map(|e| e.name);
        Value::Enum(found)
    }

    fn float(&self, size: u32, bytes: &'a [u8]) -> Value<'a> {
        let endian = self.btf.endian();
        let Some(own) = usize::try_from(size)
            .ok()
            .and_then(|size| bytes.get(..size))
        else {
            return Value::Truncated {
                need: u64::from(size),
                bytes,
            };
        };
        if let Ok(word) = <[u8; 4]>::try_from(own) {
            Value::Float {
                value: f64::from(f32::from_bits(endian.u32(word))),
                size: 4,
            }
        } else if let Ok(word) = <[u8; 8]>::try_from(own) {
            Value::Float {
                value: f64::from_bits(endian.u64(word)),
                size: 8,
            }
        } else {
            Value::RawFloat(own)
        }
    }

    fn composite(
        &mut self,
        id: TypeId,
        ty: types::Composite<'a>,
        bytes: &'a [u8],
        depth: u32,
    ) -> Result<Omitted, V::Error> {
        let bytes = clip(bytes, u64::from(ty.size()));
        let group = Group::Struct {
            type_id: id,
            is_union: ty.is_union(),
        };
        self.visitor.begin(group, self.room(ty.vlen()))?;
        for member in ty.members() {
            self.visitor.member(member.name)?;
            let end = if self.nodes_left == 0 {
                self.leaf(Value::Omitted)?
            } else if member.bitfield_size != 0 {
                let offset = u64::from(member.bit_offset);
                let bits = self.bit_field(member.type_id, bytes, offset, member.bitfield_size);
                self.leaf(bits)?
            } else {
                let (offset, shift) = (member.bit_offset / 8, member.bit_offset % 8);
                self.value(member.type_id, from(bytes, offset), shift, depth + 1)?
            };
            if end {
                break;
            }
        }
        self.visitor.end(group)?;
        Ok(false)
    }

    fn datasec(
        &mut self,
        ty: Datasec<'a>,
        bytes: &'a [u8],
        depth: u32,
    ) -> Result<Omitted, V::Error> {
        let group = Group::Datasec { name: ty.name() };
        self.visitor.begin(group, self.room(ty.vlen()))?;
        for var in ty.vars() {
            let own = clip(from(bytes, var.offset), u64::from(var.size));
            if self.value(var.type_id, own, 0, depth + 1)? {
                break;
            }
        }
        self.visitor.end(group)?;
        Ok(false)
    }

    fn array(&mut self, ty: Array<'a>, bytes: &'a [u8], depth: u32) -> Result<Omitted, V::Error> {
        let (elem, len) = (ty.elem_type(), ty.len());
        if len == 0 {
            self.visitor.begin(Group::Array, 0)?;
            self.visitor.end(Group::Array)?;
            return Ok(false);
        }
        let all = usize::try_from(len).ok().and_then(|len| bytes.get(..len));
        if let Some(text) = all.and_then(|all| self.text(elem, all)) {
            return self.leaf(Value::Str(text));
        }
        let size = match self.btf.size_of(elem) {
            Ok(size) => size,
            Err(error) => return self.leaf(invalid(error, bytes)),
        };
        let Some(all) = size.checked_mul(u64::from(len)) else {
            return self.leaf(invalid(BtfError::SizeOverflow { id: ty.id() }, bytes));
        };
        let there = (bytes.len() as u64)
            .checked_div(size)
            .unwrap_or(u64::from(len));
        let whole = u32::try_from(there).unwrap_or(len).min(len);
        let room = self.room(whole.saturating_add(1));
        self.visitor.begin(Group::Array, room)?;
        let mut rest = bytes;
        let mut end = false;
        for _ in 0..whole {
            let (own, after) = rest.split_at(clip(rest, size).len());
            end = self.value(elem, own, 0, depth + 1)?;
            if end {
                break;
            }
            rest = after;
        }
        if whole < len && !end {
            let need = all - (bytes.len() - rest.len()) as u64;
            self.leaf(Value::Truncated { need, bytes: rest })?;
        }
        self.visitor.end(Group::Array)?;
        Ok(false)
    }

    /// The characters up to NUL, if the elements are `char` itself, and printable.
    fn text(&self, elem: TypeId, bytes: &'a [u8]) -> Option<&'a [u8]> {
        let Ok((_, Type::Int(int))) = self.btf.strip_modifiers(elem) else {
            return None;
        };
        if int.size() != 1 || int.encoding() != encoding::CHAR && !int.name().is(b"char") {
            return None;
        }
        let end = bytes.iter().position(|b| !(0x20..0x7f).contains(b))?;
        let (text, rest) = bytes.split_at(end);
        (rest.first() == Some(&0)).then_some(text)
    }

    /// Room for `count` nodes, as far as the limit allows them.
    fn room(&self, count: u32) -> usize {
        (count as usize).min(self.nodes_left.saturating_add(1))
    }
}

/// `raw`, of which the low `width` bits count, as two's complement.
const fn extend(raw: u64, width: u32) -> i64 {
    let unused = 64u32.saturating_sub(width);
    if unused > 63 {
        0
    } else {
        (raw << unused).cast_signed() >> unused
    }
}

/// At most the first `len` bytes.
fn clip(bytes: &[u8], len: u64) -> &[u8] {
    usize::try_from(len)
        .ok()
        .and_then(|len| bytes.get(..len))
        .unwrap_or(bytes)
}

/// The bytes from `offset` on; none when it is past the end.
fn from(bytes: &[u8], offset: u32) -> &[u8] {
    bytes.get(offset as usize..).unwrap_or_default()
}
