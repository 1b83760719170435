//! Linked ELF files made in memory, of either class and byte order.

/// `sh_type` of the sections that tests make.
pub(crate) const PROGBITS: u32 = 1;
pub(crate) const SYMTAB: u32 = 2;
pub(crate) const STRTAB: u32 = 3;
pub(crate) const NOTE: u32 = 7;
pub(crate) const DYNSYM: u32 = 11;
pub(crate) const VERDEF: u32 = 0x6fff_fffd;
pub(crate) const VERSYM: u32 = 0x6fff_ffff;

/// Bindings and kinds of symbols, added.
pub(crate) const LOCAL: u8 = 0;
pub(crate) const GLOBAL: u8 = 0x10;
pub(crate) const WEAK: u8 = 0x20;
pub(crate) const OBJECT: u8 = 1;
pub(crate) const FUNC: u8 = 2;
pub(crate) const IFUNC: u8 = 10;

/// A file that is being made.
#[derive(Clone, Debug)]
pub(crate) struct Forge {
    pub(crate) wide: bool,
    pub(crate) big: bool,
    /// `e_type` and `e_machine`.
    pub(crate) kind: u16,
    pub(crate) machine: u16,
    pub(crate) entry: u64,
    sections: Vec<Part>,
}

#[derive(Clone, Debug)]
struct Part {
    name: String,
    kind: u32,
    flags: u64,
    address: u64,
    link: u32,
    data: Vec<u8>,
    /// `p_flags` of the segment that loads it.
    load: Option<u32>,
}

/// A symbol: name, info, section, value, size.
pub(crate) type Symbol<'a> = (&'a str, u8, u16, u64, u64);

impl Forge {
    /// A movable file for x86-64 or i386.
    pub(crate) fn new(wide: bool, big: bool) -> Self {
        Self {
            wide,
            big,
            kind: 3,
            machine: if wide { 62 } else { 3 },
            entry: 0,
            sections: Vec::new(),
        }
    }

    fn put(&self, out: &mut Vec<u8>, value: u64, size: usize) {
        match self.big {
            true => out.extend(&value.to_be_bytes()[8 - size..]),
            false => out.extend(&value.to_le_bytes()[..size]),
        }
    }

    /// A number of 2, 4 or 8 bytes.
    pub(crate) fn number(&self, value: u64, size: usize) -> Vec<u8> {
        let mut out = Vec::new();
        self.put(&mut out, value, size);
        out
    }

    /// A number as large as an address.
    pub(crate) fn word(&self, value: u64) -> Vec<u8> {
        self.number(value, if self.wide { 8 } else { 4 })
    }

    /// A section that is not loaded; its number.
    pub(crate) fn section(&mut self, name: &str, kind: u32, data: &[u8]) -> u32 {
        self.sections.push(Part {
            name: name.to_owned(),
            kind,
            flags: 0,
            address: 0,
            link: 0,
            data: data.to_vec(),
            load: None,
        });
        u32::try_from(self.sections.len()).unwrap()
    }

    /// A section that is loaded to an address: code if `code`, else data.
    pub(crate) fn loaded(&mut self, name: &str, address: u64, code: bool, data: &[u8]) -> u32 {
        let index = self.section(name, PROGBITS, data);
        let part = self.sections.last_mut().unwrap();
        part.address = address;
        part.load = Some(if code { 5 } else { 6 });
        index
    }

    /// Changes `sh_link` of the last section.
    pub(crate) fn link(&mut self, section: u32) {
        self.sections.last_mut().unwrap().link = section;
    }

    /// Changes the address of the last section.
    pub(crate) fn address(&mut self, address: u64) {
        self.sections.last_mut().unwrap().address = address;
    }

    /// A table of symbols with its names; both numbers.
    pub(crate) fn symbols(&mut self, dynamic: bool, symbols: &[Symbol<'_>]) -> (u32, u32) {
        let mut names = vec![0];
        let mut table = vec![0; if self.wide { 24 } else { 16 }];
        for (name, info, section, value, size) in symbols {
            let at = names.len() as u64;
            names.extend(name.as_bytes());
            names.push(0);
            self.put(&mut table, at, 4);
            if self.wide {
                table.extend([*info, 0]);
                self.put(&mut table, u64::from(*section), 2);
                self.put(&mut table, *value, 8);
                self.put(&mut table, *size, 8);
            } else {
                self.put(&mut table, *value, 4);
                self.put(&mut table, *size, 4);
                table.extend([*info, 0]);
                self.put(&mut table, u64::from(*section), 2);
            }
        }
        let (name, strings) = if dynamic {
            (".dynsym", ".dynstr")
        } else {
            (".symtab", ".strtab")
        };
        let strings = self.section(strings, STRTAB, &names);
        let kind = if dynamic { DYNSYM } else { SYMTAB };
        let table = self.section(name, kind, &table);
        self.link(strings);
        (table, strings)
    }

    /// Versions of the symbols of the dynamic linker: a number for each, and names for numbers.
    pub(crate) fn versions(&mut self, of_symbols: &[u16], names: &[(u16, &str)]) {
        let mut numbers = self.number(0, 2);
        for number in of_symbols {
            numbers.extend(self.number(u64::from(*number), 2));
        }
        self.section(".gnu.version", VERSYM, &numbers);
        let mut strings = vec![0];
        let mut table = Vec::new();
        for (index, (number, name)) in names.iter().enumerate() {
            let at = strings.len() as u64;
            strings.extend(name.as_bytes());
            strings.push(0);
            let last = index + 1 == names.len();
            for value in [1, 0, u64::from(*number), 1] {
                self.put(&mut table, value, 2);
            }
            for value in [0, 20, if last { 0 } else { 28 }, at, 0] {
                self.put(&mut table, value, 4);
            }
        }
        let strings = self.section(".verstr", STRTAB, &strings);
        self.section(".gnu.version_d", VERDEF, &table);
        self.link(strings);
    }

    /// A note.
    pub(crate) fn note(&self, name: &[u8], kind: u32, desc: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        self.put(&mut out, name.len() as u64 + 1, 4);
        self.put(&mut out, desc.len() as u64, 4);
        self.put(&mut out, u64::from(kind), 4);
        out.extend(name);
        out.push(0);
        out.resize(out.len().next_multiple_of(4), 0);
        out.extend(desc);
        out.resize(out.len().next_multiple_of(4), 0);
        out
    }

    /// The note of a static probe: its addresses, then its texts.
    pub(crate) fn probe(&self, addresses: [u64; 3], texts: [&str; 3]) -> Vec<u8> {
        let mut desc = Vec::new();
        for address in addresses {
            desc.extend(self.word(address));
        }
        for text in texts {
            desc.extend(text.as_bytes());
            desc.push(0);
        }
        self.note(b"stapsdt", 3, &desc)
    }

    /// The bytes of the file.
    pub(crate) fn build(&self) -> Vec<u8> {
        let mut names = vec![0];
        let mut parts = self.sections.clone();
        parts.push(Part {
            name: ".shstrtab".to_owned(),
            kind: STRTAB,
            flags: 0,
            address: 0,
            link: 0,
            data: Vec::new(),
            load: None,
        });
        let mut name_at = Vec::new();
        for part in &parts {
            name_at.push(names.len() as u64);
            names.extend(part.name.as_bytes());
            names.push(0);
        }
        parts.last_mut().unwrap().data = names;
        let (head, segment, section) = if self.wide {
            (64, 56, 64)
        } else {
            (52, 32, 40)
        };
        let loads = parts.iter().filter(|part| part.load.is_some()).count();
        let mut offset = (head + loads * segment) as u64;
        let mut offsets = Vec::new();
        for part in &parts {
            offset = offset.next_multiple_of(16);
            offsets.push(offset);
            offset += part.data.len() as u64;
        }
        let table = offset.next_multiple_of(16);

        let mut out = b"\x7fELF".to_vec();
        out.extend([1 + u8::from(self.wide), 1 + u8::from(self.big), 1]);
        out.resize(16, 0);
        let word = if self.wide { 8 } else { 4 };
        self.put(&mut out, u64::from(self.kind), 2);
        self.put(&mut out, u64::from(self.machine), 2);
        self.put(&mut out, 1, 4);
        self.put(&mut out, self.entry, word);
        self.put(&mut out, if loads > 0 { head as u64 } else { 0 }, word);
        self.put(&mut out, table, word);
        self.put(&mut out, 0, 4);
        let count = parts.len() as u64 + 1;
        for value in [
            head as u64,
            segment as u64,
            loads as u64,
            section as u64,
            count,
            count - 1,
        ] {
            self.put(&mut out, value, 2);
        }
        for (part, offset) in parts.iter().zip(&offsets) {
            let Some(flags) = part.load else { continue };
            let size = part.data.len() as u64;
            self.put(&mut out, 1, 4);
            if self.wide {
                self.put(&mut out, u64::from(flags), 4);
            }
            for value in [*offset, part.address, part.address, size, size] {
                self.put(&mut out, value, word);
            }
            if !self.wide {
                self.put(&mut out, u64::from(flags), 4);
            }
            self.put(&mut out, 16, word);
        }
        for (part, offset) in parts.iter().zip(&offsets) {
            out.resize(usize::try_from(*offset).unwrap(), 0);
            out.extend(&part.data);
        }
        out.resize(usize::try_from(table).unwrap() + section, 0);
        for ((part, offset), name) in parts.iter().zip(&offsets).zip(&name_at) {
            self.put(&mut out, *name, 4);
            self.put(&mut out, u64::from(part.kind), 4);
            for value in [part.flags, part.address, *offset, part.data.len() as u64] {
                self.put(&mut out, value, word);
            }
            self.put(&mut out, u64::from(part.link), 4);
            self.put(&mut out, 0, 4);
            self.put(&mut out, 1, word);
            self.put(&mut out, 0, word);
        }
        out
    }
}
