//! `perf`: programs on perf events and raw tracepoints, found through the descriptors of
//! processes.

pub mod gather;
mod text;
pub mod view;

use crate::command::{Command, Context, Noun};
use crate::failure::Result;
use crate::words::Words;

/// The commands of `perf`; prefixes find the first that fits.
pub static NOUN: Noun = Noun {
    name: "perf",
    commands: &[
        Command::new("show", show),
        Command::new("list", show),
        Command::new("help", crate::nouns::help::of_noun),
    ],
    usage: "\
Usage: rbpftool perf { show | list }
       rbpftool perf help

       OPTIONS := { {-j|--json} [{-p|--pretty}] | {-d|--debug} }
",
};

/// `perf { show | list }`
fn show(context: &mut Context<'_, '_>, _words: Words<'_>) -> Result<()> {
    let views = gather::all(context.kernel)?;
    context.output.show_all(&views)?;
    if views.is_empty() {
        context
            .output
            .remark("no process has a program on a perf event or raw tracepoint");
    }
    Ok(())
}
