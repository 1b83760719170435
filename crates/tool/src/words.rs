//! The words of a command line after the options are taken out, read one by one.
//!
//! bpftool's grammar is keywords in a row (`map update id 4 key hex 01 02 value 1 2 noexist`),
//! each of which may be shortened to any prefix; the first entry of a table that fits wins.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::failure::{Failure, Result};
use crate::render::escape::Escaped;

/// Whether `word` is a shortened form of `keyword`. Like bpftool's, an empty word fits anything.
#[must_use]
pub fn is_prefix(word: &OsStr, keyword: &str) -> bool {
    keyword.as_bytes().starts_with(word.as_bytes())
}

/// A cursor over words.
#[derive(Debug, Clone, Copy)]
pub struct Words<'a> {
    rest: &'a [OsString],
    keyword: &'static str,
    end: Option<&'static str>,
}

impl<'a> Words<'a> {
    /// A cursor at the first of `words`.
    #[must_use]
    pub fn new(words: &'a [OsString]) -> Self {
        Self {
            rest: words,
            keyword: "",
            end: None,
        }
    }

    /// The same words, whose options end before the word `end`, unshortened.
    #[must_use]
    pub fn with_end(mut self, end: &'static str) -> Self {
        self.end = Some(end);
        self
    }

    /// The next word, without taking it, where there are options: all that is left, or what is
    /// before the end.
    #[must_use]
    pub fn option(&self) -> Option<&'a OsStr> {
        self.peek()
            .filter(|word| self.end.is_none_or(|end| *word != end))
    }

    /// How many words are left.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rest.len()
    }

    /// Whether no word is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next word, without taking it.
    #[must_use]
    pub fn peek(&self) -> Option<&'a OsStr> {
        self.rest.first().map(OsString::as_os_str)
    }

    /// Whether the next word is a prefix of `keyword`; does not take it.
    #[must_use]
    pub fn next_is(&self, keyword: &str) -> bool {
        self.peek().is_some_and(|word| is_prefix(word, keyword))
    }

    /// Takes the next word when it is a prefix of `keyword`.
    pub fn accept(&mut self, keyword: &'static str) -> bool {
        let fits = self.next_is(keyword);
        if fits {
            self.keyword = keyword;
            self.skip();
        }
        fits
    }

    /// Takes the next word; `what` names it when there is none.
    pub fn take(&mut self, what: &str) -> Result<&'a OsStr> {
        let word = self
            .peek()
            .ok_or_else(|| Failure::new(format_args!("expected {what}, got nothing")))?;
        self.skip();
        Ok(word)
    }

    /// Takes a word that is a path.
    pub fn take_path(&mut self, what: &str) -> Result<&'a Path> {
        self.take(what).map(Path::new)
    }

    /// Takes a word that must be a number of 32 bits (`10`, `0x1f`, `017`).
    pub fn take_u32(&mut self, what: &str) -> Result<u32> {
        let word = self.take(what)?;
        parse_number(word, 0)
            .and_then(|number| u32::try_from(number).ok())
            .ok_or_else(|| Failure::new(format_args!("can't parse {} as {what}", shown(word))))
    }

    /// Fails unless at least `count` words are left; names the last keyword, which may have been
    /// shortened.
    pub fn require(&self, count: usize) -> Result<()> {
        if self.len() >= count {
            return Ok(());
        }
        Err(Failure::usage(format_args!(
            "'{}' needs at least {count} argument{}, {} found",
            self.keyword,
            if count == 1 { "" } else { "s" },
            self.len()
        )))
    }

    /// Fails when a word is left over.
    pub fn end(&self) -> Result<()> {
        match self.peek() {
            None => Ok(()),
            Some(word) => Err(Failure::new(format_args!("what is '{}'?", shown(word)))),
        }
    }

    fn skip(&mut self) {
        self.rest = self.rest.split_first().map_or(&[], |(_, rest)| rest);
    }
}

/// A word as it may be printed in a message.
#[must_use]
pub fn shown(word: &OsStr) -> Escaped<'_> {
    Escaped(word.as_bytes())
}

/// A number as C's `strtoul` reads it: base 0 takes `0x…` as hexadecimal and `0…` as octal.
/// Unlike `strtoul`, signs, blanks, an empty word and overflow are refused.
#[must_use]
pub fn parse_number(word: &OsStr, base: u32) -> Option<u64> {
    let text = word.to_str()?;
    let hex = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    let (digits, base) = match (base, hex) {
        (0 | 16, Some(digits)) => (digits, 16),
        (0, None) if text.len() > 1 && text.starts_with('0') => (text, 8),
        (0, None) => (text, 10),
        (base, _) => (text, base),
    };
    if digits.starts_with('+') {
        return None;
    }
    u64::from_str_radix(digits, base).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str, base: u32) -> Option<u64> {
        parse_number(OsStr::new(text), base)
    }

    #[test]
    fn numbers_are_read_as_strtoul_reads_them() {
        assert_eq!(number("10", 0), Some(10));
        assert_eq!(number("0x1f", 0), Some(31));
        assert_eq!(number("017", 0), Some(15));
        assert_eq!(number("0", 0), Some(0));
        assert_eq!(number("ff", 16), Some(255));
        assert_eq!(number("0xff", 16), Some(255));
        for bad in [
            "",
            "-1",
            "+1",
            "08",
            "1x",
            "0x",
            " 1",
            "18446744073709551616",
        ] {
            assert_eq!(number(bad, 0), None, "{bad:?}");
        }
    }

    #[test]
    fn a_prefix_is_enough_and_an_empty_word_fits() {
        assert!(is_prefix(OsStr::new("pi"), "pinned"));
        assert!(is_prefix(OsStr::new(""), "pinned"));
        assert!(!is_prefix(OsStr::new("pinnedx"), "pinned"));
    }

    #[test]
    fn the_keyword_that_needs_more_is_named() {
        let words = ["p", "x"].map(OsString::from);
        let mut words = Words::new(&words);
        assert!(words.accept("pin"));
        words.require(1).unwrap();
        assert_eq!(
            words.require(3).unwrap_err().message().unwrap(),
            "'pin' needs at least 3 arguments, 1 found"
        );
    }

    #[test]
    fn options_end_before_a_word() {
        let words = ["prepend", "pro", "prog"].map(OsString::from);
        let mut words = Words::new(&words).with_end("prog");
        assert!(words.accept("prepend"));
        assert_eq!(words.option(), Some(OsStr::new("pro")));
        assert!(words.accept("prog"));
        assert_eq!(words.option(), None);
        assert!(words.accept("prog") && words.option().is_none());
    }

    #[test]
    fn leftover_words_are_named() {
        let words = [OsString::from("a\x1b")];
        let failure = Words::new(&words).end().unwrap_err();
        assert_eq!(failure.message().unwrap(), r"what is 'a\x1b'?");
    }
}
