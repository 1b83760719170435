//! Colours, for terminals only: painted on the way out, so that nothing else knows of them.

use std::ffi::OsStr;
use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

/// When output is coloured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum When {
    /// On terminals, unless the environment says no.
    #[default]
    Auto,
    /// Wherever it goes.
    Always,
    /// Never.
    Never,
}

impl When {
    /// Reads the argument of `--color`.
    #[must_use]
    pub fn of(word: &OsStr) -> Option<Self> {
        Some(match word.to_str()? {
            "auto" => Self::Auto,
            "always" => Self::Always,
            "never" => Self::Never,
            _ => return None,
        })
    }

    /// Whether output to what may be a terminal is coloured.
    #[must_use]
    pub fn applies(self, is_terminal: bool) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto => {
                let var = |name| std::env::var_os(name).filter(|value| !value.is_empty());
                is_terminal
                    && var("NO_COLOR").is_none()
                    && var("TERM").is_some_and(|term| term != "dumb")
            }
        }
    }
}

/// Of numbers of objects, and of what heads a table.
const HEAD: Style = Style::new().bold();
/// Of types of objects.
const KIND: Style = AnsiColor::Cyan.on_default();
/// Of names of objects, and of keys in JSON.
const NAME: Style = AnsiColor::Green.on_default();
/// Of the word before an error.
pub(super) const ERROR: Style = AnsiColor::Red.on_default().bold();
/// Of the word before a hint.
pub(super) const HINT: Style = AnsiColor::Yellow.on_default();

/// Text in a style.
pub(super) fn styled(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

/// Paints keys of JSON, in any layout.
#[derive(Debug)]
pub struct JsonKeys<W> {
    inner: W,
    /// The string that may be a key, with its quotes.
    string: Vec<u8>,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Outside,
    Inside,
    /// Behind a backslash.
    Escaped,
    /// Behind the closing quote.
    Closed,
}

impl<W: Write> JsonKeys<W> {
    /// Paints on the way to `inner`.
    pub fn new(inner: W) -> Self {
        Self {
            inner,
            string: Vec::new(),
            state: State::Outside,
        }
    }
}

impl<W: Write> Write for JsonKeys<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut out = Vec::with_capacity(bytes.len() * 2);
        for &byte in bytes {
            self.state = match (self.state, byte) {
                (State::Inside, b'\\') => State::Escaped,
                (State::Inside, b'"') => State::Closed,
                (State::Inside | State::Escaped, _) => State::Inside,
                (State::Closed | State::Outside, _) => {
                    if byte == b':' && self.state == State::Closed {
                        write!(out, "{NAME}")?;
                        out.append(&mut self.string);
                        write!(out, "{NAME:#}")?;
                    }
                    out.append(&mut self.string);
                    if byte != b'"' {
                        out.push(byte);
                        self.state = State::Outside;
                        continue;
                    }
                    State::Inside
                }
            };
            self.string.push(byte);
        }
        self.inner.write_all(&out)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        // a string at the end of the document is no key
        if self.state == State::Closed {
            self.inner.write_all(&self.string)?;
            self.string.clear();
            self.state = State::Outside;
        }
        self.inner.flush()
    }
}

/// Paints the first lines of objects: `7: hash  name hits  flags 0x0`.
#[derive(Debug)]
pub struct Headers<W> {
    inner: W,
    at_start: bool,
}

impl<W: Write> Headers<W> {
    /// Paints on the way to `inner`.
    pub fn new(inner: W) -> Self {
        Self {
            inner,
            at_start: true,
        }
    }
}

impl<W: Write> Write for Headers<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut out = Vec::with_capacity(bytes.len() + 64);
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            // a line that comes in pieces is painted only if its first piece has it all
            match std::str::from_utf8(line).ok().filter(|_| self.at_start) {
                Some(text) => out.extend(header(text).as_bytes()),
                None => out.extend(line),
            }
            self.at_start = line.ends_with(b"\n");
        }
        self.inner.write_all(&out)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

fn header(line: &str) -> String {
    let parts = line.split_once(": ").and_then(|(id, rest)| {
        let (kind, rest) = rest.split_once("  ")?;
        let is_header = id.bytes().all(|byte| byte.is_ascii_digit())
            && !id.is_empty()
            && !kind.is_empty()
            && kind
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        is_header.then_some((id, kind, rest))
    });
    let Some((id, kind, rest)) = parts else {
        return line.to_owned();
    };
    let head = format!("{}: {}  ", styled(HEAD, id), styled(KIND, kind));
    match rest.strip_prefix("name ").map(|rest| rest.split_once("  ")) {
        Some(Some((name, rest))) => format!("{head}name {}  {rest}", styled(NAME, name)),
        _ => format!("{head}{rest}"),
    }
}

/// The head of a table.
pub(super) fn head(line: &str, painted: bool) -> String {
    if painted {
        styled(HEAD, line)
    } else {
        line.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Makes colours readable.
    fn plain(bytes: Vec<u8>) -> String {
        let text = String::from_utf8(bytes).unwrap();
        text.replace("\u{1b}[0m", ">")
            .replace("\u{1b}[32m", "<")
            .replace("\u{1b}[", "<")
    }

    #[test]
    fn keys_are_painted_and_strings_are_not() {
        let document = "{\"a\":\"b:\",\"c\\\"\": [\"d\"]}\n";
        for piece in [1, 2, 100] {
            let mut out = Vec::new();
            let mut keys = JsonKeys::new(&mut out);
            for piece in document.as_bytes().chunks(piece) {
                keys.write_all(piece).unwrap();
            }
            keys.flush().unwrap();
            assert_eq!(
                plain(out),
                "{<\"a\">:\"b:\",<\"c\\\"\">: [\"d\"]}\n",
                "{piece}"
            );
        }
    }

    #[test]
    fn first_lines_of_objects_are_painted() {
        let mut out = Vec::new();
        let mut headers = Headers::new(&mut out);
        headers
            .write_all(b"7: hash  name hits  flags 0x0\n\tkey 4B\n")
            .unwrap();
        headers
            .write_all(b"   0: (b7) r0 = 0\n12: (95) exit  \n")
            .unwrap();
        assert_eq!(
            plain(out),
            "<1m7>: <36mhash>  name <hits>  flags 0x0\n\tkey 4B\n   0: (b7) r0 = 0\n12: (95) exit  \n"
        );
    }

    #[test]
    fn only_terminals_are_coloured_unless_it_is_asked_for() {
        assert!(When::Always.applies(false));
        assert!(!When::Never.applies(true));
        assert!(!When::Auto.applies(false));
        assert_eq!(When::of("sometimes".as_ref()), None);
    }
}
