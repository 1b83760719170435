//! Why an object gets no loader program.

use crate::relocate::PlanError;
use bpfsys::insn::asm::BuildError;

/// Why an object gets no loader program.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LightError {
    /// The object has a part that a loader program cannot make.
    #[error("{part}: {why}")]
    Unsupported {
        /// The part: ``map `counts` ``.
        part: String,
        /// What is the matter with it.
        why: &'static str,
    },
    /// A program needs something that makes no sense.
    #[error("program '{program}': {why}")]
    Broken {
        /// The program.
        program: String,
        /// What is wrong.
        why: String,
    },
    /// A section name and nobody else says what a program attaches to.
    #[error("program '{program}' needs a target to attach to and section '{section}' names none")]
    NoAttachTarget {
        /// The program.
        program: String,
        /// Its section.
        section: String,
    },
    /// The object makes no sense, or depends on a fact that is not known.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// More maps and programs than instructions can address.
    #[error("{maps} maps and {progs} programs are more than a loader program can handle")]
    TooMany {
        /// Maps.
        maps: usize,
        /// Programs.
        progs: usize,
    },
    /// More functions of modules in one program than a call can number.
    #[error("program '{program}' uses {count} symbols of the kernel, more than calls can number")]
    TooManySymbols {
        /// The program.
        program: String,
        /// How many.
        count: usize,
    },
    /// More data than a map's value can hold.
    #[error("the loader program's data would be longer than 2 GiB")]
    TooLong,
    /// Instructions that cannot be put together.
    #[error("the loader program cannot be put together")]
    Build(#[from] BuildError),
}
