//! The result of relocation: what to ask the kernel for, in order, with nothing left open but
//! descriptors.

pub use crate::model::MapSpec;
use crate::model::{FuncInfo, LineInfo, MapIdx, Pinning, ProgIdx, Slot};
use crate::target::Feature;
use bpfsys::insn::Insn;
use bpfsys::uapi::flags::ProgLoadFlags;
use bpfsys::{AttachType, MapFd, ProgFd, ProgType};
use btf::{Endian, TypeId};
use std::path::PathBuf;
use std::sync::Arc;

/// Everything that loading an object asks of the kernel.
#[derive(Clone, Debug)]
pub struct LoadPlan {
    /// The object's name.
    pub object: String,
    /// The byte order that the object was compiled for: no kernel of the other order loads it.
    pub endian: Endian,
    /// The licence.
    pub license: Vec<u8>,
    /// The kernel version that programs say they are for.
    pub kern_version: u32,
    /// The object's types as this kernel takes them; ids are those of the model.
    pub btf: Option<BtfPlan>,
    /// Modules whose types maps and programs refer to.
    pub modules: Vec<ModulePlan>,
    /// One for each map of the object, in its order.
    pub maps: Vec<MapPlan>,
    /// Programs that were selected, in the object's order.
    pub programs: Vec<ProgPlan>,
    /// What this kernel gets instead of what the object says.
    pub downgrades: Vec<Downgrade>,
    /// What of the object is left out and why, where that is neither an error nor a downgrade.
    pub notes: Vec<String>,
}

/// The object's types.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BtfPlan {
    /// The bytes to load.
    pub data: Vec<u8>,
    /// Whether the object is of no use without (struct_ops); otherwise what refers to types is
    /// left out when the kernel refuses them.
    pub required: bool,
}

/// A module that must be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModulePlan {
    /// Its name.
    pub name: String,
    /// Id of its types; 0 when the plan is not for the running kernel.
    pub btf_id: u32,
}

/// Which of a plan's modules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ModuleIdx(pub u32);

/// A map of the plan.
#[derive(Clone, Debug)]
pub struct MapPlan {
    /// The map of the object.
    pub map: MapIdx,
    /// Its name in the kernel; empty where kernels give none.
    pub name: String,
    /// Its variable or section.
    pub symbol: String,
    /// What to do.
    pub action: MapAction,
    /// What to make, and what a map that is there must be like.
    pub spec: MapSpec,
    /// The pattern for maps inside.
    pub inner: Option<MapSpec>,
    /// Elements to put in: maps before programs are loaded, programs after.
    pub slots: Vec<Slot>,
    /// The value of key 0.
    pub value: Option<Vec<u8>>,
    /// Whether it is frozen once it is filled.
    pub freeze: bool,
    /// Whether it is found or pinned by name.
    pub pinning: Pinning,
    /// Where it is found or pinned instead.
    pub pin_path: Option<PathBuf>,
    /// For maps that implement a type of the kernel.
    pub struct_ops: Option<StructOpsPlan>,
    /// Global data of an arena: where in it, what.
    pub arena_data: Option<(u64, Vec<u8>)>,
    /// The only program that may use it.
    pub exclusive: Option<ProgIdx>,
}

/// What to do about a map.
#[derive(Clone, Debug)]
pub enum MapAction {
    /// Make it, or take the one that is pinned.
    Create,
    /// Take this one.
    Reuse(Arc<MapFd>),
    /// Nothing: why.
    Skip(String),
}

/// A map that implements a type of the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StructOpsPlan {
    /// The type of its value, `bpf_struct_ops_…`.
    pub value_type: TypeId,
    /// The module that has it.
    pub module: Option<ModuleIdx>,
    /// The value, all but the descriptors of programs.
    pub value: Vec<u8>,
    /// Where in the value descriptors of programs go: 8 bytes each.
    pub progs: Vec<(u32, ProgIdx)>,
    /// Whether it is attached by a link.
    pub link: bool,
}

/// A program of the plan.
#[derive(Clone, Debug)]
pub struct ProgPlan {
    /// The program of the object.
    pub prog: ProgIdx,
    /// Its whole name, of which the kernel keeps 15 bytes.
    pub name: String,
    /// Whether the kernel is told the name.
    pub named: bool,
    /// The section it is from.
    pub section: String,
    /// Type.
    pub prog_type: ProgType,
    /// The hook it is for; `None` when it is left out.
    pub expected_attach_type: Option<AttachType>,
    /// Flags.
    pub flags: ProgLoadFlags,
    /// The interface it is bound or offloaded to; 0 for none.
    pub ifindex: u32,
    /// All functions it consists of, its own first.
    pub insns: Vec<Insn>,
    /// Instructions that need a descriptor.
    pub operands: Vec<Operand>,
    /// Modules whose kernel functions it calls: `off` of a call is the index here plus one.
    pub fd_array: Vec<ModuleIdx>,
    /// Types of its functions.
    pub func_info: Vec<FuncInfo>,
    /// Source lines.
    pub line_info: Vec<LineInfo>,
    /// What it attaches to.
    pub attach: AttachPlan,
    /// Jump tables, each of which becomes a map of the program's own.
    pub jump_tables: Vec<JumpTablePlan>,
    /// Maps that must live as long as it does although it may not name them.
    pub bind: Vec<MapIdx>,
    /// Level of the verifier's log, when it differs from the load's.
    pub log_level: Option<u32>,
    /// Which function each stretch of instructions is, ascending.
    pub parts: Vec<Part>,
    /// What was relocated by types, ascending.
    pub core: Vec<CoreNote>,
    /// Instructions that the verifier must not reach, ascending.
    pub poisoned: Vec<Poisoned>,
    /// What of the kernel instructions refer to, ascending; only where the plan is to be
    /// explained.
    pub externs: Vec<ExternNote>,
}

/// What of the kernel an instruction refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternNote {
    /// The instruction.
    pub insn: u32,
    /// The symbol, with its flavour.
    pub name: String,
}

/// An instruction that needs a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operand {
    /// The first slot of a wide load.
    pub insn: u32,
    /// What its lower half becomes (upper half for [`OperandKind::ModuleBtf`]).
    pub kind: OperandKind,
}

/// Whose descriptor an instruction needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperandKind {
    /// A map's, to name the map or a place in its value; the place is in the instruction already.
    Map(MapIdx),
    /// The map of one of the program's jump tables, by index.
    JumpTable(u32),
    /// That of a module's types.
    ModuleBtf(ModuleIdx),
}

/// What a program attaches to.
#[derive(Clone, Debug)]
pub enum AttachPlan {
    /// Nothing at load time.
    None,
    /// A type of the kernel proper.
    Kernel {
        /// The type.
        btf_id: TypeId,
    },
    /// A type of a module; void where only the module is told.
    Module {
        /// The module.
        module: ModuleIdx,
        /// The type.
        btf_id: TypeId,
    },
    /// A function of a program.
    Prog {
        /// The program.
        prog: Arc<ProgFd>,
        /// The function.
        btf_id: TypeId,
    },
}

/// A jump table of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JumpTablePlan {
    /// The symbol.
    pub name: String,
    /// Instructions of the whole program.
    pub entries: Vec<u32>,
}

/// A stretch of instructions that is one function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The first instruction.
    pub start: u32,
    /// The function.
    pub function: String,
    /// Its section.
    pub section: String,
    /// Where in the section it begins, in instructions.
    pub section_off: u32,
}

/// An instruction that was relocated by types.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoreNote {
    /// The instruction.
    pub insn: u32,
    /// The question: `<byte_off> struct task_struct.pid (0:12)`.
    pub what: String,
    /// What was done: `88 -> 92`.
    pub done: String,
}

/// An instruction that the verifier must not reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Poisoned {
    /// The instruction.
    pub insn: u32,
    /// Why.
    pub why: Poison,
}

/// Why an instruction must not be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Poison {
    /// What it accesses is not in this kernel.
    CoreRelo {
        /// The question.
        what: String,
        /// Why there is no answer.
        why: String,
    },
    /// The map it names was not made.
    Map(String),
    /// The kernel function it calls is not in this kernel.
    Kfunc(String),
}

/// Something the kernel gets instead of what the object says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Downgrade {
    /// What the kernel lacks.
    pub feature: Feature,
    /// What was done about it.
    pub what: String,
}
