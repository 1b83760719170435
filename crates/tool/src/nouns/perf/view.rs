//! What is said about programs behind descriptors of processes, in the order of the JSON keys.

use serde::Serialize;

use crate::nouns::NameOrNumber;
use crate::render::escape::Text;

/// A descriptor with a program behind it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "golden", derive(serde::Deserialize))]
pub struct PerfView {
    /// The process.
    pub pid: u32,
    /// Its descriptor.
    pub fd: u32,
    /// The program.
    pub prog_id: u32,
    /// What it is attached to: `kprobe`.
    pub fd_type: NameOrNumber,
    /// The place.
    #[serde(flatten)]
    pub place: Place,
}

/// Where a program is attached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "golden", derive(serde::Deserialize))]
#[serde(untagged)]
pub enum Place {
    /// A tracepoint.
    Tracepoint {
        /// Its name.
        tracepoint: Text,
    },
    /// A function of the kernel.
    Function {
        /// Its name.
        func: Text,
        /// Bytes from its begin.
        offset: u64,
    },
    /// An address in the kernel.
    Address {
        /// 0 where the kernel keeps it to itself.
        addr: u64,
    },
    /// An executable.
    File {
        /// Its path when it was attached.
        filename: Text,
        /// Bytes from its begin.
        offset: u64,
    },
    /// Nothing that this tool knows.
    Unknown {},
}
