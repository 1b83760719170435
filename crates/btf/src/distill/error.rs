//! Why types cannot be parted from their base, or put on another.

use crate::raw::strings::escape;
use crate::{BtfError, Kind, TypeId};

/// What stands in the way.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DistillError {
    /// Defective bytes, or more than fits.
    #[error(transparent)]
    Btf(#[from] BtfError),
    /// The types are no split ones.
    #[error("the types have no base")]
    NoBase,
    /// A type of the base that split types cannot refer to: a function, a variable, a section, a
    /// tag of a declaration.
    #[error("type {by} refers to type {id} of the base, which is {kind}")]
    Reference {
        /// Who refers to it.
        by: TypeId,
        /// The type of the base.
        id: TypeId,
        /// Its kind.
        kind: Kind,
    },
    /// A type of a kind that has no place in a distilled base: types there have a name and a size.
    #[error("type {id} ({kind}) is of a kind that no distilled base has")]
    NotDistilled {
        /// The type.
        id: TypeId,
        /// Its kind.
        kind: Kind,
    },
    /// A type in a distilled base by which nothing is found.
    #[error("type {id} ({kind}) of the distilled base has no name")]
    NoName {
        /// The type.
        id: TypeId,
        /// Its kind.
        kind: Kind,
    },
    /// The new base has no such type.
    #[error("the base has no {what}")]
    NotFound {
        /// The type in the distilled base.
        id: TypeId,
        /// Kind and name, and the size if that counts.
        what: String,
    },
    /// The new base has several that fit.
    #[error("the base has more than one {what}: types {one} and {other}")]
    Ambiguous {
        /// The type in the distilled base.
        id: TypeId,
        /// Kind and name, and the size if that counts.
        what: String,
        /// The first that fits.
        one: TypeId,
        /// The next.
        other: TypeId,
    },
}

/// A type in words: `struct 'file' of 232 bytes`.
pub(super) fn spelled(kind: &str, name: &[u8], size: Option<u32>) -> String {
    // names come from a file
    let mut name = escape(name).into_owned();
    if let Some((end, _)) = name.char_indices().nth(NAME_SHOWN) {
        name.truncate(end);
        name.push_str("...");
    }
    match size {
        Some(size) => format!("{kind} '{name}' of {size} bytes"),
        None => format!("{kind} '{name}'"),
    }
}

/// Characters of a name that are shown.
const NAME_SHOWN: usize = 128;
