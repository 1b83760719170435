//! Several ring buffers, waited for together.

use super::error::AccessError;
use super::record::Record;
use super::ringbuf::{Consumed, RingBuffer};
use super::wait::Waiter;
use bpfsys::MapFd;
use core::ops::ControlFlow;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

/// Ring buffers that are waited for together, each known by its index.
///
/// ```no_run
/// use loader::maps::RingBuffers;
/// # fn example(opens: &bpfsys::MapFd, closes: &bpfsys::MapFd) -> Result<(), loader::maps::AccessError> {
/// let mut rings = RingBuffers::new()?;
/// let (opens, closes) = (rings.add(opens)?, rings.add(closes)?);
/// rings.poll(None, |ring, record| {
///     let what = if ring == opens { "opened" } else { "closed" };
///     println!("{what}: {} bytes", record.len());
/// })?;
/// # let _ = closes;
/// # Ok(())
/// # }
/// ```
#[doc(alias = "ring_buffer")]
#[derive(Debug)]
pub struct RingBuffers {
    waiter: Waiter,
    rings: Vec<RingBuffer>,
}

impl RingBuffers {
    /// None yet.
    ///
    /// # Errors
    /// The kernel's; `EMFILE` when the process has too many descriptors.
    pub fn new() -> Result<Self, AccessError> {
        let waiter = Waiter::new()
            .map_err(|error| AccessError::sys("ring buffers", "prepare to wait", error))?;
        Ok(Self {
            waiter,
            rings: Vec::new(),
        })
    }

    /// Adds the ring buffer of a map; its index.
    ///
    /// # Errors
    /// As [`RingBuffer::new`]; the map was added before (`EEXIST`).
    #[doc(alias = "ring_buffer__add")]
    pub fn add(&mut self, map: &MapFd) -> Result<usize, AccessError> {
        self.add_ring(RingBuffer::new(map)?)
    }

    /// Adds a ring buffer; its index.
    ///
    /// # Errors
    /// The kernel's; none is usual.
    pub fn add_ring(&mut self, ring: RingBuffer) -> Result<usize, AccessError> {
        let index = self.rings.len();
        self.waiter
            .add_readable(&ring, index)
            .map_err(|error| AccessError::sys(ring.name(), "wait for records", error))?;
        self.rings.push(ring);
        Ok(index)
    }

    /// The buffers, by their index.
    #[must_use]
    pub fn rings(&self) -> &[RingBuffer] {
        &self.rings
    }

    /// One of them, to consume it by itself.
    pub fn ring_mut(&mut self, index: usize) -> Option<&mut RingBuffer> {
        self.rings.get_mut(index)
    }

    /// Waits until there is something to consume in one of them, and consumes all there is; how
    /// many records. `None` waits for ever, and a signal ends the wait.
    ///
    /// # Errors
    /// That of the first buffer that cannot be consumed.
    #[doc(alias = "ring_buffer__poll")]
    pub fn poll(
        &mut self,
        timeout: Option<Duration>,
        mut each: impl FnMut(usize, Record<'_>),
    ) -> Result<usize, AccessError> {
        let ready = self
            .waiter
            .wait(timeout)
            .map_err(|error| AccessError::sys("ring buffers", "wait for records", error))?;
        let mut records = 0_usize;
        for index in ready {
            if let Some(ring) = self.rings.get_mut(index) {
                let consumed = ring.consume(|record| each(index, record))?;
                records = records.saturating_add(consumed);
            }
        }
        Ok(records)
    }

    /// Consumes all there is in all of them, without waiting; how many records.
    ///
    /// # Errors
    /// As [`poll`](Self::poll).
    #[doc(alias = "ring_buffer__consume")]
    pub fn consume(
        &mut self,
        mut each: impl FnMut(usize, Record<'_>),
    ) -> Result<usize, AccessError> {
        self.consume_at_most(usize::MAX, &mut each)
    }

    /// Consumes a number of records at most, from all of them together; how many there were.
    ///
    /// # Errors
    /// As [`poll`](Self::poll).
    #[doc(alias = "ring_buffer__consume_n")]
    pub fn consume_at_most(
        &mut self,
        limit: usize,
        mut each: impl FnMut(usize, Record<'_>),
    ) -> Result<usize, AccessError> {
        let each = |index, record: Record<'_>| {
            each(index, record);
            ControlFlow::<()>::Continue(())
        };
        self.consume_until(limit, each)
            .map(|consumed| consumed.records)
    }

    /// Consumes a number of records at most, or until the callback has enough.
    ///
    /// # Errors
    /// As [`poll`](Self::poll).
    pub fn consume_until<B>(
        &mut self,
        limit: usize,
        mut each: impl FnMut(usize, Record<'_>) -> ControlFlow<B>,
    ) -> Result<Consumed<B>, AccessError> {
        let mut all = Consumed {
            records: 0,
            stopped: None,
        };
        for (index, ring) in self.rings.iter_mut().enumerate() {
            let left = limit.saturating_sub(all.records);
            if left == 0 {
                break;
            }
            let one = ring.consume_until(left, |record| each(index, record))?;
            all.records = all.records.saturating_add(one.records);
            if one.stopped.is_some() {
                all.stopped = one.stopped;
                break;
            }
        }
        Ok(all)
    }
}

impl AsFd for RingBuffers {
    /// The descriptor of an epoll instance: readable while there is something to consume in one
    /// of them.
    #[doc(alias = "ring_buffer__epoll_fd")]
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.waiter.as_fd()
    }
}
