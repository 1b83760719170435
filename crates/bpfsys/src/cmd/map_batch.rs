//! The commands on many elements at once. Since Linux 5.6.

#![allow(unsafe_code, reason = "makes bpf() calls")]

use super::count32;
use crate::error::{Refusal, SysError};
use crate::fd::{MapFd, MapShape};
use crate::sys::bpf::bpf_unit;
use crate::uapi::UserPtr;
use crate::uapi::attr::MapBatchAttr;
use crate::uapi::enums::Cmd;
use crate::uapi::flags::ElemFlags;

/// Where a batched walk stands: opaque bytes of the kernel, as long as a key and at least 8.
#[derive(Clone, Debug)]
pub struct BatchCursor {
    at: Vec<u8>,
    next: Vec<u8>,
    started: bool,
}

impl BatchCursor {
    /// A walk of `map` from its beginning.
    ///
    /// # Errors
    /// As [`MapFd::shape`].
    pub fn new(map: &MapFd) -> Result<Self, SysError> {
        let len = Self::len_for(&map.shape()?);
        Ok(Self {
            at: vec![0; len],
            next: vec![0; len],
            started: false,
        })
    }

    /// Hash maps keep 4 bytes there, other types a key.
    fn len_for(shape: &MapShape) -> usize {
        (shape.key_size as usize).max(8)
    }

    fn fits(&self, shape: &MapShape) -> bool {
        let len = Self::len_for(shape);
        self.at.len() >= len && self.next.len() >= len
    }

    fn step(&mut self) {
        core::mem::swap(&mut self.at, &mut self.next);
        self.started = true;
    }
}

/// What one step of a batched walk gave.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BatchStep {
    /// Elements at the front of the buffers.
    pub count: usize,
    /// Whether the walk has reached the end.
    pub done: bool,
}

/// How many whole elements fit both buffers. Keyless maps have no batches, so the size of a key
/// is never 0 here.
fn capacity(
    cmd: Cmd,
    shape: &MapShape,
    keys: usize,
    values: usize,
    flags: ElemFlags,
) -> Result<u32, SysError> {
    let refused = SysError::cmd(cmd, Refusal::BatchSize);
    let by_keys = keys.checked_div(shape.key_size as usize).ok_or(refused)?;
    let by_values = values.checked_div(shape.value_len(flags)).ok_or(refused)?;
    count32(cmd, by_keys.min(by_values))
}

/// One step of a walk. `cmd` is one of the two lookup commands.
fn lookup(
    cmd: Cmd,
    map: &MapFd,
    cursor: &mut BatchCursor,
    keys: &mut [u8],
    values: &mut [u8],
    flags: ElemFlags,
) -> Result<BatchStep, SysError> {
    debug_assert!(matches!(
        cmd,
        Cmd::MAP_LOOKUP_BATCH | Cmd::MAP_LOOKUP_AND_DELETE_BATCH
    ));
    let shape = map.shape()?;
    if !cursor.fits(&shape) {
        return Err(SysError::cmd(cmd, Refusal::BatchSize));
    }
    // Taking elements out ignores the flags for one CPU on kernels that do not refuse them.
    let room = if cmd == Cmd::MAP_LOOKUP_BATCH {
        flags
    } else {
        ElemFlags::empty()
    };
    let count = capacity(cmd, &shape, keys.len(), values.len(), room)?;
    if count == 0 {
        return Err(SysError::cmd(cmd, Refusal::BatchSize));
    }
    let mut attr = MapBatchAttr {
        in_batch: if cursor.started {
            UserPtr::from_slice(&cursor.at)
        } else {
            UserPtr::NULL
        },
        out_batch: UserPtr::from_mut_slice(&mut cursor.next),
        keys: UserPtr::from_mut_slice(keys),
        values: UserPtr::from_mut_slice(values),
        count,
        map_fd: map.number(),
        elem_flags: flags.bits(),
        flags: 0,
    };
    // SAFETY: `in_batch` is null or backed by `cursor.at`, `out_batch` by `cursor.next`, `keys`
    // and `values` by the arguments. The kernel reads or writes 4 bytes or a key through the
    // first two, which hold the larger of 8 bytes and a key, and writes at most `count` keys and
    // values of this map, which is how many fit. It returns 0.
    let result = unsafe { bpf_unit(cmd, &mut attr) };
    let done = match result {
        Ok(()) => false,
        // The kernel has set the count by the time it finds the end.
        Err(error) if error.is(nix::errno::Errno::ENOENT) => true,
        Err(error) => return Err(error),
    };
    // More than was asked for, or a step that leads nowhere.
    if attr.count > count || (attr.count == 0 && !done) {
        return Err(SysError::cmd(cmd, Refusal::BadAnswer));
    }
    cursor.step();
    Ok(BatchStep {
        count: attr.count as usize,
        done,
    })
}

/// BPF_MAP_LOOKUP_BATCH: reads many elements. Since Linux 5.6.
///
/// A hash map gives whole buckets: when the next one does not fit, the answer is `ENOSPC`
/// ([`ErrorKind::NoSpace`](crate::ErrorKind::NoSpace)), the cursor stays, and the same step can be taken with larger buffers.
///
/// Errors: `ENOTSUPP` when the map's type has no batches, `EINTR` at a hole of an array of maps
/// before Linux 6.14: walk such a map by its keys.
#[doc(alias = "BPF_MAP_LOOKUP_BATCH")]
#[derive(Debug)]
pub struct MapLookupBatch<'a> {
    map: &'a MapFd,
    cursor: &'a mut BatchCursor,
    keys: &'a mut [u8],
    values: &'a mut [u8],
    flags: ElemFlags,
}

impl<'a> MapLookupBatch<'a> {
    /// Reads as many elements as fit both buffers, from where the cursor stands.
    #[must_use]
    pub fn new(
        map: &'a MapFd,
        cursor: &'a mut BatchCursor,
        keys: &'a mut [u8],
        values: &'a mut [u8],
    ) -> Self {
        Self {
            map,
            cursor,
            keys,
            values,
            flags: ElemFlags::empty(),
        }
    }

    /// [`ElemFlags::LOCK`], or one CPU.
    #[must_use]
    pub fn elem_flags(mut self, flags: ElemFlags) -> Self {
        self.flags = flags;
        self
    }

    /// Takes one step.
    ///
    /// # Errors
    /// See the type; refused when the buffers hold no element.
    pub fn run(self) -> Result<BatchStep, SysError> {
        lookup(
            Cmd::MAP_LOOKUP_BATCH,
            self.map,
            self.cursor,
            self.keys,
            self.values,
            self.flags,
        )
    }
}

/// BPF_MAP_LOOKUP_AND_DELETE_BATCH: reads many elements and removes them. Since Linux 5.6.
///
/// Errors: as [`MapLookupBatch`]; hash maps only.
#[doc(alias = "BPF_MAP_LOOKUP_AND_DELETE_BATCH")]
#[derive(Debug)]
pub struct MapLookupAndDeleteBatch<'a> {
    map: &'a MapFd,
    cursor: &'a mut BatchCursor,
    keys: &'a mut [u8],
    values: &'a mut [u8],
    flags: ElemFlags,
}

impl<'a> MapLookupAndDeleteBatch<'a> {
    /// Takes as many elements as fit both buffers, from where the cursor stands.
    #[must_use]
    pub fn new(
        map: &'a MapFd,
        cursor: &'a mut BatchCursor,
        keys: &'a mut [u8],
        values: &'a mut [u8],
    ) -> Self {
        Self {
            map,
            cursor,
            keys,
            values,
            flags: ElemFlags::empty(),
        }
    }

    /// [`ElemFlags::LOCK`] only.
    #[must_use]
    pub fn elem_flags(mut self, flags: ElemFlags) -> Self {
        self.flags = flags;
        self
    }

    /// Takes one step.
    ///
    /// # Errors
    /// See the type; refused when the buffers hold no element.
    pub fn run(self) -> Result<BatchStep, SysError> {
        let cmd = Cmd::MAP_LOOKUP_AND_DELETE_BATCH;
        lookup(
            cmd,
            self.map,
            self.cursor,
            self.keys,
            self.values,
            self.flags,
        )
    }
}

/// How far a batch that writes came: the elements done, and why it ended early.
type Partial = (usize, Result<(), SysError>);

/// Turns the kernel's count after the call into elements done.
fn partial(cmd: Cmd, asked: u32, count: u32, result: Result<(), SysError>) -> Partial {
    match result {
        Ok(()) if count > asked => (0, Err(SysError::cmd(cmd, Refusal::BadAnswer))),
        Ok(()) => (count as usize, Ok(())),
        // A count that still is what we asked for means that nothing was begun: a batch that
        // fails at an element has done fewer.
        Err(error) if count >= asked => (0, Err(error)),
        Err(error) => (count as usize, Err(error)),
    }
}

/// BPF_MAP_UPDATE_BATCH: writes many elements. Since Linux 5.6.
///
/// Errors: those of [`MapUpdateElem`](super::MapUpdateElem) for the first element that fails;
/// `ENOTSUPP` when the map's type has no batches.
#[doc(alias = "BPF_MAP_UPDATE_BATCH")]
#[derive(Clone, Copy, Debug)]
pub struct MapUpdateBatch<'a> {
    map: &'a MapFd,
    keys: &'a [u8],
    values: &'a [u8],
    flags: ElemFlags,
}

impl<'a> MapUpdateBatch<'a> {
    /// Writes the elements whose keys and values follow one another in the two slices.
    #[must_use]
    pub fn new(map: &'a MapFd, keys: &'a [u8], values: &'a [u8]) -> Self {
        Self {
            map,
            keys,
            values,
            flags: ElemFlags::empty(),
        }
    }

    /// When to create, when to replace, and which CPUs.
    #[must_use]
    pub fn elem_flags(mut self, flags: ElemFlags) -> Self {
        self.flags = flags;
        self
    }

    /// Makes the call and gives the number of elements written.
    ///
    /// # Errors
    /// See the type; refused when the slices do not hold the same number of whole elements.
    pub fn run(&self) -> Result<usize, SysError> {
        let (count, result) = self.run_partial();
        result.map(|()| count)
    }

    /// As [`run`](Self::run), but also tells how many elements were written before an error.
    pub fn run_partial(&self) -> (usize, Result<(), SysError>) {
        let cmd = Cmd::MAP_UPDATE_BATCH;
        let asked = self.map.shape().and_then(|shape| {
            let (key, value) = (shape.key_size as usize, shape.value_len(self.flags));
            let count = capacity(cmd, &shape, self.keys.len(), self.values.len(), self.flags)?;
            let whole = |len: usize, size: usize| (count as usize).checked_mul(size) == Some(len);
            if whole(self.keys.len(), key) && whole(self.values.len(), value) {
                Ok(count)
            } else {
                Err(SysError::cmd(cmd, Refusal::BatchSize))
            }
        });
        let asked = match asked {
            Ok(0) => return (0, Ok(())),
            Ok(asked) => asked,
            Err(error) => return (0, Err(error)),
        };
        let mut attr = MapBatchAttr {
            keys: UserPtr::from_slice(self.keys),
            values: UserPtr::from_slice(self.values),
            count: asked,
            map_fd: self.map.number(),
            elem_flags: self.flags.bits(),
            ..Default::default()
        };
        // SAFETY: `keys` and `values` are backed by `self`. The kernel reads `count` keys and
        // values of this map, which is what the slices hold; flags for one CPU it refuses before
        // it reads if it does not know them. It writes only the count and returns 0.
        let result = unsafe { bpf_unit(cmd, &mut attr) };
        partial(cmd, asked, attr.count, result)
    }
}

/// BPF_MAP_DELETE_BATCH: removes many elements. Since Linux 5.6.
///
/// Errors: `ENOENT` at the first key that is not there; `ENOTSUPP` when the map's type has no
/// batches.
#[doc(alias = "BPF_MAP_DELETE_BATCH")]
#[derive(Clone, Copy, Debug)]
pub struct MapDeleteBatch<'a> {
    map: &'a MapFd,
    keys: &'a [u8],
    flags: ElemFlags,
}

impl<'a> MapDeleteBatch<'a> {
    /// Removes the keys that follow one another in the slice.
    #[must_use]
    pub fn new(map: &'a MapFd, keys: &'a [u8]) -> Self {
        Self {
            map,
            keys,
            flags: ElemFlags::empty(),
        }
    }

    /// [`ElemFlags::LOCK`] only.
    #[must_use]
    pub fn elem_flags(mut self, flags: ElemFlags) -> Self {
        self.flags = flags;
        self
    }

    /// Makes the call and gives the number of elements removed.
    ///
    /// # Errors
    /// See the type; refused when the slice does not hold whole keys.
    pub fn run(&self) -> Result<usize, SysError> {
        let (count, result) = self.run_partial();
        result.map(|()| count)
    }

    /// As [`run`](Self::run), but also tells how many elements were removed before an error.
    pub fn run_partial(&self) -> (usize, Result<(), SysError>) {
        let cmd = Cmd::MAP_DELETE_BATCH;
        let asked = self.map.shape().and_then(|shape| {
            let key = shape.key_size as usize;
            match self.keys.len().checked_rem(key) {
                Some(0) => count32(cmd, self.keys.len() / key),
                _ => Err(SysError::cmd(cmd, Refusal::BatchSize)),
            }
        });
        let asked = match asked {
            Ok(0) => return (0, Ok(())),
            Ok(asked) => asked,
            Err(error) => return (0, Err(error)),
        };
        let mut attr = MapBatchAttr {
            keys: UserPtr::from_slice(self.keys),
            count: asked,
            map_fd: self.map.number(),
            elem_flags: self.flags.bits(),
            ..Default::default()
        };
        // SAFETY: `keys` is backed by `self`, and holds the `count` keys of this map that the
        // kernel reads. It writes only the count and returns 0.
        let result = unsafe { bpf_unit(cmd, &mut attr) };
        partial(cmd, asked, attr.count, result)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::uapi::enums::MapType;
    use crate::uapi::info::MapInfo;

    fn shape() -> MapShape {
        MapShape::from_info(&MapInfo {
            type_: MapType::HASH.0,
            key_size: 4,
            value_size: 6,
            ..Default::default()
        })
        .unwrap()
    }

    #[test]
    fn capacity_is_what_fits_both() {
        let cap = |keys, values| capacity(Cmd(0), &shape(), keys, values, ElemFlags::empty());
        assert_eq!(cap(16, 100), Ok(4));
        assert_eq!(cap(100, 17), Ok(2));
        assert_eq!(cap(3, 100), Ok(0));
    }

    #[test]
    fn counts_after_errors_are_read_with_care() {
        let cmd = Cmd::MAP_UPDATE_BATCH;
        let error = SysError::from_raw(crate::Op::Bpf(cmd), libc::E2BIG);
        assert_eq!(partial(cmd, 8, 8, Ok(())), (8, Ok(())));
        assert_eq!(partial(cmd, 8, 3, Err(error)), (3, Err(error)));
        assert_eq!(partial(cmd, 8, 8, Err(error)), (0, Err(error)));
        assert!(partial(cmd, 8, 9, Ok(())).1.is_err());
    }
}
