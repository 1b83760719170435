//! What can go wrong with facts.

/// A fact that could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TargetError {}
