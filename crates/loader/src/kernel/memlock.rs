//! The limit of locked memory, against which kernels before 5.11 count maps and programs.

use crate::target::{Feature, Target};
use nix::errno::Errno;
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, setrlimit};

/// Lifts the limit if `kernel` counts against it. Where only the soft limit can be raised, that
/// is.
///
/// # Errors
/// The limit cannot be raised; the load may succeed all the same.
pub(crate) fn raise(kernel: &dyn Target) -> Result<(), Errno> {
    let limit = Resource::RLIMIT_MEMLOCK;
    let (soft, hard) = getrlimit(limit)?;
    // The probe loads a program: where the limit is too low it says nothing.
    if soft == RLIM_INFINITY || kernel.has(Feature::MemcgAccounting).is_yes() {
        return Ok(());
    }
    match setrlimit(limit, RLIM_INFINITY, RLIM_INFINITY) {
        Err(Errno::EPERM) if soft < hard => setrlimit(limit, hard, hard),
        done => done,
    }
}
