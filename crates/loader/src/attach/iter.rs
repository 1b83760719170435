//! Iterators: programs that walk something of the kernel and write what they find.

use super::{AttachError, Link};
use bpfsys::ProgFd;
use bpfsys::cmd::LinkCreate;
use bpfsys::cmd::link::{IterTargetSpec, LinkTarget};

/// What an iterator walks, where its kind leaves that open. Since Linux 5.8.
#[derive(Clone, Copy, Debug)]
#[doc(alias = "bpf_program__attach_iter")]
pub struct Iter<'a>(IterTargetSpec<'a>);

impl<'a> Iter<'a> {
    /// All there is.
    #[must_use]
    pub fn all() -> Self {
        Self(IterTargetSpec::All)
    }

    /// A map's elements, a cgroup, a task.
    #[must_use]
    pub fn over(target: IterTargetSpec<'a>) -> Self {
        Self(target)
    }

    /// Makes the link; each reader of it ([`IterCreate`](bpfsys::cmd::IterCreate)) walks anew.
    ///
    /// # Errors
    /// The program walks something else.
    pub fn attach(&self, prog: &ProgFd) -> Result<Link, AttachError> {
        match LinkCreate::new(prog, LinkTarget::Iter(self.0)).run() {
            Ok(link) => Ok(Link::new("iterator", link)),
            Err(source) => Err(AttachError::kernel("attach an iterator", source)),
        }
    }
}
