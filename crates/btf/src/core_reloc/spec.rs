//! The path of an access: `0:1:2` as steps through types.

use super::CoreError;
use super::work::{Side, Work};
use crate::ext::{CoreRelo, RelocKind};
use crate::types::{Array, Name, Type};
use crate::{Btf, BtfError, TypeId, escape};

/// Steps of a path, those through anonymous members counted.
pub(super) const MAX_STEPS: usize = 64;
/// Bytes of 64 numbers and what separates them, with room for leading zeros.
const MAX_TEXT: usize = 1024;

/// A step that has a meaning: a named member, an array element, or a constant. The first is
/// always the element of the pointer that the access starts from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Accessor<'b> {
    /// The struct or union that has the member, the type of the element, or the enumeration.
    pub(crate) type_id: TypeId,
    pub(crate) index: u32,
    /// The member's or constant's name; `None` for elements.
    pub(super) name: Option<Name<'b>>,
}

/// A path in the types of one side.
#[derive(Clone, Debug)]
pub(crate) struct Spec<'b> {
    pub(super) root: TypeId,
    /// Empty for questions about types.
    pub(crate) accessors: Vec<Accessor<'b>>,
    /// Every step: indices of members, anonymous ones too, and of elements.
    pub(crate) raw: Vec<u32>,
    /// Bits from the start of the root type.
    pub(super) bit_offset: u64,
}

impl<'b> Spec<'b> {
    pub(super) const fn new(root: TypeId) -> Self {
        Self {
            root,
            accessors: Vec::new(),
            raw: Vec::new(),
            bit_offset: 0,
        }
    }

    /// The path that a relocation of an object gives.
    pub(super) fn parse(
        btf: &'b Btf<'b>,
        relo: &CoreRelo,
        work: &mut Work,
    ) -> Result<Self, CoreError> {
        if let RelocKind::Unknown(kind) = relo.kind {
            return Err(CoreError::UnknownKind { kind });
        }
        let mut spec = Self::new(relo.type_id);
        btf.type_by_id(relo.type_id).map_err(CoreError::Local)?;
        let text = access_text(btf, relo)?;
        if relo.kind.is_type() {
            return match text {
                b"0" => Ok(spec),
                _ => Err(access_error(relo.kind, text, "a type takes '0'")),
            };
        }
        spec.raw = numbers(text).map_err(|why| access_error(relo.kind, text, why))?;
        let (id, ty) = work.resolve(btf, relo.type_id, Side::Local)?;
        let first = spec.raw.first().copied().unwrap_or_default();
        if relo.kind.is_enumval() {
            if spec.raw.len() > 1 {
                return Err(access_error(relo.kind, text, "a constant takes one number"));
            }
            spec.accessors.push(constant(id, ty, first)?);
            return Ok(spec);
        }
        spec.accessors.push(Accessor {
            type_id: id,
            index: first,
            name: None,
        });
        let size = btf.size_of(id).map_err(CoreError::Local)?;
        spec.advance(first, size)?;
        let mut at = id;
        for (step, index) in spec.raw.clone().into_iter().enumerate().skip(1) {
            at = spec.step(btf, at, step, index, work)?;
        }
        Ok(spec)
    }

    /// One step of a local path from the type `at`; the type that it leads to.
    fn step(
        &mut self,
        btf: &'b Btf<'b>,
        at: TypeId,
        step: usize,
        index: u32,
        work: &mut Work,
    ) -> Result<TypeId, CoreError> {
        let (id, ty) = work.resolve(btf, at, Side::Local)?;
        let out_of_bounds = |count| CoreError::OutOfBounds {
            step,
            id,
            kind: ty.kind(),
            index,
            count,
        };
        match ty {
            Type::Struct(t) | Type::Union(t) => {
                let member = t
                    .members()
                    .nth(index as usize)
                    .ok_or_else(|| out_of_bounds(t.vlen()))?;
                self.add_bits(member.bit_offset.into())?;
                if member.name.offset() != 0 {
                    if member.name.is_empty() {
                        let offset = member.name.offset();
                        let end = btf.strings_end();
                        return Err(CoreError::Local(BtfError::NoSuchString { offset, end }));
                    }
                    self.accessors.push(Accessor {
                        type_id: id,
                        index,
                        name: Some(member.name),
                    });
                }
                Ok(member.type_id)
            }
            Type::Array(array) => {
                let (elem, _) = work.resolve(btf, array.elem_type(), Side::Local)?;
                if index >= array.len() && !self.is_flexible(btf, &array) {
                    return Err(out_of_bounds(array.len()));
                }
                self.accessors.push(Accessor {
                    type_id: elem,
                    index,
                    name: None,
                });
                self.advance(index, btf.size_of(elem).map_err(CoreError::Local)?)?;
                Ok(elem)
            }
            _ => Err(CoreError::NoSteps {
                step,
                id,
                kind: ty.kind(),
            }),
        }
    }

    /// Whether the array that the last step led to has no length of its own: declared so, and
    /// the last member of what has it.
    pub(super) fn is_flexible(&self, btf: &Btf<'_>, array: &Array<'_>) -> bool {
        let Some(Accessor {
            type_id,
            index,
            name: Some(_),
        }) = self.accessors.last()
        else {
            return false;
        };
        let last = |vlen: u32| index.checked_add(1) == Some(vlen);
        array.is_empty() && btf.record(*type_id).is_ok_and(|record| last(record.vlen()))
    }

    /// Moves on by `count` elements of `size` bytes.
    pub(super) fn advance(&mut self, count: u32, size: u64) -> Result<(), CoreError> {
        let bits = size
            .checked_mul(8)
            .and_then(|bits| bits.checked_mul(count.into()))
            .ok_or(CoreError::Overflow { id: self.root })?;
        self.add_bits(bits)
    }

    pub(super) fn add_bits(&mut self, bits: u64) -> Result<(), CoreError> {
        self.bit_offset = self
            .bit_offset
            .checked_add(bits)
            .ok_or(CoreError::Overflow { id: self.root })?;
        Ok(())
    }

    /// Notes a step of a target's path.
    pub(super) fn push_raw(&mut self, index: u32) -> Result<(), CoreError> {
        if self.raw.len() >= MAX_STEPS {
            return Err(CoreError::TooDeep { id: self.root });
        }
        self.raw.push(index);
        Ok(())
    }
}

fn constant<'b>(id: TypeId, ty: Type<'b>, index: u32) -> Result<Accessor<'b>, CoreError> {
    let at = index as usize;
    let (name, count) = match ty {
        Type::Enum(t) => (t.enumerators().nth(at).map(|e| e.name), t.vlen()),
        Type::Enum64(t) => (t.enumerators().nth(at).map(|e| e.name), t.vlen()),
        _ => {
            return Err(CoreError::NoSteps {
                step: 0,
                id,
                kind: ty.kind(),
            });
        }
    };
    match name {
        Some(name) => Ok(Accessor {
            type_id: id,
            index,
            name: Some(name),
        }),
        None => Err(CoreError::OutOfBounds {
            step: 0,
            id,
            kind: ty.kind(),
            index,
            count,
        }),
    }
}

fn access_text<'b>(btf: &'b Btf<'b>, relo: &CoreRelo) -> Result<&'b [u8], CoreError> {
    let offset = relo.access_str_off;
    let tail = btf
        .str_tail(offset)
        .ok_or(CoreError::Local(BtfError::NoSuchString {
            offset,
            end: btf.strings_end(),
        }))?;
    let text = crate::raw::strings::first_of(tail, MAX_TEXT);
    if text.len() == MAX_TEXT {
        return Err(access_error(relo.kind, text, "too long"));
    }
    Ok(text)
}

fn access_error(kind: RelocKind, text: &[u8], why: &'static str) -> CoreError {
    let text = text.get(..40).unwrap_or(text);
    CoreError::AccessString {
        text: escape(text).into_owned(),
        kind,
        why,
    }
}

/// The numbers of `0:1:2`.
fn numbers(text: &[u8]) -> Result<Vec<u32>, &'static str> {
    let mut out = Vec::new();
    for part in text.split(|b| *b == b':') {
        if part.is_empty() {
            return Err("a number is missing");
        }
        let mut number = 0u32;
        for digit in part {
            if !digit.is_ascii_digit() {
                return Err("not numbers separated by colons");
            }
            number = number
                .checked_mul(10)
                .and_then(|n| n.checked_add(u32::from(digit - b'0')))
                .filter(|n| i32::try_from(*n).is_ok())
                .ok_or("a number is above 2147483647")?;
        }
        if out.len() == MAX_STEPS {
            return Err("more than 64 numbers");
        }
        out.push(number);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn access_strings_are_numbers_and_colons() {
        let check = |text: &str, expect: Result<&[u32], &str>| {
            assert_eq!(
                numbers(text.as_bytes()).as_deref().map_err(|e| *e),
                expect,
                "{text}"
            );
        };
        check("0", Ok(&[0]));
        check("0:1:22", Ok(&[0, 1, 22]));
        check("007:2147483647", Ok(&[7, i32::MAX as u32]));
        check("2147483648", Err("a number is above 2147483647"));
        check("99999999999999999999", Err("a number is above 2147483647"));
        for missing in ["", ":", ":0", "0:", "0::1"] {
            check(missing, Err("a number is missing"));
        }
        for odd in ["-1", "+1", "0: 1", "0x1", "a", "0;1", "1.5"] {
            check(odd, Err("not numbers separated by colons"));
        }
        let long = vec!["1"; 65].join(":");
        check(&long, Err("more than 64 numbers"));
        assert_eq!(numbers(&long.as_bytes()[2..]).map(|n| n.len()), Ok(64));
    }
}
