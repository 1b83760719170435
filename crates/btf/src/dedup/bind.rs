//! What a declaration stands for when there are different definitions of its name.
//!
//! What refers to the declaration tells: a struct that has a pointer to it, and is else the same
//! as one with a pointer to a definition, is taken to be that one, and the declaration that
//! definition, here and for all else that refers to it. The structs are compared side by side;
//! a declaration that was given a definition keeps it.

use std::collections::HashMap;

use super::classes::{Classes, Items, Lists, NONE};
use super::partition::{FIXED, Group, Partition};
use super::records::{Records, Role, offset, role};
use crate::Kind;
use crate::build::shape::kind_of;

/// Comparisons per type that are allowed in all.
const WORK: usize = 64;
/// Comparisons that one attempt may take.
const ATTEMPT: usize = 1 << 14;
/// Types that say the same and are different; with more, declarations are not looked at.
const VERSIONS: usize = 64;

/// Types that are taken to be the same, as trees whose roots stand for all.
#[derive(Debug)]
struct Same<'p> {
    partition: &'p Partition,
    classes: &'p Classes,
    /// Class of each type by what it says.
    text: Vec<u32>,
    is_forward: Vec<bool>,
    /// How many types at the start are of the base.
    of_base: u32,
    up: Vec<u32>,
    size: Vec<u32>,
    /// The definition, if there is one, by root.
    shows: Vec<u32>,
    /// Roots put below others in this attempt, and what these showed.
    log: Vec<(u32, u32)>,
    stack: Vec<(u32, u32)>,
    work: usize,
}

/// For each own declaration what it stands for, as far as that can be told.
pub(super) fn bind(
    records: &Records<'_>,
    classes: &Classes,
    partition: &Partition,
) -> HashMap<u32, u32> {
    let mut bound = HashMap::new();
    let ambiguous = |group: &&Group| !group.resolved && !group.definitions.is_empty();
    if !partition.groups.iter().any(|group| ambiguous(&group)) {
        return bound;
    }
    let ids = partition.chosen.ids();
    let canonical = partition.first_of_class();
    let loose = loose(partition, &canonical);
    let record = |id: &u32| records.get(*id as usize);
    let mut same = Same {
        partition,
        classes,
        text: ids.iter().map(|id| classes.class[*id as usize]).collect(),
        is_forward: ids
            .iter()
            .map(|id| role(kind_of(record(id)), record(id)).0 == Role::Forward)
            .collect(),
        of_base: offset(ids.partition_point(|id| (*id as usize) < records.first_own())),
        up: canonical
            .iter()
            .enumerate()
            .map(|(at, one)| {
                if loose[*one as usize] {
                    offset(at)
                } else {
                    *one
                }
            })
            .collect(),
        size: vec![1; ids.len()],
        shows: (0..offset(ids.len())).collect(),
        log: Vec::new(),
        stack: Vec::new(),
        work: ids.len().saturating_mul(WORK),
    };
    // roots of the types that were found to be different, by what they say
    let mut versions: HashMap<u32, Vec<u32>> = HashMap::new();
    // a typedef says less than a struct
    for kinds in [&[Kind::Struct, Kind::Union][..], &[Kind::Typedef]] {
        for (at, id) in ids.iter().enumerate() {
            if !kinds.contains(&kind_of(record(id))) {
                continue;
            }
            let root = same.root(offset(at));
            let versions = versions.entry(same.text[at]).or_default();
            if versions.iter().any(|version| same.root(*version) == root) {
                continue;
            }
            let found = versions.iter().any(|version| same.unify(*version, root));
            if !found && versions.len() < VERSIONS {
                versions.push(root);
            }
        }
    }
    for group in &partition.groups {
        for forward in &group.forwards {
            let shown = same.shows[same.root(*forward) as usize];
            if !same.is_forward[shown as usize] {
                bound.insert(ids[*forward as usize], ids[shown as usize]);
            }
        }
    }
    bound
}

/// Which types, of those that stand for others, refer to an ambiguous declaration at whatever
/// distance.
fn loose(partition: &Partition, canonical: &[u32]) -> Vec<bool> {
    let parents = Lists::new(canonical.len(), |f: Items<'_>| {
        for (id, one) in canonical.iter().enumerate() {
            if id == *one as usize {
                for kid in partition.kids.of(*one).iter().filter(|kid| **kid < FIXED) {
                    f(canonical[*kid as usize], *one);
                }
            }
        }
    });
    let mut loose = vec![false; canonical.len()];
    let mut stack = Vec::new();
    for group in partition.groups.iter().filter(|group| !group.resolved) {
        if let Some(forward) = group.forwards.first()
            && !group.definitions.is_empty()
        {
            let one = canonical[*forward as usize];
            loose[one as usize] = true;
            stack.push(one);
        }
    }
    while let Some(id) = stack.pop() {
        for parent in parents.of(id) {
            let parent_loose = &mut loose[*parent as usize];
            if !*parent_loose {
                *parent_loose = true;
                stack.push(*parent);
            }
        }
    }
    loose
}

impl Same<'_> {
    fn root(&self, mut id: u32) -> u32 {
        while self.up[id as usize] != id {
            id = self.up[id as usize];
        }
        id
    }

    /// Takes two types to be the same, and all that they refer to; not if anything says that
    /// they are not.
    fn unify(&mut self, one: u32, other: u32) -> bool {
        self.log.clear();
        self.stack.clear();
        self.stack.push((one, other));
        let mut left = ATTEMPT.min(self.work);
        let start = left;
        let mut ok = true;
        while let Some((one, other)) = self.stack.pop() {
            if one == other {
                continue;
            }
            if one.max(other) >= FIXED {
                ok = false;
                break;
            }
            let (one, other) = (self.root(one), self.root(other));
            if one == other {
                continue;
            }
            if left == 0 || !self.join(one, other) {
                ok = false;
                break;
            }
            left -= 1;
        }
        self.work = self.work.saturating_sub(start - left + 1);
        if !ok {
            while let Some((below, shown)) = self.log.pop() {
                let above = self.up[below as usize];
                self.up[below as usize] = below;
                self.size[above as usize] -= self.size[below as usize];
                self.shows[above as usize] = shown;
            }
        }
        ok
    }

    fn join(&mut self, one: u32, other: u32) -> bool {
        let (shown, other_shown) = (self.shows[one as usize], self.shows[other as usize]);
        let classes = self.classes;
        let class = |at: u32| self.text[at as usize];
        let forward = |at: u32| self.is_forward[at as usize];
        let shows = match (forward(shown), forward(other_shown)) {
            (false, false) => {
                if class(shown) != class(other_shown) {
                    return false;
                }
                let kids = self.partition.kids.of(shown).iter();
                let other_kids = self.partition.kids.of(other_shown);
                if kids.len() != other_kids.len() {
                    return false;
                }
                self.stack
                    .extend(kids.copied().zip(other_kids.iter().copied()));
                shown.min(other_shown)
            }
            (first, second) => {
                let name = |at: u32| classes.name[class(at) as usize];
                if name(shown) == NONE || name(shown) != name(other_shown) {
                    return false;
                }
                let (declared, definition) = if first {
                    (shown, other_shown)
                } else {
                    (other_shown, shown)
                };
                if first && second {
                    // the base's stays
                    shown.min(other_shown)
                } else if declared < self.of_base {
                    return false;
                } else {
                    definition
                }
            }
        };
        let (above, below) = if self.size[one as usize] >= self.size[other as usize] {
            (one, other)
        } else {
            (other, one)
        };
        self.log.push((below, self.shows[above as usize]));
        self.up[below as usize] = above;
        self.size[above as usize] += self.size[below as usize];
        self.shows[above as usize] = shows;
        true
    }
}
