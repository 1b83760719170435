//! The parts of a fixture's object file.

use anyhow::{Context as _, Result};
use object::read::elf::ElfFile64;
use object::{Object as _, ObjectSection as _};
use rbpftool_tests::fixture;

/// The bytes of an object in `tests/fixtures/core`.
pub(crate) struct Object {
    name: String,
    data: Vec<u8>,
}

impl Object {
    pub(crate) fn open(name: &str) -> Result<Self> {
        let path = fixture("core").join(name);
        let data = std::fs::read(&path).with_context(|| format!("read {}", path.display()))?;
        Ok(Self {
            name: name.into(),
            data,
        })
    }

    /// A section's bytes.
    pub(crate) fn section(&self, name: &str) -> Result<&[u8]> {
        let file = ElfFile64::<object::Endianness>::parse(&self.data[..])
            .with_context(|| format!("parse {}", self.name))?;
        let section = file
            .section_by_name(name)
            .with_context(|| format!("{} has no section {name}", self.name))?;
        section
            .data()
            .with_context(|| format!("read {name} of {}", self.name))
    }
}
