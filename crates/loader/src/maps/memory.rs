//! Values in memory that is shared with programs.

use super::error::{AccessCause, AccessError};
use super::typed::Plain;
use bpfsys::sys::mmap::Mapping;
use core::fmt;
use core::marker::PhantomData;

/// A variable in shared memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// Its name.
    pub name: String,
    /// Bytes from the start of the memory.
    pub offset: u64,
    /// Bytes that it takes.
    pub size: u64,
}

/// Memory that is shared with programs: values are copied in and out.
///
/// Programs may write while it is read and read while it is written. Each number of a value that
/// is aligned in memory is moved by one access, so it is never half old and half new; numbers of
/// one value may be of different moments. What must fit together is for the program to guard, by
/// a sequence count or by writing once.
#[derive(Clone, Copy)]
pub(crate) struct Memory<'m> {
    pub(super) name: &'m str,
    pub(super) mapping: &'m Mapping,
    pub(super) size: usize,
    pub(super) writable: bool,
    pub(super) placed: &'m [Placed],
}

impl<'m> Memory<'m> {
    /// All of a mapping that can be written to.
    pub(crate) fn whole(name: &'m str, mapping: &'m Mapping) -> Self {
        Self {
            name,
            mapping,
            size: mapping.len(),
            writable: true,
            placed: &[],
        }
    }

    fn at(&self, offset: u64, len: usize) -> Result<usize, AccessError> {
        let start = usize::try_from(offset).ok();
        let end = start.and_then(|start| start.checked_add(len));
        match (start, end) {
            (Some(start), Some(end)) if end <= self.size => Ok(start),
            _ => Err(self.outside(offset, len)),
        }
    }

    fn outside(&self, offset: u64, len: usize) -> AccessError {
        let size = self.size;
        AccessError::new(self.name, AccessCause::Outside { offset, len, size })
    }

    pub(crate) fn read_bytes(&self, offset: u64, to: &mut [u8]) -> Result<(), AccessError> {
        let at = self.at(offset, to.len())?;
        let read = self.mapping.read(at, to);
        read.ok_or_else(|| self.outside(offset, to.len()))
    }

    pub(super) fn write_bytes(&self, offset: u64, from: &[u8]) -> Result<(), AccessError> {
        let at = self.at(offset, from.len())?;
        if !self.writable {
            return Err(AccessError::new(self.name, AccessCause::ReadOnly));
        }
        let written = self.mapping.write(at, from);
        written.ok_or_else(|| self.outside(offset, from.len()))
    }

    pub(super) fn read<T: Plain>(&self, offset: u64) -> Result<T, AccessError> {
        let mut value = T::new_zeroed();
        self.read_bytes(offset, value.as_mut_bytes())?;
        Ok(value)
    }

    pub(super) fn variable<T: Plain>(&self, name: &str) -> Result<Variable<'m, T>, AccessError> {
        let placed = self.placed.iter().find(|placed| placed.name == name);
        let placed = placed
            .ok_or_else(|| AccessError::new(self.name, AccessCause::NoVariable(name.to_owned())))?;
        let real = usize::try_from(placed.size).unwrap_or(usize::MAX);
        let given = size_of::<T>();
        if given != real {
            let cause = AccessCause::VariableSize {
                name: name.to_owned(),
                given,
                real,
            };
            return Err(AccessError::new(self.name, cause));
        }
        self.variable_at(placed.offset)
    }

    pub(crate) fn variable_at<T: Plain>(
        &self,
        offset: u64,
    ) -> Result<Variable<'m, T>, AccessError> {
        self.at(offset, size_of::<T>())?;
        Ok(self.place(offset))
    }

    /// A variable that is known to be inside.
    pub(crate) fn place<T>(&self, offset: u64) -> Variable<'m, T> {
        Variable {
            memory: *self,
            offset,
            types: PhantomData,
        }
    }
}

/// A variable that programs may use at the same time.
pub struct Variable<'m, T> {
    memory: Memory<'m>,
    offset: u64,
    types: PhantomData<fn() -> T>,
}

impl<T> Clone for Variable<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Variable<'_, T> {}

impl<T: Plain> Variable<'_, T> {
    /// Its value.
    #[must_use]
    pub fn get(&self) -> T {
        // It was seen to be inside.
        let value = self.memory.read(self.offset);
        value.unwrap_or_else(|_outside| T::new_zeroed())
    }

    /// Gives it a value.
    ///
    /// # Errors
    /// The memory can only be read.
    pub fn set(&self, value: &T) -> Result<(), AccessError> {
        self.memory.write_bytes(self.offset, value.as_bytes())
    }

    /// Bytes from the start of the memory.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }
}

impl<'m, T: Plain, const N: usize> Variable<'m, [T; N]> {
    /// An element.
    #[must_use]
    pub fn at(&self, index: usize) -> Option<Variable<'m, T>> {
        let offset = u64::try_from(index.checked_mul(size_of::<T>())?).ok()?;
        let offset = self.offset.checked_add(offset)?;
        (index < N).then(|| self.memory.place(offset))
    }
}

impl Variable<'_, u64> {
    /// Adds to it, as programs do with `__sync_fetch_and_add`: nothing is lost where both do. What
    /// it was before.
    ///
    /// # Errors
    /// The memory can only be read; the variable is not aligned.
    pub fn fetch_add(&self, value: u64) -> Result<u64, AccessError> {
        if !self.memory.writable {
            return Err(AccessError::new(self.memory.name, AccessCause::ReadOnly));
        }
        let at = usize::try_from(self.offset).unwrap_or(usize::MAX);
        let before = self.memory.mapping.fetch_add_u64(at, value);
        before.ok_or_else(|| {
            AccessError::new(
                self.memory.name,
                AccessCause::Unsuited("a number that is not aligned cannot be added to"),
            )
        })
    }
}

impl fmt::Debug for Memory<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory")
            .field("map", &self.name)
            .field("size", &self.size)
            .field("writable", &self.writable)
            .finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Variable<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Variable")
            .field("map", &self.memory.name)
            .field("offset", &self.offset)
            .finish_non_exhaustive()
    }
}
