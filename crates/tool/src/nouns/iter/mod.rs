//! `iter`: programs that walk over what the kernel has, and what they print.

mod act;

use crate::command::{Command, Noun};

/// The commands of `iter`; prefixes find the first that fits.
pub static NOUN: Noun = Noun {
    name: "iter",
    commands: &[
        Command::new("help", crate::nouns::help::of_noun),
        Command::new("pin", act::pin),
        // bpftool's come first, so that they are shortened alike
        Command::new("cat", act::cat),
    ],
    usage: "\
Usage: rbpftool iter pin OBJ PATH [map MAP]
       rbpftool iter cat { OBJ | PATH } [map MAP]
       rbpftool iter help

       MAP := { id MAP_ID | name MAP_NAME | pinned FILE }
       OPTIONS := { {-j|--json} [{-p|--pretty}] | {-d|--debug} }
",
};
