//! `gen`: files made of BPF objects.

mod min_core_btf;
mod object;

use crate::command::{Command, Noun};

/// The commands of `gen`; prefixes find the first that fits.
pub static NOUN: Noun = Noun {
    name: "gen",
    commands: &[
        Command::new("object", object::run),
        Command::missing("skeleton"),
        Command::missing("subskeleton"),
        Command::new("min_core_btf", min_core_btf::run),
        Command::new("help", crate::nouns::help::of_noun),
    ],
    usage: "\
Usage: rbpftool gen object OUTPUT_FILE INPUT_FILE [INPUT_FILE...]
       rbpftool gen min_core_btf INPUT OUTPUT OBJECT [OBJECT...]
       rbpftool gen help

       OPTIONS := { {-j|--json} [{-p|--pretty}] | {-d|--debug} }
",
};
