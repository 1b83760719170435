//! Libraries that are mapped from within zip archives, as on Android: `base.apk!/lib/libx.so`.
//!
//! A process maps such a library at the place of the member in the archive, which is possible only
//! where the member is stored as it is. So all that is needed of the format is the list of members
//! and where each starts; the reader below takes nothing else, allocates the list only, and needs
//! no crate that could unpack.

use super::SymbolError;
use super::file::failed;
use super::read::{self, Numbers, ReadAt};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Between the path of an archive and the name of a member.
const SEPARATOR: &[u8] = b"!/";
/// The last record of an archive, without its comment.
const END: u16 = 22;
/// The record of a member in the list, without names.
const ENTRY: u64 = 46;
/// The record in front of a member, without names.
const LOCAL: u64 = 30;

/// A member that is stored as it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Member {
    /// Where it starts in the archive.
    pub offset: u64,
    /// Its bytes.
    pub size: u64,
}

/// The path of an archive and the name of a member, of a path that has both.
#[must_use]
pub fn split(path: &Path) -> Option<(&Path, &OsStr)> {
    let bytes = path.as_os_str().as_bytes();
    let at = memchr::memmem::find(bytes, SEPARATOR)?;
    let (archive, member) = (bytes.get(..at)?, bytes.get(at + SEPARATOR.len()..)?);
    Some((
        Path::new(OsStr::from_bytes(archive)),
        OsStr::from_bytes(member),
    ))
}

fn numbers(data: &[u8]) -> Numbers<'_> {
    Numbers {
        data,
        big: false,
        wide: false,
    }
}

fn not(why: &'static str) -> SymbolError {
    SymbolError::NotArchive { why }
}

/// Finds a member.
///
/// # Errors
/// Not a zip archive, one in several files or of more than 4 GiB, no such member, or one that is
/// compressed or encrypted.
pub fn member<R: ReadAt + ?Sized>(archive: &R, name: &[u8]) -> Result<Member, SymbolError> {
    const WHAT: &str = "the list of members";
    let list = list(archive)?;
    let mut at = 0u64;
    while let Some(entry) = numbers(&list).from(at) {
        if entry.data.is_empty() {
            break;
        }
        if entry.data.get(..4) != Some(b"PK\x01\x02") {
            return Err(not("its list of members is damaged"));
        }
        let half = |at| entry.u16(at).map(u64::from);
        let lens = (|| Some((half(28)?, half(30)?, half(32)?)))();
        let (name_len, extra_len, comment_len) =
            lens.ok_or_else(|| not("its list of members is cut"))?;
        let found = entry
            .from(ENTRY)
            .and_then(|rest| rest.data.get(..usize::try_from(name_len).ok()?))
            .ok_or_else(|| not("its list of members is cut"))?;
        if found == name {
            let text = String::from_utf8_lossy(name).into_owned();
            // bit 0: encrypted; method 0: stored
            let flags = entry.u16(8).unwrap_or_default();
            if flags & 1 != 0 || entry.u16(10) != Some(0) {
                return Err(SymbolError::MemberPacked { member: text });
            }
            let size = u64::from(entry.u32(20).unwrap_or_default());
            let start = u64::from(entry.u32(42).unwrap_or_default());
            let head = read::bytes(archive, start, LOCAL)
                .map_err(failed(WHAT))?
                .filter(|head| head.starts_with(b"PK\x03\x04"))
                .ok_or_else(|| not("a member is not where the list says"))?;
            let half = |at| u64::from(numbers(&head).u16(at).unwrap_or_default());
            let offset = start + LOCAL + half(26) + half(28);
            if offset.saturating_add(size) > archive.size() {
                return Err(not("a member ends past the archive"));
            }
            return Ok(Member { offset, size });
        }
        at = at.saturating_add(ENTRY + name_len + extra_len + comment_len);
    }
    Err(SymbolError::NoMember {
        member: String::from_utf8_lossy(name).into_owned(),
    })
}

/// The list of members, found through the record at the end, which a comment may follow.
fn list<R: ReadAt + ?Sized>(archive: &R) -> Result<Vec<u8>, SymbolError> {
    const WHAT: &str = "the end of the archive";
    let have = archive.size();
    let tail = have.min(u64::from(END) + u64::from(u16::MAX));
    let start = have - tail;
    let bytes = read::bytes(archive, start, tail)
        .map_err(failed(WHAT))?
        .unwrap_or_default();
    let mut until = bytes.len();
    let end = loop {
        let Some(at) = memchr::memmem::rfind(bytes.get(..until).unwrap_or_default(), b"PK\x05\x06")
        else {
            return Err(not("it has no end record"));
        };
        let record = numbers(bytes.get(at..).unwrap_or_default());
        // the comment is what is left
        let comment = record
            .u16(20)
            .map(|len| usize::from(len) + usize::from(END));
        if comment == Some(record.data.len()) {
            break record;
        }
        // a record that overlaps this one is none
        until = at + 3;
        if at == 0 {
            return Err(not("it has no end record"));
        }
    };
    let half = |at| end.u16(at).unwrap_or_default();
    let word = |at| end.u32(at).unwrap_or_default();
    if half(4) != 0 || half(6) != 0 || half(8) != half(10) {
        return Err(not("it has several parts"));
    }
    let (size, offset) = (word(12), word(16));
    if size == u32::MAX || offset == u32::MAX {
        return Err(not("it is in the form for more than 4 GiB"));
    }
    read::bytes(archive, u64::from(offset), u64::from(size))
        .map_err(failed("the list of members"))?
        .ok_or_else(|| not("its list of members is not within it"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An archive with members (name, method, bytes).
    fn zip(members: &[(&str, u16, &[u8])], comment: &[u8]) -> Vec<u8> {
        let mut out = b"some bytes in front".to_vec();
        let mut list = Vec::new();
        for (name, method, data) in members {
            let start = u32::try_from(out.len()).unwrap();
            let size = u32::try_from(data.len()).unwrap();
            let len = u16::try_from(name.len()).unwrap();
            out.extend(b"PK\x03\x04\x0a\0\0\0");
            out.extend(method.to_le_bytes());
            out.extend([0; 8]);
            out.extend(size.to_le_bytes());
            out.extend(size.to_le_bytes());
            out.extend(len.to_le_bytes());
            out.extend(3u16.to_le_bytes());
            out.extend(name.as_bytes());
            out.extend(b"xxx");
            out.extend(*data);
            list.extend(b"PK\x01\x02\x0a\0\x0a\0\0\0");
            list.extend(method.to_le_bytes());
            list.extend([0; 8]);
            list.extend(size.to_le_bytes());
            list.extend(size.to_le_bytes());
            list.extend(len.to_le_bytes());
            list.extend([0; 12]);
            list.extend(start.to_le_bytes());
            list.extend(name.as_bytes());
        }
        let (offset, size) = (out.len(), list.len());
        let count = u16::try_from(members.len()).unwrap();
        out.extend(list);
        out.extend(b"PK\x05\x06\0\0\0\0");
        out.extend(count.to_le_bytes());
        out.extend(count.to_le_bytes());
        out.extend(u32::try_from(size).unwrap().to_le_bytes());
        out.extend(u32::try_from(offset).unwrap().to_le_bytes());
        out.extend(u16::try_from(comment.len()).unwrap().to_le_bytes());
        out.extend(comment);
        out
    }

    #[test]
    fn stored_members_are_found() {
        for comment in [
            &b""[..],
            b"a comment",
            b"PK\x05\x06 in a comment that is long enough",
        ] {
            let bytes = zip(&[("a", 8, b"packed"), ("lib/x.so", 0, b"stored")], comment);
            let found = member(bytes.as_slice(), b"lib/x.so").unwrap();
            let at = usize::try_from(found.offset).unwrap();
            assert_eq!(&bytes[at..at + 6], b"stored");
            assert_eq!(found.size, 6);
        }
    }

    #[test]
    fn what_cannot_be_mapped_is_refused() {
        let bytes = zip(&[("a", 8, b"packed")], b"");
        let why = |name: &[u8]| member(bytes.as_slice(), name).unwrap_err().to_string();
        assert_eq!(
            why(b"a"),
            "member `a` of the archive is compressed or encrypted, so no process can map it"
        );
        assert_eq!(why(b"b"), "the archive has no member `b`");
        let none = member(&b"no archive"[..], b"a").unwrap_err();
        assert_eq!(none.to_string(), "not a zip archive: it has no end record");
    }

    #[test]
    fn cut_and_damaged_archives_answer() {
        let bytes = zip(&[("a", 0, b"one"), ("b", 0, b"two")], b"end");
        for len in 0..bytes.len() {
            drop(member(&bytes[..len], b"b"));
        }
        for at in 0..bytes.len() {
            let mut bytes = bytes.clone();
            bytes[at] ^= 0xff;
            drop(member(bytes.as_slice(), b"b"));
        }
    }

    #[test]
    fn paths_with_members() {
        let (archive, name) = split("/a/base.apk!/lib/x.so".as_ref()).unwrap();
        assert_eq!(archive, Path::new("/a/base.apk"));
        assert_eq!(name, "lib/x.so");
        assert_eq!(split("/a/b".as_ref()), None);
    }
}
