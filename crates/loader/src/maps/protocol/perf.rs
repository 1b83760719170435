//! The reader's half of a buffer of perf events.
//!
//! The kernel writes records, each a multiple of 8 bytes long, and then moves the head (release);
//! the reader acquires it, reads, and moves the tail (release), which the kernel reads before it
//! writes more. There is no busy bit: below the head everything is whole. Records wrap around the
//! end of the buffer.

use super::Damage;

/// The words that a reader shares with the kernel.
pub trait Words {
    /// The end of what was written, acquired.
    fn head(&self) -> u64;
    /// The end of what was read.
    fn tail(&self) -> u64;
    /// Moves the end of what was read, released.
    fn set_tail(&self, position: u64);
    /// The header at an offset of the buffer: the record's type, and its size with the header.
    /// A header never wraps, since it is 8 bytes at a multiple of 8.
    fn header(&self, offset: u64) -> (u32, u16);
}

/// A record that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its type.
    pub kind: u32,
    /// Where the bytes behind its header begin, as an offset of the buffer.
    pub offset: u64,
    /// How many there are.
    pub len: u16,
    /// How many of them are before the end of the buffer; the others are at its beginning.
    pub first: u16,
}

/// Bytes of a header.
const HEADER: u16 = 8;

/// One walk over what can be read.
#[derive(Debug)]
pub struct Walk<'w, W: Words> {
    words: &'w W,
    size: u64,
    at: u64,
    head: u64,
    stored: u64,
}

impl<'w, W: Words> Walk<'w, W> {
    /// Starts at the tail, in a buffer of `size` bytes, a power of two, and ends at what is the
    /// head now.
    ///
    /// # Errors
    /// Head and tail are none of such a buffer. What was written is skipped then.
    pub fn start(words: &'w W, size: u64) -> Result<Self, Damage> {
        let head = words.head();
        let at = words.tail();
        if !at.is_multiple_of(8) || !head.is_multiple_of(8) || head.wrapping_sub(at) > size {
            words.set_tail(head);
            return Err(Damage::new(at, "head and tail are not of one buffer"));
        }
        Ok(Self {
            words,
            size,
            at,
            head,
            stored: at,
        })
    }

    /// The next record; none at the end.
    ///
    /// # Errors
    /// A record that is shorter than its header, no multiple of 8, or longer than what was
    /// written: nothing behind it can be found, so the rest is skipped.
    pub fn step(&mut self) -> Result<Option<Found>, Damage> {
        let left = self.head.wrapping_sub(self.at);
        if left == 0 {
            return Ok(None);
        }
        // The size is a power of two.
        let offset = self.at & self.size.wrapping_sub(1);
        let (kind, size) = self.words.header(offset);
        if size < HEADER || !size.is_multiple_of(HEADER) || u64::from(size) > left {
            let damage = Damage::new(self.at, "a record has an impossible size");
            self.at = self.head;
            return Err(damage);
        }
        self.at = self.at.wrapping_add(u64::from(size));
        let len = size.saturating_sub(HEADER);
        let offset = offset.wrapping_add(u64::from(HEADER)) & self.size.wrapping_sub(1);
        let room = self.size.saturating_sub(offset);
        Ok(Some(Found {
            kind,
            offset,
            len,
            first: u16::try_from(room).map_or(len, |room| room.min(len)),
        }))
    }

    /// Lets the kernel write over what was read.
    pub fn release(&mut self) {
        if self.stored != self.at {
            self.words.set_tail(self.at);
            self.stored = self.at;
        }
    }
}

impl<W: Words> Drop for Walk<'_, W> {
    fn drop(&mut self) {
        self.release();
    }
}
