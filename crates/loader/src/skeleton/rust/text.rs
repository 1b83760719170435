//! Rust source that is formatted as rustfmt would do it, without rustfmt.

/// Columns of a line.
const WIDTH: usize = 100;

/// Source that grows.
#[derive(Debug, Default)]
pub(super) struct Code {
    pub(super) out: String,
    level: usize,
}

impl Code {
    /// Source that begins inside of so many blocks.
    pub(super) fn inside(level: usize) -> Self {
        Self {
            out: String::new(),
            level,
        }
    }

    fn indent(&mut self, level: usize) {
        for _ in 0..level {
            self.out.push_str("    ");
        }
    }

    /// An empty line.
    pub(super) fn gap(&mut self) {
        self.out.push('\n');
    }

    /// A line.
    pub(super) fn line(&mut self, text: &str) {
        self.indent(self.level);
        self.out.push_str(text);
        self.out.push('\n');
    }

    /// A line that opens a block, which ends in `{` or `(`.
    pub(super) fn open(&mut self, text: &str) {
        self.line(text);
        self.level += 1;
    }

    /// A line that closes a block.
    pub(super) fn close(&mut self, text: &str) {
        self.level = self.level.saturating_sub(1);
        self.line(text);
    }

    /// A line of documentation; what would end it is left out.
    pub(super) fn doc(&mut self, text: &str) {
        let plain: String = text.chars().filter(|c| !c.is_control()).collect();
        self.line(&format!("/// {plain}"));
    }

    fn fits(&self, text: &str) -> bool {
        4 * self.level + text.len() <= WIDTH
    }

    /// `name: Type,` or `name = value;`, on two lines where one is too short.
    pub(super) fn pair(&mut self, name: &str, what: &str) {
        let line = format!("{name} {what}");
        if self.fits(&line) {
            self.line(&line);
        } else {
            self.line(name);
            self.indent(self.level + 1);
            self.out.push_str(what);
            self.out.push('\n');
        }
    }

    /// The head of a function, one argument in a line where it is too long, and opens its block.
    pub(super) fn function(&mut self, name: &str, args: &[&str], output: &str) {
        let arrow = if output.is_empty() { "" } else { " -> " };
        let line = format!("pub fn {name}({}){arrow}{output} {{", args.join(", "));
        if self.fits(&line) || args.is_empty() {
            self.open(&line);
            return;
        }
        self.open(&format!("pub fn {name}("));
        for arg in args {
            self.line(&format!("{arg},"));
        }
        self.level -= 1;
        self.open(&format!("){arrow}{output} {{"));
    }

    /// A function of one line.
    pub(super) fn getter(&mut self, name: &str, args: &[&str], output: &str, body: &str) {
        self.function(name, args, output);
        self.line(body);
        self.close("}");
    }
}

/// Bytes as a literal, over as many lines as it takes.
pub(super) fn bytes(bytes: &[u8]) -> String {
    const LINE: usize = 96;
    let mut out = String::with_capacity(bytes.len().saturating_mul(3));
    out.push_str("b\"\\\n");
    let mut width = 0;
    for byte in bytes {
        let plain = match byte {
            b'"' => "\\\"".to_owned(),
            b'\\' => "\\\\".to_owned(),
            b'\0' => "\\0".to_owned(),
            b' '..=b'~' => char::from(*byte).to_string(),
            _ => format!("\\x{byte:02x}"),
        };
        if width + plain.len() > LINE {
            out.push_str("\\\n");
            width = 0;
        }
        // Blanks at the start of a line would not count.
        let escaped = match byte {
            b' ' if width == 0 => "\\x20",
            _ => &plain,
        };
        width += escaped.len();
        out.push_str(escaped);
    }
    out.push_str("\\\n\"");
    out
}

/// A text as a literal.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            ' '..='~' => out.push(c),
            _ => out.push_str(&c.escape_unicode().to_string()),
        }
    }
    out.push('"');
    out
}

/// A name in a line of documentation.
pub(super) fn shown(name: &str) -> String {
    let plain = name.chars().filter(|c| !c.is_control() && *c != '`');
    format!("`{}`", plain.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_are_broken() {
        let mut code = Code::default();
        code.open("impl X {");
        code.pair("name:", "u32,");
        code.pair("name:", &"x".repeat(91));
        code.getter("f", &["&self"], "u8", "0");
        code.getter(&"f".repeat(80), &["&self"], "u8", "0");
        code.close("}");
        let x = "x".repeat(91);
        let f = "f".repeat(80);
        let expected = format!(
            "impl X {{
    name: u32,
    name:
        {x}
    pub fn f(&self) -> u8 {{
        0
    }}
    pub fn {f}(
        &self,
    ) -> u8 {{
        0
    }}
}}
"
        );
        assert_eq!(code.out, expected);
    }

    #[test]
    fn literals() {
        assert_eq!(
            bytes(b" a\"\\\0\x7f"),
            "b\"\\\n\\x20a\\\"\\\\\\0\\x7f\\\n\""
        );
        let long = bytes(&[b' '; 500]);
        assert!(
            long.lines()
                .all(|line| line.len() <= 98 && !line.starts_with(' '))
        );
        assert_eq!(quoted("a\"é\n"), "\"a\\\"\\u{e9}\\u{a}\"");
    }
}
