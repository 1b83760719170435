//! Names: bytes up to NUL, and how to show them on a terminal.

use std::borrow::Cow;

/// The string that starts at `off`; the section ends with NUL, so it always ends.
#[inline]
pub(crate) fn at(section: &[u8], off: usize) -> Option<&[u8]> {
    let tail = section.get(off..)?;
    tail.get(..memchr::memchr(0, tail)?)
}

/// Whether a byte may go to a terminal as it is, whatever stands around it.
#[inline]
const fn plain(b: u8) -> bool {
    b >= 0x20 && b < 0x7f
}

/// Appends `name` with control characters and bytes that are not UTF-8 as `\xNN`.
#[inline]
pub fn escape_into(out: &mut Vec<u8>, name: &[u8]) {
    if name.iter().all(|b| plain(*b)) {
        out.extend_from_slice(name);
    } else {
        escape_slow(out, name);
    }
}

#[cold]
fn escape_slow(out: &mut Vec<u8>, name: &[u8]) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let hex = |out: &mut Vec<u8>, bytes: &[u8]| {
        for b in bytes {
            let (hi, lo) = (usize::from(b >> 4), usize::from(b & 15));
            out.extend_from_slice(&[b'\\', b'x', HEX[hi], HEX[lo]]);
        }
    };
    for chunk in name.utf8_chunks() {
        for c in chunk.valid().chars() {
            let mut buf = [0; 4];
            let bytes = c.encode_utf8(&mut buf).as_bytes();
            // Bidirectional controls reorder the rest of the line just like an escape sequence.
            if c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') {
                hex(out, bytes);
            } else {
                out.extend_from_slice(bytes);
            }
        }
        hex(out, chunk.invalid());
    }
}

/// `name` as text, with control characters and bytes that are not UTF-8 as `\xNN`.
pub fn escape(name: &[u8]) -> Cow<'_, str> {
    if name.iter().all(|b| plain(*b))
        && let Ok(text) = core::str::from_utf8(name)
    {
        return Cow::Borrowed(text);
    }
    let mut out = Vec::with_capacity(name.len() + 16);
    escape_slow(&mut out, name);
    Cow::Owned(String::from_utf8_lossy(&out).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_when_offset_inside_a_string_then_its_suffix() {
        let section = b"\0int\0\0";
        assert_eq!(at(section, 1), Some(&b"int"[..]));
        assert_eq!(at(section, 2), Some(&b"nt"[..]));
        assert_eq!(at(section, 5), Some(&b""[..]));
        assert_eq!(at(section, 6), None);
        assert_eq!(at(b"abc", 0), None);
    }

    #[test]
    fn escape_when_bytes_are_hostile_then_hex() {
        assert_eq!(escape(b"task_struct"), "task_struct");
        assert_eq!(escape(b"a\x1b[2Jb"), r"a\x1b[2Jb");
        assert_eq!(escape(b"\xff\xc3("), r"\xff\xc3(");
        assert_eq!(
            escape("é\u{9b}\u{202e}".as_bytes()),
            "é\\xc2\\x9b\\xe2\\x80\\xae"
        );
        assert_eq!(escape(b"\x7f"), r"\x7f");
    }
}
