//! How far words fit a grammar, and what may come behind them.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};

use super::{Grammar, Part};
use crate::words::{is_prefix, parse_number};

/// What may come at some place of a line.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Expected<'g> {
    /// This word.
    Keyword(&'g str),
    /// Something that the user names.
    Name {
        /// What the usage calls it, as in `FILE`.
        name: &'g str,
        /// The rule that it is in, as in `PROG`, or nothing.
        rule: &'g str,
        /// The keyword before it, as in `pinned`, or nothing.
        after: &'g str,
    },
}

/// The answer.
#[derive(Debug)]
pub struct Fit<'g> {
    /// How many of the words fit.
    pub words: usize,
    /// What may come behind these.
    pub expected: BTreeSet<Expected<'g>>,
    /// Whether the words are a whole command.
    pub complete: bool,
}

impl Grammar {
    /// Compares words with the grammar.
    #[must_use]
    pub fn fit<'g>(&'g self, words: &[OsString]) -> Fit<'g> {
        let mut matcher = Matcher {
            grammar: self,
            words,
            furthest: 0,
            expected: BTreeSet::new(),
        };
        let mut complete = false;
        for synopsis in &self.synopses {
            let place = Place {
                at: 0,
                after: "",
                rule: "",
            };
            for (end, _) in matcher.ends(synopsis, place) {
                // nothing is expected behind a whole command
                matcher.expect(end, None);
                complete |= end == words.len();
            }
        }
        Fit {
            words: matcher.furthest,
            expected: matcher.expected,
            complete,
        }
    }
}

/// Where a part begins.
#[derive(Debug, Clone, Copy)]
struct Place<'g> {
    /// How many words are before it.
    at: usize,
    /// The last keyword before it.
    after: &'g str,
    /// The rule that it is in.
    rule: &'g str,
}

/// Where a part may end: how many words are before that, and the last keyword.
type Ends<'g> = BTreeSet<(usize, &'g str)>;

struct Matcher<'g, 'w> {
    grammar: &'g Grammar,
    words: &'w [OsString],
    /// The last place where something was expected, and what.
    furthest: usize,
    expected: BTreeSet<Expected<'g>>,
}

impl<'g> Matcher<'g, '_> {
    /// The word at a place where something is expected.
    fn expect(&mut self, at: usize, what: Option<Expected<'g>>) -> Option<&OsStr> {
        if at > self.furthest {
            self.furthest = at;
            self.expected.clear();
        }
        if at == self.furthest {
            self.expected.extend(what);
        }
        self.words.get(at).map(OsString::as_os_str)
    }

    fn ends(&mut self, part: &'g Part, place: Place<'g>) -> Ends<'g> {
        let Place { at, after, rule } = place;
        match part {
            Part::Keyword(keyword) => {
                let word = self.expect(at, Some(Expected::Keyword(keyword)));
                let fits = word.is_some_and(|word| !word.is_empty() && is_prefix(word, keyword));
                one(fits, at + 1, keyword)
            }
            Part::Open => {
                let name = (!rule.is_empty()).then_some(Expected::Name {
                    name: rule,
                    rule,
                    after,
                });
                let fits = self.expect(at, name).is_some();
                one(fits, at + 1, after)
            }
            Part::Name(name) => self.name(name, place),
            Part::Row(parts) => {
                let mut places = Ends::from([(at, after)]);
                for part in parts {
                    let mut next = Ends::new();
                    for (at, after) in places {
                        next.extend(self.ends(part, Place { at, after, rule }));
                    }
                    places = next;
                }
                places
            }
            Part::Choice(parts) => {
                let all = parts.iter().flat_map(|part| self.ends(part, place));
                all.collect()
            }
            Part::Many(part) => self.repeated(part, place),
            Part::Options(parts) => self.options(parts, place),
        }
    }

    /// A word in capitals: a rule, or one word of the user's.
    fn name(&mut self, name: &'g str, place: Place<'g>) -> Ends<'g> {
        let grammar = self.grammar;
        if let Some(part) = grammar.rules.get(name) {
            return self.ends(
                part,
                Place {
                    rule: name,
                    ..place
                },
            );
        }
        if name == "BYTES" {
            return self.bytes(place);
        }
        let Place { at, after, rule } = place;
        let expected = Expected::Name { name, rule, after };
        let fits = self.expect(at, Some(expected)).is_some();
        one(fits, at + 1, after)
    }

    /// As many numbers as there are: how many a map needs is not in the words.
    fn bytes(&mut self, place: Place<'g>) -> Ends<'g> {
        let Place { at, after, rule } = place;
        let mut ends = Ends::new();
        for at in at.. {
            let name = "BYTES";
            let expected = Expected::Name { name, rule, after };
            let word = self.expect(at, Some(expected));
            // with `hex` before them, they may be digits only
            if word.is_none_or(|word| parse_number(word, 16).is_none()) {
                break;
            }
            ends.insert((at + 1, after));
        }
        ends
    }

    fn repeated(&mut self, part: &'g Part, place: Place<'g>) -> Ends<'g> {
        let mut ends = Ends::new();
        let mut todo = vec![(place.at, place.after)];
        while let Some((at, after)) = todo.pop() {
            for end in self.ends(part, Place { at, after, ..place }) {
                if end.0 > at && ends.insert(end) {
                    todo.push(end);
                }
            }
        }
        ends
    }

    fn options(&mut self, parts: &'g [Part], place: Place<'g>) -> Ends<'g> {
        let start = (place.at, place.after, 0_u64);
        let mut seen = BTreeSet::from([start]);
        let mut todo = vec![start];
        while let Some((at, after, used)) = todo.pop() {
            for (index, part) in parts.iter().enumerate() {
                let bit = 1_u64 << (index % 64);
                if used & bit != 0 {
                    continue;
                }
                for (end, after) in self.ends(part, Place { at, after, ..place }) {
                    let next = (end, after, used | bit);
                    if end > at && seen.insert(next) {
                        todo.push(next);
                    }
                }
            }
        }
        seen.into_iter().map(|(at, after, _)| (at, after)).collect()
    }
}

fn one(fits: bool, at: usize, after: &str) -> Ends<'_> {
    fits.then_some((at, after)).into_iter().collect()
}
