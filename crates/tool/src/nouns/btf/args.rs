//! The words of `btf dump`.

use std::path::{Path, PathBuf};

use super::source::VMLINUX;
use crate::failure::{EINVAL_STATUS, Failure, Result};
use crate::handle::{MapHandle, ProgHandle};
use crate::words::{Words, parse_number, shown};

/// bpftool's bounds.
const ROOTS_MAX: usize = 16;
const FILES_MAX: usize = 64;
/// bpftool's exit status for too many words: -E2BIG.
const E2BIG_STATUS: u8 = 249;

/// What to dump.
#[derive(Debug)]
pub struct DumpArgs {
    /// Where the types are.
    pub source: Source,
    /// The only types to show; empty for all.
    pub roots: Vec<u32>,
    /// `format c`
    pub as_c: bool,
    /// `unsorted`: C declarations by id, not by kind and name.
    pub unsorted: bool,
}

/// Where the types to dump are.
#[derive(Debug, PartialEq, Eq)]
pub enum Source {
    /// `id N`
    Id(u32),
    /// `prog PROG`
    Prog(ProgHandle),
    /// `map MAP`, and which of its types.
    Map(MapHandle, MapTypes),
    /// `file FILE`
    File(PathBuf),
    /// `file FILE file FILE`: several to be merged.
    Files(Vec<PathBuf>),
}

/// Which types of a map's BTF to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MapTypes {
    /// Those of key and value.
    KeyAndValue,
    /// That of the key.
    Key,
    /// That of the value.
    Value,
    /// The whole object.
    All,
}

impl DumpArgs {
    /// Reads the words after `btf dump`.
    pub fn parse(words: &mut Words<'_>) -> Result<Self> {
        words.require(2)?;
        let source = Source::parse(words)?;
        let mut args = Self {
            roots: Vec::new(),
            as_c: false,
            unsorted: false,
            source,
        };
        while let Some(word) = words.peek() {
            if words.accept("format") {
                args.as_c = format(words)?;
            } else if words.accept("root_id") {
                args.add_root(words)?;
            } else if words.accept("unsorted") {
                args.unsorted = true;
            } else {
                return Err(invalid(format_args!(
                    "unrecognized option: '{}'",
                    shown(word)
                )));
            }
        }
        Ok(args)
    }

    fn add_root(&mut self, words: &mut Words<'_>) -> Result<()> {
        if matches!(&self.source, Source::Map(_, types) if *types != MapTypes::All) {
            return Err(invalid("cannot use root_id with other type filtering"));
        }
        if self.roots.len() == ROOTS_MAX {
            let failure = Failure::new(format_args!("only {ROOTS_MAX} root_id are supported"));
            return Err(failure.with_status(E2BIG_STATUS));
        }
        let word = words.take("a root ID")?;
        let root = parse_number(word, 0)
            .and_then(|root| u32::try_from(root).ok())
            .ok_or_else(|| Failure::new(format_args!("can't parse {} as root ID", shown(word))))?;
        if self.roots.contains(&root) {
            return Err(invalid(format_args!("duplicate root_id {root} supplied")));
        }
        self.roots.push(root);
        Ok(())
    }
}

/// A wrong command line, with the status bpftool has for it.
fn invalid(message: impl std::fmt::Display) -> Failure {
    Failure::new(message).with_status(EINVAL_STATUS)
}

/// Whether the format is C.
fn format(words: &mut Words<'_>) -> Result<bool> {
    let Some(word) = words.peek() else {
        return Err(invalid("expecting value for 'format' option"));
    };
    words.take("a format")?;
    // formats must be written out
    match word.as_encoded_bytes() {
        b"raw" => Ok(false),
        b"c" => Ok(true),
        _ => Err(invalid(format_args!(
            "unrecognized format specifier: '{}', possible values: raw, c",
            shown(word)
        ))),
    }
}

impl Source {
    fn parse(words: &mut Words<'_>) -> Result<Self> {
        if words.accept("map") {
            words.require(2)?;
            let map = MapHandle::parse(words)?;
            let types = if words.is_empty() {
                MapTypes::KeyAndValue
            } else if words.accept("key") {
                MapTypes::Key
            } else if words.accept("value") {
                MapTypes::Value
            } else if words.accept("all") {
                MapTypes::All
            } else {
                words.accept("kv");
                MapTypes::KeyAndValue
            };
            return Ok(Self::Map(map, types));
        }
        if words.accept("prog") {
            words.require(2)?;
            return Ok(Self::Prog(ProgHandle::parse(words)?));
        }
        if words.accept("id") {
            let word = words.take("an id")?;
            return parse_number(word, 0)
                .and_then(|id| u32::try_from(id).ok())
                .map(Self::Id)
                .ok_or_else(|| Failure::new(format_args!("can't parse {} as ID", shown(word))));
        }
        if words.next_is("file") {
            return Self::files(words);
        }
        let got = words.peek().unwrap_or_default();
        Err(Failure::new(format_args!(
            "unrecognized BTF source specifier: '{}'",
            shown(got)
        )))
    }

    /// The kernel's own BTF among several files is the base of the others, as is understood.
    fn files(words: &mut Words<'_>) -> Result<Self> {
        let mut files = Vec::new();
        let mut with_kernel = false;
        while !words.is_empty() && words.accept("file") {
            if words.is_empty() {
                return Err(invalid("'file' needs at least 1 argument, 0 found"));
            }
            let path = words.take_path("a file")?;
            if path == Path::new(VMLINUX) {
                with_kernel = true;
            } else if files.len() == FILES_MAX {
                let failure = Failure::new(format_args!("too many BTF files (max {FILES_MAX})"));
                return Err(failure.with_status(E2BIG_STATUS));
            } else {
                files.push(path.to_path_buf());
            }
        }
        if files.is_empty() && with_kernel {
            files.push(VMLINUX.into());
        }
        let mut files = files.into_iter();
        Ok(match (files.next(), files.as_slice()) {
            (Some(only), []) => Self::File(only),
            (first, rest) => Self::Files(first.into_iter().chain(rest.iter().cloned()).collect()),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;

    fn parse(line: &str) -> std::result::Result<DumpArgs, (String, u8)> {
        let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        let mut words = Words::new(&words);
        let args = DumpArgs::parse(&mut words)
            .map_err(|failure| (failure.message().unwrap(), failure.status()))?;
        assert!(words.is_empty());
        Ok(args)
    }

    fn source(line: &str) -> Source {
        parse(line).unwrap().source
    }

    #[test]
    fn sources_are_recognised_by_prefix() {
        assert_eq!(source("i 0x10"), Source::Id(16));
        assert_eq!(source("p id 3"), Source::Prog(ProgHandle::Id(3)));
        let map = |types| Source::Map(MapHandle::Id(3), types);
        assert_eq!(source("map id 3"), map(MapTypes::KeyAndValue));
        assert_eq!(source("map id 3 kv"), map(MapTypes::KeyAndValue));
        // `key` stands before `kv`
        assert_eq!(source("map id 3 k"), map(MapTypes::Key));
        assert_eq!(source("map id 3 v"), map(MapTypes::Value));
        assert_eq!(source("map id 3 all format raw"), map(MapTypes::All));
        assert_eq!(source("map id 3 format raw"), map(MapTypes::KeyAndValue));
        assert_eq!(
            parse("x id 3").unwrap_err(),
            ("unrecognized BTF source specifier: 'x'".into(), 255)
        );
        assert_eq!(
            parse("id 3x").unwrap_err(),
            ("can't parse 3x as ID".into(), 255)
        );
    }

    #[test]
    fn the_kernel_is_the_base_of_other_files() {
        let file = |path: &str| Source::File(path.into());
        assert_eq!(source("file a"), file("a"));
        assert_eq!(source(&format!("file {VMLINUX}")), file(VMLINUX));
        assert_eq!(
            source(&format!("file {VMLINUX} f a f {VMLINUX}")),
            file("a")
        );
        assert_eq!(
            source("file a file b"),
            Source::Files(vec!["a".into(), "b".into()])
        );
        assert_eq!(parse("file a file").unwrap_err().1, 234);
        let many = vec!["file x"; FILES_MAX + 1].join(" ");
        assert_eq!(
            parse(&many).unwrap_err(),
            ("too many BTF files (max 64)".into(), 249)
        );
    }

    #[test]
    fn roots_are_few_and_different() {
        let args = parse("id 1 root_id 5 format raw root_id 0x6 unsorted").unwrap();
        assert_eq!(args.roots, [5, 6]);
        assert!(args.unsorted && !parse("id 1 format c").unwrap().unsorted);
        let message = |line: &str| parse(line).unwrap_err();
        assert_eq!(
            message("id 1 root_id 5 root_id 05"),
            ("duplicate root_id 5 supplied".into(), 234)
        );
        assert_eq!(
            message("id 1 root_id 5x"),
            ("can't parse 5x as root ID".into(), 255)
        );
        assert_eq!(
            message("map id 1 root_id 5"),
            ("cannot use root_id with other type filtering".into(), 234)
        );
        assert!(parse("map id 1 all root_id 5").is_ok());
        let many: String = (1..=17).map(|n| format!(" root_id {n}")).collect();
        assert_eq!(
            message(&format!("id 1{many}")),
            ("only 16 root_id are supported".into(), 249)
        );
    }

    #[test]
    fn formats_are_written_out() {
        assert!(parse("id 1 format c").unwrap().as_c);
        assert!(!parse("id 1 format c format raw").unwrap().as_c);
        assert_eq!(
            parse("id 1 format ra").unwrap_err(),
            (
                "unrecognized format specifier: 'ra', possible values: raw, c".into(),
                234
            )
        );
        assert_eq!(
            parse("id 1 format").unwrap_err(),
            ("expecting value for 'format' option".into(), 234)
        );
        assert_eq!(
            parse("id 1 x").unwrap_err(),
            ("unrecognized option: 'x'".into(), 234)
        );
    }
}
