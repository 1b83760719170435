//! Which object: `id N | pinned PATH | tag TAG | name NAME`, parsed and looked up.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use bpfsys::uapi::flags::MapFlags;
use bpfsys::{AnyFd, BtfFd, BtfId, LinkFd, LinkId, MapFd, MapId, ProgFd, ProgId, SysError};
use nix::errno::Errno;

use crate::failure::{ENOENT_STATUS, Failure, Result, errno_status};
use crate::names::ProgNames;
use crate::pins;
use crate::render::escape::Escaped;
use crate::words::{Words, parse_number, shown};

/// The longest name of a map: the kernel keeps 16 bytes with the final NUL.
const MAP_NAME_MAX: usize = 15;
/// The longest name of a program worth looking for: a BTF function name as bpftool cuts it.
const PROG_NAME_MAX: usize = 127;

/// One or several programs, as written on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProgHandle {
    /// `id N`
    Id(u32),
    /// `tag HEX`
    Tag([u8; 8]),
    /// `name NAME`, the full name from BTF included
    Name(Vec<u8>),
    /// `pinned PATH`
    Pinned(PathBuf),
}

/// One or several maps, as written on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MapHandle {
    /// `id N`
    Id(u32),
    /// `name NAME`, at most 15 bytes
    Name(Vec<u8>),
    /// `pinned PATH`
    Pinned(PathBuf),
}

fn take_id(words: &mut Words<'_>) -> Result<u32> {
    let word = words.take("an id")?;
    parse_number(word, 0)
        .and_then(|id| u32::try_from(id).ok())
        .ok_or_else(|| Failure::new(format_args!("can't parse {} as ID", shown(word))))
}

fn take_name(words: &mut Words<'_>, longest: usize) -> Result<Vec<u8>> {
    let name = words.take("a name")?.as_bytes();
    if name.len() > longest {
        return Err(Failure::new(format_args!(
            "can't parse name '{}': longer than {longest} bytes",
            Escaped(name)
        )));
    }
    Ok(name.to_vec())
}

fn parse_tag(word: &OsStr) -> Option<[u8; 8]> {
    let text = word.to_str().filter(|text| text.len() == 16)?;
    if !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    u64::from_str_radix(text, 16).ok().map(u64::to_be_bytes)
}

impl ProgHandle {
    /// Reads a handle from the words.
    pub fn parse(words: &mut Words<'_>) -> Result<Self> {
        if words.accept("id") {
            Ok(Self::Id(take_id(words)?))
        } else if words.accept("tag") {
            let word = words.take("a tag")?;
            parse_tag(word)
                .map(Self::Tag)
                .ok_or_else(|| Failure::new(format_args!("can't parse tag '{}'", shown(word))))
        } else if words.accept("name") {
            Ok(Self::Name(take_name(words, PROG_NAME_MAX)?))
        } else if words.accept("pinned") {
            Ok(Self::Pinned(words.take_path("a path")?.to_path_buf()))
        } else {
            Err(unexpected(words, "'id', 'tag', 'name' or 'pinned'"))
        }
    }

    /// Opens every program that fits; at least one.
    pub fn open_all(&self) -> Result<Vec<ProgFd>> {
        match self {
            Self::Id(id) => open_prog_id(*id).map(|prog| vec![prog]),
            Self::Pinned(path) => open_pinned_prog(path).map(|prog| vec![prog]),
            Self::Tag(tag) => {
                let found = matching_progs(|prog| Ok(prog.info()?.tag == *tag))?;
                not_empty(found, || {
                    let hex: String = tag.iter().map(|byte| format!("{byte:02x}")).collect();
                    format!("no program with tag {hex}")
                })
            }
            Self::Name(name) => {
                let mut names = ProgNames::default();
                let found = matching_progs(|prog| {
                    let info = prog.info()?;
                    // the kernel's short form must fit before BTF is worth a look
                    Ok(name.starts_with(info.name()) && names.full_name(prog, &info) == *name)
                })?;
                not_empty(found, || {
                    format!("no program with name '{}'", Escaped(name))
                })
            }
        }
    }

    /// Opens the one program that fits.
    pub fn open_one(&self) -> Result<ProgFd> {
        one(self.open_all()?, "programs")
    }
}

impl MapHandle {
    /// Reads a handle from the words.
    pub fn parse(words: &mut Words<'_>) -> Result<Self> {
        if words.accept("id") {
            Ok(Self::Id(take_id(words)?))
        } else if words.accept("name") {
            Ok(Self::Name(take_name(words, MAP_NAME_MAX)?))
        } else if words.accept("pinned") {
            Ok(Self::Pinned(words.take_path("a path")?.to_path_buf()))
        } else {
            Err(unexpected(words, "'id', 'name' or 'pinned'"))
        }
    }

    /// Opens every map that fits, with access as `flags` say; at least one.
    pub fn open_all(&self, flags: MapFlags) -> Result<Vec<MapFd>> {
        match self {
            Self::Id(id) => open_map_id(*id, flags).map(|map| vec![map]),
            Self::Pinned(path) => open_pinned_map(path, flags).map(|map| vec![map]),
            Self::Name(name) => {
                let mut found = Vec::new();
                // reading is enough to learn the name; the access asked for comes after
                for map in bpfsys::maps(MapFlags::RDONLY) {
                    let map = map.map_err(|error| Failure::because("can't get next map", error))?;
                    let info = map
                        .info()
                        .map_err(|error| Failure::because("can't get map info", error))?;
                    let Some(id) = MapId::new(info.id).filter(|_| info.name() == name.as_slice())
                    else {
                        continue;
                    };
                    match MapFd::by_id(id, flags) {
                        Ok(map) => found.push(map),
                        // gone since it was listed
                        Err(error) if error.is(Errno::ENOENT) => {}
                        Err(error) => return Err(map_by_id_failed(id.get(), error)),
                    }
                }
                not_empty(found, || format!("no map with name '{}'", Escaped(name)))
            }
        }
    }

    /// Opens the one map that fits, with access as `flags` say.
    pub fn open_one(&self, flags: MapFlags) -> Result<MapFd> {
        one(self.open_all(flags)?, "maps")
    }
}

/// Reads a link handle, `id N | pinned PATH`, and opens the link.
pub fn open_link(words: &mut Words<'_>) -> Result<LinkFd> {
    if words.accept("id") {
        let id = take_id(words)?;
        let fail = |cause| {
            let status = errno_status(&cause);
            Failure::because(format_args!("failed to get link with ID {id}"), cause)
                .with_status(status)
        };
        LinkId::new(id)
            .ok_or_else(|| no_object_zero("link").with_status(ENOENT_STATUS))
            .and_then(|id| LinkFd::by_id(id).map_err(fail))
    } else if words.accept("pinned") {
        let path = words.take_path("a path")?;
        match pins::open(path, MapFlags::empty())? {
            AnyFd::Link(link) => Ok(link),
            other => Err(wrong_kind(&other)),
        }
    } else {
        Err(unexpected(words, "'id' or 'pinned'"))
    }
}

/// Reads a BTF handle, `id N`, and opens the object.
pub fn open_btf(words: &mut Words<'_>) -> Result<BtfFd> {
    if !words.accept("id") {
        return Err(unexpected(words, "'id'"));
    }
    open_btf_id(take_id(words)?)
}

/// Opens a BTF object by number.
pub fn open_btf_id(id: u32) -> Result<BtfFd> {
    let fail = |cause| Failure::because(format_args!("can't get BTF object by id ({id})"), cause);
    BtfId::new(id)
        .ok_or_else(|| no_object_zero("BTF object"))
        .and_then(|id| BtfFd::by_id(id).map_err(fail))
}

fn open_prog_id(id: u32) -> Result<ProgFd> {
    let fail = |cause| Failure::because(format_args!("get by id ({id})"), cause);
    ProgId::new(id)
        .ok_or_else(|| no_object_zero("program"))
        .and_then(|id| ProgFd::by_id(id).map_err(fail))
}

fn open_map_id(id: u32, flags: MapFlags) -> Result<MapFd> {
    MapId::new(id)
        .ok_or_else(|| no_object_zero("map"))
        .and_then(|id| MapFd::by_id(id, flags).map_err(|cause| map_by_id_failed(id.get(), cause)))
}

fn map_by_id_failed(id: u32, cause: SysError) -> Failure {
    Failure::because(format_args!("get map by id ({id})"), cause)
}

fn open_pinned_prog(path: &Path) -> Result<ProgFd> {
    match pins::open(path, MapFlags::empty())? {
        AnyFd::Prog(prog) => Ok(prog),
        other => Err(wrong_kind(&other)),
    }
}

fn open_pinned_map(path: &Path, flags: MapFlags) -> Result<MapFd> {
    match pins::open(path, flags)? {
        AnyFd::Map(map) => Ok(map),
        other => Err(wrong_kind(&other)),
    }
}

fn no_object_zero(what: &str) -> Failure {
    Failure::new(format_args!("no {what} has id 0"))
}

fn wrong_kind(fd: &AnyFd) -> Failure {
    let kind = match fd {
        AnyFd::Prog(_) => "prog",
        AnyFd::Map(_) => "map",
        AnyFd::Link(_) => "link",
        AnyFd::Btf(_) => "btf",
        AnyFd::Other(_) => "unknown",
    };
    Failure::new(format_args!("incorrect object type: {kind}"))
}

fn unexpected(words: &Words<'_>, expected: &str) -> Failure {
    match words.peek() {
        Some(word) => Failure::new(format_args!("expected {expected}, got: '{}'?", shown(word))),
        None => Failure::new(format_args!("expected {expected}, got nothing")),
    }
}

fn matching_progs(
    mut fits: impl FnMut(&ProgFd) -> std::result::Result<bool, SysError>,
) -> Result<Vec<ProgFd>> {
    let mut found = Vec::new();
    for prog in bpfsys::progs() {
        let prog = prog.map_err(|error| Failure::because("can't get next prog", error))?;
        let fits = fits(&prog).map_err(|error| Failure::because("can't get prog info", error))?;
        if fits {
            found.push(prog);
        }
    }
    Ok(found)
}

fn not_empty<T>(found: Vec<T>, message: impl FnOnce() -> String) -> Result<Vec<T>> {
    if found.is_empty() {
        return Err(Failure::new(message()));
    }
    Ok(found)
}

fn one<T>(found: Vec<T>, plural: &str) -> Result<T> {
    let mut found = found.into_iter();
    match (found.next(), found.next()) {
        (Some(only), None) => Ok(only),
        _ => Err(Failure::new(format_args!(
            "several {plural} match this handle"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;

    fn prog(words: &[&str]) -> std::result::Result<ProgHandle, String> {
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        ProgHandle::parse(&mut Words::new(&words)).map_err(|error| error.message().unwrap())
    }

    #[test]
    fn handles_are_parsed_by_prefix() {
        assert_eq!(prog(&["i", "0x10"]), Ok(ProgHandle::Id(16)));
        assert_eq!(prog(&["p", "/a"]), Ok(ProgHandle::Pinned("/a".into())));
        assert_eq!(prog(&["n", "x"]), Ok(ProgHandle::Name(b"x".to_vec())));
        assert_eq!(
            prog(&["tag", "00000000000000ff"]),
            Ok(ProgHandle::Tag([0, 0, 0, 0, 0, 0, 0, 255]))
        );
    }

    #[test]
    fn bad_handles_say_what_was_expected() {
        assert_eq!(prog(&["id", "x"]), Err("can't parse x as ID".into()));
        assert_eq!(
            prog(&["id", "4294967296"]),
            Err("can't parse 4294967296 as ID".into())
        );
        assert_eq!(
            prog(&["xyz"]),
            Err("expected 'id', 'tag', 'name' or 'pinned', got: 'xyz'?".into())
        );
        assert_eq!(
            prog(&["tag", "+0000000000000ff"]),
            Err("can't parse tag '+0000000000000ff'".into())
        );
        assert_eq!(prog(&["id"]), Err("expected an id, got nothing".into()));
    }
}
