//! Expected files: compared, or rewritten with `RBPF_BLESS=1`.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

/// The root of the checkout.
#[must_use]
pub fn root() -> PathBuf {
    let here = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    here.parent().map(Path::to_owned).unwrap_or(here)
}

/// A file under `tests/fixtures`.
#[must_use]
pub fn fixture(name: &str) -> PathBuf {
    root().join("tests/fixtures").join(name)
}

/// `RBPF_BLESS=1`: expected files are rewritten instead of compared.
#[must_use]
pub fn blessing() -> bool {
    std::env::var_os("RBPF_BLESS").is_some_and(|v| v == "1")
}

/// A file that holds what something should be.
#[derive(Debug)]
pub struct Expected(PathBuf);

impl Expected {
    /// The file at `path` inside the checkout.
    #[must_use]
    pub fn at(path: impl AsRef<Path>) -> Self {
        Self(root().join(path))
    }

    /// Fails unless the file holds `actual`; shows the first line that differs.
    ///
    /// # Errors
    ///
    /// If it differs, or cannot be read or (when blessing) written.
    pub fn check(&self, actual: &str) -> Result<()> {
        let shown = self.0.display();
        if blessing() {
            if let Some(dir) = self.0.parent() {
                std::fs::create_dir_all(dir)
                    .with_context(|| format!("create {}", dir.display()))?;
            }
            return std::fs::write(&self.0, actual).with_context(|| format!("write {shown}"));
        }
        let want = match std::fs::read_to_string(&self.0) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                bail!("{shown} does not exist; `cargo xtask golden` writes it")
            }
            Err(e) => return Err(e).with_context(|| format!("read {shown}")),
        };
        match first_difference(&want, actual) {
            None => Ok(()),
            Some((line, want, got)) => bail!(
                "{shown}:{line} differs (`cargo xtask golden` rewrites it)\n  want: {want}\n   got: {got}"
            ),
        }
    }
}

/// The first differing line: its number and both sides.
fn first_difference(want: &str, got: &str) -> Option<(usize, String, String)> {
    if want == got {
        return None;
    }
    let (mut a, mut b) = (want.split('\n'), got.split('\n'));
    let mut line = 1;
    loop {
        let (x, y) = (a.next(), b.next());
        if x != y || x.is_none() {
            let show = |s: Option<&str>| s.map_or("(end)".to_owned(), |s| format!("{s:?}"));
            return Some((line, show(x), show(y)));
        }
        line += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::first_difference;

    #[test]
    fn the_line_that_differs_is_named() {
        assert_eq!(first_difference("a\nb\n", "a\nb\n"), None);
        let (line, want, got) = first_difference("a\nb\n", "a\nc\n").expect("they differ");
        assert_eq!((line, &*want, &*got), (2, "\"b\"", "\"c\""));
        let (line, _, got) = first_difference("a\nb", "a").expect("they differ");
        assert_eq!((line, &*got), (2, "(end)"));
    }
}
