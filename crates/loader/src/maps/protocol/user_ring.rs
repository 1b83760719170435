//! The producer's half of a user ring buffer.
//!
//! The roles are those of a ring buffer, the other way round: user space reserves, and the kernel
//! consumes when a program drains the buffer. Programs take turns in doing so; producers have to
//! as well while they reserve, which the caller of [`reserve`] sees to.
//!
//! - Consumer position: acquire. The kernel has read what is below it, so it may be written.
//! - Header: written busy before the producer position moves (release), so that the kernel, which
//!   acquires the position, never finds an old header.
//! - Commit: the header without the busy bit (release), after the record's bytes; the kernel
//!   acquires it. Nobody is woken by it: a program that drains looks by itself.

use super::Damage;
use super::ring::{BUSY, DISCARD, room};

/// The words that a producer shares with the kernel.
pub trait Words {
    /// The consumer's position, acquired.
    fn consumer(&self) -> u64;
    /// The producer's position, acquired.
    fn producer(&self) -> u64;
    /// Moves the producer's position, released.
    fn set_producer(&self, position: u64);
    /// Writes the header at a position, released.
    fn set_header(&self, position: u64, header: u32);
}

/// What became of a wish for room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reserved {
    /// There is room; the header is at this position.
    At(u64),
    /// Not before the kernel has consumed more.
    Full,
    /// Never: it is larger than the buffer.
    TooLong,
}

/// Reserves room for a record of `len` bytes in a buffer of `size` bytes. Producers take turns.
///
/// # Errors
/// The positions are none of such a buffer.
pub fn reserve<W: Words>(words: &W, size: u64, len: u32) -> Result<Reserved, Damage> {
    if len & (BUSY | DISCARD) != 0 || room(len) > size {
        return Ok(Reserved::TooLong);
    }
    let consumer = words.consumer();
    let producer = words.producer();
    let used = producer.wrapping_sub(consumer);
    if !producer.is_multiple_of(8) || used > size {
        return Err(Damage::new(
            producer,
            "the producer's position is not ahead of the consumer's",
        ));
    }
    // `used` is not more than the size: no overflow.
    if size - used < room(len) {
        return Ok(Reserved::Full);
    }
    words.set_header(producer, len | BUSY);
    words.set_producer(producer.wrapping_add(room(len)));
    Ok(Reserved::At(producer))
}

/// Hands a reserved record over, or has it skipped.
pub fn commit<W: Words>(words: &W, position: u64, len: u32, discard: bool) {
    let bit = if discard { DISCARD } else { 0 };
    words.set_header(position, len | bit);
}
