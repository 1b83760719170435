//! Asking with privileges, or without.

use bpfsys::probe;
use rustix::thread::{CapabilitySet, capabilities, set_capabilities};

use crate::failure::{Failure, Result};

/// What bpf() may ask for, by name.
const BPF: [(CapabilitySet, &str); 4] = [
    (CapabilitySet::SYS_ADMIN, "CAP_SYS_ADMIN"),
    (CapabilitySet::BPF, "CAP_BPF"),
    (CapabilitySet::NET_ADMIN, "CAP_NET_ADMIN"),
    (CapabilitySet::PERFMON, "CAP_PERFMON"),
];

/// Fails where the kernel would answer for want of privileges only.
pub(super) fn required() -> Result<()> {
    let has = capabilities(None)
        .map_err(|errno| Failure::because("can't ask for own capabilities", errno))?
        .effective;
    if has.contains(CapabilitySet::SYS_ADMIN) {
        return Ok(());
    }
    let missing: Vec<_> = BPF
        .iter()
        .filter(|(capability, _)| !has.contains(*capability))
        .map(|(_, name)| *name)
        .collect();
    // the others together do what CAP_SYS_ADMIN does
    if missing.len() <= 1 {
        return Ok(());
    }
    Err(Failure::new(format_args!(
        "missing {}, required for full feature probing",
        missing.join(", ")
    ))
    .with_hint("run as root, or ask what is left without privileges: 'feature probe unprivileged'"))
}

/// Runs `ask` without the privileges that bpf() knows, in a thread of its own: they belong to
/// threads, and later commands need them again.
pub(super) fn without<R: Send>(ask: impl FnOnce() -> R + Send) -> Result<R> {
    let run = || {
        let mut sets = capabilities(None)?;
        for (capability, _) in BPF {
            sets.effective.remove(capability);
        }
        set_capabilities(None, sets)?;
        // answers that came with privileges are others
        probe::forget();
        let answer = ask();
        probe::forget();
        Ok(answer)
    };
    std::thread::scope(|scope| scope.spawn(run).join())
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        .map_err(|errno: rustix::io::Errno| Failure::because("can't drop privileges", errno))
}
