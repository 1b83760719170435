//! `net`: programs on interfaces and on the other hooks of the network.

pub mod act;
pub mod args;
pub mod gather;
mod text;
pub mod view;

use crate::command::{Command, Context, Noun};
use crate::failure::{Failure, Result};
use crate::words::Words;

/// The commands of `net`; prefixes find the first that fits.
pub static NOUN: Noun = Noun {
    name: "net",
    commands: &[
        Command::new("show", show),
        Command::new("list", show),
        Command::new("attach", act::attach),
        Command::new("detach", act::detach),
        Command::new("help", crate::nouns::help::of_noun),
    ],
    usage: "\
Usage: rbpftool net { show | list } [dev NAME]
       rbpftool net attach ATTACH_TYPE PROG dev NAME [overwrite] [prepend]
                         [replace PROG] [{ before | after } PROG] [revision N]
                         [priority N] [handle N]
       rbpftool net detach ATTACH_TYPE dev NAME [PROG]
       rbpftool net help

       PROG := { id PROG_ID | tag PROG_TAG | name PROG_NAME | pinned FILE }
       ATTACH_TYPE := { xdp | xdpgeneric | xdpdrv | xdpoffload | tcx_ingress | tcx_egress |
                        netkit_primary | netkit_peer | clsact_ingress | clsact_egress }
       OPTIONS := { {-j|--json} [{-p|--pretty}] | {-d|--debug} }

       'overwrite' and 'replace' are for xdp; 'replace', 'prepend', 'before', 'after' and
       'revision' for tcx and netkit; 'priority' and 'handle' for clsact.
       Programs of cgroups are shown by 'rbpftool cgroup', those of sockets nowhere.
",
};

/// `net { show | list } [dev NAME]`
fn show(context: &mut Context<'_, '_>, mut words: Words<'_>) -> Result<()> {
    let only = match words.len() {
        0 => None,
        2 => Some(args::device(&mut words)?),
        count => {
            return Err(Failure::usage(format_args!(
                "'dev' and a name behind it are expected, got {count} word{}",
                if count == 1 { "" } else { "s" }
            )));
        }
    };
    context.output.show_all(&[gather::gather(only)?])
}
