//! What a shell may offer for the word at the cursor.
//!
//! The scripts of the shells (`completion bash|zsh|fish`) know nothing of the grammar: they ask
//! `rbpftool __complete WORD…`, the word at the cursor last, and show what comes back, one
//! candidate a line, with a tab before what it is. The last line says whether names of files
//! or directories may stand there too.

mod live;
mod script;
#[cfg(test)]
mod tests;

use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;

use crate::FIRST_WORDS;
use crate::cli;
use crate::grammar::{Expected, Grammar};
use crate::kernel::Kernel;
use crate::manual;
use crate::render::escape::Escaped;
use crate::words::is_prefix;

pub use script::SCRIPTS;

/// The word that asks for candidates. Nobody types it.
pub const ASK: &str = "__complete";

/// A word that may stand at the cursor.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    word: Vec<u8>,
    about: Vec<u8>,
}

impl Candidate {
    fn new(word: impl Into<Vec<u8>>, about: impl Into<Vec<u8>>) -> Self {
        Self {
            word: word.into(),
            about: about.into(),
        }
    }
}

/// What may stand there besides the candidates.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Names {
    #[default]
    None,
    Directories,
    Files,
}

/// Everything that may stand at the cursor.
#[derive(Debug, Default)]
struct Offer {
    candidates: Vec<Candidate>,
    names: Names,
    /// What may stand there where no candidate begins like the word at the cursor.
    otherwise: Names,
}

impl Offer {
    fn words<'a>(&mut self, words: impl IntoIterator<Item = &'a str>) {
        let words = words.into_iter().map(|word| Candidate::new(word, ""));
        self.candidates.extend(words);
    }

    fn names(&mut self, names: Names) {
        self.names = self.names.max(names);
    }
}

/// Answers a script: `words` are those of the line, without the program, up to the cursor.
pub fn answer(kernel: &Kernel, words: &[OsString], out: &mut dyn Write) -> io::Result<()> {
    let Some((current, before)) = words.split_last() else {
        return Ok(());
    };
    let mut offer = offer(kernel, before, current);
    let fits = |candidate: &Candidate| candidate.word.starts_with(current.as_bytes());
    offer.candidates.retain(fits);
    if offer.candidates.is_empty() {
        offer.names(offer.otherwise);
    }
    offer.candidates.sort();
    offer.candidates.dedup_by(|a, b| a.word == b.word);
    for Candidate { word, about } in &offer.candidates {
        // a name with a control character would end the line, or do worse to a terminal
        if word.is_empty() || word.iter().any(u8::is_ascii_control) {
            continue;
        }
        out.write_all(word)?;
        if !about.is_empty() {
            write!(out, "\t{}", Escaped(about))?;
        }
        out.write_all(b"\n")?;
    }
    out.write_all(match offer.names {
        Names::None => b":none\n",
        Names::Directories => b":directories\n",
        Names::Files => b":files\n",
    })
}

fn offer(kernel: &Kernel, before: &[OsString], current: &OsStr) -> Offer {
    let mut offer = Offer::default();
    let words = match without_options(before) {
        Line::Words(words) => words,
        Line::Argument("LANGUAGE") => {
            offer.words(["c", "rust"]);
            return offer;
        }
        Line::Argument("FORMAT") => {
            offer.words(["table", "text", "json", "pretty", "jsonl"]);
            return offer;
        }
        Line::Argument("WHEN") => {
            offer.words(["auto", "always", "never"]);
            return offer;
        }
        Line::Argument(_) => {
            offer.names(Names::Files);
            return offer;
        }
    };
    if current.as_bytes().first() == Some(&b'-') {
        options(&mut offer);
        return offer;
    }
    let Some(first) = words.first() else {
        let first_words = FIRST_WORDS.iter();
        offer.candidates = first_words
            .map(|(name, _)| Candidate::new(*name, manual::about(name).unwrap_or_default()))
            .collect();
        return offer;
    };
    let Some(grammar) = Grammar::of_first(first) else {
        return offer;
    };
    let fit = grammar.fit(&words);
    if fit.words < words.len() {
        return offer;
    }
    let mut nouns = FIRST_WORDS.iter().map(|(name, _)| *name);
    let noun = nouns
        .find(|name| is_prefix(first, name))
        .unwrap_or_default();
    for expected in fit.expected {
        match expected {
            Expected::Keyword(keyword) => {
                let about = match words.len() {
                    1 => manual::about(&format!("{noun} {keyword}")),
                    _ => None,
                };
                let about = about.unwrap_or_default();
                offer.candidates.push(Candidate::new(keyword, about));
            }
            Expected::Name { name, rule, after } => {
                live::fill(
                    &mut offer,
                    kernel,
                    live::Wanted {
                        noun,
                        name,
                        rule,
                        after,
                    },
                );
            }
        }
    }
    offer
}

fn options(offer: &mut Offer) {
    for known in &cli::OPTIONS {
        let short = known.short().map(|short| format!("-{short}"));
        let long = known.long.map(|long| format!("--{long}"));
        for word in [short, long].into_iter().flatten() {
            offer.candidates.push(Candidate::new(word, known.about));
        }
    }
}

/// The words before the cursor.
enum Line {
    Words(Vec<OsString>),
    /// The cursor is at the argument of an option.
    Argument(&'static str),
}

/// Takes the options out, as the command line does.
fn without_options(before: &[OsString]) -> Line {
    let mut words = Vec::new();
    let mut rest = before.iter();
    while let Some(word) = rest.next() {
        let text = word.to_string_lossy();
        if text == "--" {
            words.extend(rest.cloned());
            break;
        }
        if !text.starts_with('-') || cli::is_negative(word) || text == "-" {
            words.push(word.clone());
            continue;
        }
        // an argument may be joined, and then it is not the next word
        let argument = cli::OPTIONS.iter().find_map(|known| {
            let joined = match text.strip_prefix("--") {
                Some(long) => known.long == Some(long),
                None => known.short().is_some_and(|short| text.ends_with(short)),
            };
            known.argument.filter(|_| joined)
        });
        if let Some(argument) = argument
            && rest.next().is_none()
        {
            return Line::Argument(argument);
        }
    }
    Line::Words(words)
}
