//! The kernel's interface as data: structures, constants and names, no behaviour.

pub mod attr;
pub mod enums;
pub mod flags;
pub mod helpers;
pub mod info;
pub mod perf;
pub mod ptr;
pub mod skeleton;

pub use ptr::UserPtr;
