//! From a file to a file, for build scripts: a module of an object.

use super::name_of_file;
use super::rust::{Options, skeleton};
use crate::error::Error;
use crate::model::{Object, ParseOptions};
use std::io;
use std::path::{Path, PathBuf};

/// Why no skeleton was written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The object cannot be read.
    #[error(transparent)]
    Object(#[from] Error),
    /// The skeleton cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// Where to.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Writes the skeleton of the object in a file. Its name is the file's.
///
/// # Errors
/// The file cannot be read, is no object, or the skeleton cannot be written.
pub fn write_file(object: &Path, skeleton_file: &Path) -> Result<(), FileError> {
    let bytes = std::fs::read(object).map_err(|source| Error::File {
        path: object.to_owned(),
        source,
    })?;
    let options = ParseOptions::named(name_of_file(&object.to_string_lossy()));
    let parsed = Object::parse(&bytes, &options).map_err(|source| Error::Model {
        object: options.name.clone(),
        source: Box::new(source),
    })?;
    let text = skeleton(&parsed, &bytes, &Options::default());
    std::fs::write(skeleton_file, text).map_err(|source| FileError::Write {
        path: skeleton_file.to_owned(),
        source,
    })
}
