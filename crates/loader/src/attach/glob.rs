//! Patterns of names: `*` for any characters, `?` for one.

/// Whether there is anything but plain characters in a pattern.
#[must_use]
pub fn is_pattern(pattern: &str) -> bool {
    pattern.contains(['*', '?'])
}

/// Whether a pattern fits the whole of a name. Takes at most the product of both lengths.
#[must_use]
#[doc(alias = "glob_match")]
pub fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0_usize, 0_usize);
    // Where the last `*` is, and how far of the name it reaches. Only that one need be tried
    // anew: what an earlier one could take instead, it can too.
    let mut star: Option<(usize, usize)> = None;
    while let Some(byte) = name.get(n) {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p = p.saturating_add(1);
            }
            Some(wanted) if *wanted == b'?' || wanted == byte => {
                p = p.saturating_add(1);
                n = n.saturating_add(1);
            }
            _ => {
                let Some((at, reached)) = star else {
                    return false;
                };
                let reached = reached.saturating_add(1);
                star = Some((at, reached));
                p = at.saturating_add(1);
                n = reached;
            }
        }
    }
    let rest = pattern.get(p..).unwrap_or_default();
    rest.iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_whole_names() {
        for (pattern, fits, misfits) in [
            (
                "tcp_*",
                &["tcp_", "tcp_close"][..],
                &["xtcp_", "tcp", ""][..],
            ),
            ("*", &["", "a"], &[]),
            ("", &[""], &["a"]),
            ("?", &["a"], &["", "ab"]),
            ("*_sys_*", &["__x64_sys_bpf", "_sys_"], &["_sys", "sys_"]),
            ("a*b*c", &["abc", "aXbYbZc"], &["ab", "abcd"]),
            ("**x", &["x", "yx"], &["xy"]),
            ("vfs_rea?", &["vfs_read"], &["vfs_rea", "vfs_reads"]),
            ("f.isra.*", &["f.isra.0"], &["fxisra.0"]),
        ] {
            for name in fits {
                assert!(
                    matches(pattern.as_bytes(), name.as_bytes()),
                    "{pattern} {name}"
                );
            }
            for name in misfits {
                assert!(
                    !matches(pattern.as_bytes(), name.as_bytes()),
                    "{pattern} {name}"
                );
            }
        }
        assert!(is_pattern("a?") && is_pattern("*") && !is_pattern("a.b"));
    }

    #[test]
    fn many_stars_do_not_take_for_ever() {
        let pattern = "*a".repeat(60) + "*b";
        assert!(!matches(pattern.as_bytes(), "a".repeat(400).as_bytes()));
    }
}
