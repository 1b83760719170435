//! Maps whose keys and values have types.

use super::entries::{Entries, WalkError};
use super::error::{AccessCause, AccessError, describe};
use bpfsys::cmd::{
    MapDeleteBatch, MapDeleteElem, MapLookupAndDelete, MapLookupElem, MapUpdateBatch, MapUpdateElem,
};
use bpfsys::uapi::flags::ElemFlags;
use bpfsys::{MapFd, MapShape, MapType, SysError};
use core::fmt;
use core::marker::PhantomData;
use nix::errno::Errno;
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// What keys and values can be: plain data, any bytes of which are a value.
///
/// Everything that derives zerocopy's `FromBytes`, `IntoBytes` and `Immutable` is.
pub trait Plain: FromBytes + IntoBytes + Immutable {}

impl<T: FromBytes + IntoBytes + Immutable> Plain for T {}

/// A map with keys, and with one value for each key.
///
/// Hashes, arrays, tries, local storage (with descriptors for keys) and all others whose elements
/// are plain bytes. Their sizes are compared with the map's when this is made, so that no call
/// fails for them later.
///
/// ```no_run
/// use bpfsys::uapi::flags::ElemFlags;
/// use loader::maps::TypedMap;
/// # fn example(map: bpfsys::MapFd) -> Result<(), loader::maps::AccessError> {
/// let counts = TypedMap::<u32, u64>::new(map)?;
/// counts.insert(&7, &1, ElemFlags::empty())?;
/// for entry in counts.iter()? {
///     let (key, count) = entry?;
///     println!("{key}: {count}");
/// }
/// # Ok(())
/// # }
/// ```
pub struct TypedMap<K, V> {
    pub(super) raw: RawMap,
    types: PhantomData<fn() -> (K, V)>,
}

/// A map, its name and its sizes.
pub(super) struct RawMap {
    pub(super) map: MapFd,
    pub(super) name: Box<str>,
    pub(super) shape: MapShape,
}

impl RawMap {
    pub(super) fn new(map: MapFd) -> Result<Self, AccessError> {
        let (name, _info) = describe(&map)?;
        let shape = map.shape();
        let shape = shape.map_err(|error| AccessError::sys(&name, "tell its sizes", error))?;
        Ok(Self { map, name, shape })
    }

    pub(super) fn error(&self, cause: AccessCause) -> AccessError {
        AccessError::new(&self.name, cause)
    }

    pub(super) fn sys(&self, step: &'static str, error: SysError) -> AccessError {
        AccessError::sys(&self.name, step, error)
    }

    /// Refuses a map of another type.
    pub(super) fn require(
        &self,
        fits: impl FnOnce(MapType) -> bool,
        wanted: &'static str,
    ) -> Result<(), AccessError> {
        let found = self.shape.map_type;
        if fits(found) {
            return Ok(());
        }
        Err(self.error(AccessCause::Kind { found, wanted }))
    }

    /// Refuses a type of another size.
    pub(super) fn size<T>(&self, what: &'static str, real: u32) -> Result<(), AccessError> {
        let (given, real) = (size_of::<T>(), usize::try_from(real).unwrap_or(usize::MAX));
        if given == real {
            return Ok(());
        }
        Err(self.error(AccessCause::Size { what, given, real }))
    }

    pub(super) fn walk(&self, error: WalkError) -> AccessError {
        let (step, source) = match error {
            WalkError::Unsettled => return self.error(AccessCause::Unsettled),
            WalkError::Shape(source) => ("tell its sizes", source),
            WalkError::Start(source) => ("list its elements", source),
            WalkError::Piece(source) => ("read its elements", source),
            WalkError::NextKey(source) => ("get its next key", source),
        };
        self.sys(step, source)
    }

    /// What a look at one element gave.
    pub(super) fn found(&self, result: Result<(), SysError>) -> Result<bool, AccessError> {
        match result {
            Ok(()) => Ok(true),
            Err(error) if error.is(Errno::ENOENT) => Ok(false),
            Err(error) => Err(self.sys("look up an element", error)),
        }
    }

    pub(super) fn delete(&self, key: &[u8]) -> Result<bool, AccessError> {
        match MapDeleteElem::new(&self.map, key).run() {
            Ok(()) => Ok(true),
            Err(error) if error.is(Errno::ENOENT) => Ok(false),
            Err(error) => Err(self.sys("delete an element", error)),
        }
    }

    pub(super) fn update(
        &self,
        key: &[u8],
        value: &[u8],
        flags: ElemFlags,
    ) -> Result<(), AccessError> {
        MapUpdateElem::new(&self.map, key, value)
            .flags(flags)
            .run()
            .map_err(|error| self.sys("set an element", error))
    }
}

impl fmt::Debug for RawMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Map")
            .field("name", &self.name)
            .field("shape", &self.shape)
            .finish_non_exhaustive()
    }
}

impl<K, V> fmt::Debug for TypedMap<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TypedMap").field(&self.raw).finish()
    }
}

/// Whether elements of this type are a key and one plain value.
fn is_plain(map_type: MapType) -> bool {
    let elements = match map_type {
        MapType::RINGBUF | MapType::USER_RINGBUF | MapType::ARENA | MapType::STRUCT_OPS => false,
        // Numbers of descriptors are written where ids are read: they are not of one type.
        other => !other.is_fd_map() && !other.is_keyless(),
    };
    elements && !map_type.is_per_cpu()
}

impl<K: Plain, V: Plain> TypedMap<K, V> {
    /// The map, with these types for its elements.
    ///
    /// # Errors
    /// The elements have other sizes, or are not a key and one value: use
    /// [`PerCpuMap`](super::PerCpuMap), [`Queue`](super::Queue) or
    /// [`BloomFilter`](super::BloomFilter).
    pub fn new(map: MapFd) -> Result<Self, AccessError> {
        let raw = RawMap::new(map)?;
        raw.require(is_plain, "map with one value for each key")?;
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

    /// The value of a key.
    ///
    /// # Errors
    /// The kernel's, but for a key that is not there.
    pub fn get(&self, key: &K) -> Result<Option<V>, AccessError> {
        self.get_with(key, ElemFlags::empty())
    }

    /// The value of a key, read under its spin lock with [`ElemFlags::LOCK`].
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn get_with(&self, key: &K, flags: ElemFlags) -> Result<Option<V>, AccessError> {
        let mut value = V::new_zeroed();
        let looked_up = MapLookupElem::new(&self.raw.map, key.as_bytes())
            .flags(flags)
            .run(value.as_mut_bytes());
        Ok(self.raw.found(looked_up)?.then_some(value))
    }

    /// Sets the value of a key. Flags say whether it must or must not be there.
    ///
    /// # Errors
    /// The kernel's: `EEXIST` and `ENOENT` by the flags, `E2BIG` when the map is full.
    pub fn insert(&self, key: &K, value: &V, flags: ElemFlags) -> Result<(), AccessError> {
        self.raw.update(key.as_bytes(), value.as_bytes(), flags)
    }

    /// Removes a key; whether it was there.
    ///
    /// # Errors
    /// The kernel's: `EINVAL` for arrays, whose elements stay.
    pub fn remove(&self, key: &K) -> Result<bool, AccessError> {
        self.raw.delete(key.as_bytes())
    }

    /// Removes a key and gives its value. Since Linux 5.14, for hashes.
    ///
    /// # Errors
    /// The kernel's.
    pub fn take(&self, key: &K) -> Result<Option<V>, AccessError> {
        let mut value = V::new_zeroed();
        let taken =
            MapLookupAndDelete::new(&self.raw.map, key.as_bytes()).run(value.as_mut_bytes());
        Ok(self.raw.found(taken)?.then_some(value))
    }

    /// All elements, thousands by one system call where the map has batches.
    ///
    /// Elements that come and go meanwhile may be seen or not, and those of a hash twice; all
    /// others are seen.
    ///
    /// # Errors
    /// The map's elements cannot be listed.
    pub fn iter(&self) -> Result<Iter<'_, K, V>, AccessError> {
        let entries = Entries::open(&self.raw.map);
        Ok(Iter {
            entries: entries.map_err(|error| self.raw.walk(error))?,
            raw: &self.raw,
            ended: false,
            types: PhantomData,
        })
    }

    /// All keys, as [`iter`](Self::iter).
    ///
    /// # Errors
    /// As [`iter`](Self::iter).
    pub fn keys(&self) -> Result<impl Iterator<Item = Result<K, AccessError>>, AccessError> {
        Ok(self.iter()?.map(|entry| entry.map(|(key, _value)| key)))
    }

    /// Sets many elements by one system call; how many. Where the map has no batches, one by one.
    ///
    /// # Errors
    /// That of the first element that cannot be set; those before it are set. The numbers of keys
    /// and values differ.
    pub fn insert_many(
        &self,
        keys: &[K],
        values: &[V],
        flags: ElemFlags,
    ) -> Result<usize, AccessError> {
        let same = keys.len() == values.len();
        if !same {
            return Err(self.raw.error(AccessCause::Unsuited(
                "there are not as many values as keys",
            )));
        }
        let (key_bytes, value_bytes) = (keys.as_bytes(), values.as_bytes());
        let batch = MapUpdateBatch::new(&self.raw.map, key_bytes, value_bytes).elem_flags(flags);
        match batch.run() {
            Ok(count) => Ok(count),
            Err(error) if has_no_batch(&error) => {
                for (key, value) in keys.iter().zip(values) {
                    self.insert(key, value, flags)?;
                }
                Ok(keys.len())
            }
            Err(error) => Err(self.raw.sys("set elements", error)),
        }
    }

    /// Removes many keys by one system call; how many. Where the map has no batches, one by one.
    ///
    /// # Errors
    /// The first key that is not there (`ENOENT`); those before it are removed.
    pub fn remove_many(&self, keys: &[K]) -> Result<usize, AccessError> {
        match MapDeleteBatch::new(&self.raw.map, keys.as_bytes()).run() {
            Ok(count) => Ok(count),
            Err(error) if has_no_batch(&error) => {
                for key in keys {
                    let deleted = MapDeleteElem::new(&self.raw.map, key.as_bytes()).run();
                    deleted.map_err(|error| self.raw.sys("delete elements", error))?;
                }
                Ok(keys.len())
            }
            Err(error) => Err(self.raw.sys("delete elements", error)),
        }
    }
}

/// Whether a map has no batches, or the kernel does not.
fn has_no_batch(error: &SysError) -> bool {
    error.kind() == bpfsys::ErrorKind::Unsupported
}

/// The elements of a map, copied.
pub struct Iter<'m, K, V> {
    entries: Entries<'m>,
    raw: &'m RawMap,
    ended: bool,
    types: PhantomData<fn() -> (K, V)>,
}

impl<K: Plain, V: Plain> Iterator for Iter<'_, K, V> {
    type Item = Result<(K, V), AccessError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.ended {
            match self.entries.next() {
                Ok(Some((key, Ok(value)))) => {
                    // The sizes are those of the map, which were compared.
                    let pair = K::read_from_bytes(key)
                        .ok()
                        .zip(V::read_from_bytes(value).ok());
                    if let Some(pair) = pair {
                        return Some(Ok(pair));
                    }
                }
                // Gone since its key was read.
                Ok(Some((_key, Err(error)))) if error.is(Errno::ENOENT) => {}
                Ok(Some((_key, Err(error)))) => {
                    return Some(Err(self.raw.sys("look up an element", error)));
                }
                Ok(None) => self.ended = true,
                Err(error) => {
                    self.ended = true;
                    return Some(Err(self.raw.walk(error)));
                }
            }
        }
        None
    }
}

impl<K, V> fmt::Debug for Iter<'_, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Iter")
            .field("map", &self.raw.name)
            .finish_non_exhaustive()
    }
}
