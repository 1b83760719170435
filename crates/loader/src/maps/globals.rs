//! Global variables of a loaded object, in memory that is shared with its programs.

use super::error::{AccessCause, AccessError, Named, describe};
use super::memory::{Memory, Placed, Variable};
use super::typed::Plain;
use crate::model::{MapIdx, Object};
use bpfsys::sys::mmap::{Access, Mapping, page_size};
use bpfsys::uapi::flags::MapFlags;
use bpfsys::uapi::info::MapInfo;
use bpfsys::{BtfFd, BtfId, MapFd, MapType};
use btf::{Btf, Type};
use core::fmt;
use nix::errno::Errno;

/// The variables of a data section: `.data`, `.bss`, and (to read) `.rodata` and `.kconfig`.
///
/// What is written here is what programs see, and the other way round, without a system call.
/// Also any other array that was made with [`MapFlags::MMAPABLE`], whose elements follow each
/// other at multiples of 8 bytes.
///
/// ```no_run
/// use loader::maps::Globals;
/// # fn example(loaded: &loader::kernel::Loaded) -> Result<(), Box<dyn std::error::Error>> {
/// let map = loaded.map(".bss").and_then(|map| map.fd()).ok_or("no variables")?;
/// let globals = Globals::open(map)?;
/// println!("{}", globals.variable::<u64>("packets")?.get());
/// globals.variable::<u32>("enabled")?.set(&1)?;
/// # Ok(())
/// # }
/// ```
pub struct Globals {
    name: Box<str>,
    mapping: Mapping,
    size: usize,
    writable: bool,
    placed: Vec<Placed>,
}

impl Globals {
    /// Maps the variables of a map; their names and places are those of the types that the map
    /// was made with. A map that is frozen, or read-only for programs, is mapped to be read.
    ///
    /// # Errors
    /// The map is no array that can be mapped, or its types cannot be read.
    pub fn open(map: &MapFd) -> Result<Self, AccessError> {
        let (name, info) = describe(map)?;
        let placed = placed(&name, &info)?;
        Self::map(map, placed, None)
    }

    /// Maps the variables of a map; their names and places are those of the object that it was
    /// made for. For kernels that do not take types.
    ///
    /// # Errors
    /// The map is no array that can be mapped.
    pub fn of_object(map: &MapFd, object: &Object, index: MapIdx) -> Result<Self, AccessError> {
        let placed = variables_of(object, index, 0);
        Self::map(map, placed, None)
    }

    /// Maps the variables of a map, without names, and in no other way than this.
    pub(crate) fn nameless(map: &MapFd, access: Access) -> Result<Self, AccessError> {
        Self::map(map, Vec::new(), Some(access))
    }

    /// Maps them as asked, otherwise to be written where that is allowed.
    fn map(map: &MapFd, placed: Vec<Placed>, access: Option<Access>) -> Result<Self, AccessError> {
        let named = Named::duplicate(map)?;
        let Named { name, info, .. } = &named;
        named.require(MapType::ARRAY, "array of variables")?;
        let unsuited = |why| AccessError::new(name, AccessCause::Unsuited(why));
        let flags = MapFlags::from_bits_retain(info.map_flags);
        if !flags.contains(MapFlags::MMAPABLE) {
            return Err(unsuited("it was not made to be mapped (BPF_F_MMAPABLE)"));
        }
        let size = usize::try_from(info.value_size)
            .ok()
            .and_then(|size| size.checked_next_multiple_of(8))
            .and_then(|size| size.checked_mul(usize::try_from(info.max_entries).ok()?));
        let whole = size.and_then(|size| size.checked_next_multiple_of(page_size()));
        let (Some(size), Some(whole)) = (size, whole) else {
            return Err(unsuited("it is larger than memory can be"));
        };
        let failed = |error| AccessError::sys(name, "map it", error);
        let mapped = |access| Mapping::new(&named.map, whole, 0, access);
        let (mapping, writable) = match mapped(access.unwrap_or(Access::ReadWrite)) {
            Ok(mapping) => (mapping, access != Some(Access::Read)),
            // Frozen, or only to be read by programs or by this descriptor.
            Err(error)
                if access.is_none() && (error.is(Errno::EPERM) || error.is(Errno::EACCES)) =>
            {
                (mapped(Access::Read).map_err(failed)?, false)
            }
            Err(error) => return Err(failed(error)),
        };
        Ok(Self {
            name: named.name,
            mapping,
            size,
            writable,
            placed,
        })
    }

    pub(crate) fn memory(&self) -> Memory<'_> {
        Memory {
            name: &self.name,
            mapping: &self.mapping,
            size: self.size,
            writable: self.writable,
            placed: &self.placed,
        }
    }

    /// The variables, in the order of their places.
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

    /// The value at `offset`.
    ///
    /// # Errors
    /// It is not inside.
    pub fn read<T: Plain>(&self, offset: u64) -> Result<T, AccessError> {
        self.memory().read(offset)
    }

    /// Copies bytes out.
    ///
    /// # Errors
    /// They are not inside.
    pub fn read_bytes(&self, offset: u64, to: &mut [u8]) -> Result<(), AccessError> {
        self.memory().read_bytes(offset, to)
    }

    /// Writes a value at `offset`.
    ///
    /// # Errors
    /// It would not be inside, or the memory can only be read.
    pub fn write<T: Plain>(&self, offset: u64, value: &T) -> Result<(), AccessError> {
        self.memory().write_bytes(offset, value.as_bytes())
    }

    /// Copies bytes in.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn write_bytes(&self, offset: u64, from: &[u8]) -> Result<(), AccessError> {
        self.memory().write_bytes(offset, from)
    }

    /// Bytes that there are.
    #[must_use]
    pub fn size(&self) -> usize {
        self.size
    }

    /// Whether it can be written to.
    #[must_use]
    pub fn is_writable(&self) -> bool {
        self.writable
    }
}

impl fmt::Debug for Globals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Globals")
            .field("map", &self.name)
            .field("size", &self.size)
            .field("writable", &self.writable)
            .field("variables", &self.placed)
            .finish_non_exhaustive()
    }
}

/// The variables that the types of a map tell of; none where it has no types.
fn placed(name: &str, info: &MapInfo) -> Result<Vec<Placed>, AccessError> {
    let Some(id) = BtfId::new(info.btf_id) else {
        return Ok(Vec::new());
    };
    let data = BtfFd::by_id(id).and_then(|btf| btf.data());
    let data = data.map_err(|error| AccessError::sys(name, "read its types", error))?;
    let wrong = |error| AccessError::new(name, AccessCause::Types(error));
    let btf = Btf::parse(data).map_err(wrong)?;
    let Type::Datasec(section) = btf.type_by_id(info.btf_value_type_id).map_err(wrong)? else {
        return Ok(Vec::new());
    };
    let mut placed = Vec::new();
    for place in section.vars() {
        if let Type::Var(variable) = btf.type_by_id(place.type_id).map_err(wrong)? {
            placed.push(Placed {
                name: String::from_utf8_lossy(variable.name().or_empty()).into_owned(),
                offset: u64::from(place.offset),
                size: u64::from(place.size),
            });
        }
    }
    Ok(placed)
}

/// The variables that an object has in a map, `start` bytes further on.
pub(super) fn variables_of(object: &Object, index: MapIdx, start: u64) -> Vec<Placed> {
    let own = object.variables().iter().filter(|own| own.map == index);
    let mut placed: Vec<_> = own
        .map(|own| Placed {
            name: own.name.clone(),
            offset: start.saturating_add(u64::from(own.offset)),
            size: u64::from(own.size),
        })
        .collect();
    placed.sort_by_key(|own| own.offset);
    placed
}
