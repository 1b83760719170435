//! All functions of a file, and which one has an address.

use super::read::{ReadAt, c_str};
use super::table::{RawSymbol, Table};
use super::{ElfFile, Glob, SymbolError};
use std::ops::ControlFlow;

/// A function of a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Function<'a> {
    /// Its name.
    pub name: &'a [u8],
    /// Its address before the file is moved in memory.
    pub address: u64,
    /// Its place in the file.
    pub offset: u64,
    /// Its bytes; 0 when that is not known.
    pub size: u64,
}

/// Functions of a file, by place; one for each place.
#[derive(Debug, Default)]
pub struct Functions {
    strings: Vec<u8>,
    list: Vec<Entry>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    offset: u64,
    rank: u8,
    name: u32,
    len: u16,
    address: u64,
    size: u64,
}

/// Longer names are taken for none, so that many symbols with one long name do not take long.
const MAX_NAME: usize = 16 << 10;

impl Functions {
    /// Names one after the other, and what is known of each function: its name's place and length
    /// in them, its address, its place in the file and its size.
    pub(super) fn new(
        strings: Vec<u8>,
        list: impl IntoIterator<Item = (u32, u16, u64, u64, u64)>,
    ) -> Self {
        let list = list
            .into_iter()
            .map(|(name, len, address, offset, size)| Entry {
                offset,
                rank: 0,
                name,
                len,
                address,
                size,
            })
            .collect();
        Self { strings, list }.by_place()
    }

    fn by_place(mut self) -> Self {
        self.list
            .sort_unstable_by_key(|entry| (entry.offset, entry.rank, entry.name));
        self.list.dedup_by_key(|entry| entry.offset);
        self
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// One after the other.
    pub fn iter(&self) -> impl Iterator<Item = Function<'_>> {
        self.list.iter().map(|entry| Function {
            name: usize::try_from(entry.name)
                .ok()
                .and_then(|at| self.strings.get(at..)?.get(..usize::from(entry.len)))
                .unwrap_or_default(),
            address: entry.address,
            offset: entry.offset,
            size: entry.size,
        })
    }
}

impl<R: ReadAt> ElfFile<R> {
    /// The functions whose names fit a pattern, or all: those of the table of all symbols, or
    /// where none of them fits, those of the dynamic linker's. Places with several names are there
    /// once.
    ///
    /// # Errors
    /// The tables are not within the file.
    pub fn functions(&self, pattern: Option<&Glob>) -> Result<Functions, SymbolError> {
        self.functions_placed(pattern, |address| self.file_offset(address))
    }

    pub(super) fn functions_placed(
        &self,
        pattern: Option<&Glob>,
        place: impl Fn(u64) -> Option<u64>,
    ) -> Result<Functions, SymbolError> {
        let tables = [false, true].map(|dynamic| self.table_of(dynamic));
        for table in tables.iter().flatten() {
            let found = self.functions_of(table, pattern, &place)?;
            if !found.is_empty() {
                return Ok(found);
            }
        }
        Ok(Functions::default())
    }

    fn functions_of(
        &self,
        table: &Table,
        pattern: Option<&Glob>,
        place: &impl Fn(u64) -> Option<u64>,
    ) -> Result<Functions, SymbolError> {
        let strings = self.data(&table.strings, "names of symbols")?;
        let mut list = Vec::new();
        self.each_symbol(table, None, |symbol| {
            if let Some(entry) = entry(&symbol, &strings, pattern, place) {
                list.push(entry);
            }
            ControlFlow::Continue(())
        })?;
        Ok(Functions { strings, list }.by_place())
    }

    /// The function that an address is in: its name, its address and its size. Where sizes are not
    /// known, the last function before it.
    ///
    /// # Errors
    /// The tables are not within the file.
    pub fn function_at(&self, address: u64) -> Result<Option<(String, u64, u64)>, SymbolError> {
        let tables = [false, true].map(|dynamic| self.table_of(dynamic));
        for table in tables.iter().flatten() {
            let mut best: Option<RawSymbol> = None;
            self.each_symbol(table, None, |symbol| {
                let into = address.checked_sub(symbol.value);
                let inside = into.is_some_and(|into| into < symbol.size || symbol.size == 0);
                // functions with a size first, then the nearest, then the most public name
                let order = |s: &RawSymbol| (s.size > 0, s.value, std::cmp::Reverse(s.rank()));
                if (symbol.is_function() || symbol.is_indirect())
                    && inside
                    && best
                        .as_ref()
                        .is_none_or(|best| order(best) < order(&symbol))
                {
                    best = Some(symbol);
                }
                ControlFlow::Continue(())
            })?;
            if let Some(best) = best
                && let Some(name) = self.string(&table.strings, u64::from(best.name))
            {
                let name = String::from_utf8_lossy(&name).into_owned();
                return Ok(Some((name, best.value, best.size)));
            }
        }
        Ok(None)
    }
}

fn entry(
    symbol: &RawSymbol,
    strings: &[u8],
    pattern: Option<&Glob>,
    place: &impl Fn(u64) -> Option<u64>,
) -> Option<Entry> {
    if !symbol.is_function() {
        return None;
    }
    let at = usize::try_from(symbol.name).ok()?;
    let tail = strings.get(at..)?;
    let name = c_str(tail.get(..MAX_NAME).unwrap_or(tail), 0)?;
    if name.is_empty() || pattern.is_some_and(|pattern| !pattern.fits(name)) {
        return None;
    }
    Some(Entry {
        offset: place(symbol.value)?,
        rank: symbol.rank(),
        name: symbol.name,
        len: u16::try_from(name.len()).ok()?,
        address: symbol.value,
        size: symbol.size,
    })
}
