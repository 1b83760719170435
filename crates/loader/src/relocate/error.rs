//! Why an object cannot be relocated, and where in it that shows.

use super::shown;
use crate::model::{FuncIdx, Function, LineInfo, Object};
use crate::target::TargetError;
use btf::core_reloc::{CoreError, PatchError};
use btf::{Btf, BtfError, Kind, escape};
use std::fmt;

/// An object that cannot be planned for a target.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// An instruction that cannot be relocated.
    #[error("{at}")]
    Insn {
        /// Which.
        at: Box<Place>,
        /// What is wrong.
        #[source]
        why: Box<InsnError>,
    },
    /// A program that cannot be loaded.
    #[error("program '{}'", shown(program))]
    Program {
        /// Which.
        program: String,
        /// What is wrong.
        #[source]
        why: ProgramError,
    },
    /// A map that cannot be made.
    #[error("map '{}'", shown(map))]
    Map {
        /// Which.
        map: String,
        /// What is wrong.
        #[source]
        why: MapError,
    },
    /// A fact about the target that is needed.
    #[error("{}", shown(needed))]
    Target {
        /// What it is needed for.
        needed: String,
        /// Why it cannot be had.
        #[source]
        source: TargetError,
    },
    /// The object's types cannot be written for the kernel.
    #[error("types of the object cannot be changed for this kernel")]
    Types(#[source] BtfError),
    /// Programs that would be many times the object.
    #[error("programs with the functions they call have more than {limit} instructions and lines")]
    TooLarge {
        /// How many there may be.
        limit: usize,
    },
}

/// Where in an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The program; the first of those that have the function.
    pub program: String,
    /// The function, which is the program's own or one that it calls.
    pub function: String,
    /// The instruction, from the function's start.
    pub insn: u32,
    /// The section that the function is in.
    pub section: String,
    /// The instruction's bytes from the section's start.
    pub section_off: u64,
    /// Where it comes from.
    pub source: Option<SourceLine>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "program '{}': ", shown(&self.program))?;
        if self.function != self.program {
            write!(f, "function '{}': ", shown(&self.function))?;
        }
        write!(f, "instruction {}", self.insn)?;
        match &self.source {
            Some(line) => write!(f, " at {line}"),
            None => write!(f, " ({}+{:#x})", shown(&self.section), self.section_off),
        }
    }
}

/// A line of source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceLine {
    /// The file, as the compiler was told it.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
    /// The column, from 1; 0 when it is not known.
    pub column: u32,
    /// The line's text, without the blanks around it; empty when it is not known.
    pub text: String,
}

impl fmt::Display for SourceLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)?;
        if self.column > 0 {
            write!(f, ":{}", self.column)?;
        }
        if !self.text.is_empty() {
            write!(f, ": {}", self.text)?;
        }
        Ok(())
    }
}

/// Bytes of a line or of a file's name that are kept.
const LONGEST_LINE: usize = 512;

impl SourceLine {
    /// The line of an instruction, from records in ascending order whose strings are in `btf`.
    #[must_use]
    pub fn of(btf: &Btf<'_>, lines: &[LineInfo], insn: u32) -> Option<Self> {
        let before = lines.partition_point(|line| line.insn <= insn);
        let line = lines.get(before.checked_sub(1)?)?;
        let text = |offset| {
            let bytes = btf.str_at(offset).unwrap_or_default().trim_ascii();
            escape(bytes.get(..LONGEST_LINE).unwrap_or(bytes)).into_owned()
        };
        Some(Self {
            file: text(line.file_name_off),
            line: line.line_col >> 10,
            column: line.line_col & 0x3ff,
            text: text(line.line_off),
        })
    }
}

impl Place {
    pub(super) fn new(object: &Object, program: &str, func: FuncIdx, insn: u32) -> Self {
        let none = Function {
            name: String::new(),
            section: String::new(),
            section_off: 0,
            linkage: crate::model::Linkage::Static,
            insns: Vec::new(),
            refs: Vec::new(),
            func_info: Vec::new(),
            line_info: Vec::new(),
            core_relos: Vec::new(),
        };
        let function = object.functions.get(func.index()).unwrap_or(&none);
        let source = object
            .btf
            .as_deref()
            .and_then(|btf| SourceLine::of(btf, &function.line_info, insn));
        Self {
            program: program.to_owned(),
            function: function.name.clone(),
            insn,
            section: function.section.clone(),
            section_off: (u64::from(function.section_off) + u64::from(insn)) * 8,
            source,
        }
    }
}

/// What is wrong with an instruction.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InsnError {
    /// A CO-RE relocation that has no answer.
    #[error("core relocation {what}")]
    Core {
        /// The question.
        what: String,
        /// Why there is no answer.
        #[source]
        source: CoreError,
    },
    /// A CO-RE relocation whose answer the instruction cannot take.
    #[error("core relocation {what}")]
    Patch {
        /// The question.
        what: String,
        /// What is wrong with the instruction.
        #[source]
        source: PatchError,
    },
    /// A CO-RE relocation of no instruction of the function.
    #[error("core relocation at byte {offset} of a function of {len} instructions")]
    NoInsn {
        /// Where it should be.
        offset: u32,
        /// How many instructions there are.
        len: usize,
    },
    /// Types that are needed and not there.
    #[error("{what} needs the object's types, and it has none")]
    NoTypes {
        /// What needs them.
        what: &'static str,
    },
    /// A reference that could not be understood when the object was read.
    #[error("{}", shown(.0))]
    Broken(String),
    /// A reference to something that the object does not have.
    #[error("it refers to {what} {index}, which the object does not have")]
    NoTarget {
        /// What.
        what: &'static str,
        /// Which.
        index: u32,
    },
    /// An instruction that has no room for what it refers to.
    #[error("it refers to {what}, which only {must} can")]
    Opcode {
        /// What it refers to.
        what: &'static str,
        /// What it should be.
        must: &'static str,
    },
    /// A call within the object that leads nowhere.
    #[error("it calls or takes the address of a function, and the object does not say of which")]
    UnknownCall,
    /// More instructions than any kernel takes.
    #[error("the program has more than {limit} instructions up to here")]
    TooLong {
        /// How many there may be.
        limit: usize,
    },
    /// A jump table that leads out of the function that jumps.
    #[error("jump table '{}': {}", shown(table), shown(why))]
    JumpTable {
        /// Which.
        table: String,
        /// What is wrong.
        why: String,
    },
    /// Something of the kernel that it refers to.
    #[error("extern '{}'", shown(name))]
    Extern {
        /// What.
        name: String,
        /// What is wrong.
        #[source]
        why: ExternError,
    },
}

/// What is wrong with an extern.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExternError {
    /// Its declaration makes no sense.
    #[error("{}", shown(.0))]
    Broken(String),
    /// It is not weak, and no symbol of the kernel has its name.
    #[error("the kernel has no symbol of this name")]
    NoSymbol,
    /// It is not weak, and this process is not told where symbols are.
    #[error("addresses of the kernel's symbols are not shown (kernel.kptr_restrict)")]
    HiddenSymbol,
    /// Symbols of its name are at several addresses.
    #[error("the kernel has symbols of this name at {first:#x} and {second:#x}")]
    Ambiguous {
        /// One.
        first: u64,
        /// Another.
        second: u64,
    },
    /// It is not weak, and no types of the kernel have its name.
    #[error(
        "no {what} '{}' is in the types of the kernel and its modules",
        shown(name)
    )]
    NoType {
        /// Function or variable.
        what: &'static str,
        /// The name looked for, without a flavour.
        name: String,
    },
    /// The kernel has something else by that name.
    #[error(
        "the object declares it as '{}', {} has '{}'",
        shown(local),
        shown(place),
        shown(there)
    )]
    Incompatible {
        /// The type in the object.
        local: String,
        /// The kernel or its module.
        place: String,
        /// The type there.
        there: String,
    },
    /// Types too odd to compare.
    #[error("its type cannot be compared with the kernel's")]
    Compare(#[source] CoreError),
    /// More modules than calls can name.
    #[error("functions of more modules than {limit} are called")]
    TooManyModules {
        /// How many there may be.
        limit: usize,
    },
    /// It is not weak, and the kernel's configuration does not have the option.
    #[error("the kernel's configuration does not set it")]
    NotSet,
    /// Not an option and none of the values that loaders know.
    #[error(
        "it is neither an option (CONFIG_…) nor a value that is known (LINUX_KERNEL_VERSION, LINUX_HAS_BPF_COOKIE, LINUX_HAS_SYSCALL_WRAPPER)"
    )]
    UnknownValue,
    /// A value that its type does not hold.
    #[error("value {}: {}", shown(value), shown(why))]
    Value {
        /// The value.
        value: String,
        /// Why it does not fit.
        why: String,
    },
    /// The map that has its value is not there.
    #[error("the object has no map '.kconfig'")]
    NoKconfigMap,
}

/// What is wrong with a program.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProgramError {
    /// No type follows from its section.
    #[error("section '{}' does not tell a type of program", shown(section))]
    NoType {
        /// Its section.
        section: String,
    },
    /// Its function is not there, or empty.
    #[error("it has no instructions")]
    Empty,
    /// It needs something to attach to, and nothing is named.
    #[error(
        "section '{}' does not name what to attach to, and nothing else does",
        shown(section)
    )]
    NoTarget {
        /// Its section.
        section: String,
    },
    /// It replaces a function of another program, which is not told.
    #[error("the program that has the function to replace is not given")]
    NoProgram,
    /// What it attaches to is not in the kernel.
    #[error(
        "there is no {what} '{}' to attach to: {kind} '{}' is not in the types of {}",
        shown(name),
        shown(type_name),
        shown(place)
    )]
    TargetMissing {
        /// Where it was looked for.
        place: String,
        /// What sort of thing.
        what: &'static str,
        /// The name, as the section has it.
        name: String,
        /// Kind of the type looked for.
        kind: Kind,
        /// Name of that type.
        type_name: String,
    },
    /// The module that it attaches to is not there.
    #[error("the kernel has no module '{}', or one without types", shown(.0))]
    NoModule(String),
    /// The other program does not have the function.
    #[error("the program to attach to has no function '{}' in its types", shown(.0))]
    NoFunction(String),
    /// No struct_ops map uses it.
    #[error("no struct_ops map that is made uses it")]
    UnusedStructOps,
    /// Two struct_ops maps use it in different ways.
    #[error("struct_ops maps use it as {} and as {}", shown(first), shown(second))]
    TwoMembers {
        /// One.
        first: String,
        /// The other.
        second: String,
    },
}

/// What is wrong with a map.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MapError {
    /// The number of CPUs is needed for its size.
    #[error("the number of cpus for its size")]
    Cpus(#[source] TargetError),
    /// An arena that its variables do not fit in.
    #[error("an arena of {pages} pages is too small for {data} bytes of variables")]
    ArenaTooSmall {
        /// The arena's size.
        pages: u32,
        /// Bytes of its variables.
        data: usize,
    },
    /// A value larger than any kernel takes.
    #[error("a value of {size} bytes is more than any kernel takes")]
    ValueTooLarge {
        /// Its size.
        size: u64,
    },
    /// It is for one program only, and that is not loaded.
    #[error("it is for program {} only, which is not loaded", shown(program))]
    ExclusiveProgram {
        /// The program.
        program: String,
    },
    /// A struct_ops map in an object without types.
    #[error("it needs the object's types, and it has none")]
    NoTypes,
    /// Types of the object that a struct_ops map needs are defective.
    #[error("its type cannot be read")]
    Local(#[source] BtfError),
    /// Types of the kernel that a struct_ops map needs are defective.
    #[error("the kernel's type cannot be read")]
    Kernel(#[source] BtfError),
    /// The kernel has nothing that could be implemented so.
    #[error("the kernel has no struct '{}' that can be implemented", shown(.0))]
    NoStruct(String),
    /// The kernel's struct does not have a member that the object sets.
    #[error(
        "the kernel's struct '{}' has no member '{}', and the object sets it",
        shown(kernel),
        shown(member)
    )]
    NoMember {
        /// The struct.
        kernel: String,
        /// The member.
        member: String,
    },
    /// Members of all maps together that would take too long to compare.
    #[error("struct_ops maps have more than {limit} members together")]
    TooManyMembers {
        /// How many there may be.
        limit: usize,
    },
    /// A member that cannot be copied.
    #[error("member '{}': {}", shown(member), shown(why))]
    Member {
        /// Which.
        member: String,
        /// Why not.
        why: String,
    },
}
