//! Parts of a document that are formatted in memory, on any thread: for answers so large that
//! formatting them is what takes the time.
//!
//! The text between two values is given as a literal of compact JSON and copied as it is; for
//! pretty output it is laid out as [`Json`] does. There is no check that the pieces make a
//! document.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::Serializer;

use super::{InLayout, Json, Layout};
use crate::render::escape::JsonText;

/// Parts smaller than this are gathered before they are written.
const COPIED: usize = 16 * 1024;

impl Json<'_> {
    /// The start of a part whose elements are to go to the innermost array. Every element begins
    /// with a comma.
    pub fn part<'o>(&self, out: &'o mut Vec<u8>) -> Part<'o> {
        Part::new(out, self.layout.pretty, self.layout.depth)
    }

    /// Whether output is pretty, and how many arrays and objects are open: what [`Part::new`]
    /// needs on another thread.
    #[must_use]
    pub fn position(&self) -> (bool, usize) {
        (self.layout.pretty, self.layout.depth)
    }

    /// Writes the elements of a part.
    pub fn append(&mut self, part: &[u8]) -> io::Result<()> {
        let elements = match part.split_first() {
            None => return Ok(()),
            Some((b',', first)) if !self.layout.separate => first,
            Some(_) => part,
        };
        self.layout.separate = true;
        if elements.len() < COPIED {
            return self.sink.write_all(elements);
        }
        self.sink.pass(elements)
    }
}

/// A part of a document.
#[derive(Debug)]
pub struct Part<'o> {
    out: &'o mut Vec<u8>,
    pretty: bool,
    depth: usize,
}

impl<'o> Part<'o> {
    /// A part that is appended to `out`, `depth` arrays and objects deep in the document.
    #[must_use]
    pub fn new(out: &'o mut Vec<u8>, pretty: bool, depth: usize) -> Self {
        Self { out, pretty, depth }
    }

    /// Hands on what there is when that is `limit` bytes or more, but for the last byte, which
    /// tells how to go on.
    ///
    /// To be called now and then: strings of a few bytes in the input may be long in the output.
    #[inline]
    pub fn settle<E>(
        &mut self,
        limit: usize,
        full: &mut (impl FnMut(&[u8]) -> Result<(), E> + ?Sized),
    ) -> Result<(), E> {
        if self.out.len() <= limit {
            return Ok(());
        }
        let Some((last, finished)) = self.out.split_last() else {
            return Ok(());
        };
        full(finished)?;
        let last = *last;
        self.out.clear();
        self.out.push(last);
        Ok(())
    }

    /// Writes what stands between two values. `compact` has no blanks, and strings in it stand
    /// after a colon or are keys.
    #[inline]
    pub fn piece(&mut self, compact: &'static str) {
        if self.pretty {
            self.lay_out(compact);
        } else {
            self.out.extend_from_slice(compact.as_bytes());
        }
    }

    fn lay_out(&mut self, compact: &str) {
        for byte in compact.bytes() {
            let last = self.out.last().copied();
            match byte {
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    if !matches!(last, Some(b'{' | b'[')) {
                        self.line();
                    }
                }
                b'"' if matches!(last, Some(b'{' | b',')) => self.line(),
                _ => {}
            }
            self.out.push(byte);
            if byte == b':' {
                self.out.push(b' ');
            }
        }
    }

    fn line(&mut self) {
        self.out.push(b'\n');
        self.out.resize(self.out.len() + self.depth * 4, b' ');
    }

    /// Closes an array of elements that each end with a comma.
    #[inline]
    pub fn close_array(&mut self) {
        if self.out.last() == Some(&b',') {
            self.out.pop();
        }
        self.piece("]");
    }

    /// Writes a number.
    #[inline(always)]
    pub fn uint(&mut self, number: u32) {
        if number < 100_000_000 {
            self.digits(number);
        } else {
            self.out
                .extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
        }
    }

    /// Writes a number of up to 64 bits with or without a sign.
    #[inline]
    pub fn wide(&mut self, number: i128) {
        match u32::try_from(number) {
            Ok(small) => self.uint(small),
            Err(_) => self
                .out
                .extend_from_slice(itoa::Buffer::new().format(number).as_bytes()),
        }
    }

    /// Writes up to eight digits without a loop: halves, then pairs, then digits are told apart
    /// in the lanes of one word, by multiplications with inverses. No lane overflows.
    #[inline(always)]
    fn digits(&mut self, number: u32) {
        let number = u64::from(number);
        let halves = (number / 10_000) | ((number % 10_000) << 32);
        let hundreds = (halves.wrapping_mul(10_486) >> 20) & 0x0000_007f_0000_007f;
        let pairs = hundreds | (halves.wrapping_sub(hundreds.wrapping_mul(100)) << 16);
        let tens = (pairs.wrapping_mul(103) >> 10) & 0x000f_000f_000f_000f;
        let digits = tens | (pairs.wrapping_sub(tens.wrapping_mul(10)) << 8);
        // the first digit is in the lowest byte; 0 has one digit
        let zeros = (digits.trailing_zeros() / 8).min(7);
        let text = (digits | 0x3030_3030_3030_3030) >> (zeros * 8);
        // a fixed number of bytes is appended because that needs no call
        let end = self.out.len() + 8 - zeros as usize;
        self.out.extend_from_slice(&text.to_le_bytes());
        self.out.truncate(end);
    }

    /// Writes a string of any bytes, as [`JsonText`] does.
    #[inline]
    pub fn string(&mut self, bytes: &[u8]) {
        let start = self.out.len();
        self.out.push(b'"');
        let (words, rest) = bytes.as_chunks::<8>();
        let mut found = 0;
        for word in words {
            found |= odd(u64::from_le_bytes(*word));
            self.out.extend_from_slice(word);
        }
        // what is left is put into a word with the quote behind it
        let bits = rest.len() * 8;
        let last = match bytes.last_chunk::<8>() {
            Some(last) if bits > 0 => u64::from_le_bytes(*last) >> (64 - bits),
            Some(_) => 0,
            None => short(rest),
        };
        found |= odd(last | (BLANKS << bits));
        let end = self.out.len() + rest.len() + 1;
        let quoted = last | (u64::from(b'"') << bits);
        self.out.extend_from_slice(&quoted.to_le_bytes());
        self.out.truncate(end);
        if found != 0 {
            self.out.truncate(start);
            self.odd_string(bytes);
        }
    }

    #[cold]
    fn odd_string(&mut self, bytes: &[u8]) {
        let mut layout = Layout {
            pretty: self.pretty,
            depth: self.depth,
            separate: false,
        };
        let mut serializer = Serializer::with_formatter(&mut *self.out, InLayout(&mut layout));
        // a string into memory
        drop(JsonText(bytes).serialize(&mut serializer));
    }
}

const ONES: u64 = 0x0101_0101_0101_0101;
const TOPS: u64 = ONES << 7;
const BLANKS: u64 = ONES * 0x20;

/// Marks the bytes of a word that need a second look: all but printable ASCII without quotes
/// and backslashes. 0 when there is none; bytes above the lowest may be marked wrongly.
#[inline]
fn odd(word: u64) -> u64 {
    let is = |byte: u8| {
        let zero = word ^ (ONES * u64::from(byte));
        zero.wrapping_sub(ONES) & !zero
    };
    let control = word.wrapping_sub(BLANKS);
    let above = word | word.wrapping_add(ONES);
    (control | above | is(b'"') | is(b'\\')) & TOPS
}

/// Up to seven bytes as a word, with as few loads as there can be.
#[inline]
fn short(bytes: &[u8]) -> u64 {
    let word = |bytes: &[u8; 4]| u64::from(u32::from_le_bytes(*bytes));
    if let (Some(first), Some(last)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        return word(first) | (word(last) << ((bytes.len() - 4) * 8));
    }
    let byte = |at: usize| bytes.get(at).map_or(0, |byte| u64::from(*byte) << (at * 8));
    byte(0) | byte(1) | byte(2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::sink::Sink;

    fn part(write: impl FnOnce(&mut Part<'_>)) -> String {
        let mut out = Vec::new();
        write(&mut Part::new(&mut out, false, 0));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_have_their_digits() {
        let mut sample: Vec<u32> = (0..10)
            .flat_map(|n| {
                let power = 10_u32.pow(n);
                [
                    power - 1,
                    power,
                    power + 1,
                    power.wrapping_mul(9),
                    power.wrapping_mul(7) / 3,
                ]
            })
            .collect();
        sample.extend((0..1000).map(|n| n * 99_991));
        sample.push(u32::MAX);
        for number in sample {
            assert_eq!(part(|part| part.uint(number)), number.to_string());
        }
        for number in [i128::from(i64::MIN), -1, 0, 1 << 32, i128::from(u64::MAX)] {
            assert_eq!(part(|part| part.wide(number)), number.to_string());
        }
    }

    #[test]
    fn strings_are_those_of_serde() {
        let name = b"task_struct_and_more";
        for byte in 0..=u8::MAX {
            for at in [0, 7, 8, 15, 16, 19] {
                let mut name = *name;
                name[at] = byte;
                let mut expected = Vec::new();
                {
                    let mut json = Json::new(Sink::new(&mut expected), false);
                    json.value(&JsonText(&name)).unwrap();
                    json.sink().flush().unwrap();
                }
                let mut out = Vec::new();
                Part::new(&mut out, false, 0).string(&name);
                assert_eq!(out, expected, "{byte:#x} at {at}");
            }
        }
        assert_eq!(part(|part| part.string(b"")), "\"\"");
        assert_eq!(part(|part| part.string(b"abc")), "\"abc\"");
    }

    #[test]
    fn parts_are_laid_out_as_the_document() {
        #[derive(Serialize)]
        struct Type {
            id: u32,
            kind: &'static str,
            members: Vec<Member>,
        }
        #[derive(Serialize)]
        struct Member {
            name: &'static str,
            bits: i32,
        }
        let types = |n: u32| Type {
            id: n,
            kind: "A:B",
            members: (0..n)
                .map(|_| Member {
                    name: "{x,",
                    bits: -1,
                })
                .collect(),
        };
        for pretty in [false, true] {
            let mut whole = Vec::new();
            {
                let mut json = Json::new(Sink::new(&mut whole), pretty);
                json.begin_object().unwrap();
                json.field("types", &[types(0), types(1), types(2)])
                    .unwrap();
                json.end_object().unwrap();
                json.sink().flush().unwrap();
            }
            let mut joined = Vec::new();
            {
                let mut json = Json::new(Sink::new(&mut joined), pretty);
                json.begin_object().unwrap();
                json.key("types").unwrap();
                json.begin_array().unwrap();
                for range in [0..0, 0..2, 2..2, 2..3] {
                    let mut out = Vec::new();
                    let mut part = json.part(&mut out);
                    for n in range {
                        part.piece(",{\"id\":");
                        part.uint(n);
                        part.piece(",\"kind\":");
                        part.string(b"A:B");
                        part.piece(",\"members\":[");
                        for _ in 0..n {
                            part.piece("{\"name\":");
                            part.string(b"{x,");
                            part.piece(",\"bits\":");
                            part.wide(-1);
                            part.piece("},");
                        }
                        part.close_array();
                        part.piece("}");
                    }
                    json.append(&out).unwrap();
                }
                json.end_array().unwrap();
                json.end_object().unwrap();
                json.sink().flush().unwrap();
            }
            assert_eq!(
                String::from_utf8(joined).unwrap(),
                String::from_utf8(whole).unwrap()
            );
        }
    }
}
