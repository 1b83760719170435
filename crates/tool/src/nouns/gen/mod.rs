//! `gen`: files made of BPF objects.

mod min_core_btf;
mod object;
mod skeleton;

use crate::command::{Command, Noun};

/// The commands of `gen`; prefixes find the first that fits.
pub static NOUN: Noun = Noun {
    name: "gen",
    commands: &[
        Command::new("object", object::run),
        Command::new("skeleton", skeleton::run),
        Command::new("subskeleton", skeleton::run_sub),
        Command::new("min_core_btf", min_core_btf::run),
        Command::new("help", crate::nouns::help::of_noun),
    ],
    usage: "\
Usage: rbpftool gen object OUTPUT_FILE INPUT_FILE [INPUT_FILE...]
       rbpftool gen skeleton FILE [name OBJECT_NAME] [lang { c | rust }] [include PATH]
       rbpftool gen subskeleton FILE [name OBJECT_NAME]
       rbpftool gen min_core_btf INPUT OUTPUT OBJECT [OBJECT...]
       rbpftool gen help

       OPTIONS := { {-j|--json} [{-p|--pretty}] | {-d|--debug} | {-L|--use-loader} |
                    {-S|--sign} {-k KEY} {-i CERTIFICATE} | {-m|--mapcompat} |
                    {--lang c|rust} }
",
};
