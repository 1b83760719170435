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
use std::sync::Arc;

use bpfsys::{ProgType, probe};
use rbpftool_tests::{Private, Suite, requires, skip};

/// The suite being filled, and the place its tests work in.
pub(crate) struct Bench {
    suite: Suite,
    /// Or why there is none.
    private: Result<Arc<Private>, String>,
}

impl Bench {
    fn one(&mut self, name: &str, test: impl FnOnce() -> anyhow::Result<()> + Send + 'static) {
        let private = self.private.clone();
        self.suite.add(name, move || match private {
            Ok(_) => {
                requires!(
                    !probe::prog_type(ProgType::SYSCALL).is_no(),
                    "this kernel runs no loader programs (before Linux 5.14)"
                );
                test()
            }
            Err(reason) => Err(skip(reason)),
        });
    }
}

fn main() -> ExitCode {
    let private = Private::enter().map(Arc::new).map_err(|e| format!("{e:#}"));
    let suite = Suite::new("kernel_light").serial();
    let mut bench = Bench { suite, private };
    running::add(&mut bench);
    compare::add(&mut bench);
    signed::add(&mut bench);
    bench.suite.run()
}
