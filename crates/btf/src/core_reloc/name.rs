//! Names as CO-RE compares them: without the flavour behind the last `___`.

use crate::raw::strings;
use crate::types::Name;

/// Bytes of a name that count. Kernels allow 511; the bound keeps names that all share one
/// long string from costing a walk to its end each.
const MAX_NAME: usize = 4096;

/// The name without its flavour: what is in front of the last `___` that stands between bytes
/// other than `_`.
#[doc(alias = "bpf_core_essential_name_len")]
pub fn essential_name(name: &[u8]) -> &[u8] {
    let separator = name
        .windows(5)
        .rposition(|w| matches!(w, [x, b'_', b'_', b'_', y] if *x != b'_' && *y != b'_'));
    match separator {
        Some(at) => name.get(..=at).unwrap_or(name),
        None => name,
    }
}

/// The bytes that count.
#[inline]
pub(super) fn bytes(name: Name<'_>) -> &[u8] {
    in_tail(name.tail().unwrap_or_default())
}

/// The same of strings that start with the name.
#[inline]
pub(super) fn in_tail(tail: &[u8]) -> &[u8] {
    strings::first_of(tail, MAX_NAME)
}

/// Whether `name` without flavour is `essential`.
#[inline]
pub(super) fn is_essential(name: Name<'_>, essential: &[u8]) -> bool {
    tail_is_essential(name.tail().unwrap_or_default(), essential)
}

/// The same of strings that start with the name; looks at the start before at all of it.
#[inline]
pub(super) fn tail_is_essential(tail: &[u8], essential: &[u8]) -> bool {
    match tail.strip_prefix(essential) {
        None => false,
        Some([] | [0, ..]) => essential_name(essential).len() == essential.len(),
        Some([b'_', ..]) => essential_name(in_tail(tail)) == essential,
        Some(_) => false,
    }
}

/// Whether names are the same but for flavours; no name is that of no name only.
pub(super) fn same(local: Name<'_>, target: Name<'_>) -> bool {
    let (local, target) = (bytes(local), bytes(target));
    if local.is_empty() || target.is_empty() {
        return local.is_empty() && target.is_empty();
    }
    essential_name(local) == essential_name(target)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flavours_are_behind_the_last_separator() {
        for (name, essential) in [
            ("task_struct", "task_struct"),
            ("task_struct___old", "task_struct"),
            ("a___b___c", "a___b"),
            ("a___b", "a"),
            ("___b", "___b"),
            ("a___", "a___"),
            ("a____b", "a____b"),
            ("a_____b___c", "a_____b"),
            ("a__b", "a__b"),
            ("", ""),
            ("x___2", "x"),
        ] {
            assert_eq!(
                essential_name(name.as_bytes()),
                essential.as_bytes(),
                "{name}"
            );
            let mut tail = name.as_bytes().to_vec();
            tail.extend(b"\0more");
            assert!(tail_is_essential(&tail, essential.as_bytes()), "{name}");
            if name != essential {
                assert!(!tail_is_essential(&tail, name.as_bytes()), "{name}");
            }
        }
        assert!(!tail_is_essential(b"foobar\0", b"foo"));
        assert!(!tail_is_essential(b"foo_bar\0", b"foo"));
        assert!(!tail_is_essential(b"fo\0", b"foo"));
    }
}
