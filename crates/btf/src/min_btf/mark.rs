//! Which types are kept, and which of their members and constants.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::types::Type;
use crate::{Btf, BtfError, TypeId};

/// How much of what a type refers to is kept with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Deep {
    /// Down to the first struct or pointer.
    No,
    /// Through pointers and functions too, down to structs.
    Fit,
    /// All members and constants as well, but not of structs behind pointers.
    Match,
    /// What [`Match`](Self::Match) is behind a pointer.
    MatchBehind,
}

#[derive(Debug, Default)]
pub(super) struct Marks {
    /// Kept members or constants of each kept type.
    kept: HashMap<TypeId, BTreeSet<u32>>,
    seen: HashSet<(TypeId, Deep)>,
}

impl Marks {
    /// Kept types, ascending.
    pub(super) fn ids(&self) -> Vec<TypeId> {
        let mut ids: Vec<TypeId> = self.kept.keys().copied().collect();
        ids.sort_unstable();
        ids
    }

    pub(super) fn has_type(&self, id: TypeId) -> bool {
        self.kept.contains_key(&id)
    }

    /// Whether a member or constant is kept.
    pub(super) fn has(&self, id: TypeId, index: u32) -> bool {
        self.kept.get(&id).is_some_and(|kept| kept.contains(&index))
    }

    /// Keeps a member or constant.
    pub(super) fn element(&mut self, id: TypeId, index: u32) {
        self.kept.entry(id).or_default().insert(index);
    }

    /// Keeps a type and what must come with it.
    pub(super) fn add(&mut self, btf: &Btf<'_>, id: TypeId, deep: Deep) -> Result<(), BtfError> {
        let mut todo = vec![(id, deep)];
        while let Some((id, deep)) = todo.pop() {
            if id.is_void() || !self.seen.insert((id, deep)) {
                continue;
            }
            self.kept.entry(id).or_default();
            let behind = match deep {
                Deep::Match => Deep::MatchBehind,
                other => other,
            };
            match btf.type_by_id(id)? {
                Type::Typedef(r)
                | Type::Volatile(r)
                | Type::Const(r)
                | Type::Restrict(r)
                | Type::TypeTag(r) => todo.push((r.type_id(), deep)),
                // the size is that of its type
                Type::Var(var) => todo.push((var.type_id(), deep)),
                Type::Ptr(_) if deep == Deep::No => {}
                Type::Ptr(r) => todo.push((r.type_id(), behind)),
                Type::Array(array) => {
                    todo.push((array.elem_type(), deep));
                    todo.push((array.index_type(), Deep::No));
                }
                Type::FuncProto(proto) if deep != Deep::No => {
                    todo.push((proto.return_type(), deep));
                    todo.extend(proto.params().map(|param| (param.type_id, deep)));
                }
                Type::Struct(t) | Type::Union(t) if deep == Deep::Match => {
                    for (index, member) in (0..).zip(t.members()) {
                        self.element(id, index);
                        todo.push((member.type_id, Deep::Match));
                    }
                }
                Type::Enum(_) | Type::Enum64(_) if deep > Deep::Fit => {
                    let count = btf.record(id)?.vlen();
                    self.kept.entry(id).or_default().extend(0..count);
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Keeps a type, and the members that the steps from it lead through.
    pub(super) fn path(
        &mut self,
        btf: &Btf<'_>,
        root: TypeId,
        steps: &[u32],
    ) -> Result<(), BtfError> {
        self.add(btf, root, Deep::No)?;
        let mut at = root;
        for index in steps {
            let (id, ty) = btf.resolve(at)?;
            at = match ty {
                Type::Struct(t) | Type::Union(t) => {
                    let member = t.members().nth(*index as usize);
                    let member = member.ok_or(BtfError::NotComposite {
                        id,
                        kind: ty.kind(),
                    })?;
                    self.element(id, *index);
                    self.keep_last(btf, id, member.type_id, *index)?;
                    member.type_id
                }
                Type::Array(array) => array.elem_type(),
                _ => {
                    return Err(BtfError::NotComposite {
                        id,
                        kind: ty.kind(),
                    });
                }
            };
            self.add(btf, at, Deep::No)?;
        }
        Ok(())
    }

    /// An array of no length is one of any length when it is the last member. It must not
    /// become that by losing what is behind it.
    fn keep_last(
        &mut self,
        btf: &Btf<'_>,
        id: TypeId,
        member: TypeId,
        index: u32,
    ) -> Result<(), BtfError> {
        let (_, ty) = btf.resolve(member)?;
        let is_open = matches!(ty, Type::Array(array) if array.is_empty());
        let last = btf.record(id)?.vlen().saturating_sub(1);
        if is_open
            && index != last
            && let Type::Struct(t) | Type::Union(t) = btf.type_by_id(id)?
            && let Some(behind) = t.members().nth(last as usize)
        {
            self.element(id, last);
            self.add(btf, behind.type_id, Deep::No)?;
        }
        Ok(())
    }
}
