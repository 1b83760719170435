//! Where the symbols of a stripped file are.
//!
//! Distributions keep them in files of their own, found by the build id of the program or by a
//! name and checksum in it; some leave the most useful ones in the program, packed
//! (MiniDebugInfo).

use super::file::failed;
use super::read::{Numbers, ReadAt, Source, c_str};
use super::{ElfFile, SymbolError, notes, unpack_xz};
use object::elf;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Where distributions put debug files.
pub const ROOT: &str = "/usr/lib/debug";

/// The name of a debug file and the checksum of its bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DebugLink {
    /// Its name without folders.
    pub name: Vec<u8>,
    /// CRC-32 of the whole file.
    pub crc: u32,
}

/// The build id: bytes that no other program has.
pub fn build_id<R: ReadAt>(file: &ElfFile<R>) -> Option<Vec<u8>> {
    let sections = file.sections().iter();
    let sections = sections.filter(|section| section.kind == elf::SHT_NOTE.0);
    let of_sections = sections.map(|section| file.data(section, "notes").ok());
    let segments = file.segments().iter();
    let segments = segments.filter(|segment| segment.kind == elf::PT_NOTE.0);
    let of_segments = segments.map(|segment| {
        super::read::bytes(file.source(), segment.offset, segment.file_size).ok()?
    });
    // there is rarely more than a handful of either
    let pieces = of_sections.take(16).chain(of_segments.take(16));
    pieces.flatten().find_map(|data| {
        let big = file.numbers(&[]).big;
        let id = notes(&data, big, 4)
            .find(|note| note.name == b"GNU" && note.kind == elf::NT_GNU_BUILD_ID.0)?;
        (2..=64).contains(&id.desc.len()).then(|| id.desc.to_vec())
    })
}

/// The name of the debug file that a file says it has.
pub fn debug_link<R: ReadAt>(file: &ElfFile<R>) -> Option<DebugLink> {
    let section = file.section_by_name(b".gnu_debuglink")?;
    let data = file.data(&section, "the name of the debug file").ok()?;
    let name = c_str(&data, 0)?;
    // a name with folders would lead anywhere
    if name.is_empty() || name.contains(&b'/') {
        return None;
    }
    let at = (name.len() + 1).next_multiple_of(4);
    Some(DebugLink {
        name: name.to_vec(),
        crc: file.numbers(&data).u32(at)?,
    })
}

/// MiniDebugInfo: an ELF file packed in a section, unpacked; `None` when there is none.
///
/// # Errors
/// It is damaged, or unpacks to too much.
pub fn mini<R: ReadAt>(file: &ElfFile<R>) -> Result<Option<ElfFile<Source>>, SymbolError> {
    const WHAT: &str = "the packed debug information";
    let Some(section) = file.section_by_name(b".gnu_debugdata") else {
        return Ok(None);
    };
    let packed = file.data(&section, WHAT)?;
    let bytes = unpack_xz(&packed, WHAT)?;
    ElfFile::parse(Source::memory(bytes)).map(Some)
}

/// CRC-32 of all bytes.
///
/// # Errors
/// Reading fails.
pub fn crc<R: ReadAt + ?Sized>(source: &R) -> Result<u32, SymbolError> {
    let mut crc = flate2::Crc::new();
    let mut buffer = vec![0; 1 << 16];
    let (mut at, size) = (0u64, source.size());
    while at < size {
        let some = (size - at).min(buffer.len() as u64);
        let piece = buffer
            .get_mut(..usize::try_from(some).unwrap_or_default())
            .unwrap_or_default();
        source
            .read_exact_at(piece, at)
            .map_err(failed("the debug file"))?;
        crc.update(piece);
        at += some;
    }
    Ok(crc.sum())
}

/// Where the debug file of `path` may be, in the order to look.
#[must_use]
pub fn candidates(
    path: &Path,
    build_id: Option<&[u8]>,
    link: Option<&DebugLink>,
    root: &Path,
) -> Vec<PathBuf> {
    let mut found = Vec::new();
    if let Some((first, rest)) = build_id.and_then(<[u8]>::split_first) {
        let hex = |bytes: &[u8]| -> String { bytes.iter().map(|b| format!("{b:02x}")).collect() };
        let rest = format!("{}.debug", hex(rest));
        found.push(root.join(".build-id").join(hex(&[*first])).join(rest));
    }
    if let Some(link) = link
        && let Some(folder) = path.parent()
    {
        let name = OsStr::from_bytes(&link.name);
        found.push(folder.join(name));
        found.push(folder.join(".debug").join(name));
        let below = folder.strip_prefix("/").unwrap_or(folder);
        found.push(root.join(below).join(name));
    }
    found.retain(|candidate| candidate != path);
    found
}

/// Opens the debug file of `path`, which is `file`: the first candidate that belongs to it, by its
/// build id, or by the checksum where there is no build id.
pub fn open<R: ReadAt>(path: &Path, file: &ElfFile<R>, root: &Path) -> Option<ElfFile<Source>> {
    let id = build_id(file);
    let link = debug_link(file);
    let candidates = candidates(path, id.as_deref(), link.as_ref(), root);
    candidates.into_iter().find_map(|candidate| {
        let found = ElfFile::parse(Source::open(&candidate).ok()?).ok()?;
        let belongs = match (&id, build_id(&found)) {
            (Some(ours), Some(theirs)) => *ours == theirs,
            _ => link
                .as_ref()
                .is_some_and(|link| crc(found.source()).is_ok_and(|crc| crc == link.crc)),
        };
        belongs.then_some(found)
    })
}

/// The bytes of a section of debug information, unpacked where it is compressed; none when there
/// is no such section.
pub(super) fn debug_section<R: ReadAt>(
    file: &ElfFile<R>,
    name: &str,
) -> Result<Vec<u8>, SymbolError> {
    const WHAT: &str = "debug information";
    if let Some(section) = file.section_by_name(name.as_bytes()) {
        let data = file.data(&section, WHAT)?;
        if section.flags & elf::SHF_COMPRESSED.0 == 0 {
            return Ok(data);
        }
        let numbers = file.numbers(&data);
        // type, (a hole,) size, alignment
        let (size_at, body_at) = if numbers.wide { (8, 24) } else { (4, 12) };
        let method = numbers.u32(0).unwrap_or_default();
        if method != elf::ELFCOMPRESS_ZLIB.0 {
            return Err(SymbolError::Compression { what: WHAT, method });
        }
        let size = numbers.word(size_at).unwrap_or_default();
        return inflate(data.get(body_at..).unwrap_or_default(), size, WHAT);
    }
    // the form before compression was a flag
    let old = format!(".z{}", name.trim_start_matches('.'));
    let Some(section) = file.section_by_name(old.as_bytes()) else {
        return Ok(Vec::new());
    };
    let data = file.data(&section, WHAT)?;
    let size = data.strip_prefix(b"ZLIB").and_then(|data| {
        Numbers {
            data,
            big: true,
            wide: true,
        }
        .u64(0)
    });
    match size {
        Some(size) => inflate(data.get(12..).unwrap_or_default(), size, WHAT),
        None => Ok(data),
    }
}

/// Unpacks what is `size` bytes, if that is possible for what is there.
fn inflate(packed: &[u8], size: u64, what: &'static str) -> Result<Vec<u8>, SymbolError> {
    use std::io::Read;
    let bad = |why: String| SymbolError::Unpack { what, why };
    // deflate makes no more of a byte
    let most = (packed.len() as u64).saturating_mul(1032);
    if size > most {
        return Err(bad("it says it is larger than it can be".to_owned()));
    }
    let mut out = Vec::new();
    flate2::read::ZlibDecoder::new(packed)
        .take(size)
        .read_to_end(&mut out)
        .map_err(|error| bad(error.to_string()))?;
    Ok(out)
}
