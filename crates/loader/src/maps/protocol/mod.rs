//! What the kernel and user space say to each other through the words of shared buffers, apart
//! from the memory that the words are in.
//!
//! Everything here is generic over a trait of word accesses. The buffers of this crate implement
//! it over mappings; the tests over a model of the kernel's half, and over the atomics of `loom`,
//! which tries every order in which the two halves can run and every value that a load may see.
//!
//! All words come from others: positions and lengths are checked against each other before
//! anything is read by them, and each step moves on by at least 8 bytes, so nothing that is found
//! in memory can lead outside of it or keep a walk from ending once nobody writes any more.

pub mod perf;
pub mod ring;
pub mod user_ring;

#[cfg(test)]
mod loom;
#[cfg(test)]
mod model;

/// What is wrong with the words of a buffer, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The position: bytes written before.
    pub position: u64,
    /// What is wrong.
    pub what: &'static str,
}

impl Damage {
    const fn new(position: u64, what: &'static str) -> Self {
        Self { position, what }
    }
}
