//! What the running kernel supports, found out by asking it.
//!
//! Every probe asks for something small and tells from the answer whether the kernel knows it.
//! [`Support::No`] is only said for the answer a kernel without the feature gives; anything else,
//! above all a lack of privilege, is [`Support::Unknown`] with that answer, which callers must not
//! take for a no. Conclusive answers are kept for the life of the process, since they cannot
//! change; inconclusive ones are asked for again, since privileges can.
//!
//! Nothing is attached, and what is loaded is closed at once. Where a token is needed to load
//! anything, the functions whose names end in `_with` take it.

mod at_once;
mod attach;
mod btf;
mod command;
mod feature;
mod helper;
mod link;
mod map_type;
mod prog_type;
mod programs;
mod syscall_wrapper;
mod uprobe;

pub use at_once::at_once;
pub use attach::attach_type;
pub use btf::{btf_kind, btf_kind_with};
pub use command::command;
pub use feature::{FEATURES, Feature};
pub use helper::{helper, helper_with};
pub use link::link_type;
pub use map_type::map_type;
pub use prog_type::{prog_type, prog_type_with};
pub use syscall_wrapper::syscall_function;
pub use uprobe::ten_byte_nop;

use crate::error::{LoadError, SysError};
use core::fmt;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Whether the kernel supports something.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Support {
    /// It does.
    Yes,
    /// It does not: too old, or built without.
    No,
    /// It gave an answer that tells neither, mostly for want of privilege.
    Unknown(SysError),
}

impl Support {
    /// Whether it is known to be supported.
    #[must_use]
    pub fn is_yes(self) -> bool {
        self == Self::Yes
    }

    /// Whether it is known not to be supported.
    #[must_use]
    pub fn is_no(self) -> bool {
        self == Self::No
    }

    /// Success is a yes, one of the errors in `no` is a no, one of those in `yes` (given by
    /// kernels that know what was asked for and then refuse the rest of the request) a yes.
    fn judge<T, E: Into<SysError>>(result: Result<T, E>, yes: &[i32], no: &[i32]) -> Self {
        let error = match result {
            Ok(_) => return Self::Yes,
            Err(error) => error.into(),
        };
        match error.raw_os_error() {
            Some(raw) if yes.contains(&raw) => Self::Yes,
            Some(raw) if no.contains(&raw) => Self::No,
            _ => Self::Unknown(error),
        }
    }

    /// Success is a yes, `EINVAL` a no.
    fn of<T, E: Into<SysError>>(result: Result<T, E>) -> Self {
        Self::judge(result, &[], &[libc::EINVAL])
    }

    /// The first that is conclusive, else the last.
    fn or_else(self, other: impl FnOnce() -> Self) -> Self {
        match self {
            Self::Unknown(_) => other(),
            known => known,
        }
    }
}

impl fmt::Display for Support {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Yes => f.write_str("yes"),
            Self::No => f.write_str("no"),
            Self::Unknown(error) => write!(f, "unknown ({error})"),
        }
    }
}

impl From<LoadError> for SysError {
    fn from(error: LoadError) -> Self {
        error.sys()
    }
}

/// What a conclusive answer is about.
#[derive(PartialEq, Eq, Hash, Clone, Copy)]
enum Key {
    ProgType(u32),
    MapType(u32),
    AttachType(u32),
    LinkType(u32),
    Command(u32),
    BtfKind(u32),
    Helper(u32, u32),
    Feature(&'static str),
}

static ANSWERS: Mutex<Option<HashMap<Key, bool>>> = Mutex::new(None);

/// The answer kept for `key`, or that of the probe, kept when it is conclusive.
fn cached(key: Key, probe: impl FnOnce() -> Support) -> Support {
    let lookup = |answers: &Option<HashMap<Key, bool>>| answers.as_ref()?.get(&key).copied();
    // A poisoned map is still a map of answers. Not held while probing, so probes may nest.
    let known = lookup(&ANSWERS.lock().unwrap_or_else(PoisonError::into_inner));
    if let Some(yes) = known {
        return if yes { Support::Yes } else { Support::No };
    }
    let support = probe();
    if !matches!(support, Support::Unknown(_)) {
        keep(key, support.is_yes());
    }
    support
}

/// Forgets all answers: for callers whose privileges are about to change, since what a process
/// may do it is told it can.
pub fn forget() {
    *ANSWERS.lock().unwrap_or_else(PoisonError::into_inner) = None;
}

fn keep(key: Key, yes: bool) {
    let mut answers = ANSWERS.lock().unwrap_or_else(PoisonError::into_inner);
    answers.get_or_insert_default().insert(key, yes);
}

#[cfg(test)]
mod tests;
