//! `gen min_core_btf`: the types of a kernel that some objects need, for kernels without types.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use btf::core_reloc::CoreRelo;
use btf::ext::Ext;
use btf::min_btf::MinBtf;

use crate::command::Context;
use crate::failure::{EINVAL_STATUS, Failure, Result};
use crate::nouns::btf::source;
use crate::render::escape::Escaped;
use crate::words::Words;

/// `gen min_core_btf INPUT OUTPUT OBJECT…`
pub(super) fn run(context: &mut Context<'_, '_>, mut words: Words<'_>) -> Result<()> {
    words.require(3)?;
    let input = words.take_path("a file of types")?;
    let output = words.take_path("the file to write")?;
    let mut objects = Vec::new();
    while !words.is_empty() {
        objects.push(words.take_path("an object file")?.to_path_buf());
    }
    let least = least(input, &objects)?;
    std::fs::write(output, least).map_err(|error| {
        let status = source::io_status(&error);
        Failure::because(
            format_args!("error saving BTF file {}", shown(output)),
            error,
        )
        .with_status(status)
    })?;
    context.output.done()
}

fn shown(path: &Path) -> Escaped<'_> {
    Escaped(path.as_os_str().as_bytes())
}

/// The least of the types in `input` that `objects` need.
fn least(input: &Path, objects: &[PathBuf]) -> Result<Vec<u8>> {
    let target = source::read(input, None)?;
    let mut least = MinBtf::new(&target);
    for path in objects {
        let (local, ext) = source::object(path)?;
        let what = format!("error recording relocations for {}", shown(path));
        let Some(ext) = ext else {
            let failure = Failure::new(format_args!("{what}: it has no .BTF.ext section"));
            return Err(failure.with_status(EINVAL_STATUS));
        };
        let ext = Ext::parse(&ext)
            .map_err(|error| Failure::because(&what, error).with_status(EINVAL_STATUS))?;
        let relos: Vec<CoreRelo> = ext.core_relos().records().collect();
        least
            .record(&local, relos)
            .map_err(|error| Failure::because(&what, error).with_status(EINVAL_STATUS))?;
    }
    least
        .finish()
        .map_err(|error| Failure::because("error generating BTF", error).with_status(EINVAL_STATUS))
}
