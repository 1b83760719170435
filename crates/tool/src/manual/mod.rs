//! The manual: prose of its own beside what is taken from the definitions of the parser.
//!
//! Each topic is a file of prose. Its synopsis is the usage of the noun, its options are those
//! of the command line that the usage names. `help TOPIC` shows a page, `roff` makes a page
//! for man(1), and the first sentences of the sections are what shells show beside words.

mod plain;
mod read;
mod roff;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::io::{self, Write};

use serde::ser::SerializeStruct as _;
use serde::{Serialize, Serializer};

use crate::cli::{self, Known};
use crate::nouns::help;
use crate::render::View;
use crate::{FIRST_WORDS, First};

/// The word that asks for pages in the form of man(1). Nobody types it.
pub const ASK: &str = "__man";

/// When the prose was last looked through: man(1) shows it.
const DATE: &str = "2026-11-27";

macro_rules! pages {
    ($($topic:literal),* $(,)?) => {
        &[$(include_str!(concat!("pages/", $topic, ".txt"))),*]
    };
}

/// The prose of every topic; the first is the tool itself.
const PAGES: &[&str] = pages![
    "rbpftool",
    "prog",
    "map",
    "link",
    "cgroup",
    "perf",
    "net",
    "feature",
    "btf",
    "gen",
    "struct_ops",
    "iter",
    "token",
    "batch",
    "plan",
    "demo",
    "doctor",
    "completion",
];

/// A page of the manual.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// What it is about: a first word of the command line, or the tool.
    pub topic: &'static str,
    /// The same in a few words.
    pub about: &'static str,
    text: &'static str,
}

/// A part of a page with a heading; the first has none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Section {
    /// The commands that it describes, or what else it is about.
    pub title: String,
    /// What it says.
    pub blocks: Vec<Block>,
}

/// A paragraph. Backquotes are around words that are meant literally.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Block {
    /// Running text.
    Paragraph(String),
    /// One point of a list.
    Item(String),
    /// Lines for a shell.
    Example(Vec<String>),
}

/// Every page.
pub fn pages() -> impl Iterator<Item = Page> {
    PAGES.iter().filter_map(|text| read::page(text))
}

/// Answers packaging: the names of all pages, or the page of a name. Whether it could.
#[must_use]
pub fn answer(words: &[OsString], out: &mut Vec<u8>) -> bool {
    let file = |page: &Page| format!("{}.{}", page.name(), roff::SECTION);
    match words {
        [] => {
            for page in pages() {
                out.extend(file(&page).bytes());
                out.push(b'\n');
            }
            true
        }
        [name] => match pages().find(|page| *name == *file(page)) {
            Some(page) => {
                out.extend(page.roff().bytes());
                true
            }
            None => false,
        },
        _ => false,
    }
}

/// The page about a topic, which may be shortened like every word.
#[must_use]
pub fn page(topic: &str) -> Option<Page> {
    let first = |page: &Page| page.topic == topic;
    let shortened = |page: &Page| page.topic.starts_with(topic);
    pages().find(first).or_else(|| pages().find(shortened))
}

/// What pages are about.
pub fn topics() -> impl Iterator<Item = &'static str> {
    pages().map(|page| page.topic)
}

/// A noun (`prog`) or a command (`prog show`) in a few words.
#[must_use]
pub fn about(what: &str) -> Option<String> {
    let (noun, command) = match what.split_once(' ') {
        Some((noun, command)) => (noun, Some(command)),
        None => (what, None),
    };
    let page = pages().find(|page| page.topic == noun)?;
    let Some(command) = command else {
        return Some(page.about.to_owned());
    };
    let section = page.section(command)?;
    let Some(Block::Paragraph(text)) = section.blocks.first() else {
        return None;
    };
    let first = text
        .split_once(". ")
        .map_or(text.as_str(), |(first, _)| first);
    Some(first.trim_end_matches('.').replace('`', ""))
}

impl Page {
    /// The name of the page for man(1), without the number of its section.
    #[must_use]
    pub fn name(&self) -> String {
        match self.topic {
            "rbpftool" => self.topic.to_owned(),
            topic => format!("rbpftool-{topic}"),
        }
    }

    /// Its parts, in order.
    #[must_use]
    pub fn sections(&self) -> Vec<Section> {
        read::sections(self.text)
    }

    /// The part about a command, which may be shortened.
    #[must_use]
    pub fn section(&self, command: &str) -> Option<Section> {
        let sections = self.sections();
        let named = |fits: fn(&str, &str) -> bool| {
            let mut all = sections.iter().filter(|section| !section.title.is_empty());
            all.find(|section| section.title.split(", ").any(|own| fits(own, command)))
        };
        let found =
            named(|own, word| own == word).or_else(|| named(|own, word| own.starts_with(word)));
        found.cloned()
    }

    /// The usage of what it is about.
    #[must_use]
    pub fn synopsis(&self) -> String {
        let mut first = FIRST_WORDS.iter();
        let noun = first.find_map(|(name, first)| match first {
            First::Noun(noun) if *name == self.topic => Some(noun.usage),
            _ => None,
        });
        match (noun, self.topic) {
            (Some(usage), _) => read::without_label(usage),
            (None, "rbpftool") => read::without_label(help::TOP),
            (None, "doctor") => read::without_label(crate::nouns::doctor::NOUN.usage),
            (None, topic) => read::lines_of(help::TOP, topic),
        }
    }

    /// Whether its sections are commands of a noun.
    #[must_use]
    pub fn has_commands(&self) -> bool {
        let mut all = FIRST_WORDS.iter();
        all.any(|(name, first)| *name == self.topic && matches!(first, First::Noun(_)))
    }

    /// The options that its synopsis names; for the tool itself, all.
    pub fn options(&self) -> impl Iterator<Item = &'static Known> {
        let synopsis = self.synopsis();
        let topic = self.topic;
        cli::OPTIONS.iter().filter(move |known| {
            let long = known.long.map(|long| format!("--{long}"));
            let is_named = |shown: String| {
                let mut words = synopsis.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
                words.any(|word| word == shown)
            };
            topic == "rbpftool"
                || long.is_some_and(is_named)
                || known
                    .short()
                    .is_some_and(|short| is_named(format!("-{short}")))
        })
    }

    /// The page as text, for a screen.
    #[must_use]
    pub fn plain(&self) -> String {
        plain::page(self)
    }

    /// The page for man(1).
    #[must_use]
    pub fn roff(&self) -> String {
        roff::page(self)
    }
}

impl View for Page {
    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(self.plain().as_bytes())
    }
}

impl Serialize for Page {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut page = serializer.serialize_struct("Page", 4)?;
        page.serialize_field("topic", self.topic)?;
        page.serialize_field("about", self.about)?;
        page.serialize_field("synopsis", &self.synopsis())?;
        page.serialize_field("sections", &self.sections())?;
        page.end()
    }
}

impl View for Section {
    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(plain::section(self).as_bytes())
    }
}
