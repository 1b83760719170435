//! Patterns for names.

use crate::attach::glob;

/// A pattern: `*` stands for any bytes, `?` for one, everything else for itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Glob(String);

impl Glob {
    /// A pattern from its text.
    pub fn new(pattern: impl Into<String>) -> Self {
        Self(pattern.into())
    }

    /// The pattern as text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }

    /// Whether the whole of a name fits.
    #[must_use]
    pub fn fits(&self, name: &[u8]) -> bool {
        glob::matches(self.0.as_bytes(), name)
    }
}
