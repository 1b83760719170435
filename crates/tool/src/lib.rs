//! `rbpftool`: look at the kernel's BPF objects and change them, in the words that bpftool
//! taught its users.
//!
//! A command goes through three steps, which are also the files of each noun: *gather* asks the
//! kernel, *view* is plain data in the order of the JSON keys, *render* writes it as text or
//! JSON. [`run`] is the whole program but for the process around it.

pub mod cli;
pub mod command;
pub mod complete;
pub mod failure;
pub mod grammar;
pub mod handle;
pub mod hints;
pub mod holders;
pub mod interrupt;
pub mod jited;
pub mod kernel;
pub mod kernel_btf;
pub mod manual;
pub mod names;
pub mod netdev;
pub mod nouns;
pub mod pins;
pub mod procfs;
pub mod render;
pub mod surroundings;
pub mod tracefs;
pub mod words;
pub mod xlated;

use std::ffi::OsString;
use std::io::Write;

use command::{Context, Noun};
use failure::{Failure, Result};
use kernel::Kernel;
use render::jsonl::JsonLines;
use render::paint::{Headers, JsonKeys};
use render::{Format, Look, Output};
use words::{Words, shown};

/// Which of the outputs are terminals.
#[derive(Debug, Clone, Copy, Default)]
pub struct Terminals {
    /// Standard output.
    pub stdout: bool,
    /// Standard error.
    pub stderr: bool,
}

/// Runs one command line, the program's name included; the exit status comes back.
pub fn run<W: Write>(
    args: &[OsString],
    mut stdout: W,
    stderr: &mut dyn Write,
    terminals: Terminals,
) -> u8 {
    let args = args.get(1..).unwrap_or_default();
    if let Some((first, rest)) = args.split_first()
        && let Some(status) = asked_by_scripts(first, rest, &mut stdout)
    {
        return status;
    }
    let (line, parsed) = cli::parse(args);
    let kernel = Kernel::default();
    let options = &line.options;
    let look = Look {
        human: options.human,
        paint: options.color.applies(terminals.stdout),
        paint_errors: options.color.applies(terminals.stderr),
        progress: terminals.stderr,
        answer_is_seen: terminals.stdout,
    };
    let out = outlet(options.format, look.paint, stdout);
    let mut output = Output::new(options.format, out, stderr).with_look(look);
    let mut context = Context {
        kernel: &kernel,
        options: &line.options,
        output: &mut output,
        noun: None,
        in_batch: false,
    };
    let result = parsed.and_then(|()| {
        if line.options.help {
            nouns::help::top(&mut context, Words::new(&[]))
        } else if line.options.version {
            nouns::version::run(&mut context, Words::new(&[]))
        } else {
            dispatch(&mut context, Words::new(&line.words))
        }
    });
    let status = match result {
        Ok(()) => 0,
        Err(failure) => report(&mut context, failure, &line.words),
    };
    match output.finish() {
        Ok(()) => status,
        // the reader went away, or the disk is full: said where it still can be
        Err(failure) => {
            if let Some(message) = failure.message() {
                drop(writeln!(stderr, "Error: {message}"));
            }
            status.max(failure.status())
        }
    }
}

/// What stands between the answer and standard output.
fn outlet<'w>(format: Format, paint: bool, stdout: impl Write + 'w) -> Box<dyn Write + 'w> {
    match (format, paint) {
        (Format::Lines, true) => Box::new(JsonLines::new(JsonKeys::new(stdout))),
        (Format::Lines, false) => Box::new(JsonLines::new(stdout)),
        (Format::Json | Format::Pretty, true) => Box::new(JsonKeys::new(stdout)),
        (Format::Text, true) => Box::new(Headers::new(stdout)),
        _ => Box::new(stdout),
    }
}

/// Answers the scripts of shells and of packaging, whose words are not a command line.
fn asked_by_scripts(first: &OsString, rest: &[OsString], stdout: &mut dyn Write) -> Option<u8> {
    let mut answer = Vec::new();
    let done = if first == complete::ASK {
        complete::answer(&Kernel::default(), rest, &mut answer).is_ok()
    } else if first == manual::ASK {
        manual::answer(rest, &mut answer)
    } else {
        return None;
    };
    let written = stdout.write_all(&answer).and_then(|()| stdout.flush());
    Some(if done && written.is_ok() {
        0
    } else {
        failure::FAILED
    })
}

/// Shows a failure of a command line in the output's format; its exit status comes back.
fn report(context: &mut Context<'_, '_>, failure: Failure, words: &[OsString]) -> u8 {
    let meant = match failure.hint() {
        None => grammar::meant(words),
        Some(_) => None,
    };
    let failure = &match meant {
        Some(keyword) => failure.with_hint(format!("did you mean '{keyword}'?")),
        None => failure,
    };
    let usage = context.noun.map_or(nouns::help::TOP, |noun| noun.usage);
    match context.output.fail(failure, usage) {
        Ok(()) => failure.status(),
        Err(worse) => worse.status(),
    }
}

/// What the first word may be.
pub(crate) enum First {
    Noun(&'static Noun),
    Run(fn(&mut Context<'_, '_>, Words<'_>) -> Result<()>),
}

/// The first words, in the order in which prefixes are tried.
pub(crate) static FIRST_WORDS: [(&str, First); 19] = [
    ("help", First::Run(nouns::help::top)),
    ("batch", First::Run(nouns::batch::run)),
    ("prog", First::Noun(&nouns::prog::NOUN)),
    ("map", First::Noun(&nouns::map::NOUN)),
    ("link", First::Noun(&nouns::link::NOUN)),
    ("cgroup", First::Noun(&nouns::cgroup::NOUN)),
    ("perf", First::Noun(&nouns::perf::NOUN)),
    ("net", First::Noun(&nouns::net::NOUN)),
    ("feature", First::Noun(&nouns::feature::NOUN)),
    ("btf", First::Noun(&nouns::btf::NOUN)),
    ("gen", First::Noun(&nouns::r#gen::NOUN)),
    ("struct_ops", First::Noun(&nouns::struct_ops::NOUN)),
    ("iter", First::Noun(&nouns::iter::NOUN)),
    ("token", First::Noun(&nouns::token::NOUN)),
    ("version", First::Run(nouns::version::run)),
    // bpftool's words come first, so that they are shortened alike
    ("plan", First::Run(nouns::plan::run)),
    ("demo", First::Run(nouns::demo::run)),
    ("doctor", First::Run(nouns::doctor::run)),
    ("completion", First::Run(nouns::completion::run)),
];

/// Runs the command that the words name.
pub(crate) fn dispatch(context: &mut Context<'_, '_>, mut words: Words<'_>) -> Result<()> {
    context.noun = None;
    let Some(word) = words.peek() else {
        return nouns::help::top(context, words);
    };
    let Some((_, first)) = FIRST_WORDS.iter().find(|(name, _)| words.accept(name)) else {
        return Err(Failure::usage(format_args!(
            "unknown command '{}'",
            shown(word)
        )));
    };
    match first {
        First::Noun(noun) => noun.run(context, words),
        First::Run(run) => run(context, words),
    }
}
