//! Register numbers.

use std::fmt;

/// A register, so that a number is not taken for one by accident.
///
/// Programs may name `r0` to `r11`; the field has room for 16, and listings
/// show whatever is in it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reg(u8);

macro_rules! registers {
    ($($(#[$meta:meta])* $name:ident = $number:literal;)*) => {
        impl Reg {
            $($(#[$meta])* pub const $name: Self = Self($number);)*
        }

        $($(#[$meta])* pub const $name: Reg = Reg::$name;)*
    };
}

registers! {
    /// Return value.
    R0 = 0;
    /// First argument; the context when a program starts.
    R1 = 1;
    /// Second argument.
    R2 = 2;
    /// Third argument.
    R3 = 3;
    /// Fourth argument.
    R4 = 4;
    /// Fifth argument.
    R5 = 5;
    /// Kept across calls.
    R6 = 6;
    /// Kept across calls.
    R7 = 7;
    /// Kept across calls.
    R8 = 8;
    /// Kept across calls.
    R9 = 9;
    /// Frame pointer, read only.
    R10 = 10;
    /// Base of the arguments after the fifth, for loads and stores only. Known to Linux 7.2.
    #[doc(alias = "BPF_REG_PARAMS")]
    R11 = 11;
}

impl Reg {
    /// The register of this number; none above 15, which the field cannot hold.
    #[must_use]
    pub const fn new(number: u8) -> Option<Self> {
        if number < 16 {
            Some(Self(number))
        } else {
            None
        }
    }

    /// The number, 0 to 15.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }

    /// The low four bits of a number.
    pub(super) const fn from_field(bits: u8) -> Self {
        Self(bits & 0xf)
    }
}

impl fmt::Display for Reg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "r{}", self.0)
    }
}

impl fmt::Debug for Reg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
