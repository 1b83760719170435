//! Versions of the symbols for the dynamic linker.

use super::read::{Numbers, ReadAt, c_str};
use super::{ElfFile, Section};
use object::elf;
use std::collections::BTreeMap;

/// Which version each dynamic symbol has.
#[derive(Debug, Default)]
pub(super) struct Versions {
    /// For each symbol the number of its version.
    of_symbols: Option<Section>,
    /// Names by number.
    names: BTreeMap<u16, String>,
}

/// The bit of a version that only those get who ask for it.
const HIDDEN: u16 = 0x8000;

impl Versions {
    /// Reads the tables of versions; what is damaged is left out.
    pub(super) fn read<R: ReadAt>(file: &ElfFile<R>) -> Self {
        let mut this = Self {
            of_symbols: file.section_by_kind(elf::SHT_GNU_VERSYM.0),
            names: BTreeMap::new(),
        };
        for (kind, entries) in [
            (elf::SHT_GNU_VERDEF.0, defined as Entries),
            (elf::SHT_GNU_VERNEED.0, needed as Entries),
        ] {
            let Some(section) = file.section_by_kind(kind) else {
                continue;
            };
            let table = file.data(&section, "versions").unwrap_or_default();
            let strings = file
                .section(section.link)
                .and_then(|strings| file.data(&strings, "names of versions").ok())
                .unwrap_or_default();
            entries(file.numbers(&table), &mut |number, name| {
                if let Some(name) = c_str(&strings, u64::from(name)).filter(|n| n.len() < 4096) {
                    let name = String::from_utf8_lossy(name).into_owned();
                    this.names.entry(number & !HIDDEN).or_insert(name);
                }
            });
        }
        this
    }

    /// The version of a symbol, with `@@` before a default one and `@` before others.
    pub(super) fn of<R: ReadAt>(&self, file: &ElfFile<R>, index: u64) -> Option<(String, bool)> {
        let section = self.of_symbols?;
        let at = index.checked_mul(2)?;
        if at.checked_add(2)? > section.size {
            return None;
        }
        let mut number = [0; 2];
        let offset = section.offset.checked_add(at)?;
        file.source().read_exact_at(&mut number, offset).ok()?;
        let number = file.numbers(&number).u16(0)?;
        // 0 is local, 1 is global without a version
        let name = self.names.get(&(number & !HIDDEN))?;
        (number & !HIDDEN > 1).then(|| (name.clone(), number & HIDDEN == 0))
    }
}

type Entries = fn(Numbers<'_>, &mut dyn FnMut(u16, u32));

/// Calls `next` at each entry of a list in which entries say how far the next one is. The list
/// only goes forward, so it ends with its bytes.
fn walk<'a>(table: Numbers<'a>, next_at: usize, mut each: impl FnMut(Numbers<'a>)) {
    let mut at = 0u64;
    while let Some(entry) = table.from(at) {
        let Some(next) = entry.u32(next_at) else {
            return;
        };
        each(entry);
        if next == 0 {
            return;
        }
        at = at.saturating_add(u64::from(next));
    }
}

/// `Elf_Verdef`: the first of the auxiliary entries has the name.
fn defined(table: Numbers<'_>, each: &mut dyn FnMut(u16, u32)) {
    walk(table, 16, |entry| {
        let name = entry
            .u32(12)
            .and_then(|aux| entry.from(u64::from(aux))?.u32(0));
        if let (Some(number), Some(name)) = (entry.u16(4), name) {
            each(number, name);
        }
    });
}

/// `Elf_Verneed`: each of the auxiliary entries has a number and a name.
fn needed(table: Numbers<'_>, each: &mut dyn FnMut(u16, u32)) {
    // every auxiliary entry belongs to one library
    let mut left = table.data.len() / 16;
    walk(table, 12, |entry| {
        let Some(list) = entry.u32(8).and_then(|aux| entry.from(u64::from(aux))) else {
            return;
        };
        walk(list, 12, |aux| {
            if left == 0 {
                return;
            }
            left -= 1;
            if let (Some(number), Some(name)) = (aux.u16(6), aux.u32(8)) {
                each(number, name);
            }
        });
    });
}
