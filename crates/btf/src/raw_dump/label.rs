//! The words that bpftool uses for numbers in type records, in text and in JSON alike.

/// Encoding of an [`Int`](crate::types::Int).
pub const fn int_encoding(encoding: u8) -> &'static str {
    match encoding {
        0 => "(none)",
        crate::encoding::SIGNED => "SIGNED",
        crate::encoding::CHAR => "CHAR",
        crate::encoding::BOOL => "BOOL",
        _ => "UNKN",
    }
}

/// Signedness of an enumeration.
pub const fn enum_encoding(signed: bool) -> &'static str {
    if signed { "SIGNED" } else { "UNSIGNED" }
}

/// What a [`Fwd`](crate::types::Fwd) declares.
pub const fn fwd_kind(is_union: bool) -> &'static str {
    if is_union { "union" } else { "struct" }
}

/// Linkage of a function or variable.
pub const fn linkage(linkage: u32) -> &'static str {
    match linkage {
        0 => "static",
        1 => "global",
        2 => "extern",
        _ => "(unknown)",
    }
}
