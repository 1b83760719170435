//! Which words of a record are names and which are ids.

use core::convert::Infallible;

use crate::Kind;
use crate::raw::kind::{kind_bits, vlen};

/// Where ids and names are in the records of one kind; positions are words.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// Words in front of the elements.
    pub(crate) head: usize,
    /// Positions of ids among them.
    pub(crate) refs: &'static [usize],
    /// Words per element, 0 without elements.
    pub(crate) each: usize,
    /// Position of the id in an element.
    pub(crate) each_ref: Option<usize>,
    /// Position of the name in an element.
    pub(crate) each_name: Option<usize>,
}

const PLAIN: Shape = Shape {
    head: 3,
    refs: &[],
    each: 0,
    each_ref: None,
    each_name: None,
};

const REFERENCE: Shape = Shape {
    refs: &[2],
    ..PLAIN
};

/// The shape of a kind; `None` for kinds that this crate does not know.
#[inline]
pub(crate) const fn shape(kind: Kind) -> Option<Shape> {
    Some(match kind {
        Kind::Fwd | Kind::Float => PLAIN,
        Kind::Int => Shape { head: 4, ..PLAIN },
        Kind::Ptr
        | Kind::Typedef
        | Kind::Volatile
        | Kind::Const
        | Kind::Restrict
        | Kind::Func
        | Kind::TypeTag => REFERENCE,
        Kind::Var | Kind::DeclTag => Shape {
            head: 4,
            ..REFERENCE
        },
        Kind::Array => Shape {
            head: 6,
            refs: &[3, 4],
            ..PLAIN
        },
        Kind::Struct | Kind::Union => Shape {
            each: 3,
            each_ref: Some(1),
            each_name: Some(0),
            ..PLAIN
        },
        Kind::Enum => Shape {
            each: 2,
            each_name: Some(0),
            ..PLAIN
        },
        Kind::Enum64 => Shape {
            each: 3,
            each_name: Some(0),
            ..PLAIN
        },
        Kind::FuncProto => Shape {
            each: 2,
            each_ref: Some(1),
            each_name: Some(0),
            ..REFERENCE
        },
        Kind::Datasec => Shape {
            each: 3,
            each_ref: Some(0),
            ..PLAIN
        },
        Kind::Void | Kind::Unknown(_) => return None,
    })
}

/// Kind of a record.
#[inline]
pub(crate) fn kind_of(record: &[u32]) -> Kind {
    Kind::from_raw(kind_bits(record.get(1).copied().unwrap_or(0)))
}

/// Number of elements of a record.
#[inline]
pub(crate) fn len_of(record: &[u32]) -> u32 {
    vlen(record.get(1).copied().unwrap_or(0))
}

/// Calls with the word at `$at` of each of the elements of `$each` words in a slice. A loop for each
/// pair that there is: divisions and bounds are known then.
macro_rules! each_word {
    ($words:expr, $each:expr, $at:expr, $chunks:ident, $f:expr) => {
        match ($each, $at) {
            (3, 0) => $words
                .$chunks::<3>()
                .0
                .into_iter()
                .map(|[w, ..]| w)
                .try_for_each($f),
            (3, 1) => $words
                .$chunks::<3>()
                .0
                .into_iter()
                .map(|[_, w, _]| w)
                .try_for_each($f),
            (2, 0) => $words
                .$chunks::<2>()
                .0
                .into_iter()
                .map(|[w, _]| w)
                .try_for_each($f),
            (2, 1) => $words
                .$chunks::<2>()
                .0
                .into_iter()
                .map(|[_, w]| w)
                .try_for_each($f),
            _ => Ok(()),
        }
    };
}

impl Shape {
    /// Calls `f` on each id in a record.
    #[inline]
    pub(crate) fn refs(self, record: &[u32], mut f: impl FnMut(u32)) {
        for at in self.refs {
            if let Some(id) = record.get(*at) {
                f(*id);
            }
        }
        if let Some(at) = self.each_ref {
            let elements = record.get(self.head..).unwrap_or_default();
            let Ok(()): Result<(), Infallible> =
                each_word!(elements, self.each, at, as_chunks, |id| {
                    f(*id);
                    Ok(())
                });
        }
    }

    /// The same to change it.
    #[inline]
    pub(crate) fn refs_mut(self, record: &mut [u32], mut f: impl FnMut(&mut u32)) {
        for at in self.refs {
            if let Some(id) = record.get_mut(*at) {
                f(id);
            }
        }
        if let Some(at) = self.each_ref {
            let elements = record.get_mut(self.head..).unwrap_or_default();
            let Ok(()): Result<(), Infallible> =
                each_word!(elements, self.each, at, as_chunks_mut, |id| {
                    f(id);
                    Ok(())
                });
        }
    }

    /// Calls `f` on each name in a record, its own first.
    #[inline]
    pub(crate) fn names(self, record: &[u32], mut f: impl FnMut(u32)) {
        if let Some(name) = record.first() {
            f(*name);
        }
        if let Some(at) = self.each_name {
            let elements = record.get(self.head..).unwrap_or_default();
            let Ok(()): Result<(), Infallible> =
                each_word!(elements, self.each, at, as_chunks, |n| {
                    f(*n);
                    Ok(())
                });
        }
    }

    /// The same to change it; ends at the first error.
    #[inline]
    pub(crate) fn names_mut<E>(
        self,
        record: &mut [u32],
        mut f: impl FnMut(&mut u32) -> Result<(), E>,
    ) -> Result<(), E> {
        if let Some(name) = record.first_mut() {
            f(name)?;
        }
        match self.each_name {
            Some(at) => {
                let elements = record.get_mut(self.head..).unwrap_or_default();
                each_word!(elements, self.each, at, as_chunks_mut, f)
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raw::kind::SIZES;

    #[test]
    fn shapes_have_the_sizes_that_the_reader_knows() {
        for kind in Kind::ALL.into_iter().skip(1) {
            let shape = shape(kind).unwrap();
            let (head, each) = SIZES[usize::from(kind.raw())];
            assert_eq!(shape.head * 4, usize::from(head), "{kind}");
            assert_eq!(shape.each * 4, usize::from(each), "{kind}");
        }
        assert!(shape(Kind::Unknown(20)).is_none());
    }
}
