//! The BTF that test maps and programs are described with.

use anyhow::{Context as _, Result};
use bpfsys::BtfFd;
use bpfsys::cmd::BtfLoad;

use crate::forge::{BtfForge, INT_BOOL, INT_CHAR, INT_SIGNED};

/// The blob, loaded, and the types in it.
#[derive(Debug)]
pub struct Types {
    /// The loaded object.
    pub fd: BtfFd,
    /// The blob itself.
    pub bytes: Vec<u8>,
    /// `int`
    pub int: u32,
    /// `__u64`
    pub u64: u32,
    /// `struct pair`, 8 bytes.
    pub pair: u32,
    /// `struct everything`, [`EVERYTHING`] bytes.
    pub everything: u32,
    /// `struct measured`, 16 bytes, with floating-point members; `None` where the kernel
    /// does not know them.
    pub measured: Option<u32>,
    /// The sections of variables.
    pub sections: Sections,
    /// The functions.
    pub funcs: Funcs,
    /// Where in the strings `file`, `line one` and `line two` are.
    pub lines: [u32; 3],
    /// Kinds of types that this kernel refused: which, and its answer.
    pub lacking: Vec<(&'static str, String)>,
}

/// Kinds of types that not every supported kernel knows.
#[derive(Debug, Clone, Copy)]
struct Kinds {
    float: bool,
    enum64: bool,
}

/// Fewer and fewer kinds, and the kind that is missing from each for the first time.
const RETREAT: [(Kinds, &str); 3] = [
    (
        Kinds {
            float: true,
            enum64: true,
        },
        "",
    ),
    (
        Kinds {
            float: true,
            enum64: false,
        },
        "BTF kind ENUM64 (Linux 6.0)",
    ),
    (
        Kinds {
            float: false,
            enum64: false,
        },
        "BTF kind FLOAT (Linux 5.13)",
    ),
];

/// Sections of global variables.
#[derive(Debug)]
pub struct Sections {
    /// `.data`, 16 bytes.
    pub data: u32,
    /// `.rodata`, 16 bytes, with metadata in it.
    pub rodata: u32,
    /// `.bss`, 8 bytes.
    pub bss: u32,
}

/// Functions that programs are made of.
#[derive(Debug)]
pub struct Funcs {
    /// `int entry_point_with_a_long_name(void *ctx)`
    pub entry: u32,
    /// `static int helper_function(int n)`
    pub helper: u32,
}

/// `sizeof(struct everything)`
pub const EVERYTHING: u32 = 88;

impl Types {
    /// Forges and loads it, with as many kinds of types as the kernel takes.
    ///
    /// # Errors
    ///
    /// The verifier's log, if the kernel refuses even the kinds that all kernels have.
    pub fn load() -> Result<Self> {
        let mut answer = None;
        let mut lacking = Vec::new();
        for (kinds, without) in RETREAT {
            if let Some(answer) = answer.take() {
                lacking.push((without, answer));
            }
            match Self::of(kinds) {
                Ok(types) => return Ok(Self { lacking, ..types }),
                Err(e) => answer = Some(format!("{e:#}")),
            }
        }
        anyhow::bail!(
            "load BTF of the oldest kinds: {}",
            answer.unwrap_or_default()
        )
    }

    fn of(kinds: Kinds) -> Result<Self> {
        let mut f = BtfForge::new();
        let int = f.int("int", 4, INT_SIGNED);
        let unsigned = f.int("unsigned int", 4, 0);
        let short = f.int("short", 2, INT_SIGNED);
        let byte = f.int("char", 1, INT_SIGNED);
        let letter = f.int("letter", 1, INT_CHAR);
        let boolean = f.int("_Bool", 1, INT_BOOL);
        let long = f.int("long long", 8, INT_SIGNED);
        let u64_raw = f.int("unsigned long long", 8, 0);
        let u64 = f.wrap(8, "__u64", u64_raw);
        let letters = f.array(byte, int, 8);
        let ints = f.array(int, int, 3);
        let color = f.enumeration(
            "color",
            false,
            &[("RED", 0), ("GREEN", 1), ("BLUE", 0xffff_fff0)],
        );
        let big = if kinds.enum64 {
            f.enumeration64("big", true, &[("SMALL", 1), ("LARGE", 1 << 40)])
        } else {
            u64
        };
        let pair = f.structure("pair", 8, &[("a", int, 0, 0), ("b", unsigned, 32, 0)]);
        let inner = f.union("", 4, &[("as_int", int, 0, 0), ("as_short", short, 0, 0)]);
        let pointer = f.ptr(pair);
        let constant = f.wrap(10, "", u64);
        let everything = f.structure(
            "everything",
            EVERYTHING,
            &[
                ("i", int, 0, 0),
                ("u", unsigned, 32, 0),
                ("name", letters, 64, 0),
                ("flag", boolean, 128, 0),
                ("c", letter, 136, 0),
                ("s", short, 144, 0),
                ("color", color, 160, 0),
                ("low", unsigned, 192, 3),
                ("mid", unsigned, 195, 13),
                ("high", unsigned, 208, 16),
                ("", inner, 224, 0),
                ("p", pointer, 256, 0),
                ("l", long, 320, 0),
                ("ul", constant, 384, 0),
                ("arr", ints, 448, 0),
                ("nested", pair, 544, 0),
                ("pad", int, 608, 0),
                ("big", big, 640, 0),
            ],
        );
        let measured = kinds.float.then(|| {
            let float = f.float("float", 4);
            let double = f.float("double", 8);
            f.structure(
                "measured",
                16,
                &[
                    ("before", int, 0, 0),
                    ("f", float, 32, 0),
                    ("d", double, 64, 0),
                ],
            )
        });

        let counter = f.var("counter", u64, 1);
        let shared = f.var("shared", pair, 0);
        let data = f.datasec(".data", 16, &[(counter, 0, 8), (shared, 8, 8)]);
        let const_int = f.wrap(10, "", int);
        let limit = f.var("limit", const_int, 1);
        let meta_a = f.var("bpf_metadata_version", const_int, 1);
        let meta_b = f.var("bpf_metadata_author", letters, 1);
        let rodata = f.datasec(
            ".rodata",
            16,
            &[(limit, 0, 4), (meta_a, 4, 4), (meta_b, 8, 8)],
        );
        let scratch = f.var("scratch", u64, 1);
        let bss = f.datasec(".bss", 8, &[(scratch, 0, 8)]);

        let void_pointer = f.ptr(0);
        let entry_proto = f.proto(int, &[("ctx", void_pointer)]);
        let entry = f.func("entry_point_with_a_long_name", entry_proto, 1);
        let helper_proto = f.proto(int, &[("n", int)]);
        let helper = f.func("helper_function", helper_proto, 0);
        let lines = [
            f.string("src/demo.bpf.c"),
            f.string("\treturn twice(1);"),
            f.string("\treturn n * 2;"),
        ];

        let bytes = f.bytes();
        let fd = BtfLoad::new(&bytes).run().context("load BTF")?;
        Ok(Self {
            fd,
            bytes,
            int,
            u64,
            pair,
            everything,
            measured,
            sections: Sections { data, rodata, bss },
            funcs: Funcs { entry, helper },
            lines,
            lacking: Vec::new(),
        })
    }
}

/// Bytes of a `struct everything` that show each kind of member, different for each `n`.
#[must_use]
pub fn everything(n: u8) -> Vec<u8> {
    let mut v = Vec::new();
    v.extend_from_slice(&(-i32::from(n) - 1).to_ne_bytes());
    v.extend_from_slice(&0xffff_fffe_u32.to_ne_bytes());
    v.extend_from_slice(b"Ab\"\\z\0\0\0");
    v.extend_from_slice(&[n & 1, b'A' + n % 26]);
    v.extend_from_slice(&(-300_i16).to_ne_bytes());
    v.extend_from_slice(&u32::from(n % 4).to_ne_bytes());
    v.extend_from_slice(&0xabcd_1235_u32.to_ne_bytes());
    v.extend_from_slice(&(i32::from(n) * 1000).to_ne_bytes());
    v.extend_from_slice(&0xffff_8880_1234_5678_u64.to_ne_bytes());
    v.extend_from_slice(&i64::MIN.to_ne_bytes());
    v.extend_from_slice(&u64::MAX.to_ne_bytes());
    for i in 0..3 {
        v.extend_from_slice(&(i - 1_i32).to_ne_bytes());
    }
    v.extend_from_slice(&[n, 0, 0, 0, 0, 0, 0, n]);
    v.extend_from_slice(&[0; 4]);
    v.extend_from_slice(&(1_u64 << 40).to_ne_bytes());
    v
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_bytes_fill_the_struct() {
        assert_eq!(
            super::everything(3).len(),
            usize::try_from(super::EVERYTHING).expect("small")
        );
    }
}
