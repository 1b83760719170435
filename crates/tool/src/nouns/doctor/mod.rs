//! `doctor`: what works here, what does not, why, and what changes it.

mod gather;
mod judge;
mod mechanisms;
#[cfg(test)]
mod tests;
mod text;
pub mod view;

use crate::command::{Context, Noun};
use crate::failure::Result;
use crate::words::Words;

/// The usage of `doctor`, which has no commands but its own.
pub static NOUN: Noun = Noun {
    name: "doctor",
    commands: &[],
    usage: "\
Usage: rbpftool doctor
       rbpftool doctor help

       OPTIONS := { {-j|--json} [{-p|--pretty}] }
",
};

/// `doctor`: asks the kernel and the machine's settings, and changes nothing.
pub fn run(context: &mut Context<'_, '_>, mut words: Words<'_>) -> Result<()> {
    context.noun = Some(&NOUN);
    if words.accept("help") {
        return crate::nouns::help::of_noun(context, words);
    }
    words.end()?;
    let facts = gather::all(context.kernel);
    context.output.show(&judge::report(&facts))
}
