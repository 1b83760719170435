//! Smoke tests against the running kernel. They make objects nobody else sees and leave nothing
//! behind; without the privilege they say so and pass.

mod maps;
mod progs;

use crate::cmd::MapCreate;
use crate::error::ErrorKind;
use crate::uapi::enums::MapType;

/// Whether this process may use BPF here. Prints why not.
fn permitted() -> bool {
    match MapCreate::new(MapType::ARRAY, 4, 8, 1).run() {
        Ok(_map) => true,
        Err(error) if matches!(error.kind(), ErrorKind::Denied | ErrorKind::Unsupported) => {
            skip(&error.to_string());
            false
        }
        Err(error) => panic!("{error}"),
    }
}

/// Says that a test does not run and why.
fn skip(reason: &str) {
    let name = std::thread::current()
        .name()
        .unwrap_or("kernel test")
        .to_owned();
    eprintln!("SKIP {name}: {reason}");
}

/// Returns from a test that needs BPF where there is none.
macro_rules! require_bpf {
    () => {
        if !super::permitted() {
            return;
        }
    };
}
use require_bpf;
