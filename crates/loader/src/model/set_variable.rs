//! Values of variables, before anything runs.

use super::error::nearest;
use super::{EditError, Linkage, Map, MapOrigin, Object, Variable};
use btf::types::{Enumerator, Name};
use btf::{Btf, Endian, Type, TypeId, encoding};

/// Names that an error offers as members.
const MAX_MEMBERS: usize = 16;

impl Object {
    /// Sets a variable, a member or an element: `limit`, `config.rate[2]`.
    ///
    /// How the value is written depends on the type: numbers in decimal, or with `0x`, `0o`, `0b`
    /// in front; `true` and `false`; names of constants; `'c'`; text for arrays of characters,
    /// between `"` or as it is.
    ///
    /// # Errors
    /// No such variable or member, a value that is none of the type, or that does not fit.
    pub fn set_variable(&mut self, path: &str, value: &str) -> Result<(), EditError> {
        let (variable, rest) = self.find_variable(path)?;
        let (map, start, size) = (variable.map, variable.offset, variable.size);
        let name = path.get(..path.len() - rest.len()).unwrap_or(path);
        let no_type = || EditError::Path {
            path: name.to_owned(),
            why: "the object does not say of what type it is".to_owned(),
            near: Vec::new(),
        };
        let type_id = variable.type_id.ok_or_else(no_type)?;
        let btf = self.btf.clone().ok_or_else(no_type)?;
        let walk = Walk {
            btf: &btf,
            path,
            room: u64::from(size) * 8,
        };
        let place = walk.follow(type_id, rest, path.len() - rest.len())?;
        let bytes = walk.encode(&place, value)?;
        let start = u64::from(start) * 8 + place.bit;
        let map = self.maps.get_mut(map.index()).ok_or_else(no_type)?;
        let data = writable(map, path)?;
        match bytes {
            Encoded::Bits { width, value } => put(data, self.endian, start, width, value),
            Encoded::Text(text) => {
                let start = usize::try_from(start / 8).unwrap_or(usize::MAX);
                let place = data
                    .get_mut(start..)
                    .and_then(|rest| rest.get_mut(..text.len()));
                place.map(|place| place.copy_from_slice(&text))
            }
        }
        .ok_or_else(|| EditError::Path {
            path: path.to_owned(),
            why: "it is not in its section".to_owned(),
            near: Vec::new(),
        })
    }

    /// The variable that a path starts with, and the rest of the path.
    fn find_variable<'p>(&self, path: &'p str) -> Result<(&Variable, &'p str), EditError> {
        let of_path = |variable: &&Variable| {
            let rest = path.strip_prefix(variable.name.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        // names of static variables may have dots; the longest name counts, then who sees it
        let best = self
            .variables
            .iter()
            .filter(of_path)
            .max_by_key(|variable| (variable.name.len(), variable.linkage != Linkage::Static));
        let Some(best) = best else {
            let name = path.split(['.', '[']).next().unwrap_or(path);
            let names = self.variables.iter().map(|variable| variable.name.as_str());
            return Err(EditError::NoVariable {
                name: name.to_owned(),
                near: nearest(name, names),
            });
        };
        let same = |other: &&Variable| {
            other.name == best.name
                && (other.linkage == Linkage::Static) == (best.linkage == Linkage::Static)
        };
        if self.variables.iter().filter(same).count() > 1 {
            return Err(EditError::Path {
                path: best.name.clone(),
                why: "more than one variable has this name".to_owned(),
                near: Vec::new(),
            });
        }
        let rest = path.get(best.name.len()..).unwrap_or_default();
        Ok((best, rest))
    }
}

/// A map's bytes, all of them.
fn writable<'m>(map: &'m mut Map, path: &str) -> Result<&'m mut Vec<u8>, EditError> {
    let wrong = |why: &str| EditError::Path {
        path: path.to_owned(),
        why: why.to_owned(),
        near: Vec::new(),
    };
    if map.origin == MapOrigin::Kconfig {
        return Err(wrong("the kernel's configuration decides its value"));
    }
    let size = usize::try_from(map.spec.value_size).unwrap_or(usize::MAX);
    let missing = size.saturating_sub(map.data.len());
    map.data
        .try_reserve_exact(missing)
        .map_err(|_error| wrong("there is not enough memory for its section"))?;
    map.data.resize(map.data.len() + missing, 0);
    Ok(&mut map.data)
}

/// Sets bits in the byte order of the object: from the lowest bit of the first byte on, or from
/// the highest.
fn put(data: &mut [u8], endian: Endian, start: u64, width: u32, value: u128) -> Option<()> {
    for at in 0..width {
        let place = start.checked_add(u64::from(at))?;
        let byte = data.get_mut(usize::try_from(place / 8).ok()?)?;
        let (mask, bit) = match endian {
            Endian::Little => (1u8 << (place % 8), at),
            Endian::Big => (0x80u8 >> (place % 8), width - 1 - at),
        };
        if value.checked_shr(bit).unwrap_or(0) & 1 == 1 {
            *byte |= mask;
        } else {
            *byte &= !mask;
        }
    }
    Some(())
}

/// A place inside of a variable.
#[derive(Clone, Copy)]
struct Place {
    type_id: TypeId,
    /// Bits from the start of the variable.
    bit: u64,
    /// Width of a bit field; else 0.
    width: u32,
}

/// What is to be written.
enum Encoded {
    Bits { width: u32, value: u128 },
    Text(Vec<u8>),
}

/// A number: its sign and its distance from zero.
#[derive(Clone, Copy)]
struct Number {
    negative: bool,
    size: u128,
}

impl Number {
    fn parse(text: &str) -> Option<Self> {
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let lower = digits.to_ascii_lowercase();
        let (digits, radix) = if let Some(rest) = lower.strip_prefix("0x") {
            (rest, 16)
        } else if let Some(rest) = lower.strip_prefix("0o") {
            (rest, 8)
        } else if let Some(rest) = lower.strip_prefix("0b") {
            (rest, 2)
        } else {
            (lower.as_str(), 10)
        };
        if digits.starts_with(['+', '-']) {
            return None;
        }
        let size = u128::from_str_radix(digits, radix).ok()?;
        Some(Self { negative, size })
    }
}

/// The road from a variable to a part of it.
struct Walk<'w> {
    btf: &'w Btf<'w>,
    path: &'w str,
    /// Bits of the variable.
    room: u64,
}

impl Walk<'_> {
    /// What of the path is in front of `end`.
    fn so_far(&self, end: usize) -> String {
        self.path.get(..end).unwrap_or(self.path).to_owned()
    }

    fn wrong(&self, end: usize, why: impl Into<String>) -> EditError {
        EditError::Path {
            path: self.so_far(end),
            why: why.into(),
            near: Vec::new(),
        }
    }

    /// Follows `.member` and `[index]`.
    fn follow(&self, type_id: TypeId, rest: &str, start: usize) -> Result<Place, EditError> {
        let mut place = Place {
            type_id,
            bit: 0,
            width: 0,
        };
        let mut rest = rest;
        let mut end = start;
        while !rest.is_empty() {
            let step = if let Some(behind) = rest.strip_prefix('.') {
                let len = behind.find(['.', '[']).unwrap_or(behind.len());
                let name = behind.get(..len).unwrap_or_default();
                place = self.member(place, name, end)?;
                len + 1
            } else if let Some(behind) = rest.strip_prefix('[') {
                let len = behind
                    .find(']')
                    .ok_or_else(|| self.wrong(end, "'[' has no ']'"))?;
                let index = behind.get(..len).unwrap_or_default();
                place = self.element(place, index, end)?;
                len + 2
            } else {
                return Err(self.wrong(end, "'.' or '[' must follow"));
            };
            rest = rest.get(step..).unwrap_or_default();
            end += step;
        }
        // bit fields of the old style have their place in the integer
        if let (_, Type::Int(int)) = self.btf.resolve(place.type_id)?
            && place.width == 0
            && int.bit_offset() != 0
        {
            place.bit = place.bit.saturating_add(int.bit_offset().into());
            place.width = int.bits();
        }
        Ok(place)
    }

    fn member(&self, place: Place, name: &str, end: usize) -> Result<Place, EditError> {
        let (id, ty) = self.btf.resolve(place.type_id)?;
        let (Type::Struct(_) | Type::Union(_)) = ty else {
            let kind = ty.kind();
            return Err(self.wrong(end, format!("it is {kind}, and has no members")));
        };
        let members = self.btf.flatten(id)?;
        let found = members
            .iter()
            .find(|member| member.name.is(name.as_bytes()));
        let Some(found) = found.filter(|_| !name.is_empty()) else {
            let names: Vec<_> = members.iter().map(|member| member.name.to_text()).collect();
            return Err(EditError::Path {
                path: self.so_far(end),
                why: format!("it has no member '{name}'"),
                near: nearest(name, names.iter().map(AsRef::as_ref)),
            });
        };
        Ok(Place {
            type_id: found.type_id,
            bit: place.bit.saturating_add(found.bit_offset),
            width: found.bitfield_size,
        })
    }

    fn element(&self, place: Place, index: &str, end: usize) -> Result<Place, EditError> {
        let (_, ty) = self.btf.resolve(place.type_id)?;
        let Type::Array(array) = ty else {
            let kind = ty.kind();
            return Err(self.wrong(end, format!("it is {kind}, and has no elements")));
        };
        let number = Number::parse(index)
            .filter(|number| !number.negative)
            .and_then(|number| u64::try_from(number.size).ok());
        let number = number.ok_or_else(|| self.wrong(end, format!("'{index}' is no index")))?;
        let size = self.btf.size_of(array.elem_type())?;
        let bits = size.saturating_mul(8);
        let bit = number
            .checked_mul(bits)
            .and_then(|bits| place.bit.checked_add(bits));
        // an array without a length has the elements that the variable has room for
        let len = match u64::from(array.len()) {
            0 => self
                .room
                .saturating_sub(place.bit)
                .checked_div(bits)
                .unwrap_or(0),
            len => len,
        };
        match bit {
            Some(bit) if number < len => Ok(Place {
                type_id: array.elem_type(),
                bit,
                width: 0,
            }),
            _ => Err(self.wrong(end, format!("it has {len} elements, and none at {number}"))),
        }
    }

    /// The bits of a value.
    fn encode(&self, place: &Place, value: &str) -> Result<Encoded, EditError> {
        let (id, ty) = self.btf.resolve(place.type_id)?;
        match ty {
            Type::Int(int) => {
                let width = match (place.width, int.bits()) {
                    (0, 0) => int.size().saturating_mul(8),
                    (0, bits) => bits,
                    (width, _) => width,
                };
                if int.encoding() & encoding::BOOL != 0 {
                    let value = match value {
                        "true" | "1" => 1,
                        "false" | "0" => 0,
                        _ => return Err(self.no_value(value, "truth value: true or false")),
                    };
                    return Ok(Encoded::Bits { width, value });
                }
                if let Some(byte) = character(value).filter(|_| int.size() == 1) {
                    let value = byte.into();
                    return Ok(Encoded::Bits { width, value });
                }
                let name = int.name().to_text();
                let number = Number::parse(value).ok_or_else(|| self.no_value(value, "number"))?;
                self.fit(number, width, int.is_signed(), value, &name)
            }
            Type::Enum(of) => {
                let (size, signed, name) = (of.size(), of.kind_flag(), of.name());
                self.constant(value, place, size, signed, name, of.enumerators())
            }
            Type::Enum64(of) => {
                let (size, signed, name) = (of.size(), of.kind_flag(), of.name());
                self.constant(value, place, size, signed, name, of.enumerators())
            }
            Type::Ptr(_) => {
                let number = Number::parse(value).ok_or_else(|| self.no_value(value, "address"))?;
                let width = u32::from(self.btf.pointer_size()) * 8;
                self.fit(number, width, false, value, "a pointer")
            }
            Type::Float(float) => self.float(float.size(), value),
            Type::Array(array) => {
                let element = self.btf.resolve(array.elem_type())?.1;
                match element {
                    Type::Int(int) if int.size() == 1 && int.encoding() & encoding::BOOL == 0 => {
                        let len = match array.len() {
                            0 => self.room.saturating_sub(place.bit) / 8,
                            len => len.into(),
                        };
                        self.text(value, len)
                    }
                    _ => Err(self.wrong(
                        self.path.len(),
                        format!("it is an array: set its elements, '{}[0]'", self.path),
                    )),
                }
            }
            Type::Struct(_) | Type::Union(_) => {
                let members = self.btf.flatten(id)?;
                let names: Vec<_> = members
                    .iter()
                    .filter(|member| !member.name.is_empty())
                    .take(MAX_MEMBERS)
                    .map(|member| member.name.to_text())
                    .collect();
                let why = format!("set its members: '{}'", names.join("', '"));
                Err(self.wrong(self.path.len(), why))
            }
            other => {
                let why = format!("nothing can be set that is {}", other.kind());
                Err(self.wrong(self.path.len(), why))
            }
        }
        .and_then(|encoded| self.check(place, encoded))
    }

    /// A value is never written behind its variable.
    fn check(&self, place: &Place, encoded: Encoded) -> Result<Encoded, EditError> {
        let bits = match &encoded {
            Encoded::Bits { width, .. } => u64::from(*width),
            Encoded::Text(text) => text.len() as u64 * 8,
        };
        if place
            .bit
            .checked_add(bits)
            .is_none_or(|end| end > self.room)
        {
            return Err(self.wrong(self.path.len(), "it ends behind its variable"));
        }
        Ok(encoded)
    }

    fn no_value(&self, value: &str, expected: &str) -> EditError {
        EditError::Value {
            path: self.path.to_owned(),
            value: value.to_owned(),
            expected: expected.to_owned(),
            near: Vec::new(),
        }
    }

    /// A constant of an enumeration, which may be named or be a number.
    fn constant<'n>(
        &self,
        value: &str,
        place: &Place,
        size: u32,
        signed: bool,
        name: Name<'_>,
        mut constants: impl Iterator<Item = Enumerator<'n>> + Clone,
    ) -> Result<Encoded, EditError> {
        let names = constants.clone().map(|one| one.name.to_text());
        let named = constants.find(|one| one.name.is(value.as_bytes()));
        let number = match named {
            Some(Enumerator { value, .. }) => Number {
                negative: value < 0,
                size: value.unsigned_abs(),
            },
            None => Number::parse(value).ok_or_else(|| {
                let names: Vec<_> = names.collect();
                EditError::Value {
                    path: self.path.to_owned(),
                    value: value.to_owned(),
                    expected: "constant of its type".to_owned(),
                    near: nearest(value, names.iter().map(AsRef::as_ref)),
                }
            })?,
        };
        let width = if place.width == 0 {
            size.saturating_mul(8)
        } else {
            place.width
        };
        self.fit(number, width, signed, value, &name.to_text())
    }

    /// A number in so many bits.
    fn fit(
        &self,
        number: Number,
        width: u32,
        signed: bool,
        text: &str,
        ty: &str,
    ) -> Result<Encoded, EditError> {
        let Number { negative, size } = number;
        if width > 128 {
            let why = format!("numbers of {width} bits cannot be set");
            return Err(self.wrong(self.path.len(), why));
        }
        let all = u128::MAX
            .checked_shr(128u32.saturating_sub(width))
            .unwrap_or(0);
        let most = if signed { all >> 1 } else { all };
        let fits = match (negative, signed) {
            (false, _) => size <= most,
            (true, true) => size <= most.saturating_add(1) && width > 0,
            (true, false) => size == 0,
        };
        if !fits {
            let low = if signed {
                format!("-{}", most.saturating_add(1))
            } else {
                "0".to_owned()
            };
            return Err(EditError::Range {
                path: self.path.to_owned(),
                value: text.to_owned(),
                ty: ty.to_owned(),
                low,
                high: most.to_string(),
            });
        }
        let value = if negative { size.wrapping_neg() } else { size } & all;
        Ok(Encoded::Bits { width, value })
    }

    fn float(&self, size: u32, text: &str) -> Result<Encoded, EditError> {
        let bits = match size {
            4 => text.parse().map(|number: f32| number.to_bits().into()),
            8 => text.parse().map(|number: f64| number.to_bits().into()),
            _ => {
                let why = format!("numbers with fractions of {size} bytes cannot be set");
                return Err(self.wrong(self.path.len(), why));
            }
        };
        let value = bits.map_err(|_error| self.no_value(text, "number"))?;
        Ok(Encoded::Bits {
            width: size * 8,
            value,
        })
    }

    /// A text, with zeros up to the end of its array.
    fn text(&self, text: &str, room: u64) -> Result<Encoded, EditError> {
        let quoted = text
            .strip_prefix('"')
            .and_then(|text| text.strip_suffix('"'));
        let text = quoted.unwrap_or(text);
        if text.len() as u64 >= room {
            return Err(EditError::TooLong {
                path: self.path.to_owned(),
                len: text.len(),
                room,
            });
        }
        // what the text does not need may be large: it is bounded by the variable
        let len = usize::try_from(room.min(self.room / 8)).unwrap_or(usize::MAX);
        let mut bytes = text.as_bytes().to_vec();
        bytes
            .try_reserve_exact(len.saturating_sub(text.len()))
            .map_err(|_error| self.wrong(self.path.len(), "there is not enough memory for it"))?;
        bytes.resize(len, 0);
        Ok(Encoded::Text(bytes))
    }
}

/// The byte that `'c'` stands for.
fn character(text: &str) -> Option<u8> {
    match text.as_bytes() {
        [b'\'', byte, b'\''] => Some(*byte),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
