//! The tool on the running kernel, as a person uses it: objects of every kind
//! made, shown, changed, pinned and found again, in text and JSON.

#[path = "kernel_tool/conduct.rs"]
mod conduct;
#[path = "kernel_tool/loads.rs"]
mod loads;
#[path = "kernel_tool/maps.rs"]
mod maps;
#[path = "kernel_tool/progs.rs"]
mod progs;
#[path = "kernel_tool/readme.rs"]
mod readme;
#[path = "kernel_tool/tool.rs"]
mod tool;

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Result;
use rbpftool_tests::{Private, Suite, skip};

fn main() -> ExitCode {
    // Where there is no privilege, each test is skipped by itself and counted.
    let private = Private::enter().map(Arc::new).map_err(|e| format!("{e:#}"));
    let mut suite = Suite::new("kernel_tool").serial();
    maps::add(&mut suite, &private);
    progs::add(&mut suite, &private);
    conduct::add(&mut suite, &private);
    loads::add(&mut suite, &private);
    add(&mut suite, "the_readme_tour", &private, readme::tour);
    suite.run()
}

/// A place to work in, or why there is none.
type Place = Result<Arc<Private>, String>;

/// Adds a test that works in `place`.
fn add(
    suite: &mut Suite,
    name: impl Into<String>,
    place: &Place,
    test: impl FnOnce(&Private) -> Result<()> + Send + 'static,
) {
    let place = place.clone();
    suite.add(name, move || match place {
        Ok(private) => test(&private),
        Err(reason) => Err(skip(reason)),
    });
}
