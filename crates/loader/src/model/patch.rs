//! Changing words of types in place.

use btf::types::Datasec;
use btf::{Btf, BtfError, Endian};

/// Words of a blob to change. Records keep their places, so ids and strings stay.
pub(super) struct Patch<'b> {
    pub(super) btf: &'b Btf<'b>,
    /// Place in bytes, new value.
    words: Vec<(usize, u32)>,
}

impl<'b> Patch<'b> {
    pub(super) const fn new(btf: &'b Btf<'b>) -> Self {
        Self {
            btf,
            words: Vec::new(),
        }
    }

    /// Changes a word of the record that starts at `offset`.
    pub(super) fn set(&mut self, offset: u64, word: usize, value: u32) {
        if let Ok(offset) = usize::try_from(offset) {
            self.words.push((offset.saturating_add(word * 4), value));
        }
    }

    /// Writes a section anew: its size, its variables in the order of their places.
    pub(super) fn section(&mut self, section: &Datasec<'_>, size: u32, mut vars: Vec<[u32; 3]>) {
        let at = section.offset();
        self.set(at, 2, size);
        vars.sort_by_key(|[_, offset, _]| *offset);
        for (word, value) in vars.into_iter().flatten().enumerate() {
            self.set(at, 3 + word, value);
        }
    }

    /// The changes, without the types they are for.
    pub(super) fn finish(self) -> Changes {
        Changes {
            endian: self.btf.endian(),
            words: self.words,
        }
    }
}

/// Words to change.
pub(super) struct Changes {
    endian: Endian,
    words: Vec<(usize, u32)>,
}

impl Changes {
    /// The types with the changes made in their bytes.
    pub(super) fn apply(self, mut bytes: Vec<u8>) -> Result<Btf<'static>, BtfError> {
        for (at, word) in self.words {
            if let Some(place) = bytes.get_mut(at..).and_then(<[u8]>::first_chunk_mut::<4>) {
                *place = match self.endian {
                    Endian::Little => word.to_le_bytes(),
                    Endian::Big => word.to_be_bytes(),
                };
            }
        }
        Btf::parse(bytes)
    }
}
