//! Views of type records: `Copy`, borrowing the blob, reading fields when asked.

use core::ops::Deref;
use std::borrow::Cow;

use crate::raw::cursor::{Endian, word};
use crate::raw::kind::{self, COMMON};
use crate::raw::strings;
use crate::{Btf, BtfError, Kind, TypeId};

/// One type, by kind.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Type<'a> {
    /// `void`: id 0.
    Void,
    /// Integer.
    Int(Int<'a>),
    /// Pointer.
    Ptr(Ref<'a>),
    /// Array.
    Array(Array<'a>),
    /// Struct.
    Struct(Composite<'a>),
    /// Union.
    Union(Composite<'a>),
    /// Enumeration up to 32 bits.
    Enum(Enum<'a>),
    /// Declared struct or union without definition.
    Fwd(Fwd<'a>),
    /// Typedef.
    Typedef(Ref<'a>),
    /// `volatile`.
    Volatile(Ref<'a>),
    /// `const`.
    Const(Ref<'a>),
    /// `restrict`.
    Restrict(Ref<'a>),
    /// Function.
    Func(Func<'a>),
    /// Signature.
    FuncProto(FuncProto<'a>),
    /// Global variable.
    Var(Var<'a>),
    /// Section of variables.
    Datasec(Datasec<'a>),
    /// Floating-point number.
    Float(Float<'a>),
    /// Attribute of a declaration.
    DeclTag(DeclTag<'a>),
    /// Attribute of a type.
    TypeTag(Ref<'a>),
    /// Enumeration up to 64 bits.
    Enum64(Enum64<'a>),
    /// A kind newer than this crate, or a record of kind 0.
    Unknown(Unknown<'a>),
}

/// A name: bytes from the string section, looked up and checked when asked for.
#[derive(Clone, Copy)]
pub struct Name<'a> {
    btf: &'a Btf<'a>,
    offset: u32,
}

impl<'a> Name<'a> {
    /// Offset in the strings, 0 for "no name".
    pub const fn offset(self) -> u32 {
        self.offset
    }

    /// Whether there is no name, or an empty one.
    pub fn is_empty(self) -> bool {
        self.is(b"")
    }

    /// Whether the name is `text`: without looking for the end of a longer name. No name and one
    /// with a wrong offset count as empty.
    #[inline]
    pub fn is(self, text: &[u8]) -> bool {
        strings::starts_as(self.tail().unwrap_or_default(), text)
    }

    /// The bytes; empty when there is no name.
    ///
    /// # Errors
    /// [`BtfError::NoSuchString`] when the offset is outside the string section.
    #[inline]
    pub fn bytes(self) -> Result<&'a [u8], BtfError> {
        if self.offset == 0 {
            Ok(b"")
        } else {
            self.btf.str_at(self.offset)
        }
    }

    /// The bytes; empty when there is no name or its offset is wrong.
    #[inline]
    pub fn or_empty(self) -> &'a [u8] {
        self.bytes().unwrap_or_default()
    }

    /// What bpftool shows: `(anon)` without a name, `(invalid)` for a wrong offset.
    #[inline]
    pub fn label(self) -> &'a [u8] {
        if self.offset == 0 {
            b"(anon)"
        } else {
            self.btf.str_at(self.offset).unwrap_or(b"(invalid)")
        }
    }

    /// All strings from the name on.
    #[inline]
    pub(crate) fn tail(self) -> Option<&'a [u8]> {
        if self.offset == 0 {
            None
        } else {
            self.btf.str_tail(self.offset)
        }
    }

    /// The bytes as text fit for a terminal: [`strings::escape`].
    pub fn to_text(self) -> Cow<'a, str> {
        strings::escape(self.or_empty())
    }
}

impl core::fmt::Debug for Name<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "\"{}\"", strings::escape(self.label()))
    }
}

/// [`Name::label`], escaped.
impl core::fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(&strings::escape(self.label()))
    }
}

/// The part that all type records share. Every view derefs to it.
#[derive(Clone, Copy)]
pub struct Record<'a> {
    btf: &'a Btf<'a>,
    raw: &'a [u8],
    id: TypeId,
    name_off: u32,
    info: u32,
    size_or_type: u32,
}

impl<'a> Record<'a> {
    #[inline]
    pub(crate) fn new(btf: &'a Btf<'a>, id: TypeId, raw: &'a [u8]) -> Self {
        let endian = btf.endian();
        Self {
            btf,
            raw,
            id,
            name_off: word(endian, raw, 0),
            info: word(endian, raw, 4),
            size_or_type: word(endian, raw, 8),
        }
    }

    /// The type's id.
    pub const fn id(&self) -> TypeId {
        self.id
    }

    /// The type's kind.
    #[inline]
    pub const fn kind(&self) -> Kind {
        Kind::from_raw(kind::kind_bits(self.info))
    }

    /// The type's name.
    #[inline]
    pub const fn name(&self) -> Name<'a> {
        Name {
            btf: self.btf,
            offset: self.name_off,
        }
    }

    /// The flag whose meaning depends on the kind.
    #[inline]
    pub const fn kind_flag(&self) -> bool {
        kind::kind_flag(self.info)
    }

    /// Number of elements: members, enumerators, parameters, variables.
    #[inline]
    pub const fn vlen(&self) -> u32 {
        kind::vlen(self.info)
    }

    /// The `info` word.
    pub const fn info(&self) -> u32 {
        self.info
    }

    /// The word that is a size for some kinds and a type id for others.
    pub const fn size_or_type(&self) -> u32 {
        self.size_or_type
    }

    /// The record's bytes.
    pub const fn raw(&self) -> &'a [u8] {
        self.raw
    }

    /// The record's first byte, counted from the start of its blob.
    pub fn offset(&self) -> u64 {
        self.btf.record_offset(self.id)
    }

    /// Word `n` after the common part.
    #[inline]
    fn extra(&self, n: usize) -> u32 {
        word(self.btf.endian(), self.raw, COMMON + 4 * n)
    }

    /// The elements, `W` words each.
    #[inline]
    fn elements<const W: usize>(&self) -> Elements<'a, W> {
        Elements {
            btf: self.btf,
            rest: self.raw.get(COMMON..).unwrap_or_default(),
            kind_flag: self.kind_flag(),
        }
    }
}

impl core::fmt::Debug for Record<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Record")
            .field("id", &self.id.0)
            .field("kind", &self.kind())
            .field("name", &self.name())
            .field("vlen", &self.vlen())
            .field("kind_flag", &self.kind_flag())
            .field("size_or_type", &self.size_or_type)
            .finish_non_exhaustive()
    }
}

/// Words of the elements of one record.
#[derive(Clone)]
struct Elements<'a, const W: usize> {
    btf: &'a Btf<'a>,
    rest: &'a [u8],
    kind_flag: bool,
}

impl<const W: usize> Elements<'_, W> {
    #[inline]
    fn next_words(&mut self) -> Option<[u32; W]> {
        let (head, rest) = self.rest.split_at_checked(4 * W)?;
        self.rest = rest;
        let endian = self.btf.endian();
        Some(core::array::from_fn(|i| word(endian, head, 4 * i)))
    }

    fn len(&self) -> usize {
        self.rest.len() / (4 * W)
    }

    fn skip(&mut self, n: usize) {
        let bytes = n.saturating_mul(4 * W);
        self.rest = self.rest.get(bytes..).unwrap_or_default();
    }
}

macro_rules! views {
    ($($(#[$doc:meta])* $view:ident)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy)]
        pub struct $view<'a>(Record<'a>);

        impl<'a> Deref for $view<'a> {
            type Target = Record<'a>;
            #[inline]
            fn deref(&self) -> &Record<'a> {
                &self.0
            }
        }

        impl core::fmt::Debug for $view<'_> {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}

views! {
    /// Integer.
    Int
    /// A type that only refers to another: pointer, qualifier, typedef, type tag.
    Ref
    /// Array.
    Array
    /// Struct or union.
    Composite
    /// Enumeration up to 32 bits.
    Enum
    /// Declared struct or union without definition.
    Fwd
    /// Function.
    Func
    /// Signature of a function.
    FuncProto
    /// Global variable.
    Var
    /// Section of variables.
    Datasec
    /// Floating-point number.
    Float
    /// Attribute of a declaration.
    DeclTag
    /// Enumeration up to 64 bits.
    Enum64
    /// A type of a kind newer than this crate; its layout is known, its meaning is not.
    Unknown
}

/// Iterators over elements: name, item, words per element, how words become the item.
macro_rules! element_iterators {
    ($($(#[$doc:meta])* $iter:ident($words:literal) -> $item:ident: |$this:ident, $w:ident| $make:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Clone)]
        pub struct $iter<'a> {
            elements: Elements<'a, $words>,
        }

        impl<'a> Iterator for $iter<'a> {
            type Item = $item<'a>;

            #[inline]
            fn next(&mut self) -> Option<$item<'a>> {
                let $w = self.elements.next_words()?;
                let $this = &*self;
                Some($make)
            }

            fn size_hint(&self) -> (usize, Option<usize>) {
                (self.elements.len(), Some(self.elements.len()))
            }

            #[inline]
            fn nth(&mut self, n: usize) -> Option<$item<'a>> {
                self.elements.skip(n);
                self.next()
            }
        }

        impl ExactSizeIterator for $iter<'_> {}

        impl core::fmt::Debug for $iter<'_> {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.debug_list().entries(self.clone()).finish()
            }
        }
    )*};
}

element_iterators! {
    /// The members of a struct or union.
    Members(3) -> Member: |this, w| {
        let [name, type_id, offset] = w;
        let (bit_offset, bitfield_size) = if this.elements.kind_flag {
            (offset & 0x00ff_ffff, offset >> 24)
        } else {
            (offset, 0)
        };
        Member {
            name: Name { btf: this.elements.btf, offset: name },
            type_id: TypeId(type_id),
            bit_offset,
            bitfield_size,
        }
    };
    /// The constants of an [`Enum`].
    Enumerators(2) -> Enumerator: |this, w| {
        let [name, value] = w;
        Enumerator {
            name: Name { btf: this.elements.btf, offset: name },
            raw: u64::from(value),
            value: if this.elements.kind_flag { i128::from(value.cast_signed()) } else { i128::from(value) },
        }
    };
    /// The constants of an [`Enum64`].
    Enumerators64(3) -> Enumerator: |this, w| {
        let [name, low, high] = w;
        let raw = u64::from(high) << 32 | u64::from(low);
        Enumerator {
            name: Name { btf: this.elements.btf, offset: name },
            raw,
            value: if this.elements.kind_flag { i128::from(raw.cast_signed()) } else { i128::from(raw) },
        }
    };
    /// The parameters of a [`FuncProto`].
    Params(2) -> Param: |this, w| {
        let [name, type_id] = w;
        Param { name: Name { btf: this.elements.btf, offset: name }, type_id: TypeId(type_id) }
    };
    /// The variables of a [`Datasec`].
    Vars(3) -> VarInfo: |this, w| {
        let [type_id, offset, size] = w;
        VarInfo { btf: this.elements.btf, type_id: TypeId(type_id), offset, size }
    };
}

/// A member of a struct or union.
#[derive(Clone, Copy, Debug)]
pub struct Member<'a> {
    /// Name; empty for an anonymous struct or union.
    pub name: Name<'a>,
    /// Type.
    pub type_id: TypeId,
    /// Bits from the start of the struct.
    pub bit_offset: u32,
    /// Width in bits of a bit field; 0 for other members, and for bit fields of the old
    /// style, which have their width in the [`Int`].
    pub bitfield_size: u32,
}

/// A constant of an enumeration.
#[derive(Clone, Copy, Debug)]
pub struct Enumerator<'a> {
    /// Name.
    pub name: Name<'a>,
    /// The value's bits, not extended.
    pub raw: u64,
    /// The value as the enumeration's signedness gives it.
    pub value: i128,
}

/// A parameter of a function.
#[derive(Clone, Copy, Debug)]
pub struct Param<'a> {
    /// Name, may be empty.
    pub name: Name<'a>,
    /// Type; a last parameter of `void` and no name stands for `...`.
    pub type_id: TypeId,
}

/// Where a variable is in its section.
#[derive(Clone, Copy)]
pub struct VarInfo<'a> {
    btf: &'a Btf<'a>,
    /// The variable's type: a [`Var`], or a [`Func`] in `.ksyms`.
    pub type_id: TypeId,
    /// Bytes from the start of the section.
    pub offset: u32,
    /// Bytes the variable takes.
    pub size: u32,
}

impl<'a> VarInfo<'a> {
    /// Kind and name of the variable's type, when the id is one of the blob that the section
    /// is in, or of its base.
    pub fn target(&self) -> Option<(Kind, Name<'a>)> {
        if self.type_id.is_void() {
            return Some((
                Kind::Void,
                Name {
                    btf: self.btf,
                    offset: 0,
                },
            ));
        }
        let record = self.btf.record(self.type_id).ok()?;
        Some((record.kind(), record.name()))
    }
}

impl core::fmt::Debug for VarInfo<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("VarInfo")
            .field("type_id", &self.type_id.0)
            .field("offset", &self.offset)
            .field("size", &self.size)
            .finish()
    }
}

impl Int<'_> {
    /// Bytes of storage.
    pub const fn size(&self) -> u32 {
        self.0.size_or_type()
    }

    /// Encoding bits: [`encoding`].
    #[inline]
    pub fn encoding(&self) -> u8 {
        let [_, _, _, top] = self.0.extra(0).to_le_bytes();
        top & 0x0f
    }

    /// First bit in the storage.
    #[inline]
    pub fn bit_offset(&self) -> u32 {
        self.0.extra(0) >> 16 & 0xff
    }

    /// Number of bits.
    #[inline]
    pub fn bits(&self) -> u32 {
        self.0.extra(0) & 0xff
    }

    /// Whether the encoding says "signed".
    pub fn is_signed(&self) -> bool {
        self.encoding() & encoding::SIGNED != 0
    }
}

/// Bits of [`Int::encoding`].
pub mod encoding {
    /// Two's complement.
    #[doc(alias = "BTF_INT_SIGNED")]
    pub const SIGNED: u8 = 1;
    /// A character.
    #[doc(alias = "BTF_INT_CHAR")]
    pub const CHAR: u8 = 2;
    /// A truth value.
    #[doc(alias = "BTF_INT_BOOL")]
    pub const BOOL: u8 = 4;
}

impl Ref<'_> {
    /// The type referred to.
    #[inline]
    pub const fn type_id(&self) -> TypeId {
        TypeId(self.0.size_or_type)
    }
}

impl Array<'_> {
    /// Type of the elements.
    #[inline]
    pub fn elem_type(&self) -> TypeId {
        TypeId(self.0.extra(0))
    }

    /// Type of the index.
    pub fn index_type(&self) -> TypeId {
        TypeId(self.0.extra(1))
    }

    /// Number of elements; 0 for a flexible array.
    #[inline]
    pub fn len(&self) -> u32 {
        self.0.extra(2)
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<'a> Composite<'a> {
    /// Size in bytes.
    pub const fn size(&self) -> u32 {
        self.0.size_or_type()
    }

    /// The members in order.
    #[inline]
    pub fn members(&self) -> Members<'a> {
        Members {
            elements: self.0.elements(),
        }
    }

    /// Whether it is a union.
    pub fn is_union(&self) -> bool {
        self.0.kind() == Kind::Union
    }
}

impl<'a> Enum<'a> {
    /// Size in bytes.
    pub const fn size(&self) -> u32 {
        self.0.size_or_type()
    }

    /// Whether values are signed.
    pub const fn is_signed(&self) -> bool {
        self.0.kind_flag()
    }

    /// The constants in order.
    pub fn enumerators(&self) -> Enumerators<'a> {
        Enumerators {
            elements: self.0.elements(),
        }
    }
}

impl<'a> Enum64<'a> {
    /// Size in bytes.
    pub const fn size(&self) -> u32 {
        self.0.size_or_type()
    }

    /// Whether values are signed.
    pub const fn is_signed(&self) -> bool {
        self.0.kind_flag()
    }

    /// The constants in order.
    pub fn enumerators(&self) -> Enumerators64<'a> {
        Enumerators64 {
            elements: self.0.elements(),
        }
    }
}

impl Fwd<'_> {
    /// Whether a union is declared, not a struct.
    pub const fn is_union(&self) -> bool {
        self.0.kind_flag()
    }
}

impl Func<'_> {
    /// The signature.
    pub const fn proto(&self) -> TypeId {
        TypeId(self.0.size_or_type)
    }

    /// Linkage: static 0, global 1, extern 2.
    pub const fn linkage(&self) -> u32 {
        self.0.vlen()
    }
}

impl<'a> FuncProto<'a> {
    /// Type of the return value.
    pub const fn return_type(&self) -> TypeId {
        TypeId(self.0.size_or_type)
    }

    /// The parameters in order.
    pub fn params(&self) -> Params<'a> {
        Params {
            elements: self.0.elements(),
        }
    }
}

impl Var<'_> {
    /// The variable's type.
    pub const fn type_id(&self) -> TypeId {
        TypeId(self.0.size_or_type)
    }

    /// Linkage: static 0, global 1, extern 2.
    pub fn linkage(&self) -> u32 {
        self.0.extra(0)
    }
}

impl<'a> Datasec<'a> {
    /// Size in bytes; compilers leave 0, loaders fill it in.
    pub const fn size(&self) -> u32 {
        self.0.size_or_type()
    }

    /// The variables in order.
    pub fn vars(&self) -> Vars<'a> {
        Vars {
            elements: self.0.elements(),
        }
    }
}

impl Float<'_> {
    /// Size in bytes.
    pub const fn size(&self) -> u32 {
        self.0.size_or_type()
    }
}

impl DeclTag<'_> {
    /// What is tagged.
    pub const fn type_id(&self) -> TypeId {
        TypeId(self.0.size_or_type)
    }

    /// Which member or parameter is tagged; -1 for the whole.
    pub fn component_idx(&self) -> i32 {
        self.0.extra(0).cast_signed()
    }
}

impl<'a> Type<'a> {
    #[inline]
    pub(crate) const fn from_record(r: Record<'a>) -> Self {
        match r.kind() {
            Kind::Int => Self::Int(Int(r)),
            Kind::Ptr => Self::Ptr(Ref(r)),
            Kind::Array => Self::Array(Array(r)),
            Kind::Struct => Self::Struct(Composite(r)),
            Kind::Union => Self::Union(Composite(r)),
            Kind::Enum => Self::Enum(Enum(r)),
            Kind::Fwd => Self::Fwd(Fwd(r)),
            Kind::Typedef => Self::Typedef(Ref(r)),
            Kind::Volatile => Self::Volatile(Ref(r)),
            Kind::Const => Self::Const(Ref(r)),
            Kind::Restrict => Self::Restrict(Ref(r)),
            Kind::Func => Self::Func(Func(r)),
            Kind::FuncProto => Self::FuncProto(FuncProto(r)),
            Kind::Var => Self::Var(Var(r)),
            Kind::Datasec => Self::Datasec(Datasec(r)),
            Kind::Float => Self::Float(Float(r)),
            Kind::DeclTag => Self::DeclTag(DeclTag(r)),
            Kind::TypeTag => Self::TypeTag(Ref(r)),
            Kind::Enum64 => Self::Enum64(Enum64(r)),
            Kind::Void | Kind::Unknown(_) => Self::Unknown(Unknown(r)),
        }
    }

    /// The common part; `None` for `void`.
    pub const fn record(&self) -> Option<&Record<'a>> {
        Some(match self {
            Self::Void => return None,
            Self::Int(Int(r))
            | Self::Ptr(Ref(r))
            | Self::Array(Array(r))
            | Self::Struct(Composite(r))
            | Self::Union(Composite(r))
            | Self::Enum(Enum(r))
            | Self::Fwd(Fwd(r))
            | Self::Typedef(Ref(r))
            | Self::Volatile(Ref(r))
            | Self::Const(Ref(r))
            | Self::Restrict(Ref(r))
            | Self::Func(Func(r))
            | Self::FuncProto(FuncProto(r))
            | Self::Var(Var(r))
            | Self::Datasec(Datasec(r))
            | Self::Float(Float(r))
            | Self::DeclTag(DeclTag(r))
            | Self::TypeTag(Ref(r))
            | Self::Enum64(Enum64(r))
            | Self::Unknown(Unknown(r)) => r,
        })
    }

    /// The kind.
    pub fn kind(&self) -> Kind {
        self.record().map_or(Kind::Void, Record::kind)
    }

    /// The name's bytes; empty without one.
    pub fn name(&self) -> &'a [u8] {
        self.record().map_or(b"", |r| r.name().or_empty())
    }

    /// What bpftool shows for the name: `(anon)`, `(invalid)` or the bytes.
    pub fn label(&self) -> &'a [u8] {
        self.record().map_or(b"(anon)", |r| r.name().label())
    }

    /// The type that a qualifier, typedef, type tag or variable stands for.
    #[inline]
    pub const fn referenced(&self) -> Option<TypeId> {
        match self {
            Self::Typedef(r)
            | Self::Volatile(r)
            | Self::Const(r)
            | Self::Restrict(r)
            | Self::TypeTag(r) => Some(r.type_id()),
            Self::Var(v) => Some(v.type_id()),
            _ => None,
        }
    }
}

/// Byte order of the record's blob.
impl Record<'_> {
    /// Byte order of the blob and of values of the type.
    pub const fn endian(&self) -> Endian {
        self.btf.endian()
    }
}
