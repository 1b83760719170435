//! The "newc" archive that the kernel unpacks into its first file system.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context as _, Result};

const DIRECTORY: u32 = 0o040_000;
const REGULAR: u32 = 0o100_000;
const LINK: u32 = 0o120_000;
const CHARACTER: u32 = 0o020_000;

/// An archive being written.
#[derive(Debug, Default)]
pub(super) struct Archive {
    bytes: Vec<u8>,
    directories: BTreeSet<String>,
    entries: u32,
}

impl Archive {
    /// Adds a directory and those above it.
    pub(super) fn directory(&mut self, path: &str) -> Result<()> {
        if let Some((above, _)) = path.rsplit_once('/') {
            self.directory(above)?;
        }
        if !path.is_empty() && self.directories.insert(path.to_owned()) {
            self.entry(path, DIRECTORY | 0o755, (0, 0), b"")?;
        }
        Ok(())
    }

    /// Adds a file; `path` has no slash in front.
    pub(super) fn file(&mut self, path: &str, mode: u32, content: &[u8]) -> Result<()> {
        self.above(path)?;
        self.entry(path, REGULAR | mode, (0, 0), content)
    }

    /// Adds a file as it is here, executable or not.
    pub(super) fn copy(&mut self, path: &str, from: &Path) -> Result<()> {
        use std::os::unix::fs::PermissionsExt as _;
        let content = std::fs::read(from).with_context(|| format!("read {}", from.display()))?;
        let mode = std::fs::metadata(from)
            .with_context(|| format!("look at {}", from.display()))?
            .permissions()
            .mode();
        self.file(path, mode & 0o777, &content)
    }

    /// Adds a symbolic link.
    pub(super) fn link(&mut self, path: &str, to: &str) -> Result<()> {
        self.above(path)?;
        self.entry(path, LINK | 0o777, (0, 0), to.as_bytes())
    }

    /// Adds a character device.
    pub(super) fn device(&mut self, path: &str, numbers: (u32, u32)) -> Result<()> {
        self.above(path)?;
        self.entry(path, CHARACTER | 0o600, numbers, b"")
    }

    fn above(&mut self, path: &str) -> Result<()> {
        match path.rsplit_once('/') {
            Some((above, _)) => self.directory(above),
            None => Ok(()),
        }
    }

    fn entry(&mut self, path: &str, mode: u32, device: (u32, u32), content: &[u8]) -> Result<()> {
        self.entries += 1;
        let size = u32::try_from(content.len()).context("a file of 4 GiB")?;
        let name = u32::try_from(path.len() + 1).context("a long name")?;
        let fields = [
            self.entries,
            mode,
            0,
            0,
            1,
            0,
            size,
            0,
            0,
            device.0,
            device.1,
            name,
            0,
        ];
        self.bytes.extend_from_slice(b"070701");
        for field in fields {
            self.bytes
                .extend_from_slice(format!("{field:08x}").as_bytes());
        }
        self.bytes.extend_from_slice(path.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(content);
        self.pad();
        Ok(())
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    /// The archive with its end mark. More archives may follow it in one file.
    pub(super) fn finish(mut self) -> Result<Vec<u8>> {
        self.entry("TRAILER!!!", 0, (0, 0), b"")?;
        Ok(self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::Archive;

    #[test]
    fn directories_come_before_their_content_and_once() {
        let mut a = Archive::default();
        a.file("a/b/c", 0o644, b"hello").expect("it fits");
        a.file("a/b/d", 0o755, b"").expect("it fits");
        a.device("dev/null", (1, 3)).expect("it fits");
        let bytes = a.finish().expect("it fits");
        assert_eq!(bytes.len() % 4, 0);
        let text = String::from_utf8_lossy(&bytes);
        let at = |what: &str| text.find(what).unwrap_or_else(|| panic!("no {what}"));
        assert!(at("0a\0") < at("0a/b\0"));
        assert!(at("0a/b\0") < at("a/b/c\0"));
        assert_eq!(text.matches("0a/b\0").count(), 1);
        assert!(text.trim_end_matches('\0').ends_with("TRAILER!!!"));
    }

    #[test]
    fn cpio_itself_reads_it() {
        use std::io::Write as _;
        use std::process::{Command, Stdio};
        let mut a = Archive::default();
        a.file("x/y", 0o755, b"12345").expect("it fits");
        a.link("x/z", "y").expect("it fits");
        let bytes = a.finish().expect("it fits");
        let Ok(mut child) = Command::new("cpio")
            .args(["-t", "--quiet"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
        else {
            println!("SKIP cpio_itself_reads_it: needs cpio");
            return;
        };
        let mut stdin = child.stdin.take().expect("piped");
        stdin.write_all(&bytes).expect("cpio reads");
        drop(stdin);
        let out = child.wait_with_output().expect("cpio ends");
        assert_eq!(String::from_utf8_lossy(&out.stdout), "x\nx/y\nx/z\n");
    }
}
