//! User ring buffers: records that this process writes and programs read.

use super::error::{AccessCause, AccessError, Named};
use super::protocol::ring::HEADER;
use super::protocol::user_ring::{Reserved, Words, commit, reserve};
use super::ringbuf::{damaged, map_pages};
use super::wait::{Waiter, remaining};
use bpfsys::sys::mmap::{Access, Mapping, page_size};
use bpfsys::{MapFd, MapType};
use core::fmt;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use zerocopy::{Immutable, IntoBytes};

/// The writing end of a map of type `user_ringbuf`. Since Linux 6.1.
///
/// Any thread may reserve records, and several may be open at once; programs get them in the order
/// in which they were reserved, when they drain the map. Only one process should write.
///
/// ```no_run
/// use loader::maps::UserRingBuffer;
/// # fn example(map: &bpfsys::MapFd) -> Result<(), loader::maps::AccessError> {
/// let ring = UserRingBuffer::new(map)?;
/// if let Some(record) = ring.reserve(8)? {
///     record.write(0, &7_u64);
///     record.submit();
/// }
/// # Ok(())
/// # }
/// ```
#[doc(alias = "BPF_MAP_TYPE_USER_RINGBUF")]
#[doc(alias = "user_ring_buffer__new")]
pub struct UserRingBuffer {
    named: Named,
    memory: Memory,
    turn: Mutex<()>,
}

/// What is mapped: the consumer's page, to read; the producer's page and the data, twice in a row.
struct Memory {
    consumer: Mapping,
    producer: Mapping,
    size: u64,
    page: usize,
}

impl Memory {
    fn offset(&self, position: u64) -> usize {
        // The size is that of a mapping, so what is below it is an offset of one.
        let at = position & self.size.wrapping_sub(1);
        usize::try_from(at).map_or(usize::MAX, |at| self.page.saturating_add(at))
    }
}

impl Words for Memory {
    fn consumer(&self) -> u64 {
        self.consumer.load_u64(0).unwrap_or(0)
    }

    fn producer(&self) -> u64 {
        self.producer.load_u64(0).unwrap_or(0)
    }

    fn set_producer(&self, position: u64) {
        // Mapped for writing, and a page has a first word.
        let _stored = self.producer.store_u64(0, position);
    }

    fn set_header(&self, position: u64, header: u32) {
        // Positions are multiples of 8, so there is one.
        let _stored = self.producer.store_u32(self.offset(position), header);
    }
}

impl UserRingBuffer {
    /// Maps a user ring buffer. The map's descriptor is duplicated.
    ///
    /// # Errors
    /// The map is no user ring buffer, or cannot be mapped.
    pub fn new(map: &MapFd) -> Result<Self, AccessError> {
        let named = Named::duplicate(map)?;
        named.require(MapType::USER_RINGBUF, "user ring buffer")?;
        let (consumer, producer) = map_pages(&named, Access::Read, Access::ReadWrite)?;
        let size = u64::from(named.info.max_entries);
        Ok(Self {
            named,
            memory: Memory {
                consumer,
                producer,
                size,
                page: page_size(),
            },
            turn: Mutex::new(()),
        })
    }

    /// Reserves room for a record of `len` bytes; none while the buffer is too full.
    ///
    /// # Errors
    /// The record is larger than the buffer, or what is in the shared memory is none of a ring
    /// buffer.
    #[doc(alias = "user_ring_buffer__reserve")]
    pub fn reserve(&self, len: u32) -> Result<Option<Reservation<'_>>, AccessError> {
        let turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let reserved = reserve(&self.memory, self.memory.size, len);
        drop(turn);
        match reserved {
            Ok(Reserved::At(position)) => Ok(Some(Reservation {
                ring: self,
                position,
                len,
                done: false,
            })),
            Ok(Reserved::Full) => Ok(None),
            Ok(Reserved::TooLong) => Err(AccessError::new(
                &self.named.name,
                AccessCause::Unsuited("a record is larger than it"),
            )),
            Err(damage) => Err(damaged(&self.named.name, damage)),
        }
    }

    /// Reserves room, waiting for programs to make some; none when the time is up. `None` waits
    /// for ever.
    ///
    /// Programs that drain with `BPF_RB_NO_WAKEUP` wake nobody.
    ///
    /// # Errors
    /// As [`reserve`](Self::reserve).
    #[doc(alias = "user_ring_buffer__reserve_blocking")]
    pub fn reserve_blocking(
        &self,
        len: u32,
        timeout: Option<Duration>,
    ) -> Result<Option<Reservation<'_>>, AccessError> {
        let start = Instant::now();
        let mut waiter = None;
        loop {
            if let Some(reservation) = self.reserve(len)? {
                return Ok(Some(reservation));
            }
            let left = remaining(start, timeout);
            if left.is_some_and(|left| left.is_zero()) {
                return Ok(None);
            }
            // Edges only: with some room, but not enough, the map is writable all the time. Of
            // what came before the first wait it tells once, so nothing is missed.
            let waiter = match &mut waiter {
                Some(waiter) => waiter,
                none => none.insert(self.waiter()?),
            };
            let waited = waiter.wait(left).map(Iterator::count);
            waited.map_err(self.named.sys("wait for room"))?;
        }
    }

    fn waiter(&self) -> Result<Waiter, AccessError> {
        let mut waiter = Waiter::new().map_err(self.named.sys("prepare to wait"))?;
        waiter
            .add_writable_edges(&self.named.map, 0)
            .map_err(self.named.sys("wait for room"))?;
        Ok(waiter)
    }

    /// Bytes that it holds, headers included.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.memory.size
    }

    /// Bytes that programs have consumed since it was made.
    #[must_use]
    pub fn consumer_position(&self) -> u64 {
        self.memory.consumer()
    }

    /// Bytes that were reserved since it was made.
    #[must_use]
    pub fn producer_position(&self) -> u64 {
        self.memory.producer()
    }
}

impl AsFd for UserRingBuffer {
    /// The map: writable while there is any room.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.named.map.as_fd()
    }
}

impl fmt::Debug for UserRingBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserRingBuffer")
            .field("map", &self.named.name)
            .field("size", &self.size())
            .field("consumer_position", &self.consumer_position())
            .field("producer_position", &self.producer_position())
            .finish_non_exhaustive()
    }
}

/// Room for a record that programs do not see yet. They wait for it at this place, so records
/// reserved later are not seen either. Dropping it discards it.
#[derive(Debug)]
#[must_use = "a reservation that is dropped is discarded"]
pub struct Reservation<'r> {
    ring: &'r UserRingBuffer,
    position: u64,
    len: u32,
    done: bool,
}

impl Reservation<'_> {
    /// Bytes of the record.
    #[must_use]
    pub fn len(&self) -> usize {
        usize::try_from(self.len).unwrap_or(0)
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Writes bytes or a value at `offset`; whether there was room for all of it, and nothing is
    /// written otherwise. What is not written holds what was there before.
    pub fn write<T: IntoBytes + Immutable + ?Sized>(&self, offset: usize, value: &T) -> bool {
        let bytes = value.as_bytes();
        let end = offset.checked_add(bytes.len());
        if end.is_none_or(|end| end > self.len()) {
            return false;
        }
        let memory = &self.ring.memory;
        // The data is there twice, so that no record is in two pieces.
        let start = memory.offset(self.position.wrapping_add(HEADER));
        let at = start.checked_add(offset);
        at.and_then(|at| memory.producer.write(at, bytes)).is_some()
    }

    /// Hands the record over.
    #[doc(alias = "user_ring_buffer__submit")]
    pub fn submit(mut self) {
        self.finish(false);
    }

    /// Has the record skipped.
    #[doc(alias = "user_ring_buffer__discard")]
    pub fn discard(mut self) {
        self.finish(true);
    }

    fn finish(&mut self, discard: bool) {
        self.done = true;
        commit(&self.ring.memory, self.position, self.len, discard);
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        if !self.done {
            self.finish(true);
        }
    }
}
