//! What can go wrong between a program and its hook.

use crate::kernel::KernelError;
use crate::machine::Machine;
use crate::netlink::NetlinkError;
use crate::target::TargetError;
use bpfsys::{ProgType, SysError};
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
    /// The kernel refused, over netlink.
    #[error("cannot {what}")]
    Netlink {
        /// What was to be done.
        what: String,
        /// Its answer.
        source: NetlinkError,
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
    /// A name or pattern stands for several things where it must stand for one.
    #[error("there are {}{what} '{name}'", several(.count))]
    Ambiguous {
        /// What: `functions`.
        what: &'static str,
        /// The name.
        name: String,
        /// How many, where that is known.
        count: Option<usize>,
    },
    /// Events, probes and lists of functions are files of tracefs, which is not there.
    #[error("tracefs is not mounted")]
    NoTraceFs,
    /// A file of user space, or a place in it, was not found.
    #[error(transparent)]
    Binary(#[from] crate::symbols::BinaryError),
    /// The kernel cannot do it in any of the ways there are.
    #[error("this kernel cannot {what}")]
    Unsupported {
        /// What was to be done.
        what: String,
        /// What brings it.
        hint: Option<String>,
    },
    /// The kernel's types cannot be read.
    #[error("cannot look for functions in the kernel's types")]
    Types {
        /// Why not.
        source: Box<TargetError>,
    },
    /// What the load has made does not have it any more.
    #[error(transparent)]
    Loaded(Box<KernelError>),
    /// A program did not attach as its section says.
    #[error("cannot attach program '{program}' of section '{section}'")]
    Auto {
        /// The program.
        program: String,
        /// Its section.
        section: String,
        /// Why not.
        source: Box<Self>,
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
    /// The target is of another kind than programs of this type attach to.
    #[error("programs of type {prog_type} do not attach to {what}")]
    Misfit {
        /// The type.
        prog_type: ProgType,
        /// The target.
        what: String,
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

fn several(count: &Option<usize>) -> String {
    count.map_or("several ".to_owned(), |count| format!("{count} "))
}

impl AttachError {
    /// An answer of the kernel; `what` reads after "cannot".
    pub(crate) fn kernel(what: impl Into<String>, source: SysError) -> Self {
        Self::Kernel {
            what: what.into(),
            source,
        }
    }

    /// An answer of netlink; `what` reads after "cannot".
    pub(crate) fn netlink(what: impl Into<String>, source: NetlinkError) -> Self {
        Self::Netlink {
            what: what.into(),
            source,
        }
    }

    /// The kernel's answer, if it gave one.
    #[must_use]
    pub fn sys(&self) -> Option<SysError> {
        match self {
            Self::Kernel { source, .. } => Some(*source),
            Self::Netlink { source, .. } => source.sys(),
            Self::Auto { source, .. } => source.sys(),
            _ => None,
        }
    }

    /// What can be done about it, when that can be told from the settings of the machine. Reads
    /// them.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Kernel { source, .. } => Machine::ask().explain(source, ""),
            Self::Unsupported { hint, .. } => hint.clone(),
            Self::Auto { source, .. } => source.hint(),
            Self::Loaded(source) => source.hint(),
            Self::NoTraceFs => Some("mount -t tracefs tracefs /sys/kernel/tracing".into()),
            _ => None,
        }
    }
}
