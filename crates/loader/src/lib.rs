//! From an ELF object to live links, without libbpf.
//!
//! The stages, each of which consumes the one before and changes none:
//!
//! 1. [`elf`]: bytes to sections, symbols and relocations;
//! 2. [`model`]: a plain object that can be edited: programs, maps, variables, externs, types;
//! 3. [`target`]: what must be known of the kernel, asked for when needed, or given;
//! 4. [`relocate`]: the model and the target to a [`LoadPlan`](relocate::LoadPlan), in which
//!    nothing is left to resolve but descriptors;
//! 5. [`kernel`]: the plan to descriptors.
//!
//! `elf`, `model` and `relocate` make no system calls: the same bytes and the same facts give the
//! same plan.
#![forbid(unsafe_code)]

pub mod elf;
pub mod kernel;
pub mod light;
pub mod model;
pub mod relocate;
pub mod target;
