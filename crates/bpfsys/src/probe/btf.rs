//! BTF kinds and forms.

use super::{Key, Support, cached};
use crate::cmd::{BtfLoad, LogLevel};
use crate::fd::TokenFd;

/// Small BTF, built by hand: this crate knows nothing about types otherwise.
pub(super) mod blob {
    /// Names available to the types, by their offset.
    pub(crate) const STRINGS: &[u8] = b"\0int\0a\0.data\0?.data\0arg:ctx\0";
    /// Offset of a plain name.
    pub(crate) const A: u32 = 5;
    /// Offset of the name of a data section.
    pub(crate) const DATA: u32 = 7;
    /// Offset of a name that only optional sections have.
    pub(crate) const QMARK_DATA: u32 = 13;
    /// Offset of the tag of an argument that is the context.
    pub(crate) const ARG_CTX: u32 = 20;

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
use blob::{A, ARG_CTX, DATA, QMARK_DATA, info, with_int};

const FUNC_PROTO: [u32; 3] = [0, info(13, 0, false), 1];
const VAR: [u32; 4] = [A, info(14, 0, false), 1, 0];

/// Whether the kernel accepts BTF with types of this kind (`BTF_KIND_*`, 1 to 19 today).
#[must_use]
pub fn btf_kind(kind: u32) -> Support {
    btf_kind_with(kind, None)
}

/// As [`btf_kind`], with the rights of a token; answers to it are not kept.
#[must_use]
pub fn btf_kind_with(kind: u32, token: Option<&TokenFd>) -> Support {
    let ask = || load(&with_int(&of_kind(kind), &[]), token);
    match token {
        None => cached(Key::BtfKind(kind), ask),
        Some(_) => ask(),
    }
}

pub(super) fn load(data: &[u8], token: Option<&TokenFd>) -> Support {
    let load = BtfLoad::new(data).log_level(LogLevel::Off);
    Support::of(load.maybe_token(token).run())
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

/// All kinds that Linux 6.0 has and objects are made of, and a global function.
pub(super) fn everything() -> Vec<u8> {
    let types = [
        // [2] FLOAT, [3] ENUM64, [4] TYPE_TAG
        &of_kind(16)[..],
        &of_kind(19),
        &of_kind(18),
        // [5], [6] FUNC
        &FUNC_PROTO,
        &[A, info(12, 1, false), 5],
        // [7], [8] DATASEC, [9] DECL_TAG
        &VAR,
        &[DATA, info(15, 1, false), 4, 7, 0, 4],
        &[A, info(17, 0, false), 7, u32::MAX],
    ];
    with_int(&types.concat(), &[])
}

/// Global functions, marked so in the length field. Linux 5.6.
pub(super) fn global_func(token: Option<&TokenFd>) -> Support {
    let types = [&FUNC_PROTO[..], &[A, info(12, 1, false), 2]].concat();
    load(&with_int(&types, &[]), token)
}

/// Data sections whose names begin with a question mark. Linux 6.10.
pub(super) fn qmark_datasec(token: Option<&TokenFd>) -> Support {
    let types = [&VAR[..], &[QMARK_DATA, info(15, 1, false), 4, 2, 0, 4]].concat();
    load(&with_int(&types, &[]), token)
}

/// Tags with the kind flag, which stand for attributes. Linux 6.15.
pub(super) fn tag_kind_flag(token: Option<&TokenFd>) -> Support {
    load(&with_int(&[A, info(18, 0, true), 1], &[]), token)
}

/// The layout section, with a row for the two kinds 0 and 1. Linux 7.1.
pub(super) fn layout(token: Option<&TokenFd>) -> Support {
    let rows: [[u8; 4]; 2] = [[0; 4], [4, 0, 0, 0]];
    let data = with_int(&[], rows.as_flattened());
    // Kernels without it refuse bytes of the header they do not know.
    Support::judge(
        BtfLoad::new(&data)
            .log_level(LogLevel::Off)
            .maybe_token(token)
            .run(),
        &[],
        &[libc::EINVAL, libc::E2BIG],
    )
}

/// More members than 16 bits can count. Linux 7.2.
pub(super) fn wide_vlen(token: Option<&TokenFd>) -> Support {
    const COUNT: u32 = 0x1_0000;
    let mut types = vec![A, info(6, COUNT, false), 4];
    types.extend((0..COUNT).flat_map(|value| [A, value]));
    load(&with_int(&types, &[]), token)
}

/// Whether BTF objects have names, which came with the types of modules. Linux 5.11.
pub(super) fn module_btf(token: Option<&TokenFd>) -> Support {
    let data = with_int(&[], &[]);
    let load = BtfLoad::new(&data).log_level(LogLevel::Off);
    let named = match load.maybe_token(token).run() {
        Ok(btf) => btf.names_known(),
        // No types, no modules with any.
        Err(error) => return Support::of::<(), _>(Err(error)),
    };
    match named {
        Ok(true) => Support::Yes,
        Ok(false) => Support::No,
        Err(error) => Support::Unknown(error),
    }
}

/// Types of a program and of a function whose argument is tagged as the context: ids of the two
/// functions are 4 and 6.
pub(super) fn with_ctx_tag() -> Vec<u8> {
    let proto = [0, info(13, 1, false), 1, A, 2];
    let func = |proto| [A, info(12, 1, false), proto];
    let types = [
        // [2] a pointer to nothing known
        &[0, info(2, 0, false), 0][..],
        // [3] and [4]
        &proto,
        &func(3),
        // [5] and [6]
        &proto,
        &func(5),
        // [7] the tag of the first argument
        &[ARG_CTX, info(17, 0, false), 6, 0],
    ];
    with_int(&types.concat(), &[])
}
