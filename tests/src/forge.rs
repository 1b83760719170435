//! Writing BTF for tests: types in, bytes out, nothing checked.
//!
//! Only what tests need: the toolkit's own writer is not used here, so that
//! reader and writer cannot be wrong together.

/// A BTF blob under construction; every `add` returns the new type's id.
#[derive(Debug, Clone)]
pub struct BtfForge {
    types: Vec<u8>,
    strings: Vec<u8>,
    next_id: u32,
}

impl Default for BtfForge {
    fn default() -> Self {
        Self::new()
    }
}

/// Signed integer.
pub const INT_SIGNED: u32 = 1;
/// Character.
pub const INT_CHAR: u32 = 2;
/// Boolean.
pub const INT_BOOL: u32 = 4;

const INT: u32 = 1;
const PTR: u32 = 2;
const ARRAY: u32 = 3;
const STRUCT: u32 = 4;
const UNION: u32 = 5;
const ENUM: u32 = 6;
const FUNC: u32 = 12;
const FUNC_PROTO: u32 = 13;
const VAR: u32 = 14;
const DATASEC: u32 = 15;
const FLOAT: u32 = 16;
const ENUM64: u32 = 19;

/// A member: name, type, bits from the start, bits wide (0: not a bit field).
pub type Member<'a> = (&'a str, u32, u32, u32);

impl BtfForge {
    /// No types yet; id 0 is `void`.
    #[must_use]
    pub fn new() -> Self {
        Self {
            types: Vec::new(),
            strings: vec![0],
            next_id: 1,
        }
    }

    /// The offset of a string, added if it is new.
    pub fn string(&mut self, text: &str) -> u32 {
        let bytes = [text.as_bytes(), b"\0"].concat();
        // A match must begin where a string begins.
        let mut at = 0;
        while at < self.strings.len() {
            if self
                .strings
                .get(at..)
                .is_some_and(|rest| rest.starts_with(&bytes))
            {
                return count(at);
            }
            at += self
                .strings
                .get(at..)
                .unwrap_or_default()
                .iter()
                .take_while(|b| **b != 0)
                .count()
                + 1;
        }
        self.strings.extend_from_slice(&bytes);
        count(self.strings.len() - bytes.len())
    }

    /// Any record: `info` is kind, length and flag; `extra` follows as words.
    pub fn record(&mut self, name: &str, info: u32, size_or_type: u32, extra: &[u32]) -> u32 {
        let name = self.string(name);
        for word in [name, info, size_or_type].iter().chain(extra) {
            self.types.extend_from_slice(&word.to_ne_bytes());
        }
        self.next_id += 1;
        self.next_id - 1
    }

    /// An integer of `bytes`, with `INT_*` flags.
    pub fn int(&mut self, name: &str, bytes: u32, flags: u32) -> u32 {
        self.record(name, INT << 24, bytes, &[(flags << 24) | (bytes * 8)])
    }

    /// A pointer.
    pub fn ptr(&mut self, to: u32) -> u32 {
        self.record("", PTR << 24, to, &[])
    }

    /// A typedef (8), volatile (9), const (10), restrict (11) or type tag (18).
    pub fn wrap(&mut self, kind: u32, name: &str, of: u32) -> u32 {
        self.record(name, kind << 24, of, &[])
    }

    /// An array.
    pub fn array(&mut self, of: u32, index: u32, len: u32) -> u32 {
        self.record("", ARRAY << 24, 0, &[of, index, len])
    }

    /// A struct.
    pub fn structure(&mut self, name: &str, size: u32, members: &[Member<'_>]) -> u32 {
        self.composite(STRUCT, name, size, members)
    }

    /// A union.
    pub fn union(&mut self, name: &str, size: u32, members: &[Member<'_>]) -> u32 {
        self.composite(UNION, name, size, members)
    }

    fn composite(&mut self, kind: u32, name: &str, size: u32, members: &[Member<'_>]) -> u32 {
        let fields = members.iter().any(|(.., bits)| *bits > 0);
        let mut extra = Vec::new();
        for (name, ty, at, bits) in members {
            let name = self.string(name);
            extra.extend([name, *ty, if fields { (bits << 24) | at } else { *at }]);
        }
        let info = u32::from(fields) << 31 | kind << 24 | count(members.len());
        self.record(name, info, size, &extra)
    }

    /// An enumeration of 4 bytes.
    pub fn enumeration(&mut self, name: &str, signed: bool, values: &[(&str, u32)]) -> u32 {
        let mut extra = Vec::new();
        for (name, value) in values {
            let name = self.string(name);
            extra.extend([name, *value]);
        }
        let info = u32::from(signed) << 31 | ENUM << 24 | count(values.len());
        self.record(name, info, 4, &extra)
    }

    /// An enumeration of 8 bytes.
    pub fn enumeration64(&mut self, name: &str, signed: bool, values: &[(&str, u64)]) -> u32 {
        let mut extra = Vec::new();
        for (name, value) in values {
            let name = self.string(name);
            let low = u32::try_from(value & 0xffff_ffff).unwrap_or_default();
            let high = u32::try_from(value >> 32).unwrap_or_default();
            extra.extend([name, low, high]);
        }
        let info = u32::from(signed) << 31 | ENUM64 << 24 | count(values.len());
        self.record(name, info, 8, &extra)
    }

    /// A floating-point number.
    pub fn float(&mut self, name: &str, bytes: u32) -> u32 {
        self.record(name, FLOAT << 24, bytes, &[])
    }

    /// The type of a function.
    pub fn proto(&mut self, returns: u32, params: &[(&str, u32)]) -> u32 {
        let mut extra = Vec::new();
        for (name, ty) in params {
            let name = self.string(name);
            extra.extend([name, *ty]);
        }
        self.record("", FUNC_PROTO << 24 | count(params.len()), returns, &extra)
    }

    /// A function; linkage 0 static, 1 global, 2 extern.
    pub fn func(&mut self, name: &str, proto: u32, linkage: u32) -> u32 {
        self.record(name, FUNC << 24 | linkage, proto, &[])
    }

    /// A variable; linkage as for [`Self::func`].
    pub fn var(&mut self, name: &str, ty: u32, linkage: u32) -> u32 {
        self.record(name, VAR << 24, ty, &[linkage])
    }

    /// A section of variables: (variable, offset, size).
    pub fn datasec(&mut self, name: &str, size: u32, vars: &[(u32, u32, u32)]) -> u32 {
        let extra: Vec<u32> = vars
            .iter()
            .flat_map(|(v, at, len)| [*v, *at, *len])
            .collect();
        self.record(name, DATASEC << 24 | count(vars.len()), size, &extra)
    }

    /// The blob.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend_from_slice(&0xeb9f_u16.to_ne_bytes());
        out.extend_from_slice(&[1, 0]);
        let (types, strings) = (count(self.types.len()), count(self.strings.len()));
        for word in [24, 0, types, types, strings] {
            out.extend_from_slice(&u32::to_ne_bytes(word));
        }
        out.extend_from_slice(&self.types);
        out.extend_from_slice(&self.strings);
        out
    }
}

/// A length as the format has it; test blobs are small.
fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::{BtfForge, INT_SIGNED};

    #[test]
    fn the_reader_finds_what_was_forged() {
        let mut forge = BtfForge::new();
        let int = forge.int("int", 4, INT_SIGNED);
        let array = forge.array(int, int, 3);
        forge.structure("s", 16, &[("a", array, 0, 0), ("nt", int, 96, 0)]);
        let blob = forge.bytes();
        let btf = btf::Btf::parse(blob).expect("well-formed");
        let id = btf
            .find_by_name_kind(b"s", btf::Kind::Struct)
            .expect("it is there");
        assert_eq!(btf.size_of(id).expect("has a size"), 16);
        assert!(btf.find_by_name_kind(b"nt", btf::Kind::Struct).is_none());
    }
}
