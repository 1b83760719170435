//! `map`: maps and what is in them.

pub mod args;
pub mod create;
pub mod dump;
pub mod element;
pub mod entries;
pub mod event_pipe;
pub mod gather;
pub mod render;
mod text;
pub mod types;
pub mod view;

use bpfsys::uapi::flags::MapFlags;

use crate::command::{Command, Context, Noun};
use crate::failure::Result;
use crate::handle::MapHandle;
use crate::words::Words;

/// The commands of `map`; prefixes find the first that fits.
pub static NOUN: Noun = Noun {
    name: "map",
    commands: &[
        Command::new("show", show),
        Command::new("list", show),
        Command::new("help", crate::nouns::help::of_noun),
        Command::new("dump", dump::run),
        Command::new("update", element::update),
        Command::new("lookup", element::lookup),
        Command::new("getnext", element::getnext),
        Command::new("delete", element::delete),
        Command::new("pin", element::pin),
        Command::new("event_pipe", event_pipe::run),
        Command::new("create", create::run),
        Command::new("peek", element::lookup),
        Command::new("push", element::update),
        Command::new("enqueue", element::update),
        Command::new("pop", element::pop),
        Command::new("dequeue", element::pop),
        Command::new("freeze", element::freeze),
    ],
    usage: "\
Usage: rbpftool map { show | list }   [MAP]
       rbpftool map create     FILE type TYPE key KEY_SIZE value VALUE_SIZE \\
                                 entries MAX_ENTRIES name NAME [flags FLAGS] \\
                                 [inner_map MAP] [offload_dev NAME]
       rbpftool map dump       MAP
       rbpftool map update     MAP [key DATA] [value VALUE] [UPDATE_FLAGS]
       rbpftool map lookup     MAP [key DATA]
       rbpftool map getnext    MAP [key DATA]
       rbpftool map delete     MAP  key DATA
       rbpftool map pin        MAP  FILE
       rbpftool map event_pipe MAP [cpu N index M]
       rbpftool map peek       MAP
       rbpftool map push       MAP value VALUE
       rbpftool map pop        MAP
       rbpftool map enqueue    MAP value VALUE
       rbpftool map dequeue    MAP
       rbpftool map freeze     MAP
       rbpftool map help

       MAP  := { id MAP_ID | name MAP_NAME | pinned FILE }
       DATA := { [hex] BYTES }
       PROG := { id PROG_ID | tag PROG_TAG | name PROG_NAME | pinned FILE }
       VALUE := { DATA | MAP | PROG }
       UPDATE_FLAGS := { any | exist | noexist }
       OPTIONS := { {-j|--json} [{-p|--pretty}] | {-d|--debug} | {-f|--bpffs} }
",
};

fn show(context: &mut Context<'_, '_>, mut words: Words<'_>) -> Result<()> {
    let handle = match words.len() {
        0 => None,
        2 => Some(MapHandle::parse(&mut words)?),
        _ => return words.end(),
    };
    let (kernel, with_pins) = (context.kernel, context.options.bpffs);
    let output = &mut *context.output;
    let Some(handle) = handle else {
        let views = gather::gather(kernel, with_pins, gather::all)?;
        output.show_all(&views)?;
        if views.is_empty() {
            output.remark("no BPF maps exist");
        }
        return Ok(());
    };
    let maps = handle.open_all(MapFlags::RDONLY)?;
    let views = gather::gather(kernel, with_pins, || {
        gather::these(maps.into_iter().map(Ok))
    })?;
    output.show_selected(&views)
}
