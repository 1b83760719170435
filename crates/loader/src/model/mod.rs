//! An object as data: what its author wrote, before anything is known of the kernel.
//!
//! Parts refer to one another by index, so that an object can be copied and edited freely; there
//! is no way to remove a part, only to switch it off ([`Program::autoload`],
//! [`Map::autocreate`]). What could not be understood is kept where it belongs
//! ([`RefTarget::Broken`], [`ExternKind::Broken`]) and is an error once a selected program needs
//! it.

mod display;
mod edit;
pub mod error;
pub mod externs;
pub mod function;
pub mod map;
mod parse;
mod patch;
pub mod program;
mod resize;
pub mod sec_defs;
mod set_variable;
pub mod variable;

pub use error::{EditError, MapError, ModelError};
pub use externs::{Extern, ExternKind, KconfigType};
pub use function::{CodeRef, FuncInfo, Function, LineInfo, Linkage, RefTarget};
pub use map::{Map, MapOrigin, MapSpec, Pinning, Slot, SlotValue, StructOps};
pub use parse::ParseOptions;
pub use program::{AttachTo, Program};
pub use variable::Variable;

use btf::{Btf, Endian};
use std::sync::Arc;

macro_rules! index {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub u32);

        impl $name {
            /// The number as an index.
            #[must_use]
            pub const fn index(self) -> usize {
                self.0 as usize
            }
        }
    )*};
}

index! {
    /// Which of an object's functions.
    FuncIdx;
    /// Which of an object's programs.
    ProgIdx;
    /// Which of an object's maps.
    MapIdx;
    /// Which of an object's externs.
    ExternIdx;
    /// Which of an object's jump tables.
    TableIdx;
}

/// An object: everything that can be loaded from one ELF file.
#[derive(Clone, Debug)]
pub struct Object {
    /// Prefix of the names of its data maps: the file's base name up to the first dot.
    pub name: String,
    /// The byte order it was compiled for. Instructions here are in the host's order all the same.
    pub endian: Endian,
    /// The licence, without its zero; empty when the object states none.
    pub license: Vec<u8>,
    /// The kernel version it says it is for (`version` section), which old kernels compared.
    pub kern_version: Option<u32>,
    /// Its types, with what must be done before any kernel takes them: sizes of sections and
    /// places of variables are filled in, hidden functions and variables are static, and externs
    /// are variables of the object (integers for those of `.ksyms`). Ids and strings are those of
    /// the file; a variable that stands for functions may have been added at the end.
    pub btf: Option<Arc<Btf<'static>>>,
    pub(crate) functions: Vec<Function>,
    pub(crate) programs: Vec<Program>,
    pub(crate) maps: Vec<Map>,
    pub(crate) variables: Vec<Variable>,
    pub(crate) externs: Vec<Extern>,
    pub(crate) jump_tables: Vec<JumpTable>,
    /// What was left out and why, for `-d` and for people who wonder.
    pub notes: Vec<String>,
}

/// A table of places in a section's code that a program jumps through (`.jumptables`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JumpTable {
    /// The symbol.
    pub name: String,
    /// Name of the section that the entries are places of.
    pub section: String,
    /// Instruction indices within that section.
    pub entries: Vec<u32>,
}

impl Object {
    /// All functions: programs and what they call.
    #[must_use]
    pub fn functions(&self) -> &[Function] {
        &self.functions
    }

    /// Programs in the order of the file.
    #[must_use]
    pub fn programs(&self) -> &[Program] {
        &self.programs
    }

    /// Programs, to edit.
    pub fn programs_mut(&mut self) -> &mut [Program] {
        &mut self.programs
    }

    /// The program of this name.
    #[must_use]
    pub fn program(&self, name: &str) -> Option<&Program> {
        self.programs.iter().find(|program| program.name == name)
    }

    /// The program of this name, to edit.
    pub fn program_mut(&mut self, name: &str) -> Option<&mut Program> {
        self.programs
            .iter_mut()
            .find(|program| program.name == name)
    }

    /// Maps in the order in which libbpf numbers them: definitions, legacy definitions, data
    /// sections, `.kconfig`, struct_ops.
    #[must_use]
    pub fn maps(&self) -> &[Map] {
        &self.maps
    }

    /// Maps, to edit.
    pub fn maps_mut(&mut self) -> &mut [Map] {
        &mut self.maps
    }

    /// The map of this name: that of the variable or section, else the one in the kernel.
    #[must_use]
    #[doc(alias = "bpf_object__find_map_by_name")]
    pub fn map(&self, name: &str) -> Option<&Map> {
        let at = self.map_index(name)?;
        self.maps.get(at.index())
    }

    /// The map of this name, to edit.
    pub fn map_mut(&mut self, name: &str) -> Option<&mut Map> {
        let at = self.map_index(name)?;
        self.maps.get_mut(at.index())
    }

    /// Where the map of this name is.
    #[must_use]
    pub fn map_index(&self, name: &str) -> Option<MapIdx> {
        let names = self.maps.iter().map(|map| (&*map.symbol, &*map.name));
        let at = map::position_named(names, name)?;
        u32::try_from(at).ok().map(MapIdx)
    }

    /// Global variables, those of `.kconfig` not among them.
    #[must_use]
    pub fn variables(&self) -> &[Variable] {
        &self.variables
    }

    /// What the object expects from elsewhere.
    #[must_use]
    pub fn externs(&self) -> &[Extern] {
        &self.externs
    }

    /// Tables that programs jump through.
    #[must_use]
    pub fn jump_tables(&self) -> &[JumpTable] {
        &self.jump_tables
    }
}
