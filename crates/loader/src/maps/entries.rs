//! The elements of a map, in pieces of bounded size.
//!
//! Where the map has batches, one system call brings thousands of elements; where it has not,
//! they are had one by one. Nothing is kept but the piece at hand.

use std::collections::VecDeque;

use bpfsys::cmd::{BatchCursor, MapGetNextKey, MapLookupBatch, MapLookupElem};
use bpfsys::{ErrorKind, MapFd, SysError};

/// A piece holds about this many bytes…
const PIECE_BYTES: usize = 1 << 18;
/// …and at most this many elements.
const PIECE_ELEMENTS: usize = 4096;
/// A bucket of a hash that does not fit makes pieces grow, up to this many bytes.
const PIECE_BYTES_MAX: usize = 1 << 28;

/// So many keys in a row may be deleted under a walk by keys without making it start over.
const KEYS_BEHIND: usize = 4;

/// One element, or why its value could not be read.
pub type Entry<'a> = (&'a [u8], Result<&'a [u8], SysError>);

/// Why a walk over elements ends early.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WalkError {
    /// The sizes of the elements are not to be had.
    #[error("cannot tell the sizes of the elements")]
    Shape(#[source] SysError),
    /// The elements cannot be listed at all.
    #[error("its elements cannot be listed")]
    Start(#[source] SysError),
    /// They could be listed, and cannot any more.
    #[error("cannot read the elements")]
    Piece(#[source] SysError),
    /// The key after the one at hand is not to be had.
    #[error("cannot get the next key")]
    NextKey(#[source] SysError),
    /// A hash starts over when the keys at hand are deleted: this walk would never end.
    #[error("the map changes faster than it can be read")]
    Unsettled,
}

/// A walk over the elements of a map, as bytes.
///
/// Elements that come and go while it is walked may be seen or not, and those of a hash may be
/// seen twice; all others are seen. Only of an LPM trie the kernel may pass over more: its walk
/// takes no lock, and a key that comes or goes may hide those that share the longest prefix with
/// it (`trie_get_next_key` in `kernel/bpf/lpm_trie.c`).
///
/// ```no_run
/// use loader::maps::Entries;
/// # fn example(map: &bpfsys::MapFd) -> Result<(), loader::maps::WalkError> {
/// let mut entries = Entries::open(map)?;
/// while let Some((key, value)) = entries.next()? {
///     println!("{key:?}: {value:?}");
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Entries<'m> {
    map: &'m MapFd,
    key_size: usize,
    value_len: usize,
    keys: Vec<u8>,
    values: Vec<u8>,
    /// When a walk by keys gives up. Maps that say nothing about their size have no such bound.
    keys_at_most: u64,
    walk: Walk,
}

#[derive(Debug)]
enum Walk {
    Batch {
        cursor: BatchCursor,
        filled: usize,
        /// How many of those were handed out.
        taken: usize,
        done: bool,
    },
    Keys {
        /// The first key that was had: after a key that is gone, the kernel answers with it.
        first: Vec<u8>,
        /// The last keys that were had, the latest first.
        behind: VecDeque<Vec<u8>>,
        /// Whether the next key is already in `keys`.
        ready: bool,
        /// Whether the key at hand was handed out.
        taken: bool,
        /// How many keys may still come: a hash that changes all the time starts over when the
        /// key at hand is deleted, and would never end.
        left: u64,
    },
}

impl<'m> Entries<'m> {
    /// Starts at the first element and fetches the first piece, so that a map that cannot be
    /// read fails here.
    ///
    /// # Errors
    /// The map's elements cannot be listed: its type has none, or it was opened for writing only.
    pub fn open(map: &'m MapFd) -> Result<Self, WalkError> {
        let shape = map.shape().map_err(WalkError::Shape)?;
        let key_size = usize::try_from(shape.key_size).unwrap_or(usize::MAX);
        let value_len = shape.value_buf_len;
        let mut entries = Self {
            map,
            key_size,
            value_len,
            keys: Vec::new(),
            values: Vec::new(),
            keys_at_most: match u64::from(shape.max_entries) {
                0 => u64::MAX,
                entries => entries.saturating_mul(4).max(64),
            },
            walk: Walk::Batch {
                cursor: BatchCursor::new(map).map_err(WalkError::Shape)?,
                filled: 0,
                taken: 0,
                done: false,
            },
        };
        let element = key_size.saturating_add(value_len).max(1);
        let count = (PIECE_BYTES / element).clamp(1, PIECE_ELEMENTS);
        let room = usize::try_from(shape.max_entries)
            .unwrap_or(usize::MAX)
            .max(1);
        if entries.fetch_batch(count.min(room)).is_err() {
            // not for this type of map, or not in this kernel: some answer as for a wrong
            // argument
            entries.walk_keys_after(None).map_err(WalkError::Start)?;
        }
        Ok(entries)
    }

    /// Goes on by keys, from the first or after the last one that was had.
    fn walk_keys_after(&mut self, last: Option<Vec<u8>>) -> Result<(), SysError> {
        self.keys = vec![0; self.key_size];
        self.values = vec![0; self.value_len];
        let ready = MapGetNextKey::new(self.map, last.as_deref()).run(&mut self.keys)?;
        self.walk = Walk::Keys {
            first: self.keys.clone(),
            behind: last.into_iter().collect(),
            ready,
            taken: false,
            left: self.keys_at_most,
        };
        Ok(())
    }

    /// Hands every remaining element to `each`.
    ///
    /// # Errors
    /// The walk's, or those of `each`.
    pub fn for_each<E: From<WalkError>>(
        mut self,
        mut each: impl FnMut(Entry<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        loop {
            self.advance()?;
            match &mut self.walk {
                // All of a piece without a look back: this is what is fast for large maps.
                Walk::Batch { filled, taken, .. } => {
                    let (from, to) = (*taken, *filled);
                    *taken = to;
                    let keys = chunks(&self.keys, self.key_size, from, to);
                    let values = chunks(&self.values, self.value_len, from, to);
                    for (key, value) in keys.zip(values) {
                        each((key, Ok(value)))?;
                    }
                    if from == to {
                        return Ok(());
                    }
                }
                Walk::Keys { ready: false, .. } => return Ok(()),
                Walk::Keys { .. } => each(self.at_hand())?,
            }
        }
    }

    /// The next element; none at the end.
    ///
    /// # Errors
    /// The map cannot be read on.
    #[expect(
        clippy::should_implement_trait,
        reason = "an iterator cannot lend what it holds"
    )]
    pub fn next(&mut self) -> Result<Option<Entry<'_>>, WalkError> {
        self.advance()?;
        match &mut self.walk {
            Walk::Batch { filled, taken, .. } => {
                if taken == filled {
                    return Ok(None);
                }
                let at = *taken;
                *taken = at.saturating_add(1);
                let key = chunk(&self.keys, self.key_size, at);
                Ok(Some((key, Ok(chunk(&self.values, self.value_len, at)))))
            }
            Walk::Keys { ready: false, .. } => Ok(None),
            Walk::Keys { .. } => Ok(Some(self.at_hand())),
        }
    }

    /// Looks the key at hand up.
    fn at_hand(&mut self) -> Entry<'_> {
        if let Walk::Keys { taken, .. } = &mut self.walk {
            *taken = true;
        }
        let looked_up = MapLookupElem::new(self.map, &self.keys).run(&mut self.values);
        (&self.keys, looked_up.map(|()| self.values.as_slice()))
    }

    /// Sees to it that an element is at hand, if there is one more.
    fn advance(&mut self) -> Result<(), WalkError> {
        match &mut self.walk {
            Walk::Batch {
                filled,
                taken,
                done,
                ..
            } => {
                if taken != filled || *done {
                    return Ok(());
                }
                let last = filled.checked_sub(1);
                let last = last.map(|at| chunk(&self.keys, self.key_size, at).to_vec());
                let count = self.keys.len() / self.key_size.max(1);
                if self.fetch_batch(count).is_err() {
                    // some kernels cannot step over holes in a batch; by keys it goes on
                    self.walk_keys_after(last).map_err(WalkError::Piece)?;
                }
                Ok(())
            }
            Walk::Keys {
                first,
                behind,
                ready,
                taken,
                left,
            } => {
                if !*ready || !*taken {
                    return Ok(());
                }
                *left = left.saturating_sub(1);
                if *left == 0 {
                    return Err(WalkError::Unsettled);
                }
                let mut key = if behind.len() < KEYS_BEHIND {
                    Vec::new()
                } else {
                    behind.pop_back().unwrap_or_default()
                };
                key.clone_from(&self.keys);
                behind.push_front(key);
                for key in &*behind {
                    *ready = MapGetNextKey::new(self.map, Some(key))
                        .run(&mut self.keys)
                        .map_err(WalkError::NextKey)?;
                    // The first key again: this one was deleted. The one before it may be there.
                    if !*ready || self.keys != *first {
                        break;
                    }
                }
                *taken = false;
                Ok(())
            }
        }
    }

    /// Fetches the next piece, of up to `count` elements, more when the kernel asks for it. A
    /// piece is never empty but at the end.
    fn fetch_batch(&mut self, mut count: usize) -> Result<(), SysError> {
        let Walk::Batch {
            cursor,
            filled,
            taken,
            done,
        } = &mut self.walk
        else {
            return Ok(());
        };
        loop {
            self.keys.resize(count.saturating_mul(self.key_size), 0);
            self.values.resize(count.saturating_mul(self.value_len), 0);
            let batch = MapLookupBatch::new(self.map, cursor, &mut self.keys, &mut self.values);
            match batch.run() {
                Ok(step) => {
                    *filled = step.count;
                    *taken = 0;
                    *done = step.done;
                    return Ok(());
                }
                // a bucket is larger than the buffers
                Err(error)
                    if error.kind() == ErrorKind::NoSpace
                        && self.keys.len() + self.values.len() < PIECE_BYTES_MAX =>
                {
                    count = count.saturating_mul(2);
                }
                Err(error) => return Err(error),
            }
        }
    }
}

/// One of several pieces of `size` bytes; empty where the size is 0.
fn chunk(bytes: &[u8], size: usize, at: usize) -> &[u8] {
    let start = at.saturating_mul(size);
    bytes
        .get(start..start.saturating_add(size))
        .unwrap_or_default()
}

fn chunks(bytes: &[u8], size: usize, from: usize, to: usize) -> impl Iterator<Item = &[u8]> {
    (from..to).map(move |at| chunk(bytes, size, at))
}
