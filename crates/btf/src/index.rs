//! From a name to the types that have it.
//!
//! One look-up costs least without any index: find the bytes in the string section, then
//! compare the name offset of every record with what was found. From the second look-up on
//! an index pays: none but a check when the types are sorted by name (kernels from 7.0 on),
//! else a hash table of 8 bytes per type.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::raw::cursor::word;
use crate::raw::kind::kind_bits;
use crate::raw::strings;
use crate::{Btf, Kind, TypeId};

/// Blobs with fewer types than this are indexed at the first look-up.
const SMALL: usize = 512;
/// Neighbours compared before the whole blob is checked for being sorted.
const SAMPLES: usize = 16;
/// Bytes of names compared to see whether they are sorted.
const COMPARED: usize = 256;
/// Bytes of names that are hashed; a multiple of 8.
const HASHED: usize = 64;
/// End of a chain.
const END: u32 = u32::MAX;

/// What is known so far about the names of one blob's own types.
#[derive(Debug, Default)]
pub(crate) struct Names {
    asked: AtomicBool,
    index: OnceLock<Index>,
}

#[derive(Debug)]
enum Index {
    /// From position `first` on, own types have names, in ascending order.
    Sorted {
        first: usize,
    },
    Hashed(Chains),
}

/// Own types in buckets by the hash of their names, ascending in each bucket.
#[derive(Debug)]
struct Chains {
    /// First position of each bucket; a power of two of them.
    heads: Vec<u32>,
    /// The next position in the bucket of each position.
    next: Vec<u32>,
}

impl Btf<'_> {
    /// The types of that name, each blob's in ascending order: own first, then the base's.
    /// Nothing has the empty name.
    pub fn find_by_name<'s>(&'s self, name: &'s [u8]) -> impl Iterator<Item = TypeId> + use<'s> {
        let own = (!name.is_empty() && !name.contains(&0)).then_some(self);
        core::iter::successors(own, |btf| btf.base()).flat_map(move |btf| btf.find_own(name))
    }

    /// The first type of that name and kind, own before base.
    #[doc(alias = "btf__find_by_name_kind")]
    pub fn find_by_name_kind(&self, name: &[u8], kind: Kind) -> Option<TypeId> {
        self.find_by_name(name)
            .find(|id| self.record(*id).is_ok_and(|r| r.kind() == kind))
    }

    /// One answer per query, `None` as kind for "any": the first match, as
    /// [`find_by_name_kind`](Self::find_by_name_kind). One pass over the types answers all,
    /// without memory for an index.
    pub fn find_many(&self, queries: &[(&[u8], Option<Kind>)]) -> Vec<Option<TypeId>> {
        self.find_many_in(
            queries,
            core::iter::successors(Some(self), |btf| btf.base()),
        )
    }

    /// The same among the blob's own types: those of its base are not looked at.
    #[doc(alias = "btf__find_by_name_kind_own")]
    pub fn find_many_own(&self, queries: &[(&[u8], Option<Kind>)]) -> Vec<Option<TypeId>> {
        self.find_many_in(queries, core::iter::once(self))
    }

    fn find_many_in<'s>(
        &'s self,
        queries: &[(&[u8], Option<Kind>)],
        blobs: impl Iterator<Item = &'s Self>,
    ) -> Vec<Option<TypeId>> {
        let mut answers = vec![None; queries.len()];
        let batch = Batch::new(queries);
        for btf in blobs {
            let known = btf.names().index.get().is_some();
            if known || queries.len() < 2 || btf.offsets().len() <= SMALL {
                for ((name, kind), answer) in queries.iter().zip(&mut answers) {
                    if answer.is_none() && !name.is_empty() && !name.contains(&0) {
                        *answer = btf.find_own(name).find(|id| btf.has_kind(*id, *kind));
                    }
                }
            } else {
                batch.run(btf, &mut answers);
            }
        }
        answers
    }

    fn has_kind(&self, id: TypeId, kind: Option<Kind>) -> bool {
        kind.is_none_or(|kind| self.record(id).is_ok_and(|r| r.kind() == kind))
    }

    /// This blob's own types of that name.
    fn find_own<'s>(&'s self, name: &'s [u8]) -> Matches<'s> {
        let names = self.names();
        let repeated = names.asked.swap(true, Ordering::Relaxed);
        let walk = match names.index.get() {
            None if !repeated && self.offsets().len() > SMALL => Walk::Linear {
                offsets: self.string_offsets(name),
                at: 0,
            },
            index => {
                match index.unwrap_or_else(|| names.index.get_or_init(|| self.build_index())) {
                    Index::Sorted { first } => {
                        let own = self.offsets().len() - 1;
                        let enough = name.len() + 1;
                        let at = partition(*first, own, |at| {
                            strings::first_of(self.own_tail(at), enough) < name
                        });
                        Walk::Sorted { at }
                    }
                    Index::Hashed(chains) => Walk::Chain {
                        next: &chains.next,
                        at: chains.head(name),
                    },
                }
            }
        };
        Matches {
            btf: self,
            name,
            walk,
        }
    }

    /// The strings from the name of the own type at `position` on; empty without one. Finding
    /// the ends of names that all share one long string would be slow.
    fn own_tail(&self, position: usize) -> &[u8] {
        match self.own_name_off(position) {
            0 => b"",
            off => self.str_tail(off).unwrap_or_default(),
        }
    }

    #[inline]
    fn own_name_off(&self, position: usize) -> u32 {
        let start = self
            .offsets()
            .get(position)
            .map_or(usize::MAX, |off| *off as usize);
        word(self.endian(), self.data(), start)
    }

    /// Every string offset, own or of a base, at which exactly `name` stands, ascending.
    fn string_offsets(&self, name: &[u8]) -> Vec<u32> {
        let mut needle = Vec::with_capacity(name.len() + 1);
        needle.extend_from_slice(name);
        needle.push(0);
        let finder = memchr::memmem::Finder::new(&needle);
        let mut found = Vec::new();
        for btf in core::iter::successors(Some(self), |btf| btf.base()) {
            let start = btf.strings_start();
            let own = finder.find_iter(btf.strings());
            found.extend(own.filter_map(|at| u32::try_from(start + at as u64).ok()));
        }
        found.sort_unstable();
        found
    }

    #[cold]
    fn build_index(&self) -> Index {
        match self.sorted_from() {
            Some(first) => Index::Sorted { first },
            None => Index::Hashed(Chains::build(self)),
        }
    }

    /// The position from which on types have names, when they are sorted by name.
    fn sorted_from(&self) -> Option<usize> {
        let own = self.offsets().len() - 1;
        let step = (own / SAMPLES).max(1);
        let start = |at: usize| strings::first_of(self.own_tail(at), COMPARED);
        let in_order = |at: usize| start(at) <= start(at + 1);
        if !(0..own.saturating_sub(1)).step_by(step).all(in_order) {
            return None;
        }
        let (mut last, mut last_off): (&[u8], _) = (b"", 0);
        let mut first = own;
        for at in 0..own {
            let off = self.own_name_off(at);
            if off == last_off {
                continue;
            }
            let name = start(at);
            // long names may differ behind what was compared
            if name < last || name == last && name.len() == COMPARED {
                return None;
            }
            if last.is_empty() && !name.is_empty() {
                first = at;
            }
            (last, last_off) = (name, off);
        }
        Some(first)
    }
}

/// First position in `low..high` for which `before` is false.
fn partition(mut low: usize, mut high: usize, before: impl Fn(usize) -> bool) -> usize {
    while low < high {
        let middle = low + (high - low) / 2;
        if before(middle) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}

/// The own types of one blob that have one name.
struct Matches<'s> {
    btf: &'s Btf<'s>,
    name: &'s [u8],
    walk: Walk<'s>,
}

enum Walk<'s> {
    Linear { offsets: Vec<u32>, at: usize },
    Sorted { at: usize },
    Chain { next: &'s [u32], at: u32 },
}

impl Matches<'_> {
    fn next_position(&mut self) -> Option<usize> {
        let btf = self.btf;
        match &mut self.walk {
            Walk::Linear { offsets, at } => {
                let (first, last) = (*offsets.first()?, *offsets.last()?);
                let starts = btf.offsets().split_last()?.1.get(*at..)?;
                let hit = starts.iter().position(|start| {
                    let off = word(btf.endian(), btf.data(), *start as usize);
                    off >= first && off <= last && offsets.binary_search(&off).is_ok()
                })?;
                let found = *at + hit;
                *at = found + 1;
                Some(found)
            }
            Walk::Sorted { at } => {
                let found = *at;
                *at += 1;
                let there = found < btf.offsets().len() - 1
                    && strings::starts_as(btf.own_tail(found), self.name);
                there.then_some(found)
            }
            Walk::Chain { next, at } => loop {
                if *at == END {
                    return None;
                }
                let found = *at as usize;
                *at = next.get(found).copied().unwrap_or(END);
                if strings::starts_as(btf.own_tail(found), self.name) {
                    return Some(found);
                }
            },
        }
    }
}

impl Iterator for Matches<'_> {
    type Item = TypeId;

    #[expect(
        clippy::cast_possible_truncation,
        reason = "positions are ids less the first"
    )]
    fn next(&mut self) -> Option<TypeId> {
        self.next_position()
            .map(|at| TypeId(self.btf.start_id() + at as u32))
    }
}

impl Chains {
    /// Built from the last type to the first, so that the lower id comes first in a bucket.
    fn build(btf: &Btf<'_>) -> Self {
        let starts = btf
            .offsets()
            .split_last()
            .map_or(&[][..], |(_, starts)| starts);
        let mut next = vec![END; starts.len()];
        let mut heads = vec![END; starts.len().next_power_of_two()];
        let mask = heads.len() - 1;
        let (own, first_own) = (btf.strings(), btf.strings_start());
        let (data, endian) = (btf.data(), btf.endian());
        for (at, (start, link)) in starts.iter().zip(&mut next).enumerate().rev() {
            let off = word(endian, data, *start as usize);
            if off == 0 {
                continue;
            }
            let hash = hash(name_tail(btf, own, first_own, off));
            if let Some(head) = heads.get_mut(hash & mask) {
                *link = *head;
                #[expect(clippy::cast_possible_truncation, reason = "fewer types than ids")]
                {
                    *head = at as u32;
                }
            }
        }
        Self { heads, next }
    }

    fn head(&self, name: &[u8]) -> u32 {
        let mask = self.heads.len() - 1;
        self.heads.get(hash(name) & mask).copied().unwrap_or(END)
    }
}

/// Names to find in one pass over the types.
struct Batch<'q> {
    queries: &'q [(&'q [u8], Option<Kind>)],
    /// Hash and position of each query, ascending.
    by_hash: Vec<(usize, usize)>,
    /// A bit for each kind that is asked for: names are looked at of these only, because names
    /// are all over the string section.
    kinds: u128,
    /// Which hashes of the first 8 bytes occur: turns nearly all types down.
    heads: Box<[u64; HEAD_BITS / 64]>,
}

const HEAD_BITS: usize = 1 << 16;

impl<'q> Batch<'q> {
    fn new(queries: &'q [(&'q [u8], Option<Kind>)]) -> Self {
        let mut heads = Box::new([0; HEAD_BITS / 64]);
        let mut by_hash = Vec::with_capacity(queries.len());
        let mut kinds = 0;
        for (at, (name, kind)) in queries.iter().enumerate() {
            if !name.is_empty() && !name.contains(&0) {
                kinds |= kind.map_or(u128::MAX, |kind| 1 << kind.raw());
                by_hash.push((hash(name), at));
                let (word, bit) = head_bit(name);
                if let Some(word) = heads.get_mut(word) {
                    *word |= bit;
                }
            }
        }
        by_hash.sort_unstable();
        Self {
            queries,
            by_hash,
            kinds,
            heads,
        }
    }

    /// Answers what is still open with the types of one blob.
    fn run(&self, btf: &Btf<'_>, answers: &mut [Option<TypeId>]) {
        let (own, first_own) = (btf.strings(), btf.strings_start());
        let (data, endian) = (btf.data(), btf.endian());
        let is_open = |(_, at): &&(usize, usize)| answers.get(*at).is_some_and(Option::is_none);
        let mut open = self.by_hash.iter().filter(is_open).count();
        for (start, id) in btf.offsets().iter().zip(btf.start_id()..btf.len()) {
            if open == 0 {
                break;
            }
            let start = *start as usize;
            if self.kinds >> kind_bits(word(endian, data, start + 4)) & 1 == 0 {
                continue;
            }
            let off = word(endian, data, start);
            if off == 0 {
                continue;
            }
            let name = name_tail(btf, own, first_own, off);
            let (word, bit) = head_bit(name);
            if self.heads.get(word).is_some_and(|word| word & bit != 0) {
                open -= self.compare(btf, TypeId(id), name, answers);
            }
        }
    }

    /// Answers the open queries that a type answers, and says how many; `name` starts with its
    /// name.
    #[cold]
    fn compare(
        &self,
        btf: &Btf<'_>,
        id: TypeId,
        name: &[u8],
        answers: &mut [Option<TypeId>],
    ) -> usize {
        let mut answered = 0;
        let hash = hash(name);
        let first = self.by_hash.partition_point(|(other, _)| *other < hash);
        let same = self
            .by_hash
            .iter()
            .skip(first)
            .take_while(|(other, _)| *other == hash);
        for (_, at) in same {
            let (Some((wanted, kind)), Some(answer)) =
                (self.queries.get(*at), answers.get_mut(*at))
            else {
                continue;
            };
            if answer.is_none() && strings::starts_as(name, wanted) && btf.has_kind(id, *kind) {
                *answer = Some(id);
                answered += 1;
            }
        }
        answered
    }
}

/// The strings from the name at `off` on, which nearly always is one of the blob's `own`.
#[inline]
fn name_tail<'s>(btf: &'s Btf<'_>, own: &'s [u8], first_own: u64, off: u32) -> &'s [u8] {
    #[cold]
    fn of_base<'s>(btf: &'s Btf<'_>, off: u32) -> &'s [u8] {
        btf.str_tail(off).unwrap_or_default()
    }
    match u64::from(off).checked_sub(first_own).map(usize::try_from) {
        Some(Ok(off)) => own.get(off..).unwrap_or_default(),
        _ => of_base(btf, off),
    }
}

/// The first eight bytes with zeros from NUL on, and whether there is a NUL in them.
#[inline]
fn head(bytes: &[u8]) -> (u64, bool) {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = ONES << 7;
    let chunk = match bytes.first_chunk::<8>() {
        Some(chunk) => *chunk,
        None => {
            let mut last = [0; 8];
            for (to, from) in last.iter_mut().zip(bytes) {
                *to = *from;
            }
            last
        }
    };
    let chunk = u64::from_le_bytes(chunk);
    // The lowest set bit is the top one of the first NUL byte.
    let nul = chunk.wrapping_sub(ONES) & !chunk & HIGHS;
    let keep = (nul & nul.wrapping_neg()) >> 7;
    (chunk & keep.wrapping_sub(1), nul != 0)
}

const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

/// Where in [`Batch::heads`] a name is.
#[inline]
fn head_bit(name: &[u8]) -> (usize, u64) {
    let hash = head(name).0.wrapping_mul(FACTOR) >> 48;
    ((hash >> 6) as usize, 1 << (hash & 63))
}

/// Hash of the bytes up to NUL, or all of them, but no more than [`HASHED`]: names may share one
/// long string. Eight at a time; not keyed, because a bucket that a hostile blob fills costs no
/// more than a search without index.
#[inline]
#[expect(
    clippy::cast_possible_truncation,
    reason = "the upper half folded down"
)]
fn hash(mut bytes: &[u8]) -> usize {
    let mut hash = 0u64;
    for _ in 0..HASHED / 8 {
        let (word, last) = head(bytes);
        hash = (hash.rotate_left(5) ^ word).wrapping_mul(FACTOR);
        if last {
            break;
        }
        bytes = bytes.get(8..).unwrap_or_default();
    }
    (hash ^ hash >> 32) as usize
}

#[cfg(test)]
mod tests;
