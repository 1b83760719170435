//! Writing BTF: types are added one by one and get the next id, names go to a pool.
//!
//! A [`Builder`] makes stand-alone or split BTF of either byte order. It can start empty, with
//! all that another blob has ([`Builder::from_btf`]), or take over blobs and single types of
//! them ([`Builder::append`], [`Builder::copy_type`]).
//!
//! Adding never fails at once: the first thing that cannot be written (too many elements, a
//! name with NUL in it) is kept, and [`Builder::finish`] tells it.
//!
//! ```
//! use btf::build::{Builder, Member};
//! use btf::{Btf, Endian, Kind, encoding};
//!
//! let mut b = Builder::new(Endian::Little);
//! let int = b.add_int(b"int", 4, encoding::SIGNED);
//! let next = b.next_id() + 1; // of the struct, which comes after the pointer to it
//! let pointer = b.add_ptr(next);
//! b.add_struct(b"node", 16, &[Member::new(b"next", pointer, 0), Member::new(b"n", int, 64)]);
//! let blob = b.finish()?;
//!
//! let btf = Btf::parse(&blob)?;
//! let node = btf.find_by_name_kind(b"node", Kind::Struct).expect("it was added");
//! assert_eq!(btf.size_of(node)?, 16);
//! # Ok::<(), btf::BtfError>(())
//! ```

mod copy;
mod edit;
mod encode;
pub(crate) mod shape;
mod sort;
mod strings;

pub use copy::Appended;
pub(crate) use copy::{before, words};
pub use edit::RecordMut;
pub(crate) use strings::{Overlap, Pool};

use crate::raw::kind::vlen;
use crate::{Btf, BtfError, Endian, Kind, TypeId};

/// Largest number of elements that a record can have.
const MAX_LEN: usize = vlen(u32::MAX) as usize;

/// Offset of a string, counted from the first string of the outermost base; 0 is the empty one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StrOff(pub u32);

/// Where the own types of a [`Builder`] went when it changed their order or took some out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renumbered {
    first_own: u32,
    /// New id of each own type.
    ids: Vec<u32>,
    removed: usize,
}

impl Renumbered {
    pub(crate) const fn new(first_own: u32, ids: Vec<u32>, removed: usize) -> Self {
        Self {
            first_own,
            ids,
            removed,
        }
    }

    /// The id that a type has now; `void` and types of the base keep theirs.
    #[inline]
    pub fn map(&self, id: TypeId) -> TypeId {
        let own = id.0.checked_sub(self.first_own).map(|own| own as usize);
        match own.and_then(|own| self.ids.get(own)) {
            Some(new) => TypeId(*new),
            None => id,
        }
    }

    /// How many types were taken out.
    pub const fn removed(&self) -> usize {
        self.removed
    }
}

/// A member to write.
#[derive(Clone, Copy, Debug)]
pub struct Member<'n> {
    /// Name; empty for an anonymous struct or union.
    pub name: &'n [u8],
    /// Type.
    pub type_id: TypeId,
    /// Bits from the start of the struct.
    pub bit_offset: u32,
    /// Width in bits of a bit field, at most 255; else 0.
    pub bitfield_size: u32,
}

impl<'n> Member<'n> {
    /// A member that is no bit field.
    pub const fn new(name: &'n [u8], type_id: TypeId, bit_offset: u32) -> Self {
        Self {
            name,
            type_id,
            bit_offset,
            bitfield_size: 0,
        }
    }
}

/// Where a variable is in its section, to write.
#[derive(Clone, Copy, Debug)]
pub struct SecVar {
    /// The variable, or the function in `.ksyms`.
    pub type_id: TypeId,
    /// Bytes from the start of the section.
    pub offset: u32,
    /// Bytes the variable takes.
    pub size: u32,
}

/// BTF under construction; see the [module](self).
#[derive(Clone, Debug)]
pub struct Builder<'b> {
    endian: Endian,
    base: Option<&'b Btf<'b>>,
    start_id: u32,
    flags: u8,
    /// The long header, also without layout.
    long_header: bool,
    layout: Vec<encode::LayoutEntry>,
    /// The records in this machine's byte order: all that BTF has are 32-bit words.
    pub(crate) words: Vec<u32>,
    /// First word of each record.
    pub(crate) starts: Vec<u32>,
    pub(crate) pool: Pool<'b>,
    failed: Option<BtfError>,
    /// For names of single types that are taken over.
    overlap: Overlap,
}

impl Builder<'static> {
    /// Empty stand-alone BTF.
    #[doc(alias = "btf__new_empty")]
    pub fn new(endian: Endian) -> Self {
        Self::with_pool(endian, None, Pool::new(None))
    }
}

impl<'b> Builder<'b> {
    /// Empty split BTF, whose ids and strings continue those of `base`; strings that the base
    /// has are used from there.
    #[doc(alias = "btf__new_empty_split")]
    pub fn split(base: &'b Btf<'b>) -> Self {
        Self::with_pool(base.endian(), Some(base), Pool::new(Some(base)))
    }

    const fn with_pool(endian: Endian, base: Option<&'b Btf<'b>>, pool: Pool<'b>) -> Self {
        Self {
            endian,
            base,
            start_id: match base {
                Some(base) => base.len(),
                None => 1,
            },
            flags: 0,
            long_header: false,
            layout: Vec::new(),
            words: Vec::new(),
            starts: Vec::new(),
            pool,
            failed: None,
            overlap: Overlap::new(1 << 20),
        }
    }

    /// Byte order of what is written.
    pub const fn endian(&self) -> Endian {
        self.endian
    }

    /// Changes the byte order of what is written.
    pub const fn set_endian(&mut self, endian: Endian) {
        self.endian = endian;
    }

    /// The base that this continues.
    pub const fn base(&self) -> Option<&'b Btf<'b>> {
        self.base
    }

    /// First id of own types.
    pub const fn start_id(&self) -> u32 {
        self.start_id
    }

    /// The id that the next type gets, and one past the last.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "checked when types are added"
    )]
    pub const fn next_id(&self) -> u32 {
        self.start_id + self.starts.len() as u32
    }

    /// Number of own types.
    pub const fn len(&self) -> usize {
        self.starts.len()
    }

    /// Whether there are no own types.
    pub const fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// The first thing that could not be added.
    pub const fn error(&self) -> Option<BtfError> {
        self.failed
    }

    /// Offset of a string, which is added if it is not there yet; of the empty one after a
    /// failure.
    #[doc(alias = "btf__add_str")]
    pub fn string(&mut self, text: &[u8]) -> StrOff {
        StrOff(self.name(text))
    }

    /// The string at an offset, own or the base's.
    ///
    /// # Errors
    /// [`BtfError::NoSuchString`].
    #[doc(alias = "btf__str_by_offset")]
    pub fn str_at(&self, offset: StrOff) -> Result<&[u8], BtfError> {
        self.pool.at(offset.0)
    }

    fn name(&mut self, text: &[u8]) -> u32 {
        self.pool.add(text).unwrap_or_else(|error| {
            self.fail(error);
            0
        })
    }

    #[cold]
    fn fail(&mut self, error: BtfError) {
        self.failed.get_or_insert(error);
    }

    /// Starts a record; the words behind the common part follow.
    fn open(&mut self, name: &[u8], kind: Kind, flag: bool, len: usize, word: u32) -> TypeId {
        let name = self.name(name);
        let id = self.open_raw();
        let len = match u32::try_from(len) {
            Ok(n) if len <= MAX_LEN => n,
            _ => {
                self.fail(BtfError::TooManyElements { id, kind });
                0
            }
        };
        let info = u32::from(flag) << 31 | u32::from(kind.raw()) << 24 | len;
        self.words.extend([name, info, word]);
        id
    }

    /// Notes that a record starts here.
    fn open_raw(&mut self) -> TypeId {
        let id = TypeId(self.next_id());
        // no blob with 4 GiB of types can be read
        match u32::try_from(self.words.len()) {
            Ok(start) if start < u32::MAX / 4 && id.0 < u32::MAX - 1 => self.starts.push(start),
            _ => {
                self.fail(BtfError::TypesFull);
                self.words.clear();
                self.starts.clear();
            }
        }
        id
    }

    /// An integer that fills its bytes; `encoding` is a sum of [`encoding`](crate::encoding)s.
    #[doc(alias = "btf__add_int")]
    pub fn add_int(&mut self, name: &[u8], size: u32, encoding: u8) -> TypeId {
        let bits = size.saturating_mul(8).min(255);
        self.add_int_bits(
            name,
            size,
            encoding,
            0,
            u8::try_from(bits).unwrap_or(u8::MAX),
        )
    }

    /// An integer of `bits` bits that start at bit `offset` of its bytes.
    pub fn add_int_bits(
        &mut self,
        name: &[u8],
        size: u32,
        encoding: u8,
        offset: u8,
        bits: u8,
    ) -> TypeId {
        let id = self.open(name, Kind::Int, false, 0, size);
        let word = u32::from(encoding) << 24 | u32::from(offset) << 16 | u32::from(bits);
        self.words.push(word);
        id
    }

    /// A floating-point number.
    #[doc(alias = "btf__add_float")]
    pub fn add_float(&mut self, name: &[u8], size: u32) -> TypeId {
        self.open(name, Kind::Float, false, 0, size)
    }

    /// A pointer.
    #[doc(alias = "btf__add_ptr")]
    pub fn add_ptr(&mut self, to: impl Into<TypeId>) -> TypeId {
        self.open(b"", Kind::Ptr, false, 0, to.into().0)
    }

    /// An array.
    #[doc(alias = "btf__add_array")]
    pub fn add_array(
        &mut self,
        element: impl Into<TypeId>,
        index: impl Into<TypeId>,
        len: u32,
    ) -> TypeId {
        let id = self.open(b"", Kind::Array, false, 0, 0);
        self.words.extend([element.into().0, index.into().0, len]);
        id
    }

    /// A struct of `size` bytes; the name may be empty.
    #[doc(alias = "btf__add_struct")]
    pub fn add_struct(&mut self, name: &[u8], size: u32, members: &[Member<'_>]) -> TypeId {
        self.composite(Kind::Struct, name, size, members)
    }

    /// A union of `size` bytes; the name may be empty.
    #[doc(alias = "btf__add_union")]
    pub fn add_union(&mut self, name: &[u8], size: u32, members: &[Member<'_>]) -> TypeId {
        self.composite(Kind::Union, name, size, members)
    }

    fn composite(&mut self, kind: Kind, name: &[u8], size: u32, members: &[Member<'_>]) -> TypeId {
        let flag = members.iter().any(|member| member.bitfield_size != 0);
        let id = self.open(name, kind, flag, members.len(), size);
        for member in members {
            let Member {
                bit_offset: offset,
                bitfield_size: width,
                ..
            } = *member;
            if flag && (offset > 0x00ff_ffff || width > 255) {
                self.fail(BtfError::BitField { id, offset, width });
            }
            let name = self.name(member.name);
            self.words
                .extend([name, member.type_id.0, width << 24 | offset]);
        }
        id
    }

    /// An enumeration with values of up to 32 bits; negative ones in two's complement.
    #[doc(alias = "btf__add_enum")]
    pub fn add_enum(
        &mut self,
        name: &[u8],
        size: u32,
        signed: bool,
        values: &[(&[u8], u32)],
    ) -> TypeId {
        let id = self.open(name, Kind::Enum, signed, values.len(), size);
        for (name, value) in values {
            let name = self.name(name);
            self.words.extend([name, *value]);
        }
        id
    }

    /// An enumeration with values of up to 64 bits; negative ones in two's complement.
    #[doc(alias = "btf__add_enum64")]
    pub fn add_enum64(
        &mut self,
        name: &[u8],
        size: u32,
        signed: bool,
        values: &[(&[u8], u64)],
    ) -> TypeId {
        let id = self.open(name, Kind::Enum64, signed, values.len(), size);
        for (name, value) in values {
            let name = self.name(name);
            #[expect(clippy::cast_possible_truncation, reason = "two halves")]
            self.words
                .extend([name, *value as u32, (*value >> 32) as u32]);
        }
        id
    }

    /// A struct, or union, that is declared and not defined.
    #[doc(alias = "btf__add_fwd")]
    pub fn add_fwd(&mut self, name: &[u8], is_union: bool) -> TypeId {
        self.open(name, Kind::Fwd, is_union, 0, 0)
    }

    /// A typedef.
    #[doc(alias = "btf__add_typedef")]
    pub fn add_typedef(&mut self, name: &[u8], of: impl Into<TypeId>) -> TypeId {
        self.open(name, Kind::Typedef, false, 0, of.into().0)
    }

    /// `volatile`.
    #[doc(alias = "btf__add_volatile")]
    pub fn add_volatile(&mut self, of: impl Into<TypeId>) -> TypeId {
        self.open(b"", Kind::Volatile, false, 0, of.into().0)
    }

    /// `const`.
    #[doc(alias = "btf__add_const")]
    pub fn add_const(&mut self, of: impl Into<TypeId>) -> TypeId {
        self.open(b"", Kind::Const, false, 0, of.into().0)
    }

    /// `restrict`.
    #[doc(alias = "btf__add_restrict")]
    pub fn add_restrict(&mut self, of: impl Into<TypeId>) -> TypeId {
        self.open(b"", Kind::Restrict, false, 0, of.into().0)
    }

    /// A function with linkage static 0, global 1 or extern 2.
    #[doc(alias = "btf__add_func")]
    pub fn add_func(&mut self, name: &[u8], linkage: u32, proto: impl Into<TypeId>) -> TypeId {
        let linkage = usize::try_from(linkage).unwrap_or(usize::MAX);
        self.open(name, Kind::Func, false, linkage, proto.into().0)
    }

    /// A signature; a last parameter without name and of `void` stands for `...`.
    #[doc(alias = "btf__add_func_proto")]
    pub fn add_func_proto(
        &mut self,
        returns: impl Into<TypeId>,
        params: &[(&[u8], TypeId)],
    ) -> TypeId {
        let id = self.open(b"", Kind::FuncProto, false, params.len(), returns.into().0);
        for (name, type_id) in params {
            let name = self.name(name);
            self.words.extend([name, type_id.0]);
        }
        id
    }

    /// A global variable with linkage static 0, global 1 or extern 2.
    #[doc(alias = "btf__add_var")]
    pub fn add_var(&mut self, name: &[u8], linkage: u32, type_id: impl Into<TypeId>) -> TypeId {
        let id = self.open(name, Kind::Var, false, 0, type_id.into().0);
        self.words.push(linkage);
        id
    }

    /// A section of variables.
    #[doc(alias = "btf__add_datasec")]
    pub fn add_datasec(&mut self, name: &[u8], size: u32, vars: &[SecVar]) -> TypeId {
        let id = self.open(name, Kind::Datasec, false, vars.len(), size);
        for var in vars {
            self.words.extend([var.type_id.0, var.offset, var.size]);
        }
        id
    }

    /// A tag of a declaration: of a member or parameter by its number, or of the whole for -1.
    #[doc(alias = "btf__add_decl_tag")]
    pub fn add_decl_tag(&mut self, text: &[u8], of: impl Into<TypeId>, component: i32) -> TypeId {
        self.decl_tag(text, of.into(), component, false)
    }

    /// The same with the text of a whole attribute (Linux 6.14).
    #[doc(alias = "btf__add_decl_attr")]
    pub fn add_decl_attr(&mut self, text: &[u8], of: impl Into<TypeId>, component: i32) -> TypeId {
        self.decl_tag(text, of.into(), component, true)
    }

    fn decl_tag(&mut self, text: &[u8], of: TypeId, component: i32, attribute: bool) -> TypeId {
        let id = self.open(text, Kind::DeclTag, attribute, 0, of.0);
        self.words.push(component.cast_unsigned());
        id
    }

    /// A tag of a type.
    #[doc(alias = "btf__add_type_tag")]
    pub fn add_type_tag(&mut self, text: &[u8], of: impl Into<TypeId>) -> TypeId {
        self.open(text, Kind::TypeTag, false, 0, of.into().0)
    }

    /// The same with the text of a whole attribute (Linux 6.14).
    #[doc(alias = "btf__add_type_attr")]
    pub fn add_type_attr(&mut self, text: &[u8], of: impl Into<TypeId>) -> TypeId {
        self.open(text, Kind::TypeTag, true, 0, of.into().0)
    }

    /// The words of an own record.
    pub(crate) fn record(&self, index: usize) -> &[u32] {
        record(&self.words, &self.starts, index)
    }
}

/// The words of the record with that number.
#[inline]
pub(crate) fn record<'w>(words: &'w [u32], starts: &[u32], index: usize) -> &'w [u32] {
    let record = match starts.get(index..) {
        Some([start, end, ..]) => words.get(*start as usize..*end as usize),
        Some([start]) => words.get(*start as usize..),
        _ => None,
    };
    record.unwrap_or_default()
}

#[cfg(test)]
pub(crate) mod tests;
