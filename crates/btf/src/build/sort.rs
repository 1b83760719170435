//! Types in the order of their names, which readers search without an index.

use crate::{BtfError, TypeId};

use super::shape::{kind_of, shape};
use super::{Builder, Overlap, Renumbered};

/// The start of a name as a number, the name, and the position of its type.
type Sortable<'n> = (u64, &'n [u8], u32);

impl Builder<'_> {
    /// Puts own types without name first, then the others by name; types of one name keep their
    /// order. Kernels from 7.0 on search such BTF by halves, and so does
    /// [`Btf::find_by_name`](crate::Btf::find_by_name).
    ///
    /// # Errors
    /// What could not be added before, names outside the strings, references to own types that
    /// are not there, types of unknown kinds. Nothing is changed then.
    #[doc(alias = "btf__permute")]
    pub fn sort_by_name(&mut self) -> Result<Renumbered, BtfError> {
        if let Some(error) = self.error() {
            return Err(error);
        }
        let mut order = self.names()?;
        order.sort_unstable();
        let order: Vec<u32> = order.into_iter().map(|(.., index)| index).collect();

        let first = self.start_id();
        let mut ids = vec![0; order.len()];
        for (new, old) in (first..).zip(&order) {
            if let Some(id) = ids.get_mut(*old as usize) {
                *id = new;
            }
        }
        let renumbered = Renumbered::new(first, ids, 0);
        let mut words = Vec::with_capacity(self.words.len());
        let mut starts = Vec::with_capacity(order.len());
        for old in order {
            let at = words.len();
            starts.push(u32::try_from(at).map_err(|_error| BtfError::TypesFull)?);
            words.extend_from_slice(self.record(old as usize));
            let record = words.get_mut(at..).unwrap_or_default();
            if let Some(shape) = shape(kind_of(record)) {
                shape.refs_mut(record, |id| *id = renumbered.map(TypeId(*id)).0);
            }
        }
        self.words = words;
        self.starts = starts;
        Ok(renumbered)
    }

    /// All own types, whose references are checked.
    fn names(&self) -> Result<Vec<Sortable<'_>>, BtfError> {
        let end = self.next_id();
        let mut overlap = Overlap::new(usize::try_from(self.pool.end()).unwrap_or_default());
        let mut names = Vec::with_capacity(self.len());
        for (at, index) in (0..self.len()).zip(0..) {
            let record = self.record(at);
            let kind = kind_of(record);
            let Some(shape) = shape(kind) else {
                return Err(BtfError::UnknownReferences {
                    id: TypeId(self.start_id() + index),
                    kind: kind.raw(),
                });
            };
            let mut wrong = None;
            shape.refs(record, |id| {
                if id >= end {
                    wrong.get_or_insert(id);
                }
            });
            if let Some(id) = wrong {
                return Err(BtfError::NoSuchType { id, end });
            }
            let offset = record.first().copied().unwrap_or_default();
            let name = match offset {
                0 => &[][..],
                offset => self.pool.at(offset)?,
            };
            overlap.count(offset, self.pool.before(offset), name)?;
            let mut start = [0; 8];
            for (to, from) in start.iter_mut().zip(name) {
                *to = *from;
            }
            names.push((u64::from_be_bytes(start), name, index));
        }
        Ok(names)
    }
}
