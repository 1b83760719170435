//! The smallest BTF that the relocations of some objects need from a target.
//!
//! For kernels without BTF: a program is shipped with what it needs of each kernel it may meet,
//! some kilobytes instead of megabytes. Relocating against the result gives the same answers
//! as against the whole target, but for the ids of types in it.
//!
//! What is kept: types that relocations start from, of structs only the members on a path, of
//! enumerations only the constants asked for, types of members down to the first struct or
//! pointer; for `type_matches`, all that is compared. Every candidate that fits is kept, because
//! later relocations of the same type are answered from those only.

mod mark;

use mark::{Deep, Marks};

use crate::build::{Builder, Member};
use crate::core_reloc::{CoreError, CoreRelo, RelocKind, Resolver};
use crate::types::{Composite, Type};
use crate::{Btf, BtfError, TypeId};

/// Why a relocation cannot be recorded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("core relocation {index}")]
pub struct RecordError {
    /// Which relocation, from 0 on, of those given.
    pub index: usize,
    /// What is wrong with it.
    #[source]
    pub source: CoreError,
}

/// Collects what relocations need of a target.
#[derive(Debug)]
pub struct MinBtf<'t> {
    target: &'t Btf<'t>,
    marks: Marks,
    /// Types that must stay as unfit as they are, if something else keeps them.
    unfit: Vec<(TypeId, Deep)>,
}

impl<'t> MinBtf<'t> {
    /// Nothing of `target` yet.
    pub fn new(target: &'t Btf<'t>) -> Self {
        Self {
            target,
            marks: Marks::default(),
            unfit: Vec::new(),
        }
    }

    /// Keeps what the relocations of an object with the types `local` need. They should be all
    /// of the object, in their order.
    ///
    /// # Errors
    /// The first relocation without an answer: defective, or ambiguous. "Not there" is one.
    pub fn record<'l>(
        &mut self,
        local: &'l Btf<'l>,
        relos: impl IntoIterator<Item = CoreRelo> + Clone,
    ) -> Result<(), RecordError>
    where
        't: 'l,
    {
        let mut resolver = Resolver::new(local, self.target);
        resolver.prepare(relos.clone());
        for (index, relo) in relos.into_iter().enumerate() {
            self.record_one(&mut resolver, &relo)
                .map_err(|source| RecordError { index, source })?;
        }
        Ok(())
    }

    fn record_one(
        &mut self,
        resolver: &mut Resolver<'_>,
        relo: &CoreRelo,
    ) -> Result<(), CoreError> {
        let deep = match relo.kind {
            RelocKind::TypeMatches => Deep::Match,
            kind if kind.is_type() => Deep::Fit,
            _ => Deep::No,
        };
        if deep != Deep::No && relo.kind != RelocKind::TypeIdLocal {
            let candidates = resolver.candidates(relo.type_id);
            self.unfit.extend(candidates.map(|id| (id, deep)));
        }
        let (_, fit) = resolver.resolve_paths(relo)?;
        for (candidate, path) in fit {
            let target = |error| CoreError::Target(error);
            if deep != Deep::No {
                self.marks
                    .add(self.target, candidate.id, deep)
                    .map_err(target)?;
            } else if relo.kind.is_enumval() {
                self.marks
                    .add(self.target, candidate.id, Deep::No)
                    .map_err(target)?;
                if let Some(accessor) = path.accessors.first() {
                    self.marks.element(accessor.type_id, accessor.index);
                }
            } else {
                let raw = path.raw.get(1..).unwrap_or_default();
                self.marks
                    .path(self.target, candidate.id, raw)
                    .map_err(target)?;
            }
        }
        Ok(())
    }

    /// The blob, in the byte order of the target.
    ///
    /// # Errors
    /// Defects of the target in what is kept.
    pub fn finish(mut self) -> Result<Vec<u8>, BtfError> {
        self.keep_unfit()?;
        if self.target.pointer_size() != 8 {
            let base = core::iter::successors(Some(self.target), |btf| btf.base());
            if let Some((long, _)) = base.last().and_then(Btf::long_type) {
                self.marks.add(self.target, long, Deep::No)?;
            }
        }
        let mut builder = Builder::new(self.target.endian());
        let first = builder.next_id();
        let ids = self.marks.ids();
        let map = |id: TypeId| match ids.binary_search(&id) {
            Ok(at) => TypeId(first.saturating_add(u32::try_from(at).unwrap_or(u32::MAX))),
            Err(_) => TypeId::VOID,
        };
        for id in &ids {
            match self.target.type_by_id(*id)? {
                Type::Struct(t) | Type::Union(t) => self.composite(&mut builder, &t, &map)?,
                Type::Enum(t) => {
                    let mut values = Vec::new();
                    for (index, e) in (0..).zip(t.enumerators()) {
                        if self.marks.has(*id, index) {
                            #[expect(
                                clippy::cast_possible_truncation,
                                reason = "constants of this kind have 32 bits"
                            )]
                            values.push((e.name.bytes()?, e.raw as u32));
                        }
                    }
                    let name = t.name().bytes()?;
                    builder.add_enum(name, t.size(), t.is_signed(), &values);
                }
                Type::Enum64(t) => {
                    let mut values = Vec::new();
                    for (index, e) in (0..).zip(t.enumerators()) {
                        if self.marks.has(*id, index) {
                            values.push((e.name.bytes()?, e.raw));
                        }
                    }
                    let name = t.name().bytes()?;
                    builder.add_enum64(name, t.size(), t.is_signed(), &values);
                }
                _ => {
                    builder.copy_type(self.target, *id, &mut { map })?;
                }
            }
        }
        builder.finish()
    }

    fn composite(
        &self,
        builder: &mut Builder<'_>,
        composite: &Composite<'_>,
        map: &impl Fn(TypeId) -> TypeId,
    ) -> Result<(), BtfError> {
        let id = composite.id();
        let mut members = Vec::new();
        for (index, member) in (0..).zip(composite.members()) {
            if self.marks.has(id, index) {
                members.push(Member {
                    name: member.name.bytes()?,
                    type_id: map(member.type_id),
                    bit_offset: member.bit_offset,
                    bitfield_size: member.bitfield_size,
                });
            }
        }
        let name = composite.name().bytes()?;
        if composite.is_union() {
            builder.add_union(name, composite.size(), &members);
        } else {
            builder.add_struct(name, composite.size(), &members);
        }
        Ok(())
    }

    /// A type that does not fit a question must not come to fit it by what it refers to being
    /// left out. Whole types keep others, so this goes on until nothing is new.
    fn keep_unfit(&mut self) -> Result<(), BtfError> {
        self.unfit.sort_unstable();
        self.unfit.dedup();
        loop {
            let before = self.unfit.len();
            for (id, deep) in core::mem::take(&mut self.unfit) {
                if self.marks.has_type(id) {
                    self.marks.add(self.target, id, deep)?;
                } else {
                    self.unfit.push((id, deep));
                }
            }
            if self.unfit.len() == before {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests;
