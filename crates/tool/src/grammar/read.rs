//! Usage text to grammar.

use super::{Grammar, Part};

/// What a usage line calls the program.
const PROGRAM: &str = "rbpftool";

/// Reads a usage: the lines that begin with the name of the program, and the rules.
///
/// The options are no words, and paragraphs of prose are for people.
pub(super) fn usage(text: &str) -> Grammar {
    let mut grammar = Grammar::default();
    for statement in statements(text) {
        let mut words = statement.split_whitespace();
        let first = words.next().unwrap_or_default();
        if first == PROGRAM {
            let tokens = tokens(words);
            if tokens.first() != Some(&Token::Open(Bracket::Optional)) {
                grammar.synopses.push(Reader::new(&tokens).choice());
            }
        } else if words.next() == Some(":=") && first != "OPTIONS" {
            let tokens = tokens(words);
            let rule = Reader::new(&tokens).choice();
            grammar.rules.insert(first.to_owned(), rule);
        }
    }
    grammar
}

/// The statements of a usage, each on one line: a line that starts one is less indented than
/// those that carry it on.
fn statements(text: &str) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    let mut open = false;
    for line in text.lines() {
        let line = line.trim().trim_end_matches('\\').trim_end();
        let line = line.strip_prefix("Usage: ").unwrap_or(line);
        let mut words = line.split_whitespace();
        let starts = words.next() == Some(PROGRAM) || words.next() == Some(":=");
        if starts {
            all.push(line.to_owned());
        } else if let Some(last) = all.last_mut().filter(|_| open && !line.is_empty()) {
            last.push(' ');
            last.push_str(line);
        }
        open = !line.is_empty() && (starts || open);
    }
    all
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bracket {
    Choice,
    Optional,
}

#[derive(Debug, PartialEq, Eq)]
enum Token<'t> {
    Open(Bracket),
    Close(Bracket),
    Bar,
    Again,
    Word(&'t str),
}

fn tokens<'t>(words: impl Iterator<Item = &'t str>) -> Vec<Token<'t>> {
    let mut tokens = Vec::new();
    for word in words {
        split(word, &mut tokens);
    }
    tokens
}

/// Splits the brackets off a word, unless they belong into it as in `FUNC[+OFFSET]`.
fn split<'t>(word: &'t str, tokens: &mut Vec<Token<'t>>) {
    let mut word = word;
    while let Some((bracket, rest)) = opening(word) {
        tokens.push(Token::Open(bracket));
        word = rest;
    }
    let mut behind = Vec::new();
    while let Some((token, rest)) = closing(word) {
        behind.push(token);
        word = rest;
    }
    match word {
        "" => {}
        "|" => tokens.push(Token::Bar),
        word => tokens.push(Token::Word(word)),
    }
    tokens.extend(behind.into_iter().rev());
}

/// A bracket that opens before the word and is not closed within it.
fn opening(word: &str) -> Option<(Bracket, &str)> {
    let (bracket, close) = match word.as_bytes().first()? {
        b'{' => (Bracket::Choice, '}'),
        b'[' => (Bracket::Optional, ']'),
        _ => return None,
    };
    let rest = word.get(1..)?;
    // `[MODULE:]PATTERN` is one word; `[inherit]` is a word in brackets
    match rest.find(close) {
        Some(at) if rest.get(at + 1..).is_some_and(is_name) => None,
        _ => Some((bracket, rest)),
    }
}

fn is_name(rest: &str) -> bool {
    rest.starts_with(|first: char| first.is_ascii_alphanumeric())
}

/// What closes or repeats behind the word.
fn closing(word: &str) -> Option<(Token<'_>, &str)> {
    if let Some(rest) = word.strip_suffix("...")
        && !rest.is_empty()
        && !rest.ends_with(['_', '['])
        && !is_open(rest)
    {
        return Some((Token::Again, rest));
    }
    let (bracket, rest) = if let Some(rest) = word.strip_suffix('}') {
        (Bracket::Choice, rest)
    } else {
        (Bracket::Optional, word.strip_suffix(']')?)
    };
    (!is_open(rest)).then_some((Token::Close(bracket), rest))
}

/// Whether a bracket within the word is still open at its end.
fn is_open(word: &str) -> bool {
    word.matches(['[', '{']).count() > word.matches([']', '}']).count()
}

struct Reader<'t> {
    rest: &'t [Token<'t>],
}

impl<'t> Reader<'t> {
    fn new(tokens: &'t [Token<'t>]) -> Self {
        Self { rest: tokens }
    }

    fn next_if(&mut self, wanted: &Token<'_>) -> bool {
        match self.rest.split_first() {
            Some((first, rest)) if first == wanted => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    /// `a b | c`, up to what closes it.
    fn choice(&mut self) -> Part {
        let mut all = vec![self.row()];
        while self.next_if(&Token::Bar) {
            all.push(self.row());
        }
        one_or(all, Part::Choice)
    }

    fn row(&mut self) -> Part {
        let mut row = Vec::new();
        // those that may be left out stand together
        let mut options = Vec::new();
        while let Some((first, rest)) = self.rest.split_first() {
            let (part, optional) = match first {
                Token::Bar | Token::Close(_) => break,
                Token::Again => {
                    self.rest = rest;
                    continue;
                }
                Token::Word(word) => {
                    self.rest = rest;
                    (part(word), false)
                }
                Token::Open(bracket) => {
                    self.rest = rest;
                    let inner = self.choice();
                    self.next_if(&Token::Close(*bracket));
                    (inner, *bracket == Bracket::Optional)
                }
            };
            let part = if self.next_if(&Token::Again) {
                Part::Many(Box::new(part))
            } else {
                part
            };
            if optional {
                options.push(part);
            } else {
                flush(&mut options, &mut row);
                row.push(part);
            }
        }
        flush(&mut options, &mut row);
        one_or(row, Part::Row)
    }
}

fn flush(options: &mut Vec<Part>, row: &mut Vec<Part>) {
    if !options.is_empty() {
        row.push(Part::Options(std::mem::take(options)));
    }
}

fn one_or(mut parts: Vec<Part>, many: fn(Vec<Part>) -> Part) -> Part {
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        Some(last) => {
            parts.push(last);
            many(parts)
        }
        None => many(parts),
    }
}

fn part(word: &str) -> Part {
    if word.ends_with("...") && !word.contains('[') {
        // `[...]`: whatever else there is
        return match word {
            "..." => Part::Many(Box::new(Part::Open)),
            _ => Part::Open,
        };
    }
    let name = word.contains(|c: char| c.is_ascii_uppercase());
    if name {
        Part::Name(word.to_owned())
    } else {
        Part::Keyword(word.to_owned())
    }
}
