//! The grammar of the command line, read from the usage texts.
//!
//! A usage text is the one place where the words of a noun are written down: `help` prints it,
//! the manual shows it, and what is read from it here completes words in a shell and finds the
//! keyword that a typing error was meant to be. Commands read their words themselves; the tests
//! hold the two together.
//!
//! In a usage, words in capitals stand for something else (a rule of the same text, or what the
//! user types), `{ a | b }` is a choice, `[a]` may be left out, `a...` may be repeated, and
//! parts that may be left out come in any order.

mod fit;
mod read;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

use crate::nouns::help;
use crate::words::is_prefix;
use crate::{FIRST_WORDS, First};

pub use fit::{Expected, Fit};

/// The words of one noun.
#[derive(Debug, Default)]
pub struct Grammar {
    /// Each line that begins with `rbpftool`, without that word.
    synopses: Vec<Part>,
    /// What the words in capitals stand for.
    rules: BTreeMap<String, Part>,
}

/// A part of a line.
#[derive(Debug, PartialEq, Eq)]
enum Part {
    /// A word that is typed as it is, or shortened.
    Keyword(String),
    /// A word in capitals.
    Name(String),
    /// Words that the usage does not list: `...` or `cgroup_...`.
    Open,
    /// One after the other.
    Row(Vec<Self>),
    /// One of these.
    Choice(Vec<Self>),
    /// Any of these, each at most once, in any order.
    Options(Vec<Self>),
    /// Once or more.
    Many(Box<Self>),
}

impl Part {
    /// Whether a keyword in it may be shortened to this.
    fn has_keyword(&self, word: &OsStr) -> bool {
        match self {
            Self::Keyword(keyword) => is_prefix(word, keyword),
            Self::Name(_) | Self::Open => false,
            Self::Row(parts) | Self::Choice(parts) | Self::Options(parts) => {
                parts.iter().any(|part| part.has_keyword(word))
            }
            Self::Many(part) => part.has_keyword(word),
        }
    }
}

impl Grammar {
    /// Reads a usage.
    #[must_use]
    pub fn of(usage: &str) -> Self {
        read::usage(usage)
    }

    /// The grammar of lines that begin with this word.
    #[must_use]
    pub fn of_first(word: &OsStr) -> Option<Self> {
        let mut all = FIRST_WORDS.iter();
        let (_, first) = all.find(|(name, _)| is_prefix(word, name))?;
        Some(Self::of(match first {
            First::Noun(noun) => noun.usage,
            First::Run(_) => help::TOP,
        }))
    }
}

/// The keyword that was meant where words leave the grammar, if one is near.
#[must_use]
pub fn meant(words: &[OsString]) -> Option<String> {
    let first = words.first()?;
    let Some(grammar) = Grammar::of_first(first) else {
        return nearest(first, FIRST_WORDS.iter().map(|(name, _)| *name));
    };
    let fit = grammar.fit(words);
    let wrong = words.get(fit.words)?;
    // no slip of the fingers, but a word at a place that the usage does not tell of
    let parts = grammar.synopses.iter().chain(grammar.rules.values());
    if parts.into_iter().any(|part| part.has_keyword(wrong)) {
        return None;
    }
    let keywords = fit.expected.iter().filter_map(|expected| match expected {
        Expected::Keyword(keyword) => Some(*keyword),
        Expected::Name { .. } => None,
    });
    nearest(wrong, keywords)
}

/// The one of these that a word is a misspelling of.
pub(crate) fn nearest<'k>(word: &OsStr, keywords: impl Iterator<Item = &'k str>) -> Option<String> {
    let word = word.to_str()?;
    let near = keywords.filter_map(|keyword| {
        let distance = strsim::osa_distance(word, keyword);
        // one letter in three may be wrong
        (distance <= keyword.len().div_ceil(3).min(word.len() / 2)).then_some((distance, keyword))
    });
    near.min().map(|(_, keyword)| keyword.to_owned())
}
