//! The ELF file of the result.

use std::collections::HashMap;

use btf::Endian;
use object::elf::{
    self, FileHeader64, Ident, Rel64, SectionHeader64, Sym64, SymbolInfo, SymbolOther,
    SymbolSection,
};
use object::endian::{U16, U32, U64};
use object::{Endianness, pod};

use super::error::LinkErrorKind;
use super::input::{BTF, BTF_EXT, Place, REL, Role, Symbol};
use super::output::{Output, PADDING};

type Result<T> = core::result::Result<T, LinkErrorKind>;

/// Numbers of the sections that come first.
const STRTAB: u32 = 1;
const SYMTAB: u32 = 2;
const FIRST: u32 = 3;
/// Alignment of tables.
const TABLE: u64 = 8;
/// Bytes of the file's header, of a section's, a symbol and a relocation.
const HEADER: u16 = 64;
const SECTION: u16 = 64;
const SYMBOL: usize = 24;
const RELOC: usize = 16;

/// A section to write.
struct Section<'o> {
    name: Vec<u8>,
    kind: elf::SectionType,
    flags: u64,
    data: std::borrow::Cow<'o, [u8]>,
    /// Of the data, or of what the section stands for.
    size: u64,
    link: u32,
    info: u32,
    align: u64,
    entsize: u64,
}

/// Names, each there once.
#[derive(Default)]
struct Strings {
    bytes: Vec<u8>,
    known: HashMap<Vec<u8>, u32>,
}

impl Strings {
    fn add(&mut self, name: &[u8]) -> Result<u32> {
        if self.bytes.is_empty() {
            self.bytes.push(0);
        }
        if name.is_empty() {
            return Ok(0);
        }
        if let Some(known) = self.known.get(name) {
            return Ok(*known);
        }
        let at = u32::try_from(self.bytes.len()).map_err(|_error| too_large("4 gib of names"))?;
        self.bytes.extend_from_slice(name);
        self.bytes.push(0);
        self.known.insert(name.to_vec(), at);
        Ok(at)
    }
}

const fn too_large(what: &'static str) -> LinkErrorKind {
    LinkErrorKind::TooLarge { what }
}

/// Writes the file: names, symbols, code and data, relocations, types.
pub(super) fn write(
    out: &Output<'_>,
    endian: Endian,
    types: Option<&[u8]>,
    ext: Option<&[u8]>,
) -> Result<Vec<u8>> {
    let order = match endian {
        Endian::Little => Endianness::Little,
        Endian::Big => Endianness::Big,
    };
    // ELF numbers of the sections of the result
    let mut numbers = HashMap::new();
    for (number, at) in (FIRST..).zip(&out.order) {
        numbers.insert(*at, number);
    }
    let (positions, globals) = symbol_order(&out.symbols)?;

    let mut sections = vec![strtab(), symtab(globals)];
    for at in &out.order {
        let Some(section) = out.sections.get(*at) else {
            continue;
        };
        let Some(body) = &section.body else { continue };
        sections.push(Section {
            name: section.name.to_vec(),
            kind: match body.role {
                Role::Zeros => elf::SHT_NOBITS,
                Role::Bytes | Role::Skipped => elf::SHT_PROGBITS,
            },
            flags: body.flags,
            data: (&*body.data).into(),
            size: body.size,
            link: 0,
            info: 0,
            align: body.align,
            entsize: body.entsize,
        });
    }
    for at in &out.order {
        let Some(section) = out.sections.get(*at) else {
            continue;
        };
        let Some(flags) = section.reloc_flags else {
            continue;
        };
        let mut data = Vec::with_capacity(section.relocs.len() * RELOC);
        for reloc in &section.relocs {
            let symbol = positions.get(reloc.symbol).copied().unwrap_or_default();
            let entry = Rel64 {
                r_offset: U64::new(order, reloc.offset),
                r_info: Rel64::r_info(order, symbol, elf::RelocationType(reloc.kind)),
            };
            data.extend_from_slice(pod::bytes_of(&entry));
        }
        sections.push(Section {
            name: [REL, section.name].concat(),
            kind: elf::SHT_REL,
            flags,
            size: data.len() as u64,
            data: data.into(),
            link: SYMTAB,
            info: numbers.get(at).copied().unwrap_or_default(),
            align: TABLE,
            entsize: RELOC as u64,
        });
    }
    for (name, data) in [(BTF, types), (BTF_EXT, ext)] {
        if let Some(data) = data {
            sections.push(Section {
                name: name.to_vec(),
                kind: elf::SHT_PROGBITS,
                flags: 0,
                data: data.into(),
                size: data.len() as u64,
                link: 0,
                info: 0,
                align: TABLE,
                entsize: 0,
            });
        }
    }

    let mut strings = Strings::default();
    let mut names = Vec::with_capacity(sections.len());
    for section in &sections {
        names.push(strings.add(&section.name)?);
    }
    let symbols = symbols(out, order, &positions, &numbers, &mut strings)?;
    for (section, data) in sections.iter_mut().zip([strings.bytes, symbols]) {
        section.size = data.len() as u64;
        section.data = data.into();
    }
    file(order, &sections, &names, out.padding)
}

fn strtab() -> Section<'static> {
    Section {
        name: b".strtab".to_vec(),
        kind: elf::SHT_STRTAB,
        flags: elf::SHF_STRINGS.0,
        data: Vec::new().into(),
        size: 0,
        link: 0,
        info: 0,
        align: 1,
        entsize: 0,
    }
}

/// `globals` is the number of the first symbol that is not local.
fn symtab(globals: u32) -> Section<'static> {
    Section {
        name: b".symtab".to_vec(),
        kind: elf::SHT_SYMTAB,
        flags: 0,
        data: Vec::new().into(),
        size: 0,
        link: STRTAB,
        info: globals,
        align: TABLE,
        entsize: SYMBOL as u64,
    }
}

/// The ELF number of each symbol, local ones first as the format wants them, and that of the
/// first which is not.
fn symbol_order(symbols: &[Symbol<'_>]) -> Result<(Vec<u32>, u32)> {
    let mut positions = vec![0; symbols.len()];
    let mut next = 1u32;
    let mut globals = 1;
    for local in [true, false] {
        for (position, symbol) in positions.iter_mut().zip(symbols) {
            if symbol.is_local() == local {
                *position = next;
                next = next.checked_add(1).ok_or(too_large("4 gib of symbols"))?;
            }
        }
        if local {
            globals = next;
        }
    }
    Ok((positions, globals))
}

/// The bytes of the symbol table.
fn symbols(
    out: &Output<'_>,
    order: Endianness,
    positions: &[u32],
    numbers: &HashMap<usize, u32>,
    strings: &mut Strings,
) -> Result<Vec<u8>> {
    let mut sorted: Vec<_> = positions.iter().zip(&out.symbols).collect();
    sorted.sort_unstable_by_key(|(position, _)| **position);
    let mut data = vec![0; SYMBOL];
    for (_, symbol) in sorted {
        let section = match symbol.place {
            Place::Undefined => 0,
            Place::Reserved(number) => number,
            Place::Section(at) => {
                let number = numbers.get(&at).copied().unwrap_or_default();
                u16::try_from(number).map_err(|_error| too_large(SECTIONS))?
            }
        };
        let entry = Sym64 {
            st_name: U32::new(order, strings.add(symbol.name)?),
            st_info: SymbolInfo::new(
                elf::SymbolBind(symbol.binding),
                elf::SymbolType(symbol.kind),
            ),
            st_other: SymbolOther(symbol.other),
            st_shndx: U16::new(order, SymbolSection(section)),
            st_value: U64::new(order, symbol.value),
            st_size: U64::new(order, symbol.size),
        };
        data.extend_from_slice(pod::bytes_of(&entry));
    }
    Ok(data)
}

const SECTIONS: &str = "65280 sections or more";

/// The header, the sections' bytes, their headers.
fn file(
    order: Endianness,
    sections: &[Section<'_>],
    names: &[u32],
    mut padding: u64,
) -> Result<Vec<u8>> {
    let count = u16::try_from(sections.len() + 1)
        .ok()
        .filter(|count| *count < elf::SHN_LORESERVE)
        .ok_or(too_large(SECTIONS))?;
    let mut body = vec![0; usize::from(HEADER)];
    let mut headers = vec![0; usize::from(SECTION)];
    for (section, name) in sections.iter().zip(names) {
        pad(&mut body, section.align.max(1), &mut padding)?;
        let header = SectionHeader64 {
            sh_name: U32::new(order, *name),
            sh_type: U32::new(order, section.kind),
            sh_flags: U64::new(order, elf::SectionFlags(section.flags)),
            sh_addr: U64::new(order, 0),
            sh_offset: U64::new(order, body.len() as u64),
            sh_size: U64::new(order, section.size),
            sh_link: U32::new(order, section.link),
            sh_info: U32::new(order, section.info),
            sh_addralign: U64::new(order, section.align),
            sh_entsize: U64::new(order, section.entsize),
        };
        headers.extend_from_slice(pod::bytes_of(&header));
        body.extend_from_slice(&section.data);
    }
    pad(&mut body, TABLE, &mut padding)?;
    let header = FileHeader64 {
        e_ident: Ident {
            magic: elf::ELFMAG,
            class: elf::ELFCLASS64,
            data: match order {
                Endianness::Little => elf::ELFDATA2LSB,
                Endianness::Big => elf::ELFDATA2MSB,
            },
            version: elf::EV_CURRENT,
            os_abi: elf::ELFOSABI_NONE,
            abi_version: 0,
            padding: [0; 7],
        },
        e_type: U16::new(order, elf::ET_REL),
        e_machine: U16::new(order, elf::EM_BPF),
        e_version: U32::new(order, 1),
        e_entry: U64::new(order, 0),
        e_phoff: U64::new(order, 0),
        e_shoff: U64::new(order, body.len() as u64),
        e_flags: U32::new(order, elf::FileFlags(0)),
        e_ehsize: U16::new(order, HEADER),
        e_phentsize: U16::new(order, 0),
        e_phnum: U16::new(order, 0),
        e_shentsize: U16::new(order, SECTION),
        e_shnum: U16::new(order, count),
        e_shstrndx: U16::new(order, SymbolSection(1)),
    };
    if let Some(place) = body.get_mut(..usize::from(HEADER)) {
        place.copy_from_slice(pod::bytes_of(&header));
    }
    body.append(&mut headers);
    Ok(body)
}

/// Adds zeros up to a multiple of `align`, as long as there is `padding` left.
fn pad(body: &mut Vec<u8>, align: u64, padding: &mut u64) -> Result<()> {
    let align = usize::try_from(align).unwrap_or(1);
    let len = body.len().next_multiple_of(align);
    *padding = padding
        .checked_sub((len - body.len()) as u64)
        .ok_or(too_large(PADDING))?;
    body.resize(len, 0);
    Ok(())
}
