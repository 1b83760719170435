//! Nouns, their commands, and what a command is given to do its work.

use crate::cli::Options;
use crate::failure::{Failure, Result};
use crate::kernel::Kernel;
use crate::render::tree::Style;
use crate::render::{Output, table};
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
    run: Run,
}

impl Command {
    /// A command and the function that carries it out.
    #[must_use]
    pub const fn new(name: &'static str, run: Run) -> Self {
        Self { name, run }
    }

    /// The word for it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
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
    /// Lists of objects may be tables.
    fn lay_out(&self, context: &mut Context<'_, '_>, command: &Command) {
        let is_list = ["show", "list", "tree"].contains(&command.name);
        let columns = is_list.then(|| table::columns(self.name)).flatten();
        context.output.set_columns(columns);
    }

    /// Runs the command that the first word names; without a word, the first command.
    pub fn run(&'static self, context: &mut Context<'_, '_>, mut words: Words<'_>) -> Result<()> {
        context.noun = Some(self);
        let Some(word) = words.peek() else {
            let Some(command) = self.commands.first() else {
                return words.end();
            };
            self.lay_out(context, command);
            return (command.run)(context, words);
        };
        let mut commands = self.commands.iter();
        match commands.find(|command| words.accept(command.name)) {
            Some(command) => {
                self.lay_out(context, command);
                (command.run)(context, words)
            }
            None => Err(Failure::usage(format_args!(
                "unknown command '{} {}'",
                self.name,
                shown(word)
            ))),
        }
    }
}
