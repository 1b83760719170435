//! The tool on the running kernel, as a person uses it: objects of every kind
//! made, shown, changed, pinned and found again, in text and JSON.

#[path = "kernel_tool/conduct.rs"]
mod conduct;
#[path = "kernel_tool/maps.rs"]
mod maps;
#[path = "kernel_tool/progs.rs"]
mod progs;
#[path = "kernel_tool/tool.rs"]
mod tool;

use std::process::ExitCode;
use std::sync::Arc;

use rbpftool_tests::{Private, Suite};

fn main() -> ExitCode {
    let mut suite = Suite::new("kernel_tool").serial();
    let private = match Private::enter() {
        Ok(private) => Arc::new(private),
        Err(e) => {
            suite.add("everything", move || Err(e));
            return suite.run();
        }
    };
    maps::add(&mut suite, &private);
    progs::add(&mut suite, &private);
    conduct::add(&mut suite, &private);
    suite.run()
}
