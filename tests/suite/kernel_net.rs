//! Programs attached to the network and to cgroups: each mechanism is attached, seen to run, shown
//! by the tool, changed and detached, after which nothing is left.

#[path = "kernel_net/cgroup.rs"]
mod cgroup;
#[path = "kernel_net/devices.rs"]
mod devices;
#[path = "kernel_net/links.rs"]
mod links;
#[path = "kernel_net/namespaces.rs"]
mod namespaces;
#[path = "kernel_net/sockets.rs"]
mod sockets;
#[path = "kernel_net/support.rs"]
mod support;
#[path = "kernel_net/tool.rs"]
mod tool;

use std::process::ExitCode;

use rbpftool_tests::{Place, Suite};

fn main() -> ExitCode {
    let place = Place::enter();
    let mut suite = Suite::new("kernel_net").serial();
    for tests in [
        devices::TESTS,
        cgroup::TESTS,
        namespaces::TESTS,
        sockets::TESTS,
        tool::TESTS,
        links::TESTS,
    ] {
        for (name, test) in tests {
            suite.add(*name, place.test(test));
        }
    }
    suite.run()
}
