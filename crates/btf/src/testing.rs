//! Blobs for tests, put together word by word. Fuzz targets and the tests from outside of the
//! crate include this file.
#![allow(clippy::cast_possible_truncation, reason = "test blobs are small")]

use crate::Endian;

/// A blob under construction.
#[derive(Clone)]
pub(crate) struct Blob {
    endian: Endian,
    types: Vec<u8>,
    strings: Vec<u8>,
    layout: Vec<u8>,
    header: u32,
    /// String offset of the first own string.
    first: u32,
}

impl Blob {
    pub(crate) fn new(endian: Endian) -> Self {
        Self {
            endian,
            types: Vec::new(),
            strings: vec![0],
            layout: Vec::new(),
            header: 24,
            first: 0,
        }
    }

    /// A blob whose strings continue those of `base`.
    pub(crate) fn split(base: &Self) -> Self {
        let first = base.first + base.strings.len() as u32;
        Self {
            strings: Vec::new(),
            first,
            ..Self::new(base.endian)
        }
    }

    /// A header of `len` bytes.
    pub(crate) fn header_len(mut self, len: u32) -> Self {
        self.header = len;
        self
    }

    /// Layout entries for kinds 0 to `entries.len() - 1`.
    pub(crate) fn layout(mut self, entries: &[(u8, u8)]) -> Self {
        self.layout = entries
            .iter()
            .flat_map(|(info, elem)| [*info, *elem, 0, 0])
            .collect();
        self
    }

    /// Offset of a new string.
    pub(crate) fn str(&mut self, name: &[u8]) -> u32 {
        if name.is_empty() {
            return 0;
        }
        let at = self.first + self.strings.len() as u32;
        self.strings.extend_from_slice(name);
        self.strings.push(0);
        at
    }

    pub(crate) fn word(&mut self, word: u32) -> &mut Self {
        let bytes = match self.endian {
            Endian::Little => word.to_le_bytes(),
            Endian::Big => word.to_be_bytes(),
        };
        self.types.extend(bytes);
        self
    }

    /// A record: name, kind with flag, number of elements, size or type, further words.
    pub(crate) fn record(&mut self, name: &[u8], kind: u32, vlen: u32, word: u32, more: &[u32]) {
        let name = self.str(name);
        self.word(name).word(kind << 24 | vlen).word(word);
        for word in more {
            self.word(*word);
        }
    }

    /// Kind 1.
    pub(crate) fn int(&mut self, name: &str, size: u32, encoding: u32, offset: u32, bits: u32) {
        self.record(
            name.as_bytes(),
            1,
            0,
            size,
            &[encoding << 24 | offset << 16 | bits],
        );
    }

    /// A struct of (name, type, offset word).
    pub(crate) fn composite(
        &mut self,
        kind: u32,
        name: &str,
        size: u32,
        members: &[(&str, u32, u32)],
    ) {
        let words: Vec<u32> = members
            .iter()
            .flat_map(|(name, ty, offset)| [self.str(name.as_bytes()), *ty, *offset])
            .collect();
        self.record(name.as_bytes(), kind, members.len() as u32, size, &words);
    }

    /// The bytes.
    pub(crate) fn build(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let half = |v: u16| match self.endian {
            Endian::Little => v.to_le_bytes(),
            Endian::Big => v.to_be_bytes(),
        };
        let word = |v: u32| match self.endian {
            Endian::Little => v.to_le_bytes(),
            Endian::Big => v.to_be_bytes(),
        };
        let (types, layout) = (self.types.len() as u32, self.layout.len() as u32);
        out.extend(half(0xeb9f));
        out.extend([1, 0]);
        for v in [
            self.header,
            0,
            types,
            types + layout,
            self.strings.len() as u32,
            if layout == 0 { 0 } else { types },
            layout,
        ] {
            out.extend(word(v));
        }
        out.resize(32.max(self.header as usize), 0);
        out.truncate(self.header as usize);
        out.extend(&self.types);
        out.extend(&self.layout);
        out.extend(&self.strings);
        out
    }
}

/// Flag that a member's offset has its width, or that an enumeration is signed.
pub(crate) const FLAG: u32 = 0x80;

/// Every kind once or more, and the ids by number:
/// 1 int, 2 char, 3 u8, 4 bool, 5 u128, 6 ptr to 1, 7 char[8], 8 int[2][3], 9 enum colour,
/// 10 signed enum, 11 enum64, 12 union of 1 and 7, 13 struct all, 14 fwd, 15 typedef to 13,
/// 16 volatile 15, 17 const 16, 18 restrict 6, 19 proto, 20 func, 21 var of 17, 22 datasec,
/// 23 double, 24 decl tag, 25 type tag of 1, 26 long double, 27 int[2], 28 long, 29 float.
pub(crate) fn zoo(endian: Endian) -> Blob {
    let mut b = Blob::new(endian);
    b.int("int", 4, 1, 0, 32);
    b.int("char", 1, 1, 0, 8);
    b.int("unsigned char", 1, 0, 0, 8);
    b.int("_Bool", 1, 4, 0, 8);
    b.int("unsigned __int128", 16, 0, 0, 128);
    b.record(b"", 2, 0, 1, &[]);
    b.record(b"", 3, 0, 0, &[2, 1, 8]);
    b.record(b"", 3, 0, 0, &[27, 1, 3]);
    let (red, green) = (b.str(b"RED"), b.str(b"GREEN"));
    b.record(b"colour", 6, 2, 4, &[red, 0, green, 0xffff_ffff]);
    let low = b.str(b"LOW");
    b.record(b"level", 6 | FLAG, 1, 1, &[low, 0xffff_fffe]);
    let big = b.str(b"BIG");
    b.record(b"huge", 19, 1, 8, &[big, 1, 0x8000_0000]);
    b.composite(5, "", 8, &[("n", 1, 0), ("text", 7, 0)]);
    b.composite(
        4 | FLAG,
        "all",
        40,
        &[
            ("a", 1, 0),
            ("f1", 1, 3 << 24 | 32),
            ("f2", 3, 5 << 24 | 35),
            ("flag", 4, 40),
            ("c", 9, 64),
            ("p", 6, 128),
            ("", 12, 192),
            ("d", 23, 256),
        ],
    );
    b.record(b"later", 7, 0, 0, &[]);
    b.record(b"all_t", 8, 0, 13, &[]);
    b.record(b"", 9, 0, 15, &[]);
    b.record(b"", 10, 0, 16, &[]);
    b.record(b"", 11, 0, 6, &[]);
    let x = b.str(b"x");
    b.record(b"", 13, 2, 1, &[x, 6, 0, 0]);
    b.record(b"run", 12, 1, 19, &[]);
    b.record(b"state", 14, 0, 17, &[1]);
    b.record(b".data", 15, 1, 40, &[21, 0, 40]);
    b.record(b"double", 16, 0, 8, &[]);
    b.record(b"tag", 17, 0, 13, &[0xffff_ffff]);
    b.record(b"user", 18, 0, 1, &[]);
    b.record(b"long double", 16, 0, 16, &[]);
    b.record(b"", 3, 0, 0, &[1, 1, 2]);
    b.int("long int", 8, 1, 0, 64);
    b.record(b"float", 16, 0, 4, &[]);
    b
}

/// A value of struct `all` of [`zoo`].
pub(crate) fn all_bytes(endian: Endian) -> Vec<u8> {
    let mut out = Vec::new();
    let mut put = |le: &[u8]| {
        let mut bytes = le.to_vec();
        if endian == Endian::Big {
            bytes.reverse();
        }
        out.extend(bytes);
    };
    put(&(-5i32).to_le_bytes());
    // f1 = 0b101, f2 = 0b10011
    put(match endian {
        Endian::Little => &[0b1001_1101],
        Endian::Big => &[0b1011_0011],
    });
    put(&[1]);
    put(&[0, 0]);
    put(&u32::MAX.to_le_bytes());
    put(&[0; 4]);
    put(&0xffff_8880_1234_5678_u64.to_le_bytes());
    out.extend(b"hi\0\xff\0\0\0\0");
    let mut put = |le: [u8; 8]| {
        let mut bytes = le;
        if endian == Endian::Big {
            bytes.reverse();
        }
        out.extend(bytes);
    };
    put(1.5f64.to_le_bytes());
    out
}
