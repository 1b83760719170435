//! Typed values as the output writes them, in bpftool's two spellings.
//!
//! JSON output spells every value as JSON. Plain output has the layout of JSON but spells
//! pointers, bit fields and unprintable characters in its own way, so it is not JSON.

use std::io::{self, Write};

use btf::types::Name;
use btf::value::{self, Group, Value, Visitor};
use btf::{Btf, Kind, TypeId};
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use super::escape::Text;
use super::json::Json;
use super::sink::Sink;

/// Which spelling is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Valid JSON.
    Json,
    /// bpftool's plain form.
    Plain,
}

/// A typed value, ready to be written.
#[derive(Debug, Clone, PartialEq)]
pub enum Tree {
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Int(i64),
    /// A number too large for the other.
    Uint(u64),
    /// A number with a fraction.
    Float(f64),
    /// A string.
    Str(Text),
    /// A word without quotes; only in plain style.
    Word(String),
    /// An array.
    Seq(Vec<Self>),
    /// An object.
    Map(Vec<(Text, Self)>),
}

impl Default for Tree {
    fn default() -> Self {
        Self::Map(Vec::new())
    }
}

impl Tree {
    /// Spells a value.
    #[must_use]
    pub fn new(value: &Value<'_>, style: Style) -> Self {
        Self::with_pointers(value, style, &|_, _| None)
    }

    /// Spells a value; `pointers` says what stands for a pointer and the type it points to, if
    /// not a number.
    #[must_use]
    pub fn with_pointers(
        value: &Value<'_>,
        style: Style,
        pointers: &dyn Fn(u64, TypeId) -> Option<Text>,
    ) -> Self {
        let part = |value: &Value<'_>| Self::with_pointers(value, style, pointers);
        let seq = |items: &[Value<'_>]| Self::Seq(items.iter().map(part).collect());
        match value {
            Value::Uint(number) => Self::Uint(*number),
            Value::Int(number) => Self::Int(*number),
            Value::Bool(truth) => Self::Bool(*truth),
            Value::Char(byte) => char_code(*byte, style),
            Value::Bits(bits) => hex_word(bits.raw(), style),
            Value::Enum(constant) => {
                let name = constant.name.map(Name::or_empty);
                name.filter(|name| !name.is_empty()).map_or_else(
                    || number(constant.value()),
                    |name| Self::Str(Text::from(name)),
                )
            }
            Value::Float { value, size } => float(*value, *size),
            Value::RawFloat(bytes) => Self::Seq(
                bytes
                    .iter()
                    .map(|byte| Self::Str(format!("0x{byte:02x}").into()))
                    .collect(),
            ),
            Value::Ptr { value, pointee } => {
                pointers(*value, *pointee).map_or_else(|| address(*value, style), Self::Str)
            }
            Value::Str(bytes) => Self::Str(Text::from(*bytes)),
            Value::Array(items) => seq(items),
            Value::Struct(composite) => {
                let mut anonymous = 0;
                let members = composite.members.iter().map(|member| {
                    let name = member_key(member.name, style, &mut anonymous);
                    (name, part(&member.value))
                });
                Self::Map(members.collect())
            }
            Value::Var { name, value } => {
                Self::Map(vec![(Text::from(name.or_empty()), part(value))])
            }
            Value::Datasec { name, vars } => {
                Self::Map(vec![(Text::from(name.or_empty()), seq(vars))])
            }
            Value::Opaque { kind, .. } => match *kind {
                Kind::Void => remark("(unknown)".into(), style),
                Kind::Fwd => remark("(fwd-kind-invalid)".into(), style),
                _ => remark("(unsupported-kind)".into(), style),
            },
            Value::Truncated { need, bytes } => remark(
                format!("(truncated: {} of {need} bytes)", bytes.len()),
                style,
            ),
            Value::Invalid { error, .. } => remark(format!("(invalid: {error})"), style),
            _ => remark("(omitted)".into(), style),
        }
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries().is_none()
    }

    /// The entries of an object that has any.
    #[must_use]
    pub fn entries(&self) -> Option<&[(Text, Self)]> {
        match self {
            Self::Map(entries) if !entries.is_empty() => Some(entries),
            _ => None,
        }
    }

    /// Writes the value into a document. Values nest no deeper than [`btf`] lets them.
    pub fn write(&self, json: &mut Json<'_>) -> io::Result<()> {
        match self {
            Self::Bool(truth) => json.value(truth),
            Self::Int(number) => json.value(number),
            Self::Uint(number) => json.uint(*number),
            Self::Float(number) => json.value(number),
            Self::Str(text) => json.value(text),
            Self::Word(word) => json.token(word),
            Self::Seq(items) => {
                json.begin_array()?;
                for item in items {
                    item.write(json)?;
                }
                json.end_array()
            }
            Self::Map(entries) => {
                json.begin_object()?;
                for (key, value) in entries {
                    json.key_bytes(&key.0)?;
                    value.write(json)?;
                }
                json.end_object()
            }
        }
    }

    /// Writes the value on one line.
    pub fn write_compact(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut json = Json::new(Sink::new(out), false);
        self.write(&mut json)?;
        json.sink().flush()
    }
}

/// The key of a member; `anonymous` counts those without a name in one struct.
fn member_key(name: Name<'_>, style: Style, anonymous: &mut u32) -> Text {
    let name = name.or_empty();
    if name.is_empty() && style == Style::Json {
        // equal keys would hide one another: only the first stays empty
        *anonymous = anonymous.saturating_add(1);
        if *anonymous > 1 {
            return format!("(anon {anonymous})").into();
        }
    }
    Text::from(name)
}

/// Writes bytes as the value of type `id` that they are: as [`Tree::new`] and [`Tree::write`]
/// would, but without a tree, which takes far more memory than the bytes.
pub fn write_value(
    json: &mut Json<'_>,
    btf: &Btf<'_>,
    id: TypeId,
    bytes: &[u8],
    style: Style,
) -> io::Result<()> {
    let mut writer = Writer {
        json,
        style,
        anonymous: Vec::new(),
    };
    value::visit(btf, id, bytes, &mut writer)
}

struct Writer<'j, 'w> {
    json: &'j mut Json<'w>,
    style: Style,
    /// Members without a name in each struct that is open.
    anonymous: Vec<u32>,
}

impl<'a> Visitor<'a> for Writer<'_, '_> {
    type Error = io::Error;

    fn leaf(&mut self, value: Value<'a>) -> io::Result<()> {
        Tree::new(&value, self.style).write(self.json)
    }

    fn begin(&mut self, group: Group<'a>, _: usize) -> io::Result<()> {
        match group {
            Group::Struct { .. } => {
                self.anonymous.push(0);
                self.json.begin_object()
            }
            Group::Var { name } => {
                self.json.begin_object()?;
                self.json.key_bytes(name.or_empty())
            }
            Group::Datasec { name } => {
                self.json.begin_object()?;
                self.json.key_bytes(name.or_empty())?;
                self.json.begin_array()
            }
            _ => self.json.begin_array(),
        }
    }

    fn member(&mut self, name: Name<'a>) -> io::Result<()> {
        let mut none = 0;
        let anonymous = self.anonymous.last_mut().unwrap_or(&mut none);
        let key = member_key(name, self.style, anonymous);
        self.json.key_bytes(&key.0)
    }

    fn end(&mut self, group: Group<'a>) -> io::Result<()> {
        match group {
            Group::Struct { .. } => {
                self.anonymous.pop();
                self.json.end_object()
            }
            Group::Var { .. } => self.json.end_object(),
            Group::Datasec { .. } => {
                self.json.end_array()?;
                self.json.end_object()
            }
            _ => self.json.end_array(),
        }
    }
}

/// A remark in the place of a value that cannot be shown.
fn remark(text: String, style: Style) -> Tree {
    match style {
        Style::Json => Tree::Str(text.into()),
        Style::Plain => Tree::Word(text),
    }
}

fn address(value: u64, style: Style) -> Tree {
    match style {
        Style::Json => Tree::Uint(value),
        Style::Plain if value == 0 => Tree::Str("(nil)".into()),
        Style::Plain => Tree::Str(format!("0x{value:x}").into()),
    }
}

fn hex_word(bits: u128, style: Style) -> Tree {
    remark(format!("0x{bits:x}"), style)
}

fn char_code(byte: u8, style: Style) -> Tree {
    match (byte, style) {
        (b' '..=b'~', _) | (_, Style::Json) => Tree::Str(char::from(byte).to_string().into()),
        (_, Style::Plain) => Tree::Word(format!("0x{byte:x}")),
    }
}

fn number(value: i128) -> Tree {
    i64::try_from(value)
        .map(Tree::Int)
        .or_else(|_| u64::try_from(value).map(Tree::Uint))
        .unwrap_or_else(|_| Tree::Str(value.to_string().into()))
}

/// JSON has no words for the numbers that are none.
fn float(value: f64, size: u8) -> Tree {
    if !value.is_finite() {
        return Tree::Str(value.to_string().into());
    }
    if size == 4 {
        // the shortest digits that mean this 4-byte number
        #[expect(clippy::cast_possible_truncation, reason = "it came from 4 bytes")]
        let short = (value as f32).to_string().parse();
        return Tree::Float(short.unwrap_or(value));
    }
    Tree::Float(value)
}

impl Serialize for Tree {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Bool(truth) => serializer.serialize_bool(*truth),
            Self::Int(number) => serializer.serialize_i64(*number),
            Self::Uint(number) => serializer.serialize_u64(*number),
            Self::Float(number) => serializer.serialize_f64(*number),
            Self::Str(text) => text.serialize(serializer),
            Self::Word(word) => serializer.serialize_str(word),
            Self::Seq(items) => serializer.collect_seq(items),
            Self::Map(entries) => {
                let mut map = serializer.serialize_map(Some(entries.len()))?;
                for (key, value) in entries {
                    map.serialize_entry(key, value)?;
                }
                map.end()
            }
        }
    }
}

#[cfg(feature = "golden")]
mod golden {
    use std::fmt;

    use serde::Deserialize;
    use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};

    use super::{Text, Tree};

    impl<'de> Deserialize<'de> for Tree {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            deserializer.deserialize_any(Any)
        }
    }

    struct Any;

    impl<'de> Visitor<'de> for Any {
        type Value = Tree;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a typed value")
        }

        fn visit_bool<E>(self, truth: bool) -> Result<Tree, E> {
            Ok(Tree::Bool(truth))
        }

        fn visit_i64<E>(self, number: i64) -> Result<Tree, E> {
            Ok(Tree::Int(number))
        }

        fn visit_u64<E>(self, number: u64) -> Result<Tree, E> {
            Ok(Tree::Uint(number))
        }

        fn visit_f64<E>(self, number: f64) -> Result<Tree, E> {
            Ok(Tree::Float(number))
        }

        fn visit_str<E>(self, text: &str) -> Result<Tree, E> {
            Ok(Tree::Str(text.into()))
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Tree, A::Error> {
            let mut seq = Vec::new();
            while let Some(item) = items.next_element()? {
                seq.push(item);
            }
            Ok(Tree::Seq(seq))
        }

        fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Tree, A::Error> {
            let mut map: Vec<(Text, Tree)> = Vec::new();
            while let Some(entry) = entries.next_entry()? {
                map.push(entry);
            }
            Ok(Tree::Map(map))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both(value: &Value<'_>) -> (String, String) {
        let spell = |style| {
            let mut out = Vec::new();
            Tree::new(value, style).write_compact(&mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        (spell(Style::Json), spell(Style::Plain))
    }

    fn check(value: &Value<'_>, json: &str, plain: &str) {
        assert_eq!(both(value), (json.to_owned(), plain.to_owned()));
        serde_json::from_str::<serde_json::Value>(json).unwrap();
    }

    #[test]
    fn each_style_spells_in_its_way() {
        let pointer = |value| Value::Ptr {
            value,
            pointee: 0.into(),
        };
        check(
            &Value::Uint(u64::MAX),
            "18446744073709551615",
            "18446744073709551615",
        );
        check(&Value::Int(-5), "-5", "-5");
        check(&pointer(0xdead), "57005", "\"0xdead\"");
        check(&pointer(0), "0", "\"(nil)\"");
        check(&Value::Char(b'a'), "\"a\"", "\"a\"");
        check(&Value::Char(b'"'), r#""\"""#, r#""\"""#);
        check(&Value::Char(7), r#""\u0007""#, "0x7");
        check(&Value::Char(0xff), "\"ÿ\"", "0xff");
    }

    #[test]
    fn floats_are_numbers_where_json_has_them() {
        let float = |value, size| Value::Float { value, size };
        check(&float(0.5, 8), "0.5", "0.5");
        check(&float(f64::from(0.1_f32), 4), "0.1", "0.1");
        check(&float(f64::NAN, 8), "\"NaN\"", "\"NaN\"");
        check(&float(f64::NEG_INFINITY, 8), "\"-inf\"", "\"-inf\"");
    }

    #[test]
    fn values_are_written_as_their_trees_are() {
        let strings = b"\0char\0u8\0s\0named\0.bss\0v\0e\0ONE\0";
        let at = |name: &str| {
            let name = [b"\0", name.as_bytes(), b"\0"].concat();
            let found = strings.windows(name.len()).position(|w| w == name);
            u32::try_from(found.unwrap() + 1).unwrap()
        };
        let types: [&[u32]; 10] = [
            &[at("u8"), 1 << 24, 1, 8],
            &[at("char"), 1 << 24, 1, 2 << 24 | 8],
            &[0, 2 << 24, 1],
            &[0, 3 << 24, 0, 1, 1, 3],
            &[0, 3 << 24, 0, 2, 1, 4],
            &[at("e"), 6 << 24 | 1, 4, at("ONE"), 1],
            &[0, 4 << 24 | 2, 8, 0, 4, 0, 0, 5, 32],
            // a struct with several members without a name, one with, and bit fields
            &[
                at("s"),
                1 << 31 | 4 << 24 | 6,
                40,
                0,
                7,
                0,
                at("named"),
                3,
                64,
                0,
                7,
                128,
                0,
                4,
                192,
                0,
                6,
                256,
                0,
                1,
                3 << 24 | 288,
            ],
            &[at("v"), 14 << 24, 8, 0],
            &[at(".bss"), 15 << 24 | 2, 80, 9, 0, 40, 9, 40, 40],
        ];
        let types = types.concat();
        let lengths = [24, 0, types.len() * 4, types.len() * 4, strings.len()];
        let mut blob = vec![0x9f, 0xeb, 1, 0];
        for length in lengths {
            blob.extend(u32::try_from(length).unwrap().to_le_bytes());
        }
        blob.extend(types.iter().flat_map(|word| word.to_le_bytes()));
        blob.extend(strings);
        let btf = Btf::parse(blob).unwrap();
        let mut bytes: Vec<u8> = (0..80).collect();
        bytes[32..36].copy_from_slice(&1_u32.to_le_bytes());
        bytes[44..48].copy_from_slice(b"abc\0");
        for id in (0..12).map(TypeId::from) {
            for bytes in [&bytes[..], &bytes[40..], &bytes[..50], &[]] {
                for style in [Style::Json, Style::Plain] {
                    let mut tree = Vec::new();
                    let value = value::decode(&btf, id, bytes);
                    Tree::new(&value, style).write_compact(&mut tree).unwrap();
                    let mut out = Vec::new();
                    let mut json = Json::new(Sink::new(&mut out), false);
                    write_value(&mut json, &btf, id, bytes, style).unwrap();
                    json.sink().flush().unwrap();
                    drop(json);
                    assert_eq!(String::from_utf8(out), String::from_utf8(tree), "{id}");
                }
            }
        }
    }
}
