//! The array of descriptors at the start of the blob.
//!
//! Everything that a loader program opens is kept here, so that one loop closes it. Instructions
//! of programs name maps, and modules whose functions they call, by index in this array.

use super::LightError;
use super::blob::{Blob, Place};

/// Where each descriptor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Table {
    start: Place,
    maps: u32,
    temporaries: u32,
    progs: u32,
}

impl Table {
    /// Room for so many maps and programs, and for what one program needs while it is loaded.
    pub(super) fn new(
        blob: &mut Blob,
        maps: usize,
        temporaries: usize,
        progs: usize,
    ) -> Result<Self, LightError> {
        let count = |len: usize| u32::try_from(len).map_err(|_too_many| LightError::TooLong);
        let mut table = Self {
            start: Place::START,
            maps: count(maps)?,
            temporaries: count(temporaries)?,
            progs: count(progs)?,
        };
        table.start = blob.reserve(table.count() as usize * 4)?;
        Ok(table)
    }

    /// All of them, maps first.
    pub(super) const fn start(self) -> Place {
        self.start
    }

    /// How many there are.
    pub(super) const fn count(self) -> u32 {
        self.attach_index() + 1
    }

    pub(super) const fn map(self, map: u32) -> Place {
        self.at(map)
    }

    /// Index of what a program needs while it is loaded: modules whose functions it calls, jump
    /// tables. It is never 0, by which calls mean the kernel proper.
    pub(super) const fn temporary_index(self, slot: u32) -> u32 {
        (if self.maps == 0 { 1 } else { self.maps }) + slot
    }

    pub(super) const fn temporary(self, slot: u32) -> Place {
        self.at(self.temporary_index(slot))
    }

    pub(super) const fn prog(self, prog: u32) -> Place {
        self.at(self.temporary_index(self.temporaries) + prog)
    }

    /// The object's types.
    pub(super) const fn types(self) -> Place {
        self.at(self.attach_index() - 2)
    }

    /// The pattern for the maps inside the one that is being made.
    pub(super) const fn inner(self) -> Place {
        self.at(self.attach_index() - 1)
    }

    /// The module that has what the program that is being loaded attaches to.
    pub(super) const fn attach(self) -> Place {
        self.at(self.attach_index())
    }

    const fn attach_index(self) -> u32 {
        self.temporary_index(self.temporaries) + self.progs + 2
    }

    const fn at(self, index: u32) -> Place {
        self.start.nth(index, 4)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use btf::Endian;

    #[test]
    fn descriptors_do_not_overlap() {
        for (maps, temporaries, progs) in [(0u8, 0u8, 0u8), (3, 0, 2), (0, 2, 1), (2, 3, 4)] {
            let mut blob = Blob::new(Endian::Little);
            let table =
                Table::new(&mut blob, maps.into(), temporaries.into(), progs.into()).unwrap();
            let mut places: Vec<u32> = (0..u32::from(maps))
                .map(|i| table.map(i).offset())
                .collect();
            places.extend((0..u32::from(temporaries)).map(|i| table.temporary(i).offset()));
            places.extend((0..u32::from(progs)).map(|i| table.prog(i).offset()));
            places.extend([table.types(), table.inner(), table.attach()].map(Place::offset));
            assert!(places.is_sorted_by(|a, b| a < b), "{places:?}");
            assert_eq!(places.last(), Some(&((table.count() - 1) * 4)));
            assert!(blob.bytes().len() >= table.count() as usize * 4);
            assert_eq!(table.temporary(0).offset(), table.temporary_index(0) * 4);
            assert_ne!(table.temporary_index(0), 0);
        }
    }
}
