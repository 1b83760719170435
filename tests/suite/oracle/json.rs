//! Editing JSON as text, so that the order of keys and the form of numbers
//! stay what they were.

/// What to do with the value of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Edit {
    /// Nothing.
    Keep,
    /// Key and value are left out.
    Drop,
    /// The value becomes `null`.
    Null,
    /// The elements of an array are put in order.
    Sort,
}

/// The document without blanks; `None` if it is not JSON.
pub(crate) fn compact(text: &[u8]) -> Option<Vec<u8>> {
    edit(text, "", Edit::Keep)
}

/// The document without blanks, with every value of `key` edited; `None` if it
/// is not JSON.
pub(crate) fn edit(text: &[u8], key: &str, edit: Edit) -> Option<Vec<u8>> {
    let key = format!("\"{key}\"").into_bytes();
    let mut editor = Editor {
        rest: text,
        out: Vec::new(),
        key,
        edit,
    };
    editor.value()?;
    editor.blanks();
    editor.rest.is_empty().then_some(editor.out)
}

/// The document without blanks, and without `key` in objects whose `type` is `kind`.
pub(crate) fn drop_of(text: &[u8], kind: &str, key: &str) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(text).ok()?;
    let header = format!("\"type\":\"{kind}\"");
    let mut out = String::new();
    let mut rest = text;
    // `type` is never in an object of its own: the object is the one around it.
    while let Some(at) = rest.find(&header) {
        let start = rest.get(..at)?.rfind('{')?;
        let object = rest.get(start..)?;
        let len = length(object.as_bytes())?;
        out.push_str(rest.get(..start)?);
        let less = edit(object.get(..len)?.as_bytes(), key, Edit::Drop)?;
        out.push_str(std::str::from_utf8(&less).ok()?);
        rest = object.get(len..)?;
    }
    out.push_str(rest);
    Some(out.into_bytes())
}

/// Of the value that `text` begins with.
fn length(text: &[u8]) -> Option<usize> {
    let mut editor = Editor {
        rest: text,
        out: Vec::new(),
        key: Vec::new(),
        edit: Edit::Keep,
    };
    editor.value()?;
    Some(text.len() - editor.rest.len())
}

/// Compact JSON laid out as `-p` does: keys on lines of their own, four blanks
/// deep, elements of arrays behind one another, closing brackets on lines of
/// their own unless there is nothing inside; then a line end.
pub(crate) fn pretty(compact: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut depth = 0_usize;
    let mut keyed = Vec::new();
    let mut in_string = false;
    let mut escaped = false;
    let mut fresh = false;
    let newline = |out: &mut Vec<u8>, depth: usize| {
        out.push(b'\n');
        out.extend(std::iter::repeat_n(b' ', depth * 4));
    };
    for &b in compact {
        if in_string {
            out.push(b);
            in_string = escaped || b != b'"';
            escaped = !escaped && b == b'\\';
            continue;
        }
        if matches!(b, b'}' | b']') {
            depth = depth.saturating_sub(1);
            keyed.pop();
            if !fresh {
                newline(&mut out, depth);
            }
            fresh = false;
            out.push(b);
            continue;
        }
        if fresh && keyed.last() == Some(&true) {
            newline(&mut out, depth);
        }
        fresh = matches!(b, b'{' | b'[');
        if fresh {
            keyed.push(b == b'{');
            depth += 1;
        }
        in_string = b == b'"';
        out.push(b);
        match b {
            b',' if keyed.last() == Some(&true) => newline(&mut out, depth),
            b':' => out.push(b' '),
            _ => {}
        }
    }
    out.push(b'\n');
    out
}

struct Editor<'a> {
    rest: &'a [u8],
    out: Vec<u8>,
    /// With its quotes.
    key: Vec<u8>,
    edit: Edit,
}

impl<'a> Editor<'a> {
    fn blanks(&mut self) {
        self.rest = self.rest.trim_ascii_start();
    }

    fn peek(&mut self) -> Option<u8> {
        self.blanks();
        self.rest.first().copied()
    }

    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.rest.split_at_checked(len)?;
        self.rest = tail;
        Some(head)
    }

    fn value(&mut self) -> Option<()> {
        match self.peek()? {
            b'{' => self.members(b'}'),
            b'[' => self.members(b']'),
            b'"' => {
                let string = self.string()?;
                self.out.extend_from_slice(string);
                Some(())
            }
            _ => {
                let end = self.rest.iter().position(|b| b",]} \n\t".contains(b));
                let word = self.take(end.unwrap_or(self.rest.len()))?;
                self.out.extend_from_slice(word);
                (!word.is_empty()).then_some(())
            }
        }
    }

    fn string(&mut self) -> Option<&'a [u8]> {
        let mut at = 1;
        loop {
            match self.rest.get(at)? {
                b'\\' => at += 2,
                b'"' => return self.take(at + 1),
                _ => at += 1,
            }
        }
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then_some(())?;
        self.take(1).map(|_| ())
    }

    fn members(&mut self, close: u8) -> Option<()> {
        let open = *self.take(1)?.first()?;
        self.out.push(open);
        let mut first = true;
        while self.peek()? != close {
            let before = self.out.len();
            if !std::mem::take(&mut first) {
                self.expect(b',')?;
            }
            if self.out.last() != Some(&open) {
                self.out.push(b',');
            }
            let mut hit = false;
            if close == b'}' {
                (self.peek()? == b'"').then_some(())?;
                let key = self.string()?;
                hit = key == self.key;
                self.out.extend_from_slice(key);
                self.expect(b':')?;
                self.out.push(b':');
            }
            let value = self.out.len();
            self.value()?;
            match (hit, self.edit) {
                (true, Edit::Drop) => self.out.truncate(before),
                (true, Edit::Null) => {
                    self.out.truncate(value);
                    self.out.extend_from_slice(b"null");
                }
                (true, Edit::Sort) => {
                    let sorted = sort(self.out.get(value..)?);
                    self.out.truncate(value);
                    self.out.extend(sorted);
                }
                _ => {}
            }
        }
        self.out.push(close);
        self.take(1).map(|_| ())
    }
}

/// `[b,a]` becomes `[a,b]`; what is no flat array stays.
fn sort(array: &[u8]) -> Vec<u8> {
    let inner = array.strip_prefix(b"[").and_then(|a| a.strip_suffix(b"]"));
    let Some(inner) = inner.filter(|i| !i.contains(&b'{') && !i.contains(&b'[')) else {
        return array.to_vec();
    };
    // Between elements a comma follows a quote or a digit and is followed by
    // one; inside the paths sorted here it never is.
    let quoted = inner.starts_with(b"\"");
    let text = String::from_utf8_lossy(inner);
    let mut parts: Vec<&str> = text.split(if quoted { "\",\"" } else { "," }).collect();
    if quoted {
        if let Some(first) = parts.first_mut() {
            *first = first.trim_start_matches('"');
        }
        if let Some(last) = parts.last_mut() {
            *last = last.trim_end_matches('"');
        }
        parts.sort_unstable();
        return format!("[\"{}\"]", parts.join("\",\"")).into_bytes();
    }
    parts.sort_unstable_by_key(|p| p.parse::<u64>().unwrap_or(u64::MAX));
    format!("[{}]", parts.join(",")).into_bytes()
}
