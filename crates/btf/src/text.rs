//! Text put together without formatting machinery: numbers and names, appended to a buffer.

use crate::raw::strings::{escape_into, first_of};

/// Digits go to a fixed place, and a fixed number of bytes is appended: that needs no call.
#[inline]
pub(crate) fn number(out: &mut Vec<u8>, mut value: u32) {
    const PAIRS: [[u8; 2]; 100] = {
        let mut pairs = [[b'0'; 2]; 100];
        let mut n = 0;
        while n < 100 {
            pairs[n as usize] = [b'0' + n / 10, b'0' + n % 10];
            n += 1;
        }
        pairs
    };
    let mut digits = [0u8; 16];
    let len = value.checked_ilog10().unwrap_or(0) as usize + 1;
    let mut at = len;
    while value >= 10 {
        at -= 2;
        if let (Some(to), Some(pair)) =
            (digits.get_mut(at..at + 2), PAIRS.get(value as usize % 100))
        {
            to.copy_from_slice(pair);
        }
        value /= 100;
    }
    if at == 1 {
        // An odd number of digits leaves the first; `value` is below 10.
        #[expect(clippy::cast_possible_truncation, reason = "one digit")]
        if let Some(first) = digits.first_mut() {
            *first = b'0' + value as u8;
        }
    }
    let end = out.len() + len;
    out.extend_from_slice(&digits);
    out.truncate(end);
}

/// Appends the bytes of `tail` up to NUL, eight at a time. `false`, and nothing is appended,
/// when one of them has to be escaped, or the end of the strings is near.
#[inline]
pub(crate) fn copy_name(out: &mut Vec<u8>, tail: &[u8]) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = ONES << 7;
    let start = out.len();
    let (chunks, _) = tail.as_chunks::<8>();
    for chunk in chunks {
        let word = u64::from_le_bytes(*chunk);
        // Top bits mark a NUL, and bytes from 0x80 on, 0x7f and those below 0x20. Bytes above
        // the lowest NUL may be marked wrongly: they do not count.
        let nul = word.wrapping_sub(ONES) & !word & HIGHS;
        let keep = ((nul & nul.wrapping_neg()) >> 7).wrapping_sub(1);
        let odd = word | word.wrapping_add(ONES) | !word.wrapping_add(ONES * 0x60);
        if odd & HIGHS & keep != 0 {
            out.truncate(start);
            return false;
        }
        out.extend_from_slice(chunk);
        if nul != 0 {
            out.truncate(out.len() - 8 + nul.trailing_zeros() as usize / 8);
            return true;
        }
    }
    out.truncate(start);
    false
}

/// Appends the name that `tail` starts with: up to NUL or the end, escaped.
#[inline]
pub(crate) fn push_name(out: &mut Vec<u8>, tail: &[u8]) {
    if !copy_name(out, tail) {
        escape_into(out, first_of(tail, tail.len()));
    }
}
