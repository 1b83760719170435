//! What skeletons in Rust are made of: they consist of calls to this module, and nobody else
//! needs it.
//!
//! Variables of a loaded object are shared with programs that run at any moment, so there are no
//! references to them: [`Live`] and [`LiveMut`] copy.

pub use crate::attach::Link;
pub use crate::kernel::{LoadOptions, Loaded};
pub use crate::model;
pub use bpfsys::{MapFd, ProgFd};
pub use zerocopy;
pub use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::shape::fingerprint;
use crate::attach::AttachError;
use crate::error::Error;
use crate::maps::{AccessError, Globals, Variable};
use crate::model::{Map, MapIdx, MapOrigin, Object, ParseOptions, ProgIdx, Program};
use bpfsys::sys::mmap::Access;
use std::fmt;
use std::marker::PhantomData;

/// Why a skeleton cannot be opened, loaded or attached.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SkelError {
    /// A stage of loading.
    #[error(transparent)]
    Load(#[from] Error),
    /// The skeleton includes an object that it was not written for.
    #[error("the skeleton of '{0}' was written for another object: write it again")]
    Different(String),
    /// There is no memory for a section.
    #[error("there is no memory for {size} bytes of map '{map}'")]
    Memory {
        /// The map.
        map: String,
        /// Bytes.
        size: usize,
    },
    /// A section has no map, because nobody made it.
    #[error("the variables of map '{0}' cannot be reached: it was not made")]
    NotMade(String),
    /// A section cannot be mapped.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// A program or map cannot be attached.
    #[error(transparent)]
    Attach(#[from] AttachError),
}

/// A truth value in memory that others write to: every byte but zero is true.
#[derive(Clone, Copy, Default, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(transparent)]
pub struct Bool(pub u8);

impl Bool {
    /// Whether it is true.
    #[must_use]
    pub const fn get(self) -> bool {
        self.0 != 0
    }
}

impl From<bool> for Bool {
    fn from(value: bool) -> Self {
        Self(value.into())
    }
}

impl From<Bool> for bool {
    fn from(value: Bool) -> Self {
        value.get()
    }
}

impl PartialEq for Bool {
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get()
    }
}

impl fmt::Debug for Bool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}

/// What skeletons may have in memory: any bytes are a value, and every byte of a value is one of
/// the memory.
pub trait Plain: crate::maps::Plain + KnownLayout {}

impl<T: crate::maps::Plain + KnownLayout> Plain for T {}

/// What a skeleton's functions give.
pub type Result<T> = std::result::Result<T, SkelError>;

/// Reads the object of a skeleton, and makes sure that it is the one that the skeleton is of.
///
/// # Errors
/// It is no object, or another one.
pub fn open(elf: &[u8], name: &str, shape: u64) -> Result<Object> {
    let object = Object::parse(elf, &ParseOptions::named(name)).map_err(|source| Error::Model {
        object: name.to_owned(),
        source: Box::new(source),
    })?;
    if fingerprint(&object) == shape {
        Ok(object)
    } else {
        Err(SkelError::Different(name.to_owned()))
    }
}

/// The map of this number.
///
/// # Panics
/// There is none: the object is not the one that [`open`] gave to the skeleton.
#[expect(clippy::indexing_slicing, reason = "see Panics")]
#[must_use]
pub fn map_mut(object: &mut Object, map: u32) -> &mut Map {
    &mut object.maps_mut()[map as usize]
}

/// The program of this number.
///
/// # Panics
/// There is none: the object is not the one that [`open`] gave to the skeleton.
#[expect(clippy::indexing_slicing, reason = "see Panics")]
#[must_use]
pub fn program_mut(object: &mut Object, program: u32) -> &mut Program {
    &mut object.programs_mut()[program as usize]
}

/// The value of a section, as the object has it.
///
/// # Errors
/// There is no memory for it.
pub fn section<T: Plain>(object: &Object, map: u32) -> Result<Box<T>> {
    let found = object.maps().get(map as usize);
    let mut value = T::new_box_zeroed().map_err(|_no_memory| SkelError::Memory {
        map: found.map(|map| map.symbol.clone()).unwrap_or_default(),
        size: size_of::<T>(),
    })?;
    if let Some(found) = found {
        let bytes = value.as_mut_bytes().iter_mut();
        bytes.zip(&found.data).for_each(|(to, from)| *to = *from);
    }
    Ok(value)
}

/// Gives a section its value. Where it has been made longer, what is behind the value stays.
pub fn set_section<T: Plain>(object: &mut Object, map: u32, value: &T) {
    let Some(map) = object.maps_mut().get_mut(map as usize) else {
        return;
    };
    let bytes = value.as_bytes();
    if map.data.is_empty() && bytes.iter().all(|byte| *byte == 0) {
        return;
    }
    let is_arena = !matches!(map.origin, MapOrigin::Data | MapOrigin::Constants);
    let len = if is_arena {
        map.data.len()
    } else {
        map.spec.value_size as usize
    };
    map.data.resize(len, 0);
    map.data
        .iter_mut()
        .zip(bytes)
        .for_each(|(to, from)| *to = *from);
}

/// A value inside of another.
#[must_use]
pub fn part<S: Plain, T: Plain>(of: &S, offset: usize) -> T {
    let mut value = T::new_zeroed();
    let from = of.as_bytes().iter().skip(offset);
    let to = value.as_mut_bytes().iter_mut();
    to.zip(from).for_each(|(to, from)| *to = *from);
    value
}

/// Changes a value inside of another.
pub fn set_part<S: Plain, T: Plain>(of: &mut S, offset: usize, value: &T) {
    let to = of.as_mut_bytes().iter_mut().skip(offset);
    to.zip(value.as_bytes()).for_each(|(to, from)| *to = *from);
}

/// The bits of a bit field, from the place where compilers for this machine put them.
#[must_use]
pub fn bits<S: Plain>(of: &S, offset: usize, width: u32) -> u64 {
    let bytes = of.as_bytes();
    let mut value = 0;
    for n in 0..width.min(64) {
        let at = offset + n as usize;
        let bit = bytes.get(at / 8).is_some_and(|byte| byte & mask(at) != 0);
        value |= u64::from(bit) << place(n, width.min(64));
    }
    value
}

/// The same, for a bit field with a sign.
#[must_use]
pub fn signed_bits<S: Plain>(of: &S, offset: usize, width: u32) -> i64 {
    let unused = 64 - width.clamp(1, 64);
    (bits(of, offset, width) << unused).cast_signed() >> unused
}

/// Changes a bit field; bits that it has no room for are lost.
pub fn set_bits<S: Plain>(of: &mut S, offset: usize, width: u32, value: u64) {
    let bytes = of.as_mut_bytes();
    for n in 0..width.min(64) {
        let at = offset + n as usize;
        if let Some(byte) = bytes.get_mut(at / 8) {
            if value >> place(n, width.min(64)) & 1 == 1 {
                *byte |= mask(at);
            } else {
                *byte &= !mask(at);
            }
        }
    }
}

/// Which bit of a value is the `n`th in memory.
const fn place(n: u32, width: u32) -> u32 {
    if cfg!(target_endian = "little") {
        n
    } else {
        width - 1 - n
    }
}

/// Which bit of its byte a bit of memory is.
const fn mask(at: usize) -> u8 {
    if cfg!(target_endian = "little") {
        1 << (at % 8)
    } else {
        0x80 >> (at % 8)
    }
}

/// A member of the value of a struct_ops map.
#[must_use]
pub fn ops_value<T: Plain>(object: &Object, map: u32, offset: usize) -> T {
    let mut value = T::new_zeroed();
    let data = object.maps().get(map as usize).map(|map| &map.data);
    let from = data.into_iter().flatten().skip(offset);
    let to = value.as_mut_bytes().iter_mut();
    to.zip(from).for_each(|(to, from)| *to = *from);
    value
}

/// Changes a member of the value of a struct_ops map.
pub fn set_ops_value<T: Plain>(object: &mut Object, map: u32, offset: usize, value: &T) {
    if let Some(map) = object.maps_mut().get_mut(map as usize) {
        let to = map.data.iter_mut().skip(offset);
        to.zip(value.as_bytes()).for_each(|(to, from)| *to = *from);
    }
}

/// The program that implements a member of a struct_ops map.
#[must_use]
pub fn ops_program(object: &Object, map: u32, member: u32) -> Option<u32> {
    let MapOrigin::StructOps(ops) = &object.maps().get(map as usize)?.origin else {
        return None;
    };
    let found = ops.progs.iter().find(|(number, _)| *number == member);
    found.map(|(_, program)| program.0)
}

/// Changes which program implements a member of a struct_ops map.
pub fn set_ops_program(object: &mut Object, map: u32, member: u32, program: Option<u32>) {
    let map = object.maps_mut().get_mut(map as usize);
    if let Some(MapOrigin::StructOps(ops)) = map.map(|map| &mut map.origin) {
        let place = ops.progs.iter_mut().find(|(number, _)| *number == member);
        match (place, program) {
            (Some(place), Some(program)) => place.1 = ProgIdx(program),
            (None, Some(program)) => ops.progs.push((member, ProgIdx(program))),
            (_, None) => ops.progs.retain(|(number, _)| *number != member),
        }
    }
}

/// A map of a loaded object.
#[must_use]
pub fn map_fd(loaded: &Loaded, map: u32) -> Option<&MapFd> {
    loaded.map_by_index(MapIdx(map))?.fd()
}

/// A program of a loaded object.
#[must_use]
pub fn prog_fd(loaded: &Loaded, program: u32) -> Option<&ProgFd> {
    loaded.program_by_index(ProgIdx(program))?.fd()
}

/// A section of a loaded object, mapped.
#[derive(Debug)]
pub struct Mapped<T> {
    globals: Globals,
    of: PhantomData<fn() -> T>,
}

impl<T> Mapped<T> {
    /// Its variables.
    #[must_use]
    pub fn memory(&self) -> Memory<'_> {
        Memory {
            memory: self.globals.memory(),
            base: 0,
        }
    }
}

/// Maps a section of a loaded object.
///
/// # Errors
/// It was not made, or is smaller than it was written to be, or the kernel does not map it.
pub fn mapped<T: Plain>(loaded: &Loaded, map: u32, access: Access) -> Result<Mapped<T>> {
    let found = loaded.map_by_index(MapIdx(map));
    let name = || found.map(|map| map.symbol().to_owned()).unwrap_or_default();
    let fd = map_fd(loaded, map).ok_or_else(|| SkelError::NotMade(name()))?;
    let globals = Globals::nameless(fd, access)?;
    globals.memory().variable_at::<T>(0)?;
    Ok(Mapped {
        globals,
        of: PhantomData,
    })
}

/// Attaches a program of a loaded object to what its section names. Nothing happens when it was
/// not loaded, or its section does not say where.
///
/// # Errors
/// It cannot be attached there.
pub fn attach(loaded: &Loaded, program: u32) -> Result<Option<Link>> {
    let program = loaded.program_by_index(ProgIdx(program));
    let Some(program) = program.filter(|program| program.fd().is_some()) else {
        return Ok(None);
    };
    Ok(crate::attach::auto(program)?)
}

/// Registers what a struct_ops map of a loaded object implements. Nothing happens when it was not
/// made.
///
/// # Errors
/// It cannot be registered.
pub fn attach_map(loaded: &Loaded, map: u32) -> Result<Option<Link>> {
    let map = loaded.map_by_index(MapIdx(map));
    let Some(map) = map.filter(|map| map.fd().is_some()) else {
        return Ok(None);
    };
    Ok(Some(loaded.struct_ops(map.symbol())?.attach()?))
}

/// How a section that programs only read is mapped.
pub const READ: Access = Access::Read;
/// How other sections are mapped.
pub const WRITE: Access = Access::ReadWrite;

/// A section in memory.
#[derive(Clone, Copy, Debug)]
pub struct Memory<'a> {
    memory: crate::maps::Memory<'a>,
    base: u64,
}

impl<'a> Memory<'a> {
    /// The global variables of an arena, if it has any.
    #[must_use]
    pub fn of_arena(loaded: &'a Loaded, map: u32) -> Option<Self> {
        let map = loaded.map_by_index(MapIdx(map))?;
        Some(Self {
            memory: crate::maps::Memory::whole(map.symbol(), map.arena()?),
            base: map.arena_data_at()?,
        })
    }

    /// All of it, as far as there is memory for a copy.
    #[must_use]
    pub fn read<T: Plain>(self) -> Option<Box<T>> {
        let mut value = T::new_box_zeroed().ok()?;
        let read = self.memory.read_bytes(self.base, value.as_mut_bytes());
        read.ok().map(|()| value)
    }

    /// A variable that can be read.
    #[must_use]
    pub fn live<T: Plain>(self, offset: usize) -> Live<'a, T> {
        let offset = u64::try_from(offset).unwrap_or(u64::MAX);
        Live(self.memory.place(self.base.saturating_add(offset)))
    }

    /// A variable that can be read and written.
    #[must_use]
    pub fn live_mut<T: Plain>(self, offset: usize) -> LiveMut<'a, T> {
        LiveMut(self.live(offset))
    }
}

/// A variable of a loaded object.
pub struct Live<'a, T>(Variable<'a, T>);

impl<T> Clone for Live<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Live<'_, T> {}

impl<T: Plain> Live<'_, T> {
    /// Its value now. Integers of the machine are read at once, larger values while programs may
    /// be writing to them.
    #[must_use]
    pub fn get(self) -> T {
        self.0.get()
    }
}

impl<'a, T: Plain, const N: usize> Live<'a, [T; N]> {
    /// An element.
    #[must_use]
    pub fn at(self, index: usize) -> Option<Live<'a, T>> {
        self.0.at(index).map(Live)
    }
}

impl<T: Plain + fmt::Debug> fmt::Debug for Live<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}

/// A variable of a loaded object that can be written.
pub struct LiveMut<'a, T>(Live<'a, T>);

impl<T> Clone for LiveMut<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for LiveMut<'_, T> {}

impl<T: Plain> LiveMut<'_, T> {
    /// Its value now, as [`Live::get`].
    #[must_use]
    pub fn get(self) -> T {
        self.0.get()
    }

    /// Changes it. Integers of the machine are written at once, larger values while programs may
    /// be reading them.
    pub fn set(self, value: T) {
        let written = self.0.0.set(&value);
        // Skeletons have these only of what they map to be written.
        debug_assert!(written.is_ok(), "{written:?}");
    }
}

impl<'a, T: Plain, const N: usize> LiveMut<'a, [T; N]> {
    /// An element.
    #[must_use]
    pub fn at(self, index: usize) -> Option<LiveMut<'a, T>> {
        self.0.at(index).map(LiveMut)
    }
}

impl<T: Plain + fmt::Debug> fmt::Debug for LiveMut<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
