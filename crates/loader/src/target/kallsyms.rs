//! Addresses of symbols, from `/proc/kallsyms`.
//!
//! The list has a few hundred thousand lines and is made anew for each reader, so all names are
//! looked up in one pass, and nothing of it is kept.

use super::Symbol;
use std::collections::HashMap;
use std::io::{self, BufRead};

/// What the linker adds to the name of a variable it has made local to a file.
const LOCAL_SUFFIX: &[u8] = b".llvm.";

/// Finds symbols in a list of the form of `/proc/kallsyms`, in the order of the names.
pub(super) fn lookup(mut list: impl BufRead, names: &[&str]) -> io::Result<Vec<Symbol>> {
    let mut found: Vec<Option<(u64, Option<u64>)>> = vec![None; names.len()];
    // Names may be asked for twice: the first stands for all.
    let mut first: HashMap<&[u8], usize> = HashMap::with_capacity(names.len());
    for (at, name) in names.iter().enumerate() {
        first.entry(name.as_bytes()).or_insert(at);
    }
    let mut shown = false;
    let mut line = Vec::new();
    loop {
        line.clear();
        if list.read_until(b'\n', &mut line)? == 0 {
            break;
        }
        let Some((address, kind, name)) = fields(&line) else {
            continue;
        };
        shown |= address != 0;
        let Some(at) = first.get(plain_name(kind, name)) else {
            continue;
        };
        match found.get_mut(*at) {
            Some(place @ None) => *place = Some((address, None)),
            Some(Some((one, another @ None))) if *one != address => *another = Some(address),
            _ => {}
        }
    }
    let answer = |name: &&str| {
        let at = first.get(name.as_bytes())?;
        let (one, another) = (*found.get(*at)?)?;
        Some(match another {
            // Symbols of per-CPU data may really be at 0, but not all symbols are.
            _ if !shown => Symbol::Hidden,
            None => Symbol::At(one),
            Some(another) => Symbol::Ambiguous(one, another),
        })
    };
    Ok(names
        .iter()
        .map(|name| answer(name).unwrap_or(Symbol::Missing))
        .collect())
}

/// `ffffffff81000000 T _text [module]`: address, kind and name.
fn fields(line: &[u8]) -> Option<(u64, u8, &[u8])> {
    let mut words = line
        .split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty());
    let address = words
        .next()
        .and_then(|word| std::str::from_utf8(word).ok())?;
    let address = u64::from_str_radix(address, 16).ok()?;
    let kind = *words.next()?.first()?;
    Some((address, kind, words.next()?))
}

/// The name that the source has for it.
fn plain_name(kind: u8, name: &[u8]) -> &[u8] {
    if kind != b'd' {
        return name;
    }
    let suffix = memchr::memmem::find(name, LOCAL_SUFFIX);
    suffix.and_then(|at| name.get(..at)).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(list: &str, names: &[&str], expect: &[Symbol]) {
        assert_eq!(lookup(list.as_bytes(), names).unwrap(), expect, "{list:?}");
    }

    const LIST: &str = "\
ffffffff81000000 T _text
ffffffff81000010 t helper
ffffffff81000020 t helper
ffffffff81000030 T same\t[module]
ffffffff81000030 t same
ffffffff82000000 d counter.llvm.1234567
ffffffff82000008 D other.llvm.99
0000000000000000 A fixed_percpu_data
not a line
ffffffff83000000 T last";

    #[test]
    fn names_have_addresses() {
        check(
            LIST,
            &["last", "_text", "_text", "nothing"],
            &[
                Symbol::At(0xffff_ffff_8300_0000),
                Symbol::At(0xffff_ffff_8100_0000),
                Symbol::At(0xffff_ffff_8100_0000),
                Symbol::Missing,
            ],
        );
        check("", &["_text"], &[Symbol::Missing]);
        check(LIST, &[], &[]);
    }

    #[test]
    fn a_name_at_two_addresses_is_ambiguous() {
        check(
            LIST,
            &["helper", "same"],
            &[
                Symbol::Ambiguous(0xffff_ffff_8100_0010, 0xffff_ffff_8100_0020),
                Symbol::At(0xffff_ffff_8100_0030),
            ],
        );
    }

    #[test]
    fn only_local_data_has_a_suffix() {
        check(
            LIST,
            &["counter", "other", "other.llvm.99"],
            &[
                Symbol::At(0xffff_ffff_8200_0000),
                Symbol::Missing,
                Symbol::At(0xffff_ffff_8200_0008),
            ],
        );
    }

    #[test]
    fn zero_is_an_address_unless_all_are() {
        check(LIST, &["fixed_percpu_data"], &[Symbol::At(0)]);
        check(
            "0000000000000000 T _text\n0000000000000000 T _etext\n",
            &["_text", "nothing"],
            &[Symbol::Hidden, Symbol::Missing],
        );
    }
}
