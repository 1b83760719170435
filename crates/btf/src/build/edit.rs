//! Changing records in place: what loaders do to types for kernels that know fewer kinds.

use crate::raw::kind::vlen;
use crate::{Kind, TypeId};

use super::shape::{kind_of, shape};
use super::{Builder, StrOff};

/// A record of a [`Builder`], to change. It keeps its size, and so all ids and offsets stay.
#[derive(Debug)]
pub struct RecordMut<'w> {
    words: &'w mut [u32],
}

impl Builder<'_> {
    /// An own type, to change.
    pub fn record_mut(&mut self, id: TypeId) -> Option<RecordMut<'_>> {
        let index = id.0.checked_sub(self.start_id)? as usize;
        let start = *self.starts.get(index)? as usize;
        let end = self.starts.get(index + 1);
        let end = end.map_or(self.words.len(), |end| *end as usize);
        let words = self.words.get_mut(start..end)?;
        (words.len() >= COMMON).then_some(RecordMut { words })
    }

    /// Leaves out what the section of layouts would say, which kernels before 7.1 refuse.
    pub fn remove_layout(&mut self) {
        self.layout.clear();
        self.long_header = false;
    }
}

/// Words that all records have.
const COMMON: usize = 3;

impl RecordMut<'_> {
    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> Kind {
        kind_of(self.words)
    }

    /// Number of elements; the linkage of a function.
    #[must_use]
    pub fn vlen(&self) -> u32 {
        vlen(self.at(1))
    }

    /// The flag whose meaning depends on the kind.
    #[must_use]
    pub fn kind_flag(&self) -> bool {
        self.at(1) >> 31 != 0
    }

    /// Offset of its name.
    #[must_use]
    pub fn name(&self) -> StrOff {
        StrOff(self.at(0))
    }

    /// Gives it another name.
    pub fn set_name(&mut self, name: StrOff) {
        self.put(0, name.0);
    }

    /// Its size, or the type it refers to.
    #[must_use]
    pub fn size_or_type(&self) -> u32 {
        self.at(2)
    }

    /// Gives it another size, or lets it refer to another type.
    pub fn set_size_or_type(&mut self, word: u32) {
        self.put(2, word);
    }

    /// Makes it one of another kind, number of elements and flag; what is behind the common part
    /// stays and is read in the new way.
    ///
    /// Gives whether that was possible: records of that kind with so many elements must have the
    /// size this one has.
    pub fn set_kind(&mut self, kind: Kind, flag: bool, elements: u32) -> bool {
        let size = shape(kind).and_then(|shape| {
            let each = (elements as usize).checked_mul(shape.each)?;
            shape.head.checked_add(each)
        });
        let fits = size == Some(self.words.len()) && vlen(elements) == elements;
        if fits {
            let info = u32::from(flag) << 31 | u32::from(kind.raw()) << 24 | elements;
            self.put(1, info);
        }
        fits
    }

    /// The words behind the common part: of a kind's own, then those of its elements.
    #[must_use]
    pub fn rest(&self) -> &[u32] {
        self.words.get(COMMON..).unwrap_or_default()
    }

    /// The same, to change.
    pub fn rest_mut(&mut self) -> &mut [u32] {
        self.words.get_mut(COMMON..).unwrap_or_default()
    }

    fn at(&self, word: usize) -> u32 {
        self.words.get(word).copied().unwrap_or_default()
    }

    fn put(&mut self, word: usize, value: u32) {
        if let Some(word) = self.words.get_mut(word) {
            *word = value;
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::build::{Builder, Member, SecVar};
    use crate::{Btf, Endian, Kind, Type};

    #[test]
    fn records_change_in_place_when_sizes_agree() {
        let mut b = Builder::new(Endian::Big);
        let int = b.add_int(b"int", 4, 1);
        let var = b.add_var(b"v", 0, int);
        let sec = b.add_datasec(
            b".data",
            4,
            &[SecVar {
                type_id: var,
                offset: 0,
                size: 4,
            }],
        );
        let proto = b.add_func_proto(0, &[(b"a", int)]);
        let blob = b.finish().unwrap();
        let btf = Btf::parse(&blob).unwrap();

        let mut b = Builder::from_btf(&btf).unwrap();
        assert!(b.record_mut(crate::TypeId(0)).is_none());
        assert!(b.record_mut(crate::TypeId(9)).is_none());
        let name = b.string(b"_data");
        let mut record = b.record_mut(sec).unwrap();
        assert_eq!((record.kind(), record.vlen()), (Kind::Datasec, 1));
        assert!(!record.set_kind(Kind::Struct, false, 2));
        assert!(record.set_kind(Kind::Struct, false, 1));
        record.set_name(name);
        let words = record.rest().to_vec();
        assert_eq!(words, [var.0, 0, 4]);
        record.rest_mut().copy_from_slice(&[0, int.0, 0]);
        let mut record = b.record_mut(proto).unwrap();
        assert!(record.set_kind(Kind::Enum, false, 1));
        record.set_size_or_type(4);
        assert_eq!(record.size_or_type(), 4);
        b.add_struct(b"more", 4, &[Member::new(b"m", int, 0)]);
        let blob = b.finish().unwrap();
        let after = Btf::parse(&blob).unwrap();
        assert_eq!(after.len(), btf.len() + 1);
        let Ok(Type::Struct(t)) = after.type_by_id(sec) else {
            panic!("no struct");
        };
        assert_eq!((t.name().or_empty(), t.size()), (&b"_data"[..], 4));
        assert!(matches!(after.type_by_id(proto), Ok(Type::Enum(_))));
        // old offsets of strings stay
        let old = btf.type_by_id(var).unwrap();
        let offset = old.record().unwrap().name().offset();
        assert_eq!(after.str_at(offset).unwrap(), b"v");
    }

    #[test]
    fn layouts_can_be_left_out() {
        let mut b = Builder::new(Endian::Little);
        b.add_int(b"int", 4, 1);
        let plain = b.clone().finish().unwrap();
        b.add_layout();
        let long = b.finish().unwrap();
        let btf = Btf::parse(&long).unwrap();
        assert!(btf.has_layout());
        let mut b = Builder::from_btf(&btf).unwrap();
        b.remove_layout();
        assert_eq!(b.finish().unwrap(), plain);
    }
}
