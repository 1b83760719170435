//! Smoke tests against the running kernel. They make objects nobody else sees and leave nothing
//! behind; without the privilege they say so and pass.

mod maps;
mod progs;

use crate::cmd::MapCreate;
use crate::error::ErrorKind;
use crate::uapi::enums::MapType;

/// Whether this process may use BPF here. Prints why not.
pub(crate) fn permitted() -> bool {
    match MapCreate::new(MapType::ARRAY, 4, 8, 1).run() {
        Ok(_map) => true,
        Err(error) if matches!(error.kind(), ErrorKind::Denied | ErrorKind::Unsupported) => {
            skip(&error.to_string());
            false
        }
        Err(error) => panic!("{error}"),
    }
}

/// Says that a test, or the rest of it, does not run and why. With `RBPF_STRICT=1` that is a
/// failure.
fn skip(reason: &str) {
    let name = std::thread::current()
        .name()
        .unwrap_or("kernel test")
        .to_owned();
    eprintln!("SKIP {name}: {reason}");
    assert!(
        std::env::var_os("RBPF_STRICT").is_none_or(|value| value != "1"),
        "skipped: {reason}"
    );
}

/// Returns from a test that needs BPF where there is none.
macro_rules! require_bpf {
    () => {
        if !crate::tests::kernel::permitted() {
            return;
        }
    };
}
pub(crate) use require_bpf;
