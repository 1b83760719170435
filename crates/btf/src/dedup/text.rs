//! Hashes of what types say, with the names of structs, unions and enumerations in the place of
//! what these are.
//!
//! All cycles of C types go through such a name, so the hash of a type needs only those of the
//! types that it refers to, each once.

use super::records::{Records, Role, offset, role};
use crate::build::shape::{kind_of, shape};
use crate::hash::Key;
use crate::{BtfError, Kind};

/// Hashes by id, `void` included.
#[derive(Debug)]
pub(super) struct Hashes {
    /// What those see who refer to a type: the hash of its name, or of what it says.
    seen: Vec<u64>,
    key: Key,
}

/// Not hashes, which are odd: the type is not done, or waits for what it refers to.
const OPEN: u64 = 0;
const BUSY: u64 = 2;

impl Hashes {
    /// Names in the records must be canonical.
    ///
    /// # Errors
    /// References to no type.
    pub(super) fn new(records: &Records<'_>, key: Key) -> Result<Self, BtfError> {
        let count = records.len();
        let mut this = Self {
            seen: vec![OPEN; count],
            key,
        };
        this.seen[0] = 1;
        let mut stack = Vec::new();
        // compilers put what a type refers to behind it
        for id in (1..count).rev() {
            if this.seen[id] == OPEN && !this.visit(records, id, &mut stack)? {
                this.forget_references(records)?;
                break;
            }
        }
        Ok(this)
    }

    /// Hash of the name, if that stands for the type.
    #[inline]
    fn name(key: Key, record: &[u32]) -> Option<u64> {
        match role(kind_of(record), record) {
            (Role::Plain, _) => None,
            (_, tag) => {
                let name = record.first().copied().unwrap_or_default();
                Some(key.end(key.add(key.start(0), name.into(), tag.raw().into())) | 1)
            }
        }
    }

    /// Hash of the name of a type that was not seen yet.
    #[inline(never)]
    fn named(&mut self, records: &Records<'_>, id: u32) -> Option<u64> {
        let name = Self::name(self.key, records.get(id as usize))?;
        self.seen[id as usize] = name;
        Some(name)
    }

    /// Hashes a type after all that it refers to; `false` for a cycle without a name.
    fn visit(
        &mut self,
        records: &Records<'_>,
        id: usize,
        stack: &mut Vec<(u32, bool)>,
    ) -> Result<bool, BtfError> {
        stack.clear();
        stack.push((offset(id), false));
        while let Some((at, again)) = stack.pop() {
            let id = at as usize;
            match self.seen[id] {
                OPEN => {}
                BUSY if again => {}
                BUSY => return Ok(false),
                _ => continue,
            }
            let record = records.get(id);
            if let Some(name) = Self::name(self.key, record) {
                self.seen[id] = name;
                continue;
            }
            let (mut ready, mut outside) = (true, None);
            let hash = hash(self.key, record, at, |kid| {
                match self.seen.get(kid as usize) {
                    Some(seen) if !matches!(*seen, OPEN | BUSY) => return *seen,
                    Some(_) => {
                        if let Some(name) = self.named(records, kid) {
                            return name;
                        }
                        ready = false;
                    }
                    None => _ = outside.get_or_insert(kid),
                }
                OPEN
            });
            if let Some(id) = outside {
                let end = offset(self.seen.len());
                return Err(BtfError::NoSuchType { id, end });
            }
            if ready {
                self.seen[id] = hash;
            } else if again {
                return Ok(false);
            } else {
                self.seen[id] = BUSY;
                stack.push((at, true));
                let mut cycle = false;
                if let Some(shape) = shape(kind_of(record)) {
                    shape.refs(record, |kid| match self.seen.get(kid as usize) {
                        Some(&OPEN) => stack.push((kid, false)),
                        Some(&BUSY) => cycle = true,
                        _ => {}
                    });
                }
                if cycle {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// Hashes without those of what is referred to: equal for more types.
    #[cold]
    fn forget_references(&mut self, records: &Records<'_>) -> Result<(), BtfError> {
        let end = offset(records.len());
        for id in 1..records.len() {
            let record = records.get(id);
            let mut outside = None;
            let hash = hash(self.key, record, offset(id), |kid| {
                if kid >= end {
                    outside.get_or_insert(kid);
                }
                OPEN
            });
            if let Some(id) = outside {
                return Err(BtfError::NoSuchType { id, end });
            }
            self.seen[id] = Self::name(self.key, record).unwrap_or(hash);
        }
        Ok(())
    }

    /// What those see who refer to a type.
    pub(super) fn seen(&self, id: usize) -> u64 {
        self.seen[id]
    }

    /// Hash of what a type says itself, which has that role.
    ///
    /// # Errors
    /// References to no type.
    #[inline]
    pub(super) fn own(&self, record: &[u32], id: usize, role: Role) -> Result<u64, BtfError> {
        match role {
            Role::Plain => Ok(self.seen[id]),
            // not that of the name
            Role::Forward => Ok(self.key.end(!self.seen[id])),
            Role::Definition => {
                let mut outside = None;
                let hash = hash(self.key, record, offset(id), |kid| {
                    let hash = self.seen.get(kid as usize).copied();
                    hash.unwrap_or_else(|| {
                        outside.get_or_insert(kid);
                        OPEN
                    })
                });
                match outside {
                    None => Ok(hash),
                    Some(id) => Err(BtfError::NoSuchType {
                        id,
                        end: offset(self.seen.len()),
                    }),
                }
            }
        }
    }
}

#[inline]
const fn pair(high: u32, low: u32) -> u64 {
    (high as u64) << 32 | low as u64
}

/// Hash of a record; `kid` gives what stands for an id. Never [`OPEN`].
#[inline]
fn hash(key: Key, record: &[u32], id: u32, mut kid: impl FnMut(u32) -> u64) -> u64 {
    let (Some([name, info, word]), Some(rest)) = (record.first_chunk(), record.get(3..)) else {
        return key.end(key.start(0)) | 1;
    };
    let start = |second| key.add(key.start(record.len() as u64), pair(*name, *info), second);
    let hash = match kind_of(record) {
        Kind::Struct | Kind::Union => {
            let members = rest.as_chunks().0.iter();
            members.fold(start((*word).into()), |hash, [name, id, place]| {
                key.add(hash, kid(*id), pair(*name, *place))
            })
        }
        Kind::Enum | Kind::Enum64 | Kind::Int | Kind::Float | Kind::Fwd => {
            let (pairs, last) = rest.as_chunks();
            let hash = pairs
                .iter()
                .fold(start((*word).into()), |hash, [a, b, c, d]| {
                    key.add(hash, pair(*a, *b), pair(*c, *d))
                });
            last.iter()
                .fold(hash, |hash, word| key.add(hash, (*word).into(), 0))
        }
        Kind::FuncProto => {
            let params = rest.as_chunks().0.iter();
            params.fold(start(kid(*word)), |hash, [name, id]| {
                key.add(hash, kid(*id), (*name).into())
            })
        }
        Kind::Array => match rest {
            [element, index, len] => key.add(start((*len).into()), kid(*element), kid(*index)),
            _ => start(0),
        },
        Kind::Ptr
        | Kind::Typedef
        | Kind::Volatile
        | Kind::Const
        | Kind::Restrict
        | Kind::Func
        | Kind::TypeTag => start(kid(*word)),
        Kind::DeclTag => {
            let start = start(kid(*word));
            rest.iter()
                .fold(start, |hash, word| key.add(hash, (*word).into(), 0))
        }
        // Each is itself; their references are looked at for being there.
        Kind::Var => {
            kid(*word);
            start(id.into())
        }
        Kind::Datasec => {
            for [var, ..] in rest.as_chunks::<3>().0 {
                kid(*var);
            }
            start(id.into())
        }
        // Only the base has these.
        Kind::Void | Kind::Unknown(_) => start(id.into()),
    };
    key.end(hash) | 1
}
