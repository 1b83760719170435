//! What can go wrong with facts.

use bpfsys::SysError;
use btf::BtfError;
use std::io;
use std::path::PathBuf;

/// A fact that could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TargetError {
    /// The kernel shows no types and no image of it is where images are.
    #[error(
        "the kernel has no types: there is no /sys/kernel/btf/vmlinux, and no image of linux \
         {release} with types was found"
    )]
    NoKernelBtf {
        /// The kernel's release, as `uname -r` says it.
        release: String,
        /// What was wrong with the images that were found.
        tried: Vec<(PathBuf, String)>,
    },
    /// A file could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is no ELF file that has types.
    #[error("{}: {why}", path.display())]
    NoBtfInFile {
        /// The file.
        path: PathBuf,
        /// What it lacks.
        why: String,
    },
    /// Types that make no sense.
    #[error("cannot understand the types of {what}")]
    Btf {
        /// Whose they are: a file, or a module.
        what: String,
        /// Why.
        source: BtfError,
    },
    /// The kernel did not say which modules have types, or what those are.
    #[error("cannot get the types of {what}")]
    ModuleBtf {
        /// Which: a module, or all.
        what: String,
        /// Why.
        source: SysError,
    },
    /// There is no record of how the kernel was configured.
    #[error(
        "the kernel's configuration is not known: neither {} nor /proc/config.gz can be read",
        boot.display()
    )]
    NoKconfig {
        /// The file in `/boot`.
        boot: PathBuf,
        /// What became of the last.
        source: io::Error,
    },
    /// A line about an option that was asked for makes no sense.
    #[error("{origin}, line {line}: '{text}' is no option with its value")]
    KconfigLine {
        /// The file, or what it is called.
        origin: String,
        /// The line's number, from 1.
        line: usize,
        /// The line.
        text: String,
    },
    /// The possible CPUs are not known.
    #[error("cannot tell how many cpus there may be")]
    Cpus(#[source] SysError),
    /// Something that a described target does not say.
    #[error("the target's description does not say: {0}")]
    NotDescribed(String),
}
