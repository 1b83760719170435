//! Lines of source and addresses, both ways, through DWARF.

use super::debug_file::debug_section;
use super::read::ReadAt;
use super::{ElfFile, SymbolError};
use btf::Endian;
use gimli::{
    Dwarf, EndianArcSlice, FileEntry, LineProgramHeader, Reader, RunTimeEndian, SectionId, Unit,
};
use std::collections::BTreeSet;
use std::sync::Arc;

type Bytes = EndianArcSlice<RunTimeEndian>;

/// The debug information of a file, in memory.
pub struct Lines {
    dwarf: Dwarf<Bytes>,
}

impl std::fmt::Debug for Lines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lines").finish_non_exhaustive()
    }
}

/// Where the code of a line is.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct LinePlace {
    /// The address before the file is moved in memory.
    pub address: u64,
    /// The source file.
    pub file: String,
    /// The line.
    pub line: u64,
}

/// What is read for lines; other sections are of no use here and may be large.
const WANTED: [SectionId; 9] = [
    SectionId::DebugAbbrev,
    SectionId::DebugAddr,
    SectionId::DebugInfo,
    SectionId::DebugLine,
    SectionId::DebugLineStr,
    SectionId::DebugRanges,
    SectionId::DebugRngLists,
    SectionId::DebugStr,
    SectionId::DebugStrOffsets,
];
fn dwarf(error: gimli::Error) -> SymbolError {
    SymbolError::Dwarf {
        why: error.to_string(),
    }
}

impl Lines {
    /// Reads the debug information of a file.
    ///
    /// # Errors
    /// There is none, or it is damaged.
    pub fn read<R: ReadAt>(file: &ElfFile<R>) -> Result<Self, SymbolError> {
        let endian = match file.endian() {
            Endian::Little => RunTimeEndian::Little,
            Endian::Big => RunTimeEndian::Big,
        };
        let mut any = false;
        let dwarf = Dwarf::load(|id| {
            let data = if WANTED.contains(&id) {
                debug_section(file, id.name())?
            } else {
                Vec::new()
            };
            any |= id == SectionId::DebugLine && !data.is_empty();
            Ok::<_, SymbolError>(EndianArcSlice::new(Arc::from(data), endian))
        })?;
        if !any {
            return Err(SymbolError::NoLines);
        }
        Ok(Self { dwarf })
    }

    /// The places where the code of a line starts, in ascending order. `file` is the end of a
    /// path: `a.c` is every file of that name, `src/a.c` those in a folder `src`.
    ///
    /// # Errors
    /// No such file or no code for the line, or the information is damaged.
    pub fn places(&self, file: &str, line: u64) -> Result<Vec<LinePlace>, SymbolError> {
        let wanted = file.trim_start_matches("./");
        let mut found = BTreeSet::new();
        let mut known = false;
        let mut next: Option<u64> = None;
        let mut units = self.dwarf.units();
        while let Some(header) = units.next().map_err(dwarf)? {
            let unit = self.dwarf.unit(header).map_err(dwarf)?;
            let Some(program) = unit.line_program.clone() else {
                continue;
            };
            let files = self.files(&unit, program.header(), wanted);
            if files.is_empty() {
                continue;
            }
            known = true;
            let mut rows = program.rows();
            // the line that the row before was of
            let mut last = None;
            while let Some((_, row)) = rows.next_row().map_err(dwarf)? {
                let here = files.iter().find(|(index, _)| *index == row.file_index());
                let number = row.line().map(std::num::NonZeroU64::get);
                let (Some((_, name)), Some(number), false) = (here, number, row.end_sequence())
                else {
                    last = None;
                    continue;
                };
                if row.is_stmt() && number > line {
                    next = Some(next.map_or(number, |next| next.min(number)));
                }
                if row.is_stmt() && number == line && last != Some(line) {
                    found.insert(LinePlace {
                        address: row.address(),
                        file: name.clone(),
                        line,
                    });
                }
                last = Some(number);
            }
        }
        if !known {
            return Err(SymbolError::NoSourceFile {
                file: file.to_owned(),
            });
        }
        if found.is_empty() {
            return Err(SymbolError::NoCode {
                file: file.to_owned(),
                line,
                next,
            });
        }
        Ok(found.into_iter().collect())
    }

    /// The files of a unit whose paths end with `wanted`: their numbers and paths.
    fn files(
        &self,
        unit: &Unit<Bytes>,
        header: &LineProgramHeader<Bytes>,
        wanted: &str,
    ) -> Vec<(u64, String)> {
        let wanted_name = wanted.rsplit('/').next().unwrap_or(wanted);
        let first = u64::from(header.version() < 5);
        let mut found = Vec::new();
        for (file, index) in header.file_names().iter().zip(first..) {
            // most files are others, and are known by their last word
            let name = self.text(unit, file.path_name()).unwrap_or_default();
            if !ends_with(&name, wanted_name) {
                continue;
            }
            let path = self.path(unit, header, file);
            if ends_with(&path, wanted) {
                found.push((index, path));
            }
        }
        found
    }

    fn text(&self, unit: &Unit<Bytes>, value: gimli::AttributeValue<Bytes>) -> Option<String> {
        let bytes = self.dwarf.attr_string(unit, value).ok()?;
        Some(bytes.to_string_lossy().ok()?.into_owned())
    }

    /// The whole path of a file, as far as it is known.
    fn path(
        &self,
        unit: &Unit<Bytes>,
        header: &LineProgramHeader<Bytes>,
        file: &FileEntry<Bytes>,
    ) -> String {
        let name = self.text(unit, file.path_name()).unwrap_or_default();
        let folder = file.directory(header);
        let folder = folder.and_then(|folder| self.text(unit, folder));
        let above = unit
            .comp_dir
            .as_ref()
            .and_then(|dir| Some(dir.to_string_lossy().ok()?.into_owned()));
        let below = join(&folder.unwrap_or_default(), &name);
        join(&above.unwrap_or_default(), &below)
    }

    /// The line that an address is of; none where that is not known.
    ///
    /// # Errors
    /// The information is damaged.
    pub fn line_of(&self, address: u64) -> Result<Option<LinePlace>, SymbolError> {
        let mut units = self.dwarf.units();
        while let Some(header) = units.next().map_err(dwarf)? {
            let unit = self.dwarf.unit(header).map_err(dwarf)?;
            if !self.may_have(&unit, address)? {
                continue;
            }
            let Some(program) = unit.line_program.clone() else {
                continue;
            };
            let mut rows = program.rows();
            // what the row before says of what follows it: its address, file and line
            let mut last: Option<(u64, u64, u64)> = None;
            while let Some((header, row)) = rows.next_row().map_err(dwarf)? {
                if let Some((start, file, line)) = last
                    && (start..row.address()).contains(&address)
                {
                    let file = header.file(file);
                    return Ok(Some(LinePlace {
                        address: start,
                        file: file
                            .map(|file| self.path(&unit, header, file))
                            .unwrap_or_default(),
                        line,
                    }));
                }
                let line = row.line().map(std::num::NonZeroU64::get);
                last = line
                    .filter(|_| !row.end_sequence())
                    .map(|line| (row.address(), row.file_index(), line));
            }
        }
        Ok(None)
    }

    /// Whether a unit has code at an address, or does not say what it has.
    fn may_have(&self, unit: &Unit<Bytes>, address: u64) -> Result<bool, SymbolError> {
        let mut ranges = self.dwarf.unit_ranges(unit).map_err(dwarf)?;
        let mut any = false;
        while let Some(range) = ranges.next().map_err(dwarf)? {
            any = true;
            if (range.begin..range.end).contains(&address) {
                return Ok(true);
            }
        }
        Ok(!any)
    }
}

fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() || name.starts_with('/') {
        name.to_owned()
    } else {
        format!("{}/{name}", folder.trim_end_matches('/'))
    }
}

/// Whether the last parts of a path are these.
fn ends_with(path: &str, wanted: &str) -> bool {
    path.strip_suffix(wanted)
        .is_some_and(|rest| rest.is_empty() || rest.ends_with('/') || wanted.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_of_paths() {
        assert!(ends_with("/a/b.c", "b.c"));
        assert!(ends_with("/a/b.c", "a/b.c"));
        assert!(ends_with("/a/b.c", "/a/b.c"));
        assert!(ends_with("b.c", "b.c"));
        assert!(!ends_with("/a/xb.c", "b.c"));
        assert!(!ends_with("/a/b.c", "c/b.c"));
        assert_eq!(join("/a/", "b"), "/a/b");
        assert_eq!(join("", "b"), "b");
        assert_eq!(join("/a", "/b"), "/b");
    }
}
