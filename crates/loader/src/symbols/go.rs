//! Functions of Go programs, which have a table of them even where symbols are stripped: the
//! runtime needs it to unwind stacks.
//!
//! The table is in the section `.gopclntab`. Its form changed with Go 1.16, 1.18 and 1.20, and
//! each form starts with a number of its own.

use super::functions::Functions;
use super::read::{Numbers, ReadAt, c_str};
use super::{ElfFile, Glob, Match, SymbolError};

/// The sections that the table may be in: the second one in programs that can be moved.
const SECTIONS: [&[u8]; 2] = [b".gopclntab", b".data.rel.ro.gopclntab"];
/// Longer names are none.
const MAX_NAME: usize = 4096;

/// What a form of the table has where.
#[derive(Clone, Copy, Debug)]
struct Form {
    /// Functions are places relative to the start of the code, in 4 bytes.
    relative: bool,
    /// There are parts at offsets that the header says.
    parts: bool,
}

/// Where the number of functions is, in every form.
const COUNT: usize = 8;

/// The table, with the places of its parts.
#[derive(Debug)]
pub struct GoTable {
    data: Vec<u8>,
    big: bool,
    wide: bool,
    relative: bool,
    count: u64,
    /// Where the start of the code would be, as far as the table says.
    start: u64,
    names: u64,
    functions: u64,
}

impl GoTable {
    /// Reads the table of a file; `None` when it is no Go program.
    ///
    /// # Errors
    /// The table is damaged.
    pub fn read<R: ReadAt>(file: &ElfFile<R>) -> Result<Option<Self>, SymbolError> {
        let mut sections = SECTIONS.iter();
        let Some(section) = sections.find_map(|name| file.section_by_name(name)) else {
            return Ok(None);
        };
        let data = file.data(&section, "the table of go functions")?;
        let mut table = Self::parse(data, file.numbers(&[]).big)?;
        if table.relative && table.start == 0 {
            table.start = table.start_by_entry(file.entry()).unwrap_or_else(|| {
                let text = file.section_by_name(b".text");
                text.map(|text| text.address).unwrap_or_default()
            });
        }
        Ok(Some(table))
    }

    /// Reads the header of a table.
    ///
    /// # Errors
    /// It is of no known form, or its parts are not within it.
    pub fn parse(data: Vec<u8>, big: bool) -> Result<Self, SymbolError> {
        let bad = |offset, size| SymbolError::Bounds {
            what: "the table of go functions",
            offset,
            size,
            have: data.len() as u64,
        };
        let header = Numbers {
            data: &data,
            big,
            wide: false,
        };
        let pointer = data.get(7).copied();
        let (Some(magic), Some(pointer @ (4 | 8))) = (header.u32(0), pointer) else {
            return Err(bad(0, 8));
        };
        let header = Numbers {
            wide: pointer == 8,
            ..header
        };
        let form = match magic {
            0xffff_fffb => Form {
                relative: false,
                parts: false,
            },
            0xffff_fffa => Form {
                relative: false,
                parts: true,
            },
            0xffff_fff0 | 0xffff_fff1 => Form {
                relative: true,
                parts: true,
            },
            _ => {
                return Err(SymbolError::Unpack {
                    what: "the table of go functions",
                    why: format!("its form {magic:#x} is not known"),
                });
            }
        };
        let size = header.word_size();
        let word = |index: usize| {
            let at = COUNT + index * size;
            header.word(at).ok_or_else(|| bad(at as u64, size as u64))
        };
        let count = word(0)?;
        // number of functions, of files, (start of the code,) then offsets of the parts: names,
        // units, files, numbers, functions
        let (start, names, functions) = match form {
            Form { relative: true, .. } => (word(2)?, word(3)?, word(7)?),
            Form { parts: true, .. } => (0, word(2)?, word(6)?),
            _ => (0, 0, (8 + size) as u64),
        };
        let entry = if form.relative { 8 } else { 2 * size as u64 };
        let end = count
            .checked_mul(entry)
            .and_then(|bytes| bytes.checked_add(functions))
            .filter(|end| *end <= data.len() as u64);
        if end.is_none() {
            return Err(bad(functions, count.saturating_mul(entry)));
        }
        Ok(Self {
            big,
            wide: pointer == 8,
            relative: form.relative,
            count,
            start,
            names,
            functions,
            data,
        })
    }

    fn numbers(&self) -> Numbers<'_> {
        Numbers {
            data: &self.data,
            big: self.big,
            wide: self.wide,
        }
    }

    /// The functions: where each starts, where the next does, and where its name is in the table.
    fn entries(&self) -> impl Iterator<Item = (u64, u64, u64)> {
        let table = self.numbers().from(self.functions);
        let names = self.names;
        // offsets of records count from the start of this part, or of the whole table
        let records = if self.names == 0 {
            Some(self.numbers())
        } else {
            table
        };
        let size = if self.relative {
            4
        } else {
            table.map_or(8, |t| t.word_size())
        };
        let relative = self.relative;
        let start = self.start;
        let number = move |numbers: Numbers<'_>, at: usize| {
            if relative {
                numbers.u32(at).map(u64::from)
            } else {
                numbers.word(at)
            }
        };
        let count = usize::try_from(self.count).unwrap_or_default();
        (0..count).filter_map(move |index| {
            let table = table?;
            let at = index.checked_mul(2 * size)?;
            let place = number(table, at)?;
            let record = number(table, at.checked_add(size)?)?;
            let next = number(table, at.checked_add(2 * size)?).unwrap_or(place);
            let name = u64::from(records?.from(record)?.u32(size)?);
            Some((
                start.checked_add(place)?,
                start.checked_add(next)?,
                names.checked_add(name)?,
            ))
        })
    }

    fn name(&self, at: u64) -> Option<&[u8]> {
        let tail = self.data.get(usize::try_from(at).ok()?..)?;
        let tail = tail.get(..MAX_NAME).unwrap_or(tail);
        c_str(tail, 0).filter(|name| !name.is_empty())
    }

    /// The start of the code, if a program starts with the function that Go programs start with.
    fn start_by_entry(&self, entry: u64) -> Option<u64> {
        let (place, ..) = self.entries().find(|(_, _, name)| {
            self.name(*name)
                .is_some_and(|name| name.starts_with(b"_rt0_"))
        })?;
        entry.checked_sub(place)
    }

    /// The function of this name.
    pub(super) fn function(&self, name: &str, place: impl Fn(u64) -> Option<u64>) -> Option<Match> {
        let (start, end, _) = self
            .entries()
            .find(|(_, _, at)| self.name(*at) == Some(name.as_bytes()))?;
        Some(Match::new(
            name.to_owned(),
            start,
            place(start)?,
            end.saturating_sub(start),
        ))
    }

    /// The functions whose names fit a pattern.
    pub(super) fn functions(
        self,
        pattern: Option<&Glob>,
        place: impl Fn(u64) -> Option<u64>,
    ) -> Functions {
        let list: Vec<_> = self
            .entries()
            .filter_map(|(start, end, at)| {
                let name = self.name(at)?;
                if pattern.is_some_and(|pattern| !pattern.fits(name)) {
                    return None;
                }
                let len = u16::try_from(name.len()).ok()?;
                let size = end.saturating_sub(start);
                Some((u32::try_from(at).ok()?, len, start, place(start)?, size))
            })
            .collect();
        Functions::new(self.data, list)
    }

    /// The function that an address is in: its name, its address and its size.
    pub(super) fn function_at(&self, address: u64) -> Option<(String, u64, u64)> {
        let (start, end, name) = self
            .entries()
            .find(|(start, end, _)| (*start..*end).contains(&address))?;
        let name = String::from_utf8_lossy(self.name(name)?).into_owned();
        Some((name, start, end.saturating_sub(start)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A table of a form, with functions (place, name), that ends at a place.
    fn table(magic: u32, start: u64, functions: &[(u64, &str)], end: u64) -> Vec<u8> {
        let mut out = magic.to_le_bytes().to_vec();
        out.extend([0, 0, 1, 8]);
        let word = |out: &mut Vec<u8>, n: u64| out.extend(n.to_le_bytes());
        let relative = magic == 0xffff_fff1;
        let mut names = Vec::new();
        let mut at = Vec::new();
        for (_, name) in functions {
            at.push(u32::try_from(names.len()).unwrap());
            names.extend(name.as_bytes());
            names.push(0);
        }
        let count = functions.len() as u64;
        word(&mut out, count);
        if magic != 0xffff_fffb {
            word(&mut out, 0);
            if relative {
                word(&mut out, start);
            }
            let header = out.len() as u64 + 5 * 8;
            word(&mut out, header);
            for _ in 0..3 {
                word(&mut out, 0);
            }
            word(&mut out, header + names.len() as u64);
            out.extend(&names);
        }
        let size = if relative { 4 } else { 8 };
        let number = |out: &mut Vec<u8>, n: u64| out.extend(&n.to_le_bytes()[..size]);
        let table = functions.len() * 2 * size + size;
        let mut records = Vec::new();
        // of the oldest form, everything counts from the start
        let base = if magic == 0xffff_fffb { out.len() } else { 0 };
        let names_at = base + table + functions.len() * (size + 4);
        for ((place, _), name) in functions.iter().zip(&at) {
            number(&mut out, *place);
            number(&mut out, (base + table + records.len()) as u64);
            number(&mut records, *place);
            let name = if magic == 0xffff_fffb {
                *name + u32::try_from(names_at).unwrap()
            } else {
                *name
            };
            records.extend(name.to_le_bytes());
        }
        number(&mut out, end);
        out.extend(records);
        if magic == 0xffff_fffb {
            out.extend(names);
        }
        out
    }

    #[test]
    fn every_form_has_names_places_and_sizes() {
        for magic in [0xffff_fffb, 0xffff_fffa, 0xffff_fff1] {
            let start = if magic == 0xffff_fff1 { 0x1000 } else { 0 };
            let places = [0x1000 - start, 0x1040 - start];
            let functions = [(places[0], "main.main"), (places[1], "main.(*T).f")];
            let bytes = table(magic, 0x1000 - (0x1000 - start), &functions, 0x1060 - start);
            let start = if magic == 0xffff_fff1 { start } else { 0 };
            let mut parsed = GoTable::parse(bytes, false).unwrap();
            parsed.start = start;
            let found = parsed.function("main.(*T).f", Some).unwrap();
            assert_eq!((found.address, found.size), (0x1040, 0x20), "{magic:#x}");
            assert_eq!(
                parsed.function_at(0x1044),
                Some(("main.(*T).f".to_owned(), 0x1040, 0x20))
            );
            assert_eq!(parsed.function("main.g", Some), None);
            let all = parsed.functions(Some(&Glob::new("main.m*")), Some);
            let names: Vec<_> = all.iter().map(|f| f.name.to_vec()).collect();
            assert_eq!(names, [b"main.main"], "{magic:#x}");
        }
    }

    #[test]
    fn the_start_is_found_by_the_entry() {
        let bytes = table(0xffff_fff1, 0, &[(0x20, "_rt0_amd64_linux")], 0x40);
        let parsed = GoTable::parse(bytes, false).unwrap();
        assert_eq!(parsed.start_by_entry(0x401020), Some(0x401000));
    }

    #[test]
    fn damaged_tables_answer() {
        let bytes = table(0xffff_fff1, 16, &[(0, "a"), (8, "b")], 16);
        for len in 0..bytes.len() {
            drop(GoTable::parse(bytes[..len].to_vec(), false).map(|t| t.functions(None, Some)));
        }
        for at in 0..bytes.len() {
            let mut bytes = bytes.clone();
            bytes[at] = 0xff;
            drop(GoTable::parse(bytes, false).map(|t| t.functions(None, Some)));
        }
    }
}
