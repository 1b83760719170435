//! A model and a target to a plan.

mod plan;

pub use plan::*;
