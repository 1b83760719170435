//! The commands on one element.

#![allow(unsafe_code, reason = "makes bpf() calls")]

use crate::error::{Refusal, SysError};
use crate::fd::{MapFd, MapShape};
use crate::sys::bpf::bpf_unit;
use crate::uapi::UserPtr;
use crate::uapi::attr::MapElemAttr;
use crate::uapi::enums::Cmd;
use crate::uapi::flags::ElemFlags;
use nix::errno::Errno;

/// Refuses a key of another length than the map's keys.
fn check_key(cmd: Cmd, shape: &MapShape, key: &[u8]) -> Result<(), SysError> {
    if key.len() == shape.key_size as usize {
        Ok(())
    } else {
        Err(SysError::cmd(cmd, Refusal::KeySize))
    }
}

/// Refuses a buffer the kernel would write past.
fn check_room(cmd: Cmd, room: usize, need: usize) -> Result<(), SysError> {
    if room >= need {
        Ok(())
    } else {
        Err(SysError::cmd(cmd, Refusal::ValueSize))
    }
}

/// BPF_MAP_LOOKUP_ELEM: reads one element. Since Linux 3.18.
///
/// A bloom filter has no key: the value is what is asked about. A queue or stack has none
/// either: its first element is read and stays.
///
/// Errors: `ENOENT` when there is no such element, `EOPNOTSUPP` or `ENOTSUPP` when the map's type
/// has no lookup, `EPERM` when the map was opened for writing only.
#[doc(alias = "BPF_MAP_LOOKUP_ELEM")]
#[derive(Clone, Copy, Debug)]
pub struct MapLookupElem<'a> {
    map: &'a MapFd,
    key: &'a [u8],
    flags: ElemFlags,
}

impl<'a> MapLookupElem<'a> {
    /// Looks up `key`, empty for maps without keys.
    #[must_use]
    pub fn new(map: &'a MapFd, key: &'a [u8]) -> Self {
        Self {
            map,
            key,
            flags: ElemFlags::empty(),
        }
    }

    /// [`ElemFlags::LOCK`], or one CPU. Since Linux 5.1.
    #[must_use]
    pub fn flags(mut self, flags: ElemFlags) -> Self {
        self.flags = flags;
        self
    }

    /// Reads the value into the front of `value`, which must hold
    /// [`value_len`](MapShape::value_len) bytes.
    ///
    /// # Errors
    /// See the type; refused when key or buffer do not fit the map.
    pub fn run(&self, value: &mut [u8]) -> Result<(), SysError> {
        let cmd = Cmd::MAP_LOOKUP_ELEM;
        let shape = self.map.shape()?;
        check_key(cmd, &shape, self.key)?;
        check_room(cmd, value.len(), shape.value_len(self.flags))?;
        let mut attr = MapElemAttr {
            map_fd: self.map.number(),
            pad: 0,
            key: UserPtr::from_slice(self.key),
            value: UserPtr::from_mut_slice(value),
            flags: self.flags.bits(),
        };
        // SAFETY: `key` is backed by `self.key` and `value` by the argument. The kernel reads
        // `key_size` bytes and writes one value of the map, one CPU's of it if it accepts the
        // flag and refusing the flag otherwise; both were checked against the map's own sizes.
        // It returns 0.
        unsafe { bpf_unit(cmd, &mut attr) }
    }
}

/// BPF_MAP_LOOKUP_AND_DELETE_ELEM: reads an element and removes it. Since Linux 4.20 for queues
/// and stacks, 5.14 for hash maps.
///
/// Errors: `ENOENT` when there is no such element, `ENOTSUPP` for other types.
#[doc(alias = "BPF_MAP_LOOKUP_AND_DELETE_ELEM")]
#[derive(Clone, Copy, Debug)]
pub struct MapLookupAndDelete<'a> {
    map: &'a MapFd,
    key: &'a [u8],
    flags: ElemFlags,
}

impl<'a> MapLookupAndDelete<'a> {
    /// Takes out `key`, empty for maps without keys.
    #[must_use]
    pub fn new(map: &'a MapFd, key: &'a [u8]) -> Self {
        Self {
            map,
            key,
            flags: ElemFlags::empty(),
        }
    }

    /// [`ElemFlags::LOCK`] only.
    #[must_use]
    pub fn flags(mut self, flags: ElemFlags) -> Self {
        self.flags = flags;
        self
    }

    /// Moves the value into the front of `value`, which must hold
    /// [`value_buf_len`](MapShape::value_buf_len) bytes.
    ///
    /// # Errors
    /// See the type; refused when key or buffer do not fit the map.
    pub fn run(&self, value: &mut [u8]) -> Result<(), SysError> {
        let cmd = Cmd::MAP_LOOKUP_AND_DELETE_ELEM;
        let shape = self.map.shape()?;
        check_key(cmd, &shape, self.key)?;
        check_room(cmd, value.len(), shape.value_buf_len)?;
        let mut attr = MapElemAttr {
            map_fd: self.map.number(),
            pad: 0,
            key: UserPtr::from_slice(self.key),
            value: UserPtr::from_mut_slice(value),
            flags: self.flags.bits(),
        };
        // SAFETY: `key` is backed by `self.key` and `value` by the argument. The kernel reads
        // `key_size` bytes and writes the value of all CPUs at most, whatever the flags; both
        // were checked against the map's own sizes. It returns 0.
        unsafe { bpf_unit(cmd, &mut attr) }
    }
}

/// BPF_MAP_UPDATE_ELEM: creates or replaces one element. Since Linux 3.18.
///
/// Errors: `E2BIG` when the map is full, `EEXIST` and `ENOENT` by the flags, `EPERM` when the
/// map is frozen or was opened for reading only, `EBADF` or `EINVAL` when the value must be a
/// descriptor and is not one.
#[doc(alias = "BPF_MAP_UPDATE_ELEM")]
#[derive(Clone, Copy, Debug)]
pub struct MapUpdateElem<'a> {
    map: &'a MapFd,
    key: &'a [u8],
    value: &'a [u8],
    flags: ElemFlags,
}

impl<'a> MapUpdateElem<'a> {
    /// Sets `key` (empty for maps without keys) to `value`, which is as long as
    /// [`value_len`](MapShape::value_len) says for the flags.
    #[must_use]
    pub fn new(map: &'a MapFd, key: &'a [u8], value: &'a [u8]) -> Self {
        Self {
            map,
            key,
            value,
            flags: ElemFlags::empty(),
        }
    }

    /// When to create, when to replace, and which CPUs.
    #[must_use]
    pub fn flags(mut self, flags: ElemFlags) -> Self {
        self.flags = flags;
        self
    }

    /// Makes the call.
    ///
    /// # Errors
    /// See the type; refused when key or value do not fit the map.
    pub fn run(&self) -> Result<(), SysError> {
        let cmd = Cmd::MAP_UPDATE_ELEM;
        let shape = self.map.shape()?;
        check_key(cmd, &shape, self.key)?;
        let len = shape.value_len(self.flags);
        if self.value.len() != len {
            return Err(SysError::cmd(cmd, Refusal::ValueSize));
        }
        // Kernels that do not know the flags for one CPU's value read those of all CPUs before
        // they refuse.
        let mut padded = Vec::new();
        let value = if len < shape.value_buf_len {
            padded.extend_from_slice(self.value);
            padded.resize(shape.value_buf_len, 0);
            padded.as_slice()
        } else {
            self.value
        };
        let mut attr = MapElemAttr {
            map_fd: self.map.number(),
            pad: 0,
            key: UserPtr::from_slice(self.key),
            value: UserPtr::from_slice(value),
            flags: self.flags.bits(),
        };
        // SAFETY: `key` is backed by `self.key` and `value` by `self.value` or `padded`. The
        // kernel reads `key_size` bytes and one value, of all CPUs at most; both were checked
        // against the map's own sizes. It writes nothing and returns 0.
        unsafe { bpf_unit(cmd, &mut attr) }
    }
}

/// BPF_MAP_DELETE_ELEM: removes one element; for a struct_ops map, unregisters it. Since Linux
/// 3.18.
///
/// Errors: `ENOENT` when there is no such element, `EINVAL` or `ENOTSUPP` when the map's elements
/// cannot be removed, such as those of arrays.
#[doc(alias = "BPF_MAP_DELETE_ELEM")]
#[derive(Clone, Copy, Debug)]
pub struct MapDeleteElem<'a> {
    map: &'a MapFd,
    key: &'a [u8],
}

impl<'a> MapDeleteElem<'a> {
    /// Removes `key`.
    #[must_use]
    pub fn new(map: &'a MapFd, key: &'a [u8]) -> Self {
        Self { map, key }
    }

    /// Makes the call.
    ///
    /// # Errors
    /// See the type; refused when the key does not fit the map.
    pub fn run(&self) -> Result<(), SysError> {
        let cmd = Cmd::MAP_DELETE_ELEM;
        let shape = self.map.shape()?;
        check_key(cmd, &shape, self.key)?;
        let mut attr = MapElemAttr {
            map_fd: self.map.number(),
            key: UserPtr::from_slice(self.key),
            ..Default::default()
        };
        // SAFETY: `key` is backed by `self.key`, of which the kernel reads `key_size` bytes, as
        // was checked. It writes nothing and returns 0.
        unsafe { bpf_unit(cmd, &mut attr) }
    }
}

/// BPF_MAP_GET_NEXT_KEY: walks the keys. Since Linux 3.18; without a key since 4.12.
///
/// A hash map starts over when the given key has been removed meanwhile, so a walk of a map that
/// changes may see keys twice.
///
/// Errors: `EINVAL` or `ENOTSUPP` when the map has no keys to walk.
#[doc(alias = "BPF_MAP_GET_NEXT_KEY")]
#[derive(Clone, Copy, Debug)]
pub struct MapGetNextKey<'a> {
    map: &'a MapFd,
    key: Option<&'a [u8]>,
}

impl<'a> MapGetNextKey<'a> {
    /// The key after `key`, or the first one.
    #[must_use]
    pub fn new(map: &'a MapFd, key: Option<&'a [u8]>) -> Self {
        Self { map, key }
    }

    /// Writes the next key to the front of `next`, which must hold `key_size` bytes. `false` at
    /// the end.
    ///
    /// # Errors
    /// See the type; refused when a key does not fit the map.
    pub fn run(&self, next: &mut [u8]) -> Result<bool, SysError> {
        let cmd = Cmd::MAP_GET_NEXT_KEY;
        let shape = self.map.shape()?;
        if let Some(key) = self.key {
            check_key(cmd, &shape, key)?;
        }
        if next.len() < shape.key_size as usize {
            return Err(SysError::cmd(cmd, Refusal::KeySize));
        }
        let mut attr = MapElemAttr {
            map_fd: self.map.number(),
            pad: 0,
            key: self.key.map_or(UserPtr::NULL, UserPtr::from_slice),
            value: UserPtr::from_mut_slice(next),
            flags: 0,
        };
        // SAFETY: `key` is null or backed by `self.key`, `value` (here `next_key`) by the
        // argument. The kernel reads and writes `key_size` bytes, as was checked. It returns 0.
        match unsafe { bpf_unit(cmd, &mut attr) } {
            Ok(()) => Ok(true),
            Err(error) if error.is(Errno::ENOENT) => Ok(false),
            Err(error) => Err(error),
        }
    }
}
