//! Classes of types that say the same, and the names that do not stand for one class.

use super::records::{Records, Role, offset, role};
use super::text::Hashes;
use crate::build::shape::{kind_of, shape};
use crate::hash::Key;
use crate::{BtfError, Kind, TypeId};

/// No class, name or type.
pub(super) const NONE: u32 = u32::MAX;

/// Marks the class of a type that is the declaration of another, and does not stand for the class.
pub(super) const DECLARED: u32 = 1 << 31;

/// What the name of a struct, union or enumeration stands for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Name {
    /// Class of the first definition, or [`NONE`].
    pub(super) definition: u32,
    /// Class of the declarations, or [`NONE`].
    pub(super) forward: u32,
    /// A declaration that the base has, or [`NONE`].
    pub(super) base_forward: u32,
    /// Whether there are definitions of other classes.
    ambiguous: bool,
}

impl Name {
    /// Whether all that have the name can be one type.
    const fn is_clear(self) -> bool {
        // the base's declaration stays what it is
        !self.ambiguous && (self.base_forward == NONE || self.definition == NONE)
    }
}

/// Types by what they say.
#[derive(Debug)]
pub(super) struct Classes {
    /// Class of each type.
    pub(super) class: Vec<u32>,
    /// First type of each class.
    pub(super) first: Vec<u32>,
    /// Number of the name that stands for a class, or [`NONE`].
    pub(super) name: Vec<u32>,
    pub(super) names: Vec<Name>,
    /// Own declarations, ascending.
    pub(super) forwards: Vec<u32>,
}

impl Classes {
    /// Names in the records must be canonical.
    ///
    /// # Errors
    /// References to no type, own types of unknown kinds.
    pub(super) fn new(records: &Records<'_>, key: Key) -> Result<Self, BtfError> {
        let hashes = Hashes::new(records, key)?;
        let count = records.len();
        let mut index = Index::new();
        let mut tags = Index::new();
        let mut this = Self {
            class: Vec::with_capacity(count),
            first: Vec::new(),
            name: Vec::new(),
            names: Vec::new(),
            forwards: Vec::new(),
        };
        for id in 0..count {
            let record = records.get(id);
            let own = id >= records.first_own();
            let kind = kind_of(record);
            if own && matches!(kind, Kind::Void | Kind::Unknown(_)) {
                return Err(BtfError::UnknownReferences {
                    id: TypeId(offset(id)),
                    kind: kind.raw(),
                });
            }
            let (role, _) = role(kind, record);
            let hash = hashes.own(record, id, role)?;
            if own && role == Role::Forward {
                this.forwards.push(offset(id));
            }
            let class = index.number(hash);
            this.class.push(class);
            if class as usize == this.first.len() {
                this.first.push(offset(id));
                let name = match role {
                    Role::Plain => NONE,
                    _ => {
                        let name = tags.number(hashes.seen(id));
                        this.add_to_name(name, class, role, !own);
                        name
                    }
                };
                this.name.push(name);
            }
        }
        Ok(this)
    }

    fn add_to_name(&mut self, number: u32, class: u32, role: Role, in_base: bool) {
        if number as usize == self.names.len() {
            self.names.push(Name {
                definition: NONE,
                forward: NONE,
                base_forward: NONE,
                ambiguous: false,
            });
        }
        let name = &mut self.names[number as usize];
        if role == Role::Forward {
            name.forward = class;
            if in_base {
                name.base_forward = self.first[class as usize];
            }
        } else if name.definition == NONE {
            name.definition = class;
        } else {
            name.ambiguous = true;
        }
    }

    /// For each class, whether it refers to a name that is not clear, at whatever distance;
    /// `None` when all names are clear.
    pub(super) fn open(&self, records: &Records<'_>) -> Option<Vec<bool>> {
        if self.names.iter().all(|name| name.is_clear()) {
            return None;
        }
        // Names are numbered behind the classes. From a class or name to the classes that refer
        // to it; from a class to the name that stands for it.
        let count = self.first.len();
        let each = |f: Items<'_>| {
            for class in 0..count {
                let own_name = self.name[class];
                if own_name != NONE {
                    f(offset(class), offset(count) + own_name);
                }
                let record = records.get(self.first[class] as usize);
                let Some(shape) = shape(kind_of(record)) else {
                    continue;
                };
                shape.refs(record, |kid| {
                    let kid = self.class[kid as usize];
                    let seen = match self.name[kid as usize] {
                        NONE => kid,
                        name => offset(count) + name,
                    };
                    f(seen, offset(class));
                });
            }
        };
        let edges = Lists::new(count + self.names.len(), each);
        let mut open = vec![false; count + self.names.len()];
        let mut stack = Vec::new();
        for (at, name) in self.names.iter().enumerate() {
            if !name.is_clear() {
                open[count + at] = true;
                stack.push(offset(count + at));
            }
        }
        // all that have such a name, also those that refer to nothing
        for (class, name) in self.name.iter().enumerate() {
            if *name != NONE && open[count + *name as usize] {
                open[class] = true;
                stack.push(offset(class));
            }
        }
        while let Some(at) = stack.pop() {
            for to in edges.of(at) {
                let to_open = &mut open[*to as usize];
                if !*to_open {
                    *to_open = true;
                    stack.push(*to);
                }
            }
        }
        // declarations of an open name
        for class in 0..count {
            let name = self.name[class];
            if name != NONE && open[count + name as usize] {
                open[class] = true;
            }
        }
        open.truncate(count);
        Some(open)
    }

    /// Class of the definition that the declarations of a class stand for.
    fn definition_of(&self, class: u32) -> Option<u32> {
        let name = self.names.get(self.name[class as usize] as usize)?;
        (name.is_clear() && name.definition != NONE).then_some(name.definition)
    }

    /// For each class itself; for one of declarations that of the definition, [`DECLARED`], where
    /// the name is clear.
    pub(super) fn settled(&self) -> Vec<u32> {
        let settled = |class| match self.definition_of(class) {
            Some(definition) if definition != class => definition | DECLARED,
            _ => class,
        };
        (0..offset(self.first.len())).map(settled).collect()
    }
}

/// Takes the number of a list, and an item for it.
pub(super) type Items<'f> = &'f mut dyn FnMut(u32, u32);

/// Lists of numbers, one after the other.
#[derive(Debug, Default)]
pub(super) struct Lists {
    pub(super) starts: Vec<u32>,
    pub(super) items: Vec<u32>,
}

impl Lists {
    /// `each` calls with the number of a list and an item for it, twice the same.
    pub(super) fn new(count: usize, each: impl Fn(Items<'_>)) -> Self {
        let mut starts = vec![0; count + 2];
        each(&mut |list, _| starts[list as usize + 2] += 1);
        let mut sum = 0;
        for start in &mut starts {
            sum += *start;
            *start = sum;
        }
        let mut items = vec![0; sum as usize];
        each(&mut |list, item| {
            let at = &mut starts[list as usize + 1];
            items[*at as usize] = item;
            *at += 1;
        });
        starts.pop();
        Self { starts, items }
    }

    #[inline]
    pub(super) fn of(&self, at: u32) -> &[u32] {
        let at = at as usize;
        &self.items[self.starts[at] as usize..self.starts[at + 1] as usize]
    }
}

/// Numbers, from 0 on, for hashes.
#[derive(Debug)]
struct Index {
    slots: Vec<(u64, u32)>,
    used: u32,
}

impl Index {
    fn new() -> Self {
        Self {
            slots: vec![(0, NONE); 1 << 12],
            used: 0,
        }
    }

    /// The number of a hash; a new one gets the count so far.
    #[inline]
    fn number(&mut self, hash: u64) -> u32 {
        let mask = self.slots.len() - 1;
        let mut at = (hash >> 7) as usize & mask;
        loop {
            let slot = &mut self.slots[at];
            if slot.1 == NONE {
                *slot = (hash, self.used);
                self.used += 1;
                if self.used as usize * 2 > self.slots.len() {
                    self.grow();
                }
                return self.used - 1;
            }
            if slot.0 == hash {
                return slot.1;
            }
            at = (at + 1) & mask;
        }
    }

    #[cold]
    fn grow(&mut self) {
        let size = self.slots.len() * 4;
        let old = core::mem::replace(&mut self.slots, vec![(0, NONE); size]);
        for slot in old.into_iter().filter(|slot| slot.1 != NONE) {
            let mut at = (slot.0 >> 7) as usize & (size - 1);
            while self.slots[at].1 != NONE {
                at = (at + 1) & (size - 1);
            }
            self.slots[at] = slot;
        }
    }
}
