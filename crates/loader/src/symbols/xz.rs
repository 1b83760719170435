//! The xz container, as far as debug information in executables uses it: LZMA2 without filters.
//!
//! The container is read here, because it says how much memory its contents ask for, and what is
//! allocated has to be bounded by what is there. Decoding is left to `lzma-rust2`.

use super::SymbolError;
use super::read::Numbers;
use lzma_rust2::Lzma2Reader;
use std::io::Read;

const MAGIC: &[u8] = b"\xfd7zXZ\0";
/// The filter LZMA2.
const LZMA2: u64 = 0x21;
/// What bytes may unpack to; symbols are about an eighth of their size when they are packed.
const RATIO: u64 = 64;
/// Very small files may unpack to this.
const LEAST: u64 = 64 << 10;

/// A number of 7 bits a byte, the lowest first.
fn varint(data: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..63).step_by(7) {
        let (first, rest) = data.split_first()?;
        *data = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// Unpacks a file.
///
/// # Errors
/// It is no xz file or a damaged one, it has other filters, or unpacks to more than 64 times its
/// size. Checksums of the content are not looked at: what is unpacked is not trusted anyway.
pub fn unpack(data: &[u8], what: &'static str) -> Result<Vec<u8>, SymbolError> {
    let bad = |why: &str| SymbolError::Unpack {
        what,
        why: why.to_owned(),
    };
    let cut = || bad("it is cut");
    let rest = data
        .strip_prefix(MAGIC)
        .ok_or_else(|| bad("it is no xz file"))?;
    let check = rest.get(1).ok_or_else(cut)? & 0xf;
    let check = match check {
        0 => 0,
        kind => 4usize << ((kind - 1) / 3),
    };
    let limit = (data.len() as u64).saturating_mul(RATIO).max(LEAST);
    let mut blocks = data.get(12..).ok_or_else(cut)?;
    let mut out = Vec::new();
    loop {
        let size = *blocks.first().ok_or_else(cut)?;
        if size == 0 {
            // the index follows the last block
            return Ok(out);
        }
        let size = (usize::from(size) + 1) * 4;
        let header = blocks.get(..size).ok_or_else(cut)?;
        let dictionary = dictionary(header, what)?;
        let body = blocks.get(size..).ok_or_else(cut)?;
        let left = limit.saturating_sub(out.len() as u64);
        let dictionary = u64::from(dictionary).min(limit).max(4096);
        let dictionary = u32::try_from(dictionary).unwrap_or(u32::MAX);
        let mut reader = Lzma2Reader::new(body, dictionary, None);
        let got = (&mut reader).take(left + 1).read_to_end(&mut out);
        let got = got.map_err(|error| bad(&error.to_string()))?;
        if got as u64 > left {
            return Err(bad("it unpacks to more than 64 times its size"));
        }
        let after = reader.into_inner();
        let used = body.len().saturating_sub(after.len());
        let skip = used.next_multiple_of(4).saturating_add(check);
        blocks = body.get(skip..).ok_or_else(cut)?;
    }
}

/// How much of what was unpacked the only filter of a block looks back at.
fn dictionary(header: &[u8], what: &'static str) -> Result<u32, SymbolError> {
    let bad = |why: &str| SymbolError::Unpack {
        what,
        why: why.to_owned(),
    };
    let damaged = || bad("the header of a block is damaged");
    let (body, crc) = header
        .split_at_checked(header.len().saturating_sub(4))
        .ok_or_else(damaged)?;
    let crc = Numbers {
        data: crc,
        big: false,
        wide: false,
    }
    .u32(0);
    let mut sum = flate2::Crc::new();
    sum.update(body);
    if crc != Some(sum.sum()) {
        return Err(damaged());
    }
    let flags = *body.get(1).ok_or_else(damaged)?;
    let mut fields = body.get(2..).ok_or_else(damaged)?;
    for present in [0x40, 0x80] {
        if flags & present != 0 {
            varint(&mut fields).ok_or_else(damaged)?;
        }
    }
    let filter = varint(&mut fields).ok_or_else(damaged)?;
    if flags & 3 != 0 || filter != LZMA2 {
        return Err(SymbolError::Compression {
            what,
            method: u32::try_from(filter).unwrap_or(u32::MAX),
        });
    }
    let size = varint(&mut fields).ok_or_else(damaged)?;
    let bits = fields.first().copied().filter(|_| size == 1);
    match bits.ok_or_else(damaged)? {
        40 => Ok(u32::MAX),
        bits @ 0..40 => Ok((2 | u32::from(bits & 1)) << (bits / 2 + 11)),
        _ => Err(damaged()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `printf 'hello hello hello\n' | xz --check=crc32`.
    const HELLO: &[u8] = &[
        0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00, 0x00, 0x01, 0x69, 0x22, 0xde, 0x36, 0x02, 0x00, 0x21,
        0x01, 0x16, 0x00, 0x00, 0x00, 0x74, 0x2f, 0xe5, 0xa3, 0xe0, 0x00, 0x11, 0x00, 0x0c, 0x5d,
        0x00, 0x34, 0x19, 0x49, 0xee, 0x8d, 0xe9, 0x4f, 0x7e, 0x21, 0x21, 0xb0, 0x00, 0x00, 0x3b,
        0x7c, 0x8a, 0xdf, 0x00, 0x01, 0x24, 0x12, 0xc5, 0x25, 0xd7, 0x22, 0x90, 0x42, 0x99, 0x0d,
        0x01, 0x00, 0x00, 0x00, 0x00, 0x01, 0x59, 0x5a,
    ];

    #[test]
    fn a_file_of_one_block() {
        assert_eq!(unpack(HELLO, "a test").unwrap(), b"hello hello hello\n");
    }

    #[test]
    fn damage_is_an_error_or_other_bytes() {
        for at in 0..HELLO.len() {
            let mut bytes = HELLO.to_vec();
            bytes[at] ^= 0x55;
            drop(unpack(&bytes, "a test"));
            drop(unpack(&HELLO[..at], "a test"));
        }
    }

    #[test]
    fn what_is_no_xz_is_refused() {
        for bytes in [&b""[..], b"PK", &HELLO[..12], &HELLO[..7]] {
            assert!(unpack(bytes, "a test").is_err());
        }
    }
}
