//! What a process has mapped: `/proc/PID/maps`.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// A file that is mapped, or a part of one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mapping {
    /// Where it starts.
    pub start: u64,
    /// Where it ends.
    pub end: u64,
    /// Whether its bytes are run.
    pub is_code: bool,
    /// Where in the file.
    pub offset: u64,
    /// The file's number.
    pub inode: u64,
    /// The file, as the process sees it.
    pub path: PathBuf,
    /// Whether the file has no name any more.
    pub is_deleted: bool,
}

/// The mappings of files in the text; lines of another form are left out.
pub fn parse_maps(text: &[u8]) -> impl Iterator<Item = Mapping> {
    text.split(|byte| *byte == b'\n').filter_map(line)
}

/// `55d0-55d2 r-xp 00002000 08:01 1234   /usr/bin/cat`
fn line(line: &[u8]) -> Option<Mapping> {
    let mut rest = line;
    let mut word = || {
        let end = memchr::memchr(b' ', rest)?;
        let word = std::str::from_utf8(rest.get(..end)?).ok()?;
        rest = rest.get(end..)?.trim_ascii_start();
        Some(word)
    };
    let (range, mode, offset, _device, inode) = (word()?, word()?, word()?, word()?, word()?);
    let (start, end) = range.split_once('-')?;
    let hex = |text| u64::from_str_radix(text, 16).ok();
    if !rest.starts_with(b"/") {
        return None;
    }
    let (path, is_deleted) = match rest.strip_suffix(b" (deleted)") {
        Some(path) => (path, true),
        None => (rest, false),
    };
    Some(Mapping {
        start: hex(start)?,
        end: hex(end)?,
        is_code: mode.as_bytes().get(2) == Some(&b'x'),
        offset: hex(offset)?,
        inode: inode.parse().ok()?,
        path: PathBuf::from(OsString::from_vec(unescape(path))),
        is_deleted,
    })
}

/// Line feeds in paths are written as `\012`.
fn unescape(path: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((first, tail)) = rest.split_first() {
        rest = match rest.strip_prefix(b"\\012") {
            Some(tail) => {
                out.push(b'\n');
                tail
            }
            None => {
                out.push(*first);
                tail
            }
        };
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn files_with_code_and_without_names() {
        let text = b"00400000-00452000 r-xp 00001000 08:02 173521      /usr/bin/dbus daemon\n\
            00e03000-00e24000 rw-p 00000000 00:00 0           [heap]\n\
            35b1800000-35b1820000 rw-p 00000000 103:02 135522  /usr/lib/a\\012b.so (deleted)\n\
            35b1a00000-35b1a01000 rw-p 00000000 00:00 0 \n\
            7ffe-7fff r--p\n\nx";
        let found: Vec<_> = parse_maps(text).collect();
        assert_eq!(found.len(), 2, "{found:?}");
        assert_eq!(found[0].path, Path::new("/usr/bin/dbus daemon"));
        assert!(found[0].is_code && !found[0].is_deleted);
        assert_eq!((found[0].start, found[0].end), (0x40_0000, 0x45_2000));
        assert_eq!((found[0].offset, found[0].inode), (0x1000, 173_521));
        assert_eq!(found[1].path, Path::new("/usr/lib/a\nb.so"));
        assert!(!found[1].is_code && found[1].is_deleted);
    }
}
