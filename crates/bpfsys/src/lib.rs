//! Typed, safe access to the `bpf()` system call, without libbpf.
//!
//! The layers, low to high:
//!
//! - [`uapi`]: the kernel's structures, constants and names; [`insn`]: the 8-byte instruction.
//! - [`sys`]: the system call, descriptors, mappings, perf events (the unsafe mechanism).
//! - [`fd`]: a type per kind of descriptor. A [`MapFd`] knows its [`MapShape`], so that no safe
//!   call lets the kernel write past a buffer.
//! - [`cmd`]: one structure per command, `new(required)`, setters, `run()`.
//! - [`probe`]: what the running kernel supports.
//!
//! ```no_run
//! use bpfsys::{MapType, cmd::{MapCreate, MapLookupElem, MapUpdateElem}};
//!
//! let map = MapCreate::new(MapType::HASH, 4, 8, 16).name("counts").run()?;
//! MapUpdateElem::new(&map, &[1, 0, 0, 0], &[7; 8]).run()?;
//! let mut value = [0; 8];
//! MapLookupElem::new(&map, &[1, 0, 0, 0]).run(&mut value)?;
//! assert_eq!(value, [7; 8]);
//!
//! for id in bpfsys::prog_ids() {
//!     let prog = bpfsys::ProgFd::by_id(id?)?;
//!     println!("{:?}", prog.info()?.type_());
//! }
//! # Ok::<(), bpfsys::SysError>(())
//! ```

pub mod cmd;
pub mod cpus;
pub mod error;
pub mod fd;
pub mod ids;
pub mod insn;
pub mod log;
pub mod probe;
pub mod sys;
pub mod uapi;
pub mod version;

#[cfg(test)]
mod tests;

pub use cmd::ids::{btf_ids, btfs, link_ids, links, map_ids, maps, prog_ids, progs};
pub use error::{ErrorKind, LoadError, Op, Refusal, SysError};
pub use fd::{AnyFd, BtfFd, FdKind, IterFd, LinkFd, MapFd, MapShape, ProgFd, StatsFd, TokenFd};
pub use ids::{BtfId, LinkId, MapId, ProgId};
pub use log::{Diagnosis, VerifierLog};
pub use sys::kernel_btf::KernelBtf;
pub use uapi::enums::{AttachType, Cmd, LinkType, MapType, ProgType};
pub use version::KernelVersion;

/// The example of the README is compiled with the others.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
