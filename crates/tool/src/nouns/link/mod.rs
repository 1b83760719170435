//! `link`: what holds programs to their hooks.

pub mod act;
mod fdinfo;
pub mod gather;
pub mod perf;
pub mod text;
pub mod view;

#[cfg(test)]
mod tests;

use crate::command::{Command, Context, Noun};
use crate::failure::Result;
use crate::handle;
use crate::words::Words;

/// The commands of `link`; prefixes find the first that fits.
pub static NOUN: Noun = Noun {
    name: "link",
    commands: &[
        Command::new("show", show),
        Command::new("list", show),
        Command::new("help", crate::nouns::help::of_noun),
        Command::new("pin", act::pin),
        Command::new("detach", act::detach),
    ],
    usage: "\
Usage: rbpftool link { show | list } [LINK]
       rbpftool link pin LINK FILE
       rbpftool link detach LINK
       rbpftool link help

       LINK    := { id LINK_ID | pinned FILE }
       OPTIONS := { {-j|--json} [{-p|--pretty}] | {-d|--debug} | {-f|--bpffs} }
",
};

fn show(context: &mut Context<'_, '_>, mut words: Words<'_>) -> Result<()> {
    let link = match words.len() {
        0 => None,
        2 => Some(handle::open_link(&mut words)?),
        _ => return words.end(),
    };
    let (kernel, with_pins) = (context.kernel, context.options.bpffs);
    let output = &mut *context.output;
    let Some(link) = link else {
        let views = gather::gather(kernel, with_pins, gather::all())?;
        output.show_all(&views)?;
        if views.is_empty() {
            output.remark("no BPF links exist");
        }
        return Ok(());
    };
    output.show_selected(&gather::gather(kernel, with_pins, [Ok(link)])?)
}
