//! A plan to descriptors.
//!
//! [`LoadPlan::load`](crate::relocate::LoadPlan::load) does everything;
//! [`LoadPlan::prepare`](crate::relocate::LoadPlan::prepare) stops before the programs. When
//! anything fails, every descriptor is closed and every pin removed that was made until then.

mod error;
mod hint;
mod loaded;
mod log_reading;
mod maps;
mod memlock;
mod options;
mod pins;
mod prepare;
mod programs;
mod token;

pub use error::{
    Cause, Difference, KernelError, MapMismatch, MapStep, Pinned, Position, ProgramError,
};
pub use loaded::{Loaded, LoadedMap, LoadedProgram};
pub use options::{LoadOptions, TokenSource};
pub use pins::NewPins;
pub use prepare::Prepared;

pub(crate) use maps::kernel_name;
pub(crate) use memlock::raise as raise_memlock;
