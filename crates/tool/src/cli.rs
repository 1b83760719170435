//! Options and words: what was typed, before anything is looked up.
//!
//! Options may stand anywhere on the line, may be joined (`-jp`) and long ones may be shortened,
//! as with GNU getopt. The scanning is lexopt's; the keyword grammar of the words is in
//! [`crate::words`].

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use crate::failure::{EINVAL_STATUS, Failure, Result};
use crate::grammar::nearest;
use crate::render::Format;
use crate::render::paint::When;
use crate::words::shown;

/// The command line, split.
#[derive(Debug, Default)]
pub struct CommandLine {
    /// The options.
    pub options: Options,
    /// Everything that is not an option, in order.
    pub words: Vec<OsString>,
}

/// The global options.
#[derive(Debug, Default)]
pub struct Options {
    /// `-j`, or `-p` which implies it.
    pub format: Format,
    /// `-f`: show where objects are pinned.
    pub bpffs: bool,
    /// `-d`: say more on stderr.
    pub debug: bool,
    /// `-m`: members of map definitions that mean nothing are passed over.
    pub map_compat: bool,
    /// `-V`.
    pub version: bool,
    /// `-h`.
    pub help: bool,
    /// `-B FILE`: the BTF that split BTF builds on.
    pub base_btf: Option<PathBuf>,
    /// `-L`, or `-S` which implies it: objects are loaded by a program of their own.
    pub use_loader: bool,
    /// `-S` with `-k` and `-i`: that program is signed.
    pub signing: Option<Signing>,
    /// `--human`: sizes are rounded.
    pub human: bool,
    /// `--color WHEN`.
    pub color: When,
    /// `--lang LANGUAGE`: what `gen skeleton` writes.
    pub lang: Option<OsString>,
}

/// What a program is signed with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signing {
    /// `-k FILE`: the private key.
    pub key: PathBuf,
    /// `-i FILE`: the certificate that belongs to it.
    pub certificate: PathBuf,
}

/// Stands for `--lang`, which has no short form.
const LANG: char = '\0';
/// Stands for `--format`.
const FORMAT: char = '\x01';
/// Stands for `--human`.
const HUMAN: char = '\x02';
/// Stands for `--color`.
const COLOR: char = '\x03';

/// An option as it may be typed.
#[derive(Debug)]
pub struct Known {
    /// Its short form, or what stands for it where there is none.
    short: char,
    /// Its long form, without dashes; two options of bpftool have none.
    pub long: Option<&'static str>,
    /// What its argument is called, where it takes one.
    pub argument: Option<&'static str>,
    /// What it does, in a few words.
    pub about: &'static str,
}

impl Known {
    const fn new(short: char, long: &'static str, about: &'static str) -> Self {
        Self {
            short,
            long: Some(long),
            argument: None,
            about,
        }
    }

    const fn with(mut self, argument: &'static str) -> Self {
        self.argument = Some(argument);
        self
    }

    const fn only_short(mut self) -> Self {
        self.long = None;
        self
    }

    /// Its short form, without the dash.
    #[must_use]
    pub fn short(&self) -> Option<char> {
        self.short.is_ascii_alphabetic().then_some(self.short)
    }

    /// All of its forms, as in `-B, --base-btf FILE`.
    #[must_use]
    pub fn shown(&self) -> String {
        let short = self.short().map(|short| format!("-{short}"));
        let long = self.long.map(|long| format!("--{long}"));
        let names: Vec<_> = [short, long].into_iter().flatten().collect();
        let names = names.join(", ");
        match self.argument {
            Some(argument) => format!("{names} {argument}"),
            None => names,
        }
    }
}

/// Every option.
pub const OPTIONS: [Known; 17] = [
    Known::new('j', "json", "JSON on one line"),
    Known::new('p', "pretty", "JSON, indented"),
    Known::new('f', "bpffs", "show where objects are pinned"),
    Known::new('d', "debug", "say more on standard error"),
    Known::new(
        'm',
        "mapcompat",
        "pass over members of map definitions that mean nothing",
    ),
    Known::new('n', "nomount", "nothing is mounted anyway"),
    Known::new('L', "use-loader", "load by a program of its own"),
    Known::new('S', "sign", "sign that program"),
    Known::new('k', "", "the private key to sign with")
        .only_short()
        .with("KEY"),
    Known::new('i', "", "its certificate")
        .only_short()
        .with("CERTIFICATE"),
    Known::new('B', "base-btf", "the BTF that split BTF builds on").with("FILE"),
    Known::new(LANG, "lang", "what a skeleton is written in").with("LANGUAGE"),
    Known::new(
        FORMAT,
        "format",
        "table, text, json, pretty, or jsonl: a document a line",
    )
    .with("FORMAT"),
    Known::new(HUMAN, "human", "round sizes, in text and tables"),
    Known::new(COLOR, "color", "auto (on terminals), always or never").with("WHEN"),
    Known::new('V', "version", "what this is"),
    Known::new('h', "help", "how it is called"),
];

/// Splits the arguments after the program name.
///
/// The options come back even when the line is wrong, so that the error can be shown in the
/// format that was asked for.
pub fn parse(args: &[OsString]) -> (CommandLine, Result<()>) {
    let mut line = CommandLine::default();
    let result = fill(&mut line, args);
    (line, result)
}

fn fill(line: &mut CommandLine, args: &[OsString]) -> Result<()> {
    let mut parser = lexopt::Parser::from_args(args);
    let mut sign = false;
    let (mut key, mut certificate) = (None, None);
    let mut format = None;
    loop {
        // no option is a digit: a number below zero is a word, as in `priority -9`
        if let Some(mut raw) = parser.try_raw_args()
            && raw.peek().is_some_and(is_negative)
        {
            line.words.extend(raw.next());
            continue;
        }
        let Some(arg) = parser.next().map_err(wrong)? else {
            break;
        };
        let short = match arg {
            lexopt::Arg::Value(word) => {
                line.words.push(word);
                continue;
            }
            lexopt::Arg::Short(short) => short,
            lexopt::Arg::Long(long) => long_option(long)?,
        };
        let options = &mut line.options;
        match short {
            'j' => options.format = options.format.max(Format::Json),
            'p' => options.format = Format::Pretty,
            'h' => options.help = true,
            'V' => options.version = true,
            'f' => options.bpffs = true,
            'd' => options.debug = true,
            'B' => options.base_btf = Some(parser.value().map_err(wrong)?.into()),
            'm' => options.map_compat = true,
            // Nothing is ever mounted without being asked, so there is nothing to switch off.
            'n' => {}
            'L' => options.use_loader = true,
            'S' => sign = true,
            'k' => key = Some(parser.value().map_err(wrong)?.into()),
            HUMAN => options.human = true,
            FORMAT => format = Some(format_of(&parser.value().map_err(wrong)?)?),
            COLOR => options.color = color_of(&parser.value().map_err(wrong)?)?,
            LANG => options.lang = Some(parser.value().map_err(wrong)?),
            'i' => certificate = Some(parser.value().map_err(wrong)?.into()),
            other => return Err(unknown(&format!("-{other}"))),
        }
    }
    // it says more than -j and -p, so these do not count beside it
    if let Some(format) = format {
        line.options.format = format;
    }
    line.options.use_loader |= sign;
    line.options.signing = signing(sign, key, certificate)?;
    Ok(())
}

/// Reads the argument of `--format`.
fn format_of(word: &OsStr) -> Result<Format> {
    Ok(match word.to_str() {
        Some("text") => Format::Text,
        Some("table") => Format::Table,
        Some("json") => Format::Json,
        Some("pretty") => Format::Pretty,
        Some("jsonl") => Format::Lines,
        _ => {
            let message = format_args!(
                "'{}' is no format: 'table', 'text', 'json', 'pretty' or 'jsonl' is expected",
                shown(word)
            );
            return Err(Failure::new(message).with_status(EINVAL_STATUS));
        }
    })
}

/// Reads the argument of `--color`.
fn color_of(word: &OsStr) -> Result<When> {
    When::of(word).ok_or_else(|| {
        let message = format_args!(
            "--color takes 'auto', 'always' or 'never', not '{}'",
            shown(word)
        );
        Failure::new(message).with_status(EINVAL_STATUS)
    })
}

/// Whether a word is a number below zero.
pub(crate) fn is_negative(word: &OsStr) -> bool {
    let digits = word.as_encoded_bytes().strip_prefix(b"-");
    digits.is_some_and(|digits| !digits.is_empty() && digits.iter().all(u8::is_ascii_digit))
}

/// The options of signed loading belong together, whatever the command: bpftool says so too.
fn signing(
    sign: bool,
    key: Option<PathBuf>,
    certificate: Option<PathBuf>,
) -> Result<Option<Signing>> {
    match (sign, key, certificate) {
        (true, Some(key), Some(certificate)) => Ok(Some(Signing { key, certificate })),
        (false, None, None) => Ok(None),
        (true, ..) => Err("-S (--sign) needs -i CERTIFICATE and -k PRIVATE_KEY"),
        (false, ..) => Err("-i and -k have a meaning only together with -S (--sign)"),
    }
    .map_err(|message| Failure::new(message).with_status(EINVAL_STATUS))
}

fn long_option(name: &str) -> Result<char> {
    let long = || {
        let all = OPTIONS.iter();
        all.filter_map(|known| Some((known.long?, known.short)))
    };
    // the options without a short form are our own: they must not make others ambiguous
    let only = |own: bool| {
        let fits = |(long, short): &(&str, char)| {
            long.starts_with(name) && own != short.is_ascii_alphabetic()
        };
        let mut fitting = long().filter(fits);
        fitting.next().filter(|_| fitting.next().is_none())
    };
    let exact = long().find(|(long, _)| *long == name);
    let is_of_others =
        || long().any(|(long, short)| long.starts_with(name) && short.is_ascii_alphabetic());
    match exact
        .or_else(|| only(false))
        .or_else(|| only(true).filter(|_| !is_of_others()))
    {
        Some((_, short)) => Ok(short),
        None => {
            let failure = unknown(&format!("--{name}"));
            let near = nearest(name.as_ref(), long().map(|(long, _)| long));
            Err(match near {
                Some(near) => failure.with_hint(format!("did you mean '--{near}'?")),
                None => failure,
            })
        }
    }
}

fn unknown(option: &str) -> Failure {
    Failure::usage(format_args!(
        "unrecognized option '{}'",
        crate::render::escape::Escaped(option.as_bytes())
    ))
}

fn wrong(error: lexopt::Error) -> Failure {
    Failure::usage(crate::render::escape::Escaped(error.to_string().as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(words: &[&str]) -> (CommandLine, Result<()>) {
        let args: Vec<OsString> = words.iter().map(OsString::from).collect();
        parse(&args)
    }

    #[test]
    fn options_stand_anywhere_and_may_be_joined() {
        let (line, result) = split(&["prog", "-jf", "show", "--pre", "-B", "x"]);
        result.unwrap();
        assert_eq!(line.words, ["prog", "show"]);
        assert_eq!(line.options.format, Format::Pretty);
        assert!(line.options.bpffs);
        assert_eq!(line.options.base_btf.as_deref(), Some("x".as_ref()));
    }

    #[test]
    fn pretty_wins_over_json_in_any_order() {
        assert_eq!(split(&["-p", "-j"]).0.options.format, Format::Pretty);
        assert_eq!(split(&["-j", "-p"]).0.options.format, Format::Pretty);
    }

    #[test]
    fn wrong_options_keep_the_format() {
        let (line, result) = split(&["-j", "-l"]);
        assert_eq!(line.options.format, Format::Json);
        assert_eq!(
            result.unwrap_err().message().unwrap(),
            "unrecognized option '-l'"
        );
        // "--" ends the options; an abbreviation must be unambiguous
        assert_eq!(split(&["--", "-j"]).0.words, ["-j"]);
        assert!(split(&["--b"]).1.is_err());
    }

    #[test]
    fn own_options_do_not_make_others_ambiguous() {
        assert!(split(&["--h"]).0.options.help);
        assert!(split(&["--hu"]).0.options.human);
        assert_eq!(split(&["--fo", "jsonl"]).0.options.format, Format::Lines);
        // as before there were any of our own
        assert!(split(&["--b", "x"]).1.is_err());
    }

    #[test]
    fn a_format_says_more_than_j_and_p() {
        assert_eq!(
            split(&["-p", "--format", "json"]).0.options.format,
            Format::Json
        );
        assert_eq!(
            split(&["--format=table", "-j"]).0.options.format,
            Format::Table
        );
        let (line, result) = split(&["-j", "--format", "x"]);
        assert_eq!(line.options.format, Format::Json);
        assert!(result.is_err());
    }

    #[test]
    fn numbers_below_zero_are_words() {
        let (line, result) = split(&["link", "-j", "-9", "-B", "-1", "-10"]);
        result.unwrap();
        assert_eq!(line.words, ["link", "-9", "-10"]);
        assert_eq!(line.options.base_btf.as_deref(), Some("-1".as_ref()));
        assert!(split(&["-9x"]).1.is_err());
        assert!(split(&["-"]).0.words == ["-"]);
    }

    #[test]
    fn keys_without_sign_are_refused() {
        assert_eq!(split(&["-k", "a"]).1.unwrap_err().status(), 234);
        assert_eq!(split(&["-S"]).1.unwrap_err().status(), 234);
    }
}
