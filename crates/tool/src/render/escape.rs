//! Names, paths and values come from anywhere: made safe for terminals and valid for JSON,
//! without losing a byte.
//!
//! Text shows control codes, bytes that are not UTF-8, and the characters that reorder text as
//! `\xNN` (or `\u{NNNN}`). JSON escapes control codes itself; only bytes that are not UTF-8 have
//! no JSON form: they become the four characters `\xNN`, and a backslash in such a string is
//! doubled, so that the bytes can be had back.

use std::borrow::Cow;
use std::fmt::{self, Write};

use serde::{Serialize, Serializer};

/// Displays bytes safely on a terminal.
#[derive(Debug, Clone, Copy)]
pub struct Escaped<'a>(pub &'a [u8]);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.iter().all(|byte| matches!(byte, 0x20..=0x7e)) {
            // all ASCII: the common case needs no look at each character
            return f.write_str(std::str::from_utf8(self.0).unwrap_or_default());
        }
        for chunk in self.0.utf8_chunks() {
            for c in chunk.valid().chars() {
                match c {
                    '\u{0}'..='\u{1f}' | '\u{7f}' => write!(f, "\\x{:02x}", u32::from(c))?,
                    c if is_unsafe(c) => write!(f, "\\u{{{:x}}}", u32::from(c))?,
                    c => f.write_char(c)?,
                }
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

/// C1 controls, and the marks that change the direction of what follows.
fn is_unsafe(c: char) -> bool {
    matches!(c, '\u{80}'..='\u{9f}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Serializes bytes as a JSON string.
#[derive(Debug, Clone, Copy)]
pub struct JsonText<'a>(pub &'a [u8]);

impl Serialize for JsonText<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&json_text(self.0))
    }
}

fn json_text(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Cow::Borrowed(text);
    }
    let mut text = String::with_capacity(bytes.len() * 2);
    for chunk in bytes.utf8_chunks() {
        text.push_str(&chunk.valid().replace('\\', r"\\"));
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    Cow::Owned(text)
}

/// A name, path or other text of a view: any bytes.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Text(pub Vec<u8>);

impl Text {
    /// The bytes as they came.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Escaped(&self.0).fmt(f)
    }
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        JsonText(&self.0).serialize(serializer)
    }
}

#[cfg(feature = "golden")]
impl<'de> serde::Deserialize<'de> for Text {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(bytes_of(&text)))
    }
}

/// The bytes that [`JsonText`] wrote as `text`. A name of plain characters that looks like
/// escaped bytes cannot be told from them, and is taken for them.
#[cfg(feature = "golden")]
fn bytes_of(text: &str) -> Vec<u8> {
    unescaped(text)
        .filter(|bytes| json_text(bytes) == text)
        .unwrap_or_else(|| text.as_bytes().to_vec())
}

/// `text` with `\\` and `\xNN` taken back; `None` when another backslash is in it.
#[cfg(feature = "golden")]
fn unescaped(text: &str) -> Option<Vec<u8>> {
    let mut parts = text.split('\\');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    while let Some(part) = parts.next() {
        if part.is_empty() {
            bytes.push(b'\\');
            bytes.extend_from_slice(parts.next()?.as_bytes());
        } else {
            let rest = part.strip_prefix('x')?;
            bytes.push(u8::from_str_radix(rest.get(..2)?, 16).ok()?);
            bytes.extend_from_slice(rest.get(2..)?.as_bytes());
        }
    }
    Some(bytes)
}

impl From<&[u8]> for Text {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(text.as_bytes().to_vec())
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(text.into_bytes())
    }
}

impl From<Vec<u8>> for Text {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_codes_do_not_reach_the_terminal() {
        let shown = |bytes: &[u8]| Escaped(bytes).to_string();
        assert_eq!(shown(b"plain name"), "plain name");
        assert_eq!(shown(b"\x1b[31m\xff"), r"\x1b[31m\xff");
        assert_eq!(
            shown("a\nb\u{9b}é\u{202e}".as_bytes()),
            r"a\x0ab\u{9b}é\u{202e}"
        );
    }

    #[test]
    fn json_strings_keep_every_byte() {
        let json = |bytes: &[u8]| serde_json::to_string(&JsonText(bytes)).unwrap();
        assert_eq!(json(b"a\\b\"c"), r#""a\\b\"c""#);
        assert_eq!(json(b"\x1b[31m\xff"), r#""\u001b[31m\\xff""#);
        assert_eq!(json(b"a\\\xff"), r#""a\\\\\\xff""#);
        assert_eq!(json("é".as_bytes()), "\"é\"");
    }
}
