//! Kernel objects for suites: maps of every type, programs of many, links,
//! BTF. All are held by what these functions return and gone with it.

pub mod links;
pub mod maps;
pub mod progs;
pub mod types;
pub mod world;

/// What the running kernel's BTF says that the kernel does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lacking(pub String);

impl std::fmt::Display for Lacking {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the kernel's BTF has no {}", self.0)
    }
}

impl std::error::Error for Lacking {}

/// The first kernel that has what could not be made; `(0, 0)` if every supported one has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needs(pub (u16, u16));

impl Needs {
    /// Is the running kernel older than that?
    #[must_use]
    pub fn newer(self) -> bool {
        bpfsys::KernelVersion::running().is_ok_and(|r| (r.major, r.minor) < self.0)
    }
}

impl std::fmt::Display for Needs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self((major, minor)) = self;
        if self.newer() {
            write!(f, "needs Linux {major}.{minor}")
        } else {
            f.write_str("refused")
        }
    }
}
