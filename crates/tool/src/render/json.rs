//! Streaming JSON in bpftool's layout, over serde_json.
//!
//! Compact output has no blanks. Pretty output indents by four, puts every key on a line of its
//! own but array elements behind one another, and closes a non-empty array or object on a line
//! of its own: line-based scrapers (bpftool's shell completion is one) rely on it.

pub mod part;

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{CharEscape, Formatter, Serializer};

use super::escape::JsonText;
use super::sink::Sink;

/// A JSON document being written.
#[derive(Debug)]
pub struct Json<'w> {
    sink: Sink<'w>,
    layout: Layout,
}

/// Where in the document the writer stands.
#[derive(Debug)]
struct Layout {
    pretty: bool,
    depth: usize,
    /// Whether a value was already written in the innermost array or object.
    separate: bool,
}

impl<'w> Json<'w> {
    /// A new document on `sink`.
    #[must_use]
    pub fn new(sink: Sink<'w>, pretty: bool) -> Self {
        Self {
            sink,
            layout: Layout {
                pretty,
                depth: 0,
                separate: false,
            },
        }
    }

    /// The bytes below the document.
    pub fn sink(&mut self) -> &mut Sink<'w> {
        &mut self.sink
    }

    /// Writes any serializable value.
    pub fn value<T: Serialize + ?Sized>(&mut self, value: &T) -> io::Result<()> {
        self.layout.separator(&mut self.sink)?;
        let formatter = InLayout(&mut self.layout);
        let mut serializer = Serializer::with_formatter(&mut self.sink, formatter);
        value.serialize(&mut serializer).map_err(io::Error::from)?;
        self.layout.separate = true;
        Ok(())
    }

    /// Writes `null`.
    pub fn null(&mut self) -> io::Result<()> {
        self.value(&())
    }

    /// Opens an array; its elements follow.
    pub fn begin_array(&mut self) -> io::Result<()> {
        self.layout.separator(&mut self.sink)?;
        self.layout.open(&mut self.sink, b"[")
    }

    /// Closes the innermost array.
    pub fn end_array(&mut self) -> io::Result<()> {
        self.layout.close(&mut self.sink, b"]")
    }

    /// Opens an object; keys and values follow.
    pub fn begin_object(&mut self) -> io::Result<()> {
        self.layout.separator(&mut self.sink)?;
        self.layout.open(&mut self.sink, b"{")
    }

    /// Closes the innermost object.
    pub fn end_object(&mut self) -> io::Result<()> {
        self.layout.close(&mut self.sink, b"}")
    }

    /// Writes a key that needs no escaping; its value must follow.
    pub fn key(&mut self, key: &str) -> io::Result<()> {
        self.layout.separator(&mut self.sink)?;
        self.layout.line(&mut self.sink)?;
        let buffer = self.sink.buffer();
        buffer.push(b'"');
        buffer.extend_from_slice(key.as_bytes());
        buffer.extend_from_slice(if self.layout.pretty { b"\": " } else { b"\":" });
        self.layout.separate = false;
        Ok(())
    }

    /// Writes a key of any bytes; its value must follow.
    pub fn key_bytes(&mut self, key: &[u8]) -> io::Result<()> {
        self.layout.separator(&mut self.sink)?;
        self.layout.line(&mut self.sink)?;
        self.layout.separate = false;
        let formatter = InLayout(&mut self.layout);
        let mut serializer = Serializer::with_formatter(&mut self.sink, formatter);
        JsonText(key)
            .serialize(&mut serializer)
            .map_err(io::Error::from)?;
        self.sink
            .buffer()
            .extend_from_slice(if self.layout.pretty { b": " } else { b":" });
        Ok(())
    }

    /// Writes a key and its value.
    pub fn field<T: Serialize + ?Sized>(&mut self, key: &str, value: &T) -> io::Result<()> {
        self.key(key)?;
        self.value(value)
    }

    /// Writes `token` as it stands, as a value. Only for forms that are not JSON (bpftool's
    /// plain rendering of typed map values uses the JSON layout with bare words in it).
    pub fn token(&mut self, token: &str) -> io::Result<()> {
        self.layout.separator(&mut self.sink)?;
        self.sink.write_all(token.as_bytes())?;
        self.layout.separate = true;
        Ok(())
    }

    /// Writes an unsigned number, faster than [`Json::value`].
    pub fn uint(&mut self, number: u64) -> io::Result<()> {
        self.layout.separator(&mut self.sink)?;
        let mut text = itoa::Buffer::new();
        self.sink.write_all(text.format(number).as_bytes())?;
        self.layout.separate = true;
        Ok(())
    }

    /// Writes bytes as bpftool does, `["0x00","0x1f"]`: the hot path of map dumps.
    pub fn hex_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.layout.separator(&mut self.sink)?;
        self.sink.buffer().push(b'[');
        let mut pieces = bytes.chunks(HEX_PIECE).peekable();
        while let Some(piece) = pieces.next() {
            let buffer = self.sink.buffer();
            let start = buffer.len();
            buffer.resize(start + piece.len() * HEX_ITEM, 0);
            let (_, room) = buffer.split_at_mut(start);
            for (item, byte) in room.chunks_exact_mut(HEX_ITEM).zip(piece) {
                if let Some(text) = HEX_ITEMS.get(usize::from(*byte)) {
                    item.copy_from_slice(text);
                }
            }
            if pieces.peek().is_none() {
                // the last item needs no comma
                buffer.pop();
                self.layout.line(&mut self.sink)?;
            } else {
                self.sink.settle()?;
            }
        }
        self.sink.buffer().push(b']');
        self.layout.separate = true;
        self.sink.settle()
    }
}

/// How many bytes are spelled before the buffer may be written out.
const HEX_PIECE: usize = 8192;
const HEX_ITEM: usize = r#""0x00","#.len();

/// `"0xNN",` for every byte.
static HEX_ITEMS: [[u8; HEX_ITEM]; 256] = hex_items();

const fn hex_items() -> [[u8; HEX_ITEM]; 256] {
    let digits = b"0123456789abcdef";
    let mut items = [*br#""0x00","#; 256];
    let mut byte = 0;
    while byte < 256 {
        items[byte][3] = digits[byte >> 4];
        items[byte][4] = digits[byte & 15];
        byte += 1;
    }
    items
}

/// Bytes as an array of `"0xNN"` strings, for views.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HexBytes<B>(pub B);

impl<B: AsRef<[u8]>> Serialize for HexBytes<B> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.as_ref().iter().map(|byte| {
            HEX_ITEMS
                .get(usize::from(*byte))
                .and_then(|item| item.get(1..5))
                .and_then(|text| std::str::from_utf8(text).ok())
                .unwrap_or_default()
        }))
    }
}

impl Layout {
    fn separator<W: Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        if self.separate {
            out.write_all(b",")?;
        }
        Ok(())
    }

    /// Starts a new line, indented; nothing in compact output.
    fn line<W: Write + ?Sized>(&self, out: &mut W) -> io::Result<()> {
        const BLANKS: &[u8] = &[b' '; 64];
        if !self.pretty {
            return Ok(());
        }
        out.write_all(b"\n")?;
        let mut left = self.depth * 4;
        while left > 0 {
            let step = BLANKS.get(..left.min(BLANKS.len())).unwrap_or(BLANKS);
            out.write_all(step)?;
            left -= step.len();
        }
        Ok(())
    }

    fn open<W: Write + ?Sized>(&mut self, out: &mut W, bracket: &[u8]) -> io::Result<()> {
        self.depth += 1;
        self.separate = false;
        out.write_all(bracket)
    }

    fn close<W: Write + ?Sized>(&mut self, out: &mut W, bracket: &[u8]) -> io::Result<()> {
        self.depth = self.depth.saturating_sub(1);
        if self.separate {
            self.line(out)?;
        }
        self.separate = true;
        out.write_all(bracket)
    }
}

/// serde_json's view of the layout.
struct InLayout<'a>(&'a mut Layout);

impl Formatter for InLayout<'_> {
    fn begin_array<W: Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.open(out, b"[")
    }

    fn end_array<W: Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.close(out, b"]")
    }

    fn begin_array_value<W: Write + ?Sized>(&mut self, out: &mut W, _: bool) -> io::Result<()> {
        self.0.separator(out)
    }

    fn end_array_value<W: Write + ?Sized>(&mut self, _: &mut W) -> io::Result<()> {
        self.0.separate = true;
        Ok(())
    }

    fn begin_object<W: Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.open(out, b"{")
    }

    fn end_object<W: Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.close(out, b"}")
    }

    fn begin_object_key<W: Write + ?Sized>(&mut self, out: &mut W, _: bool) -> io::Result<()> {
        self.0.separator(out)?;
        self.0.line(out)
    }

    fn begin_object_value<W: Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.separate = false;
        out.write_all(if self.0.pretty { b": " } else { b":" })
    }

    fn end_object_value<W: Write + ?Sized>(&mut self, _: &mut W) -> io::Result<()> {
        self.0.separate = true;
        Ok(())
    }

    /// Terminals obey DEL and the C1 controls too; JSON allows them to be escaped.
    fn write_string_fragment<W: Write + ?Sized>(
        &mut self,
        out: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        if !fragment.bytes().any(|byte| byte == 0x7f || byte == 0xc2) {
            return out.write_all(fragment.as_bytes());
        }
        let mut text = [0; 4];
        for c in fragment.chars() {
            match u8::try_from(u32::from(c)) {
                Ok(control @ 0x7f..=0x9f) => {
                    self.write_char_escape(out, CharEscape::AsciiControl(control))?;
                }
                _ => out.write_all(c.encode_utf8(&mut text).as_bytes())?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(pretty: bool, write: impl FnOnce(&mut Json<'_>) -> io::Result<()>) -> String {
        let mut out = Vec::new();
        {
            let mut json = Json::new(Sink::new(&mut out), pretty);
            write(&mut json).unwrap();
            json.sink().flush().unwrap();
        }
        String::from_utf8(out).unwrap()
    }

    #[derive(Serialize)]
    struct Sample {
        id: u32,
        map_ids: Vec<u32>,
        none: Vec<u32>,
    }

    const SAMPLE: fn() -> Sample = || Sample {
        id: 5,
        map_ids: vec![46, 47],
        none: vec![],
    };

    #[test]
    fn compact_has_no_blanks() {
        let text = written(false, |json| json.value(&[SAMPLE()]));
        assert_eq!(text, r#"[{"id":5,"map_ids":[46,47],"none":[]}]"#);
    }

    #[test]
    fn pretty_is_laid_out_as_bpftool_does() {
        let text = written(true, |json| json.value(&[SAMPLE(), SAMPLE()]));
        let one = "{\n        \"id\": 5,\n        \"map_ids\": [46,47\n        ],\n        \"none\": []\n    }";
        assert_eq!(text, format!("[{one},{one}\n]"));
    }

    #[test]
    fn streaming_and_serde_lay_out_alike() {
        for pretty in [false, true] {
            let streamed = written(pretty, |json| {
                json.begin_array()?;
                json.begin_object()?;
                json.field("id", &5)?;
                json.key("map_ids")?;
                json.begin_array()?;
                json.uint(46)?;
                json.value(&47)?;
                json.end_array()?;
                json.field("none", &[0u8; 0])?;
                json.end_object()?;
                json.value(&SAMPLE())?;
                json.end_array()
            });
            let whole = written(pretty, |json| json.value(&[SAMPLE(), SAMPLE()]));
            assert_eq!(streamed, whole);
        }
    }

    #[test]
    fn bytes_are_an_array_of_hex_strings_either_way() {
        for pretty in [false, true] {
            for bytes in [
                &b""[..],
                b"\x00\x1f\xff",
                &[7; 3 * HEX_PIECE],
                &[7; HEX_PIECE + 1],
            ] {
                let fast = written(pretty, |json| {
                    json.begin_object()?;
                    json.key("key")?;
                    json.hex_bytes(bytes)?;
                    json.end_object()
                });
                let view = written(pretty, |json| {
                    json.begin_object()?;
                    json.field("key", &HexBytes(bytes))?;
                    json.end_object()
                });
                assert_eq!(fast, view);
            }
        }
        let text = written(false, |json| json.hex_bytes(b"\x00\x1f"));
        assert_eq!(text, r#"["0x00","0x1f"]"#);
    }

    #[test]
    fn every_control_code_is_escaped() {
        let text = written(false, |json| json.value("a\u{1b}\u{7f}\u{9b}é\u{a0}"));
        assert_eq!(text, "\"a\\u001b\\u007f\\u009bé\u{a0}\"");
    }
}
