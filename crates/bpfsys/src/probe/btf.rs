//! BTF kinds and forms.

use super::{Key, Support, cached};
use crate::cmd::{BtfLoad, LogLevel};

/// Small BTF, built by hand: this crate knows nothing about types otherwise.
pub(super) mod blob {
    /// Names available to the types, by their offset.
    pub(crate) const STRINGS: &[u8] = b"\0int\0a\0.data\0?.data\0";
    /// Offset of a plain name.
    pub(crate) const A: u32 = 5;
    /// Offset of the name of a data section.
    pub(crate) const DATA: u32 = 7;
    /// Offset of a name that only optional sections have.
    pub(crate) const QMARK_DATA: u32 = 13;

    /// The information word of a type.
    pub(crate) const fn info(kind: u32, vlen: u32, kind_flag: bool) -> u32 {
        (kind_flag as u32) << 31 | kind << 24 | vlen
    }

    fn length(bytes: &[u8]) -> u32 {
        u32::try_from(bytes.len()).unwrap_or(u32::MAX)
    }

    /// BTF with `int` as type 1, then `types`, words in the form of the wire. A `layout`, if any,
    /// makes the header the longer form that has one.
    pub(crate) fn with_int(types: &[u32], layout: &[u8]) -> Vec<u8> {
        let int = [1, info(1, 0, false), 4, 1 << 24 | 32];
        let words = int.iter().chain(types);
        let types: Vec<u8> = words.flat_map(|word| word.to_ne_bytes()).collect();
        let with_layout = !layout.is_empty();
        let layout_off = length(&types);
        let str_off = layout_off.saturating_add(length(layout));
        let mut header = vec![
            if with_layout { 32 } else { 24 },
            0,
            length(&types),
            str_off,
            length(STRINGS),
        ];
        if with_layout {
            header.extend([layout_off, length(layout)]);
        }
        let mut blob = Vec::new();
        blob.extend_from_slice(&0xeb9f_u16.to_ne_bytes());
        blob.extend_from_slice(&[1, 0]);
        blob.extend(header.iter().flat_map(|word| word.to_ne_bytes()));
        blob.extend_from_slice(&types);
        blob.extend_from_slice(layout);
        blob.extend_from_slice(STRINGS);
        blob
    }
}
use blob::{A, DATA, QMARK_DATA, info, with_int};

const FUNC_PROTO: [u32; 3] = [0, info(13, 0, false), 1];
const VAR: [u32; 4] = [A, info(14, 0, false), 1, 0];

/// Whether the kernel accepts BTF with types of this kind (`BTF_KIND_*`, 1 to 19 today).
#[must_use]
pub fn btf_kind(kind: u32) -> Support {
    cached(Key::BtfKind(kind), || load(&with_int(&of_kind(kind), &[])))
}

pub(super) fn load(data: &[u8]) -> Support {
    Support::of(BtfLoad::new(data).log_level(LogLevel::Off).run())
}

/// Types beside `int`, one of them of this kind.
fn of_kind(kind: u32) -> Vec<u32> {
    let plain = |name| vec![name, info(kind, 0, false), 1];
    match kind {
        // INT is there already.
        1 => Vec::new(),
        // ARRAY
        3 => vec![0, info(kind, 0, false), 0, 1, 1, 4],
        // STRUCT and UNION with a member
        4 | 5 => vec![A, info(kind, 1, false), 4, A, 1, 0],
        // ENUM
        6 => vec![A, info(kind, 1, false), 4, A, 1],
        // FWD
        7 => vec![A, info(kind, 0, false), 0],
        // TYPEDEF and TYPE_TAG have names
        8 | 18 => plain(A),
        // FUNC
        12 => [&FUNC_PROTO[..], &[A, info(kind, 0, false), 2]].concat(),
        // FUNC_PROTO
        13 => FUNC_PROTO.to_vec(),
        // VAR
        14 => VAR.to_vec(),
        // DATASEC
        15 => [&VAR[..], &[DATA, info(kind, 1, false), 4, 2, 0, 4]].concat(),
        // FLOAT
        16 => vec![A, info(kind, 0, false), 4],
        // DECL_TAG of a variable
        17 => [&VAR[..], &[A, info(kind, 0, false), 2, u32::MAX]].concat(),
        // ENUM64
        19 => vec![A, info(kind, 1, false), 8, A, 1, 0],
        _ => plain(0),
    }
}

/// Global functions, marked so in the length field. Linux 5.6.
pub(super) fn global_func() -> Support {
    load(&with_int(
        &[&FUNC_PROTO[..], &[A, info(12, 1, false), 2]].concat(),
        &[],
    ))
}

/// Data sections whose names begin with a question mark. Linux 6.10.
pub(super) fn qmark_datasec() -> Support {
    load(&with_int(
        &[&VAR[..], &[QMARK_DATA, info(15, 1, false), 4, 2, 0, 4]].concat(),
        &[],
    ))
}

/// Tags with the kind flag, which stand for attributes. Linux 6.15.
pub(super) fn tag_kind_flag() -> Support {
    load(&with_int(&[A, info(18, 0, true), 1], &[]))
}

/// The layout section, with a row for the two kinds 0 and 1. Linux 7.1.
pub(super) fn layout() -> Support {
    let rows: [[u8; 4]; 2] = [[0; 4], [4, 0, 0, 0]];
    let data = with_int(&[], rows.as_flattened());
    // Kernels without it refuse bytes of the header they do not know.
    Support::judge(
        BtfLoad::new(&data).log_level(LogLevel::Off).run(),
        &[],
        &[libc::EINVAL, libc::E2BIG],
    )
}

/// More members than 16 bits can count. Linux 7.2.
pub(super) fn wide_vlen() -> Support {
    const COUNT: u32 = 0x1_0000;
    let mut types = vec![A, info(6, COUNT, false), 4];
    types.extend((0..COUNT).flat_map(|value| [A, value]));
    load(&with_int(&types, &[]))
}
