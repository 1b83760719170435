//! What can go wrong with facts.

/// A fact that could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TargetError {
    /// Something that a described target does not say.
    #[error("the target's description does not say: {0}")]
    NotDescribed(String),
}
