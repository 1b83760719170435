//! Type ids.

/// Number of a type in a [`Btf`](crate::Btf); 0 is `void`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TypeId(pub u32);

impl TypeId {
    /// `void`, and "no type".
    pub const VOID: Self = Self(0);

    /// The plain number.
    pub const fn get(self) -> u32 {
        self.0
    }

    /// Whether this is `void`.
    pub const fn is_void(self) -> bool {
        self.0 == 0
    }
}

impl From<u32> for TypeId {
    fn from(id: u32) -> Self {
        Self(id)
    }
}

impl From<TypeId> for u32 {
    fn from(id: TypeId) -> Self {
        id.0
    }
}

impl core::fmt::Display for TypeId {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.fmt(f)
    }
}
