//! Pointers as the kernel wants them: always 64 bits wide.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// An address of this process, or 0 for "none", in a field of an attribute structure.
///
/// It is a plain number: it keeps nothing borrowed and gives no access. The command that puts it
/// into an attribute keeps the borrow alive until the call has returned. Addresses are exposed,
/// because only the kernel dereferences them.
#[derive(
    Clone, Copy, PartialEq, Eq, Hash, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(transparent)]
pub struct UserPtr(u64);

impl UserPtr {
    /// No pointer.
    pub const NULL: Self = Self(0);

    /// The address of a buffer the kernel reads. An empty buffer is no pointer, since the kernel
    /// refuses addresses where it expects nothing.
    #[must_use]
    pub fn from_slice<T>(slice: &[T]) -> Self {
        if size_of_val(slice) == 0 {
            Self::NULL
        } else {
            Self(slice.as_ptr().expose_provenance() as u64)
        }
    }

    /// The address of a buffer the kernel writes.
    #[must_use]
    pub fn from_mut_slice<T>(slice: &mut [T]) -> Self {
        if size_of_val(slice) == 0 {
            Self::NULL
        } else {
            Self(slice.as_mut_ptr().expose_provenance() as u64)
        }
    }

    /// The address of one value the kernel reads and may write.
    #[must_use]
    pub fn from_mut<T>(value: &mut T) -> Self {
        Self((&raw mut *value).expose_provenance() as u64)
    }

    /// The address of a string the kernel reads.
    #[must_use]
    pub fn from_cstr(string: &core::ffi::CStr) -> Self {
        Self::from_slice(string.to_bytes_with_nul())
    }

    /// Whether there is no pointer.
    #[must_use]
    pub const fn is_null(self) -> bool {
        self.0 == 0
    }
}

impl core::fmt::Debug for UserPtr {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_is_null_when_made_from_slices() {
        assert!(UserPtr::from_slice::<u8>(&[]).is_null());
        assert!(UserPtr::from_mut_slice::<u64>(&mut []).is_null());
        assert!(UserPtr::from_slice::<()>(&[(), ()]).is_null());
        assert!(!UserPtr::from_slice(&[1u8]).is_null());
        assert!(!UserPtr::from_cstr(c"").is_null());
    }
}
