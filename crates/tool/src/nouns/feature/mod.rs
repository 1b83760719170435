//! `feature`: what this kernel can do, found out by asking it, and what this tool has names for.

mod args;
mod builtins;
mod device;
pub mod gather;
mod macros;
mod privilege;
mod settings;
mod text;
pub mod view;

use crate::command::{Command, Context, Noun};
use crate::failure::Result;
use crate::words::Words;

/// The commands of `feature`; prefixes find the first that fits.
pub static NOUN: Noun = Noun {
    name: "feature",
    commands: &[
        Command::new("probe", probe),
        Command::new("list_builtins", builtins::list),
        Command::new("help", crate::nouns::help::of_noun),
    ],
    usage: "\
Usage: rbpftool feature probe [COMPONENT] [full] [unprivileged] [macros [prefix PREFIX]]
       rbpftool feature list_builtins GROUP
       rbpftool feature help

       COMPONENT := { kernel | dev NAME }
       GROUP := { prog_types | map_types | attach_types | link_types | helpers }
       OPTIONS := { {-j|--json} [{-p|--pretty}] | {-d|--debug} }
",
};

/// `feature probe [kernel | dev NAME] [full] [unprivileged] [macros [prefix PREFIX]]`
fn probe(context: &mut Context<'_, '_>, words: Words<'_>) -> Result<()> {
    let args = args::ProbeArgs::parse(words)?;
    let (mut view, unknown) = if args.unprivileged {
        privilege::without(|| gather::probe(&args))?
    } else {
        privilege::required()?;
        gather::probe(&args)
    };
    // a program that knows bpftool's keys may want them and no others, as the kernel's own test
    if !args.full {
        view.unknown.clear();
    }
    let output = &mut *context.output;
    match &args.macros {
        Some(prefix) if !output.is_json() => macros::write(&view, prefix, output.text())?,
        _ => output.show(&view)?,
    }
    for remark in unknown {
        if context.options.debug {
            context.debug(remark);
        } else {
            context.output.news(remark);
        }
    }
    Ok(())
}
