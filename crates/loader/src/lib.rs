//! From an ELF object to live links, without libbpf.
//!
//! The stages, each of which consumes the one before and changes none:
//!
//! 1. [`elf`]: bytes to sections, symbols and relocations;
//! 2. [`model`]: a plain object that can be edited: programs, maps, variables, externs, types;
//! 3. [`target`]: what must be known of the kernel, asked for when needed, or given;
//! 4. [`relocate`]: the model and the target to a [`LoadPlan`](relocate::LoadPlan), in which
//!    nothing is left to resolve but descriptors;
//! 5. [`kernel`]: the plan to descriptors;
//! 6. [`attach`]: descriptors to links.
//!
//! `elf`, `model` and `relocate` make no system calls: the same bytes and the same facts give the
//! same plan.
//!
//! [`open`] and [`Object::load`](model::Object::load) are all of them in a row:
//!
//! ```no_run
//! use loader::kernel::LoadOptions;
//!
//! let mut object = loader::open("counter.bpf.o".as_ref())?;
//! for map in object.maps_mut() {
//!     map.spec.max_entries = map.spec.max_entries.max(1024);
//! }
//! let loaded = object.load(&LoadOptions::new())?;
//! for program in loaded.programs() {
//!     println!("{} ({})", program.name(), program.section());
//! }
//! # Ok::<(), loader::Error>(())
//! ```
//!
//! Each stage by itself, for a plan that is looked at before it is loaded:
//!
//! ```no_run
//! use loader::kernel::LoadOptions;
//! use loader::model::{Object, ParseOptions};
//! use loader::relocate::{LoadPlan, PlanOptions};
//! use loader::target::Running;
//!
//! let bytes = std::fs::read("counter.bpf.o")?;
//! let object = Object::parse(&bytes, &ParseOptions::named("counter"))?;
//! let plan = LoadPlan::new(&object, &Running::new(), &PlanOptions::default())?;
//! for downgrade in &plan.downgrades {
//!     println!("without {}: {}", downgrade.feature.name(), downgrade.what);
//! }
//! let prepared = plan.prepare(&LoadOptions::new())?;
//! let loaded = prepared.load(&LoadOptions::new())?;
//! # drop(loaded);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What programs write is read through [`maps`] and [`streams`]:
//!
//! ```no_run
//! use loader::maps::{Globals, RingBuffer};
//! # use loader::kernel::LoadOptions;
//!
//! # let loaded = loader::open("counter.bpf.o".as_ref())?.load(&LoadOptions::new())?;
//! let map = |name| loaded.map(name).and_then(|map| map.fd()).ok_or("no such map");
//! let mut events = RingBuffer::new(map("events")?)?;
//! let globals = Globals::open(map(".bss")?)?;
//! events.poll(None, |record| println!("{:?}", record.read::<[u32; 2]>()))?;
//! println!("{} seen", globals.variable::<u64>("seen")?.get());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Loaded by a program in the kernel, which can be kept, shipped without the object and signed
//! ([`light`]):
//!
//! ```no_run
//! use loader::light::{LightOptions, RunOptions, generate};
//!
//! let object = loader::open("counter.bpf.o".as_ref())?;
//! let program = generate(&object, &LightOptions::default())?;
//! let loaded = program.run(&RunOptions::default())?;
//! for (program, fd) in program.progs.iter().zip(&loaded.progs) {
//!     println!("{}: {:?}", program.name, fd.info()?.id());
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

pub mod attach;
pub mod elf;
mod error;
mod facade;
pub mod kernel;
pub mod light;
pub mod link_objects;
pub mod machine;
pub mod maps;
pub mod model;
pub mod netlink;
pub mod relocate;
mod sha256;
pub mod skeleton;
pub mod streams;
pub mod symbols;
pub mod target;
pub mod tracefs;

pub use error::{Error, Stage};
pub use facade::open;

#[cfg(test)]
#[allow(dead_code, reason = "shared with the tests of hostile bytes")]
mod testing;

/// The example of the README is compiled with the others.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
