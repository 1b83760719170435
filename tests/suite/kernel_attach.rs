//! Programs attached by the loader: seen to run where they should, shown by
//! the tool, and gone afterwards.

#[path = "kernel_attach/commands.rs"]
mod commands;
#[path = "kernel_attach/cookies.rs"]
mod cookies;
#[path = "kernel_attach/events.rs"]
mod events;
#[path = "kernel_attach/forms.rs"]
mod forms;
#[path = "kernel_attach/many.rs"]
mod many;
#[path = "kernel_attach/objects.rs"]
mod objects;
#[path = "kernel_attach/probes.rs"]
mod probes;
#[path = "kernel_attach/profile.rs"]
mod profile;
#[path = "kernel_attach/support.rs"]
mod support;
#[path = "kernel_attach/walks.rs"]
mod walks;

use std::process::ExitCode;

use rbpftool_tests::{Place, Suite};
use support::Bench;

fn main() -> ExitCode {
    let place = Place::enter();
    let suite = Suite::new("kernel_attach").serial();
    let mut bench = Bench { suite, place };
    forms::add(&mut bench);
    cookies::add(&mut bench);
    probes::add(&mut bench);
    many::add(&mut bench);
    events::add(&mut bench);
    objects::add(&mut bench);
    profile::add(&mut bench);
    walks::add(&mut bench);
    commands::add(&mut bench);
    bench.suite.run()
}
