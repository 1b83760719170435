//! Ids the kernel gives to loaded objects.
//!
//! An id names an object of this boot in this kernel; it is never zero, and it may be gone, and
//! even given to another object much later, by the time it is used.

use core::fmt;
use core::num::NonZeroU32;

macro_rules! id {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(transparent)]
        pub struct $name(NonZeroU32);

        impl $name {
            /// The id with this number, or `None` for 0, which the kernel uses for "none".
            #[must_use]
            pub const fn new(id: u32) -> Option<Self> {
                match NonZeroU32::new(id) {
                    Some(id) => Some(Self(id)),
                    None => None,
                }
            }

            /// The number.
            #[must_use]
            pub const fn get(self) -> u32 {
                self.0.get()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }

        impl From<$name> for u32 {
            fn from(id: $name) -> Self {
                id.get()
            }
        }
    };
}

id! {
    /// Id of a loaded program.
    ProgId
}
id! {
    /// Id of a map.
    MapId
}
id! {
    /// Id of a link.
    LinkId
}
id! {
    /// Id of a BTF object.
    BtfId
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_is_no_id() {
        assert_eq!(ProgId::new(0), None);
        assert_eq!(MapId::new(7).map(MapId::get), Some(7));
        assert_eq!(BtfId::new(7).unwrap().to_string(), "7");
        assert_eq!(format!("{:?}", LinkId::new(7).unwrap()), "LinkId(7)");
    }
}
