//! One JSON document a line, made of the one document that commands write.
//!
//! The elements of an outermost array become lines; any other document is one line as it is.

use std::io::{self, Write};

/// Takes compact JSON apart.
#[derive(Debug)]
pub struct JsonLines<W> {
    inner: W,
    depth: u64,
    in_string: bool,
    escaped: bool,
    /// Whether the document is an array, once its first byte was seen.
    is_array: Option<bool>,
    line: Vec<u8>,
}

impl<W: Write> JsonLines<W> {
    /// Lines to `inner`.
    pub fn new(inner: W) -> Self {
        Self {
            inner,
            depth: 0,
            in_string: false,
            escaped: false,
            is_array: None,
            line: Vec::new(),
        }
    }

    fn byte(&mut self, byte: u8) {
        if self.in_string {
            self.in_string = self.escaped || byte != b'"';
            self.escaped = !self.escaped && byte == b'\\';
            self.line.push(byte);
            return;
        }
        let is_array = *self.is_array.get_or_insert(byte == b'[');
        let outermost = u64::from(is_array);
        match byte {
            b'[' | b'{' => {
                self.depth += 1;
                if is_array && self.depth == 1 {
                    return;
                }
            }
            b']' | b'}' => {
                self.depth = self.depth.saturating_sub(1);
                if is_array && self.depth == 0 {
                    // an empty array has no last line
                    if !self.line.is_empty() {
                        self.line.push(b'\n');
                    }
                    return;
                }
            }
            b',' if is_array && self.depth == outermost => {
                self.line.push(b'\n');
                return;
            }
            // the newline behind the document
            b'\n' if is_array => return,
            b'"' => self.in_string = true,
            _ => {}
        }
        self.line.push(byte);
    }
}

impl<W: Write> Write for JsonLines<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for byte in bytes {
            self.byte(*byte);
        }
        if let Some(end) = memchr::memrchr(b'\n', &self.line) {
            let rest = self.line.split_off(end + 1);
            self.inner.write_all(&self.line)?;
            self.line = rest;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(document: &str, piece: usize) -> String {
        let mut out = Vec::new();
        let mut lines = JsonLines::new(&mut out);
        for piece in document.as_bytes().chunks(piece) {
            lines.write_all(piece).unwrap();
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn elements_of_the_outermost_array_are_lines() {
        for piece in [1, 3, 1000] {
            for (document, expected) in [
                ("[]\n", ""),
                ("[1,[2,3],{\"a\":[4]}]\n", "1\n[2,3]\n{\"a\":[4]}\n"),
                ("[\"a,\\\"]\",\"\\\\\",2]\n", "\"a,\\\"]\"\n\"\\\\\"\n2\n"),
                ("{\"a\":[1,2]}\n", "{\"a\":[1,2]}\n"),
                ("null\n", "null\n"),
            ] {
                assert_eq!(lines(document, piece), expected, "{document} by {piece}");
            }
        }
    }
}
