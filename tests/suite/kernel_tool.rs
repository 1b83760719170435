//! The tool on the running kernel, as a person uses it: objects of every kind
//! made, shown, changed, pinned and found again, in text and JSON.

#[path = "kernel_tool/as_kernel.rs"]
mod as_kernel;
#[path = "kernel_tool/conduct.rs"]
mod conduct;
#[path = "kernel_tool/consume.rs"]
mod consume;
#[path = "kernel_tool/demo.rs"]
mod demo;
#[path = "kernel_tool/doctor.rs"]
mod doctor;
#[path = "kernel_tool/jited.rs"]
mod jited;
#[path = "kernel_tool/loads.rs"]
mod loads;
#[path = "kernel_tool/maps.rs"]
mod maps;
#[path = "kernel_tool/people.rs"]
mod people;
#[path = "kernel_tool/progs.rs"]
mod progs;
#[path = "kernel_tool/readme.rs"]
mod readme;
#[path = "kernel_tool/tool.rs"]
mod tool;

use std::process::ExitCode;

use anyhow::Result;
use rbpftool_tests::{Place, Private, Suite};

fn main() -> ExitCode {
    let place = Place::enter();
    let mut suite = Suite::new("kernel_tool").serial();
    maps::add(&mut suite, &place);
    progs::add(&mut suite, &place);
    jited::add(&mut suite, &place);
    people::add(&mut suite, &place);
    as_kernel::add(&mut suite, &place);
    conduct::add(&mut suite, &place);
    loads::add(&mut suite, &place);
    consume::add(&mut suite, &place);
    demo::add(&mut suite, &place);
    doctor::add(&mut suite, &place);
    add(&mut suite, "the_readme_tour", &place, readme::tour);
    add(&mut suite, "the_readme_begins", &place, readme::first);
    suite.run()
}

/// Adds a test that works in `place`.
fn add(
    suite: &mut Suite,
    name: impl Into<String>,
    place: &Place,
    test: impl FnOnce(&Private) -> Result<()> + Send + 'static,
) {
    suite.add(name, place.test(test));
}
