//! Why an object gets no skeleton.

use btf::BtfError;

/// Why an object gets no skeleton.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SkeletonError {
    /// The object has no types, and nothing else says which variables there are.
    #[error("the object has no types (section `.BTF`)")]
    NoTypes,
    /// A variable that has no declaration in C.
    #[error("section `{section}`: variable `{variable}` cannot be declared")]
    Variable {
        /// The section.
        section: String,
        /// The variable.
        variable: String,
        /// What is wrong with its type.
        source: BtfError,
    },
    /// A variable that begins inside of another.
    #[error(
        "section `{section}`: variable `{variable}` is at {offset}, the one before it ends at {end}"
    )]
    Overlap {
        /// The section.
        section: String,
        /// The variable.
        variable: String,
        /// Where it begins.
        offset: u32,
        /// Where the one before it ends.
        end: u32,
    },
    /// A member of a struct_ops map that has no declaration in C.
    #[error("map `{map}`: member {member} cannot be declared")]
    Member {
        /// The map.
        map: String,
        /// Which of the type's members.
        member: u32,
        /// What is wrong with its type.
        source: BtfError,
    },
    /// The type of a struct_ops map cannot be followed.
    #[error("the type of map `{map}` cannot be followed")]
    StructOps {
        /// The map.
        map: String,
        /// What is wrong with it.
        source: BtfError,
    },
}
