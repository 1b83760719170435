//! Shared memory of maps and perf buffers.
//!
//! # Safety
//! The kernel promises that a mapping stays at its address with its length until it is unmapped.
//! Its bytes change under us at any time, by the kernel, by programs in it or by whoever maps it
//! too, so they are never lent as slices: single words are read and written atomically, ranges are
//! copied by relaxed atomic accesses as wide as their alignment allows, and every access is checked
//! against the length first. So two threads that copy at once do not race in the sense of the
//! language: accesses are atomic on both sides. Only their widths may differ where ranges overlap
//! in part, which the language does not describe; each is one instruction of the machine, on bytes
//! that have no meaning for the compiler, as between this process and the kernel.

#![allow(unsafe_code, reason = "maps memory and accesses it")]

use crate::error::{Op, SysError};
use core::ffi::c_void;
use core::marker::PhantomData;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering};
use std::os::fd::{AsFd, AsRawFd};
use std::sync::OnceLock;

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

// SAFETY: the mapping belongs to the process, not to a thread; all access is atomic.
unsafe impl Send for Mapping {}
// SAFETY: as above; concurrent accesses through `&self` are atomic.
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
    #[inline]
    fn at(&self, offset: usize, size: usize, aligned: bool) -> Option<*mut u8> {
        // The last offset with room for as much.
        let last = self.len.checked_sub(size)?;
        if offset > last || (aligned && !offset.is_multiple_of(size)) {
            return None;
        }
        // SAFETY: `offset` is within the mapping, or one past it when `size` is 0.
        let at = unsafe { self.base.as_ptr().add(offset) };
        Some(at)
    }

    /// The 32-bit word at `offset`, read with acquire ordering. `None` outside the mapping or at
    /// an offset that is no multiple of 4.
    #[must_use]
    #[inline]
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
    #[inline]
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
    #[inline]
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

    /// The 32-bit word at `offset`, replaced with release ordering. `None` outside the mapping, at
    /// an offset that is no multiple of 4, or when it was mapped for reading only.
    #[must_use]
    #[inline]
    pub fn store_u32(&self, offset: usize, value: u32) -> Option<()> {
        if self.access != Access::ReadWrite {
            return None;
        }
        let at = self.at(offset, 4, true)?;
        #[expect(
            clippy::cast_ptr_alignment,
            reason = "pages are aligned, and offset is checked"
        )]
        let at = at.cast::<u32>();
        // SAFETY: in bounds, aligned, writable, and mapped for as long as `self` lives; others
        // access it atomically.
        let word = unsafe { AtomicU32::from_ptr(at) };
        word.store(value, Ordering::Release);
        Some(())
    }

    /// Adds to the 64-bit word at `offset`, atomically towards programs that do the same; what it
    /// was before. `None` as for [`store_u64`](Self::store_u64).
    #[must_use]
    pub fn fetch_add_u64(&self, offset: usize, value: u64) -> Option<u64> {
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
        Some(word.fetch_add(value, Ordering::AcqRel))
    }

    /// Copies bytes out. `None` when they are not all inside the mapping.
    ///
    /// Every number of 1, 2, 4 or 8 bytes that is aligned in the mapping is read by one access, so
    /// it is never half of one value and half of another. Numbers are read in no particular order.
    #[must_use]
    #[inline]
    pub fn read(&self, offset: usize, to: &mut [u8]) -> Option<()> {
        let from = self.at(offset, to.len(), false)?;
        // What small records are read by most.
        if let Ok(word) = <&mut [u8; 8]>::try_from(&mut *to)
            && from.addr().is_multiple_of(8)
        {
            // SAFETY: in bounds, since `at()` checked the whole range, and aligned.
            let value = unsafe { load::<AtomicU64>(from) };
            *word = value.to_ne_bytes();
            return Some(());
        }
        // SAFETY: `at()` checked the whole range.
        unsafe { copy_out(from, to) };
        Some(())
    }

    /// Copies bytes in, with accesses as those of [`read`](Self::read). `None` when they are not
    /// all inside the mapping, or when it was mapped for reading only.
    #[must_use]
    pub fn write(&self, offset: usize, from: &[u8]) -> Option<()> {
        if self.access != Access::ReadWrite {
            return None;
        }
        let mut at = self.at(offset, from.len(), false)?;
        let mut rest = from;
        while !rest.is_empty() {
            let size = match rest.first_chunk() {
                Some(word) if at.addr().is_multiple_of(8) => {
                    // SAFETY: in bounds, since `at()` checked the whole range, and aligned.
                    unsafe { store::<AtomicU64>(at, u64::from_ne_bytes(*word)) };
                    8
                }
                _ => match piece(at.addr(), rest.len()) {
                    4 => {
                        let value = rest.first_chunk().copied().unwrap_or_default();
                        // SAFETY: in bounds, since `at()` checked the whole range, and aligned.
                        unsafe { store::<AtomicU32>(at, u32::from_ne_bytes(value)) };
                        4
                    }
                    2 => {
                        let value = rest.first_chunk().copied().unwrap_or_default();
                        // SAFETY: in bounds, since `at()` checked the whole range, and aligned.
                        unsafe { store::<AtomicU16>(at, u16::from_ne_bytes(value)) };
                        2
                    }
                    _ => {
                        let value = rest.first().copied().unwrap_or_default();
                        // SAFETY: in bounds, since `at()` checked the whole range.
                        unsafe { store::<AtomicU8>(at, value) };
                        1
                    }
                },
            };
            at = at.wrapping_add(size);
            rest = rest.get(size..).unwrap_or_default();
        }
        Some(())
    }
}

/// A part of a mapping that goes on at its beginning, as the data of ring buffers does. Positions
/// in it may be any numbers.
#[derive(Clone, Copy, Debug)]
pub struct RingView<'m> {
    base: NonNull<u8>,
    /// The length, a power of two, less one, without the bits that are below a word.
    words: usize,
    mapping: PhantomData<&'m Mapping>,
}

impl Mapping {
    /// The `len` bytes at `offset` as a ring. `None` unless they are inside, the length is a power
    /// of two and at least 4, and the offset a multiple of 4.
    #[must_use]
    pub fn ring(&self, offset: usize, len: usize) -> Option<RingView<'_>> {
        let base = self.at(offset, len, false)?;
        if !len.is_power_of_two() || len < 4 || !offset.is_multiple_of(4) {
            return None;
        }
        Some(RingView {
            base: NonNull::new(base)?,
            words: len.wrapping_sub(1) & !3,
            mapping: PhantomData,
        })
    }
}

impl RingView<'_> {
    /// The 32-bit word that a position is in, read with acquire ordering.
    #[must_use]
    #[inline]
    pub fn load_u32(&self, position: u64) -> u32 {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the length is a power of two, so upper bits mean nothing"
        )]
        let at = position as usize & self.words;
        // SAFETY: four bytes less than the ring is long at most, and the ring is in the mapping.
        let at = unsafe { self.base.as_ptr().add(at) };
        #[expect(
            clippy::cast_ptr_alignment,
            reason = "the ring begins at a word, and the lower bits are masked"
        )]
        let at = at.cast::<u32>();
        // SAFETY: in bounds, aligned, and mapped for as long as the mapping is borrowed; others
        // access it atomically.
        let word = unsafe { AtomicU32::from_ptr(at) };
        word.load(Ordering::Acquire)
    }
}

/// Copies bytes out.
///
/// # Safety
/// They are mapped, all of them.
unsafe fn copy_out(from: *mut u8, to: &mut [u8]) {
    let mut rest = to;
    let mut at = from;
    // Up to the first whole word, the words, and what is left.
    while !rest.is_empty() {
        if at.addr().is_multiple_of(8) && rest.len() >= 8 {
            let whole = rest.len() & !7;
            let (words, more) = rest.split_at_mut(whole);
            for word in words.chunks_exact_mut(8) {
                // SAFETY: in bounds, since `at()` checked the whole range, and aligned.
                let value = unsafe { load::<AtomicU64>(at) };
                word.copy_from_slice(&value.to_ne_bytes());
                at = at.wrapping_add(8);
            }
            rest = more;
            continue;
        }
        let size = piece(at.addr(), rest.len());
        let (first, more) = rest.split_at_mut(size);
        match size {
            4 => {
                // SAFETY: in bounds, since `at()` checked the whole range, and aligned.
                let value = unsafe { load::<AtomicU32>(at) };
                first.copy_from_slice(&value.to_ne_bytes());
            }
            2 => {
                // SAFETY: in bounds, since `at()` checked the whole range, and aligned.
                let value = unsafe { load::<AtomicU16>(at) };
                first.copy_from_slice(&value.to_ne_bytes());
            }
            _ => {
                // SAFETY: in bounds, since `at()` checked the whole range.
                let value = unsafe { load::<AtomicU8>(at) };
                first.copy_from_slice(&[value]);
            }
        }
        at = at.wrapping_add(size);
        rest = more;
    }
}

/// The largest access of 1, 2 or 4 bytes that is aligned at an address and not longer than what is
/// left.
fn piece(address: usize, left: usize) -> usize {
    if address.is_multiple_of(4) && left >= 4 {
        4
    } else if address.is_multiple_of(2) && left >= 2 {
        2
    } else {
        1
    }
}

/// The atomic integers, for accesses that differ in nothing but their width.
trait Word {
    /// What it holds.
    type Value;

    /// Reads what is at `at`.
    ///
    /// # Safety
    /// As for the type's `from_ptr`, for as long as the call takes.
    unsafe fn load_from(at: *mut u8) -> Self::Value;

    /// Writes to what is at `at`.
    ///
    /// # Safety
    /// As for the type's `from_ptr`, for as long as the call takes, and it is writable.
    unsafe fn store_to(at: *mut u8, value: Self::Value);
}

macro_rules! word {
    ($($atomic:ident: $value:ty),*) => {$(
        impl Word for $atomic {
            type Value = $value;

            #[inline]
            unsafe fn load_from(at: *mut u8) -> $value {
                // SAFETY: the caller's promise.
                let word = unsafe { Self::from_ptr(at.cast()) };
                word.load(Ordering::Relaxed)
            }

            #[inline]
            unsafe fn store_to(at: *mut u8, value: $value) {
                // SAFETY: the caller's promise.
                let word = unsafe { Self::from_ptr(at.cast()) };
                word.store(value, Ordering::Relaxed);
            }
        }
    )*};
}

word!(AtomicU8: u8, AtomicU16: u16, AtomicU32: u32, AtomicU64: u64);

/// One access.
///
/// # Safety
/// `at` is mapped, for as many bytes as the type has, and aligned to them.
#[inline]
unsafe fn load<W: Word>(at: *mut u8) -> W::Value {
    // SAFETY: the caller's promise; others access it atomically, or are no part of this program.
    unsafe { W::load_from(at) }
}

/// One access.
///
/// # Safety
/// `at` is mapped for writing, for as many bytes as the type has, and aligned to them.
#[inline]
unsafe fn store<W: Word>(at: *mut u8, value: W::Value) {
    // SAFETY: the caller's promise; others access it atomically, or are no part of this program.
    unsafe { W::store_to(at, value) };
}

/// Bytes of a page: what lengths and offsets of mappings are multiples of.
#[must_use]
pub fn page_size() -> usize {
    static SIZE: OnceLock<usize> = OnceLock::new();
    *SIZE.get_or_init(|| {
        // SAFETY: the call reads a setting of the system and touches no memory.
        let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
        usize::try_from(size).unwrap_or(4096)
    })
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
        assert_eq!(map.store_u32(4, 7), Some(()));
        assert_eq!(
            map.load_u64(0),
            Some(u64::from_ne_bytes(*b"\0\0\0\0\x07\0\0\0"))
        );
        assert_eq!(map.store_u32(4094, 7), None);
        assert_eq!(map.store_u32(4096, 7), None);
        assert_eq!(map.store_u64(16, 40), Some(()));
        assert_eq!(map.fetch_add_u64(16, 2), Some(40));
        assert_eq!(map.load_u64(16), Some(42));
        assert_eq!(map.fetch_add_u64(4, 2), None);
    }

    #[test]
    fn copies_of_every_length_and_place_are_whole() {
        let map = Mapping::new(&file(4096), 4096, 0, Access::ReadWrite).unwrap();
        let bytes: Vec<u8> = (1..=40).collect();
        for offset in 0..10 {
            for len in 0..=bytes.len() {
                map.write(0, &[0; 64]).unwrap();
                map.write(offset, &bytes[..len]).unwrap();
                let mut all = [0; 64];
                map.read(0, &mut all).unwrap();
                assert_eq!(all[offset..offset + len], bytes[..len]);
                let outside = all[..offset].iter().chain(&all[offset + len..]);
                assert!(outside.into_iter().all(|byte| *byte == 0));
                let mut out = vec![0; len];
                map.read(offset, &mut out).unwrap();
                assert_eq!(out, bytes[..len]);
            }
        }
    }

    #[test]
    fn aligned_numbers_are_one_access() {
        // What `read` and `write` cut a range into holds every aligned number whole.
        for offset in 0_usize..16 {
            for len in 0..24 {
                let mut cuts = Vec::new();
                let (mut at, mut left) = (offset, len);
                while left > 0 {
                    let size = match at.is_multiple_of(8) && left >= 8 {
                        true => 8,
                        false => piece(at, left),
                    };
                    cuts.push((at, at + size));
                    at += size;
                    left -= size;
                }
                for size in [1, 2, 4, 8] {
                    for start in (0..40).step_by(size) {
                        let inside = start >= offset && start + size <= offset + len;
                        let whole = |(a, b): &(usize, usize)| *a <= start && start + size <= *b;
                        assert!(!inside || cuts.iter().any(whole), "{offset}+{len}: {start}");
                    }
                }
            }
        }
    }

    #[test]
    fn rings_go_on_at_their_beginning() {
        let map = Mapping::new(&file(8192), 8192, 0, Access::ReadWrite).unwrap();
        for at in 0..2048_u32 {
            let place = usize::try_from(at).unwrap() * 4;
            map.store_u32(place, at).unwrap();
        }
        let ring = map.ring(4096, 4096).unwrap();
        for (position, expect) in [
            (0, 1024),
            (3, 1024),
            (4, 1025),
            (4095, 2047),
            (4096, 1024),
            (u64::MAX, 2047),
            (u64::MAX - 4, 2046),
            (1 << 40, 1024),
        ] {
            assert_eq!(ring.load_u32(position), expect, "{position}");
        }
        assert_eq!(map.ring(4, 4).unwrap().load_u32(1 << 20), 1);
        for (offset, len) in [(0, 4095), (0, 0), (0, 2), (4096, 8192), (1, 4), (8192, 4)] {
            assert!(map.ring(offset, len).is_none(), "{offset} {len}");
        }
    }

    #[test]
    fn read_only_refuses_writes() {
        let map = Mapping::new(&file(8192), 4096, 4096, Access::Read).unwrap();
        assert_eq!(map.store_u64(0, 1), None);
        assert_eq!(map.store_u32(0, 1), None);
        assert_eq!(map.fetch_add_u64(0, 1), None);
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
