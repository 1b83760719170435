use std::ffi::OsString;

use super::{Expected, Fit, Grammar, meant};
use crate::{FIRST_WORDS, First};

const USAGE: &str = "\
Usage: rbpftool thing { show | list } [THING]
       rbpftool thing load OBJ [type TYPE] [{ map MAP | \\
                          file FILE }] [quick] LEVEL...
       rbpftool thing put THING [hex] BYTES [any]
       rbpftool thing at FUNC[+OFFSET] [MODULE:]PATTERN [...]

       THING := { id THING_ID |
                  pinned FILE }
       LEVEL := { low | high }
       TYPE  := { plain | cgroup_... }
       OPTIONS := { {-j|--json} [{-p|--pretty}] }

       'quick' is for those who wait:
       rarely needed.
";

fn words(line: &str) -> Vec<OsString> {
    line.split_whitespace().map(OsString::from).collect()
}

fn shown(fit: &Fit<'_>) -> Vec<String> {
    let shown = fit.expected.iter().map(|expected| match expected {
        Expected::Keyword(keyword) => (*keyword).to_owned(),
        Expected::Name { name, rule, after } => format!("{name}({rule},{after})"),
    });
    shown.collect()
}

#[track_caller]
fn check(line: &str, expected: &[&str]) {
    let grammar = Grammar::of(USAGE);
    let words = words(line);
    let fit = grammar.fit(&words);
    assert_eq!(fit.words, words.len(), "{line}: {fit:?}");
    assert_eq!(shown(&fit), expected, "{line}");
}

#[test]
fn what_may_follow_is_known_at_each_place() {
    check("thing", &["at", "list", "load", "put", "show"]);
    check("thing show", &["id", "pinned"]);
    check("thing li id", &["THING_ID(THING,id)"]);
    check("thing show pinned", &["FILE(THING,pinned)"]);
    check("thing show pinned x", &[]);
    let options = ["file", "high", "low", "map", "quick", "type"];
    check("thing load o", &options);
    check("thing load o type", &["plain", "TYPE(TYPE,type)"]);
}

#[test]
fn each_option_comes_once_and_in_any_order() {
    let grammar = Grammar::of(USAGE);
    for line in [
        "thing load o quick type plain low",
        "thing load o type cgroup_x file f quick low high",
        "thing put id 1 1 2 0x3 any",
        "thing put id 1 hex ff a 0 any",
        "thing at f+0x8 m:p and more",
    ] {
        assert!(grammar.fit(&words(line)).complete, "{line}");
    }
    assert!(!grammar.fit(&words("thing load o type")).complete);
    let line = words("thing load o quick");
    let fit = grammar.fit(&line);
    assert!(!fit.expected.contains(&Expected::Keyword("quick")));
}

#[test]
fn the_place_of_a_wrong_word_is_found() {
    let grammar = Grammar::of(USAGE);
    let line = words("thing put id 1 1 ayn 3");
    let fit = grammar.fit(&line);
    assert_eq!(fit.words, 5);
    assert!(fit.expected.contains(&Expected::Keyword("any")));
    assert!(!fit.complete);
}

/// Every usage is read whole: each of its words is a keyword, a name or a bracket.
#[test]
fn the_usages_are_grammars() {
    for (_, first) in &FIRST_WORDS {
        let First::Noun(noun) = first else { continue };
        let grammar = Grammar::of(noun.usage);
        for command in noun.commands {
            let line = [OsString::from(noun.name), OsString::from(command.name())];
            let fit = grammar.fit(&line);
            assert_eq!(fit.words, 2, "{} {}", noun.name, command.name());
        }
        // and nothing but these
        let line = [OsString::from(noun.name)];
        for expected in grammar.fit(&line).expected {
            let Expected::Keyword(keyword) = expected else {
                panic!("{}: {expected:?}", noun.name);
            };
            let known = noun.commands.iter().any(|known| known.name() == keyword);
            assert!(known, "{} {keyword}", noun.name);
        }
        // a bracket in a word is one that was not understood
        let shown = format!("{grammar:?}");
        assert!(!shown.contains("\"{") && !shown.contains("|\""), "{shown}");
    }
}

#[test]
fn what_was_meant_is_the_nearest_keyword_of_that_place() {
    for (line, keyword) in [
        ("porg show", "prog"),
        ("prog shwo", "show"),
        ("prog show idd 4", "id"),
        ("prog dump xlatd id 1", "xlated"),
        ("prog dump xlated id 1 lnium", "linum"),
        ("map update id 4 key 1 2 3 4 vlaue 5", "value"),
        ("map create /x tpye hash", "type"),
        ("btf dump id 1 fromat c", "format"),
        ("btf dump id 1 format c unsort", ""),
        ("net attach xpd id 1 dev lo", "xdp"),
        ("link show tpye xdp", "type"),
        ("plan o tagret t", "target"),
        ("prog show", ""),
        ("prog show id 4 more", ""),
        ("xyzzy", ""),
        ("prog show name porg", ""),
    ] {
        assert_eq!(meant(&words(line)).unwrap_or_default(), keyword, "{line}");
    }
}
