//! Two small blobs, a path and a question; the answer that is expected. Each row of the table
//! in the documentation names one of these tests.

#![allow(
    clippy::cast_possible_truncation,
    reason = "numbers of tests are small"
)]
#![allow(
    clippy::semicolon_if_nothing_returned,
    reason = "closures that make types"
)]

mod choice;
mod fields;
mod patching;
mod properties;
mod types;

use super::*;
use crate::Endian;
use crate::testing::{Blob, FLAG};

const INT: u32 = 1;
const UINT: u32 = 2;
const ULONG: u32 = 3;
const CHAR: u32 = 4;
const PTR: u32 = 5;
const LONG: u32 = 6;
const U16: u32 = 7;
const BOOL: u32 = 8;
/// First id behind those.
const FIRST: u32 = 9;

/// A blob with the integers above.
fn ints(endian: Endian) -> Blob {
    let mut b = Blob::new(endian);
    b.int("int", 4, 1, 0, 32);
    b.int("unsigned int", 4, 0, 0, 32);
    b.int("unsigned long", 8, 0, 0, 64);
    b.int("char", 1, 1, 0, 8);
    b.record(b"", 2, 0, 0, &[]);
    b.int("long", 8, 1, 0, 64);
    b.int("unsigned short", 2, 0, 0, 16);
    b.int("_Bool", 1, 4, 0, 8);
    b
}

const STRUCT: u32 = 4;
const UNION: u32 = 5;
const ENUM: u32 = 6;
const FWD: u32 = 7;
const TYPEDEF: u32 = 8;
const VOLATILE: u32 = 9;
const CONST: u32 = 10;
const FUNC_PROTO: u32 = 13;
const FLOAT: u32 = 16;
const TYPE_TAG: u32 = 18;
const ENUM64: u32 = 19;

impl Blob {
    fn array(&mut self, elem: u32, len: u32) {
        self.record(b"", 3, 0, 0, &[elem, UINT, len]);
    }

    fn enumeration(&mut self, name: &str, size: u32, constants: &[(&str, u32)]) {
        let words: Vec<u32> = constants
            .iter()
            .flat_map(|(name, value)| [self.str(name.as_bytes()), *value])
            .collect();
        self.record(name.as_bytes(), ENUM, constants.len() as u32, size, &words);
    }

    fn enumeration64(&mut self, name: &str, size: u32, constants: &[(&str, u64)]) {
        let words: Vec<u32> = constants
            .iter()
            .flat_map(|(name, value)| {
                [
                    self.str(name.as_bytes()),
                    *value as u32,
                    (*value >> 32) as u32,
                ]
            })
            .collect();
        self.record(
            name.as_bytes(),
            ENUM64,
            constants.len() as u32,
            size,
            &words,
        );
    }

    fn proto(&mut self, returns: u32, params: &[u32]) {
        let words: Vec<u32> = params.iter().flat_map(|ty| [0, *ty]).collect();
        self.record(b"", FUNC_PROTO, params.len() as u32, returns, &words);
    }
}

/// A local and a target blob.
struct World {
    local: Blob,
    target: Vec<u8>,
}

/// Both start with the integers.
fn world(endian: Endian, local: impl FnOnce(&mut Blob), target: impl FnOnce(&mut Blob)) -> World {
    let (mut l, mut t) = (ints(endian), ints(endian));
    local(&mut l);
    target(&mut t);
    World {
        local: l,
        target: t.build(),
    }
}

fn little(local: impl FnOnce(&mut Blob), target: impl FnOnce(&mut Blob)) -> World {
    world(Endian::Little, local, target)
}

impl World {
    /// The answer, and why there is none or it is what it is.
    fn ask_why(
        &self,
        root: u32,
        path: &str,
        kind: RelocKind,
    ) -> (Result<Fixup, CoreError>, Option<String>) {
        let mut local = self.local.clone();
        let relo = CoreRelo {
            insn_off: 0,
            type_id: TypeId(root),
            access_str_off: local.str(path.as_bytes()),
            kind,
        };
        let local = local.build();
        let local = Btf::parse(&local).unwrap();
        let target = Btf::parse(&self.target).unwrap();
        let mut resolver = Resolver::new(&local, &target);
        let fixup = resolver.resolve(&relo);
        let why = match &fixup {
            Ok(fixup) => resolver.explain(&relo, fixup),
            Err(error) => Some(error.to_string()),
        };
        (fixup, why)
    }

    fn ask(&self, root: u32, path: &str, kind: RelocKind) -> Result<Fixup, CoreError> {
        self.ask_why(root, path, kind).0
    }

    /// Local and target answer; `None` in place of the latter when poisoned.
    #[track_caller]
    fn check(&self, root: u32, path: &str, kind: RelocKind, expect: (u64, Option<u64>)) {
        let fixup = self.ask(root, path, kind).unwrap();
        let there = (!fixup.poison).then_some(fixup.target);
        assert_eq!((fixup.local, there), expect, "{kind} of {root} at {path}");
    }

    #[track_caller]
    fn check_why(&self, root: u32, path: &str, kind: RelocKind, expect: &str) {
        let (_, why) = self.ask_why(root, path, kind);
        assert_eq!(why.as_deref(), Some(expect), "{kind} of {root} at {path}");
    }
}

#[test]
fn messages_name_the_relocation_as_libbpf_does() {
    let mut b = ints(Endian::Little);
    b.array(FIRST + 1, 4); // 9
    b.composite(
        STRUCT | FLAG,
        "in",
        8,
        &[("x", INT, 0), ("f", INT, 3 << 24 | 35)],
    ); // 10
    b.composite(STRUCT, "out", 40, &[("a", INT, 0), ("b", FIRST, 64)]); // 11
    b.enumeration("e", 4, &[("A", 1), ("B", u32::MAX)]); // 12
    let paths = ["0:1:2:1", "1:1:0:0", "0", "1"].map(|p| b.str(p.as_bytes()));
    let blob = b.build();
    let btf = Btf::parse(&blob).unwrap();
    let resolver = Resolver::new(&btf, &btf);
    let check = |id, path: usize, kind, expect: &str| {
        let relo = CoreRelo {
            insn_off: 0,
            type_id: TypeId(id),
            access_str_off: paths[path],
            kind,
        };
        assert_eq!(resolver.describe(&relo), expect);
    };
    check(
        11,
        0,
        RelocKind::FieldByteOffset,
        "<byte_off> [11] struct out.b[2].f (0:1:2:1 @ offset 28.3)",
    );
    check(
        11,
        1,
        RelocKind::FieldExists,
        "<field_exists> [11] struct out[1].b[0].x (1:1:0:0 @ offset 48)",
    );
    check(11, 2, RelocKind::TypeSize, "<type_size> [11] struct out");
    check(
        12,
        3,
        RelocKind::EnumvalValue,
        "<enumval_value> [12] enum e::B = 4294967295",
    );
    check(
        12,
        0,
        RelocKind::EnumvalValue,
        "<enumval_value> [12] enum e",
    );
}

#[test]
fn access_strings_that_lead_nowhere_are_errors() {
    let w = little(
        |b| {
            b.array(INT, 4); // 9
            b.composite(STRUCT, "s", 24, &[("a", FIRST, 0), ("b", PTR, 128)]); // 10
            b.enumeration("e", 4, &[("A", 1)]); // 11
            b.record(b"loop", TYPEDEF, 0, 12, &[]); // 12
            b.record(b"bad", TYPEDEF, 0, 999, &[]); // 13
            b.composite(STRUCT, "", 4, &[("x", INT, 0)]); // 14
            b.record(b"f", FWD, 0, 0, &[]); // 15
        },
        |_| (),
    );
    let off = RelocKind::FieldByteOffset;
    let check = |root, path, kind, expect: &str| w.check_why(root, path, kind, expect);
    for path in ["", "x", "0:", "0:-1", "0:99999999999"] {
        assert!(w.ask(10, path, off).is_err(), "{path}");
    }
    check(
        10,
        "0:2",
        off,
        "access string step 1: type 10 (STRUCT) has 2 elements, not 2",
    );
    check(
        10,
        "0:0:4",
        off,
        "access string step 2: type 9 (ARRAY) has 4 elements, not 4",
    );
    check(
        10,
        "0:0:0:0",
        off,
        "access string step 3: type 1 (INT) has nothing to step to",
    );
    check(
        10,
        "0:1:0",
        off,
        "access string step 2: type 5 (PTR) has nothing to step to",
    );
    check(12, "0", off, "defect in the object's btf");
    check(13, "0", off, "defect in the object's btf");
    check(99, "0", off, "defect in the object's btf");
    check(15, "0", off, "defect in the object's btf");
    check(
        14,
        "0:0",
        off,
        "byte_off relocation of type 14, which has no name",
    );
    check(
        0,
        "0",
        RelocKind::TypeExists,
        "type_exists relocation of type 0, which has no name",
    );
    check(
        10,
        "0:0",
        RelocKind::TypeSize,
        "access string '0:0' of a type_size relocation: a type takes '0'",
    );
    check(
        11,
        "1",
        RelocKind::EnumvalValue,
        "access string step 0: type 11 (ENUM) has 1 elements, not 1",
    );
    check(
        11,
        "0:0",
        RelocKind::EnumvalValue,
        "access string '0:0' of a enumval_value relocation: a constant takes one number",
    );
    check(
        10,
        "0",
        RelocKind::EnumvalExists,
        "access string step 0: type 10 (STRUCT) has nothing to step to",
    );
    check(
        10,
        "0",
        RelocKind::Unknown(13),
        "unknown core relocation kind 13",
    );
    for kind in [
        RelocKind::FieldSigned,
        RelocKind::FieldLshiftU64,
        RelocKind::FieldRshiftU64,
    ] {
        check(
            10,
            "0:0:1",
            kind,
            &format!("{kind} relocation of an array element"),
        );
    }
}
