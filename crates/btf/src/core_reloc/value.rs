//! What a relocation's answer is, for a path or type of one side.

use super::CoreError;
use super::locate::member;
use super::spec::Spec;
use super::work::{Side, Work};
use crate::ext::RelocKind;
use crate::types::{Type, encoding};
use crate::{Btf, BtfError, Endian, TypeId};

/// The field that a load or store touches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its type without qualifiers and typedefs; of an array, the array.
    pub type_id: TypeId,
    /// Bytes; of an array, those of an element. 0 for a bit field.
    pub size: u64,
    /// Whether it is an integer or enumeration with a sign.
    pub signed: bool,
}

/// The answer of one side.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer {
    pub(super) value: u64,
    /// For offsets of fields.
    pub(super) field: Option<Field>,
    /// Whether an instruction must have the local answer in it before it is patched. Compilers
    /// may see bit fields another way.
    pub(super) sure: bool,
    /// Whether there is no answer that a program could work with, and it must not run.
    pub(super) poison: bool,
}

impl Answer {
    pub(super) const fn plain(value: u64) -> Self {
        Self {
            value,
            field: None,
            sure: true,
            poison: false,
        }
    }
}

/// The answer when the target has what was asked for; for local paths too.
pub(super) fn answer(
    kind: RelocKind,
    btf: &Btf<'_>,
    spec: &Spec<'_>,
    side: Side,
    work: &mut Work,
) -> Result<Answer, CoreError> {
    match kind {
        RelocKind::FieldExists
        | RelocKind::TypeExists
        | RelocKind::TypeMatches
        | RelocKind::EnumvalExists => Ok(Answer::plain(1)),
        RelocKind::TypeIdLocal | RelocKind::TypeIdTarget => Ok(Answer {
            // Ids change when objects are linked.
            sure: false,
            ..Answer::plain(spec.root.0.into())
        }),
        RelocKind::TypeSize => btf
            .size_of(spec.root)
            .map(Answer::plain)
            .map_err(|e| side.error(e)),
        RelocKind::EnumvalValue => constant(btf, spec, side).map(Answer::plain),
        RelocKind::FieldByteOffset
        | RelocKind::FieldByteSize
        | RelocKind::FieldSigned
        | RelocKind::FieldLshiftU64
        | RelocKind::FieldRshiftU64 => field(kind, btf, spec, side, work),
        RelocKind::Unknown(kind) => Err(CoreError::UnknownKind { kind }),
    }
}

/// The answer when the target has nothing that fits; `None` when the instruction must not run.
pub(super) const fn answer_without(kind: RelocKind) -> Option<u64> {
    match kind {
        RelocKind::FieldExists
        | RelocKind::TypeExists
        | RelocKind::TypeMatches
        | RelocKind::TypeSize
        | RelocKind::TypeIdTarget
        | RelocKind::EnumvalExists => Some(0),
        _ => None,
    }
}

/// Values of 32-bit enumerations count as signed, whatever the enumeration says.
fn constant(btf: &Btf<'_>, spec: &Spec<'_>, side: Side) -> Result<u64, CoreError> {
    let Some(accessor) = spec.accessors.first() else {
        return Err(CoreError::UnknownKind { kind: 0 });
    };
    let (id, index) = (accessor.type_id, accessor.index as usize);
    let ty = btf.type_by_id(id).map_err(|e| side.error(e))?;
    let value = match ty {
        Type::Enum(t) => t.enumerators().nth(index).map(|e| {
            let [a, b, c, d, ..] = e.raw.to_le_bytes();
            i64::from(i32::from_le_bytes([a, b, c, d])).cast_unsigned()
        }),
        Type::Enum64(t) => t.enumerators().nth(index).map(|e| e.raw),
        _ => None,
    };
    value.ok_or_else(|| {
        side.error(BtfError::NoSize {
            id,
            kind: ty.kind(),
        })
    })
}

/// Bytes of what an array is made of, through all dimensions.
fn element_size(
    btf: &Btf<'_>,
    mut id: TypeId,
    side: Side,
    work: &mut Work,
) -> Result<u64, CoreError> {
    loop {
        let (at, ty) = work.resolve(btf, id, side)?;
        match ty {
            Type::Array(array) => id = array.elem_type(),
            _ => return btf.size_of(at).map_err(|e| side.error(e)),
        }
    }
}

fn is_signed(ty: Type<'_>) -> bool {
    match ty {
        Type::Int(t) => t.encoding() & encoding::SIGNED != 0,
        Type::Enum(t) => t.is_signed(),
        Type::Enum64(t) => t.is_signed(),
        _ => false,
    }
}

fn field(
    kind: RelocKind,
    btf: &Btf<'_>,
    spec: &Spec<'_>,
    side: Side,
    work: &mut Work,
) -> Result<Answer, CoreError> {
    let size_of = |id: TypeId| btf.size_of(id).map_err(|e| side.error(e));
    let Some(accessor) = spec.accessors.last() else {
        return Err(CoreError::ArrayElement { kind });
    };
    if accessor.name.is_none() {
        let id = accessor.type_id;
        return match kind {
            RelocKind::FieldByteOffset => {
                let (_, ty) = work.resolve(btf, id, side)?;
                Ok(Answer {
                    field: Some(Field {
                        type_id: id,
                        size: element_size(btf, id, side, work)?,
                        signed: is_signed(ty),
                    }),
                    ..Answer::plain(spec.bit_offset / 8)
                })
            }
            RelocKind::FieldByteSize => size_of(id).map(Answer::plain),
            _ => Err(CoreError::ArrayElement { kind }),
        };
    }
    let member = member(btf, accessor, side)?;
    let (id, ty) = work.resolve(btf, member.type_id, side)?;
    let is_bitfield = member.bitfield_size > 0;
    let place = if is_bitfield {
        Place::of_bitfield(kind, btf, spec, member.bitfield_size, id, side)?
    } else {
        let bytes = size_of(id)?;
        Place {
            byte_offset: spec.bit_offset / 8,
            bytes,
            bit_offset: spec.bit_offset,
            bits: bytes
                .checked_mul(8)
                .ok_or(CoreError::Overflow { id: spec.root })?,
        }
    };
    let (value, sure) = match kind {
        RelocKind::FieldByteOffset => (place.byte_offset, !is_bitfield),
        RelocKind::FieldByteSize => (place.bytes, !is_bitfield),
        RelocKind::FieldSigned => (is_signed(ty).into(), true),
        RelocKind::FieldRshiftU64 if place.is_narrow() => (64 - place.bits, true),
        RelocKind::FieldLshiftU64 if place.is_narrow() => {
            (place.left_shift(btf.endian()), !is_bitfield)
        }
        // No register holds the field, so no shift gives its bits.
        _ => {
            return Ok(Answer {
                poison: true,
                ..Answer::plain(0)
            });
        }
    };
    let field = match kind {
        RelocKind::FieldByteOffset if is_bitfield => Some(Field {
            type_id: id,
            size: 0,
            signed: is_signed(ty),
        }),
        RelocKind::FieldByteOffset => Some(Field {
            type_id: id,
            size: element_size(btf, id, side, work)?,
            signed: is_signed(ty),
        }),
        _ => None,
    };
    Ok(Answer {
        value,
        field,
        sure,
        poison: false,
    })
}

/// The bytes to load for a field, and its bits in them.
#[derive(Clone, Copy)]
struct Place {
    byte_offset: u64,
    bytes: u64,
    /// From the start of the path, not of the bytes.
    bit_offset: u64,
    bits: u64,
}

impl Place {
    /// The smallest aligned word, not below the declared type, that holds a bit field.
    fn of_bitfield(
        kind: RelocKind,
        btf: &Btf<'_>,
        spec: &Spec<'_>,
        bits: u32,
        id: TypeId,
        side: Side,
    ) -> Result<Self, CoreError> {
        let (bit_offset, bits) = (spec.bit_offset, u64::from(bits));
        let too_wide = CoreError::FieldWidth {
            kind,
            bit_offset,
            bits,
        };
        let mut bytes = btf.size_of(id).map_err(|e| side.error(e))?;
        if !matches!(bytes, 1 | 2 | 4 | 8 | 16) {
            return Err(too_wide);
        }
        loop {
            let byte_offset = bit_offset / 8 / bytes * bytes;
            let end = bit_offset - byte_offset * 8 + bits;
            if end <= bytes * 8 {
                return Ok(Self {
                    byte_offset,
                    bytes,
                    bit_offset,
                    bits,
                });
            }
            if bytes >= 8 {
                return Err(too_wide);
            }
            bytes *= 2;
        }
    }

    /// Whether a 64-bit register holds it.
    const fn is_narrow(self) -> bool {
        let within = self.bit_offset - self.byte_offset * 8;
        self.bytes <= 8 && self.bits <= 64 && within + self.bits <= 64
    }

    /// How far the field's first bit is from the register's, once the word is loaded.
    const fn left_shift(self, endian: Endian) -> u64 {
        let within = self.bit_offset - self.byte_offset * 8;
        match endian {
            Endian::Little => 64 - (within + self.bits),
            Endian::Big => (8 - self.bytes) * 8 + within,
        }
    }
}
