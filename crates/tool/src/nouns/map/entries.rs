//! The elements of a map, in pieces of bounded size.
//!
//! Where the map has batches, one system call brings thousands of elements; where it has not,
//! they are had one by one. Nothing is kept but the piece at hand.

use bpfsys::cmd::{BatchCursor, MapGetNextKey, MapLookupBatch, MapLookupElem};
use bpfsys::uapi::info::MapInfo;
use bpfsys::{ErrorKind, MapFd, SysError};
use nix::errno::Errno;

use crate::failure::{Failure, Result, errno_status};

/// A piece holds about this many bytes…
const PIECE_BYTES: usize = 1 << 18;
/// …and at most this many elements.
const PIECE_ELEMENTS: usize = 4096;
/// A bucket of a hash that does not fit makes pieces grow, up to this many bytes.
const PIECE_BYTES_MAX: usize = 1 << 28;

/// One element, or why its value could not be read.
pub type Entry<'a> = (&'a [u8], std::result::Result<&'a [u8], SysError>);

/// Walks over a map.
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
        done: bool,
    },
    Keys {
        /// The key before the next one.
        previous: Option<Vec<u8>>,
        /// Whether the next key is already in `keys`.
        ready: bool,
        /// How many keys may still come: a hash that changes all the time starts over when the
        /// key at hand is deleted, and would never end.
        left: u64,
    },
}

impl<'m> Entries<'m> {
    /// Starts at the first element and fetches the first piece, so that a map that cannot be
    /// read fails here.
    pub fn open(map: &'m MapFd, info: &MapInfo) -> Result<Self> {
        let shape = map
            .shape()
            .map_err(|error| Failure::because("can't get map info", error))?;
        let key_size = usize::try_from(info.key_size).unwrap_or(usize::MAX);
        let value_len = shape.value_buf_len;
        let mut entries = Self {
            map,
            key_size,
            value_len,
            keys: Vec::new(),
            values: Vec::new(),
            keys_at_most: match u64::from(info.max_entries) {
                0 => u64::MAX,
                entries => entries.saturating_mul(4).max(64),
            },
            walk: Walk::Batch {
                cursor: BatchCursor::new(map)
                    .map_err(|error| Failure::because("can't get map info", error))?,
                filled: 0,
                done: false,
            },
        };
        let element = key_size.saturating_add(value_len).max(1);
        let count = (PIECE_BYTES / element).clamp(1, PIECE_ELEMENTS);
        let room = usize::try_from(info.max_entries)
            .unwrap_or(usize::MAX)
            .max(1);
        match entries.fetch_batch(count.min(room)) {
            Ok(()) => Ok(entries),
            // not for this type of map, or not in this kernel: some answer as for a wrong
            // argument
            Err(_) => entries
                .walk_keys()
                .map_err(|error| cannot_dump(info, error)),
        }
    }

    fn walk_keys(mut self) -> std::result::Result<Self, SysError> {
        self.walk_keys_after(None)?;
        Ok(self)
    }

    /// Goes on by keys, from the first or after the last one that was had.
    fn walk_keys_after(&mut self, last: Option<Vec<u8>>) -> std::result::Result<(), SysError> {
        self.keys = vec![0; self.key_size];
        self.values = vec![0; self.value_len];
        let ready = MapGetNextKey::new(self.map, last.as_deref()).run(&mut self.keys)?;
        self.walk = Walk::Keys {
            previous: last,
            ready,
            left: self.keys_at_most,
        };
        Ok(())
    }

    /// Hands every remaining element to `each`.
    pub fn for_each(mut self, mut each: impl FnMut(Entry<'_>) -> Result<()>) -> Result<()> {
        while self.piece(&mut each)? {}
        Ok(())
    }

    /// Hands the elements at hand to `each` and fetches the next; whether there are more.
    fn piece(&mut self, each: &mut impl FnMut(Entry<'_>) -> Result<()>) -> Result<bool> {
        match &mut self.walk {
            Walk::Batch { filled, done, .. } => {
                let (filled, done) = (*filled, *done);
                let keys = chunks(&self.keys, self.key_size, filled);
                let values = chunks(&self.values, self.value_len, filled);
                for (key, value) in keys.zip(values) {
                    each((key, Ok(value)))?;
                }
                if done {
                    return Ok(false);
                }
                let last = chunks(&self.keys, self.key_size, filled).last();
                let last = last.map(<[u8]>::to_vec);
                let count = self.keys.len() / self.key_size.max(1);
                if self.fetch_batch(count).is_err() {
                    // some kernels cannot step over holes in a batch; by keys it goes on
                    self.walk_keys_after(last).map_err(|error| {
                        Failure::because("can't read the map's elements", error)
                    })?;
                }
                Ok(true)
            }
            Walk::Keys { ready: false, .. } => Ok(false),
            Walk::Keys {
                previous,
                ready,
                left,
            } => {
                let looked_up = MapLookupElem::new(self.map, &self.keys).run(&mut self.values);
                each((&self.keys, looked_up.map(|()| self.values.as_slice())))?;
                *left = left.saturating_sub(1);
                if *left == 0 {
                    return Err(Failure::new(
                        "the map changes faster than it can be read: gave up",
                    ));
                }
                let previous = previous.get_or_insert_with(Vec::new);
                previous.clone_from(&self.keys);
                *ready = MapGetNextKey::new(self.map, Some(previous))
                    .run(&mut self.keys)
                    .map_err(|error| Failure::because("can't get next key", error))?;
                Ok(true)
            }
        }
    }

    /// Fetches the next piece, of up to `count` elements, more when the kernel asks for it.
    fn fetch_batch(&mut self, mut count: usize) -> std::result::Result<(), SysError> {
        let Walk::Batch {
            cursor,
            filled,
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

/// `count` pieces of `size` bytes; empty ones where the size is 0.
fn chunks(bytes: &[u8], size: usize, count: usize) -> impl Iterator<Item = &[u8]> {
    (0..count).map(move |n| {
        let start = n.saturating_mul(size);
        bytes
            .get(start..start.saturating_add(size))
            .unwrap_or_default()
    })
}

/// Says which types of maps have no elements that could be listed.
fn cannot_dump(info: &MapInfo, error: SysError) -> Failure {
    let status = errno_status(&error);
    let unsupported = error.kind() == ErrorKind::Unsupported || error.is(Errno::EINVAL);
    let kind = info.type_();
    let what = format!("can't dump map {} of type {kind}", info.id);
    let failure = if unsupported {
        Failure::because(format_args!("{what}: its elements cannot be listed"), error)
    } else {
        Failure::because(what, error)
    };
    failure.with_status(status)
}
