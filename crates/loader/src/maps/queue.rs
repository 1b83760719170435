//! Maps without keys.

use super::error::{AccessCause, AccessError};
use super::typed::{Plain, RawMap};
use bpfsys::cmd::{MapLookupAndDelete, MapLookupElem};
use bpfsys::uapi::flags::ElemFlags;
use bpfsys::{MapFd, MapType};
use core::fmt;
use core::marker::PhantomData;

/// A queue or a stack.
pub struct Queue<V> {
    raw: RawMap,
    types: PhantomData<fn() -> V>,
}

impl<V> fmt::Debug for Queue<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Queue").field(&self.raw).finish()
    }
}

impl<V: Plain> Queue<V> {
    /// The map, with this type for its values.
    ///
    /// # Errors
    /// The values have another size, or the map is neither queue nor stack.
    pub fn new(map: MapFd) -> Result<Self, AccessError> {
        let raw = RawMap::new(map)?;
        let fits = |found| [MapType::QUEUE, MapType::STACK].contains(&found);
        raw.require(fits, "queue or stack")?;
        raw.size::<V>("value", raw.shape.value_size)?;
        Ok(Self {
            raw,
            types: PhantomData,
        })
    }

    /// The map.
    #[must_use]
    pub fn map(&self) -> &MapFd {
        &self.raw.map
    }

    /// Puts a value in; with [`ElemFlags::EXIST`] the oldest makes room for it.
    ///
    /// # Errors
    /// The kernel's: `E2BIG` when it is full.
    pub fn push(&self, value: &V, flags: ElemFlags) -> Result<(), AccessError> {
        self.raw.update(&[], value.as_bytes(), flags)
    }

    /// Takes the first value of a queue, or the last of a stack.
    ///
    /// # Errors
    /// The kernel's, but for an empty map.
    pub fn pop(&self) -> Result<Option<V>, AccessError> {
        let mut value = V::new_zeroed();
        let taken = MapLookupAndDelete::new(&self.raw.map, &[]).run(value.as_mut_bytes());
        Ok(self.raw.found(taken)?.then_some(value))
    }

    /// What [`pop`](Self::pop) would take.
    ///
    /// # Errors
    /// As [`pop`](Self::pop).
    pub fn peek(&self) -> Result<Option<V>, AccessError> {
        let mut value = V::new_zeroed();
        let looked_up = MapLookupElem::new(&self.raw.map, &[]).run(value.as_mut_bytes());
        Ok(self.raw.found(looked_up)?.then_some(value))
    }
}

/// A bloom filter: it knows which values were surely never put in. Since Linux 5.16.
pub struct BloomFilter<V> {
    raw: RawMap,
    types: PhantomData<fn() -> V>,
}

impl<V> fmt::Debug for BloomFilter<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BloomFilter").field(&self.raw).finish()
    }
}

impl<V: Plain> BloomFilter<V> {
    /// The map, with this type for its values.
    ///
    /// # Errors
    /// The values have another size, or the map is no bloom filter.
    pub fn new(map: MapFd) -> Result<Self, AccessError> {
        let raw = RawMap::new(map)?;
        raw.require(|found| found == MapType::BLOOM_FILTER, "bloom filter")?;
        raw.size::<V>("value", raw.shape.value_size)?;
        Ok(Self {
            raw,
            types: PhantomData,
        })
    }

    /// The map.
    #[must_use]
    pub fn map(&self) -> &MapFd {
        &self.raw.map
    }

    /// Puts a value in.
    ///
    /// # Errors
    /// The kernel's.
    pub fn insert(&self, value: &V) -> Result<(), AccessError> {
        self.raw.update(&[], value.as_bytes(), ElemFlags::empty())
    }

    /// Whether a value may have been put in; if not, it was not.
    ///
    /// # Errors
    /// The kernel's.
    pub fn may_contain(&self, value: &V) -> Result<bool, AccessError> {
        let mut asked = V::new_zeroed();
        let bytes = asked.as_mut_bytes();
        if bytes.len() != value.as_bytes().len() {
            return Err(self
                .raw
                .error(AccessCause::Unsuited("its values have one size")));
        }
        bytes.copy_from_slice(value.as_bytes());
        let looked_up = MapLookupElem::new(&self.raw.map, &[]).run(bytes);
        self.raw.found(looked_up)
    }
}
