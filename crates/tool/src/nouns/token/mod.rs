//! `token`: bpf file systems that hand rights down to those who may make tokens of them.

mod gather;
mod text;
pub mod view;

use crate::command::{Command, Context, Noun};
use crate::failure::Result;
use crate::words::Words;

/// The commands of `token`; prefixes find the first that fits.
pub static NOUN: Noun = Noun {
    name: "token",
    commands: &[
        Command::new("show", show),
        Command::new("list", show),
        Command::new("help", crate::nouns::help::of_noun),
    ],
    usage: "\
Usage: rbpftool token { show | list }
       rbpftool token help

       OPTIONS := { {-j|--json} [{-p|--pretty}] | {-d|--debug} }
",
};

/// `token { show | list }`
fn show(context: &mut Context<'_, '_>, words: Words<'_>) -> Result<()> {
    words.end()?;
    let views = gather::all(context.kernel)?;
    context.output.show_all(&views)?;
    if views.is_empty() {
        context
            .output
            .news("no bpf file system delegates anything (mount options delegate_...)");
    }
    Ok(())
}
