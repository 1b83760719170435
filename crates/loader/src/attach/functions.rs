//! Which functions of the kernel can be traced, and where they are.

use super::{AttachError, glob};
use crate::tracefs::TraceFs;
use std::collections::HashMap;
use std::io::{self, Read as _};

const KALLSYMS: &str = "/proc/kallsyms";
/// Since Linux 6.5.
const WITH_ADDRESSES: &str = "available_filter_functions_addrs";
const NAMES: &str = "available_filter_functions";

/// What stands for functions whose weak symbol another one has replaced.
const INVALID: &[u8] = b"__ftrace_invalid_address__";
/// What compilers add to names that they have made local to a file. Some kernels leave it out in
/// the list of functions and not in that of symbols.
const LOCAL_SUFFIX: &[u8] = b".llvm.";

/// A pattern of names, of one module if that is said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Pattern<'a> {
    module: Option<&'a str>,
    name: &'a str,
}

impl<'a> Pattern<'a> {
    /// `PATTERN` or `MODULE:PATTERN`, where the module `vmlinux` is the kernel proper.
    pub(super) fn new(text: &'a str) -> Self {
        match text.split_once(':') {
            Some((module, name)) => Self {
                module: Some(module),
                name,
            },
            None => Self {
                module: None,
                name: text,
            },
        }
    }

    fn fits(&self, name: &[u8], module: Option<&[u8]>) -> bool {
        let wanted = match self.module {
            None => true,
            Some("vmlinux") => module.is_none(),
            Some(wanted) => module == Some(wanted.as_bytes()),
        };
        wanted && glob::matches(self.name.as_bytes(), name)
    }
}

/// Where the functions are that fit and can be traced, in the order of their addresses. None is
/// no error.
pub(super) fn matching(pattern: Pattern<'_>) -> Result<Vec<u64>, AttachError> {
    let tracefs = TraceFs::find()?;
    let mut found = match read(&tracefs, WITH_ADDRESSES) {
        Ok(list) => with_addresses(&list, pattern),
        Err(AttachError::File { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            let names = read(&tracefs, NAMES)?;
            let kallsyms = std::fs::read(KALLSYMS).map_err(|source| AttachError::File {
                what: "read".into(),
                path: KALLSYMS.into(),
                source,
            })?;
            by_symbols(&names, &kallsyms, pattern)?
        }
        Err(error) => return Err(error),
    };
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

/// The names of the functions that can be traced, each with its module, if this kernel tells.
pub(super) fn all_names() -> Result<Vec<u8>, AttachError> {
    read(&TraceFs::find()?, NAMES)
}

fn read(tracefs: &TraceFs, name: &str) -> Result<Vec<u8>, AttachError> {
    let mut list = Vec::new();
    let mut file = tracefs.open(name)?;
    file.read_to_end(&mut list)
        .map_err(|source| AttachError::File {
            what: "read".into(),
            path: tracefs.path(name),
            source,
        })?;
    Ok(list)
}

/// `name [module]`, with more behind it for functions that are traced.
pub(super) fn names(list: &[u8]) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
    lines(list).filter_map(|line| {
        let mut words = words(line);
        let name = words.next().filter(|name| !name.starts_with(INVALID))?;
        Some((name, words.next().and_then(in_brackets)))
    })
}

fn with_addresses(list: &[u8], pattern: Pattern<'_>) -> Vec<u64> {
    let addresses = lines(list).filter_map(|line| {
        let mut words = words(line);
        let address = words.next()?;
        let name = words.next().filter(|name| !name.starts_with(INVALID))?;
        let module = words.next().and_then(in_brackets);
        pattern.fits(name, module).then(|| hex(address)).flatten()
    });
    addresses.collect()
}

/// A name, and its module.
type Named<'a> = (&'a [u8], Option<&'a [u8]>);

/// Looks the names up among the symbols. A name that more symbols have than functions that can be
/// traced is left out: nothing tells which of them it is, and one wrong address is an error.
fn by_symbols(
    functions: &[u8],
    kallsyms: &[u8],
    pattern: Pattern<'_>,
) -> Result<Vec<u64>, AttachError> {
    let mut wanted: HashMap<Named<'_>, (usize, Vec<u64>)> = HashMap::new();
    for (name, module) in names(functions) {
        if pattern.fits(name, module) {
            let (count, _) = wanted.entry((name, module)).or_default();
            *count = count.saturating_add(1);
        }
    }
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let mut shown = false;
    for line in lines(kallsyms) {
        let mut words = words(line);
        let (Some(address), Some(kind), Some(name)) = (words.next(), words.next(), words.next())
        else {
            continue;
        };
        let Some(address) = hex(address) else {
            continue;
        };
        shown |= address != 0;
        if !matches!(kind, b"t" | b"T" | b"w" | b"W") {
            continue;
        }
        let module = words.next().and_then(in_brackets);
        let plain = memchr::memmem::find(name, LOCAL_SUFFIX).and_then(|at| name.get(..at));
        let key = [Some(name), plain]
            .into_iter()
            .flatten()
            .map(|name| (name, module))
            .find(|key| wanted.contains_key(key));
        if let Some((_, found)) = key.and_then(|key| wanted.get_mut(&key))
            && !found.contains(&address)
        {
            found.push(address);
        }
    }
    if !shown {
        return Err(AttachError::Unsupported {
            what: "say where its functions are".into(),
            hint: Some("kernel.kptr_restrict hides it from this process".into()),
        });
    }
    let told = wanted
        .into_values()
        .filter(|(count, found)| found.len() <= *count);
    Ok(told.flat_map(|(_, found)| found).collect())
}

fn lines(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut start = 0;
    let ends = memchr::memchr_iter(b'\n', list).chain([list.len()]);
    ends.filter_map(move |end| {
        let line = list.get(start..end);
        start = end.saturating_add(1);
        line
    })
}

fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|byte| matches!(byte, b' ' | b'\t'))
        .filter(|word| !word.is_empty())
}

fn in_brackets(word: &[u8]) -> Option<&[u8]> {
    word.strip_prefix(b"[")?.strip_suffix(b"]")
}

fn hex(word: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(word).ok()?;
    u64::from_str_radix(text.strip_prefix("0x").unwrap_or(text), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "\
ffffffff81000010 tcp_open
ffffffff81000020 tcp_close (1) R
ffffffff81000030 __ftrace_invalid_address___496
ffffffffc0000010 tcp_module [m]
not a line
ffffffff81000040 udp_open";

    #[test]
    fn lists_with_addresses_are_enough() {
        for (pattern, expect) in [
            (
                "tcp_*",
                &[
                    0xffff_ffff_8100_0010,
                    0xffff_ffff_8100_0020,
                    0xffff_ffff_c000_0010,
                ][..],
            ),
            (
                "vmlinux:tcp_*",
                &[0xffff_ffff_8100_0010, 0xffff_ffff_8100_0020],
            ),
            ("m:*", &[0xffff_ffff_c000_0010]),
            ("*_open", &[0xffff_ffff_8100_0010, 0xffff_ffff_8100_0040]),
            ("__ftrace*", &[]),
        ] {
            let found = with_addresses(LIST.as_bytes(), Pattern::new(pattern));
            assert_eq!(found, expect, "{pattern}");
        }
    }

    const FUNCTIONS: &str = "plain\ntwice\ntwice\nonce\nlocal\nin_m [m]\nplain [m]\n";
    const SYMBOLS: &str = "\
0000000000000010 T plain
0000000000000020 t twice
0000000000000030 t twice
0000000000000040 t once
0000000000000050 t once
0000000000000060 t local.llvm.123
0000000000000060 t local
0000000000000068 d plain
0000000000000070 t in_m\t[m]
0000000000000080 t plain\t[m]
";

    fn check(pattern: &str, expect: &[u64]) {
        let pattern = Pattern::new(pattern);
        let found = by_symbols(FUNCTIONS.as_bytes(), SYMBOLS.as_bytes(), pattern);
        let mut found = found.unwrap();
        found.sort_unstable();
        assert_eq!(found, expect, "{pattern:?}");
    }

    #[test]
    fn names_are_looked_up_among_the_symbols() {
        check("plain", &[0x10, 0x80]);
        check("vmlinux:plain", &[0x10]);
        check("m:*", &[0x70, 0x80]);
        check("twice", &[0x20, 0x30]);
        check("local", &[0x60]);
        // one of two, and nothing tells which
        check("once", &[]);
        check("nothing", &[]);
    }

    #[test]
    fn hidden_addresses_are_an_error() {
        let hidden = "0000000000000000 T plain\n";
        let pattern = Pattern::new("plain");
        let error = by_symbols(FUNCTIONS.as_bytes(), hidden.as_bytes(), pattern).unwrap_err();
        assert_eq!(
            error.to_string(),
            "this kernel cannot say where its functions are"
        );
    }
}
