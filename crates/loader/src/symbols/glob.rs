//! Patterns for names.

/// A pattern: `*` stands for any bytes, `?` for one, everything else for itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Glob(Vec<u8>);

impl Glob {
    /// A pattern from its text.
    #[must_use]
    pub fn new(pattern: &str) -> Self {
        let mut bytes = pattern.as_bytes().to_vec();
        bytes.dedup_by(|next, last| *next == b'*' && *last == b'*');
        Self(bytes)
    }

    /// The pattern as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.0).into_owned()
    }

    /// Whether the whole of a name fits.
    ///
    /// Takes at most as many steps as the lengths of both multiplied.
    #[must_use]
    pub fn fits(&self, name: &[u8]) -> bool {
        let (mut at, mut into) = (0, 0);
        // the last star, and where in the name it has been tried to end
        let mut star: Option<(usize, usize)> = None;
        while let Some(byte) = name.get(into) {
            match self.0.get(at) {
                Some(b'*') => {
                    star = Some((at, into));
                    at += 1;
                }
                Some(wanted) if *wanted == b'?' || wanted == byte => {
                    at += 1;
                    into += 1;
                }
                _ => {
                    let Some((star_at, from)) = star else {
                        return false;
                    };
                    star = Some((star_at, from + 1));
                    (at, into) = (star_at + 1, from + 1);
                }
            }
        }
        self.0
            .get(at..)
            .is_none_or(|rest| rest.iter().all(|byte| *byte == b'*'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, fits: &[&str], not: &[&str]) {
        let glob = Glob::new(pattern);
        for name in fits {
            assert!(glob.fits(name.as_bytes()), "{pattern} fits {name}");
        }
        for name in not {
            assert!(!glob.fits(name.as_bytes()), "{pattern} does not fit {name}");
        }
    }

    #[test]
    fn stars_and_question_marks() {
        check("main", &["main"], &["", "mai", "main2", "xmain"]);
        check("*", &["", "a", "ab"], &[]);
        check("a*", &["a", "ab", "abc"], &["", "ba"]);
        check("*a", &["a", "ba", "aa"], &["", "ab"]);
        check("a?c", &["abc", "a?c"], &["ac", "abbc"]);
        check("*a*b*", &["ab", "xaxbx", "aab"], &["ba", "a"]);
        check("a**b", &["ab", "axb"], &["a"]);
        check("", &[""], &["a"]);
        check("?", &["a"], &["", "ab"]);
        check("*ab?", &["aababc", "abc"], &["ab"]);
    }

    #[test]
    fn many_stars_end_soon() {
        let glob = Glob::new(&"a*".repeat(64));
        assert!(!glob.fits(&[b'b'; 1 << 16]));
        let mut name = vec![b'a'; 1 << 12];
        name.push(b'b');
        assert!(!Glob::new(&format!("{}c", "a*".repeat(32))).fits(&name));
    }
}
