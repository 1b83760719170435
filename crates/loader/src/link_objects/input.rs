//! One object: its sections, symbols and relocations, checked.

use std::collections::HashMap;

use btf::ext::Ext;
use btf::{Btf, Endian};
use object::Endianness;
use object::elf::{self, FileHeader64, Rel64, SectionHeader64, Sym64};
use object::pod;
use object::read::StringTable;
use object::read::elf::{FileHeader as _, SectionHeader as _, Sym as _};

use super::error::{LinkErrorKind, Named, RelocDefect, SectionDefect, SymbolDefect};

type Result<T> = core::result::Result<T, LinkErrorKind>;

/// Section with the types.
pub(super) const BTF: &[u8] = b".BTF";
/// Section with what is said about instructions.
pub(super) const BTF_EXT: &[u8] = b".BTF.ext";
/// In front of the name of a section, the name of its relocations.
pub(super) const REL: &[u8] = b".rel";
const DEBUG: &[u8] = b".debug_";

/// Which symbols have their address taken: nothing that a loader needs.
const SHT_LLVM_ADDRSIG: elf::SectionType = elf::SectionType(0x6fff_4c03);

/// The largest alignment: that of the largest pages.
const MAX_ALIGN: u64 = 65536;
/// Bytes of an instruction.
pub(super) const INSN: u64 = 8;

/// Relocation of a 64-bit load, or of 64 bits of data.
#[doc(alias = "R_BPF_64_64")]
pub(super) const R_64_64: u32 = 1;
/// Relocation of 64 bits of data.
#[doc(alias = "R_BPF_64_ABS64")]
pub(super) const R_ABS64: u32 = 2;
/// Relocation of 32 bits of data.
#[doc(alias = "R_BPF_64_ABS32")]
pub(super) const R_ABS32: u32 = 3;
/// Relocation of a call.
#[doc(alias = "R_BPF_64_32")]
pub(super) const R_64_32: u32 = 10;

/// What becomes of a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// It is left out, or made anew from all objects.
    Skipped,
    /// Code or data.
    Bytes,
    /// Data that starts as zeros.
    Zeros,
}

/// A section.
#[derive(Clone, Debug)]
pub(super) struct Section<'d> {
    pub(super) name: &'d [u8],
    pub(super) role: Role,
    pub(super) flags: u64,
    pub(super) align: u64,
    pub(super) entsize: u64,
    pub(super) size: u64,
    /// Empty for [`Role::Zeros`].
    pub(super) data: &'d [u8],
}

impl Section<'_> {
    /// Whether it holds instructions.
    pub(super) const fn is_code(&self) -> bool {
        self.flags & elf::SHF_EXECINSTR.0 != 0
    }
}

/// Where a symbol is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In another object.
    Undefined,
    /// In a section.
    Section(usize),
    /// A reserved number: an absolute value, a file's name.
    Reserved(u16),
}

/// A symbol.
#[derive(Clone, Copy, Debug)]
pub(super) struct Symbol<'d> {
    pub(super) name: &'d [u8],
    /// `STT_…`
    pub(super) kind: u8,
    /// `STB_…`
    pub(super) binding: u8,
    /// With the visibility.
    pub(super) other: u8,
    pub(super) place: Place,
    pub(super) value: u64,
    pub(super) size: u64,
}

impl Symbol<'_> {
    pub(super) const fn is_local(&self) -> bool {
        self.binding == elf::STB_LOCAL.0
    }

    pub(super) const fn is_weak(&self) -> bool {
        self.binding == elf::STB_WEAK.0
    }

    /// Whether it stands for the start of a section.
    pub(super) const fn is_section(&self) -> bool {
        self.kind == elf::STT_SECTION.0
    }
}

/// A relocation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reloc {
    pub(super) offset: u64,
    pub(super) symbol: usize,
    pub(super) kind: u32,
}

/// The relocations of a section.
#[derive(Clone, Debug)]
pub(super) struct RelocTable {
    /// The section that is relocated.
    pub(super) target: usize,
    pub(super) flags: u64,
    pub(super) relocs: Vec<Reloc>,
}

/// An object.
#[derive(Debug)]
pub(super) struct Input<'d> {
    pub(super) name: String,
    pub(super) endian: Endian,
    /// By ELF index.
    pub(super) sections: Vec<Section<'d>>,
    /// By ELF index.
    pub(super) symbols: Vec<Symbol<'d>>,
    pub(super) relocs: Vec<RelocTable>,
    pub(super) btf: Option<Btf<'d>>,
    pub(super) ext: Option<Ext<'d>>,
    /// Bytes of the file.
    pub(super) bytes: u64,
    /// The first section of each name that is not left out.
    by_name: HashMap<&'d [u8], usize>,
}

impl<'d> Input<'d> {
    /// Reads an object.
    pub(super) fn parse(name: &str, data: &'d [u8]) -> Result<Self> {
        let header = FileHeader64::<Endianness>::parse(data).map_err(LinkErrorKind::Elf)?;
        let order = header.endian().map_err(LinkErrorKind::Elf)?;
        let want = |field, found: u16, want: u16| {
            if found == want {
                return Ok(());
            }
            Err(LinkErrorKind::NotRelocatable {
                field,
                found: found.into(),
                want: want.into(),
            })
        };
        want("e_type", header.e_type(order).0, elf::ET_REL.0)?;
        want("e_machine", header.e_machine(order).0, elf::EM_BPF.0)?;
        let raw = Raw {
            data,
            order,
            headers: header
                .section_headers(order, data)
                .map_err(LinkErrorKind::Elf)?,
        };
        let names = header
            .section_strings(order, data, raw.headers)
            .map_err(LinkErrorKind::Elf)?;
        let mut input = Self {
            name: name.into(),
            endian: match order {
                Endianness::Little => Endian::Little,
                Endianness::Big => Endian::Big,
            },
            sections: Vec::with_capacity(raw.headers.len()),
            symbols: Vec::new(),
            relocs: Vec::new(),
            btf: None,
            ext: None,
            bytes: data.len() as u64,
            by_name: HashMap::new(),
        };
        let mut symtab = None;
        let mut tables = Vec::new();
        for (index, header) in raw.headers.iter().enumerate() {
            let name = header.name(order, names).map_err(LinkErrorKind::Elf)?;
            let mut section = raw.section(header, name)?;
            let defect = |why| LinkErrorKind::Section {
                section: Named::new(index, name),
                why,
            };
            if index != 0 && !section.is_debugging() {
                match Use::of(header.sh_type(order), &section) {
                    Use::Ignored => {}
                    Use::Symbols if symtab.is_some() => {
                        return Err(defect(SectionDefect::SecondSymbols));
                    }
                    Use::Symbols => symtab = Some(index),
                    Use::Relocs => tables.push(index),
                    Use::Types => {
                        input.btf = Some(Btf::parse(section.data).map_err(LinkErrorKind::Btf)?);
                    }
                    Use::Ext => {
                        input.ext = Some(Ext::parse(section.data).map_err(LinkErrorKind::BtfExt)?);
                    }
                    Use::Content(role) => section.role = role,
                    Use::Unknown(kind) => return Err(defect(SectionDefect::Type(kind))),
                }
                section.check().map_err(defect)?;
            }
            if section.role != Role::Skipped {
                input.by_name.entry(name).or_insert(index);
            }
            input.sections.push(section);
        }
        let symtab = symtab.ok_or(LinkErrorKind::NoSymbols)?;
        input.symbols = raw.symbols(symtab, &input.sections)?;
        for index in tables {
            let table = raw.relocs(index, symtab, &input)?;
            input.relocs.extend(table);
        }
        if input.ext.is_some() && input.btf.is_none() {
            return Err(LinkErrorKind::ExtWithoutBtf);
        }
        Ok(input)
    }

    /// The number and name of a section, for messages.
    pub(super) fn named_section(&self, index: usize) -> Named {
        named(&self.sections, index)
    }

    /// The number and name of a symbol, for messages.
    pub(super) fn named_symbol(&self, index: usize) -> Named {
        let name = self.symbols.get(index).map_or(&b""[..], |s| s.name);
        Named::new(index, name)
    }

    /// The first section of a name, of those that are not left out.
    pub(super) fn section_by_name(&self, name: &[u8]) -> Option<usize> {
        self.by_name.get(name).copied()
    }
}

fn named(sections: &[Section<'_>], index: usize) -> Named {
    let name = sections.get(index).map_or(&b""[..], |s| s.name);
    Named::new(index, name)
}

/// What a section is for.
enum Use {
    Ignored,
    Symbols,
    Relocs,
    Types,
    Ext,
    Content(Role),
    Unknown(u32),
}

impl Use {
    fn of(kind: elf::SectionType, section: &Section<'_>) -> Self {
        match kind {
            elf::SHT_STRTAB | SHT_LLVM_ADDRSIG => Self::Ignored,
            elf::SHT_SYMTAB => Self::Symbols,
            elf::SHT_REL if is_made_anew(section.name) => Self::Ignored,
            elf::SHT_REL => Self::Relocs,
            elf::SHT_PROGBITS if section.name == BTF => Self::Types,
            elf::SHT_PROGBITS if section.name == BTF_EXT => Self::Ext,
            // without functions, compilers leave an empty one
            elf::SHT_PROGBITS if section.name == b".text" && section.size == 0 => Self::Ignored,
            elf::SHT_PROGBITS => Self::Content(Role::Bytes),
            elf::SHT_NOBITS => Self::Content(Role::Zeros),
            other => Self::Unknown(other.0),
        }
    }
}

/// Whether these are relocations of debugging information or of types, which are not needed.
fn is_made_anew(rel: &[u8]) -> bool {
    rel.strip_prefix(REL)
        .is_some_and(|target| target.starts_with(DEBUG) || target == BTF || target == BTF_EXT)
}

impl Section<'_> {
    /// Whether it is debugging information, which is left out.
    fn is_debugging(&self) -> bool {
        self.name.starts_with(DEBUG)
    }

    fn check(&self) -> core::result::Result<(), SectionDefect> {
        if self.name.is_empty() {
            return Err(SectionDefect::NoName);
        }
        if self.align != 0 && !self.align.is_power_of_two() {
            return Err(SectionDefect::Alignment(self.align));
        }
        if self.role != Role::Skipped && self.align > MAX_ALIGN {
            return Err(SectionDefect::Aligned(self.align));
        }
        if self.role == Role::Bytes && self.is_code() && !self.size.is_multiple_of(INSN) {
            return Err(SectionDefect::Code(self.size));
        }
        Ok(())
    }
}

/// The file.
struct Raw<'d> {
    data: &'d [u8],
    order: Endianness,
    headers: &'d [SectionHeader64<Endianness>],
}

impl<'d> Raw<'d> {
    fn section(&self, header: &SectionHeader64<Endianness>, name: &'d [u8]) -> Result<Section<'d>> {
        let data = header
            .data(self.order, self.data)
            .map_err(LinkErrorKind::Elf)?;
        Ok(Section {
            name,
            role: Role::Skipped,
            flags: header.sh_flags(self.order).0,
            align: header.sh_addralign(self.order),
            entsize: header.sh_entsize(self.order),
            size: header.sh_size(self.order),
            data,
        })
    }

    /// The entries of a table.
    fn entries<T: pod::Pod>(
        &self,
        section: &Section<'d>,
    ) -> core::result::Result<&'d [T], SectionDefect> {
        let want = size_of::<T>() as u64;
        if section.entsize != want {
            return Err(SectionDefect::EntrySize {
                found: section.entsize,
                want,
            });
        }
        if !section.size.is_multiple_of(want) {
            return Err(SectionDefect::Entries {
                len: section.size,
                entry: want,
            });
        }
        // it cannot fail: the length was checked, and the records have no alignment
        Ok(pod::slice_from_all_bytes(section.data).unwrap_or_default())
    }

    fn symbols(&self, index: usize, sections: &[Section<'d>]) -> Result<Vec<Symbol<'d>>> {
        let defect = |why| LinkErrorKind::Section {
            section: named(sections, index),
            why,
        };
        let (Some(section), Some(header)) = (sections.get(index), self.headers.get(index)) else {
            return Err(LinkErrorKind::NoSymbols);
        };
        let entries = self.entries::<Sym64<Endianness>>(section).map_err(defect)?;
        let link = header.sh_link(self.order);
        let strings = usize::try_from(link).ok().filter(|link| *link != 0);
        let strings = strings
            .and_then(|link| self.headers.get(link))
            .and_then(|header| header.strings(self.order, self.data).ok().flatten())
            .ok_or_else(|| defect(SectionDefect::Strings(link)))?;
        let mut symbols = Vec::with_capacity(entries.len());
        for (index, entry) in entries.iter().enumerate() {
            symbols.push(self.symbol(index, entry, strings, sections)?);
        }
        Ok(symbols)
    }

    fn symbol(
        &self,
        index: usize,
        entry: &Sym64<Endianness>,
        strings: StringTable<'d>,
        sections: &[Section<'d>],
    ) -> Result<Symbol<'d>> {
        let name = match entry.st_name(self.order) {
            0 => &b""[..],
            _ => entry
                .name(self.order, strings)
                .map_err(LinkErrorKind::Elf)?,
        };
        let place = match entry.st_shndx.get(self.order) {
            elf::SHN_UNDEF => Place::Undefined,
            section => match section.index() {
                Some(index) => Place::Section(index.into()),
                None => Place::Reserved(section.0),
            },
        };
        let symbol = Symbol {
            name,
            kind: entry.st_type().0,
            binding: entry.st_bind().0,
            other: entry.st_other.0,
            place,
            value: entry.st_value.get(self.order),
            size: entry.st_size.get(self.order),
        };
        let fault = if index == 0 {
            (pod::bytes_of(entry).iter().any(|byte| *byte != 0)).then_some(SymbolDefect::NotNull)
        } else {
            symbol.defect(sections.len())
        };
        match fault {
            None => Ok(symbol),
            Some(why) => Err(LinkErrorKind::Symbol {
                symbol: Named::new(index, name),
                why,
            }),
        }
    }

    /// The relocations in a section, unless what they relocate is left out.
    fn relocs(&self, index: usize, symtab: usize, input: &Input<'d>) -> Result<Option<RelocTable>> {
        let defect = |why| LinkErrorKind::Section {
            section: input.named_section(index),
            why,
        };
        let (Some(section), Some(header)) = (input.sections.get(index), self.headers.get(index))
        else {
            return Ok(None);
        };
        let entries = self.entries::<Rel64<Endianness>>(section).map_err(defect)?;
        let link = header.sh_link(self.order);
        if usize::try_from(link) != Ok(symtab) {
            return Err(defect(SectionDefect::Symbols {
                found: link,
                want: symtab,
            }));
        }
        let info = header.sh_info(self.order);
        let found = usize::try_from(info)
            .ok()
            .filter(|target| *target != 0)
            .and_then(|at| Some((at, input.sections.get(at)?)));
        let Some((at, target)) = found else {
            return Err(defect(SectionDefect::Target(info)));
        };
        if section.name.strip_prefix(REL) != Some(target.name) {
            return Err(defect(SectionDefect::Name(info)));
        }
        if target.role == Role::Skipped {
            let header = self.headers.get(at).map(|h| h.sh_type(self.order));
            return match header {
                Some(elf::SHT_PROGBITS | elf::SHT_NOBITS) => Ok(None),
                _ => Err(defect(SectionDefect::NotData(info))),
            };
        }
        let mut relocs = Vec::with_capacity(entries.len());
        for (number, entry) in entries.iter().enumerate() {
            let offset = entry.r_offset.get(self.order);
            let number_of_symbol = entry.r_sym(self.order);
            let kind = entry.r_type(self.order).0;
            let symbol = usize::try_from(number_of_symbol).unwrap_or(usize::MAX);
            let reloc = Reloc {
                offset,
                symbol,
                kind,
            };
            let why = if symbol == 0 || symbol >= input.symbols.len() {
                Some(RelocDefect::NoSymbol(number_of_symbol))
            } else {
                reloc.defect(target)
            };
            if let Some(why) = why {
                return Err(LinkErrorKind::Reloc {
                    index: number,
                    section: input.named_section(at),
                    offset,
                    why,
                });
            }
            relocs.push(reloc);
        }
        Ok(Some(RelocTable {
            target: at,
            flags: section.flags,
            relocs,
        }))
    }
}

impl Symbol<'_> {
    fn defect(&self, sections: usize) -> Option<SymbolDefect> {
        let visibility = self.other & 3;
        if ![elf::STB_LOCAL.0, elf::STB_GLOBAL.0, elf::STB_WEAK.0].contains(&self.binding) {
            return Some(SymbolDefect::Binding(self.binding));
        }
        if ![elf::STV_DEFAULT.0, elf::STV_HIDDEN.0].contains(&visibility) {
            return Some(SymbolDefect::Visibility(visibility));
        }
        match self.place {
            Place::Undefined => {
                let plain = self.kind == elf::STT_NOTYPE.0 && self.value == 0 && self.size == 0;
                (!plain || self.is_local()).then_some(SymbolDefect::Extern)
            }
            Place::Section(index) if index >= sections => Some(SymbolDefect::NoSection(
                u16::try_from(index).unwrap_or(u16::MAX),
            )),
            Place::Section(_) if self.is_section() && self.value != 0 => {
                Some(SymbolDefect::SectionValue(self.value))
            }
            Place::Section(_) => None,
            Place::Reserved(elf_index) => {
                // a number that is elsewhere, or a name that others see
                let elsewhere = elf_index == elf::SHN_XINDEX.0 || elf_index == elf::SHN_COMMON.0;
                (elsewhere || !self.is_local()).then_some(SymbolDefect::Reserved(elf_index))
            }
        }
    }
}

impl Reloc {
    fn defect(&self, target: &Section<'_>) -> Option<RelocDefect> {
        let bytes = match self.kind {
            R_64_64 | R_ABS64 => 8,
            R_64_32 if target.is_code() => INSN,
            R_64_32 | R_ABS32 => 4,
            other => return Some(RelocDefect::Type(other)),
        };
        if target.is_code() && !self.offset.is_multiple_of(INSN) {
            return Some(RelocDefect::Unaligned);
        }
        let end = self.offset.checked_add(bytes);
        if end.is_none_or(|end| end > target.size) {
            return Some(RelocDefect::Outside(target.size));
        }
        None
    }
}
