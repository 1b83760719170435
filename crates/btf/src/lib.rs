//! BTF, the type format of BPF and the Linux kernel, without libbpf: no `unsafe`, no I/O.
//!
//! Layers, low to high; each can be used without those above it:
//!
//! 1. the wire format: header, record sizes, strings, in either byte order; 24- and 32-byte
//!    headers, records of unknown kinds skipped by the layout section of Linux 7.1;
//! 2. [`types`]: one `Copy` view per kind, reading fields from the blob when asked;
//! 3. [`Btf`]: the blob and one offset per type; [`Btf::type_by_id`], split BTF on a base;
//! 4. names: [`Btf::find_by_name_kind`], without touching every string;
//! 5. walks: [`Btf::size_of`], [`Btf::align_of`], [`Btf::resolve`], [`Btf::flatten`];
//! 6. [`raw_dump`]: the text of `bpftool btf dump … format raw`;
//! 7. [`c_dump`]: C declarations, the text of `bpftool btf dump … format c`;
//! 8. [`value`]: bytes and their type give a tree of values;
//! 9. [`build`]: writes BTF, empty or from what other blobs have;
//! 10. [`dedup`]: each type once;
//! 11. [`distill`]: `.BTF.base`, what split BTF needs to be put on another base;
//! 12. [`ext`]: `.BTF.ext`, what a compiler says about instructions;
//! 13. [`core_reloc`]: what a program must change to run on another kernel;
//! 14. [`min_btf`]: the few types of a kernel that some programs need for that.
//!
//! Bytes are not trusted. Parsing checks that each record is where the offsets say; anything
//! else (names, references) is checked when it is followed. No input makes a function panic,
//! loop, or allocate more than a small multiple of the input.
//!
//! # Example
//!
//! ```
//! use btf::{Btf, Kind, Type, value::{Value, decode}};
//!
//! // struct point { int x; int y; }
//! let mut blob = vec![
//!     0x9f, 0xeb, 1, 0, 24, 0, 0, 0, // magic, version, flags, header length
//!     0, 0, 0, 0, 52, 0, 0, 0, // types: offset, length
//!     52, 0, 0, 0, 15, 0, 0, 0, // strings: offset, length
//! ];
//! let words: [u32; 13] = [
//!     1, 1 << 24, 4, 1 << 24 | 32, // [1] INT 'int', 4 bytes, signed, 32 bits
//!     5, 4 << 24 | 2, 8, // [2] STRUCT 'point', 2 members, 8 bytes
//!     11, 1, 0, // 'x', type 1, bit 0
//!     13, 1, 32, // 'y', type 1, bit 32
//! ];
//! blob.extend(words.iter().flat_map(|w| w.to_le_bytes()));
//! blob.extend(b"\0int\0point\0x\0y\0");
//!
//! let btf = Btf::parse(&blob)?;
//! let point = btf.find_by_name_kind(b"point", Kind::Struct).expect("it is there");
//! assert_eq!(btf.size_of(point)?, 8);
//! let Type::Struct(view) = btf.type_by_id(point)? else { panic!("a struct was asked for") };
//! assert_eq!(view.members().map(|m| m.name.to_text()).collect::<Vec<_>>(), ["x", "y"]);
//!
//! let Value::Struct(value) = decode(&btf, point, &[7, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]) else {
//!     panic!("a struct has a struct value")
//! };
//! assert!(matches!(value.members[1].value, Value::Int(-1)));
//!
//! let mut text = Vec::new();
//! btf::raw_dump::write_type(&mut text, &btf, point)?;
//! assert!(text.starts_with(b"[2] STRUCT 'point' size=8 vlen=2\n\t'x' type_id=1"));
//! # Ok::<(), btf::BtfError>(())
//! ```
#![forbid(unsafe_code)]

mod btf;
pub mod build;
pub mod c_dump;
pub mod core_reloc;
pub mod dedup;
pub mod distill;
mod error;
pub mod ext;
mod hash;
mod id;
mod index;
pub mod min_btf;
mod raw;
pub mod raw_dump;
#[cfg(test)]
mod testing;
mod text;
pub mod types;
pub mod value;
mod walk;

pub use crate::btf::Btf;
pub use crate::error::{BtfError, Section};
pub use crate::id::TypeId;
pub use crate::raw::cursor::Endian;
pub use crate::raw::kind::Kind;
pub use crate::raw::strings::{escape, escape_into};
pub use crate::types::{Type, encoding};
pub use crate::walk::FlatMember;

/// The example of the README is compiled with the others.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
