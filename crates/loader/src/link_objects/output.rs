//! The object that is made: sections of one name put together, symbols, relocations.

use std::collections::HashMap;

use super::error::{LinkErrorKind, SectionDefect};
use super::input::{Input, Role, Symbol};
use super::symbols::Global;

type Result<T> = core::result::Result<T, LinkErrorKind>;

/// Sections that are the same in all objects, and there once.
const ONCE: [&[u8]; 2] = [b"license", b"version"];
/// Externals that are nothing but declared: they are in no section.
pub(super) const EXTERN: &[u8] = b".extern";

/// Padding that the result may have, for each byte of the objects and for each object.
const PADDING_PER_BYTE: u64 = 16;
const PADDING_PER_OBJECT: u64 = 1 << 20;
/// What is too much if it does not suffice.
pub(super) const PADDING: &str = "more padding than its sections can need";

/// Where bytes of an object went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Placed {
    /// Number in [`Output::sections`].
    pub(super) section: usize,
    /// Where in it they start.
    pub(super) offset: u64,
}

/// What an output section has of its own once an object brings bytes for it.
#[derive(Clone, Debug)]
pub(super) struct Body {
    pub(super) role: Role,
    pub(super) flags: u64,
    pub(super) align: u64,
    pub(super) entsize: u64,
    pub(super) size: u64,
    /// Empty for [`Role::Zeros`].
    pub(super) data: Vec<u8>,
    /// The first object that has it.
    pub(super) object: usize,
    /// The symbol that stands for its start.
    pub(super) symbol: Option<usize>,
}

/// A relocation of the result.
#[derive(Clone, Copy, Debug)]
pub(super) struct OutReloc {
    pub(super) offset: u64,
    /// Number in [`Output::symbols`].
    pub(super) symbol: usize,
    pub(super) kind: u32,
}

/// A section of the result, or (without a body) of its types only: `.kconfig`, `.ksyms`.
#[derive(Clone, Debug)]
pub(super) struct OutSection<'d> {
    pub(super) name: &'d [u8],
    pub(super) body: Option<Body>,
    pub(super) relocs: Vec<OutReloc>,
    /// Flags of the section with the relocations.
    pub(super) reloc_flags: Option<u64>,
}

/// What an object became.
#[derive(Clone, Debug, Default)]
pub(super) struct Merged<'d> {
    /// By section of the object.
    pub(super) sections: Vec<Option<Placed>>,
    /// Sections that only its types have, and what they became.
    pub(super) shells: HashMap<&'d [u8], usize>,
    /// By symbol of the object.
    pub(super) symbols: Vec<Option<usize>>,
    /// Its global symbols, and which of all they are.
    pub(super) globals: HashMap<&'d [u8], usize>,
}

/// The result under construction.
#[derive(Debug, Default)]
pub(super) struct Output<'d> {
    pub(super) sections: Vec<OutSection<'d>>,
    by_name: HashMap<&'d [u8], usize>,
    /// Those with a body, in the order in which they got it.
    pub(super) order: Vec<usize>,
    /// Their sections are those of the result.
    pub(super) symbols: Vec<Symbol<'d>>,
    pub(super) globals: Vec<Global>,
    pub(super) globals_by_name: HashMap<&'d [u8], usize>,
    /// By object.
    pub(super) merged: Vec<Merged<'d>>,
    /// Bytes that may still be put between sections: many small ones may ask for a page each.
    pub(super) padding: u64,
}

impl<'d> Output<'d> {
    /// An empty object; `bytes` are those of all objects that it will be made of.
    pub(super) fn new(objects: usize, bytes: u64) -> Self {
        Self {
            padding: bytes
                .saturating_mul(PADDING_PER_BYTE)
                .saturating_add((objects as u64).saturating_mul(PADDING_PER_OBJECT)),
            ..Self::default()
        }
    }

    /// Adds all of an object but its types.
    pub(super) fn add_object(
        &mut self,
        inputs: &'d [Input<'d>],
        object: usize,
    ) -> Result<Merged<'d>> {
        let mut merged = self.add_sections(inputs, object)?;
        self.add_symbols(inputs, object, &mut merged)?;
        self.add_relocs(inputs, object, &merged)?;
        Ok(merged)
    }

    /// Puts the sections of an object behind those of the ones before.
    fn add_sections(&mut self, inputs: &'d [Input<'d>], object: usize) -> Result<Merged<'d>> {
        let Some(input) = inputs.get(object) else {
            return Ok(Merged::default());
        };
        let mut merged = Merged {
            sections: vec![None; input.sections.len()],
            symbols: vec![None; input.symbols.len()],
            ..Merged::default()
        };
        for index in 0..input.sections.len() {
            let placed = self.add_section(inputs, object, index)?;
            if let Some(place) = merged.sections.get_mut(index) {
                *place = placed;
            }
        }
        // sections of externals are not in the ELF file
        for (_, ty) in input.btf.iter().flat_map(btf::Btf::types) {
            if let btf::Type::Datasec(datasec) = ty {
                let name = datasec.name().or_empty();
                if name != EXTERN && input.section_by_name(name).is_none() {
                    merged.shells.insert(name, self.section(name));
                }
            }
        }
        Ok(merged)
    }

    /// The section of that name, which is made if it is not there.
    fn section(&mut self, name: &'d [u8]) -> usize {
        *self.by_name.entry(name).or_insert_with(|| {
            self.sections.push(OutSection {
                name,
                body: None,
                relocs: Vec::new(),
                reloc_flags: None,
            });
            self.sections.len() - 1
        })
    }

    fn add_section(
        &mut self,
        inputs: &[Input<'d>],
        object: usize,
        index: usize,
    ) -> Result<Option<Placed>> {
        let input = inputs.get(object);
        let Some((input, section)) = input.and_then(|i| Some((i, i.sections.get(index)?))) else {
            return Ok(None);
        };
        if section.role == Role::Skipped {
            return Ok(None);
        }
        let at = self.section(section.name);
        let Some(out) = self.sections.get_mut(at) else {
            return Ok(None);
        };
        let body = match &mut out.body {
            Some(body) => {
                let other = inputs.get(body.object).map_or("", |other| &*other.name);
                let differs = |field, found, want| LinkErrorKind::SectionsDiffer {
                    section: input.named_section(index),
                    field,
                    found,
                    want,
                    other: other.into(),
                };
                if body.role != section.role {
                    let kind = |role| if role == Role::Zeros { 8 } else { 1 };
                    return Err(differs("type", kind(section.role), kind(body.role)));
                }
                if body.flags != section.flags {
                    return Err(differs("flags", section.flags, body.flags));
                }
                if body.entsize != section.entsize {
                    return Err(differs("entry size", section.entsize, body.entsize));
                }
                if ONCE.contains(&section.name) {
                    if body.data == section.data && body.size == section.size {
                        return Ok(None);
                    }
                    return Err(LinkErrorKind::ContentsDiffer {
                        section: input.named_section(index),
                        found: section.data.to_vec(),
                        want: body.data.clone(),
                        other: other.into(),
                    });
                }
                body
            }
            None => {
                self.order.push(at);
                out.body.insert(Body {
                    role: section.role,
                    flags: section.flags,
                    align: section.align,
                    entsize: section.entsize,
                    size: 0,
                    data: Vec::new(),
                    object,
                    symbol: None,
                })
            }
        };
        let align = section.align.max(body.align).max(1);
        let end = body
            .size
            .checked_next_multiple_of(align)
            .and_then(|start| Some((start, start.checked_add(section.size)?)))
            // types count in 32 bits
            .filter(|(_, end)| u32::try_from(*end).is_ok());
        let Some((start, end)) = end else {
            return Err(LinkErrorKind::Section {
                section: input.named_section(index),
                why: SectionDefect::TooLarge,
            });
        };
        if body.role == Role::Bytes {
            self.padding = self
                .padding
                .checked_sub(start - body.size)
                .ok_or(LinkErrorKind::TooLarge { what: PADDING })?;
            let start = usize::try_from(start).unwrap_or(usize::MAX);
            body.data.resize(start, 0);
            body.data.extend_from_slice(section.data);
        }
        body.align = align;
        body.size = end;
        Ok(Some(Placed {
            section: at,
            offset: start,
        }))
    }

    /// What a section of an object, by its name, became; `None` for those left out.
    pub(super) fn home(
        &self,
        input: &Input<'d>,
        merged: &Merged<'d>,
        name: &[u8],
    ) -> Option<usize> {
        match input.section_by_name(name) {
            Some(index) => {
                let placed = merged.sections.get(index).copied().flatten();
                placed.map(|placed| placed.section)
            }
            None => merged.shells.get(name).copied(),
        }
    }

    /// A section's name, for messages.
    pub(super) fn section_name(&self, section: Option<usize>) -> Option<String> {
        let section = self.sections.get(section?)?;
        Some(btf::escape(section.name).into_owned())
    }

    /// Adds a symbol.
    pub(super) fn push_symbol(&mut self, symbol: Symbol<'d>) -> usize {
        self.symbols.push(symbol);
        self.symbols.len() - 1
    }

    /// The bytes of a section from an offset on.
    pub(super) fn bytes_at(&mut self, section: usize, offset: u64) -> Option<&mut [u8]> {
        let body = self.sections.get_mut(section)?.body.as_mut()?;
        body.data.get_mut(usize::try_from(offset).ok()?..)
    }
}
