//! Skeletons: source text that has an object in it and shows its parts by name and type.
//!
//! [`c`] writes headers for C and C++ over libbpf, [`rust`] modules over this crate. Both need
//! nothing but the object: no compiler, no formatter, no kernel.

pub mod c;
mod error;
mod file;
mod names;
pub mod rust;
mod shape;
pub mod support;

pub use error::SkeletonError;

use names::Language;

/// Bytes of a skeleton's name at most.
const MAX_NAME: usize = 63;

/// The name of the skeleton of the object in a file: the file's without `.o`, with `_` for
/// everything that identifiers do not have.
#[must_use]
pub fn name_of_file(path: &str) -> String {
    let base = path.rsplit('/').next().unwrap_or(path);
    let short: String = base.chars().take(MAX_NAME).collect();
    identifier(short.strip_suffix(".o").unwrap_or(&short))
}

/// A name as the name of a skeleton.
#[must_use]
pub fn identifier(name: &str) -> String {
    let mut name = names::identifier(name, Language::C);
    name.truncate(MAX_NAME);
    name
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod name_tests {
    use super::*;

    #[test]
    fn names_of_files() {
        for (path, name) in [
            ("counter.bpf.o", "counter_bpf"),
            ("/a/b.c/x-y.o", "x_y"),
            ("int.o", "int_"),
            ("9.o", "_9"),
            ("", "_"),
        ] {
            assert_eq!(name_of_file(path), name);
        }
        assert_eq!(name_of_file(&"x".repeat(100)).len(), MAX_NAME);
    }
}
