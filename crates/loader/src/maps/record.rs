//! Bytes that a program has handed over.

use bpfsys::sys::mmap::Mapping;
use core::fmt;
use zerocopy::{FromBytes, IntoBytes};

/// What a program has written: a view of memory that is shared with the kernel, valid while it is
/// lent.
///
/// There is no `&[u8]` of that memory, on purpose. Records that wait to be consumed stay as they
/// are only as long as the position of the consumer stays behind them, and that position is a word
/// that everybody can write who can map the buffer: a second consumer of the same map, in this
/// process or another, would let the kernel write where a slice promises that nothing changes. So
/// a record is copied by atomic accesses, of which none needs such a promise: whole
/// ([`copy_to`](Self::copy_to)), in part ([`read_at`](Self::read_at)) or into a value
/// ([`read`](Self::read)). A field that is not looked at is not copied.
#[derive(Clone, Copy)]
pub struct Record<'a>(Bytes<'a>);

#[derive(Clone, Copy)]
enum Bytes<'a> {
    Shared {
        memory: &'a Mapping,
        offset: usize,
        len: usize,
    },
    Own(&'a [u8]),
}

impl<'a> Record<'a> {
    /// `len` bytes of a mapping; reading those past its end gives nothing.
    pub(super) fn shared(memory: &'a Mapping, offset: usize, len: usize) -> Self {
        Self(Bytes::Shared {
            memory,
            offset,
            len,
        })
    }

    /// Bytes that are nobody else's.
    #[must_use]
    pub fn of(bytes: &'a [u8]) -> Self {
        Self(Bytes::Own(bytes))
    }

    /// How many bytes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match self.0 {
            Bytes::Shared { len, .. } => len,
            Bytes::Own(bytes) => bytes.len(),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Copies bytes from `offset` on. `None` when they are not all there.
    #[must_use]
    #[inline]
    pub fn read_at(&self, offset: usize, to: &mut [u8]) -> Option<()> {
        let end = offset.checked_add(to.len())?;
        match self.0 {
            Bytes::Shared {
                memory,
                offset: start,
                len,
            } => {
                if end > len {
                    return None;
                }
                // Both are of one mapping, whose length is half of what can be counted at most;
                // and should that be wrong, the mapping looks again.
                memory.read(start.wrapping_add(offset), to)
            }
            Bytes::Own(bytes) => {
                to.copy_from_slice(bytes.get(offset..end)?);
                Some(())
            }
        }
    }

    /// The value at the beginning. `None` when there are fewer bytes than it takes; there may be
    /// more, as perf buffers pad what programs write.
    #[must_use]
    #[inline]
    pub fn read<T: FromBytes + IntoBytes>(&self) -> Option<T> {
        self.read_from(0)
    }

    /// The value at `offset`. `None` when it is not all there.
    #[must_use]
    #[inline]
    pub fn read_from<T: FromBytes + IntoBytes>(&self, offset: usize) -> Option<T> {
        let mut value = T::new_zeroed();
        self.read_at(offset, value.as_mut_bytes())?;
        Some(value)
    }

    /// Replaces the buffer's content by the record's and lends it: a buffer that is used for one
    /// record after the other is allocated once.
    pub fn copy_to<'b>(&self, buffer: &'b mut Vec<u8>) -> &'b [u8] {
        buffer.resize(self.len(), 0);
        if self.read_at(0, buffer).is_none() {
            buffer.clear();
        }
        buffer
    }

    /// The bytes, copied.
    #[must_use]
    pub fn to_vec(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.copy_to(&mut bytes);
        bytes
    }

    /// The part from `offset` on, `len` bytes long. `None` when it is not all there.
    #[must_use]
    pub fn part(&self, offset: usize, len: usize) -> Option<Self> {
        let end = offset.checked_add(len)?;
        if end > self.len() {
            return None;
        }
        Some(match self.0 {
            Bytes::Shared {
                memory,
                offset: start,
                ..
            } => Self::shared(memory, start.checked_add(offset)?, len),
            Bytes::Own(bytes) => Self(Bytes::Own(bytes.get(offset..end)?)),
        })
    }
}

impl fmt::Debug for Record<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Record").field(&self.to_vec()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_and_values_stay_inside() {
        let bytes: Vec<u8> = (0..12).collect();
        let record = Record::of(&bytes);
        assert_eq!((record.len(), record.is_empty()), (12, false));
        assert_eq!(record.read::<[u8; 4]>(), Some([0, 1, 2, 3]));
        assert_eq!(record.read_from::<[u8; 4]>(8), Some([8, 9, 10, 11]));
        assert_eq!(record.read_from::<[u8; 4]>(9), None);
        assert_eq!(record.read_from::<u8>(usize::MAX), None);
        assert_eq!(record.read::<[u8; 13]>(), None);
        let part = record.part(4, 3).unwrap();
        assert_eq!(part.to_vec(), [4, 5, 6]);
        assert_eq!(part.read_from::<[u8; 2]>(2), None);
        assert!(part.part(2, 2).is_none());
        assert!(record.part(12, 0).unwrap().is_empty());
        assert!(record.part(usize::MAX, 2).is_none());
        let mut buffer = vec![9; 40];
        assert_eq!(part.copy_to(&mut buffer), [4, 5, 6]);
    }
}
