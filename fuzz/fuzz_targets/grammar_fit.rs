//! Lines as words of a command line: how far they fit the usages, and what was meant; and as JSON
//! and text on the way to a terminal.

#![no_main]

use std::ffi::OsString;
use std::io::Write as _;
use std::os::unix::ffi::OsStringExt as _;

use libfuzzer_sys::fuzz_target;
use rbpftool::grammar::{Grammar, meant};
use rbpftool::render::jsonl::JsonLines;
use rbpftool::render::paint::{Headers, JsonKeys};

fuzz_target!(|data: &[u8]| {
    let words: Vec<_> = data
        .split(|byte| *byte == b'\n')
        .map(|word| OsString::from_vec(word.to_vec()))
        .collect();
    if let Some(grammar) = words.first().and_then(|word| Grammar::of_first(word)) {
        let fit = grammar.fit(&words);
        assert!(fit.words <= words.len());
        assert!(!fit.complete || fit.words == words.len());
    }
    let _keyword = meant(&words);

    // what is painted is what comes, but for the paint
    let mut painted = Vec::new();
    Headers::new(&mut painted).write_all(data).unwrap();
    assert!(painted.len() >= data.len());
    let mut keys = JsonKeys::new(Vec::new());
    keys.write_all(data).unwrap();
    keys.flush().unwrap();
    JsonLines::new(Vec::new()).write_all(data).unwrap();
});
