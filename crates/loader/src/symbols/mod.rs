//! Where things are in programs and libraries of user space.
//!
//! The kernel probes user space by file and offset. This module finds both:
//!
//! - [`Binary`]: a program or library, by path, by name, as a member of an archive, or as a
//!   process has it mapped; symbols, lines of source and USDT probes to offsets, and back;
//! - [`search`]: which file a name stands for;
//! - [`ElfFile`]: the parts of a file that tell, read where they are: nothing here reads a whole
//!   file, and looking up a symbol takes two passes with buffers of a fixed size;
//! - [`usdt`]: notes of static probes, and their arguments in the form of `usdt.bpf.h`.
//!
//! All of it reads files that others wrote, so nothing in them can make it panic, hang, or take
//! memory beyond their size.
//!
//! ```no_run
//! use loader::symbols::Binary;
//!
//! let libc = Binary::open("libc.so.6".as_ref())?;
//! let place = libc.offset("malloc")?;
//! println!("malloc is at {:#x} of {}", place.offset, libc.path().display());
//! # Ok::<(), loader::symbols::BinaryError>(())
//! ```

pub mod archive;
mod binary;
pub mod debug_file;
mod error;
mod file;
mod functions;
mod glob;
pub mod go;
mod ld_cache;
mod lines;
mod maps;
mod notes;
mod offset;
mod query;
mod read;
pub mod search;
mod table;
pub mod usdt;
mod versions;
mod xz;

pub use binary::{Binary, BinaryError, Place, Symbolized};
pub use error::SymbolError;
pub use file::{Class, ElfFile, Section, Segment};
pub use functions::{Function, Functions};
pub use glob::Glob;
pub use ld_cache::{CacheEntry, ld_cache};
pub use lines::{LinePlace, Lines};
pub use maps::{Mapping, parse_maps};
pub use notes::{Note, notes};
pub use offset::Match;
pub use query::{Query, Version};
pub use read::{ReadAt, Source};
pub use xz::unpack as unpack_xz;

#[cfg(test)]
#[allow(dead_code, reason = "shared with the tests of hostile bytes")]
mod testing;
#[cfg(test)]
mod tests;
