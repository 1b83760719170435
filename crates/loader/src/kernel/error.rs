//! What can go wrong between a plan and the kernel.

use super::maps::display_name;
use crate::relocate::{CoreNote, MapPlan, Poison, SourceLine};
use bpfsys::{AttachType, LoadError, MapType, ProgType, SysError, VerifierLog};
use std::fmt;
use std::io;
use std::path::PathBuf;

/// A plan that did not become what it says.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KernelError {
    /// No token was made of a bpffs.
    #[error("cannot make a token of {}", path.display())]
    Token {
        /// The bpffs.
        path: PathBuf,
        /// Why.
        source: SysError,
    },
    /// What a token was to be made of cannot be opened.
    #[error("cannot open {} to make a token of it", path.display())]
    OpenTokenPath {
        /// The bpffs.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The kernel refused the types of an object that needs them.
    #[error("the types of object '{object}' were refused")]
    Btf {
        /// The object.
        object: String,
        /// Why.
        source: LoadError,
    },
    /// The object needs its types, and the plan has none.
    #[error("map '{map}' needs the types of its object, which were not loaded")]
    NoBtf {
        /// The map.
        map: String,
    },
    /// The types of a module cannot be opened.
    #[error("cannot open the types of module '{module}'")]
    Module {
        /// The module.
        module: String,
        /// Why.
        source: SysError,
    },
    /// The plan does not say which types those of a module are: it was made for another kernel,
    /// or by a process that may not see ids.
    #[error("the plan does not say which types those of module '{module}' are in this kernel")]
    UnknownModule {
        /// The module.
        module: String,
    },
    /// Something about a map did not work.
    #[error("cannot {step} map '{map}'")]
    Map {
        /// The map.
        map: String,
        /// Its type, as the object has it.
        map_type: MapType,
        /// What was being done.
        step: MapStep,
        /// Why.
        source: LoadError,
    },
    /// The map of a jump table cannot be made.
    #[error("cannot make jump table '{table}' of program '{program}'")]
    JumpTable {
        /// The program.
        program: String,
        /// The table.
        table: String,
        /// Why.
        source: LoadError,
    },
    /// The global data of an arena cannot be written.
    #[error("cannot write the data of arena '{map}': {why}")]
    ArenaData {
        /// The map.
        map: String,
        /// Why.
        why: &'static str,
    },
    /// What is pinned is not like the map of the object.
    #[error(transparent)]
    Mismatch(Box<MapMismatch>),
    /// What is pinned where a map should be is something else.
    #[error("map '{map}': what is pinned at {} is no map", path.display())]
    NotAMap {
        /// The map.
        map: String,
        /// Where.
        path: PathBuf,
    },
    /// A path to pin at is not in a bpffs.
    #[error("cannot pin {what} at {}: that is not in a bpf file system", path.display())]
    NotBpffs {
        /// What was to be pinned.
        what: Pinned,
        /// Where.
        path: PathBuf,
    },
    /// The directory to pin in cannot be made or looked at.
    #[error("cannot pin {what} at {}: no directory", path.display())]
    Directory {
        /// What was to be pinned.
        what: Pinned,
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Something cannot be pinned.
    #[error("cannot pin {what} at {}", path.display())]
    Pin {
        /// What was to be pinned.
        what: Pinned,
        /// Where.
        path: PathBuf,
        /// Why.
        source: SysError,
    },
    /// Something is pinned elsewhere already.
    #[error(
        "cannot pin {what} at {}: it is pinned at {} already",
        path.display(),
        at.display()
    )]
    PinnedElsewhere {
        /// What was to be pinned.
        what: Pinned,
        /// Where.
        path: PathBuf,
        /// Where it is.
        at: PathBuf,
    },
    /// A pin cannot be removed.
    #[error("cannot remove the pin of {what} at {}", path.display())]
    Unpin {
        /// What is pinned.
        what: Pinned,
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// An element of a map cannot be set to what it should be.
    #[error("cannot put {value} into slot {index} of map '{map}'")]
    Slot {
        /// The map.
        map: String,
        /// The element.
        index: u32,
        /// What should be there.
        value: Pinned,
        /// Why.
        source: SysError,
    },
    /// An element of a map should be something that is not loaded.
    #[error("slot {index} of map '{map}' should be {value}, which was not loaded")]
    EmptySlot {
        /// The map.
        map: String,
        /// The element.
        index: u32,
        /// What should be there.
        value: Pinned,
    },
    /// A map that is needed was not made.
    #[error("{user} needs map '{map}', which was not made: {why}")]
    NoMap {
        /// Who needs it.
        user: Pinned,
        /// The map.
        map: String,
        /// Why it was not made.
        why: String,
    },
    /// There is no program or map of this name, or it was not loaded.
    #[error("there is no {0}")]
    Unknown(Pinned),
    /// The map implements no type of the kernel.
    #[error("map '{0}' implements no type of the kernel")]
    NotStructOps(String),
    /// The object was compiled for the other byte order.
    #[error("object '{0}' was compiled for machines of the other byte order")]
    Endian(String),
    /// The plan refers to something it does not have.
    #[error("the plan is inconsistent: {0}")]
    Plan(String),
    /// The verifier refused a program.
    #[error(transparent)]
    Program(Box<ProgramError>),
}

impl KernelError {
    pub(super) fn map(map: &MapPlan, step: MapStep, source: impl Into<LoadError>) -> Self {
        Self::Map {
            map: display_name(map).to_owned(),
            map_type: map.spec.map_type,
            step,
            source: source.into(),
        }
    }

    /// The answer of the kernel, where that is the cause.
    #[must_use]
    pub fn sys(&self) -> Option<SysError> {
        match self {
            Self::Token { source, .. }
            | Self::Module { source, .. }
            | Self::Pin { source, .. }
            | Self::Slot { source, .. } => Some(*source),
            Self::Btf { source, .. }
            | Self::Map { source, .. }
            | Self::JumpTable { source, .. } => Some(source.sys()),
            Self::Program(error) => Some(error.sys),
            Self::OpenTokenPath { .. }
            | Self::NoBtf { .. }
            | Self::UnknownModule { .. }
            | Self::ArenaData { .. }
            | Self::Mismatch(_)
            | Self::NotAMap { .. }
            | Self::NotBpffs { .. }
            | Self::Directory { .. }
            | Self::PinnedElsewhere { .. }
            | Self::Unpin { .. }
            | Self::EmptySlot { .. }
            | Self::NoMap { .. }
            | Self::Unknown(_)
            | Self::NotStructOps(_)
            | Self::Endian(_)
            | Self::Plan(_) => None,
        }
    }

    /// What the kernel wrote about it, where it wrote anything.
    #[must_use]
    pub fn log(&self) -> Option<&VerifierLog> {
        let log = match self {
            Self::Btf { source, .. }
            | Self::Map { source, .. }
            | Self::JumpTable { source, .. } => source.log(),
            Self::Program(error) => &error.log,
            _ => return None,
        };
        (!log.is_empty()).then_some(log)
    }
}

/// A program or a map, by name.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pinned {
    /// A program.
    Program(String),
    /// A map.
    Map(String),
}

impl fmt::Display for Pinned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Program(name) => write!(f, "program '{name}'"),
            Self::Map(name) => write!(f, "map '{name}'"),
        }
    }
}

/// What is done about a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MapStep {
    /// Taking another descriptor of one that is there.
    Reuse,
    /// Opening one that is pinned.
    Open,
    /// Asking one that is pinned what it is like.
    Ask,
    /// Making the pattern for maps inside.
    CreateInner,
    /// Making it.
    Create,
    /// Writing its value.
    Fill,
    /// Closing it to system calls.
    Freeze,
    /// Mapping its memory.
    Mmap,
}

impl fmt::Display for MapStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reuse => "take over",
            Self::Open => "open the pin of",
            Self::Ask => "get information about",
            Self::CreateInner => "create the inner map of",
            Self::Create => "create",
            Self::Fill => "fill",
            Self::Freeze => "freeze",
            Self::Mmap => "mmap",
        })
    }
}

/// A pinned map that is not like that of the object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapMismatch {
    /// The map of the object.
    pub map: String,
    /// Where the other is pinned.
    pub path: PathBuf,
    /// In what they differ.
    pub differences: Vec<Difference>,
}

/// A property of two maps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Which.
    pub what: &'static str,
    /// What the object says.
    pub wanted: String,
    /// What is pinned.
    pub found: String,
}

impl fmt::Display for MapMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        write!(f, "map '{}' is not like the one pinned at {path}", self.map)?;
        for (at, difference) in self.differences.iter().enumerate() {
            let Difference {
                what,
                wanted,
                found,
            } = difference;
            let separator = if at == 0 { ": " } else { ", " };
            write!(f, "{separator}{what} is {wanted}, pinned {found}")?;
        }
        Ok(())
    }
}

impl std::error::Error for MapMismatch {}

/// A program that the kernel did not take.
///
/// Displays as one line; `{:#}` adds one for the [path](Self::path) and the whole log.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ProgramError {
    /// The program.
    pub program: String,
    /// Its section.
    pub section: String,
    /// Its type.
    pub prog_type: ProgType,
    /// The hook it was to be loaded for.
    pub attach_type: Option<AttachType>,
    /// The kernel's answer.
    pub sys: SysError,
    /// What the verifier wrote.
    pub log: VerifierLog,
    /// What it wrote in short; empty when it wrote nothing.
    pub message: String,
    /// Where it stopped.
    pub at: Option<Position>,
    /// The calls that led there, the innermost first; empty when it stopped in the program
    /// itself, or the log does not tell.
    pub callers: Vec<Position>,
    /// The global function that it was looking at by itself, instead of the program.
    pub alone: Option<String>,
    /// What of the object led there, when that is known.
    pub cause: Option<Cause>,
}

impl ProgramError {
    /// How the verifier came to where it stopped: `called from 'f' at file.c:12, from 'main' at
    /// file.c:20`. None when that says nothing new.
    #[must_use]
    pub fn path(&self) -> Option<String> {
        let mut text = String::new();
        for caller in &self.callers {
            text.push_str(if text.is_empty() {
                "called from '"
            } else {
                ", from '"
            });
            text.push_str(&caller.function);
            text.push_str(&match &caller.line {
                Some(line) => format!("' at {}:{}", line.file, line.line),
                None => format!("' at instruction {}", caller.offset),
            });
        }
        if let Some(alone) = &self.alone {
            if !text.is_empty() {
                text.push_str("; ");
            }
            text.push_str(&format!(
                "'{alone}' is global, and verified by itself, for any arguments"
            ));
        }
        (!text.is_empty()).then_some(text)
    }
}

impl fmt::Display for ProgramError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "program '{}' ({}) ", self.program, self.section)?;
        match &self.cause {
            Some(cause) => write!(f, "{cause}")?,
            None if self.message.is_empty() => f.write_str("was refused")?,
            None => write!(f, "was refused: {}", self.message)?,
        }
        if let Some(at) = &self.at {
            write!(f, ", at {at}")?;
        }
        if f.alternate() {
            if let Some(path) = self.path() {
                write!(f, "\n{path}")?;
            }
            if !self.log.is_empty() {
                write!(f, "\n{}", self.log)?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for ProgramError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.sys)
    }
}

/// A place in a program.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Position {
    /// The instruction, from the start of the program as it was loaded.
    pub insn: u32,
    /// The function it is in.
    pub function: String,
    /// The instruction, from the start of that function.
    pub offset: u32,
    /// The line it was compiled from.
    pub line: Option<SourceLine>,
    /// How it was relocated by types.
    pub relocated: Option<CoreNote>,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "instruction {} of '{}'", self.offset, self.function)?;
        match &self.line {
            Some(line) => write!(f, ", {line}"),
            None => Ok(()),
        }
    }
}

/// What of an object the verifier must not reach, and did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// What an instruction accesses is not in this kernel.
    CoreRelo {
        /// What it asks for.
        what: String,
        /// Why there is no answer.
        why: String,
    },
    /// A map was not made.
    Map(String),
    /// A function of the kernel is not in this one.
    Kfunc(String),
}

impl From<&Poison> for Cause {
    fn from(poison: &Poison) -> Self {
        match poison.clone() {
            Poison::CoreRelo { what, why } => Self::CoreRelo { what, why },
            Poison::Map(name) => Self::Map(name),
            Poison::Kfunc(name) => Self::Kfunc(name),
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CoreRelo { what, why } if why.is_empty() => {
                write!(f, "needs {what}, which this kernel does not have")
            }
            Self::CoreRelo { what, why } => {
                write!(f, "needs {what}, which this kernel does not have: {why}")
            }
            Self::Map(name) => write!(f, "uses map '{name}', which was not made"),
            Self::Kfunc(name) => write!(
                f,
                "calls kernel function '{name}', which this kernel does not have"
            ),
        }
    }
}
