//! From an ELF object to live links, without libbpf: the outline that the stages will fill.
//!
//! Nothing is here yet. `bpfsys` talks to the kernel and `btf` knows types; this crate will
//! join them in five stages, each consuming the one before and none changing it:
//!
//! 1. `elf`: bytes to classified sections, symbols and relocations;
//! 2. `model`: a plain, editable object: programs, maps, variables, externs, BTF, licence;
//! 3. `relocate`: the model and facts about the target kernel to instructions with nothing left
//!    to resolve, and a plan that can be printed;
//! 4. `kernel`: the plan to file descriptors;
//! 5. `attach`: file descriptors to links, one file per mechanism.
//!
//! Stages 1 to 3 make no system calls: the same bytes and the same facts give the same plan.
#![forbid(unsafe_code)]

pub mod link_objects;
