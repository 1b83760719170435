//! A target as it is described.

/// Facts that are given.
#[derive(Clone, Debug, Default)]
pub struct Described {}
