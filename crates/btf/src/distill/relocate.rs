//! Putting types with a distilled base on another base.

use std::collections::HashMap;

use super::error::{DistillError, spelled};
use crate::build::shape::{kind_of, shape};
use crate::build::{Builder, Overlap, before};
use crate::types::{Record, Type};
use crate::{Btf, BtfError, Kind, TypeId};

/// Split types on their new base.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relocated {
    data: Vec<u8>,
    /// New id of each type of the distilled base, `void` included.
    ids: Vec<u32>,
    /// First own id.
    first: u32,
}

impl Relocated {
    /// The blob, split from the new base.
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// The same, to keep.
    pub fn into_data(self) -> Vec<u8> {
        self.data
    }

    /// The id that a type has now, one of the distilled base or an own one.
    pub fn map(&self, id: TypeId) -> TypeId {
        match self.ids.get(id.0 as usize) {
            Some(new) => TypeId(*new),
            None => TypeId((id.0 - count(&self.ids)).saturating_add(self.first)),
        }
    }
}

/// Puts split types, whose base is a distilled one, on the base that this was made from, or
/// another like it. Own types and strings keep their order.
///
/// A type of the distilled base is the one of its name in `base`: an integer of the same size and
/// encoding, a floating-point type or enumeration of the same size, a struct or union. Of these
/// the size counts only where `base` has several of the name, or where an own type contains it and
/// not just a pointer to it. A declaration stands for a definition where there is none, and the
/// other way round.
///
/// Not as libbpf: a type is never found as one of another kind of the same name, a definition is
/// preferred to a declaration where there are both, and whether a declaration is of a union is
/// asked of the declaration.
///
/// # Errors
/// A base that is no distilled one; types that `base` does not have, or more than once; defective
/// bytes.
#[doc(alias = "btf__relocate")]
pub fn relocate(btf: &Btf<'_>, base: &Btf<'_>) -> Result<Relocated, DistillError> {
    let old = btf.base().ok_or(DistillError::NoBase)?;
    let wanted = Wanted::new(old)?;
    let found = Found::new(base, &wanted)?;
    let embedded = embedded(btf, old)?;

    let mut ids = vec![0];
    let mut names = HashMap::new();
    for (one, embedded) in wanted.types.iter().zip(embedded.into_iter().skip(1)) {
        let id = found.choose(one, embedded)?;
        names.insert(one.record.name().offset(), base.record(id)?.name().offset());
        ids.push(id.0);
    }
    Ok(Relocated {
        data: moved(btf, base, &ids, names)?,
        ids,
        first: base.len(),
    })
}

/// What a type is, as far as it is found by that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Class {
    Int { encoding: u8 },
    Float,
    Enum,
    Struct,
    Union,
    Fwd { is_union: bool },
}

impl Class {
    fn of(record: Record<'_>) -> Option<Self> {
        Some(match Type::from_record(record) {
            Type::Int(int) => Self::Int {
                encoding: int.encoding(),
            },
            Type::Float(_) => Self::Float,
            Type::Enum(_) | Type::Enum64(_) => Self::Enum,
            Type::Struct(_) => Self::Struct,
            Type::Union(_) => Self::Union,
            Type::Fwd(fwd) => Self::Fwd {
                is_union: fwd.is_union(),
            },
            _ => return None,
        })
    }

    const fn is_composite(self) -> bool {
        matches!(self, Self::Struct | Self::Union)
    }

    /// What else may stand for it: a declaration for a definition, or the other way round.
    const fn counterpart(self) -> Option<Self> {
        match self {
            Self::Struct => Some(Self::Fwd { is_union: false }),
            Self::Union => Some(Self::Fwd { is_union: true }),
            Self::Fwd { is_union: false } => Some(Self::Struct),
            Self::Fwd { is_union: true } => Some(Self::Union),
            Self::Int { .. } | Self::Float | Self::Enum => None,
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::Int { .. } => "integer",
            Self::Float => "floating-point type",
            Self::Enum => "enum",
            Self::Struct => "struct",
            Self::Union => "union",
            Self::Fwd { is_union: false } => "declaration of struct",
            Self::Fwd { is_union: true } => "declaration of union",
        }
    }
}

/// A type of the distilled base.
struct Distilled<'o> {
    record: Record<'o>,
    class: Class,
    /// Equal for equal names.
    name: usize,
}

/// The types of a distilled base, and their names as numbers.
struct Wanted<'o> {
    /// All but `void`.
    types: Vec<Distilled<'o>>,
    names: HashMap<&'o [u8], usize>,
}

impl<'o> Wanted<'o> {
    fn new(old: &'o Btf<'o>) -> Result<Self, DistillError> {
        let mut types = Vec::new();
        let mut names = HashMap::new();
        let mut overlap = Overlap::new(strings_of(old));
        for id in (1..old.len()).map(TypeId) {
            let record = old.record(id)?;
            let kind = record.kind();
            let class = match Class::of(record) {
                Some(class) if kind != Kind::Enum64 => class,
                _ => return Err(DistillError::NotDistilled { id, kind }),
            };
            let name = name_of(old, record, &mut overlap)?;
            if name.is_empty() {
                return Err(DistillError::NoName { id, kind });
            }
            let next = names.len();
            let name = *names.entry(name).or_insert(next);
            types.push(Distilled {
                record,
                class,
                name,
            });
        }
        Ok(Self { types, names })
    }
}

/// One type, and another if there is one.
#[derive(Clone, Copy, Debug)]
struct Hits {
    one: TypeId,
    other: Option<TypeId>,
}

/// The types of the new base with names that are wanted.
///
/// They are counted by all that they are found by, so that each question is one look-up,
/// however many of one name there are.
struct Found {
    by_name: HashMap<(usize, Class), Hits>,
    by_size: HashMap<(usize, Class, u32), Hits>,
    /// By name, how many structs and unions there are.
    composites: Vec<u32>,
}

impl Found {
    fn new(base: &Btf<'_>, wanted: &Wanted<'_>) -> Result<Self, BtfError> {
        let mut this = Self {
            by_name: HashMap::new(),
            by_size: HashMap::new(),
            composites: vec![0; wanted.names.len()],
        };
        let mut overlap = Overlap::new(strings_of(base));
        for id in (1..base.len()).map(TypeId) {
            let record = base.record(id)?;
            let Some(class) = Class::of(record) else {
                continue;
            };
            let name = name_of(base, record, &mut overlap)?;
            let Some(name) = wanted.names.get(name) else {
                continue;
            };
            let add = |hits: &mut Hits| _ = hits.other.get_or_insert(id);
            let hits = Hits {
                one: id,
                other: None,
            };
            this.by_name
                .entry((*name, class))
                .and_modify(add)
                .or_insert(hits);
            this.by_size
                .entry((*name, class, record.size_or_type()))
                .and_modify(add)
                .or_insert(hits);
            if class.is_composite()
                && let Some(count) = this.composites.get_mut(*name)
            {
                *count = count.saturating_add(1);
            }
        }
        Ok(this)
    }

    /// What stands for a type of the distilled base.
    fn choose(&self, wanted: &Distilled<'_>, embedded: bool) -> Result<TypeId, DistillError> {
        let Distilled {
            record,
            class,
            name,
        } = wanted;
        let size = record.size_or_type();
        let composites = self.composites.get(*name).copied().unwrap_or_default();
        let declared = matches!(class, Class::Fwd { .. });
        let sized = match class {
            Class::Int { .. } | Class::Float | Class::Enum => true,
            Class::Struct | Class::Union => embedded || composites > 1,
            Class::Fwd { .. } => false,
        };
        let own = match sized {
            true => self.by_size.get(&(*name, *class, size)),
            false => self.by_name.get(&(*name, *class)),
        };
        let counterpart = match class.counterpart() {
            // which of several is meant a declaration does not tell
            Some(other) if !embedded && (!declared || composites == 1) => {
                self.by_name.get(&(*name, other))
            }
            _ => None,
        };
        let what = || {
            let size = sized.then_some(size);
            spelled(class.words(), record.name().or_empty(), size)
        };
        let id = record.id();
        match own.or(counterpart) {
            Some(Hits { one, other: None }) => Ok(*one),
            Some(Hits {
                one,
                other: Some(other),
            }) => Err(DistillError::Ambiguous {
                id,
                what: what(),
                one: *one,
                other: *other,
            }),
            None => Err(DistillError::NotFound { id, what: what() }),
        }
    }
}

/// Which types of the distilled base an own struct or union contains, by id.
fn embedded(btf: &Btf<'_>, old: &Btf<'_>) -> Result<Vec<bool>, BtfError> {
    let mut contained = vec![false; old.len() as usize];
    // what was walked through once leads to the same
    let mut seen = vec![false; btf.len() as usize];
    for (_, ty) in btf.types() {
        let (Type::Struct(composite) | Type::Union(composite)) = ty else {
            continue;
        };
        for member in composite.members() {
            let mut id = member.type_id;
            while let Some(seen) = seen.get_mut(id.0 as usize)
                && !core::mem::replace(seen, true)
            {
                let ty = btf.type_by_id(id)?;
                id = match ty {
                    Type::Array(array) => array.elem_type(),
                    Type::Struct(_) | Type::Union(_) => {
                        if let Some(contained) = contained.get_mut(id.0 as usize) {
                            *contained = true;
                        }
                        break;
                    }
                    _ => match (ty.kind(), ty.referenced()) {
                        (
                            Kind::Const
                            | Kind::Restrict
                            | Kind::Volatile
                            | Kind::Typedef
                            | Kind::TypeTag,
                            Some(id),
                        ) => id,
                        _ => break,
                    },
                };
            }
        }
    }
    Ok(contained)
}

/// The types as they are, with ids and names of the new base. `ids` has those of the types of the
/// old one, `names` the strings that are known to be in both.
fn moved(
    btf: &Btf<'_>,
    base: &Btf<'_>,
    ids: &[u32],
    mut names: HashMap<u32, u32>,
) -> Result<Vec<u8>, BtfError> {
    let mut new = Builder::taken(btf, Some(base))?;
    let Builder {
        words,
        starts,
        pool,
        ..
    } = &mut new;
    let (old_start, start) = (btf.strings_start(), base.strings_end());
    let mut overlap = Overlap::new(strings_of(btf));
    let end = btf.len();
    for (id, at) in btf.ids().zip(0..) {
        let start_word = starts.get(at).map_or(0, |start| *start as usize);
        let end_word = starts.get(at + 1);
        let end_word = end_word.map_or(words.len(), |end| *end as usize);
        let record = words.get_mut(start_word..end_word).unwrap_or_default();
        let kind = kind_of(record);
        let shape = shape(kind).ok_or(BtfError::UnknownReferences {
            id,
            kind: kind.raw(),
        })?;
        shape.names_mut(record, |name| {
            if *name == 0 {
                return Ok(());
            }
            let offset = u64::from(*name);
            *name = match (names.get(name), offset.checked_sub(old_start)) {
                (_, Some(own)) if offset < btf.strings_end() => {
                    u32::try_from(start + own).map_err(|_error| BtfError::StringsFull)?
                }
                (Some(known), _) => *known,
                (None, _) => {
                    let text = btf.str_at(*name)?;
                    overlap.count(*name, before(btf, *name), text)?;
                    let new = pool.add_name(text)?;
                    names.insert(*name, new);
                    new
                }
            };
            Ok(())
        })?;
        let mut wrong = None;
        shape.refs_mut(record, |id| {
            *id = match ids.get(*id as usize) {
                Some(new) => *new,
                None if *id < end => *id - count(ids) + base.len(),
                None => *wrong.get_or_insert(*id),
            };
        });
        if let Some(id) = wrong {
            return Err(BtfError::NoSuchType { id, end });
        }
    }
    new.finish()
}

/// The name of a type; the bytes of names that overlap are bounded.
fn name_of<'b>(
    btf: &'b Btf<'b>,
    record: Record<'b>,
    overlap: &mut Overlap,
) -> Result<&'b [u8], BtfError> {
    let offset = record.name().offset();
    if offset == 0 {
        return Ok(&[]);
    }
    let name = btf.str_at(offset)?;
    overlap.count(offset, before(btf, offset), name)?;
    Ok(name)
}

/// Bytes of all strings.
fn strings_of(btf: &Btf<'_>) -> usize {
    usize::try_from(btf.strings_end()).unwrap_or(usize::MAX)
}

/// Ids fit.
fn count(ids: &[u32]) -> u32 {
    u32::try_from(ids.len()).unwrap_or(u32::MAX)
}
