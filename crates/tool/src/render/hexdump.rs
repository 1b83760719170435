//! Bytes as hexadecimal, in the two layouts bpftool uses.

use std::io::{self, Write};

static PAIRS: [[u8; 2]; 256] = pairs();

const fn pairs() -> [[u8; 2]; 256] {
    let digits = b"0123456789abcdef";
    let mut pairs = [[0; 2]; 256];
    let mut byte = 0;
    while byte < 256 {
        pairs[byte] = [digits[byte >> 4], digits[byte & 15]];
        byte += 1;
    }
    pairs
}

fn pair(byte: u8) -> [u8; 2] {
    PAIRS.get(usize::from(byte)).copied().unwrap_or_default()
}

/// Appends `bytes` separated by a blank, two after every eighth, a newline after every
/// sixteenth; no newline at the end. The hot path of plain map dumps.
pub fn append(out: &mut Vec<u8>, bytes: &[u8]) {
    for (row, bytes) in bytes.chunks(16).enumerate() {
        if row > 0 {
            out.push(b'\n');
        }
        for (half, bytes) in bytes.chunks(8).enumerate() {
            if half > 0 {
                out.extend_from_slice(b"  ");
            }
            let start = out.len();
            out.resize(start + bytes.len() * 3, b' ');
            let (_, room) = out.split_at_mut(start);
            for (item, byte) in room.chunks_exact_mut(3).zip(bytes) {
                if let Some(digits) = item.first_chunk_mut::<2>() {
                    *digits = pair(*byte);
                }
            }
            out.pop();
        }
    }
}

/// Writes the dump of a run's output: offset, pairs of bytes, and what is printable.
pub fn table(out: &mut dyn Write, bytes: &[u8]) -> io::Result<()> {
    for (row, bytes) in bytes.chunks(16).enumerate() {
        write!(out, "{:07x}\t", row * 16)?;
        for at in 0..16 {
            match bytes.get(at) {
                Some(byte) => out.write_all(&pair(*byte))?,
                None => out.write_all(b"  ")?,
            }
            if at % 2 == 1 {
                out.write_all(b" ")?;
            }
        }
        out.write_all(b"| ")?;
        for (at, byte) in bytes.iter().enumerate() {
            let shown = if matches!(byte, b' '..=b'~') {
                *byte
            } else {
                b'.'
            };
            out.write_all(&[shown])?;
            if at == 7 {
                out.write_all(b" ")?;
            }
        }
        out.write_all(b"\n")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_of_eight_and_rows_of_sixteen() {
        let dump = |n: u8| {
            let mut out = Vec::new();
            append(&mut out, &(0..n).collect::<Vec<_>>());
            String::from_utf8(out).unwrap()
        };
        assert_eq!(dump(0), "");
        assert_eq!(dump(2), "00 01");
        assert_eq!(dump(9), "00 01 02 03 04 05 06 07  08");
        assert!(dump(17).ends_with("0e 0f\n10"));
    }

    #[test]
    fn a_table_row_shows_what_is_printable() {
        let mut out = Vec::new();
        table(&mut out, b"abcdefghi\x00").unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(
            text,
            "0000000\t6162 6364 6566 6768 6900                | abcdefgh i.\n"
        );
    }
}
