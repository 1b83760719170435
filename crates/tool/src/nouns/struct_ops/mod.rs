//! `struct_ops`: maps of functions that the kernel calls in place of its own.

pub mod act;
pub mod dump;
pub mod gather;
mod register;
mod text;
pub mod view;

use bpfsys::uapi::flags::MapFlags;

use crate::command::{Command, Context, Noun};
use crate::failure::{Failure, Result};
use crate::words::{Words, shown};

use gather::Selection;

/// The commands of `struct_ops`; prefixes find the first that fits.
pub static NOUN: Noun = Noun {
    name: "struct_ops",
    commands: &[
        Command::new("show", show),
        Command::new("list", show),
        Command::new("register", register::run),
        Command::new("unregister", act::unregister),
        Command::new("dump", dump::run),
        Command::new("help", crate::nouns::help::of_noun),
    ],
    usage: "\
Usage: rbpftool struct_ops { show | list } [STRUCT_OPS_MAP]
       rbpftool struct_ops dump [STRUCT_OPS_MAP]
       rbpftool struct_ops register OBJ [LINK_DIR]
       rbpftool struct_ops unregister STRUCT_OPS_MAP
       rbpftool struct_ops help

       STRUCT_OPS_MAP := { id STRUCT_OPS_MAP_ID | name STRUCT_OPS_MAP_NAME }
       OPTIONS := { {-j|--json} [{-p|--pretty}] | {-d|--debug} }
",
};

/// Reads which maps are meant: all of them where no word is left.
fn selection(words: &mut Words<'_>) -> Result<Selection> {
    if words.is_empty() {
        return Ok(Selection::All);
    }
    if !matches!(words.len(), 2) {
        return Err(Failure::usage(format_args!(
            "'id' or 'name' and one word behind it are expected, got {} words",
            words.len()
        )));
    }
    if words.accept("id") {
        let word = words.take("an id")?;
        let id = crate::words::parse_number(word, 0).and_then(|id| u32::try_from(id).ok());
        id.filter(|id| *id != 0)
            .map(Selection::Id)
            .ok_or_else(|| Failure::new(format_args!("invalid id {}", shown(word))))
    } else if words.accept("name") {
        use std::os::unix::ffi::OsStrExt;
        Ok(Selection::Name(words.take("a name")?.as_bytes().to_vec()))
    } else {
        Err(Failure::usage(format_args!(
            "expected 'id' or 'name', got: '{}'?",
            words.peek().map(shown).unwrap_or(shown("".as_ref()))
        )))
    }
}

/// `struct_ops { show | list } [STRUCT_OPS_MAP]`
fn show(context: &mut Context<'_, '_>, mut words: Words<'_>) -> Result<()> {
    let maps = selection(&mut words)?.open(MapFlags::RDONLY)?;
    let views = gather::views(&maps)?;
    context.output.show_all(&views)
}
