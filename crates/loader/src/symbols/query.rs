//! Places that a user names.

use super::SymbolError;

/// A function by name, perhaps of one version, and how far into it: `f`, `f@V`, `f@@V`, `f+0x10`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Query {
    /// The function.
    pub name: String,
    /// Which of several versions of a library's function.
    pub version: Option<Version>,
    /// Bytes from its start.
    pub offset: u64,
}

/// The version of a function.
pub type Version = String;

impl Query {
    /// Reads the text of a place.
    ///
    /// # Errors
    /// There is no name, or no version after `@`.
    pub fn parse(text: &str) -> Result<Self, SymbolError> {
        let bad = |why| SymbolError::BadQuery {
            text: text.to_owned(),
            why,
        };
        // a plus that no number follows is a part of the name
        let (symbol, offset) = text
            .rsplit_once('+')
            .and_then(|(symbol, number)| Some((symbol, c_number(number)?)))
            .unwrap_or((text, 0));
        let (name, version) = match symbol.split_once('@') {
            None => (symbol, None),
            Some((name, version)) => {
                let version = version.strip_prefix('@').unwrap_or(version);
                if version.is_empty() {
                    return Err(bad("a version should follow the `@`"));
                }
                (name, Some(version.to_owned()))
            }
        };
        if name.is_empty() {
            return Err(bad("it has no name of a function"));
        }
        if name.contains('\0') {
            return Err(bad("a name has no zero byte"));
        }
        Ok(Self {
            name: name.to_owned(),
            version,
            offset,
        })
    }

    /// The function without the offset.
    pub(super) fn symbol(&self) -> String {
        match &self.version {
            Some(version) => format!("{}@{version}", self.name),
            None => self.name.clone(),
        }
    }
}

/// A number as in C: decimal, `0x` for hexadecimal, a leading zero for octal.
fn c_number(text: &str) -> Option<u64> {
    let digits = |text: &str, radix| {
        // `from_str_radix` takes a sign
        let first = text.chars().next()?;
        first.is_digit(radix).then_some(())?;
        u64::from_str_radix(text, radix).ok()
    };
    if let Some(hex) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        digits(hex, 16)
    } else if text.len() > 1 && text.starts_with('0') {
        digits(text, 8)
    } else {
        digits(text, 10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, name: &str, version: Option<&str>, offset: u64) {
        let query = Query::parse(text).unwrap();
        assert_eq!(query.name, name, "{text}");
        assert_eq!(query.version.as_deref(), version, "{text}");
        assert_eq!(query.offset, offset, "{text}");
    }

    #[test]
    fn names_versions_and_offsets() {
        check("main", "main", None, 0);
        check("main+8", "main", None, 8);
        check("main+0x10", "main", None, 16);
        check("main+010", "main", None, 8);
        check("main+0", "main", None, 0);
        check("a@V_1.2+4", "a", Some("V_1.2"), 4);
        check("a@@V", "a", Some("V"), 0);
        check("main.(*T).f", "main.(*T).f", None, 0);
        check("operator+", "operator+", None, 0);
        check("f+x", "f+x", None, 0);
        check("f++1", "f+", None, 1);
        check("f+-1", "f+-1", None, 0);
    }

    #[test]
    fn texts_that_name_nothing() {
        for text in ["", "+4", "@V", "f@", "f@@", "f@+1", "f\0"] {
            assert!(Query::parse(text).is_err(), "{text:?}");
        }
    }
}
