//! The wire format: byte order, header, record sizes, strings.

pub(crate) mod cursor;
pub(crate) mod header;
pub(crate) mod kind;
pub(crate) mod strings;
