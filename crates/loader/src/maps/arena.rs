//! Arenas: memory in which programs and user space have the same addresses.

use super::error::{AccessCause, AccessError, describe};
use super::globals::variables_of;
use super::memory::{Memory, Placed, Variable};
use super::typed::Plain;
use crate::kernel::LoadedMap;
use crate::model::Object;
use bpfsys::sys::mmap::{Access, Mapping, page_size};
use bpfsys::uapi::flags::MapFlags;
use bpfsys::uapi::info::MapInfo;
use bpfsys::{MapFd, MapType};
use core::fmt;

/// An arena. Since Linux 6.9.
///
/// Pages that no program has asked for are made by the first access from here; they count against
/// whoever made the arena, and where there is no memory left the access ends the process, as it
/// does for all memory. Arenas whose absent pages must not be accessed
/// ([`MapFlags::SEGV_ON_FAULT`]) are refused for that reason: every access would be a guess.
///
/// Pointers that programs store are addresses of this process; [`read_at`](Self::read_at) follows
/// them.
pub struct Arena<'m> {
    name: Box<str>,
    mapping: Own<'m>,
    placed: Vec<Placed>,
}

enum Own<'m> {
    Mine(Mapping),
    Lent(&'m Mapping),
}

impl Arena<'static> {
    /// Maps the arena of a map that somebody else has loaded.
    ///
    /// # Errors
    /// The map is no arena; it is mapped elsewhere, at an address that only its first user knows
    /// (`EBUSY`).
    pub fn open(map: &MapFd) -> Result<Self, AccessError> {
        let (name, info) = checked(map)?;
        let failed = |error| AccessError::sys(&name, "map it", error);
        let len = usize::try_from(info.max_entries)
            .ok()
            .and_then(|pages| pages.checked_mul(page_size()))
            .ok_or_else(|| {
                let why = AccessCause::Unsuited("it is larger than memory can be");
                AccessError::new(&name, why)
            })?;
        let mapping = match info.map_extra {
            0 => Mapping::new(map, len, 0, Access::ReadWrite),
            address => Mapping::at_address(map, len, address, Access::ReadWrite),
        };
        let mapping = Own::Mine(mapping.map_err(failed)?);
        Ok(Self {
            name,
            mapping,
            placed: Vec::new(),
        })
    }
}

impl<'m> Arena<'m> {
    /// The arena of an object that was loaded here, with its variables.
    ///
    /// # Errors
    /// The map is no arena, or was not made.
    pub fn of(loaded: &'m LoadedMap, object: &Object) -> Result<Self, AccessError> {
        let unsuited = |why| AccessError::new(loaded.symbol(), AccessCause::Unsuited(why));
        let map = loaded
            .fd()
            .ok_or_else(|| unsuited("it was not made, or was taken"))?;
        let (name, _info) = checked(map)?;
        let mapping = loaded.arena().ok_or_else(|| unsuited("it is not mapped"))?;
        let start = loaded.arena_data_at().unwrap_or(0);
        Ok(Self {
            name,
            mapping: Own::Lent(mapping),
            placed: variables_of(object, loaded.index(), start),
        })
    }

    fn memory(&self) -> Memory<'_> {
        let mapping = match &self.mapping {
            Own::Mine(mapping) => mapping,
            Own::Lent(mapping) => mapping,
        };
        Memory {
            placed: &self.placed,
            ..Memory::whole(&self.name, mapping)
        }
    }

    /// The variables that the object has there.
    #[must_use]
    pub fn variables(&self) -> &[Placed] {
        &self.placed
    }

    /// The variable of this name, if it is as large as the type.
    ///
    /// # Errors
    /// There is none, or it has another size.
    pub fn variable<T: Plain>(&self, name: &str) -> Result<Variable<'_, T>, AccessError> {
        self.memory().variable(name)
    }

    /// Where it begins.
    #[must_use]
    pub fn address(&self) -> u64 {
        u64::try_from(self.memory().mapping.address()).unwrap_or(0)
    }

    /// Bytes that it takes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.memory().size
    }

    /// The value at an offset.
    ///
    /// # Errors
    /// It is not inside.
    pub fn read<T: Plain>(&self, offset: u64) -> Result<T, AccessError> {
        self.memory().read(offset)
    }

    /// Writes a value at an offset.
    ///
    /// # Errors
    /// It would not be inside.
    pub fn write<T: Plain>(&self, offset: u64, value: &T) -> Result<(), AccessError> {
        self.memory().write_bytes(offset, value.as_bytes())
    }

    /// The value that a pointer of a program leads to.
    ///
    /// # Errors
    /// It is not inside.
    pub fn read_at<T: Plain>(&self, address: u64) -> Result<T, AccessError> {
        self.read(self.offset_of(address))
    }

    /// Writes a value where a pointer of a program leads to.
    ///
    /// # Errors
    /// It would not be inside.
    pub fn write_at<T: Plain>(&self, address: u64, value: &T) -> Result<(), AccessError> {
        self.write(self.offset_of(address), value)
    }

    /// How far an address is from the beginning. Programs keep the lower half of it only where
    /// they have not been told that it is for user space; arenas never cross what it can count.
    fn offset_of(&self, address: u64) -> u64 {
        let start = self.address();
        if address >> 32 == 0 && start >> 32 != 0 {
            let low = u32::try_from(start & u64::from(u32::MAX)).unwrap_or(0);
            let at = u32::try_from(address).unwrap_or(0);
            return u64::from(at.wrapping_sub(low));
        }
        address.wrapping_sub(start)
    }
}

/// Refuses what is no arena, and arenas whose absent pages end the process.
fn checked(map: &MapFd) -> Result<(Box<str>, MapInfo), AccessError> {
    let (name, info) = describe(map)?;
    let found = info.type_();
    if found != MapType::ARENA {
        let cause = AccessCause::Kind {
            found,
            wanted: "arena",
        };
        return Err(AccessError::new(&name, cause));
    }
    let flags = MapFlags::from_bits_retain(info.map_flags);
    if flags.contains(MapFlags::SEGV_ON_FAULT) {
        let cause = AccessCause::Unsuited("access to its absent pages would end this process");
        return Err(AccessError::new(&name, cause));
    }
    Ok((name, info))
}

impl fmt::Debug for Arena<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arena")
            .field("map", &self.name)
            .field("address", &format_args!("{:#x}", self.address()))
            .field("size", &self.size())
            .field("variables", &self.placed)
            .finish_non_exhaustive()
    }
}
