//! Names: bytes up to NUL, and how to show them on a terminal.

use std::borrow::Cow;

/// The string that starts at `off`; the section ends with NUL, so it always ends.
#[inline]
pub(crate) fn at(section: &[u8], off: usize) -> Option<&[u8]> {
    let tail = section.get(off..)?;
    tail.get(..nul_in(tail)?)
}

/// The first NUL. Most names are short: a search that needs no call finds their end.
#[inline]
fn nul_in(tail: &[u8]) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let (words, _) = tail.as_chunks();
    for (at, word) in words.iter().take(3).enumerate() {
        let word = u64::from_le_bytes(*word);
        // the lowest bit set is the top one of the first NUL
        let nul = word.wrapping_sub(ONES) & !word & (ONES << 7);
        if nul != 0 {
            return Some(at * 8 + nul.trailing_zeros() as usize / 8);
        }
    }
    memchr::memchr(0, tail)
}

/// Whether `name` stands at the start of `tail`, as a whole: NUL or the end comes after it.
/// A `name` with NUL in it stands nowhere.
#[inline]
pub(crate) fn starts_as(tail: &[u8], name: &[u8]) -> bool {
    starts_as_name(tail, name) && !name.contains(&0)
}

/// The same for a `name` without NUL.
#[inline]
pub(crate) fn starts_as_name(tail: &[u8], name: &[u8]) -> bool {
    tail.strip_prefix(name)
        .is_some_and(|rest| matches!(rest.first(), None | Some(0)))
}

/// Up to NUL, the end or `limit` bytes, whichever comes first.
#[inline]
pub(crate) fn first_of(tail: &[u8], limit: usize) -> &[u8] {
    let tail = tail.get(..limit).unwrap_or(tail);
    memchr::memchr(0, tail)
        .and_then(|end| tail.get(..end))
        .unwrap_or(tail)
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
    fn names_are_compared_without_their_end() {
        for (tail, name, same) in [
            (&b"int\0x"[..], &b"int"[..], true),
            (b"int", b"int", true),
            (b"in\0t", b"int", false),
            (b"inte\0", b"int", false),
            (b"\0int", b"", true),
            (b"", b"", true),
            (b"int\0", b"", false),
            (b"a\0b\0", b"a\0b", false),
        ] {
            assert_eq!(starts_as(tail, name), same, "{tail:?} {name:?}");
        }
        assert_eq!(first_of(b"abc\0d", 2), b"ab");
        assert_eq!(first_of(b"abc\0d", 4), b"abc");
        assert_eq!(first_of(b"abc\0d", 9), b"abc");
        assert_eq!(first_of(b"abc", 9), b"abc");
        assert_eq!(first_of(b"", 9), b"");
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
