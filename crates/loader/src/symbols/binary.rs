//! A program or library, with all that is known of it.

use super::debug_file;
use super::functions::Functions;
use super::go::GoTable;
use super::search::{self, Places, SearchError};
use super::usdt::{self, Probe};
use super::{ElfFile, Glob, LinePlace, Lines, Match, Query, Source, SymbolError, archive};
use std::cell::OnceCell;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// A place in a file that a probe can be attached to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    /// What is there: a function with its version, or a line.
    pub name: String,
    /// Its place in the file that the kernel is to be told.
    pub offset: u64,
    /// Its address before the file is moved in memory.
    pub address: u64,
}

/// What is at a place.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Symbolized {
    /// The function, by the table of symbols.
    pub function: Option<String>,
    /// How far into it.
    pub into: u64,
    /// The line of source, where there is debug information.
    pub line: Option<LinePlace>,
}

/// Why a file or something in it was not found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BinaryError {
    /// No file has the name.
    #[error(transparent)]
    Search(#[from] SearchError),
    /// The file cannot be opened.
    #[error("cannot open {path}")]
    Open {
        /// The file.
        path: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The file is not what it should be, or does not have what was looked for.
    #[error("{path}")]
    Symbol {
        /// The file.
        path: String,
        /// Why not.
        #[source]
        source: SymbolError,
    },
}

/// A program or library that is open, and where else its symbols may be.
#[derive(Debug)]
pub struct Binary {
    /// What the kernel is told.
    path: PathBuf,
    /// For messages.
    title: String,
    file: ElfFile<Source>,
    /// Where the file starts within an archive.
    start: u64,
    debug_root: PathBuf,
    debug: OnceCell<Vec<ElfFile<Source>>>,
    lines: OnceCell<Lines>,
}

impl Binary {
    /// Opens a program or library: by path, as `ARCHIVE!/MEMBER`, or by a name without `/`, which
    /// is searched for.
    ///
    /// # Errors
    /// No file has the name, it cannot be opened, or is no ELF file.
    pub fn open(path: &Path) -> Result<Self, BinaryError> {
        if let Some((archive, member)) = archive::split(path) {
            return Self::member(archive, member);
        }
        if path.as_os_str().as_bytes().contains(&b'/') {
            return Self::at(path.to_owned());
        }
        Self::at(Places::of_system().find(path.as_os_str())?)
    }

    /// Opens a file that a process has mapped, by its path or the start of its file name.
    ///
    /// # Errors
    /// The process has no such file mapped, it cannot be opened, or is no ELF file.
    pub fn mapped(pid: u32, name: &OsStr) -> Result<Self, BinaryError> {
        Self::at(search::mapped(pid, name)?)
    }

    fn at(path: PathBuf) -> Result<Self, BinaryError> {
        let title = path.display().to_string();
        let opened = Source::open(&path).map_err(|source| BinaryError::Open {
            path: title.clone(),
            source,
        })?;
        Self::new(path, title, opened, 0)
    }

    fn member(archive: &Path, member: &OsStr) -> Result<Self, BinaryError> {
        let title = format!("{}!/{}", archive.display(), member.to_string_lossy());
        let open = |source| BinaryError::Open {
            path: title.clone(),
            source,
        };
        let opened = Source::open(archive).map_err(open)?;
        let found =
            archive::member(&opened, member.as_bytes()).map_err(|source| BinaryError::Symbol {
                path: title.clone(),
                source,
            })?;
        let part = opened.part(found.offset, found.size).map_err(open)?;
        Self::new(archive.to_owned(), title, part, found.offset)
    }

    fn new(path: PathBuf, title: String, source: Source, start: u64) -> Result<Self, BinaryError> {
        let file = ElfFile::parse(source).map_err(|source| BinaryError::Symbol {
            path: title.clone(),
            source,
        })?;
        Ok(Self {
            path,
            title,
            file,
            start,
            debug_root: debug_file::ROOT.into(),
            debug: OnceCell::new(),
            lines: OnceCell::new(),
        })
    }

    /// Where debug files are, instead of in `/usr/lib/debug`.
    #[must_use]
    pub fn debug_root(mut self, root: impl Into<PathBuf>) -> Self {
        self.debug_root = root.into();
        self
    }

    /// The file that the kernel is to be told.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file with the member of the archive, for messages.
    #[must_use]
    pub fn title(&self) -> &str {
        &self.title
    }

    /// Its headers.
    #[must_use]
    pub const fn file(&self) -> &ElfFile<Source> {
        &self.file
    }

    /// The place in the file that the kernel is to be told, of a place in the ELF file.
    #[must_use]
    pub const fn absolute(&self, offset: u64) -> u64 {
        self.start.saturating_add(offset)
    }

    fn fail(&self, source: SymbolError) -> BinaryError {
        BinaryError::Symbol {
            path: self.title.clone(),
            source,
        }
    }

    fn offset_of(&self, address: u64) -> Option<u64> {
        Some(self.absolute(self.file.file_offset(address)?))
    }

    /// Other files with symbols of this one: its debug file, and what is packed in it.
    fn debug(&self) -> &[ElfFile<Source>] {
        self.debug.get_or_init(|| {
            let apart = debug_file::open(&self.path, &self.file, &self.debug_root);
            // what is damaged there is as good as not there
            let packed = debug_file::mini(&self.file).ok().flatten();
            apart.into_iter().chain(packed).collect()
        })
    }

    /// The function that a text names (`f`, `f@V`, `f+0x10`): by the symbols of the file, of its
    /// debug file, of what is packed in it, or by the table of Go programs.
    ///
    /// # Errors
    /// There is none, or more than one; see [`SymbolError`].
    pub fn offset(&self, text: &str) -> Result<Place, BinaryError> {
        let query = Query::parse(text).map_err(|error| self.fail(error))?;
        let found = self.function(&query).map_err(|error| self.fail(error))?;
        let moved = |from: u64| from.checked_add(query.offset);
        match (moved(found.offset), moved(found.address)) {
            (Some(offset), Some(address)) => Ok(Place {
                name: found.symbol,
                offset,
                address,
            }),
            _ => Err(self.fail(SymbolError::NotLoaded {
                what: format!("`{text}`"),
                address: found.address,
            })),
        }
    }

    fn function(&self, query: &Query) -> Result<Match, SymbolError> {
        let place = |address| self.offset_of(address);
        let first = match self.file.function_placed(query, place) {
            Err(error) if error.is_not_found() => error,
            other => return other,
        };
        for file in self.debug() {
            match file.function_placed(query, place) {
                Err(error) if error.is_not_found() => {}
                other => return other,
            }
        }
        if query.version.is_none()
            && let Some(table) = GoTable::read(&self.file)?
            && let Some(found) = table.function(&query.name, place)
        {
            return Ok(found);
        }
        Err(first)
    }

    /// The functions whose names fit a pattern, one for each place.
    ///
    /// # Errors
    /// There is none; see [`SymbolError`].
    pub fn functions(&self, pattern: &Glob) -> Result<Functions, BinaryError> {
        let found = self.fitting(pattern).map_err(|error| self.fail(error))?;
        if found.is_empty() {
            return Err(self.fail(SymbolError::NoMatch {
                pattern: pattern.text().to_owned(),
            }));
        }
        Ok(found)
    }

    fn fitting(&self, pattern: &Glob) -> Result<Functions, SymbolError> {
        let place = |address| self.offset_of(address);
        // a stripped file has some functions, but its debug file has all
        let files = match self.file.table_of(false) {
            Some(_) => &[],
            None => self.debug(),
        };
        for file in files {
            let found = file.functions_placed(Some(pattern), place)?;
            if !found.is_empty() {
                return Ok(found);
            }
        }
        if self.file.table_of(false).is_none()
            && let Some(table) = GoTable::read(&self.file)?
        {
            let found = table.functions(Some(pattern), place);
            if !found.is_empty() {
                return Ok(found);
            }
        }
        self.file.functions_placed(Some(pattern), place)
    }

    fn lines(&self) -> Result<&Lines, SymbolError> {
        if let Some(lines) = self.lines.get() {
            return Ok(lines);
        }
        let mut read = Lines::read(&self.file);
        for file in self.debug() {
            match read {
                Err(SymbolError::NoLines) => read = Lines::read(file),
                _ => break,
            }
        }
        let read = read?;
        Ok(self.lines.get_or_init(|| read))
    }

    /// Where a line of source starts: the first place in each function that has code of it.
    ///
    /// # Errors
    /// There is no line information, no such file, or no code for the line.
    pub fn line(&self, file: &str, line: u64) -> Result<Vec<Place>, BinaryError> {
        self.line_places(file, line)
            .map_err(|error| self.fail(error))
    }

    fn line_places(&self, file: &str, line: u64) -> Result<Vec<Place>, SymbolError> {
        let places = self.lines()?.places(file, line)?;
        let mut found: Vec<Place> = Vec::new();
        let mut seen = Vec::new();
        for LinePlace {
            address,
            file,
            line,
        } in places
        {
            let function = self.function_at(address)?.map(|(_, start, _)| start);
            if function.is_some() && seen.contains(&function) {
                continue;
            }
            seen.push(function);
            let what = format!("{file}:{line}");
            let Some(offset) = self.offset_of(address) else {
                return Err(SymbolError::NotLoaded { what, address });
            };
            found.push(Place {
                name: what,
                offset,
                address,
            });
        }
        Ok(found)
    }

    fn function_at(&self, address: u64) -> Result<Option<(String, u64, u64)>, SymbolError> {
        if self.file.table_of(false).is_some()
            && let Some(found) = self.file.function_at(address)?
        {
            return Ok(Some(found));
        }
        for file in self.debug() {
            if let Some(found) = file.function_at(address)? {
                return Ok(Some(found));
            }
        }
        if let Some(table) = GoTable::read(&self.file)?
            && let Some(found) = table.function_at(address)
        {
            return Ok(Some(found));
        }
        self.file.function_at(address)
    }

    /// What is at a place of the file: function and, where there is debug information, line.
    ///
    /// # Errors
    /// Symbols or debug information are damaged. What is not known is left out.
    pub fn symbolize(&self, offset: u64) -> Result<Symbolized, BinaryError> {
        self.symbolize_place(offset)
            .map_err(|error| self.fail(error))
    }

    fn symbolize_place(&self, offset: u64) -> Result<Symbolized, SymbolError> {
        let mut found = Symbolized::default();
        let within = offset.checked_sub(self.start);
        let Some(address) = within.and_then(|within| self.file.address_of(within)) else {
            return Ok(found);
        };
        if let Some((name, start, _)) = self.function_at(address)? {
            found.function = Some(name);
            found.into = address.saturating_sub(start);
        }
        match self.lines() {
            Ok(lines) => found.line = lines.line_of(address)?,
            Err(SymbolError::NoLines) => {}
            Err(error) => return Err(error),
        }
        Ok(found)
    }

    /// Its static probes.
    ///
    /// # Errors
    /// A note is damaged.
    pub fn static_probes(&self) -> Result<Vec<Probe>, BinaryError> {
        usdt::probes(&self.file).map_err(|error| self.fail(error))
    }
}
