//! From words to bytes: header, types, layout, strings.

use crate::raw::header::{MAGIC, NEW_LEN, OLD_LEN};
use crate::raw::kind::SIZES;
use crate::{BtfError, Endian, Kind};

use super::Builder;

/// Bytes of the part that all records share.
const COMMON: u8 = 12;

/// The entry of a layout section for a known kind; zeros for others.
fn layout_entry(kind: usize) -> LayoutEntry {
    let (fixed, each) = SIZES.get(kind).copied().unwrap_or_default();
    LayoutEntry {
        info_sz: fixed.saturating_sub(COMMON),
        elem_sz: each,
        flags: 0,
    }
}

/// How large the records of a kind are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LayoutEntry {
    /// Bytes after the common part.
    pub(super) info_sz: u8,
    /// Bytes per element.
    pub(super) elem_sz: u8,
    pub(super) flags: u16,
}

impl LayoutEntry {
    pub(super) fn read(endian: Endian, bytes: [u8; 4]) -> Self {
        let [info_sz, elem_sz, a, b] = bytes;
        Self {
            info_sz,
            elem_sz,
            flags: endian.u16([a, b]),
        }
    }
}

impl Builder<'_> {
    /// Also writes the section that tells older readers how large the records of each kind are
    /// (Linux 7.1; older kernels refuse it).
    #[doc(alias = "btf_new_opts")]
    pub fn add_layout(&mut self) {
        for kind in self.layout.len()..Kind::ALL.len() {
            self.layout.push(layout_entry(kind));
        }
    }

    /// The same, with an entry for an unknown kind.
    pub(super) fn add_layout_of(&mut self, kind: u8, entry: LayoutEntry) -> Result<(), BtfError> {
        self.add_layout();
        let at = usize::from(kind);
        if at >= self.layout.len() {
            self.layout.resize(at + 1, layout_entry(usize::MAX));
        }
        match self.layout.get_mut(at) {
            Some(old) if *old == layout_entry(usize::MAX) => *old = entry,
            Some(old) if (old.info_sz, old.elem_sz) == (entry.info_sz, entry.elem_sz) => {}
            _ => return Err(BtfError::LayoutConflict { kind }),
        }
        Ok(())
    }

    /// The blob.
    ///
    /// References are written as they were given; nothing says that the types exist.
    ///
    /// # Errors
    /// The first thing that could not be added, or a blob of 4 GiB.
    #[doc(alias = "btf__raw_data")]
    pub fn finish(self) -> Result<Vec<u8>, BtfError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let size = |bytes: usize| u32::try_from(bytes).map_err(|_error| BtfError::TypesFull);
        let header = if self.long_header || !self.layout.is_empty() {
            NEW_LEN
        } else {
            OLD_LEN
        };
        let layout = size(self.layout.len() * 4)?;
        let types = size(self.words.len() * 4)?;
        let strings = size(self.pool.bytes().len())?;
        let all = u64::from(types) + u64::from(layout) + u64::from(strings) + header as u64;
        if all > u64::from(u32::MAX) {
            return Err(BtfError::TypesFull);
        }

        let mut out = Vec::with_capacity(usize::try_from(all).unwrap_or_default());
        let half = |word: u16| match self.endian {
            Endian::Little => word.to_le_bytes(),
            Endian::Big => word.to_be_bytes(),
        };
        out.extend(half(MAGIC));
        out.extend([1, self.flags]);
        let layout_off = if layout == 0 { 0 } else { types };
        let fields = [
            size(header)?,
            0,
            types,
            types + layout,
            strings,
            layout_off,
            layout,
        ];
        put(&mut out, self.endian, &fields);
        out.truncate(header);
        put(&mut out, self.endian, &self.words);
        for entry in &self.layout {
            out.extend([entry.info_sz, entry.elem_sz]);
            out.extend(half(entry.flags));
        }
        out.extend_from_slice(self.pool.bytes());
        Ok(out)
    }
}

fn put(out: &mut Vec<u8>, endian: Endian, words: &[u32]) {
    match endian {
        Endian::Little => out.extend(words.iter().flat_map(|word| word.to_le_bytes())),
        Endian::Big => out.extend(words.iter().flat_map(|word| word.to_be_bytes())),
    }
}
