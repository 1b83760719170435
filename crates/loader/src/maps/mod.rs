//! What is in maps: records, elements, variables.
//!
//! - [`RingBuffer`], [`RingBuffers`], [`UserRingBuffer`], [`PerfBuffer`]: records that programs
//!   write or read. All of them have a descriptor to wait for (`AsFd`) in any event loop; see the
//!   examples `ringbuf_epoll` and `ringbuf_tokio`.
//! - [`TypedMap`], [`PerCpuMap`], [`Queue`], [`BloomFilter`]: elements as values of types;
//!   [`Entries`] as bytes.
//! - [`Globals`], [`Arena`]: variables in memory that is shared with programs.
//!
//! Everything here works on any open map, whoever has loaded it. All shared memory is taken to be
//! hostile: it is read and written by bounded atomic copies
//! ([`Mapping`](bpfsys::sys::mmap::Mapping)), and what is found there is checked before it leads
//! anywhere ([`protocol`]).

mod arena;
mod entries;
mod error;
mod globals;
mod memory;
mod per_cpu;
mod perf_buffer;
mod perf_event;
pub mod protocol;
mod queue;
mod record;
mod ringbuf;
mod ringbufs;
mod typed;
mod user_ringbuf;
mod wait;

pub use arena::Arena;
pub use entries::{Entries, Entry, WalkError};
pub use error::{AccessCause, AccessError};
pub use globals::Globals;
pub(crate) use memory::Memory;
pub use memory::{Placed, Variable};
pub use per_cpu::{PerCpuMap, PerCpuValues};
pub use perf_buffer::{CpuBuffer, PerfBuffer, PerfBufferOptions, Wakeup};
pub use perf_event::PerfEvent;
pub use queue::{BloomFilter, Queue};
pub use record::Record;
pub use ringbuf::{Batch, Consumed, RingBuffer};
pub use ringbufs::RingBuffers;
pub use typed::{Iter, Plain, TypedMap};
pub use user_ringbuf::{Reservation, UserRingBuffer};
