//! What a load has made.

use super::error::{KernelError, Pinned};
use super::pins::{self, NewPins, file_name};
use crate::model::map::position_named;
use crate::model::{MapIdx, ProgIdx};
use crate::relocate::StructOpsPlan;
use bpfsys::sys::mmap::Mapping;
use bpfsys::{AttachType, BtfFd, MapFd, ProgFd, ProgType, VerifierLog};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

/// An object in the kernel. Dropping it closes every descriptor that was not taken, and with them
/// what nothing else refers to; pins stay.
#[derive(Debug)]
pub struct Loaded {
    pub(super) object: String,
    pub(super) maps: Vec<LoadedMap>,
    pub(super) programs: Vec<LoadedProgram>,
    pub(super) btf: Option<BtfFd>,
    pub(super) btf_log: VerifierLog,
    pub(super) notes: Vec<String>,
}

/// A map of an object in the kernel.
#[derive(Debug)]
pub struct LoadedMap {
    pub(super) index: MapIdx,
    pub(super) name: String,
    pub(super) symbol: String,
    pub(super) shown: String,
    pub(super) skipped: Option<String>,
    pub(super) fd: Option<MapFd>,
    pub(super) reused: bool,
    pub(super) pin: Option<PathBuf>,
    pub(super) arena: Option<Mapping>,
    pub(super) arena_data_at: Option<u64>,
    pub(super) struct_ops: Option<StructOpsPlan>,
}

impl LoadedMap {
    /// Which of the object's maps it is.
    #[must_use]
    pub fn index(&self) -> MapIdx {
        self.index
    }

    /// Its name in the kernel.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its variable, or the whole name of its section.
    #[must_use]
    pub fn symbol(&self) -> &str {
        &self.symbol
    }

    /// Its descriptor; none when it was not made, or was taken.
    #[must_use]
    pub fn fd(&self) -> Option<&MapFd> {
        self.fd.as_ref()
    }

    /// Takes the descriptor.
    pub fn take_fd(&mut self) -> Option<MapFd> {
        self.fd.take()
    }

    /// Whether it was there before.
    #[must_use]
    pub fn is_reused(&self) -> bool {
        self.reused
    }

    /// Why it was not made.
    #[must_use]
    pub fn skipped(&self) -> Option<&str> {
        self.skipped.as_deref()
    }

    /// Where it is pinned.
    #[must_use]
    pub fn pin(&self) -> Option<&Path> {
        self.pin.as_deref()
    }

    /// The memory of an arena.
    #[must_use]
    pub fn arena(&self) -> Option<&Mapping> {
        self.arena.as_ref()
    }

    /// Where an arena has the variables of the object, in bytes from its beginning.
    #[must_use]
    pub fn arena_data_at(&self) -> Option<u64> {
        self.arena_data_at
    }

    /// Whether it implements a type of the kernel.
    #[must_use]
    pub fn is_struct_ops(&self) -> bool {
        self.struct_ops.is_some()
    }

    /// Whether what it implements is registered by a link, not by an update alone.
    #[must_use]
    pub fn is_registered_by_link(&self) -> bool {
        self.struct_ops.as_ref().is_some_and(|ops| ops.link)
    }

    fn pinned(&self) -> Pinned {
        Pinned::Map(self.shown.clone())
    }
}

/// A program of an object in the kernel.
#[derive(Debug)]
pub struct LoadedProgram {
    pub(super) index: ProgIdx,
    pub(super) name: String,
    pub(super) section: String,
    pub(super) prog_type: ProgType,
    pub(super) attach_type: AttachType,
    pub(super) module: Option<String>,
    pub(super) fd: Option<ProgFd>,
    pub(super) log: VerifierLog,
    pub(super) pins: Vec<PathBuf>,
}

impl LoadedProgram {
    /// Which of the object's programs it is.
    #[must_use]
    pub fn index(&self) -> ProgIdx {
        self.index
    }

    /// Its whole name, of which the kernel keeps 15 bytes.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The section it is from.
    #[must_use]
    pub fn section(&self) -> &str {
        &self.section
    }

    /// Its type.
    #[must_use]
    pub fn prog_type(&self) -> ProgType {
        self.prog_type
    }

    /// The hook it is for, also where this kernel was not told; 0 when there is nothing to tell.
    #[must_use]
    pub fn attach_type(&self) -> AttachType {
        self.attach_type
    }

    /// The module whose functions it attaches to; none for the kernel proper and for programs that
    /// attach to something else.
    #[must_use]
    pub fn module(&self) -> Option<&str> {
        self.module.as_deref()
    }

    /// Its descriptor; none when it was taken.
    #[must_use]
    pub fn fd(&self) -> Option<&ProgFd> {
        self.fd.as_ref()
    }

    /// Takes the descriptor.
    pub fn take_fd(&mut self) -> Option<ProgFd> {
        self.fd.take()
    }

    /// What the verifier wrote; empty unless a level was asked for.
    #[must_use]
    pub fn log(&self) -> &VerifierLog {
        &self.log
    }

    /// Where it was pinned.
    #[must_use]
    pub fn pins(&self) -> &[PathBuf] {
        &self.pins
    }

    fn pinned(&self) -> Pinned {
        Pinned::Program(self.name.clone())
    }
}

impl Loaded {
    /// The object's name.
    #[must_use]
    pub fn object(&self) -> &str {
        &self.object
    }

    /// Its maps, those that were not made among them, in the object's order.
    #[must_use]
    pub fn maps(&self) -> &[LoadedMap] {
        &self.maps
    }

    /// Its maps, to take descriptors.
    pub fn maps_mut(&mut self) -> &mut [LoadedMap] {
        &mut self.maps
    }

    /// The map of this name: that of the variable or section, else the one in the kernel.
    #[must_use]
    pub fn map(&self, name: &str) -> Option<&LoadedMap> {
        self.map_at(name).and_then(|at| self.maps.get(at))
    }

    /// The map of this name, to take its descriptor.
    pub fn map_mut(&mut self, name: &str) -> Option<&mut LoadedMap> {
        self.map_at(name).and_then(|at| self.maps.get_mut(at))
    }

    /// The map that is this one in the object.
    #[must_use]
    pub fn map_by_index(&self, index: MapIdx) -> Option<&LoadedMap> {
        self.maps.iter().find(|map| map.index == index)
    }

    fn map_at(&self, name: &str) -> Option<usize> {
        let names = self.maps.iter().map(|map| (&*map.symbol, &*map.name));
        position_named(names, name)
    }

    /// The programs that were loaded, in the object's order.
    #[must_use]
    pub fn programs(&self) -> &[LoadedProgram] {
        &self.programs
    }

    /// The programs, to take descriptors.
    pub fn programs_mut(&mut self) -> &mut [LoadedProgram] {
        &mut self.programs
    }

    /// The program of this name.
    #[must_use]
    pub fn program(&self, name: &str) -> Option<&LoadedProgram> {
        self.programs.iter().find(|program| program.name == name)
    }

    /// The program of this name, to take its descriptor.
    pub fn program_mut(&mut self, name: &str) -> Option<&mut LoadedProgram> {
        let mut programs = self.programs.iter_mut();
        programs.find(|program| program.name == name)
    }

    /// The program that is this one in the object.
    #[must_use]
    pub fn program_by_index(&self, index: ProgIdx) -> Option<&LoadedProgram> {
        self.programs.iter().find(|program| program.index == index)
    }

    /// The types of the object, if they were loaded.
    #[must_use]
    pub fn btf(&self) -> Option<&BtfFd> {
        self.btf.as_ref()
    }

    /// What the kernel wrote about the types.
    #[must_use]
    pub fn btf_log(&self) -> &VerifierLog {
        &self.btf_log
    }

    /// What was done otherwise than the plan says, in words.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The value by which a map registers what it implements, with the descriptors of its
    /// programs. Keep the programs open until it is registered.
    ///
    /// # Errors
    /// There is no such map, it implements nothing, or one of its programs was not loaded or was
    /// taken.
    pub fn struct_ops_value(&self, map: &str) -> Result<Vec<u8>, KernelError> {
        let unknown = || KernelError::Unknown(Pinned::Map(map.to_owned()));
        let found = self.map(map).ok_or_else(unknown)?;
        let ops = found.struct_ops.as_ref();
        let ops = ops.ok_or_else(|| KernelError::NotStructOps(map.to_owned()))?;
        let mut value = ops.value.clone();
        for (at, index) in &ops.progs {
            let program = self.program_by_index(*index);
            let fd = program.and_then(|program| program.fd.as_ref());
            let fd = fd.ok_or_else(|| {
                let name = program.map(|program| program.name.clone());
                KernelError::Unknown(Pinned::Program(
                    name.unwrap_or_else(|| format!("number {}", index.0)),
                ))
            })?;
            let number = u64::from(fd.as_raw_fd().unsigned_abs()).to_ne_bytes();
            let start = *at as usize;
            let place = start
                .checked_add(number.len())
                .and_then(|end| value.get_mut(start..end));
            let place = place.ok_or_else(|| {
                KernelError::Plan(format!("map '{map}' has no place for a program at {at}"))
            })?;
            place.copy_from_slice(&number);
        }
        Ok(value)
    }

    /// Pins a program.
    ///
    /// # Errors
    /// There is no such program, or it cannot be pinned there.
    pub fn pin_program(&mut self, name: &str, path: &Path) -> Result<(), KernelError> {
        let program = self
            .program_mut(name)
            .filter(|program| program.fd.is_some())
            .ok_or_else(|| KernelError::Unknown(Pinned::Program(name.to_owned())))?;
        let mut pins = NewPins::default();
        if let Some(fd) = &program.fd {
            pins.pin(fd, path, &|| program.pinned())?;
        }
        pins.keep();
        program.pins.push(path.to_owned());
        Ok(())
    }

    /// Pins every program in a directory, by its name. The directory is made if it is the only
    /// one missing. When one cannot be pinned, none is.
    ///
    /// # Errors
    /// One of them cannot be pinned.
    pub fn pin_programs(&mut self, directory: &Path) -> Result<(), KernelError> {
        let mut pins = NewPins::default();
        let mut paths = Vec::with_capacity(self.programs.len());
        for program in &self.programs {
            let path = directory.join(&program.name);
            if let Some(fd) = &program.fd {
                pins.pin(fd, &path, &|| program.pinned())?;
            }
            paths.push(path);
        }
        pins.keep();
        for (program, path) in self.programs.iter_mut().zip(paths) {
            if program.fd.is_some() {
                program.pins.push(path);
            }
        }
        Ok(())
    }

    /// Removes the pins of every program in a directory.
    ///
    /// # Errors
    /// One of them cannot be removed; those before it are then gone.
    pub fn unpin_programs(&mut self, directory: &Path) -> Result<(), KernelError> {
        for program in &mut self.programs {
            let path = directory.join(&program.name);
            if program.fd.is_some() {
                pins::unpin(&path, &|| Pinned::Program(program.name.clone()))?;
                program.pins.retain(|pin| *pin != path);
            }
        }
        Ok(())
    }

    /// Pins a map. Nothing happens when it is pinned there already.
    ///
    /// # Errors
    /// There is no such map, it is pinned elsewhere, or cannot be pinned there.
    pub fn pin_map(&mut self, name: &str, path: &Path) -> Result<(), KernelError> {
        let unknown = || KernelError::Unknown(Pinned::Map(name.to_owned()));
        let map = self.map_mut(name).filter(|map| map.fd.is_some());
        let map = map.ok_or_else(unknown)?;
        let mut pins = NewPins::default();
        pin_one(map, path, &mut pins)?;
        pins.keep();
        map.pin = Some(path.to_owned());
        Ok(())
    }

    /// Pins every map that was made in a directory, by its name with `_` for dots. The directory
    /// is made if it is the only one missing. Maps that are pinned there already stay; when one
    /// cannot be pinned, none of the others is.
    ///
    /// # Errors
    /// One of them is pinned elsewhere, or cannot be pinned.
    pub fn pin_maps(&mut self, directory: &Path) -> Result<(), KernelError> {
        let mut pins = NewPins::default();
        let mut paths = Vec::with_capacity(self.maps.len());
        for map in &self.maps {
            let path = directory.join(file_name(&map.shown));
            pin_one(map, &path, &mut pins)?;
            paths.push(path);
        }
        pins.keep();
        for (map, path) in self.maps.iter_mut().zip(paths) {
            if map.fd.is_some() {
                map.pin = Some(path);
            }
        }
        Ok(())
    }

    /// Removes the pins of every map in a directory.
    ///
    /// # Errors
    /// One of them cannot be removed; those before it are then gone.
    pub fn unpin_maps(&mut self, directory: &Path) -> Result<(), KernelError> {
        for map in &mut self.maps {
            let path = directory.join(file_name(&map.shown));
            if map.fd.is_some() {
                pins::unpin(&path, &|| Pinned::Map(map.shown.clone()))?;
                map.pin.take_if(|pin| *pin == path);
            }
        }
        Ok(())
    }
}

fn pin_one(map: &LoadedMap, path: &Path, pins: &mut NewPins) -> Result<(), KernelError> {
    let Some(fd) = &map.fd else {
        return Ok(());
    };
    match &map.pin {
        None => pins.pin(fd, path, &|| map.pinned()),
        Some(at) if at == path => Ok(()),
        Some(at) => Err(KernelError::PinnedElsewhere {
            what: map.pinned(),
            path: path.to_owned(),
            at: at.clone(),
        }),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail")]

    use super::*;

    /// Maps of these symbols and names, without descriptors.
    fn loaded(names: &[(&str, &str)]) -> Loaded {
        let map = |(at, (symbol, name)): (u32, &(&str, &str))| LoadedMap {
            index: MapIdx(at),
            name: (*name).to_owned(),
            symbol: (*symbol).to_owned(),
            shown: (*symbol).to_owned(),
            skipped: None,
            fd: None,
            reused: false,
            pin: None,
            arena: None,
            arena_data_at: None,
            struct_ops: None,
        };
        Loaded {
            object: "obj".into(),
            maps: (0..).zip(names).map(map).collect(),
            programs: Vec::new(),
            btf: None,
            btf_log: VerifierLog::default(),
            notes: Vec::new(),
        }
    }

    #[test]
    fn maps_are_known_by_their_variable_or_section_before_the_name_in_the_kernel() {
        let mut loaded = loaded(&[
            (".rodata.cst32.first", ".rodata.cst32.f"),
            (".rodata", "obj.rodata"),
            ("other", "counts"),
            ("counts", "cut"),
        ]);
        for (name, expect) in [
            (".rodata.cst32.f", Some(0)),
            (".rodata.cst32.first", Some(0)),
            (".rodata", Some(1)),
            ("obj.rodata", Some(1)),
            ("counts", Some(3)),
            ("cut", Some(3)),
            ("nothing", None),
        ] {
            let found = loaded.map(name).map(|map| map.index().0);
            assert_eq!(found, expect, "{name}");
            let found = loaded.map_mut(name).map(|map| map.index().0);
            assert_eq!(found, expect, "{name}");
        }
    }

    #[test]
    fn what_implements_nothing_has_no_value_to_register() {
        let loaded = loaded(&[("counts", "counts")]);
        let error = |map| loaded.struct_ops_value(map).unwrap_err().to_string();
        assert_eq!(
            error("counts"),
            "map 'counts' implements no type of the kernel"
        );
        assert_eq!(error("gone"), "there is no map 'gone'");
    }
}
