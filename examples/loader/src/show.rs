//! Bytes as text: by their type where it is known.

use btf::types::Name;
use btf::value::{Value, decode};
use btf::{Btf, Kind, Type, TypeId, escape};
use std::sync::Arc;

/// What records look like.
pub(crate) struct Shape {
    btf: Arc<Btf<'static>>,
    id: TypeId,
    size: usize,
    /// Where a last member starts that is an array: programs may write a part of it only.
    tail: Option<usize>,
}

impl Shape {
    /// The struct of this name.
    pub(crate) fn find(btf: Arc<Btf<'static>>, name: &str) -> Option<Self> {
        let id = btf.find_by_name_kind(name.as_bytes(), Kind::Struct)?;
        let Ok(Type::Struct(record)) = btf.type_by_id(id) else {
            return None;
        };
        let last = record.members().last();
        let tail = last.and_then(|member| match btf.resolve(member.type_id) {
            Ok((_, Type::Array(_))) => usize::try_from(member.bit_offset / 8).ok(),
            _ => None,
        });
        let size = usize::try_from(record.size()).ok()?;
        Some(Self {
            btf,
            id,
            size,
            tail,
        })
    }

    /// Whether so many bytes can be one, the last `spare` of which may be padding.
    pub(crate) fn fits(&self, len: usize, spare: usize) -> bool {
        let least = self.tail.unwrap_or(self.size);
        (least..=self.size.saturating_add(spare)).contains(&len)
    }

    /// The bytes as one.
    pub(crate) fn show(&self, mut bytes: Vec<u8>) -> String {
        let len = bytes.len();
        bytes.resize(self.size, 0);
        let mut record = decode(&self.btf, self.id, &bytes);
        // What is written in part is often several strings, each with its end: arguments.
        let strings = self
            .tail
            .and_then(|tail| bytes.get(tail..len.min(self.size)));
        let strings = strings.filter(|_| len < self.size).map(joined);
        if let (Value::Struct(record), Some(strings)) = (&mut record, &strings)
            && let Some(last) = record.members.last_mut()
            && let Value::Str(_) = last.value
        {
            last.value = Value::Str(strings);
        }
        text(&record)
    }
}

/// Strings, blanks for the ends of all but the last.
fn joined(strings: &[u8]) -> Vec<u8> {
    let end = strings.iter().rposition(|byte| *byte != 0);
    let strings = strings.iter().take(end.map_or(0, |end| end + 1));
    strings
        .map(|byte| if *byte == 0 { b' ' } else { *byte })
        .collect()
}

/// Bytes as a value of a type.
pub(crate) fn value(btf: &Btf<'_>, id: TypeId, bytes: &[u8]) -> String {
    text(&decode(btf, id, bytes))
}

/// Bytes as they are.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let pairs: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    pairs.join(" ")
}

/// A value on a line.
fn text(value: &Value<'_>) -> String {
    let listed = |items: &[Value<'_>]| items.iter().map(text).collect::<Vec<_>>().join(", ");
    match value {
        Value::Uint(number) => number.to_string(),
        Value::Int(number) => number.to_string(),
        Value::Bool(truth) => truth.to_string(),
        Value::Char(byte) => format!("'{}'", escape(&[*byte])),
        Value::Bits(bits) => match bits.value() {
            Some(number) => number.to_string(),
            None => bits.raw().to_string(),
        },
        Value::Enum(constant) => match constant.name {
            Some(name) => name.to_text().into_owned(),
            None => constant.value().to_string(),
        },
        Value::Float { value, .. } => value.to_string(),
        Value::Ptr { value, .. } => format!("{value:#x}"),
        Value::Str(string) => format!("\"{}\"", escape(string)),
        // Characters that are not all of ASCII among them.
        Value::Array(items) => format!("[{}]", listed(items)),
        Value::Struct(record) => {
            let members = record.members.iter();
            let members = members.map(|member| named(member.name, &member.value));
            format!("{{{}}}", members.collect::<Vec<_>>().join(", "))
        }
        Value::Var { name, value } => named(*name, value),
        Value::Datasec { vars, .. } => format!("{{{}}}", listed(vars)),
        Value::RawFloat(bytes) | Value::Opaque { bytes, .. } => hex(bytes),
        // Too few bytes, or types that contradict themselves.
        _ => "?".to_owned(),
    }
}

fn named(name: Name<'_>, value: &Value<'_>) -> String {
    let name = name.to_text();
    match name.is_empty() {
        true => text(value),
        false => format!("{name}: {}", text(value)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail")]

    use super::*;
    use btf::build::{Builder, Member};
    use btf::{Endian, encoding};

    /// A number and `len` characters.
    fn shape(len: u32) -> Shape {
        let mut types = Builder::new(Endian::NATIVE);
        let int = types.add_int(b"int", 4, encoding::SIGNED);
        let char = types.add_int(b"char", 1, encoding::SIGNED);
        let args = types.add_array(char, int, len);
        let members = [Member::new(b"pid", int, 0), Member::new(b"args", args, 32)];
        types.add_struct(b"event", 4 + len, &members);
        let btf = Arc::new(Btf::parse(types.finish().unwrap()).unwrap());
        assert!(Shape::find(Arc::clone(&btf), "evens").is_none());
        Shape::find(btf, "event").unwrap()
    }

    #[test]
    fn records_are_shown_by_their_type() {
        let pid = 7_i32.to_ne_bytes();
        for (args, expect) in [
            (&b"a\0\0\0\0\0\0\0"[..], r#"{pid: 7, args: "a"}"#),
            // Whole, what follows the end of the string is nobody's.
            (b"a\0b\0\0\0\0\0", r#"{pid: 7, args: "a"}"#),
            // In part, all of it was written.
            (b"a\0bc\0d\0", r#"{pid: 7, args: "a bc d"}"#),
            (b"", r#"{pid: 7, args: ""}"#),
            // Padding of perf buffers.
            (b"a\0\0\0\0\0\0\0\xff\xff\xff\xff", r#"{pid: 7, args: "a"}"#),
            // Types do not say that such numbers are text.
            (
                "\u{e4}bcdefg".as_bytes(),
                "{pid: 7, args: [-61, -92, 98, 99, 100, 101, 102, 103]}",
            ),
        ] {
            let shape = shape(8);
            let bytes = [&pid[..], args].concat();
            assert!(shape.fits(bytes.len(), 7), "{expect}");
            assert_eq!(shape.show(bytes), expect);
        }
    }

    #[test]
    fn records_of_another_size_are_not() {
        let shape = shape(8);
        for (len, spare, fits) in [
            (3, 7, false),
            (4, 0, true),
            (12, 0, true),
            (13, 0, false),
            (19, 7, true),
            (20, 7, false),
        ] {
            assert_eq!(shape.fits(len, spare), fits, "{len} {spare}");
        }
        assert_eq!(hex(&[0, 0xab]), "00 ab");
    }
}
