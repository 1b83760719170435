//! Loader programs on the running kernel: what ours make is what libbpf's make, and signed ones
//! are verified.

#[path = "kernel_light/compare.rs"]
mod compare;
#[path = "kernel_light/objects.rs"]
mod objects;
#[path = "kernel_light/running.rs"]
mod running;
#[path = "kernel_light/signed.rs"]
mod signed;
#[path = "kernel_light/skeleton.rs"]
mod skeleton;

use std::process::ExitCode;

use bpfsys::{ProgType, probe};
use rbpftool_tests::{Place, Suite, requires};

/// The suite being filled, and the place its tests work in.
pub(crate) struct Bench {
    suite: Suite,
    place: Place,
}

impl Bench {
    fn one(&mut self, name: &str, test: impl FnOnce() -> anyhow::Result<()> + Send + 'static) {
        let test = self.place.test(move |_| {
            requires!(
                !probe::prog_type(ProgType::SYSCALL).is_no(),
                "this kernel runs no loader programs (before Linux 5.14)"
            );
            test()
        });
        self.suite.add(name, test);
    }
}

fn main() -> ExitCode {
    let place = Place::enter();
    let suite = Suite::new("kernel_light").serial();
    let mut bench = Bench { suite, place };
    running::add(&mut bench);
    compare::add(&mut bench);
    signed::add(&mut bench);
    bench.suite.run()
}
