//! The order of declarations that does not depend on ids.

use core::cmp::Ordering;
use std::collections::HashMap;

use crate::raw::strings::first_of;
use crate::types::{Name, Type};
use crate::{Btf, TypeId};

/// References in a row; compilers stay far below.
const MAX_CHAIN: u32 = 64;
/// Bytes by which names are told apart.
pub(super) const LONGEST: usize = 1024;

/// Kinds come in this order; those of a rank are sorted by name.
mod rank {
    pub(super) const ANONYMOUS_ENUM: u8 = 0;
    pub(super) const ENUM: u8 = 1;
    pub(super) const NUMBER: u8 = 2;
    pub(super) const COMPOSITE: u8 = 3;
    pub(super) const PROTO: u8 = 4;
    pub(super) const LAST: u8 = 10;
}

/// What a type is sorted by.
struct Key<'a> {
    rank: u8,
    /// The first bytes of the name, as a number that sorts like them.
    head: u64,
    /// All strings from the name on: the type's own, or that of the type it leads to.
    name: &'a [u8],
    own: &'a [u8],
    id: TypeId,
}

/// Ids of all types that can be declared, those of the base too, in bpftool's order: by kind, by
/// name, then by a hash of names of members. It changes little between similar kernels.
///
/// Functions, variables, sections and tags of declarations are left out.
pub fn sorted_ids(btf: &Btf<'_>) -> Vec<TypeId> {
    let (mut ids, last) = by_rank(btf);
    ids.extend(sort(btf, last));
    ids
}

/// The sorted ids of all but the last rank, and the ids of that.
pub(super) fn by_rank(btf: &Btf<'_>) -> (Vec<TypeId>, Vec<TypeId>) {
    let (mut first, mut last) = (Vec::new(), Vec::new());
    super::each_type(btf, &mut |id, ty| {
        if matches!(
            ty,
            Type::Func(_) | Type::Var(_) | Type::Datasec(_) | Type::DeclTag(_) | Type::Unknown(_)
        ) {
            return;
        }
        match rank(btf, ty) {
            rank::LAST => last.push(id),
            rank => first.extend(key(btf, id, rank)),
        }
    });
    (sort_keys(btf, first), last)
}

/// Sorts types of the last rank.
pub(super) fn sort(btf: &Btf<'_>, ids: Vec<TypeId>) -> Vec<TypeId> {
    let keys = ids.into_iter().filter_map(|id| key(btf, id, rank::LAST));
    sort_keys(btf, keys.collect())
}

fn sort_keys(btf: &Btf<'_>, mut keys: Vec<Key<'_>>) -> Vec<TypeId> {
    keys.sort_unstable_by(|a, b| compare(a, b).then(a.id.cmp(&b.id)));
    let mut hashes = Hashes {
        btf,
        long: HashMap::new(),
    };
    // The hash is needed for types that the rest leaves equal.
    let mut ids = Vec::with_capacity(keys.len());
    let mut equal = Vec::new();
    for same in keys.chunk_by(|a, b| compare(a, b) == Ordering::Equal) {
        if let [only] = same {
            ids.push(only.id);
            continue;
        }
        equal.clear();
        equal.extend(same.iter().map(|key| (hashes.of(key.id, true, 0), key.id)));
        equal.sort_unstable();
        ids.extend(equal.iter().map(|(_, id)| *id));
    }
    ids
}

fn key<'a>(btf: &'a Btf<'_>, id: TypeId, rank: u8) -> Option<Key<'a>> {
    let ty = btf.type_by_id(id).ok()?;
    let own = tail(ty.record()?.name());
    let name = name(btf, ty);
    let head = match name.first_chunk::<8>() {
        Some(chunk) => *chunk,
        None => core::array::from_fn(|i| name.get(i).copied().unwrap_or_default()),
    };
    // nothing counts from NUL on
    let mut ended = false;
    let head = head.map(|byte| {
        ended |= byte == 0;
        if ended { 0 } else { byte }
    });
    Some(Key {
        rank,
        head: u64::from_be_bytes(head),
        name,
        own,
        id,
    })
}

fn tail(name: Name<'_>) -> &[u8] {
    name.tail().unwrap_or_default()
}

/// Where a reference leads, or what an array has.
fn target(ty: Type<'_>) -> Option<TypeId> {
    match ty {
        Type::Ptr(t)
        | Type::Typedef(t)
        | Type::Volatile(t)
        | Type::Const(t)
        | Type::Restrict(t)
        | Type::TypeTag(t) => Some(t.type_id()),
        Type::Array(t) => Some(t.elem_type()),
        _ => None,
    }
}

/// The last type of a chain of references; `None` if it has no end.
fn end<'a>(btf: &'a Btf<'_>, first: Type<'a>) -> Option<Type<'a>> {
    let mut ty = first;
    for _ in 0..=MAX_CHAIN {
        match target(ty) {
            Some(id) => ty = btf.type_by_id(id).ok()?,
            None => return Some(ty),
        }
    }
    None
}

/// The rank of what a type leads to; without a name it has the last, unless it leads nowhere.
fn rank<'a>(btf: &'a Btf<'_>, ty: Type<'a>) -> u8 {
    let named = ty.record().is_some_and(|r| r.name().offset() != 0);
    let end = match (named, target(ty)) {
        (false, Some(_)) => None,
        (true, Some(_)) => end(btf, ty),
        (_, None) => Some(ty),
    };
    match end {
        Some(Type::Enum(_) | Type::Enum64(_)) if !named => rank::ANONYMOUS_ENUM,
        Some(Type::Enum(_) | Type::Enum64(_)) => rank::ENUM,
        Some(Type::Int(_) | Type::Float(_)) => rank::NUMBER,
        Some(Type::Struct(_) | Type::Union(_)) if named => rank::COMPOSITE,
        Some(Type::FuncProto(_)) if named => rank::PROTO,
        _ => rank::LAST,
    }
}

/// The name of what a type leads to. An enumeration without one goes by its first constant.
fn name<'a>(btf: &'a Btf<'_>, ty: Type<'a>) -> &'a [u8] {
    let first = match ty {
        Type::Enum(t) if t.name().offset() == 0 => t.enumerators().next(),
        Type::Enum64(t) if t.name().offset() == 0 => t.enumerators().next(),
        _ => None,
    };
    match first {
        Some(first) => tail(first.name),
        None => end(btf, ty)
            .and_then(|ty| ty.record().map(|r| tail(r.name())))
            .unwrap_or_default(),
    }
}

/// By rank, name, own name.
#[inline]
fn compare(a: &Key<'_>, b: &Key<'_>) -> Ordering {
    a.rank
        .cmp(&b.rank)
        .then(a.head.cmp(&b.head))
        .then_with(|| by_tail(a.name, b.name))
        .then_with(|| by_tail(a.own, b.own))
}

/// The names that `a` and `b` start with.
#[inline]
fn by_tail(a: &[u8], b: &[u8]) -> Ordering {
    // most often it is the same string
    if core::ptr::eq(a, b) {
        return Ordering::Equal;
    }
    first_of(a, LONGEST).cmp(first_of(b, LONGEST))
}

/// bpftool's hashes of names.
struct Hashes<'a> {
    btf: &'a Btf<'a>,
    /// Those of structs with their members, and of enumerations.
    long: HashMap<TypeId, u64>,
}

const fn mix(hash: u64, value: u64) -> u64 {
    hash.wrapping_mul(31).wrapping_add(value)
}

fn mix_name(hash: u64, name: Name<'_>) -> u64 {
    if name.offset() == 0 {
        return hash;
    }
    // bytes are signed, as they are where most BTF is made
    let name = first_of(name.tail().unwrap_or_default(), LONGEST);
    let value = name.iter().fold(0, |hash, byte| {
        mix(hash, i64::from(byte.cast_signed()).cast_unsigned())
    });
    mix(hash, value)
}

impl Hashes<'_> {
    fn of(&mut self, id: TypeId, with_members: bool, depth: u32) -> u64 {
        let Ok(ty) = self.btf.type_by_id(id) else {
            return 0;
        };
        let Some(record) = ty.record() else {
            return 0;
        };
        let own = mix_name(0, record.name());
        if depth > MAX_CHAIN {
            return own;
        }
        let is_long = match ty {
            Type::Enum(_) | Type::Enum64(_) => true,
            Type::Struct(_) | Type::Union(_) => with_members,
            _ => false,
        };
        if is_long && let Some(known) = self.long.get(&id) {
            return *known;
        }
        let hash = match ty {
            Type::Enum(t) => t.enumerators().fold(own, |hash, e| mix_name(hash, e.name)),
            Type::Enum64(t) => t.enumerators().fold(own, |hash, e| mix_name(hash, e.name)),
            Type::Struct(t) | Type::Union(t) if with_members => {
                t.members().fold(own, |hash, member| {
                    let ty = self.of(member.type_id, false, depth + 1);
                    mix(mix_name(hash, member.name), ty)
                })
            }
            Type::Ptr(t)
            | Type::Typedef(t)
            | Type::Volatile(t)
            | Type::Const(t)
            | Type::Restrict(t)
            | Type::TypeTag(t) => mix(own, self.of(t.type_id(), with_members, depth + 1)),
            Type::Array(t) => {
                let elem = self.of(t.elem_type(), with_members, depth + 1);
                mix(mix(own, u64::from(t.len())), elem)
            }
            _ => own,
        };
        if is_long {
            self.long.insert(id, hash);
        }
        hash
    }
}
