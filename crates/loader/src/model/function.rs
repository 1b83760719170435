//! Functions: instructions and what they refer to.

use super::{ExternIdx, FuncIdx, MapIdx, TableIdx};
use bpfsys::insn::Insn;
use btf::TypeId;
use btf::core_reloc::CoreRelo;

/// A function of the object: a program, or what programs call.
#[derive(Clone, Debug)]
pub struct Function {
    /// The symbol.
    pub name: String,
    /// Name of its section, as written.
    pub section: String,
    /// Where in the section it begins, in instructions.
    pub section_off: u32,
    /// Who may refer to it.
    pub linkage: Linkage,
    /// Its instructions, in the host's byte order, as the compiler left them. None when the
    /// symbol does not lead to instructions: then its only reference is a broken one.
    pub insns: Vec<Insn>,
    /// What instructions refer to, in ascending order of instructions, one for each at most.
    pub refs: Vec<CodeRef>,
    /// Types of functions; those of this one, at instruction 0, is the first where there is any.
    pub func_info: Vec<FuncInfo>,
    /// Source lines, ascending.
    pub line_info: Vec<LineInfo>,
    /// CO-RE relocations, ascending. `insn_off` is in bytes from the start of this function.
    pub core_relos: Vec<CoreRelo>,
}

/// Who may refer to a function or variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Linkage {
    /// Its own file: verified where it is called.
    Static,
    /// Every file: a function is verified by itself.
    Global,
    /// As [`Global`](Self::Global), and gives way to a definition that is not weak.
    Weak,
    /// Global for the linker only (`__hidden`, internal); the verifier takes it for static.
    Hidden,
}

/// An instruction whose operand is known only later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeRef {
    /// The instruction, from the function's start.
    pub insn: u32,
    /// What it refers to.
    pub target: RefTarget,
}

/// What an instruction refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefTarget {
    /// Calls a function of the object, with a relocation or without.
    Call(FuncIdx),
    /// Takes the address of a function of the object: a callback.
    FuncAddr(FuncIdx),
    /// A map's descriptor.
    Map(MapIdx),
    /// A place in the value of a data map or in an arena, in bytes.
    MapValue {
        /// The map.
        map: MapIdx,
        /// Bytes from the start of the section that the map holds; what the instruction itself
        /// adds to its symbol is counted.
        offset: u32,
    },
    /// An extern: a call of a kernel function, or the address of a variable or function.
    Extern(ExternIdx),
    /// A jump table's map.
    JumpTable(TableIdx),
    /// Nothing that could be made sense of: an error for whoever needs the function.
    Broken(String),
}

/// The type of a function that begins at an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[doc(alias = "bpf_func_info")]
pub struct FuncInfo {
    /// The instruction, from the function's start.
    pub insn: u32,
    /// A `FUNC` of the object's BTF.
    pub type_id: TypeId,
}

/// The source line of the instructions from one on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[doc(alias = "bpf_line_info")]
pub struct LineInfo {
    /// The instruction, from the function's start.
    pub insn: u32,
    /// String offset of the file's name, in the object's BTF.
    pub file_name_off: u32,
    /// String offset of the line's text.
    pub line_off: u32,
    /// Line (upper 22 bits) and column.
    pub line_col: u32,
}
