//! The form of a `.test` file.

use anyhow::{Context as _, Result, bail, ensure};
use rbpftool_tests::Output;

/// One case; everything is kept, so that blessing changes nothing else.
#[derive(Debug, Default)]
pub(crate) struct Case {
    pub(crate) name: String,
    /// The lines up to and including the `==` line.
    pub(crate) head: String,
    pub(crate) steps: Vec<Step>,
    /// The lines after the last command's.
    pub(crate) tail: String,
    pub(crate) files: Vec<(String, Vec<u8>)>,
}

/// One command.
#[derive(Debug, Default)]
pub(crate) struct Step {
    pub(crate) line: usize,
    /// The lines between the last command's and this.
    pub(crate) before: String,
    pub(crate) command: String,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) stdin: Vec<u8>,
    /// The `1|`, `2|` and `?` lines, as written.
    pub(crate) expected: String,
}

pub(crate) fn parse(text: &str) -> Result<Vec<Case>> {
    let mut cases: Vec<Case> = Vec::new();
    let mut head = String::new();
    // What belongs to the next command, if there is one.
    let mut next = Step::default();
    for (number, line) in text.lines().enumerate() {
        let number = number + 1;
        let at = || format!("line {number}");
        if let Some(name) = line.strip_prefix("== ") {
            if let Some(case) = cases.last_mut() {
                // Blank lines and remarks at a case's end stay with it.
                case.tail = std::mem::take(&mut next).before;
            }
            ensure!(
                !cases.iter().any(|c| c.name == name),
                "line {number}: '{name}' again"
            );
            let head = std::mem::take(&mut head) + line + "\n";
            cases.push(Case {
                name: name.to_owned(),
                head,
                ..Case::default()
            });
            continue;
        }
        let Some(case) = cases.last_mut() else {
            ensure!(
                line.is_empty() || line.starts_with('#'),
                "line {number}: outside a case"
            );
            head.push_str(line);
            head.push('\n');
            continue;
        };
        if let Some(command) = line.strip_prefix("$ ") {
            let step = std::mem::take(&mut next);
            case.steps.push(Step {
                line: number,
                command: command.to_owned(),
                ..step
            });
            continue;
        }
        if ["1|", "2|", "1<", "2<", "? "]
            .iter()
            .any(|p| line.starts_with(p))
        {
            let step = case.steps.last_mut().with_context(at)?;
            ensure!(
                next.before.is_empty(),
                "line {number}: not right after its command"
            );
            step.expected.push_str(line);
            step.expected.push('\n');
            continue;
        }
        if let Some(rest) = line
            .strip_prefix("0| ")
            .or_else(|| (line == "0|").then_some(""))
        {
            next.stdin.extend(unescape(rest).with_context(at)?);
            next.stdin.push(b'\n');
        } else if let Some(rest) = line.strip_prefix("@ ") {
            let (name, rest) = rest.split_once('|').with_context(at)?;
            let mut content = unescape(rest.strip_prefix(' ').unwrap_or(rest)).with_context(at)?;
            content.push(b'\n');
            match case.files.iter_mut().find(|(n, _)| n == name) {
                Some((_, all)) => all.extend(content),
                None => case.files.push((name.to_owned(), content)),
            }
        } else if let Some(rest) = line.strip_prefix("env ") {
            let (key, value) = rest.split_once('=').with_context(at)?;
            next.env.push((key.to_owned(), value.to_owned()));
        } else {
            ensure!(
                line.is_empty() || line.starts_with('#'),
                "line {number}: what is this?"
            );
        }
        next.before.push_str(line);
        next.before.push('\n');
    }
    if let Some(case) = cases.last_mut() {
        case.tail = next.before;
    }
    if let Some(case) = cases.iter().find(|c| c.steps.is_empty()) {
        bail!("'{}' has no command", case.name);
    }
    Ok(cases)
}

/// What a command did, as the lines of a `.test` file.
pub(crate) fn render(got: &Output) -> String {
    let mut text = String::new();
    for (stream, bytes) in [('1', &got.stdout), ('2', &got.stderr)] {
        for line in bytes.split_inclusive(|b| *b == b'\n') {
            let (mark, line) = match line.strip_suffix(b"\n") {
                Some(line) => ('|', line),
                None => ('<', line),
            };
            text.push(stream);
            text.push(mark);
            if !line.is_empty() {
                text.push(' ');
                text.push_str(&escape(line));
            }
            text.push('\n');
        }
    }
    if got.status != 0 {
        text.push_str(&format!("? {}\n", got.status));
    }
    text
}

fn escape(bytes: &[u8]) -> String {
    let mut out = String::new();
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\\' => out.push_str("\\\\"),
                '\t' => out.push('\t'),
                c if c.is_control() => {
                    let mut buf = [0; 4];
                    for b in c.encode_utf8(&mut buf).bytes() {
                        out.push_str(&format!("\\x{b:02x}"));
                    }
                }
                c => out.push(c),
            }
        }
        for b in chunk.invalid() {
            out.push_str(&format!("\\x{b:02x}"));
        }
    }
    out
}

fn unescape(text: &str) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&b, tail)) = rest.split_first() {
        rest = tail;
        if b != b'\\' {
            out.push(b);
            continue;
        }
        match rest {
            [b'\\', tail @ ..] => {
                out.push(b'\\');
                rest = tail;
            }
            [b'x', a, b, tail @ ..] => {
                let hex = [*a, *b];
                let hex = std::str::from_utf8(&hex).context("not hex")?;
                out.push(u8::from_str_radix(hex, 16).context("not hex")?);
                rest = tail;
            }
            _ => bail!("a backslash is written \\\\, a byte \\xNN"),
        }
    }
    Ok(out)
}
