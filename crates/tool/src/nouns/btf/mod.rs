//! `btf`: type information.

pub mod args;
pub mod dump;
pub mod gather;
pub mod json;
pub mod source;
mod stream;
mod text;
pub mod view;

#[cfg(test)]
mod tests;

use crate::command::{Command, Context, Noun};
use crate::failure::Result;
use crate::handle;
use crate::words::Words;

/// The commands of `btf`; prefixes find the first that fits.
pub static NOUN: Noun = Noun {
    name: "btf",
    commands: &[
        Command::new("show", show),
        Command::new("list", show),
        Command::new("help", crate::nouns::help::of_noun),
        Command::new("dump", dump::run),
    ],
    usage: "\
Usage: rbpftool btf { show | list } [id BTF_ID]
       rbpftool btf dump BTF_SRC [format FORMAT] [root_id ROOT_ID]...
       rbpftool btf help

       BTF_SRC := { id BTF_ID | prog PROG | map MAP [{key | value | kv | all}] |
                    file FILE }
       FORMAT  := { raw | c [unsorted] }
       MAP     := { id MAP_ID | name MAP_NAME | pinned FILE }
       PROG    := { id PROG_ID | tag PROG_TAG | name PROG_NAME | pinned FILE }
       OPTIONS := { {-j|--json} [{-p|--pretty}] | {-d|--debug} |
                    {-B|--base-btf FILE} }
",
};

fn show(context: &mut Context<'_, '_>, mut words: Words<'_>) -> Result<()> {
    let btf = match words.len() {
        0 => None,
        2 => Some(handle::open_btf(&mut words)?),
        _ => return words.end(),
    };
    let output = &mut *context.output;
    match btf {
        Some(btf) => output.show_selected(&gather::gather(context.kernel, [Ok(btf)])?),
        None => output.show_all(&gather::gather(context.kernel, gather::all())?),
    }
}
