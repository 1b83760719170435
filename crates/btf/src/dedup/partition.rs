//! The coarsest classes such that types of one class say the same and refer to the same
//! classes.
//!
//! All types that could be the same start in one class. A class is split when its types refer
//! to types of different classes; the types that refer to what got a new class are then looked
//! at again. The largest part keeps its class, so each type changes its class few times, and
//! the work is bounded by the size of the input times a logarithm, whatever the input is.
//! Cycles need no care, and nothing recurses.
//!
//! Numbers here come from the graph, never from the input: indexing cannot fail.

use std::collections::HashMap;

use super::chosen::Chosen;
use super::classes::{Classes, DECLARED, Items, Lists, NONE};
use super::records::{Records, Role, equal, offset, role};
use crate::build::shape::{kind_of, shape};
use crate::hash::Key;

/// Declarations of one struct, union or enumeration, and its definitions.
#[derive(Debug, Default)]
pub(super) struct Group {
    /// Own declarations.
    pub(super) forwards: Vec<u32>,
    /// Definitions, own and the base's, ascending.
    pub(super) definitions: Vec<u32>,
    /// A declaration that the base has, or [`NONE`].
    base_forward: u32,
    /// Whether the declarations stand for the first definition.
    pub(super) resolved: bool,
}

/// The members of a class: a range of [`Partition::order`].
#[derive(Clone, Copy, Debug)]
struct Members {
    first: u32,
    end: u32,
    /// How many at the start are to be looked at again.
    dirty: u32,
}

/// Marks a class of types that are not looked at, in the place of a type.
pub(super) const FIXED: u32 = 1 << 31;

/// The types that may be split; all numbers here are positions among them.
#[derive(Debug)]
pub(super) struct Partition {
    key: Key,
    /// Ids of the types.
    pub(super) chosen: Chosen,
    /// What each type refers to: positions, and classes that are [`FIXED`].
    pub(super) kids: Lists,
    /// Class of each type; a declaration has that of its definition as long as it can.
    class: Vec<u32>,
    /// Declarations that have the class of a definition.
    stands_for: Vec<bool>,
    /// All other types, those of a class together.
    order: Vec<u32>,
    /// Where in `order` each type is.
    place: Vec<u32>,
    members: Vec<Members>,
    /// Classes with dirty members.
    queue: Vec<u32>,
    /// Types that refer to a type, as far as that can matter.
    parents: Lists,
    pub(super) groups: Vec<Group>,
    /// The groups whose first definition a type is.
    groups_of: HashMap<u32, Vec<usize>>,
    is_definition: Vec<bool>,
    /// Types with their hash, of the class at hand.
    hashed: Vec<(u64, u32)>,
}

impl Partition {
    /// Starts with `classes`, of which those that are `open` may be split. Declarations that are
    /// `bound` stand for what they are bound to.
    pub(super) fn new(
        records: &Records<'_>,
        classes: &Classes,
        open: impl Fn(u32) -> bool,
        bound: &HashMap<u32, u32>,
        key: Key,
    ) -> Self {
        let settled = classes.settled();
        let settled = |id: u32| settled[classes.class[id as usize] as usize] & !DECLARED;
        let chosen = Chosen::new(classes.class.len(), |id| open(classes.class[id]));
        let mut kids = Lists::default();
        kids.starts.push(0);
        for id in chosen.ids() {
            let record = records.get(*id as usize);
            if let Some(shape) = shape(kind_of(record)) {
                shape.refs(record, |kid| {
                    let position = chosen.position(kid);
                    kids.items
                        .push(position.unwrap_or_else(|| FIXED | settled(kid)));
                });
            }
            kids.starts.push(offset(kids.items.len()));
        }
        let class = |id: &u32| classes.class[*id as usize];
        let class: Vec<u32> = chosen.ids().iter().map(class).collect();
        let count = class.len();
        let mut this = Self {
            key,
            class,
            chosen,
            kids,
            stands_for: vec![false; count],
            order: Vec::new(),
            place: vec![0; count],
            members: Vec::new(),
            queue: Vec::new(),
            parents: Lists::default(),
            groups: Vec::new(),
            groups_of: HashMap::new(),
            is_definition: vec![false; count],
            hashed: Vec::new(),
        };
        this.find_groups(records, classes, bound);
        this.collect_members(classes.first.len());
        this.find_parents();
        this.enqueue_all();
        this
    }

    fn find_groups(&mut self, records: &Records<'_>, classes: &Classes, bound: &HashMap<u32, u32>) {
        let chosen = core::mem::take(&mut self.chosen);
        let tag = |id: u32| {
            let record = records.get(id as usize);
            let (role, kind) = role(kind_of(record), record);
            let name = record.first().copied().unwrap_or_default();
            (role, (kind, name))
        };
        let mut by_tag = HashMap::new();
        let mut by_definition = HashMap::new();
        let new_group = |groups: &mut Vec<Group>| {
            groups.push(Group {
                base_forward: NONE,
                ..Group::default()
            });
            groups.len() - 1
        };
        for forward in &classes.forwards {
            let Some(at) = chosen.position(*forward) else {
                continue;
            };
            let definition = bound.get(forward).and_then(|id| chosen.position(*id));
            let group = if let Some(definition) = definition {
                *by_definition.entry(definition).or_insert_with(|| {
                    let group = new_group(&mut self.groups);
                    self.groups[group].definitions.push(definition);
                    group
                })
            } else {
                *by_tag
                    .entry(tag(*forward).1)
                    .or_insert_with(|| new_group(&mut self.groups))
            };
            self.groups[group].forwards.push(at);
        }
        let named = |id: u32| classes.name[classes.class[id as usize] as usize] != NONE;
        for (at, id) in (0..).zip(chosen.ids()) {
            if by_tag.is_empty() || !named(*id) {
                continue;
            }
            let (role, tag) = tag(*id);
            if let Some(group) = by_tag.get(&tag) {
                let group = &mut self.groups[*group];
                if role == Role::Definition {
                    group.definitions.push(at);
                } else if (*id as usize) < records.first_own() {
                    group.base_forward = at;
                }
            }
        }
        self.chosen = chosen;
        for (at, group) in self.groups.iter_mut().enumerate() {
            let mut all = group.definitions.iter();
            // the base's declaration stays, and own ones that nothing tells apart go with it
            if group.base_forward == NONE
                && let Some(first) = all.next()
                && all.all(|id| self.class[*id as usize] == self.class[*first as usize])
            {
                group.resolved = true;
                self.groups_of.entry(*first).or_default().push(at);
                self.is_definition[*first as usize] = true;
                for forward in &group.forwards {
                    self.class[*forward as usize] = self.class[*first as usize];
                    self.stands_for[*forward as usize] = true;
                }
            }
        }
    }

    /// Puts the types of each class together.
    fn collect_members(&mut self, count: usize) {
        let mut sizes = vec![0; count];
        let counted = |(class, stands_for): (&u32, &bool)| (!stands_for).then_some(*class);
        for class in self.class.iter().zip(&self.stands_for).filter_map(counted) {
            sizes[class as usize] += 1;
        }
        let mut first = 0;
        self.members = sizes
            .iter()
            .map(|size| {
                let start = first;
                first += size;
                Members {
                    first: start,
                    end: start,
                    dirty: 0,
                }
            })
            .collect();
        self.order = vec![0; first as usize];
        for (id, class) in self.class.iter().enumerate() {
            if !self.stands_for[id] {
                let members = &mut self.members[*class as usize];
                self.order[members.end as usize] = offset(id);
                self.place[id] = members.end;
                members.end += 1;
            }
        }
    }

    fn is_single(&self, id: u32) -> bool {
        let members = self.members[self.class[id as usize] as usize];
        members.end - members.first < 2
    }

    /// Collects who refers to a type, where both can still change.
    fn find_parents(&mut self) {
        let count = offset(self.class.len());
        let mut matters: Vec<bool> = (0..count)
            .map(|id| !self.kids.of(id).is_empty() && !self.is_single(id))
            .collect();
        let parents: Vec<u32> = (0..count).filter(|id| matters[*id as usize]).collect();
        for group in self.groups.iter().filter(|group| group.resolved) {
            for forward in &group.forwards {
                matters[*forward as usize] = true;
            }
        }
        self.parents = Lists::new(self.class.len(), |f: Items<'_>| {
            for parent in &parents {
                for kid in self.kids.of(*parent) {
                    if *kid < FIXED && matters[*kid as usize] {
                        f(*kid, *parent);
                    }
                }
            }
        });
    }

    fn enqueue_all(&mut self) {
        for (class, members) in self.members.iter_mut().enumerate() {
            let size = members.end - members.first;
            if size > 1 {
                let one = self.order[members.first as usize];
                if !self.kids.of(one).is_empty() {
                    members.dirty = size;
                    self.queue.push(offset(class));
                }
            }
        }
    }

    /// Splits until nothing is left to split. Declarations whose definitions turn out to differ
    /// stand for themselves from then on.
    pub(super) fn refine(&mut self) {
        let mut changed = Vec::new();
        loop {
            while let Some(class) = self.queue.pop() {
                self.split(class, &mut changed);
                self.touch_parents(&mut changed);
            }
            for group in 0..self.groups.len() {
                if self.groups[group].resolved && self.differ(group) {
                    self.unresolve(group);
                }
            }
            if self.queue.is_empty() {
                return;
            }
        }
    }

    fn differ(&self, group: usize) -> bool {
        let definitions = &self.groups[group].definitions;
        let mut classes = definitions.iter().map(|id| self.class[*id as usize]);
        let first = classes.next();
        classes.any(|class| Some(class) != first)
    }

    fn unresolve(&mut self, group: usize) {
        self.groups[group].resolved = false;
        // Its types refer to nothing: it is never looked at again.
        self.members.push(Members {
            first: 0,
            end: 0,
            dirty: 0,
        });
        let class = offset(self.members.len() - 1);
        let forwards = core::mem::take(&mut self.groups[group].forwards);
        for forward in &forwards {
            self.stands_for[*forward as usize] = false;
            self.class[*forward as usize] = class;
            self.touch_parents_of(*forward);
        }
        self.groups[group].forwards = forwards;
    }

    /// The class of what a type refers to.
    #[inline]
    fn class_of(&self, kid: u32) -> u32 {
        if kid < FIXED {
            self.class[kid as usize]
        } else {
            kid
        }
    }

    /// Hash of the classes that a type refers to.
    #[inline]
    fn hash(&self, id: u32) -> u64 {
        let kids = self.kids.of(id).iter();
        let hash = kids.fold(self.key.start(0), |hash, kid| {
            self.key.add(hash, u64::from(self.class_of(*kid)), 0)
        });
        self.key.end(hash)
    }

    /// Parts a class by what its members refer to. Those not dirty all refer to the same.
    fn split(&mut self, class: u32, changed: &mut Vec<u32>) {
        let Members { first, end, dirty } = self.members[class as usize];
        self.members[class as usize].dirty = 0;
        if end - first < 2 {
            return;
        }
        let mut hashed = core::mem::take(&mut self.hashed);
        hashed.clear();
        let looked_at = first as usize..(first + dirty) as usize;
        hashed.extend(self.order[looked_at].iter().map(|id| (self.hash(*id), *id)));
        let rest = (dirty < end - first).then(|| self.hash(self.order[(first + dirty) as usize]));
        let main = rest.or(hashed.first().map(|(hash, _)| *hash));
        if hashed.iter().any(|(hash, _)| Some(*hash) != main) {
            // those that go with the rest come last
            hashed.sort_unstable_by_key(|(hash, _)| (Some(*hash) == rest, *hash));
            for (place, (_, id)) in (first..).zip(&hashed) {
                self.order[place as usize] = *id;
                self.place[*id as usize] = place;
            }
            let mut parts: Vec<(u32, u32)> = Vec::new();
            let mut start = first;
            for part in hashed.chunk_by(|(one, _), (other, _)| one == other) {
                let stop = start + offset(part.len());
                parts.push((start, stop));
                start = stop;
            }
            match parts.last_mut() {
                Some(last) if rest.is_some() && hashed.last().map(|(hash, _)| *hash) == rest => {
                    last.1 = end;
                }
                _ if rest.is_some() => parts.push((start, end)),
                _ => {}
            }
            self.divide(class, &parts, changed);
        }
        self.hashed = hashed;
    }

    /// Gives all parts of a class but the largest new classes.
    fn divide(&mut self, class: u32, parts: &[(u32, u32)], changed: &mut Vec<u32>) {
        let largest = parts.iter().max_by_key(|(first, end)| end - first);
        for part in parts {
            let (first, end) = *part;
            let members = Members {
                first,
                end,
                dirty: 0,
            };
            if Some(part) == largest {
                self.members[class as usize] = members;
                continue;
            }
            let new = offset(self.members.len());
            self.members.push(members);
            for id in &self.order[first as usize..end as usize] {
                self.class[*id as usize] = new;
                changed.push(*id);
            }
        }
    }

    /// Those who refer to types of new classes are to be looked at again.
    fn touch_parents(&mut self, changed: &mut Vec<u32>) {
        for id in changed.drain(..) {
            self.touch_parents_of(id);
            if !self.is_definition[id as usize] {
                continue;
            }
            for group in self.groups_of.get(&id).cloned().unwrap_or_default() {
                if !self.groups[group].resolved {
                    continue;
                }
                let forwards = core::mem::take(&mut self.groups[group].forwards);
                for forward in &forwards {
                    self.class[*forward as usize] = self.class[id as usize];
                    self.touch_parents_of(*forward);
                }
                self.groups[group].forwards = forwards;
            }
        }
    }

    fn touch_parents_of(&mut self, id: u32) {
        let range = self.parents.starts[id as usize]..self.parents.starts[id as usize + 1];
        for at in range {
            let parent = self.parents.items[at as usize];
            let class = self.class[parent as usize];
            let members = &mut self.members[class as usize];
            let place = self.place[parent as usize];
            let clean = members.first + members.dirty;
            if members.end - members.first < 2 || place < clean {
                continue;
            }
            if members.dirty == 0 {
                self.queue.push(class);
            }
            members.dirty += 1;
            let other = self.order[clean as usize];
            self.order.swap(clean as usize, place as usize);
            self.place[parent as usize] = clean;
            self.place[other as usize] = place;
        }
    }

    /// Compares the types of each class in full. Where hashes were equal by chance the class is
    /// split, and `false` the answer: [`refine`](Self::refine) has to go on.
    pub(super) fn verify(&mut self, records: &Records<'_>) -> bool {
        let mut changed = Vec::new();
        let mut at = 0;
        while at < self.members.len() {
            let Members { first, end, .. } = self.members[at];
            let class = at;
            at += 1;
            if end - first < 2 {
                continue;
            }
            let members = &self.order[first as usize..end as usize];
            let one = self.order[first as usize];
            let record = |at: u32| records.get(self.chosen.ids()[at as usize] as usize);
            let kids = |at: u32| self.kids.of(at).iter().map(|kid| self.class_of(*kid));
            let same = |at: u32| {
                at == one || equal(record(one), record(at), |_, _| true) && kids(one).eq(kids(at))
            };
            let (mut all, other): (Vec<_>, Vec<_>) = members.iter().partition(|id| same(**id));
            if other.is_empty() {
                continue;
            }
            let middle = first + offset(all.len());
            all.extend(other);
            for (place, id) in (first..).zip(all) {
                self.order[place as usize] = id;
                self.place[id as usize] = place;
            }
            let parts = [(first, middle), (middle, end)];
            self.divide(offset(class), &parts, &mut changed);
            // what keeps the class may have further differences
            at = class;
        }
        let sound = changed.is_empty();
        self.touch_parents(&mut changed);
        sound
    }

    /// For each type the one that stands for it: the first of its class that is no declaration
    /// of it.
    pub(super) fn first_of_class(&self) -> Vec<u32> {
        let all = 0..self.class.len();
        first_of_class(all.map(|at| self.marked(at)).collect(), self.members.len())
    }

    /// The same for all types, by id.
    pub(super) fn canonical(&self, classes: &Classes) -> Vec<u32> {
        let settled = classes.settled();
        let of_others = offset(settled.len());
        let class = |class: &u32| settled[*class as usize];
        let mut class: Vec<u32> = classes.class.iter().map(class).collect();
        for (at, id) in self.chosen.ids().iter().enumerate() {
            // apart from the classes of the others
            class[*id as usize] = of_others + self.marked(at);
        }
        first_of_class(class, settled.len() + self.members.len())
    }

    /// Class of a type, marked if the type is a declaration.
    fn marked(&self, at: usize) -> u32 {
        let mark = if self.stands_for[at] { DECLARED } else { 0 };
        self.class[at] | mark
    }
}

/// The first type of each type's class that is not [`DECLARED`], in the place of the class.
pub(super) fn first_of_class(mut class: Vec<u32>, count: usize) -> Vec<u32> {
    let mut first = vec![NONE; count];
    for (id, class) in class.iter().enumerate() {
        // that of a declaration has no place
        if let Some(first) = first.get_mut(*class as usize)
            && *first == NONE
        {
            *first = offset(id);
        }
    }
    for class in &mut class {
        *class = first[(*class & !DECLARED) as usize];
    }
    class
}
