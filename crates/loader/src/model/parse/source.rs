//! What all readers share: the file with its sections sorted by purpose, and the log.

use super::sections::{Role, roles};
use crate::elf::consts::{SHT_REL, SHT_RELA};
use crate::elf::{Binding, Elf, ElfError, Section, Symbol, SymbolKind, Visibility};
use crate::model::{Linkage, ModelError};
use btf::{Btf, BtfError, Endian};

/// Notes that are kept; a file with more of them has other problems.
const MAX_NOTES: usize = 1000;
/// Bytes that what has a name takes beside it.
const OWNER: usize = 32;
/// Bytes of a name in a message.
const SHOWN: usize = 80;

/// What was left out, and how many bytes parts of the file have taken.
#[derive(Debug)]
pub(super) struct Log {
    pub(super) notes: Vec<String>,
    left: usize,
    limit: usize,
}

impl Log {
    pub(super) fn new(file: usize) -> Self {
        let limit = file.saturating_mul(16).saturating_add(1 << 16);
        Self {
            notes: Vec::new(),
            left: limit,
            limit,
        }
    }

    /// Notes something that was left out.
    pub(super) fn note(&mut self, text: impl FnOnce() -> String) {
        match self.notes.len() {
            len if len < MAX_NOTES => self.notes.push(text()),
            MAX_NOTES => self.notes.push("more of the kind".to_owned()),
            _ => {}
        }
    }

    /// Counts bytes that are looked at or copied, so that parts of the file that share bytes
    /// cannot take more than a small multiple of it.
    pub(super) fn take(&mut self, bytes: usize) -> Result<(), ModelError> {
        let limit = self.limit;
        self.left = self
            .left
            .checked_sub(bytes)
            .ok_or(ModelError::Overlap { limit })?;
        Ok(())
    }

    /// Counts a name.
    pub(super) fn count(&mut self, name: &[u8]) -> Result<(), ModelError> {
        self.take(name.len())
    }

    /// A name as text.
    pub(super) fn own(&mut self, name: &[u8]) -> Result<String, ModelError> {
        self.take(name.len().saturating_add(OWNER))?;
        Ok(String::from_utf8_lossy(name).into_owned())
    }
}

/// A name in a message: not longer than it helps.
pub(super) fn shown(name: &[u8]) -> String {
    match name.get(..SHOWN) {
        Some(start) if name.len() > SHOWN => format!("{}…", String::from_utf8_lossy(start)),
        _ => String::from_utf8_lossy(name).into_owned(),
    }
}

/// The file, sorted by what its parts are for.
#[derive(Debug)]
pub(super) struct Source<'a> {
    pub(super) elf: Elf<'a>,
    roles: Vec<Role>,
    btf: Result<Option<Btf<'a>>, BtfError>,
    /// Symbols that are defined in the file, ascending by section, place and number.
    by_place: Vec<u32>,
}

impl<'a> Source<'a> {
    pub(super) fn new(elf: Elf<'a>, log: &mut Log) -> Result<Self, ModelError> {
        let roles = roles(&elf, log);
        let mut by_place: Vec<u32> = elf
            .symbols()
            .iter()
            .zip(0u32..)
            .filter(|(symbol, _)| symbol.is_defined())
            .map(|(_, index)| index)
            .collect();
        by_place.sort_by_key(|index| elf.symbol(*index).map(|s| (s.section, s.value, *index)));
        let mut new = Self {
            elf,
            roles,
            btf: Ok(None),
            by_place,
        };
        let blob = new.with_role(Role::Btf).last().copied();
        if let Some(section) = blob {
            new.btf = Btf::parse(section.data()?).map(Some);
            if let Err(error) = &new.btf {
                log.note(|| format!("section '.BTF' is left out: {error}"));
            }
        } else if let Some(section) = new.elf.section_by_name(b".BTF") {
            log.note(|| {
                format!(
                    "section {} '.BTF' has no bytes of the program",
                    section.index
                )
            });
        }
        Ok(new)
    }

    /// The types, where there are any.
    pub(super) fn btf(&self) -> Option<&Btf<'a>> {
        self.btf.as_ref().ok()?.as_ref()
    }

    /// The error for a section that makes no sense without types.
    pub(super) fn needs_btf(&self, section: &Section<'_>) -> ModelError {
        let section = section.text();
        match &self.btf {
            Err(source) => ModelError::Btf {
                section,
                source: *source,
            },
            Ok(_) => ModelError::NoBtf { section },
        }
    }

    /// What the section with this number is for.
    pub(super) fn role(&self, section: u32) -> Role {
        self.roles
            .get(section as usize)
            .copied()
            .unwrap_or(Role::None)
    }

    /// The sections for one purpose, in the order of the file.
    pub(super) fn with_role(&self, role: Role) -> impl Iterator<Item = &Section<'a>> {
        self.elf
            .sections()
            .iter()
            .filter(move |section| self.role(section.index) == role)
    }

    /// The tables of relocations for sections of some purpose, in the order of the file.
    pub(super) fn reloc_tables(
        &self,
        wanted: impl Fn(Role) -> bool,
    ) -> impl Iterator<Item = (&Section<'a>, &Section<'a>)> {
        self.elf.sections().iter().filter_map(move |table| {
            if !matches!(table.kind, SHT_REL | SHT_RELA) {
                return None;
            }
            let section = self.elf.section(table.info)?;
            wanted(self.role(section.index)).then_some((table, section))
        })
    }

    /// Symbols in a section, ascending by place.
    pub(super) fn symbols_in(&self, section: u32) -> impl Iterator<Item = (u32, &Symbol<'a>)> {
        let start = self.by_place.partition_point(|index| {
            self.elf
                .symbol(*index)
                .is_some_and(|symbol| symbol.section < section)
        });
        let rest = self.by_place.get(start..).unwrap_or_default();
        rest.iter()
            .filter_map(|index| Some((*index, self.elf.symbol(*index)?)))
            .take_while(move |(_, symbol)| symbol.section == section)
    }

    /// What to call the symbol of a relocation: a section's has the name of the section.
    pub(super) fn symbol_name(&self, symbol: &Symbol<'a>) -> &'a [u8] {
        let own = symbol.name.unwrap_or(b"?");
        if symbol.kind == SymbolKind::Section
            && own.is_empty()
            && let Some(section) = self.elf.section(symbol.section)
        {
            return section.name;
        }
        own
    }

    /// Licence and version.
    pub(super) fn identity(&self, log: &mut Log) -> (Vec<u8>, Option<u32>) {
        let read = |role| self.with_role(role).last().map(Section::data);
        let bad = |error: ElfError, log: &mut Log| log.note(|| error.to_string());
        let license = match read(Role::License) {
            None => Vec::new(),
            Some(Ok(data)) => {
                let end = memchr::memchr(0, data).unwrap_or(data.len());
                data.get(..end).unwrap_or_default().to_vec()
            }
            Some(Err(error)) => {
                bad(error, log);
                Vec::new()
            }
        };
        let version = match read(Role::Version) {
            None => None,
            Some(Ok(&[a, b, c, d])) => Some(match self.elf.endian() {
                Endian::Little => u32::from_le_bytes([a, b, c, d]),
                Endian::Big => u32::from_be_bytes([a, b, c, d]),
            }),
            Some(Ok(data)) => {
                log.note(|| format!("section 'version' has {} bytes instead of 4", data.len()));
                None
            }
            Some(Err(error)) => {
                bad(error, log);
                None
            }
        };
        (license, version)
    }
}

/// Who may refer to what a symbol names.
pub(super) fn linkage(symbol: &Symbol<'_>) -> Linkage {
    match (symbol.binding, symbol.visibility) {
        (Binding::Local | Binding::Other(_), _) => Linkage::Static,
        (_, Visibility::Hidden) => Linkage::Hidden,
        (Binding::Global, _) => Linkage::Global,
        (Binding::Weak, _) => Linkage::Weak,
    }
}
