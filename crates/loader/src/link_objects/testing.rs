//! Small objects for tests, written by hand.

use btf::Endian;

/// A section; entries of tables are written when it is built.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) name: &'static str,
    pub(crate) kind: u32,
    pub(crate) flags: u64,
    pub(crate) data: Vec<u8>,
    pub(crate) size: u64,
    pub(crate) link: u32,
    pub(crate) info: u32,
    pub(crate) align: u64,
    pub(crate) entsize: u64,
}

/// An object: section 1 has the names, 2 the symbols, others follow in order.
#[derive(Clone, Debug)]
pub(crate) struct Elf {
    pub(crate) endian: Endian,
    pub(crate) kind: u16,
    pub(crate) machine: u16,
    pub(crate) parts: Vec<Part>,
    names: Vec<u8>,
}

/// Number of the first section that is added.
pub(crate) const FIRST: u32 = 3;
pub(crate) const PROGBITS: u32 = 1;
pub(crate) const NOBITS: u32 = 8;
pub(crate) const REL: u32 = 9;
/// Flags of code and of data that may be written.
pub(crate) const CODE: u64 = 6;
pub(crate) const DATA: u64 = 3;
/// Symbol types and bindings.
pub(crate) const NOTYPE: u8 = 0;
pub(crate) const OBJECT: u8 = 1;
pub(crate) const FUNC: u8 = 2;
pub(crate) const SECTION: u8 = 3;
pub(crate) const LOCAL: u8 = 0;
pub(crate) const GLOBAL: u8 = 1;
pub(crate) const WEAK: u8 = 2;

impl Elf {
    pub(crate) fn new(endian: Endian) -> Self {
        let table = |name, kind, link, align, entsize| Part {
            name,
            kind,
            flags: 0,
            data: Vec::new(),
            size: 0,
            link,
            info: 0,
            align,
            entsize,
        };
        let mut this = Self {
            endian,
            kind: 1,
            machine: 247,
            parts: vec![table(".strtab", 3, 0, 1, 0), table(".symtab", 2, 1, 8, 24)],
            names: vec![0],
        };
        this.symbol("", NOTYPE, LOCAL, 0, 0, 0);
        this
    }

    pub(crate) fn u16(&self, value: u16) -> [u8; 2] {
        match self.endian {
            Endian::Little => value.to_le_bytes(),
            Endian::Big => value.to_be_bytes(),
        }
    }

    pub(crate) fn u32(&self, value: u32) -> [u8; 4] {
        match self.endian {
            Endian::Little => value.to_le_bytes(),
            Endian::Big => value.to_be_bytes(),
        }
    }

    pub(crate) fn u64(&self, value: u64) -> [u8; 8] {
        match self.endian {
            Endian::Little => value.to_le_bytes(),
            Endian::Big => value.to_be_bytes(),
        }
    }

    fn name(&mut self, name: &str) -> u32 {
        if name.is_empty() {
            return 0;
        }
        let at = u32::try_from(self.names.len()).unwrap();
        self.names.extend(name.as_bytes());
        self.names.push(0);
        at
    }

    /// Adds a section; its number.
    pub(crate) fn section(
        &mut self,
        name: &'static str,
        flags: u64,
        align: u64,
        data: &[u8],
    ) -> u32 {
        self.part(Part {
            name,
            kind: PROGBITS,
            flags,
            data: data.to_vec(),
            size: data.len() as u64,
            link: 0,
            info: 0,
            align,
            entsize: 0,
        })
    }

    /// Adds a section of zeros.
    pub(crate) fn zeros(&mut self, name: &'static str, align: u64, size: u64) -> u32 {
        self.part(Part {
            name,
            kind: NOBITS,
            flags: DATA,
            data: Vec::new(),
            size,
            link: 0,
            info: 0,
            align,
            entsize: 0,
        })
    }

    pub(crate) fn part(&mut self, part: Part) -> u32 {
        self.parts.push(part);
        u32::try_from(self.parts.len()).unwrap()
    }

    /// Adds a symbol; its number.
    pub(crate) fn symbol(
        &mut self,
        name: &str,
        kind: u8,
        binding: u8,
        section: u32,
        value: u64,
        size: u64,
    ) -> u32 {
        let name = self.name(name);
        let mut entry = self.u32(name).to_vec();
        entry.extend([binding << 4 | kind, 0]);
        entry.extend(self.u16(u16::try_from(section).unwrap()));
        entry.extend(self.u64(value));
        entry.extend(self.u64(size));
        let table = &mut self.parts[1];
        table.data.extend(entry);
        table.size = table.data.len() as u64;
        u32::try_from(table.data.len() / 24 - 1).unwrap()
    }

    /// Adds the relocations of a section: offset, symbol, type.
    pub(crate) fn relocs(
        &mut self,
        name: &'static str,
        target: u32,
        relocs: &[(u64, u32, u32)],
    ) -> u32 {
        let mut data = Vec::new();
        for (offset, symbol, kind) in relocs {
            data.extend(self.u64(*offset));
            data.extend(self.u64(u64::from(*symbol) << 32 | u64::from(*kind)));
        }
        self.part(Part {
            name,
            kind: REL,
            flags: 0x40,
            size: data.len() as u64,
            data,
            link: 2,
            info: target,
            align: 8,
            entsize: 16,
        })
    }

    pub(crate) fn build(&self) -> Vec<u8> {
        let mut this = self.clone();
        let names: Vec<u32> = self.parts.iter().map(|part| this.name(part.name)).collect();
        this.parts[0].data.clone_from(&this.names);
        this.parts[0].size = this.names.len() as u64;
        let mut body = vec![0; 64];
        let mut headers = vec![0; 64];
        for (part, name) in this.parts.iter().zip(names) {
            body.resize(body.len().next_multiple_of(8), 0);
            headers.extend(self.u32(name));
            headers.extend(self.u32(part.kind));
            for word in [part.flags, 0, body.len() as u64, part.size] {
                headers.extend(self.u64(word));
            }
            headers.extend(self.u32(part.link));
            headers.extend(self.u32(part.info));
            headers.extend(self.u64(part.align));
            headers.extend(self.u64(part.entsize));
            body.extend(&part.data);
        }
        body.resize(body.len().next_multiple_of(8), 0);
        let mut head = b"\x7fELF\x02".to_vec();
        head.push(if self.endian == Endian::Little { 1 } else { 2 });
        head.extend([1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        head.extend(self.u16(self.kind));
        head.extend(self.u16(self.machine));
        head.extend(self.u32(1));
        for word in [0, 0, body.len() as u64] {
            head.extend(self.u64(word));
        }
        head.extend(self.u32(0));
        let count = u16::try_from(this.parts.len() + 1).unwrap();
        for half in [64, 0, 0, 64, count, 1] {
            head.extend(self.u16(half));
        }
        body[..64].copy_from_slice(&head);
        body.extend(headers);
        body
    }
}
