//! Maps that have a value for each CPU.

use super::entries::Entries;
use super::error::{AccessCause, AccessError};
use super::typed::{Plain, RawMap};
use bpfsys::cmd::{MapLookupAndDelete, MapLookupElem};
use bpfsys::uapi::flags::ElemFlags;
use bpfsys::{MapFd, MapType, cpus};
use core::fmt;
use core::marker::PhantomData;
use nix::errno::Errno;

/// A value for each possible CPU, in the order of their numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PerCpuValues<T>(Box<[T]>);

impl<T> PerCpuValues<T> {
    /// These values, one for each of the [possible](cpus::possible_list) CPUs.
    ///
    /// # Errors
    /// There are more or fewer CPUs, or they cannot be counted.
    pub fn new(values: impl Into<Box<[T]>>) -> Result<Self, AccessError> {
        let values = values.into();
        let cpus = cpus::possible();
        let cpus = cpus.map_err(|error| AccessError::sys("?", "count the cpus", error))?;
        let given = values.len();
        if given != cpus {
            let cause = AccessCause::CpuCount { given, cpus };
            return Err(AccessError::new("?", cause));
        }
        Ok(Self(values))
    }

    /// The same value for every CPU.
    ///
    /// # Errors
    /// The CPUs cannot be counted.
    pub fn all(value: &T) -> Result<Self, AccessError>
    where
        T: Clone,
    {
        let cpus = cpus::possible();
        let cpus = cpus.map_err(|error| AccessError::sys("?", "count the cpus", error))?;
        Ok(Self(vec![value.clone(); cpus].into()))
    }

    /// The value of a CPU, by its number.
    #[must_use]
    pub fn of_cpu(&self, cpu: u32) -> Option<&T> {
        let at = cpus::possible_list().ok()?.binary_search(&cpu).ok()?;
        self.0.get(at)
    }

    /// The values, to change them.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.0.iter_mut()
    }
}

impl<T> core::ops::Deref for PerCpuValues<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T: Plain> PerCpuValues<T> {
    /// Reads what the kernel gave: each value at a multiple of 8.
    fn decode(bytes: &[u8]) -> Option<Self> {
        let stride = stride::<T>();
        let values = bytes.chunks_exact(stride).map(|slot| {
            let value = slot.get(..size_of::<T>())?;
            T::read_from_bytes(value).ok()
        });
        Some(Self(values.collect::<Option<_>>()?))
    }

    fn encode(&self) -> Vec<u8> {
        let stride = stride::<T>();
        let mut bytes = vec![0; stride.saturating_mul(self.0.len())];
        for (slot, value) in bytes.chunks_exact_mut(stride).zip(&self.0) {
            for (to, from) in slot.iter_mut().zip(value.as_bytes()) {
                *to = *from;
            }
        }
        bytes
    }
}

/// Bytes from one value to the next. Values of a map have at least one.
fn stride<T>() -> usize {
    size_of::<T>().next_multiple_of(8).max(8)
}

/// A map with keys, and with a value of each CPU for each key.
///
/// Flags for a single CPU need Linux 7.0; older kernels refuse them.
///
/// ```no_run
/// use loader::maps::PerCpuMap;
/// # fn example(map: bpfsys::MapFd) -> Result<(), loader::maps::AccessError> {
/// let hits = PerCpuMap::<u32, u64>::new(map)?;
/// let total: u64 = hits.get(&0)?.iter().flat_map(|values| values.iter()).sum();
/// println!("{total}");
/// # Ok(())
/// # }
/// ```
pub struct PerCpuMap<K, V> {
    raw: RawMap,
    types: PhantomData<fn() -> (K, V)>,
}

impl<K, V> fmt::Debug for PerCpuMap<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PerCpuMap").field(&self.raw).finish()
    }
}

impl<K: Plain, V: Plain> PerCpuMap<K, V> {
    /// The map, with these types for its elements.
    ///
    /// # Errors
    /// The elements have other sizes, or one value for all CPUs.
    pub fn new(map: MapFd) -> Result<Self, AccessError> {
        let raw = RawMap::new(map)?;
        raw.require(MapType::is_per_cpu, "map with a value for each cpu")?;
        raw.size::<K>("key", raw.shape.key_size)?;
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

    /// The map, back.
    #[must_use]
    pub fn into_map(self) -> MapFd {
        self.raw.map
    }

    /// The values of a key.
    ///
    /// # Errors
    /// The kernel's, but for a key that is not there.
    pub fn get(&self, key: &K) -> Result<Option<PerCpuValues<V>>, AccessError> {
        let mut bytes = vec![0; self.raw.shape.value_buf_len];
        let looked_up = MapLookupElem::new(&self.raw.map, key.as_bytes()).run(&mut bytes);
        match self.raw.found(looked_up)? {
            true => Ok(PerCpuValues::decode(&bytes)),
            false => Ok(None),
        }
    }

    /// The value of a key on one CPU. Since Linux 7.0.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn get_on(&self, key: &K, cpu: u32) -> Result<Option<V>, AccessError> {
        let mut value = V::new_zeroed();
        let looked_up = MapLookupElem::new(&self.raw.map, key.as_bytes())
            .flags(ElemFlags::on_cpu(cpu))
            .run(value.as_mut_bytes());
        Ok(self.raw.found(looked_up)?.then_some(value))
    }

    /// Sets the values of a key.
    ///
    /// # Errors
    /// The kernel's.
    pub fn insert(
        &self,
        key: &K,
        values: &PerCpuValues<V>,
        flags: ElemFlags,
    ) -> Result<(), AccessError> {
        self.raw.update(key.as_bytes(), &values.encode(), flags)
    }

    /// Sets the value of a key on one CPU. Since Linux 7.0.
    ///
    /// # Errors
    /// The kernel's.
    pub fn insert_on(&self, key: &K, cpu: u32, value: &V) -> Result<(), AccessError> {
        self.raw
            .update(key.as_bytes(), value.as_bytes(), ElemFlags::on_cpu(cpu))
    }

    /// Removes a key; whether it was there.
    ///
    /// # Errors
    /// The kernel's: `EINVAL` for arrays, whose elements stay.
    pub fn remove(&self, key: &K) -> Result<bool, AccessError> {
        self.raw.delete(key.as_bytes())
    }

    /// Removes a key and gives its values. Since Linux 5.14, for hashes.
    ///
    /// # Errors
    /// The kernel's.
    pub fn take(&self, key: &K) -> Result<Option<PerCpuValues<V>>, AccessError> {
        let mut bytes = vec![0; self.raw.shape.value_buf_len];
        let taken = MapLookupAndDelete::new(&self.raw.map, key.as_bytes()).run(&mut bytes);
        match self.raw.found(taken)? {
            true => Ok(PerCpuValues::decode(&bytes)),
            false => Ok(None),
        }
    }

    /// All elements, as [`TypedMap::iter`](super::TypedMap::iter).
    ///
    /// # Errors
    /// The map's elements cannot be listed.
    pub fn iter(
        &self,
    ) -> Result<impl Iterator<Item = Result<(K, PerCpuValues<V>), AccessError>>, AccessError> {
        let entries = Entries::open(&self.raw.map);
        let mut entries = entries.map_err(|error| self.raw.walk(error))?;
        let mut ended = false;
        Ok(core::iter::from_fn(move || {
            while !ended {
                match entries.next() {
                    Ok(Some((key, Ok(value)))) => {
                        let pair = K::read_from_bytes(key).ok();
                        let pair = pair.zip(PerCpuValues::decode(value));
                        if let Some(pair) = pair {
                            return Some(Ok(pair));
                        }
                    }
                    // Gone since its key was read.
                    Ok(Some((_key, Err(error)))) if error.is(Errno::ENOENT) => {}
                    Ok(Some((_key, Err(error)))) => {
                        return Some(Err(self.raw.sys("look up an element", error)));
                    }
                    Ok(None) => ended = true,
                    Err(error) => {
                        ended = true;
                        return Some(Err(self.raw.walk(error)));
                    }
                }
            }
            None
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_at_multiples_of_eight() {
        let values = PerCpuValues::<[u8; 3]>(Box::new([[1, 2, 3], [4, 5, 6]]));
        let bytes = values.encode();
        assert_eq!(bytes, [1, 2, 3, 0, 0, 0, 0, 0, 4, 5, 6, 0, 0, 0, 0, 0]);
        assert_eq!(PerCpuValues::decode(&bytes), Some(values));
        let values = PerCpuValues::<u64>(Box::new([7, 8]));
        assert_eq!(values.encode().len(), 16);
        assert_eq!(
            PerCpuValues::<[u8; 9]>(Box::new([[1; 9]])).encode().len(),
            16
        );
    }

    #[test]
    fn as_many_as_cpus() {
        let Ok(cpus) = cpus::possible() else {
            return;
        };
        let all = PerCpuValues::all(&5_u32).unwrap();
        assert_eq!(all.len(), cpus);
        let first = cpus::possible_list().unwrap()[0];
        assert_eq!(all.of_cpu(first), Some(&5));
        assert_eq!(all.of_cpu(u32::MAX), None);
        let error = PerCpuValues::new(vec![0_u8; cpus + 1]).unwrap_err();
        let cause = AccessCause::CpuCount {
            given: cpus + 1,
            cpus,
        };
        assert_eq!(error.cause(), &cause);
    }
}
