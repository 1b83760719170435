//! Writing BTF and ELF of either byte order, right and wrong.

/// A byte order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    Little,
    Big,
}

impl Order {
    pub(crate) fn half(self, n: usize) -> [u8; 2] {
        let n = u16::try_from(n).unwrap_or(u16::MAX);
        match self {
            Self::Little => n.to_le_bytes(),
            Self::Big => n.to_be_bytes(),
        }
    }

    pub(crate) fn word(self, n: u32) -> [u8; 4] {
        match self {
            Self::Little => n.to_le_bytes(),
            Self::Big => n.to_be_bytes(),
        }
    }

    fn long(self, n: usize) -> [u8; 8] {
        let n = n as u64;
        match self {
            Self::Little => n.to_le_bytes(),
            Self::Big => n.to_be_bytes(),
        }
    }
}

/// The flag of a record, as part of its kind.
pub(crate) const FLAG: u32 = 0x80;

/// BTF being made: records as words, every name at a place of its own.
#[derive(Debug)]
pub(crate) struct Blob {
    words: Vec<u32>,
    strings: Vec<u8>,
    /// What the strings of the base take; 0 without a base.
    strings_before: usize,
    layout: Vec<u8>,
}

impl Blob {
    pub(crate) fn new() -> Self {
        Self {
            words: Vec::new(),
            strings: vec![0],
            strings_before: 0,
            layout: Vec::new(),
        }
    }

    /// Types that build on those of `base`.
    pub(crate) fn split(base: &Self) -> Self {
        Self {
            strings: Vec::new(),
            strings_before: base.strings.len(),
            ..Self::new()
        }
    }

    /// The offset of a new string.
    pub(crate) fn name(&mut self, name: &[u8]) -> u32 {
        if name.is_empty() {
            return 0;
        }
        let at = self.strings_before + self.strings.len();
        self.strings.extend_from_slice(name);
        self.strings.push(0);
        count(at)
    }

    /// A record: kind and flag, number of elements, size or type, and what follows.
    pub(crate) fn add(&mut self, name: &[u8], kind: u32, vlen: u32, of: u32, rest: &[u32]) {
        let name = self.name(name);
        self.raw(&[name, kind << 24 | vlen, of]);
        self.raw(rest);
    }

    /// Words as they are.
    pub(crate) fn raw(&mut self, words: &[u32]) {
        self.words.extend_from_slice(words);
    }

    /// Says how long the records of kinds from 0 on are: bytes of their own and per element.
    pub(crate) fn layout(&mut self, sizes: &[(u8, u8)]) {
        self.layout = sizes
            .iter()
            .flat_map(|(own, element)| [*own, *element, 0, 0])
            .collect();
    }

    /// The bytes: header, types, layout, strings.
    pub(crate) fn bytes(&self, order: Order) -> Vec<u8> {
        let (types, layout) = (count(self.words.len() * 4), count(self.layout.len()));
        let header = if layout == 0 { 24 } else { 32 };
        let mut out = order.half(0xeb9f).to_vec();
        out.extend([1, 0]);
        let strings = count(self.strings.len());
        let mut words = vec![header, 0, types, types + layout, strings];
        if layout != 0 {
            words.extend([types, layout]);
        }
        words.extend(&self.words);
        out.extend(words.into_iter().flat_map(|word| order.word(word)));
        out.extend(&self.layout);
        out.extend(&self.strings);
        out
    }
}

/// `bytes` with others in the place of those at `at`.
pub(crate) fn patched(mut bytes: Vec<u8>, at: usize, with: &[u8]) -> Vec<u8> {
    if let Some(place) = bytes.get_mut(at..at + with.len()) {
        place.copy_from_slice(with);
    }
    bytes
}

/// A 64-bit object for BPF with these sections and no code.
pub(crate) fn elf(order: Order, sections: &[(&str, &[u8])]) -> Vec<u8> {
    const HEADER: usize = 64;
    let mut names = vec![0];
    let mut body: Vec<u8> = Vec::new();
    // the first section is none
    let mut table = vec![0; HEADER];
    let mut section = |name: usize, kind: u32, at: usize, len: usize| {
        table.extend(order.word(count(name)));
        table.extend(order.word(kind));
        for field in [0, 0, HEADER + at, len, 0, 1, 0] {
            table.extend(order.long(field));
        }
    };
    for (name, content) in sections {
        section(names.len(), 1, body.len(), content.len());
        names.extend(name.bytes());
        names.push(0);
        body.extend(*content);
    }
    let own = names.len();
    names.extend(b".shstrtab\0");
    section(own, 3, body.len(), names.len());
    body.extend(&names);

    let mut out = b"\x7fELF\x02".to_vec();
    out.extend([if order == Order::Big { 2 } else { 1 }, 1]);
    out.extend([0; 9]);
    out.extend(order.half(1));
    out.extend(order.half(247));
    out.extend(order.word(1));
    for field in [0, 0, HEADER + body.len()] {
        out.extend(order.long(field));
    }
    out.extend(order.word(0));
    let tables = [HEADER, 0, 0, HEADER, sections.len() + 2, sections.len() + 1];
    for field in tables {
        out.extend(order.half(field));
    }
    out.extend(body);
    out.extend(table);
    out
}

/// A length as the formats have it; these files are small.
fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
