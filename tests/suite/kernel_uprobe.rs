//! Probes of user space on the running kernel: programs are compiled, started, probed and seen to
//! be.

#[path = "kernel_uprobe/counter.rs"]
mod counter;
#[path = "kernel_uprobe/probes.rs"]
mod probes;
#[path = "kernel_uprobe/programs.rs"]
mod programs;
#[path = "kernel_uprobe/static_probes.rs"]
mod static_probes;
#[path = "kernel_uprobe/words.rs"]
mod words;

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use bpfsys::{ProgType, probe};
use rbpftool_tests::{Place, Private, Suite, requires};

/// The suite being filled, and the place its tests work in.
pub(crate) struct Bench {
    suite: Suite,
    place: Place,
}

impl Bench {
    fn one(
        &mut self,
        name: &str,
        test: impl FnOnce(&Private) -> anyhow::Result<()> + Send + 'static,
    ) {
        let test = self.place.test(move |private| {
            requires!(
                Path::new("/sys/bus/event_source/devices/uprobe").is_dir(),
                "this kernel has no user probes (CONFIG_UPROBES)"
            );
            requires!(
                !probe::prog_type(ProgType::KPROBE).is_no(),
                "this kernel has no programs for probes"
            );
            test(private)
        });
        self.suite.add(name, test);
    }
}

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    if args.next().is_some_and(|arg| arg == "--compile") {
        return compile(args.next());
    }
    let place = Place::enter();
    let suite = Suite::new("kernel_uprobe").serial();
    let mut bench = Bench { suite, place };
    probes::add(&mut bench);
    static_probes::add(&mut bench);
    words::add(&mut bench);
    bench.suite.run()
}

/// Makes the programs for machines without a compiler.
fn compile(dir: Option<std::ffi::OsString>) -> ExitCode {
    let Some(dir) = dir else {
        return ExitCode::FAILURE;
    };
    match programs::compile(Path::new(&dir)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            drop(writeln!(std::io::stderr(), "{e:#}"));
            ExitCode::FAILURE
        }
    }
}
