//! Why bytes are no object, and why an object cannot be edited so.

use crate::elf::ElfError;
use btf::BtfError;

/// A defect that makes the whole object unusable.
///
/// What is wrong with a part that nobody may need is no error: see
/// [`RefTarget::Broken`](super::RefTarget::Broken),
/// [`ExternKind::Broken`](super::ExternKind::Broken) and [`Object::notes`](super::Object::notes).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// The file is no ELF object for BPF.
    #[error(transparent)]
    Elf(#[from] ElfError),
    /// There is no BTF, and something is described by nothing else.
    #[error("no section '.BTF', which section '{section}' needs: compile with '-g'")]
    NoBtf {
        /// The section that is described by types.
        section: String,
    },
    /// The BTF cannot be read, and something is described by nothing else.
    #[error("section '.BTF', which section '{section}' needs, cannot be read")]
    Btf {
        /// The section that is described by types.
        section: String,
        /// What is wrong with it.
        source: BtfError,
    },
    /// The BTF does not say what is in a section.
    #[error("no type of kind DATASEC is named '{section}'")]
    NoDatasec {
        /// The section.
        section: String,
    },
    /// A map's definition.
    #[error("map '{map}'")]
    Map {
        /// The variable.
        map: String,
        /// What is wrong with it.
        source: MapError,
    },
    /// A map's definition by numbers.
    #[error("map '{map}' in section '{section}' at offset {offset}: {why}")]
    LegacyMap {
        /// The symbol.
        map: String,
        /// Its section.
        section: String,
        /// Where in the section it is.
        offset: u64,
        /// What is wrong with it.
        why: String,
    },
    /// A relocation of a map's definition, or of a struct_ops map.
    #[error("section '{section}': relocation at offset {offset} against '{symbol}': {why}")]
    MapReloc {
        /// The section.
        section: String,
        /// The place.
        offset: u64,
        /// The symbol.
        symbol: String,
        /// What is wrong with it.
        why: String,
    },
    /// A variable in a section for struct_ops maps.
    #[error("section '{section}': variable '{variable}': {why}")]
    StructOps {
        /// The section.
        section: String,
        /// The variable.
        variable: String,
        /// What is wrong with it.
        why: String,
    },
    /// A data section that no map can hold.
    #[error("section '{section}' of {size} bytes does not fit in a map")]
    SectionTooLarge {
        /// The section.
        section: String,
        /// Its size.
        size: u64,
    },
    /// Parts of the file that share bytes (names, sections, tables) and would be many times the
    /// file, each for itself.
    #[error("parts of the file overlap: together they take more than {limit} bytes")]
    Overlap {
        /// The bound.
        limit: usize,
    },
}

/// What is wrong with a map's definition.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MapError {
    /// It has no name.
    #[error("definition {index} of section '.maps' has no name")]
    NoName {
        /// Which variable of the section.
        index: u32,
    },
    /// It is not inside of its section.
    #[error("{size} bytes at offset {offset} are not in section '.maps' of {have} bytes")]
    Bounds {
        /// Where it starts.
        offset: u32,
        /// Bytes it takes.
        size: u32,
        /// Bytes of the section.
        have: u64,
    },
    /// It is static, or defined elsewhere.
    #[error("a map must be a global variable, this one is {linkage}")]
    Linkage {
        /// `static`, `extern` or a number.
        linkage: String,
    },
    /// It is of the wrong kind.
    #[error("a definition must be a struct, this one is {found}")]
    NotStruct {
        /// The kind of its type.
        found: String,
    },
    /// Its type is larger than the variable.
    #[error("its type has {size} bytes, the variable {have}")]
    Size {
        /// Bytes of the type.
        size: u32,
        /// Bytes of the variable.
        have: u32,
    },
    /// A member is of the wrong kind.
    #[error("member '{member}' must be {expected}, it is {found}")]
    Kind {
        /// The member.
        member: String,
        /// What it should be.
        expected: &'static str,
        /// What it is.
        found: String,
    },
    /// A member of which no type knows the size.
    #[error("member '{member}'")]
    Unsized {
        /// The member.
        member: String,
        /// Why.
        source: BtfError,
    },
    /// Two members disagree.
    #[error("member '{member}' says {found} bytes, an earlier one says {earlier}")]
    Conflict {
        /// The later one.
        member: String,
        /// What it says.
        found: u64,
        /// What an earlier one says.
        earlier: u32,
    },
    /// A type that no map can hold.
    #[error("member '{member}' of {size} bytes is larger than maps can be")]
    TooLarge {
        /// The member.
        member: String,
        /// Bytes of its type.
        size: u64,
    },
    /// A value that means nothing.
    #[error("member '{member}': {found} means nothing")]
    Value {
        /// The member.
        member: String,
        /// The value.
        found: u32,
    },
    /// A member that must not be there.
    #[error("member '{member}': {why}")]
    Misplaced {
        /// The member.
        member: String,
        /// Why.
        why: &'static str,
    },
    /// A member with a name that means nothing.
    #[error("member '{member}' is not known (relaxed parsing would ignore it)")]
    Unknown {
        /// The member.
        member: String,
    },
    /// No type.
    #[error("it has no member 'type'")]
    NoType,
    /// More work than a file of its size can need.
    #[error("all definitions together are many times the file")]
    TooComplex,
    /// What is inside of it is wrong.
    #[error("map inside")]
    Inner(#[source] Box<Self>),
    /// A reference that leads nowhere.
    #[error("its types cannot be followed")]
    Btf(#[from] BtfError),
}

/// Why an object cannot be edited so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EditError {
    /// No program of the name.
    #[error("no program '{name}'{}", hint(near))]
    NoProgram {
        /// The name.
        name: String,
        /// Names that are like it.
        near: Vec<String>,
    },
    /// No map of the name.
    #[error("no map '{name}'{}", hint(near))]
    NoMap {
        /// The name.
        name: String,
        /// Names that are like it.
        near: Vec<String>,
    },
    /// No variable of the name.
    #[error("no variable '{name}'{}", hint(near))]
    NoVariable {
        /// The name.
        name: String,
        /// Names that are like it.
        near: Vec<String>,
    },
    /// A path into a variable that leads nowhere.
    #[error("variable '{path}': {why}{}", hint(near))]
    Path {
        /// The path so far.
        path: String,
        /// Why it ends there.
        why: String,
        /// Members that are like what was asked for.
        near: Vec<String>,
    },
    /// A value that is not one of the type.
    #[error("variable '{path}': '{value}' is no {expected}{}", hint(near))]
    Value {
        /// The variable, or the part of it.
        path: String,
        /// What was given.
        value: String,
        /// What is wanted.
        expected: String,
        /// Values that are like it.
        near: Vec<String>,
    },
    /// A value that the type has no room for.
    #[error("variable '{path}': {value} does not fit in {ty}: {low} to {high}")]
    Range {
        /// The variable, or the part of it.
        path: String,
        /// What was given.
        value: String,
        /// The type.
        ty: String,
        /// The least value.
        low: String,
        /// The greatest value.
        high: String,
    },
    /// A text that the array has no room for.
    #[error("variable '{path}': {len} bytes and a zero do not fit in {room} bytes")]
    TooLong {
        /// The variable, or the part of it.
        path: String,
        /// Bytes of the text.
        len: usize,
        /// Bytes of the array.
        room: u64,
    },
    /// A size that a map cannot have.
    #[error("map '{map}' cannot have values of {size} bytes: {why}")]
    Resize {
        /// The map.
        map: String,
        /// The size.
        size: u32,
        /// Why not.
        why: String,
    },
    /// A program that attaches to nothing of the kind.
    #[error("program '{program}' of section '{section}' attaches to no {what}")]
    Target {
        /// The program.
        program: String,
        /// Its section.
        section: String,
        /// What was to be set.
        what: &'static str,
    },
    /// The types cannot be followed or written.
    #[error("types of the object")]
    Btf(#[from] BtfError),
}

/// `, did you mean …?`, when there is something to offer.
fn hint(near: &[String]) -> String {
    match near {
        [] => String::new(),
        names => format!(", did you mean '{}'?", names.join("', '")),
    }
}

/// The names that are most like `name`, at most three, best first.
pub(super) fn nearest<'n>(name: &str, all: impl Iterator<Item = &'n str>) -> Vec<String> {
    let limit = name.len() / 3 + 1;
    let mut found: Vec<_> = all
        .take(1 << 12)
        .filter(|other| other.len() <= 128 && name.len() <= 128)
        .filter_map(|other| {
            let far = distance(name.as_bytes(), other.as_bytes());
            (far <= limit).then_some((far, other))
        })
        .collect();
    found.sort_unstable();
    found.dedup();
    found
        .into_iter()
        .take(3)
        .map(|(_, name)| name.to_owned())
        .collect()
}

/// How many bytes must be added, left out or changed (Levenshtein).
fn distance(one: &[u8], other: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (at, a) in one.iter().enumerate() {
        let mut diagonal = at;
        let mut left = at + 1;
        if let Some(first) = row.first_mut() {
            *first = left;
        }
        for (cell, b) in row.iter_mut().skip(1).zip(other) {
            let up = *cell;
            let best = (diagonal + usize::from(a != b)).min(up + 1).min(left + 1);
            diagonal = up;
            left = best;
            *cell = best;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        for (one, other, far) in [
            ("", "", 0),
            ("abc", "abc", 0),
            ("abc", "", 3),
            ("", "ab", 2),
            ("kitten", "sitting", 3),
            ("cfg", "config", 3),
        ] {
            assert_eq!(distance(one.as_bytes(), other.as_bytes()), far);
        }
    }

    #[test]
    fn near_names_are_few_and_best_first() {
        let names = ["limit", "limits", "time", "lim", "other"];
        let near = nearest("limt", names.into_iter());
        assert_eq!(near, ["lim", "limit", "limits"]);
        assert!(nearest("xyz", names.into_iter()).is_empty());
        assert_eq!(hint(&near), ", did you mean 'lim', 'limit', 'limits'?");
        assert_eq!(hint(&[]), "");
    }
}
