//! Text of a header file.

/// A header that grows.
#[derive(Debug, Default)]
pub(super) struct Text(pub(super) String);

impl Text {
    /// Adds text, with `name` for every `@`.
    pub(super) fn put(&mut self, text: &str, name: &str) {
        let mut parts = text.split('@');
        self.0.push_str(parts.next().unwrap_or_default());
        for part in parts {
            self.0.push_str(name);
            self.0.push_str(part);
        }
    }

    /// Adds text as it is.
    pub(super) fn plain(&mut self, text: &str) {
        self.0.push_str(text);
    }

    /// Adds a line of parts.
    pub(super) fn line(&mut self, parts: &[&str]) {
        for part in parts {
            self.0.push_str(part);
        }
        self.0.push('\n');
    }

    /// Adds a constant array of bytes: `static const char NAME[] = "…";`, indented.
    pub(super) fn array(&mut self, indent: &str, name: &str, bytes: &[u8]) {
        const WIDTH: usize = 78;
        self.line(&[
            indent,
            "static const char ",
            name,
            "[] __attribute__((__aligned__(8))) = \"\\",
        ]);
        self.0.reserve(bytes.len().saturating_mul(4));
        let mut width = 0;
        for byte in bytes {
            // Only escapes follow one another, so a zero cannot swallow digits.
            let own = if *byte == 0 { 2 } else { 4 };
            if width + own > WIDTH {
                self.0.push_str("\\\n");
                width = 0;
            }
            width += own;
            if *byte == 0 {
                self.0.push_str("\\0");
            } else {
                self.0.push_str("\\x");
                for digit in [byte >> 4, byte & 15] {
                    self.0
                        .push(char::from_digit(digit.into(), 16).unwrap_or('0'));
                }
            }
        }
        self.plain("\\\n\";\n");
    }
}

/// A text as a string literal.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => {
                out.push('\\');
                out.push(char::from(byte));
            }
            b' '..=b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("\\{byte:03o}")),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_take_their_places() {
        let mut text = Text::default();
        text.put("struct @ *@__open(void);\n", "x");
        assert_eq!(text.0, "struct x *x__open(void);\n");
    }

    #[test]
    fn bytes_are_escaped() {
        let mut text = Text::default();
        text.array("\t", "data", &[0, b'1', 0xff]);
        let front = "\tstatic const char data[] __attribute__((__aligned__(8))) = \"\\\n";
        assert_eq!(text.0, format!("{front}\\0\\x31\\xff\\\n\";\n"));
        assert!(text.0.lines().all(|line| line.len() < 80));
        assert_eq!(quoted("a\"\\\n?é"), r#""a\"\\\012?\303\251""#);
    }
}
