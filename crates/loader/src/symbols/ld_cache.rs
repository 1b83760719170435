//! The dynamic linker's list of libraries, `/etc/ld.so.cache`.

use super::read::{Numbers, c_str};

/// A library in the list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CacheEntry<'a> {
    /// What programs call it.
    pub name: &'a [u8],
    /// Where it is.
    pub path: &'a [u8],
}

const OLD: &[u8] = b"ld.so-1.7.0\0";
const NEW: &[u8] = b"glibc-ld.so.cache1.1";
/// Bytes of the newer header, and of each of its entries.
const NEW_HEADER: usize = 48;
const NEW_ENTRY: usize = 24;
/// The same of the older form.
const OLD_HEADER: usize = 16;
const OLD_ENTRY: usize = 12;

/// The libraries in the bytes of the list, in its order; none of a form that is not known.
///
/// The older form may have the newer one behind it. Numbers are in the byte order of the machine,
/// which newer lists say and older ones do not; this reads that of the running one.
pub fn ld_cache(data: &[u8]) -> impl Iterator<Item = CacheEntry<'_>> {
    let all = numbers(data);
    let count = |at| {
        let count = all.u32(at).unwrap_or_default();
        usize::try_from(count).unwrap_or_default()
    };
    let (start, entries, strings, size) = if data.starts_with(OLD) {
        let count = count(OLD.len());
        let end = count.saturating_mul(OLD_ENTRY).saturating_add(OLD_HEADER);
        let new = end.checked_next_multiple_of(8).unwrap_or(usize::MAX);
        if data.get(new..).is_some_and(|rest| rest.starts_with(NEW)) {
            (new, new + NEW_HEADER, new, NEW_ENTRY)
        } else {
            // strings count from the end of the entries
            (0, OLD_HEADER, end, OLD_ENTRY)
        }
    } else if data.starts_with(NEW) {
        (0, NEW_HEADER, 0, NEW_ENTRY)
    } else {
        (0, data.len(), 0, NEW_ENTRY)
    };
    let count_at = start
        + if size == NEW_ENTRY {
            NEW.len()
        } else {
            OLD.len()
        };
    let count = count(count_at);
    let strings = data.get(strings..).unwrap_or_default();
    data.get(entries..)
        .unwrap_or_default()
        .chunks_exact(size)
        .take(count)
        .filter_map(move |entry| {
            let entry = numbers(entry);
            let string = |at| c_str(strings, u64::from(entry.u32(at)?));
            Some(CacheEntry {
                name: string(4)?,
                path: string(8)?,
            })
        })
}

fn numbers(data: &[u8]) -> Numbers<'_> {
    Numbers {
        data,
        big: cfg!(target_endian = "big"),
        wide: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(old: bool) -> Vec<u8> {
        let mut out = if old { OLD.to_vec() } else { NEW.to_vec() };
        out.extend(2u32.to_ne_bytes());
        let (base, size) = if old {
            (0, OLD_ENTRY)
        } else {
            out.resize(NEW_HEADER, 0);
            (NEW_HEADER + 2 * NEW_ENTRY, NEW_ENTRY)
        };
        let mut strings = Vec::new();
        for (name, path) in [("liba.so.1", "/lib/liba.so.1"), ("libb.so", "/opt/libb.so")] {
            let mut entry = vec![3, 3, 0, 0];
            for text in [name, path] {
                let at = u32::try_from(base + strings.len()).unwrap();
                entry.extend(at.to_ne_bytes());
                strings.extend(text.as_bytes());
                strings.push(0);
            }
            entry.resize(size, 0);
            out.extend(entry);
        }
        out.extend(strings);
        out
    }

    #[track_caller]
    fn check(data: &[u8]) {
        let found: Vec<_> = ld_cache(data).collect();
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].name, b"liba.so.1");
        assert_eq!(found[1].path, b"/opt/libb.so");
    }

    #[test]
    fn both_forms_and_one_behind_the_other() {
        check(&list(false));
        check(&list(true));
        let mut both = list(true);
        both.truncate(OLD_HEADER + 2 * OLD_ENTRY);
        both.resize(both.len().next_multiple_of(8), 0);
        both.extend(list(false));
        check(&both);
    }

    #[test]
    fn damaged_lists_answer() {
        for bytes in [list(true), list(false)] {
            for at in 0..bytes.len() {
                let mut damaged = bytes.clone();
                damaged[at] = 0xff;
                assert!(ld_cache(&damaged).count() <= 2 + damaged.len());
                assert!(ld_cache(&bytes[..at]).count() <= 2);
            }
        }
        assert_eq!(ld_cache(b"something else").count(), 0);
    }
}
