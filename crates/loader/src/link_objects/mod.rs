//! Static linking: several BPF objects become one.
//!
//! Sections of one name are put behind each other, names that one object uses and another
//! defines are resolved, and the types of all are there once. What a name stands for in one
//! object must fit what it stands for in the others: definitions of maps must be equal, types
//! of variables and functions as far as a compiler relies on them.
//!
//! Objects have little or big byte order, all the same. The result is an object that loaders
//! take and that can be linked again; linking it alone gives the same bytes.
//!
//! ```
//! use loader::link_objects::Linker;
//!
//! # fn read() -> (Vec<u8>, Vec<u8>) { (Vec::new(), Vec::new()) }
//! # fn main() {
//! let (main, library): (Vec<u8>, Vec<u8>) = read();
//! let linked = || {
//!     let mut linker = Linker::new();
//!     linker.add("main.bpf.o", &main)?;
//!     linker.add("library.bpf.o", &library)?;
//!     linker.finish()
//! };
//! // there are no bytes in this example
//! let error = linked().expect_err("an empty file is no object");
//! assert_eq!(error.to_string(), "main.bpf.o: not a sound elf file");
//! # }
//! ```
//!
//! # Beside libbpf
//!
//! The rules are those of libbpf's `bpf_linker`, and what it links is linked here. Where its
//! result could not be loaded, or depended on the order of the objects, this one is another:
//!
//! - the offset and size of a variable or map in `.BTF` are those of its definition, also when
//!   a declaration or a weak definition came first;
//! - a weak definition may lose to one in another section; an external of `.kconfig` or
//!   `.ksyms` is never defined by a variable elsewhere;
//! - a weak definition stays one that a strong one replaces, also after an external that must
//!   be there;
//! - a kernel symbol without type may be used by several objects;
//! - objects without types are linked as long as no name needs one;
//! - data may be relative to a section; jump tables move with their code;
//! - signatures of externals are left out, not changed: others may refer to them;
//! - local symbols come first, as ELF wants them, and variables are in the order of offsets.
//!
//! # Inside
//!
//! In order: `input` reads an object, `output` places its sections, `symbols` resolves names
//! (`agree` and `map_def` compare what they stand for), `relocs` moves relocations, `types`
//! and `ext` write what is known about types, `write` the ELF file.

mod agree;
mod error;
mod ext;
mod input;
mod map_def;
mod output;
mod relocs;
mod symbols;
mod types;
mod write;

use ext::Records;
use input::Input;
use output::Output;
use types::Ids;

pub use error::{
    LinkError, LinkErrorKind, Mismatch, Named, RelocDefect, SectionDefect, SymbolDefect,
};
pub use map_def::{MapDefect, MapMismatch};

/// Objects to be linked; see the [module](self).
#[derive(Debug, Default)]
#[doc(alias = "bpf_linker")]
pub struct Linker<'d> {
    inputs: Vec<Input<'d>>,
}

impl<'d> Linker<'d> {
    /// No object yet.
    #[doc(alias = "bpf_linker__new")]
    pub const fn new() -> Self {
        Self { inputs: Vec::new() }
    }

    /// Adds an object; messages have its `name`. The first decides the byte order.
    ///
    /// # Errors
    /// Bytes that are no sound relocatable BPF object, or one of the other byte order. It is
    /// not added then.
    #[doc(alias = "bpf_linker__add_buf")]
    pub fn add(&mut self, name: &str, data: &'d [u8]) -> Result<(), LinkError> {
        let input = Input::parse(name, data).map_err(|kind| kind.of(name))?;
        if let Some(first) = self.inputs.first()
            && first.endian != input.endian
        {
            let kind = LinkErrorKind::ByteOrder {
                found: input.endian,
                want: first.endian,
                first: first.name.clone(),
            };
            return Err(kind.of(name));
        }
        self.inputs.push(input);
        Ok(())
    }

    /// Links them: the bytes of the object that they make.
    ///
    /// # Errors
    /// Names that are defined twice, or are not the same thing in all objects; sections that
    /// cannot be put together.
    #[doc(alias = "bpf_linker__finalize")]
    pub fn finish(self) -> Result<Vec<u8>, LinkError> {
        let inputs = &self.inputs;
        let Some(first) = inputs.first() else {
            return Err(LinkErrorKind::Nothing.of_all());
        };
        let endian = first.endian;
        let bytes = inputs.iter().map(|input| input.bytes).sum();
        let mut out = Output::new(inputs.len(), bytes);
        for (object, input) in inputs.iter().enumerate() {
            let merged = out.add_object(inputs, object);
            let merged = merged.map_err(|kind| kind.of(&input.name))?;
            out.merged.push(merged);
        }
        let ids = Ids::plan(inputs, &out);
        let records = Records::collect(inputs, &out, &ids)?;
        let Some((mut types, renumbered)) = types::write(inputs, &out, &ids, endian)? else {
            return write::write(&out, endian, None, None).map_err(LinkErrorKind::of_all);
        };
        let ext = records.write(inputs, &out, endian, &mut types, &renumbered);
        let ext = ext.map_err(LinkErrorKind::of_all)?;
        let types = types
            .finish()
            .map_err(|error| LinkErrorKind::WriteBtf(error).of_all())?;
        write::write(&out, endian, Some(&types), ext.as_deref()).map_err(LinkErrorKind::of_all)
    }
}

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
