//! What a loader program does, one command after another.

use std::fmt;

/// One thing that a loader program does. It notes the number of the step in its data before it
/// begins, so that a failure can be told from others.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// Compares its data with the hash it was made with.
    Verify,
    /// Loads the object's types.
    LoadTypes,
    /// Makes the pattern for the maps inside this one.
    CreateInner(String),
    /// Makes a map.
    CreateMap(String),
    /// Gives a map its value.
    Fill(String),
    /// Freezes a map.
    Freeze(String),
    /// Puts a map or program into a map.
    FillSlot {
        /// The map.
        map: String,
        /// The key.
        index: u32,
    },
    /// Makes one of a program's jump tables.
    JumpTable {
        /// The program.
        program: String,
        /// The table.
        table: String,
    },
    /// Looks up what a program attaches to.
    FindTarget {
        /// The program.
        program: String,
        /// The type.
        target: String,
    },
    /// Looks up what a program refers to.
    FindSymbol {
        /// The program.
        program: String,
        /// The symbol.
        symbol: String,
    },
    /// Loads a program.
    LoadProgram(String),
    /// Hands the descriptors over.
    HandOver,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Verify => f.write_str("check of its data's hash"),
            Self::LoadTypes => f.write_str("load of types"),
            Self::CreateInner(map) => write!(f, "creation of the map inside map '{map}'"),
            Self::CreateMap(map) => write!(f, "creation of map '{map}'"),
            Self::Fill(map) => write!(f, "initial value of map '{map}'"),
            Self::Freeze(map) => write!(f, "freezing of map '{map}'"),
            Self::FillSlot { map, index } => write!(f, "slot {index} of map '{map}'"),
            Self::JumpTable { program, table } => {
                write!(f, "jump table '{table}' of program '{program}'")
            }
            Self::FindTarget { program, target } => {
                write!(f, "search for target '{target}' of program '{program}'")
            }
            Self::FindSymbol { program, symbol } => {
                write!(f, "search for symbol '{symbol}' of program '{program}'")
            }
            Self::LoadProgram(program) => write!(f, "load of program '{program}'"),
            Self::HandOver => f.write_str("handing over of descriptors"),
        }
    }
}
