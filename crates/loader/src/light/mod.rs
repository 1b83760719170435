//! Loader programs: objects that are loaded by a program in the kernel ("light skeletons").
//!
//! [`generate`] makes a program of type `syscall` and the data it works on. Run once, it makes
//! the object's maps, loads its programs, with relocation by types left to the kernel, and hands
//! the descriptors over. Whoever has the two needs neither ELF nor a loader, and a signature of
//! the program vouches for everything it does.
//!
//! The context it is run with is laid out as libbpf's skeletons have it
//! (`struct bpf_loader_ctx`, `struct bpf_map_desc`, `struct bpf_prog_desc`), so that their code
//! can run the program as well as [`LightProgram::run`].

mod blob;
mod emit;
mod error;
mod generate;
mod layout;
mod maps;
mod programs;
mod run;
#[cfg(feature = "sign")]
pub mod sign;
mod step;
mod symbols;
mod table;
mod target;
#[cfg(test)]
mod tests;

pub use error::LightError;
pub use generate::generate;
pub use run::{LightLoaded, MapInput, ProgramSignature, RunError, RunOptions, StepError};
pub use step::Step;

use crate::sha256::sha256;

use crate::model::ProgIdx;
use crate::relocate::{MapAction, MapPlan, PlanOptions};
use crate::target::Target;
use bpfsys::insn::{Insn, stream};
use bpfsys::{AttachType, MapType, ProgType};
use btf::Endian;
use std::fmt;

/// How a loader program is made.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct LightOptions<'a> {
    /// Whether the program compares its data with a hash before it begins, so that a signature of
    /// the program covers the data. Values and sizes cannot be changed in the context then.
    #[doc(alias = "gen_hash")]
    pub hash: bool,
    /// Who knows the kernel's configuration and CPUs. Without, an object that depends on them is
    /// refused.
    pub target: Option<&'a dyn Target>,
    /// What a plan depends on besides. Relocation by types is left to the kernel.
    pub plan: PlanOptions,
}

impl fmt::Debug for LightOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LightOptions")
            .field("hash", &self.hash)
            .field("target", &self.target.is_some())
            .field("plan", &self.plan)
            .finish()
    }
}

/// A program that makes an object's maps and loads its programs, and its data.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LightProgram {
    /// The object's name.
    pub name: String,
    /// The byte order of the machines it is for.
    pub endian: Endian,
    /// The program, in the host's byte order.
    pub insns: Vec<Insn>,
    /// The value of its map.
    pub data: Vec<u8>,
    /// Maps, in the order of the context: all of the object.
    pub maps: Vec<LightMap>,
    /// Programs, in the order of the context: those that were selected.
    pub progs: Vec<LightProg>,
    /// What it does. It notes which step it is at in its data.
    pub steps: Vec<Step>,
    /// Where in the data the number of the step is: four bytes.
    pub progress: u32,
    /// Whether it compares its data with a hash, which nobody else may have changed.
    pub hashed: bool,
}

impl LightProgram {
    /// A loader program that was made elsewhere, for this machine: instructions and data of a
    /// light skeleton, and the names of its maps and programs in the order of the context.
    #[must_use]
    pub fn foreign(
        name: &str,
        insns: Vec<Insn>,
        data: Vec<u8>,
        maps: &[&str],
        progs: &[&str],
    ) -> Self {
        Self {
            name: name.to_owned(),
            endian: Endian::NATIVE,
            insns,
            data,
            maps: maps.iter().copied().map(LightMap::foreign).collect(),
            progs: progs.iter().copied().map(LightProg::foreign).collect(),
            steps: Vec::new(),
            progress: 0,
            hashed: false,
        }
    }

    /// Bytes of the context.
    #[must_use]
    pub fn ctx_size(&self) -> usize {
        layout::Layout::size_of(self.maps.len(), self.progs.len())
    }

    /// The program as bytes in the order of the machines it is for: what is signed.
    #[must_use]
    pub fn insn_bytes(&self) -> Vec<u8> {
        stream::encode(&self.insns, programs::byte_order(self.endian))
    }

    /// The hash by which the kernel knows the program: that of the only one which may use the
    /// data.
    #[must_use]
    #[doc(alias = "excl_prog_hash")]
    pub fn program_hash(&self) -> [u8; 32] {
        sha256(&self.insn_bytes())
    }
}

/// A map of a loader program.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LightMap {
    /// Its name in the kernel.
    pub name: String,
    /// Its variable, or the whole name of its section.
    pub symbol: String,
    /// Type.
    pub map_type: MapType,
    /// Bytes of a value.
    pub value_size: u32,
    /// Entries at most, unless the context says otherwise.
    pub max_entries: u32,
    /// Whether it is made.
    pub made: bool,
    /// Whether it gets a value, which the context may replace.
    pub filled: bool,
    /// That value; empty when it is all zeros.
    pub value: Vec<u8>,
}

impl LightMap {
    fn foreign(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            symbol: name.to_owned(),
            map_type: MapType::UNSPEC,
            value_size: 0,
            max_entries: 0,
            made: true,
            filled: false,
            value: Vec::new(),
        }
    }

    fn new(plan: &MapPlan, filled: bool) -> Self {
        Self {
            name: plan.name.clone(),
            symbol: plan.symbol.clone(),
            map_type: plan.spec.map_type,
            value_size: plan.spec.value_size,
            max_entries: plan.spec.max_entries,
            made: matches!(plan.action, MapAction::Create),
            filled,
            value: plan
                .value
                .clone()
                .filter(|value| filled && !maps::is_zero(value))
                .unwrap_or_default(),
        }
    }
}

/// A program that a loader program loads.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LightProg {
    /// Which of the object's programs.
    pub prog: ProgIdx,
    /// Its name.
    pub name: String,
    /// Its section.
    pub section: String,
    /// Type.
    pub prog_type: ProgType,
    /// The hook it is for.
    pub expected_attach_type: AttachType,
}

impl LightProg {
    fn foreign(name: &str) -> Self {
        Self {
            prog: ProgIdx(0),
            name: name.to_owned(),
            section: String::new(),
            prog_type: ProgType::UNSPEC,
            expected_attach_type: AttachType::default(),
        }
    }

    fn new(selected: &generate::Selected<'_>) -> Self {
        let plan = selected.plan;
        Self {
            prog: plan.prog,
            name: plan.name.clone(),
            section: plan.section.clone(),
            prog_type: plan.prog_type,
            expected_attach_type: plan.expected_attach_type.unwrap_or_default(),
        }
    }
}
