//! The kinds of types and how many bytes a record of each takes.

/// What a type record describes (`BTF_KIND_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Kind {
    /// No type: id 0, or a record of kind 0.
    #[doc(alias = "BTF_KIND_UNKN")]
    Void,
    /// Integer, up to 128 bits.
    #[doc(alias = "BTF_KIND_INT")]
    Int,
    /// Pointer.
    #[doc(alias = "BTF_KIND_PTR")]
    Ptr,
    /// Array of a fixed number of elements.
    #[doc(alias = "BTF_KIND_ARRAY")]
    Array,
    /// Struct.
    #[doc(alias = "BTF_KIND_STRUCT")]
    Struct,
    /// Union.
    #[doc(alias = "BTF_KIND_UNION")]
    Union,
    /// Enumeration with values up to 32 bits.
    #[doc(alias = "BTF_KIND_ENUM")]
    Enum,
    /// Struct or union that is declared and not defined.
    #[doc(alias = "BTF_KIND_FWD")]
    Fwd,
    /// Typedef.
    #[doc(alias = "BTF_KIND_TYPEDEF")]
    Typedef,
    /// `volatile`.
    #[doc(alias = "BTF_KIND_VOLATILE")]
    Volatile,
    /// `const`.
    #[doc(alias = "BTF_KIND_CONST")]
    Const,
    /// `restrict`.
    #[doc(alias = "BTF_KIND_RESTRICT")]
    Restrict,
    /// Named function (Linux 4.20).
    #[doc(alias = "BTF_KIND_FUNC")]
    Func,
    /// Signature of a function (Linux 4.20).
    #[doc(alias = "BTF_KIND_FUNC_PROTO")]
    FuncProto,
    /// Global variable (Linux 5.2).
    #[doc(alias = "BTF_KIND_VAR")]
    Var,
    /// Section of variables (Linux 5.2).
    #[doc(alias = "BTF_KIND_DATASEC")]
    Datasec,
    /// Floating-point number (Linux 5.13).
    #[doc(alias = "BTF_KIND_FLOAT")]
    Float,
    /// Attribute of a declaration (Linux 5.16).
    #[doc(alias = "BTF_KIND_DECL_TAG")]
    DeclTag,
    /// Attribute of a type (Linux 5.17).
    #[doc(alias = "BTF_KIND_TYPE_TAG")]
    TypeTag,
    /// Enumeration with values up to 64 bits (Linux 6.0).
    #[doc(alias = "BTF_KIND_ENUM64")]
    Enum64,
    /// A kind newer than this crate, 20 to 127.
    Unknown(u8),
}

impl Kind {
    /// Every kind this crate knows, in the order of their numbers, `Void` first.
    pub const ALL: [Self; 20] = [
        Self::Void,
        Self::Int,
        Self::Ptr,
        Self::Array,
        Self::Struct,
        Self::Union,
        Self::Enum,
        Self::Fwd,
        Self::Typedef,
        Self::Volatile,
        Self::Const,
        Self::Restrict,
        Self::Func,
        Self::FuncProto,
        Self::Var,
        Self::Datasec,
        Self::Float,
        Self::DeclTag,
        Self::TypeTag,
        Self::Enum64,
    ];

    /// The kind with number `raw`, of which the low 7 bits count.
    #[inline]
    pub const fn from_raw(raw: u8) -> Self {
        match raw & 0x7f {
            0 => Self::Void,
            1 => Self::Int,
            2 => Self::Ptr,
            3 => Self::Array,
            4 => Self::Struct,
            5 => Self::Union,
            6 => Self::Enum,
            7 => Self::Fwd,
            8 => Self::Typedef,
            9 => Self::Volatile,
            10 => Self::Const,
            11 => Self::Restrict,
            12 => Self::Func,
            13 => Self::FuncProto,
            14 => Self::Var,
            15 => Self::Datasec,
            16 => Self::Float,
            17 => Self::DeclTag,
            18 => Self::TypeTag,
            19 => Self::Enum64,
            other => Self::Unknown(other),
        }
    }

    /// The kernel's number.
    pub const fn raw(self) -> u8 {
        match self {
            Self::Void => 0,
            Self::Int => 1,
            Self::Ptr => 2,
            Self::Array => 3,
            Self::Struct => 4,
            Self::Union => 5,
            Self::Enum => 6,
            Self::Fwd => 7,
            Self::Typedef => 8,
            Self::Volatile => 9,
            Self::Const => 10,
            Self::Restrict => 11,
            Self::Func => 12,
            Self::FuncProto => 13,
            Self::Var => 14,
            Self::Datasec => 15,
            Self::Float => 16,
            Self::DeclTag => 17,
            Self::TypeTag => 18,
            Self::Enum64 => 19,
            Self::Unknown(n) => n,
        }
    }

    /// The kernel's name without prefix; `UNKNOWN` for void and for kinds without a name, as
    /// bpftool prints them.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Void | Self::Unknown(_) => "UNKNOWN",
            Self::Int => "INT",
            Self::Ptr => "PTR",
            Self::Array => "ARRAY",
            Self::Struct => "STRUCT",
            Self::Union => "UNION",
            Self::Enum => "ENUM",
            Self::Fwd => "FWD",
            Self::Typedef => "TYPEDEF",
            Self::Volatile => "VOLATILE",
            Self::Const => "CONST",
            Self::Restrict => "RESTRICT",
            Self::Func => "FUNC",
            Self::FuncProto => "FUNC_PROTO",
            Self::Var => "VAR",
            Self::Datasec => "DATASEC",
            Self::Float => "FLOAT",
            Self::DeclTag => "DECL_TAG",
            Self::TypeTag => "TYPE_TAG",
            Self::Enum64 => "ENUM64",
        }
    }

    /// The kind with the kernel's name `name` (`STRUCT`, not `struct`).
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().skip(1).find(|k| k.name() == name)
    }

    /// Whether values of this kind are those of the type referred to: qualifiers and type
    /// tags, not typedefs.
    pub const fn is_modifier(self) -> bool {
        matches!(
            self,
            Self::Volatile | Self::Const | Self::Restrict | Self::TypeTag
        )
    }
}

impl core::fmt::Display for Kind {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Void => f.write_str("void"),
            Self::Unknown(n) => write!(f, "UNKNOWN(kind={n})"),
            known => f.write_str(known.name()),
        }
    }
}

/// Bytes of the part that all records share: name, info, size or type.
pub(crate) const COMMON: usize = 12;

/// Bytes of a record, common part included, and of each element, by kind number. `UNSIZED`
/// marks the kinds that only a layout section can size.
pub(crate) const SIZES: [(u8, u8); 128] = {
    let mut table = [UNSIZED; 128];
    let mut raw = 1u8;
    while raw < 20 {
        table[raw as usize] = match Kind::from_raw(raw) {
            Kind::Int | Kind::Var | Kind::DeclTag => (16, 0),
            Kind::Array => (24, 0),
            Kind::Struct | Kind::Union | Kind::Datasec | Kind::Enum64 => (12, 12),
            Kind::Enum | Kind::FuncProto => (12, 8),
            _ => (12, 0),
        };
        raw += 1;
    }
    table
};

/// No record is this small.
pub(crate) const UNSIZED: (u8, u8) = (0, 0);

/// A bit for each kind whose records have the common part and nothing else.
pub(crate) const PLAIN: u32 = {
    let mut plain = 0;
    let mut raw = 0;
    while raw < 32 {
        if matches!(SIZES[raw], (12, 0)) {
            plain |= 1 << raw;
        }
        raw += 1;
    }
    plain
};

/// A bit for each kind of types that have members or values of their own.
pub(crate) const COMPOSITE: u128 = {
    let mut composite = 0;
    let mut all = Kind::ALL.as_slice();
    while let [kind, rest @ ..] = all {
        if matches!(kind, Kind::Struct | Kind::Union | Kind::Enum | Kind::Enum64) {
            composite |= 1 << kind.raw();
        }
        all = rest;
    }
    composite
};

/// Number of elements in an `info` word.
#[inline]
pub(crate) const fn vlen(info: u32) -> u32 {
    info & 0x00ff_ffff
}

/// Kind number in an `info` word.
#[inline]
pub(crate) const fn kind_bits(info: u32) -> u8 {
    let [_, _, _, top] = info.to_le_bytes();
    top & 0x7f
}

/// The flag whose meaning depends on the kind.
#[inline]
pub(crate) const fn kind_flag(info: u32) -> bool {
    info >> 31 != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_agree_for_all_kinds() {
        for raw in 0..128u8 {
            let kind = Kind::from_raw(raw);
            assert_eq!(kind.raw(), raw);
            if (1..20).contains(&raw) {
                assert_eq!(Kind::from_name(kind.name()), Some(kind));
                assert!(usize::from(SIZES[usize::from(raw)].0) >= COMMON);
                let plain = SIZES[usize::from(raw)] == (12, 0);
                assert_eq!(PLAIN >> raw & 1 == 1, plain, "{kind}");
            } else {
                assert_eq!(kind.name(), "UNKNOWN");
                assert_eq!(SIZES[usize::from(raw)], UNSIZED);
                assert_eq!(PLAIN.checked_shr(raw.into()).unwrap_or(0) & 1, 0);
            }
        }
        assert_eq!(Kind::from_name("UNKNOWN"), None);
    }

    #[test]
    fn info_word_splits_into_wide_fields() {
        let info = 0x84ff_ffff;
        assert_eq!(vlen(info), 0x00ff_ffff);
        assert_eq!(kind_bits(info), 4);
        assert!(kind_flag(info));
        assert_eq!(kind_bits(0x7f00_0000), 127);
        assert!(!kind_flag(0x7f00_0000));
    }
}
