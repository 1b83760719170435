//! Each type once: structural deduplication.
//!
//! Two types are the same when they say the same and refer to the same types, all the way down
//! and around every cycle. A declared struct, union or enumeration is the same as the defined
//! one of its name, when all definitions of that name are the same. Variables and sections are
//! kept: each is a place of its own.
//!
//! What stands for a type is the first of its kind, of the base if the base has it. The order
//! of types and strings stays, so that nothing changes where there is nothing to merge.

mod bind;
mod chosen;
mod classes;
mod partition;
mod records;
mod text;

use std::collections::HashMap;

use classes::Classes;
use partition::{Partition, first_of_class};
use records::{Records, Role, base_records, equal, offset, role};

use crate::BtfError;
use crate::build::shape::{kind_of, shape};
use crate::build::{Builder, Overlap, Pool, Renumbered, record};
use crate::hash::Key;

impl Builder<'_> {
    /// Takes out types that are there twice, or in the base; then strings that no type uses.
    ///
    /// Offsets of strings change: those that others use (`.BTF.ext`) are to be added again.
    ///
    /// # Errors
    /// What could not be added before, references to no type, names outside the strings, types
    /// of unknown kinds. Nothing is taken out then.
    #[doc(alias = "btf__dedup")]
    pub fn dedup(&mut self) -> Result<Renumbered, BtfError> {
        if let Some(error) = self.error() {
            return Err(error);
        }
        let base = self.unify_names()?;
        let records = Records::new(base, &self.words, &self.starts);
        let canonical = canonical(&records, Key::random())?;
        let deduped = self.keep(canonical);
        self.drop_strings();
        Ok(deduped)
    }

    /// Equal names at equal offsets, here and in the records of the base that are returned.
    fn unify_names(&mut self) -> Result<Builder<'static>, BtfError> {
        let mut base = base_records(self.base());
        if !self.pool.is_unique() {
            self.pool.index();
            let end = usize::try_from(self.pool.end()).unwrap_or(usize::MAX);
            let mut known = vec![0; end];
            let mut overlap = Overlap::new(end);
            unify(
                &mut base.words,
                &base.starts,
                &mut self.pool,
                &mut known,
                &mut overlap,
            )?;
            unify(
                &mut self.words,
                &self.starts,
                &mut self.pool,
                &mut known,
                &mut overlap,
            )?;
        }
        Ok(base)
    }

    /// Keeps the own types that stand for themselves, and renumbers.
    fn keep(&mut self, canonical: Vec<u32>) -> Renumbered {
        let first_own = self.start_id();
        let own = (first_own..).zip(canonical.get(first_own as usize..).unwrap_or_default());
        let kept: Vec<u32> = own
            .filter(|(old, stands)| old == *stands)
            .map(|(old, _)| old)
            .collect();
        // new ids by old ones, of those kept first: what stands for a type may come after it
        let mut ids = canonical;
        for (new, old) in (first_own..).zip(&kept) {
            ids[*old as usize] = new;
        }
        let mut from = first_own as usize;
        for old in kept.iter().map(|old| *old as usize).chain([ids.len()]) {
            for at in from..old {
                ids[at] = ids[ids[at] as usize];
            }
            from = old + 1;
        }
        let removed = self.starts.len() - kept.len();
        let mut end = 0;
        for (at, old) in kept.iter().enumerate() {
            let index = (old - first_own) as usize;
            let start = self.starts[index] as usize;
            let next = self.starts.get(index + 1);
            let stop = next.map_or(self.words.len(), |next| *next as usize);
            self.words.copy_within(start..stop, end);
            self.starts[at] = offset(end);
            let record = &mut self.words[end..end + stop - start];
            if let Some(shape) = shape(kind_of(record)) {
                shape.refs_mut(record, |id| *id = ids[*id as usize]);
            }
            end += stop - start;
        }
        self.words.truncate(end);
        self.starts.truncate(kept.len());
        ids.drain(..first_own as usize);
        Renumbered::new(first_own, ids, removed)
    }

    /// Drops the own strings that no type has as a name; the others keep their order.
    fn drop_strings(&mut self) {
        let start = self.pool.start();
        let own = |name: u32| match name {
            0 => None,
            name => name.checked_sub(start).map(|own| own as usize),
        };
        // 1 for a name that is used, then its new offset
        let mut offsets = vec![0; self.pool.bytes().len()];
        for index in 0..self.starts.len() {
            let record = record(&self.words, &self.starts, index);
            if let Some(shape) = shape(kind_of(record)) {
                shape.names(record, |name| {
                    if let Some(used) = own(name).and_then(|own| offsets.get_mut(own)) {
                        *used = 1;
                    }
                });
            }
        }
        let mut pool = Pool::new(self.base());
        for (own, new) in (0u32..).zip(&mut offsets) {
            if *new != 0
                && let Ok(name) = self.pool.at(start + own)
            {
                *new = pool.push(name);
            }
        }
        if pool.bytes().len() == self.pool.bytes().len() {
            return;
        }
        for index in 0..self.starts.len() {
            let first = self.starts[index] as usize;
            let next = self.starts.get(index + 1);
            let end = next.map_or(self.words.len(), |next| *next as usize);
            let record = &mut self.words[first..end];
            if let Some(shape) = shape(kind_of(record)) {
                let _: Result<(), core::convert::Infallible> = shape.names_mut(record, |name| {
                    if let Some(new) = own(*name).and_then(|own| offsets.get(own)) {
                        *name = *new;
                    }
                    Ok(())
                });
            }
        }
        self.pool = pool;
    }
}

/// The type that stands for each.
fn canonical(records: &Records<'_>, key: Key) -> Result<Vec<u32>, BtfError> {
    let classes = Classes::new(records, key)?;
    let found = match classes.open(records) {
        None => {
            let settled = classes.settled();
            let class = |class: &u32| settled[*class as usize];
            first_of_class(classes.class.iter().map(class).collect(), settled.len())
        }
        Some(open) => {
            let open = |class: u32| open[class as usize];
            let mut partition = Partition::new(records, &classes, open, &HashMap::new(), key);
            partition.refine();
            let bound = bind::bind(records, &classes, &partition);
            if !bound.is_empty() {
                partition = Partition::new(records, &classes, open, &bound, key);
                partition.refine();
            }
            partition.canonical(&classes)
        }
    };
    if is_sound(records, &found) {
        return Ok(found);
    }
    // Hashes were equal by chance: exact, and slow.
    let mut partition = Partition::new(records, &classes, |_| true, &HashMap::new(), key);
    loop {
        partition.refine();
        if partition.verify(records) {
            return Ok(partition.canonical(&classes));
        }
    }
}

/// Whether each type says the same as the one that stands for it.
fn is_sound(records: &Records<'_>, canonical: &[u32]) -> bool {
    let mut all = canonical.iter().enumerate();
    all.all(|(id, other)| {
        if id == *other as usize {
            return true;
        }
        let (one, other) = (records.get(id), records.get(*other as usize));
        equal(one, other, |one, other| {
            canonical[one as usize] == canonical[other as usize]
        }) || declares(one, other)
    })
}

/// Whether the first record declares what the other defines.
fn declares(one: &[u32], other: &[u32]) -> bool {
    let (declaration, kind) = role(kind_of(one), one);
    let (definition, of) = role(kind_of(other), other);
    (declaration, definition) == (Role::Forward, Role::Definition)
        && kind == of
        && one.first() == other.first()
}

/// Gives equal names equal offsets; `known` has those found so far.
fn unify(
    words: &mut [u32],
    starts: &[u32],
    pool: &mut Pool<'_>,
    known: &mut [u32],
    overlap: &mut Overlap,
) -> Result<(), BtfError> {
    for index in 0..starts.len() {
        let first = starts[index] as usize;
        let end = starts
            .get(index + 1)
            .map_or(words.len(), |end| *end as usize);
        let record = &mut words[first..end];
        let Some(shape) = shape(kind_of(record)) else {
            continue;
        };
        shape.names_mut(record, |name| {
            if *name != 0 {
                *name = match known.get_mut(*name as usize) {
                    Some(known) if *known != 0 => *known,
                    known => {
                        overlap.count(*name, pool.before(*name), pool.at(*name)?)?;
                        let one = pool.canonical(*name)?;
                        if let Some(known) = known {
                            *known = one;
                        }
                        one
                    }
                };
            }
            Ok(())
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
