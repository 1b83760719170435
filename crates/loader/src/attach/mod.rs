//! Descriptors to links: programs begin to run.
//!
//! One type for each mechanism, built alike: what it attaches to in `new`, the rest as setters,
//! and `attach` with a program, which gives a [`Link`]. Dropping the link detaches.
//!
//! ```no_run
//! use loader::attach::RawTracepoint;
//! use loader::kernel::LoadOptions;
//!
//! let loaded = loader::open("counter.bpf.o".as_ref())?.load(&LoadOptions::new())?;
//! let program = loaded.program("on_switch").and_then(|program| program.fd());
//! let program = program.ok_or("no such program")?;
//! let mut link = RawTracepoint::new("sched_switch").cookie(7).attach(program)?;
//! link.pin("/sys/fs/bpf/on_switch".as_ref())?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod error;
mod iter;
mod link;
mod links;
pub mod perf;
mod raw_tracepoint;
mod tracing;

pub use error::AttachError;
pub use iter::Iter;
pub use link::{Link, Part};
pub use links::Links;
pub use perf::{PerfForm, ProbeForm};
pub use raw_tracepoint::RawTracepoint;
pub use tracing::Tracing;
