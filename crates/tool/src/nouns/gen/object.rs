//! `gen object`: several objects become one.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use loader::link_objects::{LinkError, LinkErrorKind, Linker};

use crate::command::Context;
use crate::failure::{EINVAL_STATUS, ENOENT_STATUS, Failure, Result};
use crate::nouns::btf::source::{self, EOPNOTSUPP_STATUS};
use crate::render::escape::Escaped;
use crate::words::Words;

/// `gen object OUTPUT INPUT…`
pub(super) fn run(context: &mut Context<'_, '_>, mut words: Words<'_>) -> Result<()> {
    words.require(2)?;
    let output = words.take_path("the file to write")?;
    let mut inputs = Vec::new();
    while !words.is_empty() {
        inputs.push(words.take_path("an object file")?.to_path_buf());
    }
    let linked = linked(&inputs)?;
    // Only now: an output may be one of the inputs, and one that cannot be made is left alone.
    std::fs::write(output, linked).map_err(|error| {
        Failure::because(format_args!("failed to write '{}'", shown(output)), error)
    })?;
    context.output.done()
}

fn shown(path: &Path) -> String {
    Escaped(path.as_os_str().as_bytes()).to_string()
}

/// The object that `inputs` make.
fn linked(inputs: &[PathBuf]) -> Result<Vec<u8>> {
    let mut objects = Vec::with_capacity(inputs.len());
    for path in inputs {
        let name = shown(path);
        let data = std::fs::read(path).map_err(|error| {
            let status = source::io_status(&error);
            Failure::because(format_args!("failed to link '{name}'"), error).with_status(status)
        })?;
        objects.push((name, data));
    }
    let mut linker = Linker::new();
    for (name, data) in &objects {
        linker.add(name, data).map_err(refused)?;
    }
    linker.finish().map_err(refused)
}

fn refused(error: LinkError) -> Failure {
    let status = status(error.kind());
    let (object, kind) = error.into_parts();
    let what = match object {
        Some(object) => format!("failed to link '{object}'"),
        None => "failed to link".into(),
    };
    Failure::because(what, kind).with_status(status)
}

/// bpftool's: most is `-EINVAL`.
const fn status(kind: &LinkErrorKind) -> u8 {
    match kind {
        LinkErrorKind::NotRelocatable { .. } | LinkErrorKind::ByteOrder { .. } => EOPNOTSUPP_STATUS,
        LinkErrorKind::NoType { other: None, .. } | LinkErrorKind::NoSymbol { .. } => ENOENT_STATUS,
        _ => EINVAL_STATUS,
    }
}
