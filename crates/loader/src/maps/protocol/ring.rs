//! The consumer's half of a ring buffer.
//!
//! Two positions count bytes and never go back. Programs reserve room at the producer's: under a
//! lock the kernel writes a header with the record's length and a busy bit, then moves the
//! position (release). A program fills the record, then the kernel takes the busy bit away with an
//! exchange, which is a full barrier. The consumer works at its own position, which it moves when
//! it is done with records (release); the kernel reads it (acquire) to know how much room there is.
//!
//! - Producer position: acquire. Whatever is below it has a header, busy or not.
//! - Header: acquire. Without the busy bit, the record's bytes are those that were committed.
//! - Consumer position: release. The kernel writes over a record only after it has seen the
//!   position behind it, which is after our loads of its bytes.
//! - Wake-ups: a commit wakes the reader if the consumer's position is that of the record being
//!   committed. The reader stores its position and then looks whether there is more; the kernel
//!   takes the busy bit away and then looks at the position. Each must see the other's store if
//!   its own was not seen, which needs a full barrier between store and load on both sides: the
//!   kernel's is its exchange, ours the fence in [`Walk::step`] before it says that there is
//!   nothing. So a reader that waits for edges (`EPOLLET`) misses none.

use super::Damage;
use core::ops::ControlFlow;

/// Bit of a header: the record is being written.
#[doc(alias = "BPF_RINGBUF_BUSY_BIT")]
pub const BUSY: u32 = 1 << 31;
/// Bit of a header: the record is to be skipped.
#[doc(alias = "BPF_RINGBUF_DISCARD_BIT")]
pub const DISCARD: u32 = 1 << 30;
/// Bytes of a header.
#[doc(alias = "BPF_RINGBUF_HDR_SZ")]
pub const HEADER: u64 = 8;

/// The words that a consumer shares with the kernel.
pub trait Words {
    /// The producer's position, acquired.
    fn producer(&self) -> u64;
    /// The consumer's position, acquired.
    fn consumer(&self) -> u64;
    /// Moves the consumer's position, released.
    fn set_consumer(&self, position: u64);
    /// The header at a position, acquired.
    fn header(&self, position: u64) -> u32;
    /// A full barrier.
    fn fence(&self);
}

/// The words of a ring buffer that writes over its oldest records.
pub trait OverwriteWords: Words {
    /// The position below which everything has been written over, acquired.
    fn overwritten(&self) -> u64;
    /// Copies the bytes of a record; whether they are all there.
    fn copy(&self, position: u64, to: &mut [u8]) -> bool;
    /// Keeps loads that follow from being done before loads that precede.
    fn load_fence(&self);
}

/// A record that has been committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// The position of its first byte, behind the header.
    pub position: u64,
    /// Bytes of it.
    pub len: u32,
}

/// Bytes that a record takes: header and content, rounded up to 8.
#[must_use]
#[inline]
pub const fn room(len: u32) -> u64 {
    // 2^32 and a few more: no overflow.
    (len as u64 + HEADER + 7) & !7
}

/// How often a walk takes it for a race that more seems overwritten than written.
const OVERTAKEN: u32 = 1000;

/// One walk over what can be consumed, from the consumer's position on.
///
/// A record is given back when the walk is asked for one more, or ends; the position is stored
/// for several of them at once, as every store takes a cache line from the producers.
#[derive(Debug)]
pub struct Walk<'w, W: Words> {
    words: &'w W,
    size: u64,
    /// Behind the last record that was handed out.
    at: u64,
    /// The producer's position as seen last.
    end: u64,
    /// The consumer's position as stored last.
    released: u64,
    /// How many bytes may be kept back.
    hold: u64,
}

impl<'w, W: Words> Walk<'w, W> {
    /// Starts where the consumer's position is, in a buffer of `size` bytes, and gives records
    /// back when they are `hold` bytes together.
    ///
    /// # Errors
    /// The positions are none of such a buffer.
    #[inline]
    pub fn start(words: &'w W, size: u64, hold: u64) -> Result<Self, Damage> {
        let at = words.consumer();
        if !at.is_multiple_of(8) {
            return Err(Damage::new(at, "the consumer's position is odd"));
        }
        let mut walk = Self {
            words,
            size,
            at,
            end: at,
            released: at,
            hold,
        };
        walk.look()?;
        Ok(walk)
    }

    #[inline]
    fn look(&mut self) -> Result<(), Damage> {
        let end = self.words.producer();
        if !end.is_multiple_of(8) {
            return Err(Damage::new(end, "the producer's position is odd"));
        }
        if end.wrapping_sub(self.at) > self.size {
            return Err(Damage::new(
                self.at,
                "the producer's position is not ahead of the consumer's",
            ));
        }
        self.end = end;
        Ok(())
    }

    /// Gives back everything that was handed out.
    #[inline]
    pub fn release(&mut self) {
        if self.released != self.at {
            self.words.set_consumer(self.at);
            self.released = self.at;
        }
    }

    /// The next record; none when all are consumed or the next is still being written. Discarded
    /// ones are skipped.
    ///
    /// # Errors
    /// A length that leads past the producer's position, or positions that fit no buffer.
    #[cold]
    pub fn step(&mut self) -> Result<Option<Found>, Damage> {
        loop {
            if self.at.wrapping_sub(self.released) >= self.hold {
                self.release();
            }
            let mut header = match self.at == self.end {
                true => BUSY,
                false => self.words.header(self.at),
            };
            if header & BUSY != 0 {
                // What precedes the fence must be seen by whoever commits after what follows it.
                self.release();
                self.words.fence();
                self.look()?;
                if self.at == self.end {
                    return Ok(None);
                }
                header = self.words.header(self.at);
                if header & BUSY != 0 {
                    return Ok(None);
                }
            }
            let len = header & !(BUSY | DISCARD);
            let whole = room(len);
            if whole > self.end.wrapping_sub(self.at) {
                return Err(Damage::new(
                    self.at,
                    "a record is longer than what was written",
                ));
            }
            let position = self.at.wrapping_add(HEADER);
            self.at = self.at.wrapping_add(whole);
            if header & DISCARD == 0 {
                return Ok(Some(Found { position, len }));
            }
        }
    }

    /// Hands a number of records at most to a callback, until none is left or it has enough; how
    /// many there were, and what it ended with. As [`step`](Self::step) in a loop.
    ///
    /// # Errors
    /// As [`step`](Self::step); what precedes was handed out.
    #[inline]
    pub fn run<B>(
        &mut self,
        limit: usize,
        mut each: impl FnMut(Found) -> ControlFlow<B>,
    ) -> Result<(usize, Option<B>), Damage> {
        let mut count = 0_usize;
        while count < limit {
            // What decides where the next header is stays in registers: this is the whole cost of
            // a record.
            let (mut at, end, words) = (self.at, self.end, self.words);
            let (mut released, hold) = (self.released, self.hold);
            while at != end && count < limit {
                if at.wrapping_sub(released) >= hold {
                    self.release();
                    released = at;
                }
                let header = words.header(at);
                if header & (BUSY | DISCARD) != 0 || room(header) > end.wrapping_sub(at) {
                    break;
                }
                let position = at.wrapping_add(HEADER);
                at = at.wrapping_add(room(header));
                // Before the callback: if it panics, the record is given back all the same.
                self.at = at;
                count = count.wrapping_add(1);
                let found = Found {
                    position,
                    len: header,
                };
                if let ControlFlow::Break(value) = each(found) {
                    return Ok((count, Some(value)));
                }
            }
            if count >= limit {
                break;
            }
            let Some(found) = self.step()? else {
                break;
            };
            count = count.wrapping_add(1);
            if let ControlFlow::Break(value) = each(found) {
                return Ok((count, Some(value)));
            }
        }
        Ok((count, None))
    }

    /// Where the walk is: behind the last record that was handed out.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.at
    }
}

impl<W: Words> Drop for Walk<'_, W> {
    #[inline]
    fn drop(&mut self) {
        self.release();
    }
}

/// A walk over a ring buffer that writes over its oldest records, as programs fill it.
///
/// Nothing keeps the kernel from writing over a record that is being read, so it is copied first,
/// and the copy counts only if the position of what has been overwritten is still not behind the
/// record's afterwards. The kernel moves that position before it writes where it leads. Between
/// the two it has no barrier but the order in which the machine does stores, so on machines that
/// reorder stores (not x86-64) a copy may hold bytes of a record that is just being written;
/// libraries cannot help that.
#[derive(Debug)]
pub struct OverwriteWalk<'w, W: OverwriteWords> {
    words: &'w W,
    size: u64,
    at: u64,
    lost: u64,
}

impl<'w, W: OverwriteWords> OverwriteWalk<'w, W> {
    /// Starts where the consumer's position is.
    ///
    /// # Errors
    /// The position is none of a buffer.
    pub fn start(words: &'w W, size: u64) -> Result<Self, Damage> {
        let at = words.consumer();
        if !at.is_multiple_of(8) {
            return Err(Damage::new(at, "the consumer's position is odd"));
        }
        Ok(Self {
            words,
            size,
            at,
            lost: 0,
        })
    }

    /// Bytes that were written over before they were read, headers included.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Whether everything up to a position was written over; moves on if so.
    fn behind(&mut self, overwritten: u64) -> bool {
        // The difference of two positions is small, whichever is ahead.
        let ahead = overwritten.wrapping_sub(self.at);
        if ahead == 0 || ahead > u64::MAX / 2 {
            return false;
        }
        self.lost = self.lost.wrapping_add(ahead);
        self.at = overwritten;
        true
    }

    /// Copies the next record to the front of the buffer, which is resized to it; whether there
    /// was one.
    ///
    /// # Errors
    /// A length or a position that fits no buffer, and was not just being overwritten.
    pub fn step(&mut self, to: &mut Vec<u8>) -> Result<bool, Damage> {
        let mut tries = 0;
        loop {
            // The kernel stores the producer's position after the other, so the other is at least
            // as new as this one.
            let end = self.words.producer();
            self.behind(self.words.overwritten());
            let left = end.wrapping_sub(self.at);
            if left > u64::MAX / 2 {
                // Overwritten past the position that was read first: that has moved as well.
                tries += 1;
                if tries < OVERTAKEN {
                    continue;
                }
                return Err(Damage::new(self.at, "more was overwritten than written"));
            }
            if left == 0 {
                self.words.set_consumer(self.at);
                self.words.fence();
                if self.words.producer() == self.at {
                    return Ok(false);
                }
                continue;
            }
            let header = self.words.header(self.at);
            let len = header & !(BUSY | DISCARD);
            let whole = room(len);
            let sound = left <= self.size && whole <= left && self.at.is_multiple_of(8);
            if sound && header & (BUSY | DISCARD) == 0 {
                to.resize(len as usize, 0);
                if !self.words.copy(self.at.wrapping_add(HEADER), to) {
                    return Err(Damage::new(self.at, "a record is outside of the buffer"));
                }
            }
            self.words.load_fence();
            if self.behind(self.words.overwritten()) {
                continue;
            }
            if !sound {
                return Err(Damage::new(
                    self.at,
                    "a record is longer than what was written",
                ));
            }
            if header & BUSY != 0 {
                self.words.set_consumer(self.at);
                self.words.fence();
                // Committed meanwhile: who commits may not have seen the position.
                if self.words.header(self.at) & BUSY == 0 {
                    continue;
                }
                return Ok(false);
            }
            self.at = self.at.wrapping_add(whole);
            if header & DISCARD == 0 {
                return Ok(true);
            }
        }
    }
}

impl<W: OverwriteWords> Drop for OverwriteWalk<'_, W> {
    fn drop(&mut self) {
        self.words.set_consumer(self.at);
    }
}
