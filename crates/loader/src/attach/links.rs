//! Several attachments that belong together.

use super::{AttachError, Link};

/// Links that are detached together, the last one first. Attaching several things through one of
/// these undoes the earlier ones when a later one fails.
#[derive(Debug, Default)]
pub struct Links(Vec<Link>);

impl Links {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes charge of a link.
    pub fn push(&mut self, link: Link) {
        self.0.push(link);
    }

    /// The links in the order in which they were made.
    pub fn iter(&self) -> std::slice::Iter<'_, Link> {
        self.0.iter()
    }

    /// The links, to pin or update them.
    pub fn iter_mut(&mut self) -> std::slice::IterMut<'_, Link> {
        self.0.iter_mut()
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Gives the links away.
    #[must_use]
    pub fn take(mut self) -> Vec<Link> {
        std::mem::take(&mut self.0)
    }

    /// Detaches all, and says what went wrong first.
    ///
    /// # Errors
    /// One of them cannot be detached; the others are.
    pub fn detach(mut self) -> Result<(), AttachError> {
        let mut first = Ok(());
        while let Some(link) = self.0.pop() {
            let detached = link.detach();
            if first.is_ok() {
                first = detached;
            }
        }
        first
    }

    /// Leaves all of them attached.
    pub fn forget(mut self) {
        std::mem::take(&mut self.0)
            .into_iter()
            .for_each(Link::forget);
    }
}

impl Drop for Links {
    fn drop(&mut self) {
        while self.0.pop().is_some() {}
    }
}

impl<'a> IntoIterator for &'a Links {
    type Item = &'a Link;
    type IntoIter = std::slice::Iter<'a, Link>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
