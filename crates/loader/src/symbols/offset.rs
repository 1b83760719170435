//! From the name of a function to its place in the file.

use super::read::ReadAt;
use super::table::{RawSymbol, Table};
use super::{ElfFile, Query, SymbolError};
use std::ops::ControlFlow;

/// A function that was looked up.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Match {
    /// Its name, with its version where it has one.
    pub symbol: String,
    /// Its address before the file is moved in memory.
    pub address: u64,
    /// Its place in the file.
    pub offset: u64,
    /// Its bytes; 0 when that is not known.
    pub size: u64,
    weak: bool,
}

impl Match {
    pub(super) const fn new(symbol: String, address: u64, offset: u64, size: u64) -> Self {
        Self {
            symbol,
            address,
            offset,
            size,
            weak: false,
        }
    }
}

/// What was seen beside functions that fit.
#[derive(Default)]
struct Seen {
    indirect: bool,
    versions: Vec<String>,
}

impl<R: ReadAt> ElfFile<R> {
    /// The function that a query names: among the symbols of the dynamic linker first, then among
    /// all. The offset of the query is not added.
    ///
    /// # Errors
    /// There is none, more than one, or one that is no code of the file.
    pub fn function(&self, query: &Query) -> Result<Match, SymbolError> {
        self.function_placed(query, |address| self.file_offset(address))
    }

    /// The same for a debug file, whose addresses are places in another.
    pub(super) fn function_placed(
        &self,
        query: &Query,
        place: impl Fn(u64) -> Option<u64>,
    ) -> Result<Match, SymbolError> {
        let mut seen = Seen::default();
        let tables = [true, false].map(|dynamic| self.table_of(dynamic));
        for table in tables.iter().flatten() {
            if let Some(found) = self.search(table, query, &place, &mut seen)? {
                return Ok(found);
            }
        }
        let name = query.symbol();
        if seen.indirect {
            return Err(SymbolError::Indirect { name });
        }
        if !seen.versions.is_empty() {
            let others = seen.versions.join(", ");
            return Err(SymbolError::OtherVersions { name, others });
        }
        let stripped = self.table_of(false).is_none();
        Err(SymbolError::NotFound { name, stripped })
    }

    fn search(
        &self,
        table: &Table,
        query: &Query,
        place: &impl Fn(u64) -> Option<u64>,
        seen: &mut Seen,
    ) -> Result<Option<Match>, SymbolError> {
        let places = self.places_of(&table.strings, query.name.as_bytes())?;
        if places.is_empty() {
            return Ok(None);
        }
        let versions = table.dynamic.then(|| self.versions());
        let version = |symbol: &RawSymbol| -> (String, Option<String>) {
            let name = self.string(&table.strings, u64::from(symbol.name));
            let text = String::from_utf8_lossy(&name.unwrap_or_default()).into_owned();
            if let Some((_, version)) = text.split_once('@') {
                let version = version.strip_prefix('@').unwrap_or(version).to_owned();
                return (text, Some(version));
            }
            match versions.as_ref().and_then(|v| v.of(self, symbol.index)) {
                Some((version, default)) => {
                    let at = if default { "@@" } else { "@" };
                    (format!("{text}{at}{version}"), Some(version))
                }
                None => (text, None),
            }
        };
        let mut best: Option<Match> = None;
        let mut failure = None;
        self.each_symbol(table, Some(&places), |symbol| {
            if !symbol.is_function() && !symbol.is_indirect() {
                return ControlFlow::Continue(());
            }
            let (text, version) = version(&symbol);
            if query.version.is_some() && query.version != version {
                if seen.versions.len() < 8 && !seen.versions.contains(&text) {
                    seen.versions.push(text);
                }
                return ControlFlow::Continue(());
            }
            if symbol.is_indirect() {
                seen.indirect = true;
                return ControlFlow::Continue(());
            }
            let Some(offset) = place(symbol.value) else {
                failure = Some(SymbolError::NotLoaded {
                    what: format!("function `{text}`"),
                    address: symbol.value,
                });
                return ControlFlow::Continue(());
            };
            let found = Match {
                symbol: text,
                address: symbol.value,
                offset,
                size: symbol.size,
                weak: symbol.is_weak(),
            };
            match &best {
                Some(best) if best.offset == found.offset || found.weak => {}
                Some(best) if !best.weak => {
                    failure = Some(SymbolError::Ambiguous {
                        name: query.symbol(),
                        first: best.symbol.clone(),
                        first_offset: best.offset,
                        second: found.symbol,
                        second_offset: found.offset,
                    });
                    return ControlFlow::Break(());
                }
                _ => best = Some(found),
            }
            ControlFlow::Continue(())
        })?;
        match (best, failure) {
            (_, Some(ambiguous @ SymbolError::Ambiguous { .. })) => Err(ambiguous),
            (Some(best), _) => Ok(Some(best)),
            (None, Some(failure)) => Err(failure),
            (None, None) => Ok(None),
        }
    }
}
