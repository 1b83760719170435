//! Nouns, their commands, and what a command is given to do its work.

use crate::cli::Options;
use crate::failure::{Failure, Result};
use crate::kernel::Kernel;
use crate::render::Output;
use crate::render::tree::Style;
use crate::words::{Words, shown};

/// What every command works with.
#[derive(Debug)]
pub struct Context<'c, 'w> {
    /// The machine.
    pub kernel: &'c Kernel,
    /// The options on the command line.
    pub options: &'c Options,
    /// Where the answer goes.
    pub output: &'c mut Output<'w>,
    /// The noun whose commands are being read: its usage is shown when the words are wrong.
    pub noun: Option<&'static Noun>,
    /// Whether the words come from a batch file.
    pub in_batch: bool,
}

impl Context<'_, '_> {
    /// How typed values are written in this output.
    #[must_use]
    pub fn value_style(&self) -> Style {
        if self.output.is_json() {
            Style::Json
        } else {
            Style::Plain
        }
    }

    /// Remarks that only `-d` shows.
    pub fn debug(&mut self, line: impl std::fmt::Display) {
        if self.options.debug {
            self.output.remark(line);
        }
    }
}

type Run = fn(&mut Context<'_, '_>, Words<'_>) -> Result<()>;

/// One command of a noun.
#[derive(Debug)]
pub struct Command {
    name: &'static str,
    run: Option<Run>,
}

impl Command {
    /// A command and the function that carries it out.
    #[must_use]
    pub const fn new(name: &'static str, run: Run) -> Self {
        Self {
            name,
            run: Some(run),
        }
    }

    /// A command that bpftool has and this version does not. It stays in the table because a
    /// prefix must mean the same command in both tools.
    #[must_use]
    pub const fn missing(name: &'static str) -> Self {
        Self { name, run: None }
    }
}

/// A kind of object and what can be done with it.
#[derive(Debug)]
pub struct Noun {
    /// Its name on the command line.
    pub name: &'static str,
    /// Its commands, in the order in which prefixes are tried.
    pub commands: &'static [Command],
    /// The text of its help.
    pub usage: &'static str,
}

impl Noun {
    /// Runs the command that the first word names; without a word, the first command.
    pub fn run(&'static self, context: &mut Context<'_, '_>, mut words: Words<'_>) -> Result<()> {
        context.noun = Some(self);
        let command = match words.peek() {
            None => self.commands.first(),
            Some(word) => {
                let found = self
                    .commands
                    .iter()
                    .find(|command| words.accept(command.name));
                if found.is_none() {
                    return Err(Failure::usage(format_args!(
                        "unknown command '{} {}'",
                        self.name,
                        shown(word)
                    )));
                }
                found
            }
        };
        let Some(command) = command else {
            return Err(unsupported(self.name));
        };
        match command.run {
            Some(run) => run(context, words),
            None => Err(unsupported(&format!("{} {}", self.name, command.name))),
        }
    }
}

/// A command of bpftool that this version does not have.
#[must_use]
pub fn unsupported(what: &str) -> Failure {
    Failure::new(format_args!(
        "'{what}' is not supported by this version of rbpftool"
    ))
}
