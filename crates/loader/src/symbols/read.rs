//! Bytes that are read where they are.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

/// Something with bytes at offsets: a file, a part of one, or memory.
pub trait ReadAt {
    /// How many bytes there are.
    fn size(&self) -> u64;

    /// Fills `into` with the bytes from `offset` on.
    ///
    /// # Errors
    /// There are fewer bytes, or reading fails.
    fn read_exact_at(&self, into: &mut [u8], offset: u64) -> io::Result<()>;
}

impl ReadAt for [u8] {
    fn size(&self) -> u64 {
        self.len() as u64
    }

    fn read_exact_at(&self, into: &mut [u8], offset: u64) -> io::Result<()> {
        let from = usize::try_from(offset)
            .ok()
            .and_then(|offset| self.get(offset..)?.get(..into.len()))
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        into.copy_from_slice(from);
        Ok(())
    }
}

impl<R: ReadAt + ?Sized> ReadAt for &R {
    fn size(&self) -> u64 {
        (**self).size()
    }

    fn read_exact_at(&self, into: &mut [u8], offset: u64) -> io::Result<()> {
        (**self).read_exact_at(into, offset)
    }
}

/// What an [`ElfFile`](super::ElfFile) of a [`Binary`](super::Binary) is read from.
#[derive(Debug)]
pub struct Source(Kind);

#[derive(Debug)]
enum Kind {
    Part { file: File, start: u64, size: u64 },
    Memory(Vec<u8>),
}

impl Source {
    /// A whole file.
    ///
    /// # Errors
    /// It cannot be opened, or is no regular file.
    pub fn open(path: &Path) -> io::Result<Self> {
        // A pipe would wait for a writer.
        let file = File::options()
            .read(true)
            .custom_flags(nix::fcntl::OFlag::O_NONBLOCK.bits())
            .open(path)?;
        let meta = file.metadata()?;
        if meta.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        if !meta.is_file() {
            return Err(io::Error::other("not a regular file"));
        }
        Ok(Self(Kind::Part {
            file,
            start: 0,
            size: meta.len(),
        }))
    }

    /// A part of this, which must be a file.
    ///
    /// # Errors
    /// The part is not within it, or it is memory.
    pub fn part(self, start: u64, size: u64) -> io::Result<Self> {
        match self.0 {
            Kind::Part {
                file,
                start: base,
                size: have,
            } if start.checked_add(size).is_some_and(|end| end <= have) => Ok(Self(Kind::Part {
                file,
                start: base.saturating_add(start),
                size,
            })),
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    /// Bytes in memory.
    #[must_use]
    pub fn memory(bytes: Vec<u8>) -> Self {
        Self(Kind::Memory(bytes))
    }
}

impl ReadAt for Source {
    fn size(&self) -> u64 {
        match &self.0 {
            Kind::Part { size, .. } => *size,
            Kind::Memory(bytes) => bytes.len() as u64,
        }
    }

    fn read_exact_at(&self, into: &mut [u8], offset: u64) -> io::Result<()> {
        match &self.0 {
            Kind::Part { file, start, size } => {
                let end = offset.checked_add(into.len() as u64);
                if end.is_none_or(|end| end > *size) {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                file.read_exact_at(into, start.saturating_add(offset))
            }
            Kind::Memory(bytes) => bytes.as_slice().read_exact_at(into, offset),
        }
    }
}

/// Reads a range into memory; `None` when it is not within the source, so that nothing larger than
/// the source is ever allocated.
pub(super) fn bytes<R: ReadAt + ?Sized>(
    source: &R,
    offset: u64,
    size: u64,
) -> io::Result<Option<Vec<u8>>> {
    let within = offset
        .checked_add(size)
        .is_some_and(|end| end <= source.size());
    let Some(size) = usize::try_from(size).ok().filter(|_| within) else {
        return Ok(None);
    };
    let mut into = vec![0; size];
    source.read_exact_at(&mut into, offset)?;
    Ok(Some(into))
}

/// Numbers in bytes of a byte order, at offsets that may be anything.
#[derive(Clone, Copy, Debug)]
pub(super) struct Numbers<'a> {
    pub(super) data: &'a [u8],
    pub(super) big: bool,
    pub(super) wide: bool,
}

impl<'a> Numbers<'a> {
    fn take<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        self.data.get(at..)?.first_chunk().copied()
    }

    pub(super) fn u16(&self, at: usize) -> Option<u16> {
        let bytes = self.take(at)?;
        Some(if self.big {
            u16::from_be_bytes(bytes)
        } else {
            u16::from_le_bytes(bytes)
        })
    }

    pub(super) fn u32(&self, at: usize) -> Option<u32> {
        let bytes = self.take(at)?;
        Some(if self.big {
            u32::from_be_bytes(bytes)
        } else {
            u32::from_le_bytes(bytes)
        })
    }

    pub(super) fn u64(&self, at: usize) -> Option<u64> {
        let bytes = self.take(at)?;
        Some(if self.big {
            u64::from_be_bytes(bytes)
        } else {
            u64::from_le_bytes(bytes)
        })
    }

    /// A number as large as an address.
    pub(super) fn word(&self, at: usize) -> Option<u64> {
        if self.wide {
            self.u64(at)
        } else {
            self.u32(at).map(u64::from)
        }
    }

    /// Bytes of an address.
    pub(super) const fn word_size(&self) -> usize {
        if self.wide { 8 } else { 4 }
    }

    /// The same from `at` on.
    pub(super) fn from(&self, at: u64) -> Option<Self> {
        let at = usize::try_from(at).ok()?;
        Some(Self {
            data: self.data.get(at..)?,
            ..*self
        })
    }
}

/// Bytes up to a zero; `None` when there is none.
pub(super) fn c_str(data: &[u8], at: u64) -> Option<&[u8]> {
    let tail = data.get(usize::try_from(at).ok()?..)?;
    tail.get(..memchr::memchr(0, tail)?)
}
