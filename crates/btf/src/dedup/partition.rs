//! The coarsest classes such that types of one class say the same and refer to the same
//! classes.
//!
//! All types that could be the same start in one class. A class is split when its types refer
//! to types of different classes; the types that refer to what got a new class are then looked
//! at again. The largest part keeps its class, so each type changes its class few times, and
//! the work is bounded by the size of the input times a logarithm, whatever the input is.
//! Cycles need no care, and nothing recurses.
//!
//! What types say is compared by hash at first; [`Partition::verify`] compares it in full.
//!
//! Numbers here come from the graph, never from the input: indexing cannot fail.

use std::collections::HashMap;

use super::graph::{Graph, Lists, Records, offset, same_label};
use crate::hash::Key;

/// Rounds in which hashes take in those of the types referred to, before there are classes.
const ROUNDS: usize = 3;
/// No group.
const NONE: u32 = u32::MAX;

/// The members of a class: a range of [`Partition::order`].
#[derive(Clone, Copy, Debug)]
struct Members {
    first: u32,
    end: u32,
    /// How many at the start are to be looked at again.
    dirty: u32,
}

#[derive(Debug)]
pub(super) struct Partition<'g> {
    graph: &'g Graph,
    key: Key,
    /// Class of each type; a declaration has that of its definition as long as it can.
    class: Vec<u32>,
    /// All types, those of a class together.
    order: Vec<u32>,
    /// Where in `order` each type is.
    place: Vec<u32>,
    members: Vec<Members>,
    /// Classes with dirty members.
    queue: Vec<u32>,
    /// Types that refer to a type, as far as that can matter.
    parents: Lists,
    /// The group whose first definition a type is.
    group_of: HashMap<u32, usize>,
    is_definition: Vec<bool>,
    /// Which groups' declarations stand for their definition.
    resolved: Vec<bool>,
    /// Types with their hash, of the class at hand.
    hashed: Vec<(u64, u32)>,
}

impl<'g> Partition<'g> {
    pub(super) fn new(graph: &'g Graph, key: Key) -> Self {
        let count = graph.len();
        let resolved: Vec<bool> = graph
            .groups
            .iter()
            .map(|group| {
                let mut labels = group
                    .definitions
                    .iter()
                    .map(|id| graph.labels[*id as usize]);
                labels
                    .next()
                    .is_some_and(|first| labels.all(|label| label == first))
            })
            .collect();
        let mut this = Self {
            graph,
            key,
            class: Vec::new(),
            order: Vec::new(),
            place: vec![0; count],
            members: Vec::new(),
            queue: Vec::new(),
            parents: Lists {
                starts: Vec::new(),
                items: Vec::new(),
            },
            group_of: HashMap::new(),
            is_definition: vec![false; count],
            resolved,
            hashed: Vec::new(),
        };
        for at in 0..graph.groups.len() {
            if let Some(first) = this.definition(at) {
                this.group_of.insert(first, at);
                this.is_definition[first as usize] = true;
            }
        }
        let hashes = this.spread();
        this.classify(&hashes);
        this.find_parents();
        this.enqueue_all();
        this
    }

    /// The definition that a group's declarations stand for.
    fn definition(&self, group: usize) -> Option<u32> {
        let first = self.graph.groups[group].definitions.first();
        first.copied().filter(|_| self.resolved[group])
    }

    /// Gives the declarations of resolved groups what their definition has.
    fn copy_to_forwards<T: Copy>(&self, values: &mut [T]) {
        for (at, group) in self.graph.groups.iter().enumerate() {
            if let Some(definition) = self.definition(at) {
                for forward in &group.forwards {
                    values[*forward as usize] = values[definition as usize];
                }
            }
        }
    }

    /// Hashes of the types and what they refer to, some steps deep.
    fn spread(&self) -> Vec<u64> {
        let (graph, key) = (self.graph, self.key);
        let mut hashes = graph.labels.clone();
        self.copy_to_forwards(&mut hashes);
        let mut next = vec![0; hashes.len()];
        for _ in 0..ROUNDS {
            for (id, new) in next.iter_mut().enumerate() {
                let kids = graph.kids.of(offset(id));
                *new = if kids.is_empty() {
                    hashes[id]
                } else {
                    let hash = kids
                        .iter()
                        .fold(hashes[id], |hash, kid| key.add(hash, hashes[*kid as usize]));
                    key.end(hash)
                };
            }
            core::mem::swap(&mut hashes, &mut next);
            self.copy_to_forwards(&mut hashes);
        }
        hashes
    }

    /// The first classes: types of equal hashes.
    fn classify(&mut self, hashes: &[u64]) {
        let mask = (hashes.len() * 2).next_power_of_two() - 1;
        // the class plus one, and a type of it
        let mut table = vec![0u32; mask + 1];
        let mut firsts: Vec<u32> = Vec::new();
        let mut sizes: Vec<u32> = Vec::new();
        self.class.reserve(hashes.len());
        for (id, hash) in hashes.iter().enumerate() {
            #[expect(clippy::cast_possible_truncation, reason = "the low bits of a hash")]
            let mut at = *hash as usize & mask;
            let class = loop {
                match table[at].checked_sub(1) {
                    None => {
                        table[at] = offset(firsts.len()) + 1;
                        firsts.push(offset(id));
                        sizes.push(0);
                        break offset(firsts.len() - 1);
                    }
                    Some(class) if hashes[firsts[class as usize] as usize] == *hash => break class,
                    Some(_) => at = (at + 1) & mask,
                }
            };
            self.class.push(class);
            sizes[class as usize] += 1;
        }
        // declarations that stand for a definition are in no class of their own
        for (at, group) in self.graph.groups.iter().enumerate() {
            if self.resolved[at] {
                for forward in &group.forwards {
                    sizes[self.class[*forward as usize] as usize] -= 1;
                    self.place[*forward as usize] = NONE;
                }
            }
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
            if self.place[id] != NONE {
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
        let graph = self.graph;
        let count = graph.len();
        let mut matters: Vec<bool> = (0..offset(count))
            .map(|id| !graph.kids.of(id).is_empty() && !self.is_single(id))
            .collect();
        let parents: Vec<u32> = (0..offset(count))
            .filter(|id| matters[*id as usize])
            .collect();
        for (at, group) in graph.groups.iter().enumerate() {
            if self.resolved[at] {
                for forward in &group.forwards {
                    matters[*forward as usize] = true;
                }
            }
        }
        let mut starts = vec![0; count + 2];
        for parent in &parents {
            for kid in graph.kids.of(*parent) {
                if matters[*kid as usize] {
                    starts[*kid as usize + 2] += 1;
                }
            }
        }
        let mut sum = 0;
        for start in &mut starts {
            sum += *start;
            *start = sum;
        }
        let mut items = vec![0; sum as usize];
        for parent in &parents {
            for kid in graph.kids.of(*parent) {
                if matters[*kid as usize] {
                    let at = &mut starts[*kid as usize + 1];
                    items[*at as usize] = *parent;
                    *at += 1;
                }
            }
        }
        starts.pop();
        self.parents = Lists { starts, items };
    }

    fn enqueue_all(&mut self) {
        for class in 0..self.members.len() {
            let members = &mut self.members[class];
            let first = members.first;
            if members.end - first > 1 {
                let one = self.order[first as usize];
                if !self.graph.kids.of(one).is_empty() {
                    members.dirty = members.end - first;
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
            for group in 0..self.graph.groups.len() {
                if self.resolved[group] && self.differ(group) {
                    self.unresolve(group);
                }
            }
            if self.queue.is_empty() {
                return;
            }
        }
    }

    fn differ(&self, group: usize) -> bool {
        let mut classes = self.graph.groups[group]
            .definitions
            .iter()
            .map(|id| self.class[*id as usize]);
        let first = classes.next();
        classes.any(|class| Some(class) != first)
    }

    fn unresolve(&mut self, group: usize) {
        let graph = self.graph;
        self.resolved[group] = false;
        let group = &graph.groups[group];
        let class = match group.base_forward {
            Some(id) => self.class[id as usize],
            None => {
                // Its types refer to nothing: it is never looked at again.
                self.members.push(Members {
                    first: 0,
                    end: 0,
                    dirty: 0,
                });
                offset(self.members.len() - 1)
            }
        };
        for forward in &group.forwards {
            self.class[*forward as usize] = class;
            self.touch_parents_of(*forward);
        }
    }

    /// Hash of the classes that a type refers to.
    #[inline]
    fn hash(&self, id: u32) -> u64 {
        let kids = self.graph.kids.of(id).iter();
        let hash = kids.fold(self.key.start(0), |hash, kid| {
            self.key.add(hash, u64::from(self.class[*kid as usize]))
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
                Some(last) if rest.is_some() && hashed.last().map(|(h, _)| *h) == rest => {
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
            if self.is_definition[id as usize]
                && let Some(group) = self.group_of.get(&id)
                && self.resolved[*group]
            {
                let graph = self.graph;
                for forward in &graph.groups[*group].forwards {
                    self.class[*forward as usize] = self.class[id as usize];
                    self.touch_parents_of(*forward);
                }
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
        let mut class = 0;
        while class < self.members.len() {
            let Members { first, end, .. } = self.members[class];
            class += 1;
            if end - first < 2 {
                continue;
            }
            let members = first as usize..end as usize;
            let one = self.order[members.start];
            let differs = |id: u32| !self.same(records, one, id);
            if !self.order[members.clone()].iter().any(|id| differs(*id)) {
                continue;
            }
            let (mut same, other): (Vec<_>, Vec<_>) =
                self.order[members].iter().partition(|id| !differs(**id));
            let middle = first + offset(same.len());
            same.extend(other);
            for (place, id) in (first..).zip(same) {
                self.order[place as usize] = id;
                self.place[id as usize] = place;
            }
            let parts = [(first, middle), (middle, end)];
            self.divide(offset(class - 1), &parts, &mut changed);
            // the part that keeps the class may have further differences
            class -= 1;
        }
        let sound = changed.is_empty();
        self.touch_parents(&mut changed);
        sound
    }

    fn same(&self, records: &Records<'_>, one: u32, other: u32) -> bool {
        if one == other {
            return true;
        }
        let kids = |id| {
            self.graph
                .kids
                .of(id)
                .iter()
                .map(|kid| self.class[*kid as usize])
        };
        one != 0
            && other != 0
            && kids(one).eq(kids(other))
            && same_label(records.get(one as usize), records.get(other as usize))
    }

    /// For each type the one that stands for it: the first of its class, never a declaration
    /// where there is a definition.
    pub(super) fn canonical(&self) -> Vec<u32> {
        let mut first = vec![NONE; self.members.len()];
        let mut stands_for = vec![false; self.class.len()];
        for (at, group) in self.graph.groups.iter().enumerate() {
            if self.resolved[at] {
                for forward in &group.forwards {
                    stands_for[*forward as usize] = true;
                }
            }
        }
        for (id, class) in self.class.iter().enumerate() {
            let first = &mut first[*class as usize];
            if *first == NONE && !stands_for[id] {
                *first = offset(id);
            }
        }
        self.class
            .iter()
            .map(|class| first[*class as usize])
            .collect()
    }
}
