//! Ring buffers: records that programs write and this process reads.

use super::error::{AccessCause, AccessError, Named};
use super::protocol::Damage;
use super::protocol::ring::{OverwriteWalk, OverwriteWords, Walk, Words};
use super::record::Record;
use super::wait;
use bpfsys::sys::mmap::{Access, Mapping, RingView, page_size};
use bpfsys::uapi::flags::MapFlags;
use bpfsys::{MapFd, MapType, SysError};
use core::fmt;
use core::ops::ControlFlow;
use core::sync::atomic::{Ordering, fence};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

/// Where the page of the producer has its position.
const PRODUCER: usize = 0;
/// Where it has the position below which records have been written over. Since Linux 6.19.
const OVERWRITTEN: usize = 16;
/// Records are given back once they are this part of the buffer.
const HOLD_PART: u64 = 8;

/// The reading end of a map of type `ringbuf`.
///
/// Records are consumed in the order in which programs reserved them. One reader at a time: the
/// position up to which records are consumed is the map's, so two readers of one map, here or in
/// another process, take them from each other (and may see bytes of newer records; see [`Record`]
/// for why that is all that can happen).
///
/// A map made with [`MapFlags::RB_OVERWRITE`] never refuses a program: it writes over the oldest
/// records instead. Those are copied before they are handed out, and what was lost is
/// [counted](Self::overwritten).
///
/// ```no_run
/// use loader::maps::RingBuffer;
/// # fn example(map: &bpfsys::MapFd) -> Result<(), loader::maps::AccessError> {
/// let mut ring = RingBuffer::new(map)?;
/// loop {
///     ring.poll(None, |record| {
///         if let Some(pid) = record.read::<u32>() {
///             println!("process {pid}: {} bytes", record.len());
///         }
///     })?;
/// }
/// # }
/// ```
#[doc(alias = "BPF_MAP_TYPE_RINGBUF")]
#[doc(alias = "ring_buffer__new")]
pub struct RingBuffer {
    named: Named,
    memory: Memory,
    /// Whether it writes over old records.
    overwrites: bool,
    /// Bytes that were written over before they were read.
    overwritten: u64,
    hold: u64,
    scratch: Vec<u8>,
}

/// What is mapped: the consumer's page, to write; the producer's page and the data, twice in a
/// row so that no record is in two pieces.
struct Memory {
    consumer: Mapping,
    producer: Mapping,
    size: u64,
    /// The size, a power of two, less one.
    mask: u64,
    page: usize,
}

impl Memory {
    /// Where the byte of a position is in the mapping of the producer.
    #[inline]
    fn offset(&self, position: u64) -> usize {
        // The size is that of a mapping, so what is below it is an offset of one.
        let at = position & self.mask;
        usize::try_from(at).map_or(usize::MAX, |at| self.page.wrapping_add(at))
    }
}

impl Memory {
    /// What is read and written for each record, at hand.
    #[inline]
    fn view(&self) -> Option<View<'_>> {
        let len = usize::try_from(self.size).ok()?;
        Some(View {
            memory: self,
            data: self.producer.ring(self.page, len)?,
        })
    }

    fn producer(&self) -> u64 {
        self.producer.load_u64(PRODUCER).unwrap_or(0)
    }

    fn consumer(&self) -> u64 {
        self.consumer.load_u64(0).unwrap_or(0)
    }

    #[inline]
    fn set_consumer(&self, position: u64) {
        // Mapped for writing, and a page has a first word.
        let _stored = self.consumer.store_u64(0, position);
    }

    fn overwritten(&self) -> u64 {
        self.producer.load_u64(OVERWRITTEN).unwrap_or(0)
    }
}

/// The words of a buffer.
#[derive(Clone, Copy)]
struct View<'m> {
    memory: &'m Memory,
    data: RingView<'m>,
}

impl Words for View<'_> {
    fn producer(&self) -> u64 {
        self.memory.producer()
    }

    fn consumer(&self) -> u64 {
        self.memory.consumer()
    }

    #[inline]
    fn set_consumer(&self, position: u64) {
        self.memory.set_consumer(position);
    }

    #[inline]
    fn header(&self, position: u64) -> u32 {
        self.data.load_u32(position)
    }

    fn fence(&self) {
        fence(Ordering::SeqCst);
    }
}

impl OverwriteWords for View<'_> {
    fn overwritten(&self) -> u64 {
        self.memory.overwritten()
    }

    fn copy(&self, position: u64, to: &mut [u8]) -> bool {
        let at = self.memory.offset(position);
        self.memory.producer.read(at, to).is_some()
    }

    fn load_fence(&self) {
        fence(Ordering::Acquire);
    }
}

/// What a consumption came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Consumed<B> {
    /// Records handed out.
    pub records: usize,
    /// What the callback ended it with, if it did.
    pub stopped: Option<B>,
}

impl RingBuffer {
    /// Maps a ring buffer. The map's descriptor is duplicated.
    ///
    /// # Errors
    /// The map is no ring buffer, or cannot be mapped: `EPERM` when it was opened for reading
    /// only.
    pub fn new(map: &MapFd) -> Result<Self, AccessError> {
        let named = Named::duplicate(map)?;
        named.require(MapType::RINGBUF, "ring buffer")?;
        let page = page_size();
        let (consumer, producer) = map_pages(&named, Access::ReadWrite, Access::Read)?;
        let size = u64::from(named.info.max_entries);
        let flags = MapFlags::from_bits_retain(named.info.map_flags);
        Ok(Self {
            named,
            memory: Memory {
                consumer,
                producer,
                size,
                mask: size.wrapping_sub(1),
                page,
            },
            overwrites: flags.contains(MapFlags::RB_OVERWRITE),
            overwritten: 0,
            hold: size / HOLD_PART,
            scratch: Vec::new(),
        })
    }

    /// Gives records back once they are this many bytes together, instead of an eighth of the
    /// buffer; 0 is for each by itself. Whatever was consumed is given back at the end of each
    /// call.
    #[must_use]
    pub fn hold(mut self, bytes: u64) -> Self {
        self.hold = bytes;
        self
    }

    /// Consumes until there is nothing more to consume; how many records.
    ///
    /// Where programs write faster than the callback reads, this does not end: see
    /// [`consume_at_most`](Self::consume_at_most).
    ///
    /// # Errors
    /// What is in the shared memory is none of a ring buffer.
    #[doc(alias = "ring__consume")]
    pub fn consume(&mut self, mut each: impl FnMut(Record<'_>)) -> Result<usize, AccessError> {
        self.consume_at_most(usize::MAX, &mut each)
    }

    /// Consumes a number of records at most; how many there were.
    ///
    /// # Errors
    /// As [`consume`](Self::consume).
    #[doc(alias = "ring__consume_n")]
    pub fn consume_at_most(
        &mut self,
        limit: usize,
        mut each: impl FnMut(Record<'_>),
    ) -> Result<usize, AccessError> {
        let each = |record: Record<'_>| {
            each(record);
            ControlFlow::<()>::Continue(())
        };
        self.consume_until(limit, each)
            .map(|consumed| consumed.records)
    }

    /// Consumes a number of records at most, or until the callback has enough. The record at
    /// which it breaks is consumed.
    ///
    /// # Errors
    /// As [`consume`](Self::consume).
    pub fn consume_until<B>(
        &mut self,
        limit: usize,
        mut each: impl FnMut(Record<'_>) -> ControlFlow<B>,
    ) -> Result<Consumed<B>, AccessError> {
        let mut consumed = Consumed {
            records: 0,
            stopped: None,
        };
        if self.overwrites {
            self.consume_copies(limit, each, &mut consumed)?;
            return Ok(consumed);
        }
        let memory = &self.memory;
        let name = &self.named.name;
        let damaged = |damage: Damage| damaged(name, damage);
        let view = memory.view().ok_or_else(|| self.no_ring())?;
        let mut walk = Walk::start(&view, memory.size, self.hold).map_err(damaged)?;
        let ran = walk.run(limit, |found| {
            let offset = memory.offset(found.position);
            // Lengths are of 30 bits.
            let len = usize::try_from(found.len).unwrap_or(0);
            each(Record::shared(&memory.producer, offset, len))
        });
        (consumed.records, consumed.stopped) = ran.map_err(damaged)?;
        Ok(consumed)
    }

    fn consume_copies<B>(
        &mut self,
        limit: usize,
        mut each: impl FnMut(Record<'_>) -> ControlFlow<B>,
        consumed: &mut Consumed<B>,
    ) -> Result<(), AccessError> {
        let name = &self.named.name;
        let damaged = |damage: Damage| damaged(name, damage);
        let view = self.memory.view().ok_or_else(|| self.no_ring())?;
        let mut walk = OverwriteWalk::start(&view, self.memory.size).map_err(damaged)?;
        let mut result = Ok(());
        while consumed.records < limit {
            match walk.step(&mut self.scratch) {
                Ok(true) => {}
                Ok(false) => break,
                Err(damage) => {
                    result = Err(damaged(damage));
                    break;
                }
            }
            consumed.records += 1;
            if let ControlFlow::Break(value) = each(Record::of(&self.scratch)) {
                consumed.stopped = Some(value);
                break;
            }
        }
        self.overwritten = self.overwritten.wrapping_add(walk.lost());
        result
    }

    /// Several records at once, that all stay in the buffer until the batch is dropped. Fewer than
    /// `limit` when there are not as many; an empty batch when there is none.
    ///
    /// # Errors
    /// As [`consume`](Self::consume); the buffer writes over old records, of which none stays.
    pub fn batch(&mut self, limit: usize) -> Result<Batch<'_>, AccessError> {
        if self.overwrites {
            return Err(AccessError::new(
                &self.named.name,
                AccessCause::Unsuited("records that are written over do not stay for a batch"),
            ));
        }
        let memory = &self.memory;
        let name = &self.named.name;
        let damaged = |damage: Damage| damaged(name, damage);
        // Positions are moved by the batch: the walk only looks.
        let looks = Looks(memory.view().ok_or_else(|| self.no_ring())?);
        let mut walk = Walk::start(&looks, memory.size, u64::MAX).map_err(damaged)?;
        let mut records = Vec::new();
        while records.len() < limit
            && let Some(found) = walk.step().map_err(damaged)?
        {
            let len = usize::try_from(found.len).unwrap_or(0);
            records.push((memory.offset(found.position), len));
        }
        let end = walk.position();
        Ok(Batch {
            memory,
            records,
            end,
        })
    }

    /// The kernel makes no ring of such a size.
    #[cold]
    fn no_ring(&self) -> AccessError {
        let cause = AccessCause::Unsuited("its size is none of a ring buffer");
        AccessError::new(&self.named.name, cause)
    }

    /// Waits until there is something to consume, and consumes; how many records. `None` waits
    /// for ever, and a signal ends the wait.
    ///
    /// # Errors
    /// As [`consume`](Self::consume).
    #[doc(alias = "ring_buffer__poll")]
    pub fn poll(
        &mut self,
        timeout: Option<Duration>,
        each: impl FnMut(Record<'_>),
    ) -> Result<usize, AccessError> {
        match self.wait(timeout)? {
            true => self.consume(each),
            false => Ok(0),
        }
    }

    /// Waits until there is something to consume; whether there is.
    ///
    /// # Errors
    /// The kernel's; none is usual.
    pub fn wait(&self, timeout: Option<Duration>) -> Result<bool, AccessError> {
        wait::readable(self.as_fd(), timeout).map_err(self.named.sys("wait for records"))
    }

    /// Gives back all records that there are, without a look at them. The way out of a buffer
    /// whose content is damaged.
    #[doc(alias = "flush")]
    pub fn skip_all(&mut self) {
        self.memory.set_consumer(self.memory.producer());
    }

    /// The map's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.named.name
    }

    /// Bytes that it holds, headers included.
    #[must_use]
    #[doc(alias = "ring__size")]
    pub fn size(&self) -> u64 {
        self.memory.size
    }

    /// Bytes consumed since it was made.
    #[must_use]
    #[doc(alias = "ring__consumer_pos")]
    pub fn consumer_position(&self) -> u64 {
        self.memory.consumer()
    }

    /// Bytes reserved since it was made.
    #[must_use]
    #[doc(alias = "ring__producer_pos")]
    pub fn producer_position(&self) -> u64 {
        self.memory.producer()
    }

    /// Bytes that are not consumed, those of records that are being written among them.
    #[must_use]
    #[doc(alias = "ring__avail_data_size")]
    pub fn available(&self) -> u64 {
        let end = self.memory.producer();
        let from = match self.overwrites {
            true => self.memory.consumer().max(self.memory.overwritten()),
            false => self.memory.consumer(),
        };
        end.saturating_sub(from)
    }

    /// Whether programs write over the oldest records when it is full.
    #[must_use]
    pub fn overwrites(&self) -> bool {
        self.overwrites
    }

    /// Bytes of records, headers included, that were written over before they were read here.
    #[must_use]
    pub fn overwritten(&self) -> u64 {
        self.overwritten
    }
}

impl AsFd for RingBuffer {
    /// The map: readable while there is something to consume. An event loop that waits for edges
    /// must consume until nothing is left.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.named.map.as_fd()
    }
}

impl fmt::Debug for RingBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RingBuffer")
            .field("map", &self.name())
            .field("size", &self.size())
            .field("consumer_position", &self.consumer_position())
            .field("producer_position", &self.producer_position())
            .finish_non_exhaustive()
    }
}

/// The words of a buffer, for a walk that consumes nothing.
struct Looks<'m>(View<'m>);

impl Words for Looks<'_> {
    fn producer(&self) -> u64 {
        self.0.producer()
    }

    fn consumer(&self) -> u64 {
        self.0.consumer()
    }

    fn set_consumer(&self, _position: u64) {}

    fn header(&self, position: u64) -> u32 {
        self.0.header(position)
    }

    fn fence(&self) {
        self.0.fence();
    }
}

/// Records that stay in the buffer together. Dropping it consumes them, and what was discarded
/// between them.
///
/// An event loop that waits for edges must go on until a batch is empty.
pub struct Batch<'r> {
    memory: &'r Memory,
    records: Vec<(usize, usize)>,
    end: u64,
}

impl Batch<'_> {
    /// How many records there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The records, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Record<'_>> {
        let records = self.records.iter();
        records.map(|(offset, len)| Record::shared(&self.memory.producer, *offset, *len))
    }

    /// Leaves the records in the buffer: whoever asks next gets them again.
    pub fn keep(mut self) {
        self.end = self.memory.consumer();
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        if self.end != self.memory.consumer() {
            self.memory.set_consumer(self.end);
            // A later look for more must not come before the store: see `protocol::ring`.
            fence(Ordering::SeqCst);
        }
    }
}

impl fmt::Debug for Batch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch")
            .field("records", &self.len())
            .finish_non_exhaustive()
    }
}

/// What is wrong with the words of a map.
pub(super) fn damaged(name: &str, damage: Damage) -> AccessError {
    let Damage { position, what } = damage;
    AccessError::new(name, AccessCause::Damaged { position, what })
}

/// Maps the page of the consumer, and the page of the producer with the data behind it, twice.
pub(super) fn map_pages(
    named: &Named,
    consumer: Access,
    producer: Access,
) -> Result<(Mapping, Mapping), AccessError> {
    let page = page_size();
    let failed = |error: SysError| AccessError::sys(&named.name, "map it", error);
    let too_large = || AccessError::new(&named.name, AccessCause::Unsuited("it is too large"));
    // A power of two, and a multiple of pages: the kernel makes no other.
    let len = usize::try_from(named.info.max_entries)
        .ok()
        .filter(|size| size.is_power_of_two())
        .and_then(|size| size.checked_mul(2)?.checked_add(page))
        .ok_or_else(too_large)?;
    let first = Mapping::new(&named.map, page, 0, consumer).map_err(failed)?;
    let offset = u64::try_from(page).map_err(|_too_large| too_large())?;
    let second = Mapping::new(&named.map, len, offset, producer).map_err(failed)?;
    Ok((first, second))
}
