//! ELF to model.
//!
//! Each file reads one kind of part. They share [`Source`], which is what the file says, and
//! [`Log`], to which goes what was left out. The order matters in places: externs tell where the
//! values of options are, which the types of section `.kconfig` must say, which the maps refer to.

mod callbacks;
mod data;
mod ext;
mod externs;
mod fixup;
mod functions;
mod jump_tables;
mod legacy_maps;
mod map_defs;
mod map_relocs;
mod refs;
mod sections;
mod source;
mod struct_ops;
mod types;
mod variables;

use super::{ModelError, Object};
use crate::elf::Elf;
use source::{Log, Source};
use std::sync::Arc;

/// How to read an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ParseOptions {
    /// The object's name: prefix of the names of its data maps.
    pub name: String,
    /// Members of map definitions with unknown names are ignored (`bpftool -m`).
    pub relaxed_maps: bool,
}

impl ParseOptions {
    /// The options for an object of this name.
    #[must_use]
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            relaxed_maps: false,
        }
    }

    /// The options for the object in this file: its name is the file's up to the first dot.
    #[must_use]
    pub fn for_file(path: &str) -> Self {
        let base = path.rsplit('/').next().unwrap_or(path);
        Self::named(base.split('.').next().unwrap_or(base))
    }

    /// Whether members of map definitions with unknown names are ignored.
    #[must_use]
    pub const fn relaxed_maps(mut self, relaxed: bool) -> Self {
        self.relaxed_maps = relaxed;
        self
    }
}

impl Object {
    /// Reads an object.
    ///
    /// What only some programs or maps need may be wrong: it is noted where it belongs.
    ///
    /// # Errors
    /// A defect that leaves nothing to load: no BPF object, cut sections, maps that are defined
    /// wrongly.
    #[doc(alias = "bpf_object__open_mem")]
    pub fn parse(bytes: &[u8], options: &ParseOptions) -> Result<Self, ModelError> {
        let elf = Elf::parse(bytes)?;
        let mut log = Log::new(bytes.len());
        let source = Source::new(elf, &mut log)?;
        let mut externs = externs::collect(&source, &mut log)?;
        let btf = fixup::types(&source, &mut externs, &mut log)?;

        let mut functions = functions::collect(&source, &mut log)?;
        let mut maps = map_defs::collect(&source, btf.as_ref(), options, &mut log)?;
        legacy_maps::collect(&source, &mut maps, &mut log)?;
        data::collect(&source, btf.as_ref(), options, &mut maps, &mut log)?;
        externs::kconfig_map(&externs, btf.as_ref(), options, &mut maps);
        struct_ops::collect(&source, btf.as_ref(), &mut maps, &mut log)?;
        let variables = variables::collect(&source, btf.as_ref(), &maps, &mut log)?;

        let jump_tables = refs::collect(&source, &externs, &maps, &mut functions, &mut log)?;
        map_relocs::definitions(&source, btf.as_ref(), &functions, &mut maps, &mut log)?;
        map_relocs::struct_ops(&source, btf.as_ref(), &functions, &mut maps, &mut log)?;
        if let Some(btf) = &btf {
            ext::collect(&source, btf, &mut functions, &mut log)?;
            callbacks::assign(btf, &mut functions);
        }

        let (license, kern_version) = source.identity(&mut log);
        Ok(Self {
            name: options.name.clone(),
            endian: source.elf.endian(),
            license,
            kern_version,
            btf: btf.map(Arc::new),
            functions: functions.functions,
            programs: functions.programs,
            maps: maps.maps,
            variables,
            externs: externs.externs,
            jump_tables,
            notes: log.notes,
        })
    }
}

#[cfg(test)]
mod tests;
