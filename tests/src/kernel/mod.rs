//! What a kernel must be able to do by its version and its configuration.

mod config;
mod judge;

pub use config::KernelConfig;
pub use judge::{Excuse, Fact, Judge, Need, Verdict};
