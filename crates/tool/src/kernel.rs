//! Where the commands find the kernel: what `gather` and `act` are given.

use std::path::{Path, PathBuf};

/// The four kinds of objects the kernel gives ids to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectKind {
    /// A program.
    Prog,
    /// A map.
    Map,
    /// A link.
    Link,
    /// A BTF object.
    Btf,
}

impl ObjectKind {
    /// The word for it, as bpftool says it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Prog => "prog",
            Self::Map => "map",
            Self::Link => "link",
            Self::Btf => "btf",
        }
    }
}

/// Handles on the machine: the file systems besides the bpf() call.
#[derive(Debug, Clone)]
pub struct Kernel {
    proc_root: PathBuf,
}

impl Default for Kernel {
    fn default() -> Self {
        Self {
            proc_root: "/proc".into(),
        }
    }
}

impl Kernel {
    /// A kernel whose procfs is mounted at `proc_root`; for tests.
    #[must_use]
    pub fn with_proc(proc_root: impl Into<PathBuf>) -> Self {
        Self {
            proc_root: proc_root.into(),
        }
    }

    /// Where procfs is.
    #[must_use]
    pub fn proc_root(&self) -> &Path {
        &self.proc_root
    }
}
