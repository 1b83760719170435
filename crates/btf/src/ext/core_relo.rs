//! The records that CO-RE works on.

use super::record::{Record, sealed::Words};
use crate::TypeId;

/// An instruction's value depends on the kernel's types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[doc(alias = "bpf_core_relo")]
pub struct CoreRelo {
    /// Bytes from the start of the ELF section.
    pub insn_off: u32,
    /// The type that the access starts from, in the object's BTF.
    pub type_id: TypeId,
    /// String offset of the path from there: `0:1:2`.
    pub access_str_off: u32,
    /// What is asked about the place or type.
    pub kind: RelocKind,
}

impl Record for CoreRelo {}

impl Words for CoreRelo {
    const TABLE: &'static str = "core_relo";
    const WORDS: usize = 4;

    fn from_words([insn_off, type_id, access_str_off, kind]: [u32; 4]) -> Self {
        Self {
            insn_off,
            type_id: TypeId(type_id),
            access_str_off,
            kind: RelocKind::from_raw(kind),
        }
    }

    fn to_words(self) -> [u32; 4] {
        [
            self.insn_off,
            self.type_id.0,
            self.access_str_off,
            self.kind.raw(),
        ]
    }
}

/// What a relocation asks about a place in a type, a type, or a constant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[doc(alias = "bpf_core_relo_kind")]
#[non_exhaustive]
pub enum RelocKind {
    /// Where a field is, in bytes; of a bit field, the word to load.
    #[doc(alias = "BPF_CORE_FIELD_BYTE_OFFSET")]
    FieldByteOffset,
    /// Bytes of a field; of a bit field, the word to load.
    #[doc(alias = "BPF_CORE_FIELD_BYTE_SIZE")]
    FieldByteSize,
    /// Whether there is such a field.
    #[doc(alias = "BPF_CORE_FIELD_EXISTS")]
    FieldExists,
    /// Whether a field is signed.
    #[doc(alias = "BPF_CORE_FIELD_SIGNED")]
    FieldSigned,
    /// Bits to shift left a 64-bit register loaded with a field, to lose what is above it.
    #[doc(alias = "BPF_CORE_FIELD_LSHIFT_U64")]
    FieldLshiftU64,
    /// Bits to shift right after that.
    #[doc(alias = "BPF_CORE_FIELD_RSHIFT_U64")]
    FieldRshiftU64,
    /// The type's id in the object's BTF.
    #[doc(alias = "BPF_CORE_TYPE_ID_LOCAL")]
    TypeIdLocal,
    /// The type's id in the target's BTF.
    #[doc(alias = "BPF_CORE_TYPE_ID_TARGET")]
    TypeIdTarget,
    /// Whether there is such a type.
    #[doc(alias = "BPF_CORE_TYPE_EXISTS")]
    TypeExists,
    /// Bytes of a type.
    #[doc(alias = "BPF_CORE_TYPE_SIZE")]
    TypeSize,
    /// Whether there is such a constant.
    #[doc(alias = "BPF_CORE_ENUMVAL_EXISTS")]
    EnumvalExists,
    /// A constant's value.
    #[doc(alias = "BPF_CORE_ENUMVAL_VALUE")]
    EnumvalValue,
    /// Whether there is a type with all that the local one has.
    #[doc(alias = "BPF_CORE_TYPE_MATCHES")]
    TypeMatches,
    /// A number from 13 on.
    Unknown(u32),
}

impl RelocKind {
    /// The kinds there are, in the order of their numbers.
    pub const ALL: [Self; 13] = [
        Self::FieldByteOffset,
        Self::FieldByteSize,
        Self::FieldExists,
        Self::FieldSigned,
        Self::FieldLshiftU64,
        Self::FieldRshiftU64,
        Self::TypeIdLocal,
        Self::TypeIdTarget,
        Self::TypeExists,
        Self::TypeSize,
        Self::EnumvalExists,
        Self::EnumvalValue,
        Self::TypeMatches,
    ];

    /// The kind with the compiler's number.
    pub fn from_raw(raw: u32) -> Self {
        usize::try_from(raw)
            .ok()
            .and_then(|at| Self::ALL.get(at))
            .copied()
            .unwrap_or(Self::Unknown(raw))
    }

    /// The compiler's number.
    pub const fn raw(self) -> u32 {
        match self {
            Self::FieldByteOffset => 0,
            Self::FieldByteSize => 1,
            Self::FieldExists => 2,
            Self::FieldSigned => 3,
            Self::FieldLshiftU64 => 4,
            Self::FieldRshiftU64 => 5,
            Self::TypeIdLocal => 6,
            Self::TypeIdTarget => 7,
            Self::TypeExists => 8,
            Self::TypeSize => 9,
            Self::EnumvalExists => 10,
            Self::EnumvalValue => 11,
            Self::TypeMatches => 12,
            Self::Unknown(raw) => raw,
        }
    }

    /// The name that libbpf's messages use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::FieldByteOffset => "byte_off",
            Self::FieldByteSize => "byte_sz",
            Self::FieldExists => "field_exists",
            Self::FieldSigned => "signed",
            Self::FieldLshiftU64 => "lshift_u64",
            Self::FieldRshiftU64 => "rshift_u64",
            Self::TypeIdLocal => "local_type_id",
            Self::TypeIdTarget => "target_type_id",
            Self::TypeExists => "type_exists",
            Self::TypeSize => "type_size",
            Self::EnumvalExists => "enumval_exists",
            Self::EnumvalValue => "enumval_value",
            Self::TypeMatches => "type_matches",
            Self::Unknown(_) => "unknown",
        }
    }

    /// Whether the path leads to a field.
    pub const fn is_field(self) -> bool {
        self.raw() <= 5
    }

    /// Whether the question is about the whole type.
    pub const fn is_type(self) -> bool {
        matches!(
            self,
            Self::TypeIdLocal
                | Self::TypeIdTarget
                | Self::TypeExists
                | Self::TypeSize
                | Self::TypeMatches
        )
    }

    /// Whether the question is about a constant of an enumeration.
    pub const fn is_enumval(self) -> bool {
        matches!(self, Self::EnumvalExists | Self::EnumvalValue)
    }
}

impl core::fmt::Display for RelocKind {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Unknown(raw) => write!(f, "unknown({raw})"),
            known => f.write_str(known.name()),
        }
    }
}
