//! The types of the target that have a local type's name, flavours aside.

use std::collections::HashMap;

use super::compat::kinds_fit;
use super::name;
use crate::raw::cursor::word;
use crate::raw::kind::{COMPOSITE, kind_bits};
use crate::{Btf, Kind, TypeId};

/// A name and kind to look for.
pub(super) struct Wanted<'l> {
    /// Without flavour; not empty.
    pub(super) name: &'l [u8],
    pub(super) kind: Kind,
}

/// Which starts of names occur: turns nearly all types down.
const START_BITS: usize = 1 << 16;

/// Finds all that is wanted in the blob and what it is split from, ascending ids for each.
pub(super) fn search_all(btf: &Btf<'_>, wanted: &[Wanted<'_>]) -> Vec<Vec<TypeId>> {
    let Some(base) = btf.base() else {
        return search(btf, wanted);
    };
    let mut found = search_all(base, wanted);
    for (found, own) in found.iter_mut().zip(search(btf, wanted)) {
        found.extend(own);
    }
    found
}

/// Finds all that is wanted in one pass over the blob's own types, ascending ids for each.
pub(super) fn search(btf: &Btf<'_>, wanted: &[Wanted<'_>]) -> Vec<Vec<TypeId>> {
    let mut found = vec![Vec::new(); wanted.len()];
    let mut kinds = 0u128;
    let mut starts = vec![0u64; START_BITS / 64];
    let mut by_name: HashMap<&[u8], Vec<usize>> = HashMap::new();
    for (at, wanted) in wanted.iter().enumerate() {
        for raw in 0..20 {
            if kinds_fit(wanted.kind, Kind::from_raw(raw)) {
                kinds |= 1 << raw;
            }
        }
        // A name is followed by its end or by the `___` of a flavour.
        for end in [&[0; 4], b"____"] {
            let start: Vec<u8> = wanted.name.iter().chain(end).copied().take(4).collect();
            let (word, bit) = start_bit(&start);
            if let Some(word) = starts.get_mut(word) {
                *word |= bit;
            }
        }
        by_name.entry(wanted.name).or_default().push(at);
    }
    if kinds == 0 {
        return found;
    }
    let (data, endian) = (btf.data(), btf.endian());
    let (own, own_start) = (btf.strings(), btf.strings_start());
    let look = |at: u32| {
        let Some(start) = btf.offsets().get(at as usize) else {
            return;
        };
        let start = *start as usize;
        let kind = kind_bits(word(endian, data, start + 4));
        if kinds >> kind & 1 == 0 {
            return;
        }
        let off = word(endian, data, start);
        if off == 0 {
            return;
        }
        let tail = match u64::from(off).checked_sub(own_start).map(usize::try_from) {
            Some(Ok(at)) => own.get(at..).unwrap_or_default(),
            _ => btf.str_tail(off).unwrap_or_default(),
        };
        let (word, bit) = start_bit(tail);
        if starts.get(word).is_none_or(|word| word & bit == 0) {
            return;
        }
        let essential = name::essential_name(name::in_tail(tail));
        for which in by_name.get(essential).into_iter().flatten() {
            let fits = wanted
                .get(*which)
                .is_some_and(|wanted| kinds_fit(wanted.kind, Kind::from_raw(kind)));
            if let (true, Some(found)) = (fits, found.get_mut(*which)) {
                found.push(TypeId(btf.start_id() + at));
            }
        }
    };
    if kinds & !COMPOSITE == 0 {
        btf.composites().iter().copied().for_each(look);
    } else {
        (0..btf.len() - btf.start_id()).for_each(look);
    }
    found
}

/// Place in the table of starts of the first four bytes, zeros from NUL on.
#[inline]
fn start_bit(tail: &[u8]) -> (usize, u64) {
    let [a, b, c, d] = match tail.first_chunk::<4>() {
        Some(chunk) => *chunk,
        None => {
            let mut chunk = [0; 4];
            for (to, from) in chunk.iter_mut().zip(tail) {
                *to = *from;
            }
            chunk
        }
    };
    let b = if a == 0 { 0 } else { b };
    let c = if b == 0 { 0 } else { c };
    let d = if c == 0 { 0 } else { d };
    let hash = u32::from_le_bytes([a, b, c, d]).wrapping_mul(0x9e37_79b1) >> 16;
    ((hash >> 6) as usize, 1 << (hash & 63))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Endian;
    use crate::testing::Blob;

    #[test]
    fn short_names_and_flavours_are_found() {
        for endian in [Endian::Little, Endian::Big] {
            let mut blob = Blob::new(endian);
            let names = [
                "a",
                "a___1",
                "ab",
                "ab___x",
                "abc___x",
                "abc",
                "abcd___x",
                "abcd",
                "abcde___x",
                "a__1",
                "abcdefghijk___long_flavour",
            ];
            for name in names {
                blob.composite(4, name, 0, &[]);
            }
            blob.record(b"ab", 5, 0, 0, &[]);
            blob.record(b"ab", 6, 0, 4, &[]);
            blob.record(b"ab", 19, 0, 8, &[]);
            blob.record(b"ab", 8, 0, 12, &[]);
            let data = blob.build();
            let btf = Btf::parse(&data).unwrap();
            let check = |name: &str, kind: Kind, expect: &[u32]| {
                let wanted = [Wanted {
                    name: name.as_bytes(),
                    kind,
                }];
                let ids: Vec<u32> = search(&btf, &wanted)[0].iter().map(|id| id.0).collect();
                assert_eq!(ids, expect, "{name} {kind}");
            };
            check("a", Kind::Struct, &[1, 2]);
            check("ab", Kind::Struct, &[3, 4]);
            check("abc", Kind::Struct, &[5, 6]);
            check("abcd", Kind::Struct, &[7, 8]);
            check("abcde", Kind::Struct, &[9]);
            check("a__1", Kind::Struct, &[10]);
            check("abcdefghijk", Kind::Struct, &[11]);
            check("ab", Kind::Union, &[12]);
            check("ab", Kind::Enum, &[13, 14]);
            check("ab", Kind::Enum64, &[13, 14]);
            check("ab", Kind::Int, &[]);
            check("ab", Kind::Typedef, &[15]);
        }
    }
}
