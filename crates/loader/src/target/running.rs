//! The kernel this runs on.

/// The kernel this runs on.
#[derive(Debug, Default)]
pub struct Running {}
