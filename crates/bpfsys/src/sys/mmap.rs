//! Shared memory of maps and perf buffers.
//!
//! # Safety
//! The kernel promises that a mapping stays at its address with its length until it is unmapped.
//! Its bytes change under us at any time, by the kernel or by whoever maps it too, so they are
//! never lent as slices: single words are read and written atomically, ranges are copied byte by
//! byte through volatile accesses, and every access is checked against the length first.

#![allow(unsafe_code, reason = "maps memory and accesses it")]

use crate::error::{Op, SysError};
use core::ffi::c_void;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::os::fd::{AsFd, AsRawFd};

/// What a mapping may be used for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// Reading only.
    Read,
    /// Reading and writing.
    ReadWrite,
}

/// A shared mapping of a file descriptor, unmapped when dropped.
#[derive(Debug)]
pub struct Mapping {
    base: NonNull<u8>,
    len: usize,
    access: Access,
}

// SAFETY: the mapping belongs to the process, not to a thread; all access is atomic or volatile.
unsafe impl Send for Mapping {}
// SAFETY: as above; concurrent accesses through `&self` are atomic, or volatile copies of memory
// that others change anyway.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps `len` bytes of `fd` from `offset`, both multiples of the page size.
    ///
    /// # Errors
    /// The kernel's: `EINVAL` for a length or offset that is not one of the object's, `EPERM` for
    /// a frozen map mapped for writing.
    pub fn new(fd: &impl AsFd, len: usize, offset: u64, access: Access) -> Result<Self, SysError> {
        Self::map(fd, len, offset, access, None)
    }

    /// Maps the first `len` bytes of `fd` at an address, as arenas want it that were made for one.
    ///
    /// # Errors
    /// As [`new`](Self::new); `EEXIST` when something is mapped there already.
    pub fn at_address(
        fd: &impl AsFd,
        len: usize,
        address: u64,
        access: Access,
    ) -> Result<Self, SysError> {
        let in_use = SysError::from_raw(Op::Mmap, libc::EEXIST);
        let invalid = SysError::from_raw(Op::Mmap, libc::EINVAL);
        let address = usize::try_from(address).map_err(|_too_large| invalid)?;
        let mapping = Self::map(fd, len, 0, access, Some(address))?;
        // Kernels that do not know the flag take the address for a mere wish.
        if mapping.address() == address {
            Ok(mapping)
        } else {
            Err(in_use)
        }
    }

    fn map(
        fd: &impl AsFd,
        len: usize,
        offset: u64,
        access: Access,
        address: Option<usize>,
    ) -> Result<Self, SysError> {
        let prot = match access {
            Access::Read => libc::PROT_READ,
            Access::ReadWrite => libc::PROT_READ | libc::PROT_WRITE,
        };
        let invalid = SysError::from_raw(Op::Mmap, libc::EINVAL);
        let offset = libc::off_t::try_from(offset).map_err(|_too_large| invalid)?;
        if len == 0 || isize::try_from(len).is_err() {
            return Err(invalid);
        }
        let fd = fd.as_fd().as_raw_fd();
        let (hint, flags) = match address {
            None => (core::ptr::null_mut(), libc::MAP_SHARED),
            Some(address) => (
                core::ptr::without_provenance_mut(address),
                libc::MAP_SHARED | libc::MAP_FIXED_NOREPLACE,
            ),
        };
        // SAFETY: without MAP_FIXED the kernel picks unused addresses, or refuses the one asked
        // for when anything is there, so no existing memory is touched.
        let base = unsafe { libc::mmap(hint, len, prot, flags, fd, offset) };
        if base == libc::MAP_FAILED {
            return Err(SysError::from_errno(Op::Mmap, nix::errno::Errno::last()));
        }
        let base = NonNull::new(base.cast()).ok_or(invalid)?;
        Ok(Self { base, len, access })
    }

    /// Where it is mapped.
    #[must_use]
    pub fn address(&self) -> usize {
        self.base.as_ptr().addr()
    }

    /// Bytes mapped.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Never: a mapping has at least one byte.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        false
    }

    /// The address of `size` bytes at `offset`, aligned to `size` if that is asked for.
    fn at(&self, offset: usize, size: usize, aligned: bool) -> Option<*mut u8> {
        let end = offset.checked_add(size)?;
        if end > self.len || (aligned && !offset.is_multiple_of(size)) {
            return None;
        }
        // SAFETY: `offset` is within the mapping, or one past it when `size` is 0.
        let at = unsafe { self.base.as_ptr().add(offset) };
        Some(at)
    }

    /// The 32-bit word at `offset`, read with acquire ordering. `None` outside the mapping or at
    /// an offset that is no multiple of 4.
    #[must_use]
    pub fn load_u32(&self, offset: usize) -> Option<u32> {
        let at = self.at(offset, 4, true)?;
        #[expect(
            clippy::cast_ptr_alignment,
            reason = "pages are aligned, and offset is checked"
        )]
        let at = at.cast::<u32>();
        // SAFETY: in bounds, aligned, and mapped for as long as `self` lives; others access it
        // atomically.
        let word = unsafe { AtomicU32::from_ptr(at) };
        Some(word.load(Ordering::Acquire))
    }

    /// The 64-bit word at `offset`, read with acquire ordering. `None` outside the mapping or at
    /// an offset that is no multiple of 8.
    #[must_use]
    pub fn load_u64(&self, offset: usize) -> Option<u64> {
        let at = self.at(offset, 8, true)?;
        #[expect(
            clippy::cast_ptr_alignment,
            reason = "pages are aligned, and offset is checked"
        )]
        let at = at.cast::<u64>();
        // SAFETY: in bounds, aligned, and mapped for as long as `self` lives; others access it
        // atomically.
        let word = unsafe { AtomicU64::from_ptr(at) };
        Some(word.load(Ordering::Acquire))
    }

    /// Writes the 64-bit word at `offset` with release ordering. `None` outside the mapping, at
    /// an offset that is no multiple of 8, or when it was mapped for reading only.
    #[must_use]
    pub fn store_u64(&self, offset: usize, value: u64) -> Option<()> {
        if self.access != Access::ReadWrite {
            return None;
        }
        let at = self.at(offset, 8, true)?;
        #[expect(
            clippy::cast_ptr_alignment,
            reason = "pages are aligned, and offset is checked"
        )]
        let at = at.cast::<u64>();
        // SAFETY: in bounds, aligned, writable, and mapped for as long as `self` lives; others
        // access it atomically.
        let word = unsafe { AtomicU64::from_ptr(at) };
        word.store(value, Ordering::Release);
        Some(())
    }

    /// Copies bytes out. `None` when they are not all inside the mapping.
    #[must_use]
    pub fn read(&self, offset: usize, to: &mut [u8]) -> Option<()> {
        let from = self.at(offset, to.len(), false)?;
        let mut done = 0;
        // Whole words first: one volatile access per byte is slow for large records.
        if offset.is_multiple_of(8) {
            for word in to.chunks_exact_mut(8) {
                #[expect(
                    clippy::cast_ptr_alignment,
                    reason = "pages are aligned, offset is checked"
                )]
                let at = from.wrapping_add(done).cast::<u64>();
                // SAFETY: in bounds, since `at()` checked the whole range, and aligned.
                let value = unsafe { at.read_volatile() };
                word.copy_from_slice(&value.to_ne_bytes());
                done += 8;
            }
        }
        for byte in to.iter_mut().skip(done) {
            let at = from.wrapping_add(done);
            // SAFETY: in bounds, since `at()` checked the whole range.
            *byte = unsafe { at.read_volatile() };
            done += 1;
        }
        Some(())
    }

    /// Copies bytes in. `None` when they are not all inside the mapping, or when it was mapped
    /// for reading only.
    #[must_use]
    pub fn write(&self, offset: usize, from: &[u8]) -> Option<()> {
        if self.access != Access::ReadWrite {
            return None;
        }
        let to = self.at(offset, from.len(), false)?;
        for (i, byte) in from.iter().enumerate() {
            let at = to.wrapping_add(i);
            // SAFETY: in bounds, since `at()` checked the whole range, and writable.
            unsafe { at.write_volatile(*byte) };
        }
        Some(())
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        let base: *mut c_void = self.base.as_ptr().cast();
        // SAFETY: exactly the range that was mapped, and no reference into it outlives `self`.
        unsafe { libc::munmap(base, self.len) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    fn file(len: u64) -> File {
        let path = std::env::temp_dir().join(format!("bpfsys-mmap-{}-{len}", std::process::id()));
        let file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)
            .unwrap();
        std::fs::remove_file(&path).unwrap();
        file.set_len(len).unwrap();
        file
    }

    #[test]
    fn accesses_stay_in_bounds() {
        let map = Mapping::new(&file(4096), 4096, 0, Access::ReadWrite).unwrap();
        assert_eq!(map.len(), 4096);
        assert_eq!(map.store_u64(8, 0x0102_0304_0506_0708), Some(()));
        assert_eq!(map.load_u64(8), Some(0x0102_0304_0506_0708));
        assert_eq!(map.load_u64(4096), None);
        assert_eq!(map.load_u64(4092), None);
        assert_eq!(map.load_u64(4), None);
        assert_eq!(map.load_u32(4092), Some(0));
        assert_eq!(map.load_u32(usize::MAX - 3), None);
        let mut out = [0; 13];
        map.write(100, b"hello, world!").unwrap();
        map.read(100, &mut out).unwrap();
        assert_eq!(&out, b"hello, world!");
        map.write(104, b"0123456789abc").unwrap();
        map.read(104, &mut out).unwrap();
        assert_eq!(&out, b"0123456789abc");
        assert_eq!(map.read(4090, &mut out), None);
        assert_eq!(map.write(4090, &out), None);
        assert_eq!(map.read(4096, &mut []), Some(()));
    }

    #[test]
    fn read_only_refuses_writes() {
        let map = Mapping::new(&file(8192), 4096, 4096, Access::Read).unwrap();
        assert_eq!(map.store_u64(0, 1), None);
        assert_eq!(map.write(0, b"x"), None);
        assert_eq!(map.load_u32(0), Some(0));
    }

    #[test]
    fn an_address_is_taken_once() {
        let file = file(4096 * 2);
        // Far from where processes have anything.
        let address = 1 << 44;
        let first = Mapping::at_address(&file, 4096, address, Access::Read).unwrap();
        assert_eq!(first.address() as u64, address);
        let error = Mapping::at_address(&file, 4096, address, Access::Read).unwrap_err();
        assert!(error.is(nix::errno::Errno::EEXIST), "{error}");
        drop(first);
        let again = Mapping::at_address(&file, 4096, address, Access::ReadWrite).unwrap();
        assert_eq!(again.store_u64(0, 7), Some(()));
    }

    #[test]
    fn bad_ranges_are_errors() {
        assert!(Mapping::new(&file(4096), 0, 0, Access::Read).is_err());
        assert!(Mapping::new(&file(4096), 4096, u64::MAX, Access::Read).is_err());
        assert!(Mapping::new(&file(4096), 4096, 1, Access::Read).is_err());
    }
}
