//! The kernel's own BTF, borrowed from the kernel instead of copied.
//!
//! # Safety
//! A mapping lends its bytes as a slice, so they must not change while it exists. Only one file is
//! mapped, and only when it is where it should be, in sysfs: the BTF built into the kernel, which
//! is read-only memory from the kernel's start to its end.

#![allow(unsafe_code, reason = "maps memory and lends it")]

use core::ops::Deref;
use core::ptr::NonNull;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsRawFd;

/// The bytes of the kernel's BTF.
#[derive(Debug)]
pub struct KernelBtf(Bytes);

#[derive(Debug)]
enum Bytes {
    Mapped(RomMapping),
    Read(Vec<u8>),
}

impl KernelBtf {
    /// Where the kernel shows its BTF. Since Linux 5.4, with `CONFIG_DEBUG_INFO_BTF`.
    pub const VMLINUX: &str = "/sys/kernel/btf/vmlinux";

    /// The kernel's BTF: mapped where the kernel allows it (Linux 6.16), read otherwise.
    ///
    /// # Errors
    /// `ENOENT` when the kernel has none; those of opening and reading the file.
    pub fn vmlinux() -> io::Result<Self> {
        let mut file = File::open(Self::VMLINUX)?;
        if let Some(mapping) = RomMapping::of_vmlinux(&file) {
            return Ok(Self(Bytes::Mapped(mapping)));
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(Self(Bytes::Read(bytes)))
    }

    /// Whether the bytes are the kernel's own, not a copy.
    #[must_use]
    pub fn is_mapped(&self) -> bool {
        matches!(self.0, Bytes::Mapped(_))
    }
}

impl Deref for KernelBtf {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Bytes::Mapped(mapping) => mapping.bytes(),
            Bytes::Read(bytes) => bytes,
        }
    }
}

impl AsRef<[u8]> for KernelBtf {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

/// A private, read-only mapping of the kernel's BTF, whose bytes never change.
#[derive(Debug)]
struct RomMapping {
    base: NonNull<u8>,
    len: usize,
}

// SAFETY: the mapping belongs to the process, not to a thread, and nothing writes to it.
unsafe impl Send for RomMapping {}
// SAFETY: as above.
unsafe impl Sync for RomMapping {}

impl RomMapping {
    /// Maps the file at [`KernelBtf::VMLINUX`]; `None` where that cannot be done.
    fn of_vmlinux(file: &File) -> Option<Self> {
        let len = usize::try_from(file.metadata().ok()?.len()).ok()?;
        let is_sysfs = nix::sys::statfs::fstatfs(file)
            .is_ok_and(|stat| stat.filesystem_type() == nix::sys::statfs::SYSFS_MAGIC);
        if !is_sysfs || len == 0 || isize::try_from(len).is_err() {
            return None;
        }
        let hint = core::ptr::null_mut();
        let fd = file.as_raw_fd();
        // SAFETY: without MAP_FIXED the kernel picks unused addresses, so no existing memory is
        // touched.
        let base = unsafe { libc::mmap(hint, len, libc::PROT_READ, libc::MAP_PRIVATE, fd, 0) };
        if base == libc::MAP_FAILED {
            return None;
        }
        NonNull::new(base.cast()).map(|base| Self { base, len })
    }

    fn bytes(&self) -> &[u8] {
        // SAFETY: `base` points to `len` readable bytes that live as long as `self`; they are
        // initialized, and nothing writes to them: they are read-only memory of the kernel, mapped
        // privately.
        unsafe { core::slice::from_raw_parts(self.base.as_ptr(), self.len) }
    }
}

impl Drop for RomMapping {
    fn drop(&mut self) {
        // SAFETY: the range was mapped by `of_vmlinux` and no slice of it outlives `self`.
        let unmapped = unsafe { libc::munmap(self.base.as_ptr().cast(), self.len) };
        debug_assert_eq!(unmapped, 0, "munmap of an own mapping");
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_mapping_holds_what_reading_gives() {
        let path = Path::new(KernelBtf::VMLINUX);
        if !path.exists() {
            println!("SKIP kernel_btf: the kernel has no BTF");
            return;
        }
        let btf = KernelBtf::vmlinux().unwrap();
        assert!(*btf == *std::fs::read(path).unwrap());
    }
}
