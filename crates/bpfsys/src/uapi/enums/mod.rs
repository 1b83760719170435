//! Enumerations of the kernel interface, as open newtypes.
//!
//! A kernel newer than this crate may answer with a number that is not in the tables: it is kept
//! and printed as a number. Names are those that `bpftool` prints.

#![allow(
    missing_debug_implementations,
    reason = "the zerocopy derives make hidden types, which the lint takes for ours in macros"
)]

mod attach_type;
mod cmd;
mod link_type;
mod map_type;
mod misc;
mod prog_type;

pub use attach_type::AttachType;
pub use cmd::Cmd;
pub use link_type::LinkType;
pub use map_type::MapType;
pub use misc::{
    CgroupIterOrder, CoreReloKind, PerfEventType, StackBuildIdStatus, StatsType, StreamId,
    TaskFdType,
};
pub use prog_type::ProgType;

/// Defines an open enumeration: a newtype over the kernel's number with a table of known values.
///
/// Each row is `CONST = number, "kernel spelling", "printed name", (major, minor);` where the pair
/// is the first kernel that knows the value.
macro_rules! open_enum {
    (
        $(#[$meta:meta])*
        $type:ident {
            $( $name:ident = $value:literal, $kernel:literal, $text:literal, ($major:literal, $minor:literal); )*
        }
    ) => {
        $(#[$meta])*
        #[derive(
            Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default,
            zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout,
        )]
        #[repr(transparent)]
        pub struct $type(pub u32);

        impl $type {
            $(
                #[doc = concat!("`", $text, "`, since Linux ", stringify!($major), ".", stringify!($minor), ".")]
                #[doc(alias = $kernel)]
                pub const $name: Self = Self($value);
            )*

            /// Every value known to this crate, in numeric order.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The name `bpftool` prints, or `None` for a number this crate does not know.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($value => Some($text),)*
                    _ => None,
                }
            }

            /// The kernel's own spelling of the constant.
            #[must_use]
            pub const fn kernel_name(self) -> Option<&'static str> {
                match self.0 {
                    $($value => Some($kernel),)*
                    _ => None,
                }
            }

            /// The value with this name, as printed by [`name`](Self::name).
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                match name {
                    $($text => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// The first kernel with this value. For messages and sanity checks only: distributions
            /// backport, so probe instead of comparing versions.
            #[must_use]
            pub const fn since(self) -> Option<crate::KernelVersion> {
                match self.0 {
                    $($value => Some(crate::KernelVersion::new($major, $minor, 0)),)*
                    _ => None,
                }
            }
        }

        impl core::fmt::Display for $type {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                match self.name() {
                    Some(name) => f.pad(name),
                    None => core::fmt::Display::fmt(&self.0, f),
                }
            }
        }

        impl core::fmt::Debug for $type {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                write!(f, "{}({self})", stringify!($type))
            }
        }

        impl From<u32> for $type {
            fn from(value: u32) -> Self {
                Self(value)
            }
        }

        impl From<$type> for u32 {
            fn from(value: $type) -> Self {
                value.0
            }
        }
    };
}
use open_enum;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_dense_when_counted() {
        fn check(all: &[u32], first: u32, len: usize) {
            assert_eq!(all.len(), len);
            for (i, value) in all.iter().enumerate() {
                assert_eq!(*value as usize, i + first as usize);
            }
        }
        check(&Cmd::ALL.iter().map(|v| v.0).collect::<Vec<_>>(), 0, 39);
        check(
            &ProgType::ALL.iter().map(|v| v.0).collect::<Vec<_>>(),
            0,
            33,
        );
        check(&MapType::ALL.iter().map(|v| v.0).collect::<Vec<_>>(), 0, 36);
        check(
            &AttachType::ALL.iter().map(|v| v.0).collect::<Vec<_>>(),
            0,
            62,
        );
        check(
            &LinkType::ALL.iter().map(|v| v.0).collect::<Vec<_>>(),
            0,
            16,
        );
        check(
            &PerfEventType::ALL.iter().map(|v| v.0).collect::<Vec<_>>(),
            0,
            7,
        );
        check(
            &TaskFdType::ALL.iter().map(|v| v.0).collect::<Vec<_>>(),
            0,
            6,
        );
        check(
            &CgroupIterOrder::ALL.iter().map(|v| v.0).collect::<Vec<_>>(),
            0,
            6,
        );
        check(&StreamId::ALL.iter().map(|v| v.0).collect::<Vec<_>>(), 1, 2);
        check(
            &CoreReloKind::ALL.iter().map(|v| v.0).collect::<Vec<_>>(),
            0,
            13,
        );
    }

    #[test]
    fn names_round_trip_when_known() {
        for t in ProgType::ALL {
            assert_eq!(ProgType::from_name(t.name().unwrap()), Some(*t));
        }
        for t in MapType::ALL {
            assert_eq!(MapType::from_name(t.name().unwrap()), Some(*t));
        }
        for t in AttachType::ALL {
            assert_eq!(AttachType::from_name(t.name().unwrap()), Some(*t));
        }
        assert_eq!(ProgType::from_name("no such type"), None);
    }

    #[test]
    fn unknown_numbers_print_as_numbers() {
        assert_eq!(ProgType(4711).name(), None);
        assert_eq!(ProgType(4711).to_string(), "4711");
        assert_eq!(
            format!("{:?}", MapType::PERCPU_HASH),
            "MapType(percpu_hash)"
        );
        assert_eq!(format!("{:>6}|", LinkType::XDP), "   xdp|");
    }
}
