//! Symbols.

use super::consts as elf;
use super::{Bytes, ElfError, Section, name};
use btf::Endian;

/// Bytes of a symbol.
const SYMBOL: u16 = 24;

/// A symbol.
#[derive(Clone, Copy, Debug)]
pub struct Symbol<'a> {
    /// Its name; `None` when the name is nowhere.
    pub name: Option<&'a [u8]>,
    /// Where in its section it is.
    pub value: u64,
    /// Bytes of what it names.
    pub size: u64,
    /// Number of its section, or one of the special ones from
    /// [`SHN_LORESERVE`](super::consts::SHN_LORESERVE) on.
    pub section: u32,
    /// Who sees it.
    pub binding: Binding,
    /// What it names.
    pub kind: SymbolKind,
    /// Who sees it outside of a linked program.
    pub visibility: Visibility,
}

/// Who sees a symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binding {
    /// Its file.
    Local,
    /// All files.
    Global,
    /// All files, unless there is a global one of the name.
    Weak,
    /// Something this crate does not know.
    Other(u8),
}

/// What a symbol names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SymbolKind {
    /// It does not say.
    None,
    /// A variable.
    Object,
    /// A function.
    Func,
    /// A section.
    Section,
    /// Something that does not matter here.
    Other(u8),
}

/// Who sees a symbol outside of a linked program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visibility {
    /// Everybody.
    Default,
    /// Nobody (`STV_HIDDEN`, `STV_INTERNAL`).
    Hidden,
    /// Everybody, but it is not replaced.
    Protected,
}

impl Symbol<'_> {
    /// Whether it is defined elsewhere.
    #[must_use]
    pub fn is_extern(&self) -> bool {
        self.section == elf::SHN_UNDEF
            && matches!(self.binding, Binding::Global | Binding::Weak)
            && self.kind == SymbolKind::None
    }

    /// Whether it is in one of the file's sections.
    #[must_use]
    pub fn is_defined(&self) -> bool {
        self.section != elf::SHN_UNDEF && self.section < elf::SHN_LORESERVE
    }

    /// Its name as text; `?` when it is nowhere.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(self.name.unwrap_or(b"?")).into_owned()
    }
}

/// The only symbol table and its section.
pub(super) fn table<'a>(
    endian: Endian,
    sections: &[Section<'a>],
) -> Result<(u32, Vec<Symbol<'a>>), ElfError> {
    let mut tables = sections
        .iter()
        .filter(|section| section.kind == elf::SHT_SYMTAB);
    let table = tables.next().ok_or(ElfError::NoSymbols)?;
    if let Some(second) = tables.next() {
        return Err(ElfError::TwoSymbolTables {
            first: table.index,
            second: second.index,
        });
    }
    if table.entry_size != u64::from(SYMBOL) {
        return Err(ElfError::SymbolSize {
            index: table.index,
            found: table.entry_size,
        });
    }
    let strings = sections
        .get(table.link as usize)
        .filter(|strings| strings.kind == elf::SHT_STRTAB)
        .and_then(|strings| strings.data().ok())
        .ok_or(ElfError::SymbolNames {
            index: table.index,
            strings: table.link,
        })?;
    let symbols = table
        .data()?
        .chunks_exact(usize::from(SYMBOL))
        .map(|data| symbol(Bytes { data, endian }, strings))
        .collect();
    Ok((table.index, symbols))
}

fn symbol<'a>(entry: Bytes<'_>, strings: &'a [u8]) -> Symbol<'a> {
    let [info, other] = entry.take(4).unwrap_or_default();
    Symbol {
        name: name(strings, entry.u32(0).unwrap_or_default()),
        value: entry.u64(8).unwrap_or_default(),
        size: entry.u64(16).unwrap_or_default(),
        section: u32::from(entry.u16(6).unwrap_or_default()),
        binding: match info >> 4 {
            elf::STB_LOCAL => Binding::Local,
            elf::STB_GLOBAL => Binding::Global,
            elf::STB_WEAK => Binding::Weak,
            other => Binding::Other(other),
        },
        kind: match info & 0xf {
            elf::STT_NOTYPE => SymbolKind::None,
            elf::STT_OBJECT => SymbolKind::Object,
            elf::STT_FUNC => SymbolKind::Func,
            elf::STT_SECTION => SymbolKind::Section,
            other => SymbolKind::Other(other),
        },
        visibility: match other & 3 {
            elf::STV_HIDDEN | elf::STV_INTERNAL => Visibility::Hidden,
            elf::STV_PROTECTED => Visibility::Protected,
            _ => Visibility::Default,
        },
    }
}
