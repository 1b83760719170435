//! CO-RE: what a program compiled against one kernel's types must change to run on another.
//!
//! A compiler records each access whose place may differ ([`CoreRelo`]): a type of the
//! object's BTF, a path from it, and a question. A [`Resolver`] looks for the types of that
//! name in the target's BTF, follows the path there by the names of members, and answers with a
//! [`Fixup`]; [`patch`] puts it into the instruction.
//!
//! - Names are compared without their flavour: [`essential_name`].
//! - The target is a kernel's BTF or any other; modules are looked through when it has no type
//!   of the name and kind.
//! - When several types of the target fit, they must agree; those that did not fit one
//!   relocation are not asked for later ones of the same local type.
//! - "Not there" is an answer: 0 for questions about existence, size and target id, else the
//!   instruction is poisoned. Errors are for what makes no sense.

mod candidates;
mod compat;
mod error;
mod locate;
mod matches;
mod name;
mod patch;
pub(crate) mod spec;
mod value;
mod why;
mod work;

use std::collections::HashMap;

pub use error::CoreError;
pub use name::essential_name;
pub use patch::{Insn, POISON_HELPER, PatchError, Patched, patch, poisoned_insn};
pub use value::Field;
pub use why::{Mismatch, spell};

pub use crate::ext::{CoreRelo, RelocKind};
use crate::types::{Type, encoding};
use crate::{Btf, TypeId};
use candidates::Wanted;
use compat::Pair;
use spec::Spec;
use value::Answer;
use work::{Side, Work};

/// Candidates that a [`Fixup`] says why they do not fit.
const MAX_REJECTED: usize = 16;

/// The BTF of a kernel module, split from the target's.
#[derive(Clone, Copy, Debug)]
pub struct Module<'t> {
    /// Its name.
    pub name: &'t str,
    /// Its types.
    pub btf: &'t Btf<'t>,
}

/// A type of the target that has the local type's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Candidate {
    /// Which module has it, in the order they were given; `None` for the target itself.
    pub module: Option<usize>,
    /// The type there.
    pub id: TypeId,
}

/// Whether the target's type is what the local one says it is, as far as questions about types
/// go: names do not matter, nor what structs have in them; signatures agree in each parameter.
///
/// # Errors
/// Types that refer to none, or to themselves, or are nested deeper than any compiler makes.
#[doc(alias = "bpf_core_types_are_compat")]
pub fn types_fit(
    local: &Btf<'_>,
    local_id: TypeId,
    target: &Btf<'_>,
    target_id: TypeId,
) -> Result<bool, CoreError> {
    let verdict = Pair { local, target }.types_fit(local_id, target_id, &mut Work::new())?;
    Ok(verdict.is_none())
}

/// Whether a load or store of a field works with the target's field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resize {
    /// Sizes are equal.
    Same,
    /// Both are pointers, or both unsigned integers: access as many bytes as the target has.
    Adjust,
    /// Any other width would give a wrong value.
    Unsafe,
}

/// The field whose offset is asked for, on both sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// In the object.
    pub local: Field,
    /// In the target.
    pub target: Field,
    /// What a load or store has to do about its width.
    pub resize: Resize,
}

/// The answer to a relocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fixup {
    /// The question.
    pub kind: RelocKind,
    /// The answer that the compiler saw.
    pub local: u64,
    /// The answer in the target; 0 when poisoned.
    pub target: u64,
    /// Whether the instruction must hold [`local`](Self::local). Not so for ids, which linkers
    /// change, and bit fields, which compilers load in their own way.
    pub sure: bool,
    /// Whether the instruction must not be reached.
    pub poison: bool,
    /// For offsets of fields that are there.
    pub memory: Option<Memory>,
    /// The first type of the target that fits.
    pub candidate: Option<Candidate>,
    /// How many types were looked at.
    pub candidates: usize,
    /// Types that do not fit and why; not more than 16.
    pub rejected: Vec<(Candidate, Mismatch)>,
}

enum Modules<'t> {
    Later(Box<dyn FnOnce() -> Vec<Module<'t>> + 't>),
    Here(Vec<Module<'t>>),
}

/// Answers the relocations of one object for one target.
pub struct Resolver<'t> {
    local: &'t Btf<'t>,
    main: &'t Btf<'t>,
    modules: Modules<'t>,
    /// By local type.
    known: HashMap<TypeId, Vec<Candidate>>,
}

impl<'t> Resolver<'t> {
    /// For relocations of types in `local` and a target that is `target` alone.
    pub fn new(local: &'t Btf<'t>, target: &'t Btf<'t>) -> Self {
        Self {
            local,
            main: target,
            modules: Modules::Here(Vec::new()),
            known: HashMap::new(),
        }
    }

    /// Modules to look through for types that the target lacks; `modules` is called when the
    /// first such type is met, if ever.
    #[must_use]
    pub fn modules(mut self, modules: impl FnOnce() -> Vec<Module<'t>> + 't) -> Self {
        self.modules = Modules::Later(Box::new(modules));
        self
    }

    /// Looks for the types of all these relocations at once, which takes one pass over the
    /// target instead of one for each local type.
    pub fn prepare(&mut self, relos: impl IntoIterator<Item = CoreRelo>) {
        let mut roots: Vec<TypeId> = relos
            .into_iter()
            .filter(|relo| relo.kind != RelocKind::TypeIdLocal)
            .map(|relo| relo.type_id)
            .filter(|root| !self.known.contains_key(root))
            .collect();
        roots.sort_unstable();
        roots.dedup();
        self.find(&roots);
    }

    /// All relocations in order.
    pub fn resolve_all(
        &mut self,
        relos: impl IntoIterator<Item = CoreRelo> + Clone,
    ) -> Vec<Result<Fixup, CoreError>> {
        self.prepare(relos.clone());
        relos.into_iter().map(|relo| self.resolve(&relo)).collect()
    }

    /// The answer to a relocation.
    ///
    /// # Errors
    /// A relocation that makes no sense, defects met in either BTF, or types of the target that
    /// fit and do not agree.
    #[doc(alias = "bpf_core_calc_relo_insn")]
    pub fn resolve(&mut self, relo: &CoreRelo) -> Result<Fixup, CoreError> {
        Ok(self.resolve_paths(relo)?.0)
    }

    /// The same with the paths in all types of the target that fit.
    pub(crate) fn resolve_paths(
        &mut self,
        relo: &CoreRelo,
    ) -> Result<(Fixup, Vec<(Candidate, Spec<'t>)>), CoreError> {
        let work = &mut Work::new();
        let kind = relo.kind;
        let spec = Spec::parse(self.local, relo, work)?;
        let local = value::answer(kind, self.local, &spec, Side::Local, work)?;
        let mut fixup = Fixup {
            kind,
            local: local.value,
            target: local.value,
            sure: local.sure,
            poison: local.poison,
            memory: None,
            candidate: None,
            candidates: 0,
            rejected: Vec::new(),
        };
        if kind == RelocKind::TypeIdLocal {
            return Ok((fixup, Vec::new()));
        }
        let id = relo.type_id;
        if !self.known.contains_key(&id) {
            let ty = self.local.type_by_id(id).map_err(CoreError::Local)?;
            if ty.name().is_empty() {
                return Err(CoreError::Anonymous { kind, id });
            }
            self.find(&[id]);
        }
        let candidates = self.known.remove(&id).unwrap_or_default();
        fixup.candidates = candidates.len();
        let fit = match self.try_all(&mut fixup, &spec, local, &candidates, work) {
            Ok(fit) => fit,
            Err(error) => {
                self.known.insert(id, candidates);
                return Err(error);
            }
        };
        if fit.is_empty() {
            let without = value::answer_without(kind);
            fixup.poison |= without.is_none();
            fixup.target = without.unwrap_or(0);
            self.known.insert(id, candidates);
        } else {
            let keep = fit.iter().map(|(candidate, _)| *candidate).collect();
            self.known.insert(id, keep);
        }
        Ok((fixup, fit))
    }

    /// What would be looked at for a local type now, of the target itself.
    pub(crate) fn candidates(&self, local: TypeId) -> impl Iterator<Item = TypeId> {
        let known = self.known.get(&local).into_iter().flatten();
        known.filter(|c| c.module.is_none()).map(|c| c.id)
    }

    /// Compares with each candidate; those that fit, with the path in them.
    fn try_all(
        &self,
        fixup: &mut Fixup,
        spec: &Spec<'t>,
        local: Answer,
        candidates: &[Candidate],
        work: &mut Work,
    ) -> Result<Vec<(Candidate, Spec<'t>)>, CoreError> {
        let kind = fixup.kind;
        let mut fit: Vec<(Candidate, Spec<'t>)> = Vec::new();
        let mut poison = false;
        for candidate in candidates {
            let candidate = *candidate;
            let btf = self.place(candidate).map_or(self.main, |module| module.btf);
            let pair = Pair {
                local: self.local,
                target: btf,
            };
            let path = match pair.locate(kind, spec, candidate.id, work)? {
                Ok(path) => path,
                Err(mismatch) => {
                    if fixup.rejected.len() < MAX_REJECTED {
                        fixup.rejected.push((candidate, mismatch));
                    }
                    continue;
                }
            };
            let target = value::answer(kind, btf, &path, Side::Target, work)?;
            match fit.first() {
                None => {
                    fixup.target = target.value;
                    fixup.poison |= target.poison;
                    poison = target.poison;
                    fixup.candidate = Some(candidate);
                    fixup.memory = self.memory(local, btf, target);
                }
                Some((first, earlier)) if earlier.bit_offset != path.bit_offset => {
                    return Err(CoreError::AmbiguousOffset {
                        first: *first,
                        first_offset: earlier.bit_offset,
                        second: candidate,
                        second_offset: path.bit_offset,
                    });
                }
                Some((first, _)) if fixup.target != target.value || poison != target.poison => {
                    return Err(CoreError::AmbiguousValue {
                        first: *first,
                        first_value: fixup.target,
                        second: candidate,
                        second_value: target.value,
                    });
                }
                Some(_) => {}
            }
            fit.push((candidate, path));
        }
        Ok(fit)
    }

    fn memory(&self, local: Answer, btf: &Btf<'_>, target: Answer) -> Option<Memory> {
        let (local, target) = (local.field?, target.field?);
        let unsigned = |ty: &Type<'_>| match ty {
            Type::Int(int) => int.encoding() != encoding::SIGNED,
            _ => false,
        };
        let resize = if local.size == target.size {
            Resize::Same
        } else {
            match (
                self.local.type_by_id(local.type_id),
                btf.type_by_id(target.type_id),
            ) {
                (Ok(Type::Ptr(_)), Ok(Type::Ptr(_))) => Resize::Adjust,
                (Ok(l), Ok(t))
                    if local.size > 0 && target.size > 0 && unsigned(&l) && unsigned(&t) =>
                {
                    Resize::Adjust
                }
                _ => Resize::Unsafe,
            }
        };
        Some(Memory {
            local,
            target,
            resize,
        })
    }

    fn place(&self, candidate: Candidate) -> Option<&Module<'t>> {
        match &self.modules {
            Modules::Here(modules) => modules.get(candidate.module?),
            Modules::Later(_) => None,
        }
    }

    /// Finds the candidates of local types that are not known.
    fn find(&mut self, roots: &[TypeId]) {
        let local = self.local;
        let mut wanted = Vec::new();
        let mut of = Vec::new();
        for root in roots {
            let Ok(ty) = local.type_by_id(*root) else {
                continue;
            };
            let Some(record) = ty.record().filter(|r| !r.name().is_empty()) else {
                continue;
            };
            wanted.push(Wanted {
                name: essential_name(name::bytes(record.name())),
                kind: ty.kind(),
            });
            of.push(*root);
        }
        if wanted.is_empty() {
            return;
        }
        let mut absent = Vec::new();
        let mut of_absent = Vec::new();
        for ((ids, root), wanted) in candidates::search_all(self.main, &wanted)
            .into_iter()
            .zip(of)
            .zip(wanted)
        {
            if ids.is_empty() {
                absent.push(wanted);
                of_absent.push(root);
            }
            let found = ids.into_iter().map(|id| Candidate { module: None, id });
            self.known.insert(root, found.collect());
        }
        if absent.is_empty() {
            return;
        }
        let modules = match core::mem::replace(&mut self.modules, Modules::Here(Vec::new())) {
            Modules::Later(load) => load(),
            Modules::Here(modules) => modules,
        };
        for (at, module) in modules.iter().enumerate() {
            for (ids, root) in candidates::search(module.btf, &absent)
                .into_iter()
                .zip(&of_absent)
            {
                let found = ids.into_iter().map(|id| Candidate {
                    module: Some(at),
                    id,
                });
                self.known.entry(*root).or_default().extend(found);
            }
        }
        self.modules = Modules::Here(modules);
    }
}

impl core::fmt::Debug for Resolver<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Resolver")
            .field("local", &self.local)
            .field("target", &self.main)
            .field("known", &self.known.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
