//! Types as a graph: what a record says without its ids, and the ids apart.

use std::collections::HashMap;

use crate::build::shape::{kind_of, len_of, shape};
use crate::build::{Builder, record};
use crate::hash::Key;
use crate::{Btf, BtfError, Kind, TypeId};

/// The records of all bases and own ones, by id.
#[derive(Debug)]
pub(super) struct Records<'w> {
    base: Builder<'static>,
    words: &'w [u32],
    starts: &'w [u32],
}

impl<'w> Records<'w> {
    pub(super) fn new(base: Builder<'static>, words: &'w [u32], starts: &'w [u32]) -> Self {
        Self {
            base,
            words,
            starts,
        }
    }

    /// First own id.
    pub(super) fn first_own(&self) -> usize {
        self.base.len() + 1
    }

    /// One past the last id.
    pub(super) fn len(&self) -> usize {
        self.first_own() + self.starts.len()
    }

    /// The record of an id above 0.
    #[inline]
    pub(super) fn get(&self, id: usize) -> &[u32] {
        match id.checked_sub(self.first_own()) {
            Some(own) => record(self.words, self.starts, own),
            None => self.base.record(id - 1),
        }
    }
}

/// What can stand for a declaration of the same name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Declared {
    name: u32,
    kind: Kind,
}

/// Declarations of one struct, union or enumeration, and its definitions.
#[derive(Debug, Default)]
pub(super) struct Group {
    /// Own declarations.
    pub(super) forwards: Vec<u32>,
    /// A declaration that the base has.
    pub(super) base_forward: Option<u32>,
    /// Definitions, own and the base's, ascending.
    pub(super) definitions: Vec<u32>,
}

/// Lists of numbers, one after the other.
#[derive(Debug)]
pub(super) struct Lists {
    pub(super) starts: Vec<u32>,
    pub(super) items: Vec<u32>,
}

impl Lists {
    #[inline]
    pub(super) fn of(&self, at: u32) -> &[u32] {
        let at = at as usize;
        &self.items[self.starts[at] as usize..self.starts[at + 1] as usize]
    }
}

/// The types by id; 0 is `void`.
#[derive(Debug)]
pub(super) struct Graph {
    /// Hash of what a record says, but for its ids.
    pub(super) labels: Vec<u64>,
    /// The ids in each record.
    pub(super) kids: Lists,
    /// Names that are declared by own types.
    pub(super) groups: Vec<Group>,
}

impl Graph {
    /// Names in the records must be canonical.
    ///
    /// # Errors
    /// References to no type, own types of unknown kinds.
    pub(super) fn new(records: &Records<'_>, key: Key) -> Result<Self, BtfError> {
        let count = records.len();
        let mut labels = Vec::with_capacity(count);
        let mut starts = Vec::with_capacity(count + 1);
        let mut items = Vec::with_capacity(records.words.len() / 4);
        let mut declared: HashMap<Declared, usize> = HashMap::new();
        let mut groups: Vec<Group> = Vec::new();
        labels.push(key.start(0));
        starts.push(0);
        for id in 1..count {
            let record = records.get(id);
            starts.push(offset(items.len()));
            let kind = kind_of(record);
            let own = id >= records.first_own();
            if own && shape(kind).is_none() {
                return Err(BtfError::UnknownReferences {
                    id: TypeId(offset(id)),
                    kind: kind.raw(),
                });
            }
            labels.push(label(key, kind, record, id, &mut items));
            if own && let Some(name) = declares(kind, record) {
                let at = *declared.entry(name).or_insert_with(|| {
                    groups.push(Group::default());
                    groups.len() - 1
                });
                groups[at].forwards.push(offset(id));
            }
        }
        starts.push(offset(items.len()));
        if let Some(wrong) = items.iter().find(|kid| **kid as usize >= count) {
            let end = offset(count);
            return Err(BtfError::NoSuchType { id: *wrong, end });
        }
        if !groups.is_empty() {
            for id in 1..count {
                let record = records.get(id);
                let kind = kind_of(record);
                if let Some(name) = defines(kind, record) {
                    if let Some(group) = declared.get(&name) {
                        groups[*group].definitions.push(offset(id));
                    }
                } else if id < records.first_own()
                    && let Some(name) = declares(kind, record)
                    && let Some(group) = declared.get(&name)
                {
                    groups[*group].base_forward.get_or_insert(offset(id));
                }
            }
        }
        Ok(Self {
            labels,
            kids: Lists { starts, items },
            groups,
        })
    }

    /// Number of types, `void` included.
    pub(super) fn len(&self) -> usize {
        self.labels.len()
    }
}

/// Numbers of types and words fit, or they could not have been added.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "as it says")]
pub(super) const fn offset(number: usize) -> u32 {
    number as u32
}

#[inline]
const fn pair(high: u32, low: u32) -> u64 {
    (high as u64) << 32 | low as u64
}

/// Hash of a record without its ids, which are added to `kids`.
#[inline]
fn label(key: Key, kind: Kind, record: &[u32], id: usize, kids: &mut Vec<u32>) -> u64 {
    let (Some([name, info, word]), Some(rest)) = (record.first_chunk(), record.get(3..)) else {
        return 0;
    };
    let mut hash = key.add(key.start(record.len() as u64), pair(*name, *info));
    match kind {
        Kind::Struct | Kind::Union => {
            hash = key.add(hash, u64::from(*word));
            for [name, kid, place] in rest.as_chunks().0 {
                kids.push(*kid);
                hash = key.add(hash, pair(*name, *place));
            }
        }
        Kind::Enum | Kind::Enum64 | Kind::Int | Kind::Float | Kind::Fwd => {
            hash = key.add(hash, u64::from(*word));
            for word in rest {
                hash = key.add(hash, u64::from(*word));
            }
        }
        Kind::FuncProto => {
            kids.push(*word);
            for [name, kid] in rest.as_chunks().0 {
                kids.push(*kid);
                hash = key.add(hash, u64::from(*name));
            }
        }
        Kind::Array => {
            if let [element, index, len] = rest {
                kids.extend([*element, *index]);
                hash = key.add(hash, u64::from(*len));
            }
        }
        Kind::Ptr
        | Kind::Typedef
        | Kind::Volatile
        | Kind::Const
        | Kind::Restrict
        | Kind::Func
        | Kind::TypeTag => kids.push(*word),
        Kind::DeclTag => {
            kids.push(*word);
            for word in rest {
                hash = key.add(hash, u64::from(*word));
            }
        }
        // Each is itself: two variables of one name and type are two places.
        Kind::Var => {
            kids.push(*word);
            hash = key.add(hash, id as u64);
        }
        Kind::Datasec => {
            kids.extend(rest.as_chunks::<3>().0.iter().map(|[kid, ..]| *kid));
            hash = key.add(hash, id as u64);
        }
        // Only the base has these.
        Kind::Void | Kind::Unknown(_) => hash = key.add(hash, id as u64),
    }
    key.end(hash)
}

/// Whether two records say the same but for their ids.
pub(super) fn same_label(one: &[u32], other: &[u32]) -> bool {
    let kind = kind_of(one);
    let Some(shape) = shape(kind) else {
        return false;
    };
    if one.len() != other.len() || matches!(kind, Kind::Var | Kind::Datasec) {
        return false;
    }
    let is_ref = |at: usize| match at.checked_sub(shape.head) {
        None => shape.refs.contains(&at),
        Some(at) => shape.each_ref == Some(at % shape.each.max(1)),
    };
    let mut words = one.iter().zip(other).enumerate();
    words.all(|(at, (one, other))| one == other || is_ref(at))
}

/// What a type without definition declares.
fn declares(kind: Kind, record: &[u32]) -> Option<Declared> {
    let [name, info, ..] = *record else {
        return None;
    };
    let kind = match kind {
        Kind::Fwd if info >> 31 == 0 => Kind::Struct,
        Kind::Fwd => Kind::Union,
        Kind::Enum | Kind::Enum64 if len_of(record) == 0 => Kind::Enum,
        _ => return None,
    };
    (name != 0).then_some(Declared { name, kind })
}

/// What a type defines.
fn defines(kind: Kind, record: &[u32]) -> Option<Declared> {
    let kind = match kind {
        Kind::Struct | Kind::Union => kind,
        Kind::Enum | Kind::Enum64 if len_of(record) > 0 => Kind::Enum,
        _ => return None,
    };
    let name = *record.first()?;
    (name != 0).then_some(Declared { name, kind })
}

/// The records of a base and of those below it.
pub(super) fn base_records(base: Option<&Btf<'_>>) -> Builder<'static> {
    let mut all = Builder::new(base.map_or(crate::Endian::NATIVE, Btf::endian));
    let mut chain: Vec<_> = core::iter::successors(base, |btf| btf.base()).collect();
    while let Some(btf) = chain.pop() {
        all.take_records(btf);
    }
    all
}
