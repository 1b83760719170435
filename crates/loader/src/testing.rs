//! Objects made in code, sound or broken, for tests.

#![allow(clippy::unwrap_used, reason = "a test may fail")]
#![allow(clippy::cast_possible_truncation, reason = "test objects are small")]

use btf::Endian;
use btf::build::Builder;

/// A section to write.
#[derive(Clone, Debug)]
pub(crate) struct Sec {
    pub(crate) name: String,
    pub(crate) kind: u32,
    pub(crate) flags: u64,
    pub(crate) data: Vec<u8>,
    /// Size to say, if not that of the data.
    pub(crate) size: Option<u64>,
    pub(crate) link: u32,
    pub(crate) info: u32,
    pub(crate) entry_size: u64,
}

/// A symbol to write.
#[derive(Clone, Debug)]
pub(crate) struct Sym {
    pub(crate) name: String,
    pub(crate) section: u16,
    pub(crate) value: u64,
    pub(crate) size: u64,
    pub(crate) info: u8,
    pub(crate) other: u8,
}

pub(crate) const LOCAL: u8 = 0;
pub(crate) const GLOBAL: u8 = 1 << 4;
pub(crate) const WEAK: u8 = 2 << 4;
pub(crate) const NOTYPE: u8 = 0;
pub(crate) const OBJECT: u8 = 1;
pub(crate) const FUNC: u8 = 2;
pub(crate) const SECTION: u8 = 3;
pub(crate) const HIDDEN: u8 = 2;

pub(crate) const PROGBITS: u32 = 1;
pub(crate) const RELA: u32 = 4;
pub(crate) const NOBITS: u32 = 8;
pub(crate) const REL: u32 = 9;
pub(crate) const EXEC: u64 = 4;

/// A file to write. Sections get the numbers 1, 2, … in the order in which they are added;
/// symbols too.
#[derive(Clone, Debug)]
pub(crate) struct File {
    pub(crate) endian: Endian,
    pub(crate) elf_type: u16,
    pub(crate) machine: u16,
    pub(crate) sections: Vec<Sec>,
    pub(crate) symbols: Vec<Sym>,
    /// What symbols' names get added.
    pub(crate) name_shift: u32,
    pub(crate) symbol_table: bool,
}

impl File {
    pub(crate) fn new(endian: Endian) -> Self {
        Self {
            endian,
            elf_type: 1,
            machine: 247,
            sections: Vec::new(),
            symbols: Vec::new(),
            name_shift: 0,
            symbol_table: true,
        }
    }

    /// A file of this machine's order with a licence.
    pub(crate) fn native() -> Self {
        let mut new = Self::new(Endian::NATIVE);
        new.section("license", PROGBITS, 0, b"GPL\0");
        new
    }

    pub(crate) fn section(&mut self, name: &str, kind: u32, flags: u64, data: &[u8]) -> u16 {
        self.sections.push(Sec {
            name: name.to_owned(),
            kind,
            flags,
            data: data.to_vec(),
            size: None,
            link: 0,
            info: 0,
            entry_size: 0,
        });
        self.sections.len() as u16
    }

    /// A section of bytes that are zero.
    pub(crate) fn zeros(&mut self, name: &str, size: u64) -> u16 {
        let index = self.section(name, NOBITS, 3, &[]);
        self.sections.last_mut().unwrap().size = Some(size);
        index
    }

    /// A section with instructions: (code, regs, off, imm) in this machine's order.
    pub(crate) fn code(&mut self, name: &str, insns: &[(u8, u8, i16, i32)]) -> u16 {
        let bytes = self.insns(insns);
        self.section(name, PROGBITS, EXEC, &bytes)
    }

    fn insns(&self, insns: &[(u8, u8, i16, i32)]) -> Vec<u8> {
        insns
            .iter()
            .flat_map(|(code, src, off, imm)| {
                let insn = bpfsys::insn::Insn::new(*code, 0, *src, *off, *imm);
                insn.to_bytes(match self.endian {
                    Endian::Little => bpfsys::insn::ByteOrder::Little,
                    Endian::Big => bpfsys::insn::ByteOrder::Big,
                })
            })
            .collect()
    }

    pub(crate) fn symbol(&mut self, name: &str, section: u16, place: (u64, u64), info: u8) -> u32 {
        self.symbols.push(Sym {
            name: name.to_owned(),
            section,
            value: place.0,
            size: place.1,
            info,
            other: 0,
        });
        self.symbols.len() as u32
    }

    /// A global function of so many instructions.
    pub(crate) fn func(&mut self, name: &str, section: u16, start: u64, insns: u64) -> u32 {
        self.symbol(name, section, (start * 8, insns * 8), GLOBAL | FUNC)
    }

    /// Makes the last symbol hidden.
    pub(crate) fn hide(&mut self) {
        self.symbols.last_mut().unwrap().other = HIDDEN;
    }

    /// Relocations of a section: (place, symbol).
    pub(crate) fn relocs(&mut self, section: u16, relocs: &[(u64, u32)]) -> u16 {
        let mut data = Vec::new();
        for (place, symbol) in relocs {
            data.extend(self.wide(*place));
            data.extend(self.wide(u64::from(*symbol) << 32 | 1));
        }
        self.reloc_section(REL, section, 16, &data)
    }

    /// The same with what to add.
    pub(crate) fn relocs_added(&mut self, section: u16, relocs: &[(u64, u32, i64)]) -> u16 {
        let mut data = Vec::new();
        for (place, symbol, addend) in relocs {
            data.extend(self.wide(*place));
            data.extend(self.wide(u64::from(*symbol) << 32 | 1));
            data.extend(self.wide(addend.cast_unsigned()));
        }
        self.reloc_section(RELA, section, 24, &data)
    }

    fn reloc_section(&mut self, kind: u32, section: u16, entry: u64, data: &[u8]) -> u16 {
        let of = self.sections.get(usize::from(section) - 1);
        let name = format!(".rel{}", of.map_or("", |of| &of.name));
        let index = self.section(&name, kind, 0, data);
        let last = self.sections.last_mut().unwrap();
        last.info = section.into();
        last.entry_size = entry;
        index
    }

    /// The types that `build` makes.
    pub(crate) fn types(&mut self, build: impl FnOnce(&mut Builder<'static>)) -> u16 {
        let mut builder = Builder::new(self.endian);
        build(&mut builder);
        let bytes = builder.finish().unwrap();
        self.section(".BTF", PROGBITS, 0, &bytes)
    }

    fn half(&self, value: u16) -> [u8; 2] {
        match self.endian {
            Endian::Little => value.to_le_bytes(),
            Endian::Big => value.to_be_bytes(),
        }
    }

    pub(crate) fn word(&self, value: u32) -> [u8; 4] {
        match self.endian {
            Endian::Little => value.to_le_bytes(),
            Endian::Big => value.to_be_bytes(),
        }
    }

    pub(crate) fn wide(&self, value: u64) -> [u8; 8] {
        match self.endian {
            Endian::Little => value.to_le_bytes(),
            Endian::Big => value.to_be_bytes(),
        }
    }

    /// The bytes.
    pub(crate) fn build(&self) -> Vec<u8> {
        let mut strings = vec![0u8];
        let mut intern = |name: &str| {
            let at = strings.len() as u32;
            if name.is_empty() {
                return 0;
            }
            strings.extend(name.bytes());
            strings.push(0);
            at
        };
        let mut table = vec![0u8; 24];
        for symbol in &self.symbols {
            let name = intern(&symbol.name);
            table.extend(self.word(name.wrapping_add(self.name_shift)));
            table.extend([symbol.info, symbol.other]);
            table.extend(self.half(symbol.section));
            table.extend(self.wide(symbol.value));
            table.extend(self.wide(symbol.size));
        }
        let mut sections = self.sections.clone();
        let symtab = sections.len() as u32 + 1;
        for section in &mut sections {
            if matches!(section.kind, REL | RELA) {
                section.link = symtab;
            }
        }
        let plain = |name: &str, kind, data| Sec {
            name: name.to_owned(),
            kind,
            flags: 0,
            data,
            size: None,
            link: 0,
            info: 0,
            entry_size: 0,
        };
        if self.symbol_table {
            sections.push(Sec {
                link: symtab + 1,
                entry_size: 24,
                ..plain(".symtab", 2, table)
            });
        }
        sections.push(plain(".strtab", 3, Vec::new()));
        let names: Vec<_> = sections
            .iter()
            .map(|section| intern(&section.name))
            .collect();
        sections.last_mut().unwrap().data = strings;
        let strtab = sections.len() as u16;

        let mut out = vec![0u8; 64];
        let mut headers = vec![0u8; 64];
        for (section, name) in sections.iter().zip(names) {
            out.resize(out.len().next_multiple_of(8), 0);
            headers.extend(self.word(name));
            headers.extend(self.word(section.kind));
            headers.extend(self.wide(section.flags));
            headers.extend(self.wide(0));
            headers.extend(self.wide(out.len() as u64));
            headers.extend(self.wide(section.size.unwrap_or(section.data.len() as u64)));
            headers.extend(self.word(section.link));
            headers.extend(self.word(section.info));
            headers.extend(self.wide(8));
            headers.extend(self.wide(section.entry_size));
            if section.kind != NOBITS {
                out.extend(&section.data);
            }
        }
        out.resize(out.len().next_multiple_of(8), 0);
        let at = out.len() as u64;
        out.extend(headers);
        let order = match self.endian {
            Endian::Little => 1,
            Endian::Big => 2,
        };
        let mut head = vec![0x7f, b'E', b'L', b'F', 2, order, 1, 0];
        head.resize(16, 0);
        head.extend(self.half(self.elf_type));
        head.extend(self.half(self.machine));
        head.extend(self.word(1));
        head.extend([0; 16]);
        head.extend(self.wide(at));
        head.extend(self.word(0));
        head.extend(self.half(64));
        head.extend([0; 4]);
        head.extend(self.half(64));
        head.extend(self.half(sections.len() as u16 + 1));
        head.extend(self.half(strtab));
        out[..64].copy_from_slice(&head);
        out
    }
}

/// `exit`.
pub(crate) const EXIT: (u8, u8, i16, i32) = (0x95, 0, 0, 0);
/// Second slot of a wide load.
pub(crate) const SECOND: (u8, u8, i16, i32) = (0, 0, 0, 0);

/// A wide load.
pub(crate) const fn load(src: u8, imm: i32) -> (u8, u8, i16, i32) {
    (0x18, src, 0, imm)
}

/// A call of a function of the object.
pub(crate) const fn call(imm: i32) -> (u8, u8, i16, i32) {
    (0x85, 1, 0, imm)
}
