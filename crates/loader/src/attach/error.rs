//! What can go wrong between a program and its hook.

use crate::kernel::{Machine, explain};
use bpfsys::SysError;
use std::io;
use std::path::PathBuf;

/// Something was not attached, or not detached.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AttachError {
    /// The kernel refused.
    #[error("cannot {what}")]
    Kernel {
        /// What was to be done: `attach to tracepoint sched/sched_switch`.
        what: String,
        /// Its answer.
        source: SysError,
    },
    /// A file that attaching goes through cannot be used.
    #[error("cannot {what}: {}", path.display())]
    File {
        /// What was to be done.
        what: String,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What a section or an option names does not have the form of a target.
    #[error("'{target}' is no {what}")]
    Form {
        /// The words.
        target: String,
        /// What was expected: `function and offset`.
        what: &'static str,
    },
    /// Nothing has the name.
    #[error("there is no {what} '{name}'")]
    Missing {
        /// What was looked for: `tracepoint`.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// Events, probes and lists of functions are files of tracefs, which is not there.
    #[error("tracefs is not mounted")]
    NoTraceFs,
    /// The kernel cannot do it in any of the ways there are.
    #[error("this kernel cannot {what}")]
    Unsupported {
        /// What was to be done.
        what: String,
        /// What brings it.
        hint: Option<String>,
    },
    /// Options that do not go together.
    #[error("{what}: {why}")]
    Options {
        /// What was to be attached to.
        what: String,
        /// Why not.
        why: &'static str,
    },
    /// The program is of a kind that attaches otherwise, or has no descriptor any more.
    #[error("program '{program}' {why}")]
    Program {
        /// The program.
        program: String,
        /// Why not.
        why: String,
    },
    /// It is attached, but not by something that can be pinned, updated or asked.
    #[error("{what} is attached without a link: it cannot be {action}")]
    NotALink {
        /// What.
        what: String,
        /// What was to be done with it: `pinned`.
        action: &'static str,
    },
}

impl AttachError {
    /// An answer of the kernel; `what` reads after "cannot".
    pub(crate) fn kernel(what: impl Into<String>, source: SysError) -> Self {
        Self::Kernel {
            what: what.into(),
            source,
        }
    }

    /// The kernel's answer, if it gave one.
    #[must_use]
    pub fn sys(&self) -> Option<SysError> {
        match self {
            Self::Kernel { source, .. } => Some(*source),
            _ => None,
        }
    }

    /// What can be done about it, when that can be told from the settings of the machine. Reads
    /// them.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Kernel { source, .. } => explain(source, "", &Machine::ask()),
            Self::Unsupported { hint, .. } => hint.clone(),
            Self::NoTraceFs => Some("mount -t tracefs tracefs /sys/kernel/tracing".into()),
            _ => None,
        }
    }
}
