//! Names of an object as identifiers of a language.

use std::collections::HashSet;

/// Bytes of an identifier at most: compilers and people read no longer ones.
const MAX: usize = 255;

/// A language, for what it does not take as a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Language {
    C,
    Rust,
}

/// Words that C has for itself, up to C23. Those of C++ are no trouble in C.
const C_WORDS: &[&str] = &[
    "alignas",
    "alignof",
    "auto",
    "bool",
    "break",
    "case",
    "char",
    "const",
    "constexpr",
    "continue",
    "default",
    "do",
    "double",
    "else",
    "enum",
    "extern",
    "false",
    "float",
    "for",
    "goto",
    "if",
    "inline",
    "int",
    "long",
    "nullptr",
    "register",
    "restrict",
    "return",
    "short",
    "signed",
    "sizeof",
    "static",
    "static_assert",
    "struct",
    "switch",
    "thread_local",
    "true",
    "typedef",
    "typeof",
    "typeof_unqual",
    "union",
    "unsigned",
    "void",
    "volatile",
    "while",
];

/// Words that Rust has for itself or keeps for later, all editions together.
const RUST_WORDS: &[&str] = &[
    "_", "Self", "abstract", "as", "async", "await", "become", "box", "break", "const", "continue",
    "crate", "do", "dyn", "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if",
    "impl", "in", "let", "loop", "macro", "match", "mod", "move", "mut", "override", "priv", "pub",
    "ref", "return", "self", "static", "struct", "super", "trait", "true", "try", "type", "typeof",
    "unsafe", "unsized", "use", "virtual", "where", "while", "yield",
];

/// A name with `_` for every byte that identifiers do not have.
pub(super) fn sanitized(name: &str) -> String {
    let mut out = String::with_capacity(name.len().min(MAX));
    for byte in name.bytes().take(MAX) {
        out.push(match byte {
            byte if byte.is_ascii_alphanumeric() => char::from(byte),
            _ => '_',
        });
    }
    if out
        .bytes()
        .next()
        .is_none_or(|first| first.is_ascii_digit())
    {
        out.insert(0, '_');
    }
    out
}

/// A name as an identifier of the language, whatever other names there are.
pub(super) fn identifier(name: &str, language: Language) -> String {
    let mut out = sanitized(name);
    let words = match language {
        Language::C => C_WORDS,
        Language::Rust => RUST_WORDS,
    };
    if words.contains(&out.as_str()) {
        out.push('_');
    }
    out
}

/// Identifiers that are taken in one place.
#[derive(Debug)]
pub(super) struct Scope {
    language: Language,
    taken: HashSet<String>,
}

impl Scope {
    pub(super) fn new(language: Language) -> Self {
        Self {
            language,
            taken: HashSet::new(),
        }
    }

    /// Takes names away from what follows.
    pub(super) fn reserve(&mut self, names: &[&str]) {
        self.taken
            .extend(names.iter().map(|name| (*name).to_owned()));
    }

    /// The identifier of a name; with a number when another has it already.
    pub(super) fn add(&mut self, name: &str) -> String {
        let plain = identifier(name, self.language);
        let mut chosen = plain.clone();
        let mut number = 2u64;
        while !self.taken.insert(chosen.clone()) {
            chosen = format!("{plain}_{number}");
            // Numbers that double, and then count: a thousand of one name take few steps each.
            number += 1;
            if number > 64 {
                number = number.saturating_add(self.taken.len() as u64);
            }
        }
        chosen
    }
}

/// A name in camel case: `tcp_count` as `TcpCount`.
pub(super) fn camel(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut start = true;
    for c in sanitized(name).chars() {
        if c == '_' {
            start = true;
        } else if start {
            out.push(c.to_ascii_uppercase());
            start = false;
        } else {
            out.push(c);
        }
    }
    if out
        .chars()
        .next()
        .is_none_or(|first| first.is_ascii_digit())
    {
        out.insert(0, 'X');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_identifiers() {
        for (name, c, rust) in [
            ("count", "count", "count"),
            ("rodata.str1.1", "rodata_str1_1", "rodata_str1_1"),
            ("", "_", "__"),
            ("1st", "_1st", "_1st"),
            ("int", "int_", "int"),
            ("type", "type", "type_"),
            ("für", "f__r", "f__r"),
            ("a\0b\n", "a_b_", "a_b_"),
        ] {
            assert_eq!(identifier(name, Language::C), c);
            assert_eq!(identifier(name, Language::Rust), rust);
        }
        assert_eq!(identifier(&"x".repeat(1 << 20), Language::C).len(), MAX);
    }

    #[test]
    fn equal_names_are_numbered() {
        let mut scope = Scope::new(Language::Rust);
        scope.reserve(&["load"]);
        let names = ["a.b", "a_b", "a-b", "load", "a_b_2"].map(|name| scope.add(name));
        assert_eq!(names, ["a_b", "a_b_2", "a_b_3", "load_2", "a_b_2_2"]);
        let mut all = HashSet::new();
        for _ in 0..5000 {
            assert!(all.insert(scope.add("x")));
        }
    }

    #[test]
    fn camel_case() {
        for (name, camel_name) in [
            ("counter", "Counter"),
            ("tcp_count__all", "TcpCountAll"),
            ("9p", "X9p"),
            ("", "X"),
            ("MixedCase", "MixedCase"),
        ] {
            assert_eq!(camel(name), camel_name);
        }
    }
}
