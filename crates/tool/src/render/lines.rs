//! Text of others, line by line: as text without what controls terminals, in JSON as an array of
//! strings, each with the end of its line.

use std::io::{self, Write};

use super::Output;
use super::escape::{Escaped, JsonText};
use crate::failure::Result;

/// A line that does not end is cut here, so that no input takes all memory.
const LONGEST: usize = 1 << 20;

/// Lines on their way to the output.
#[derive(Debug)]
pub struct Lines {
    /// The beginning of a line whose end has not come.
    open: Vec<u8>,
}

impl Lines {
    /// Begins; in JSON an array, which [`end`](Self::end) must close.
    pub fn begin(output: &mut Output<'_>) -> Result<Self> {
        if output.is_json() {
            output.json().begin_array()?;
        }
        Ok(Self { open: Vec::new() })
    }

    /// Shows the lines that are whole now.
    pub fn push(&mut self, output: &mut Output<'_>, bytes: &[u8]) -> Result<()> {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.open.extend_from_slice(piece);
            if piece.ends_with(b"\n") || self.open.len() >= LONGEST {
                line(output, &self.open)?;
                self.open.clear();
            }
        }
        Ok(())
    }

    /// Shows what is left, and ends.
    pub fn end(self, output: &mut Output<'_>) -> Result<()> {
        if !self.open.is_empty() {
            line(output, &self.open)?;
        }
        if output.is_json() {
            output.json().end_array()?;
        }
        Ok(())
    }
}

fn line(output: &mut Output<'_>, bytes: &[u8]) -> Result<()> {
    if output.is_json() {
        output.json().value(&JsonText(bytes))?;
    } else {
        text(output.text(), bytes)?;
    }
    Ok(())
}

/// Tabs and line ends are no harm.
fn text(out: &mut dyn Write, bytes: &[u8]) -> io::Result<()> {
    for piece in bytes.split_inclusive(|byte| matches!(byte, b'\n' | b'\t')) {
        let (body, end) = match piece.split_last() {
            Some((end @ (b'\n' | b'\t'), body)) => (body, std::slice::from_ref(end)),
            _ => (piece, &[][..]),
        };
        write!(out, "{}", Escaped(body))?;
        out.write_all(end)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::Format;

    fn shown(format: Format, pieces: &[&[u8]]) -> String {
        let (mut out, mut errors) = (Vec::new(), Vec::new());
        let mut output = Output::new(format, &mut out, &mut errors);
        let mut lines = Lines::begin(&mut output).unwrap();
        for piece in pieces {
            lines.push(&mut output, piece).unwrap();
        }
        lines.end(&mut output).unwrap();
        output.finish().unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn lines_are_put_together_from_pieces() {
        let pieces: &[&[u8]] = &[b"one\ntw", b"o", b"\n", b"\n", b"last"];
        assert_eq!(shown(Format::Text, pieces), "one\ntwo\n\nlast");
        assert_eq!(
            shown(Format::Json, pieces),
            "[\"one\\n\",\"two\\n\",\"\\n\",\"last\"]\n"
        );
        assert_eq!(shown(Format::Text, &[]), "");
        assert_eq!(shown(Format::Json, &[]), "[]\n");
    }

    #[test]
    fn terminals_are_safe_and_json_is_valid() {
        let pieces: &[&[u8]] = &[b"a\tb\x1b[31m\xff\xc3\xa4\n"];
        assert_eq!(shown(Format::Text, pieces), "a\tb\\x1b[31m\\xff\u{e4}\n");
        let json: Vec<String> = serde_json::from_str(&shown(Format::Json, pieces)).unwrap();
        assert_eq!(json, ["a\tb\u{1b}[31m\\xff\u{e4}\n"]);
    }
}
