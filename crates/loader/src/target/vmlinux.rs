//! Types of the kernel proper, and those in files that are given.

use super::TargetError;
use bpfsys::KernelBtf;
use btf::Btf;
use object::read::ReadCache;
use object::{Object, ObjectSection};
use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// The kernel's own bytes. They never change, so they are kept for as long as the process lives.
static BYTES: OnceLock<KernelBtf> = OnceLock::new();
/// The same, parsed.
static PARSED: OnceLock<Arc<Btf<'static>>> = OnceLock::new();

/// The types of the running kernel: its own, or else those of its image on disk.
pub(super) fn find(release: &str) -> Result<Arc<Btf<'static>>, TargetError> {
    if let Some(parsed) = PARSED.get() {
        return Ok(Arc::clone(parsed));
    }
    let parsed = Arc::new(match own_bytes() {
        Ok(bytes) => parse(bytes, KernelBtf::VMLINUX)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => from_images(release)?,
        Err(source) => {
            return Err(TargetError::Read {
                path: KernelBtf::VMLINUX.into(),
                source,
            });
        }
    });
    Ok(Arc::clone(PARSED.get_or_init(|| parsed)))
}

fn own_bytes() -> io::Result<&'static [u8]> {
    if BYTES.get().is_none() {
        let opened = KernelBtf::vmlinux()?;
        // Another thread may have been faster: either is the same.
        drop(BYTES.set(opened));
    }
    Ok(BYTES.get().map_or(&[], |bytes| bytes))
}

fn parse(bytes: impl Into<Cow<'static, [u8]>>, what: &str) -> Result<Btf<'static>, TargetError> {
    Btf::parse(bytes.into()).map_err(|source| TargetError::Btf {
        what: what.to_owned(),
        source,
    })
}

/// Where images of the kernel are that still have their types.
fn images(release: &str) -> [PathBuf; 7] {
    [
        format!("/boot/vmlinux-{release}"),
        format!("/lib/modules/{release}/vmlinux-{release}"),
        format!("/lib/modules/{release}/build/vmlinux"),
        format!("/usr/lib/modules/{release}/kernel/vmlinux"),
        format!("/usr/lib/debug/boot/vmlinux-{release}"),
        format!("/usr/lib/debug/boot/vmlinux-{release}.debug"),
        format!("/usr/lib/debug/lib/modules/{release}/vmlinux"),
    ]
    .map(PathBuf::from)
}

fn from_images(release: &str) -> Result<Btf<'static>, TargetError> {
    let mut tried = Vec::new();
    for path in images(release) {
        match from_file(&path) {
            Ok(btf) => return Ok(btf),
            Err(TargetError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
            Err(error) => tried.push((path, error.to_string())),
        }
    }
    Err(TargetError::NoKernelBtf {
        release: release.to_owned(),
        tried,
    })
}

/// The types in a file: raw, or the section of an ELF file.
///
/// # Errors
/// The file cannot be read, or has no types that make sense.
pub fn from_file(path: &Path) -> Result<Btf<'static>, TargetError> {
    let read = |source| TargetError::Read {
        path: path.to_owned(),
        source,
    };
    let mut file = File::open(path).map_err(read)?;
    let mut magic = [0; 4];
    let len = read_start(&mut file, &mut magic).map_err(read)?;
    let bytes = if magic.get(..len) == Some(b"\x7fELF") {
        section(file).map_err(|why| TargetError::NoBtfInFile {
            path: path.to_owned(),
            why,
        })?
    } else {
        file.rewind().map_err(read)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(read)?;
        bytes
    };
    parse(bytes, &path.display().to_string())
}

/// Reads until the buffer is full or the file ends.
fn read_start(file: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut len = 0;
    while let Some(room) = buffer.get_mut(len..).filter(|room| !room.is_empty()) {
        match file.read(room)? {
            0 => break,
            more => len += more,
        }
    }
    Ok(len)
}

/// The section `.BTF` of an ELF file, without reading the rest: images with debug information
/// are large.
fn section(file: File) -> Result<Vec<u8>, String> {
    let cache = ReadCache::new(file);
    let elf = object::File::parse(&cache).map_err(|error| format!("not an elf file: {error}"))?;
    let section = elf
        .section_by_name(".BTF")
        .ok_or("the elf file has no section .BTF")?;
    let data = section
        .data()
        .map_err(|error| format!("section .BTF cannot be read: {error}"))?;
    Ok(data.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_raw_or_elf() {
        let dir = tempfile::tempdir().unwrap();
        let said = |name: &str, bytes: &[u8]| {
            let path = dir.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            match from_file(&path) {
                Ok(btf) => format!("{} types", btf.len()),
                Err(TargetError::NoBtfInFile { why, .. }) => why,
                Err(TargetError::Btf { source, .. }) => source.to_string(),
                Err(error) => error.to_string(),
            }
        };
        let raw = btf::build::Builder::new(btf::Endian::NATIVE)
            .finish()
            .unwrap();
        assert_eq!(said("raw", &raw), "1 types");
        assert_eq!(
            said("empty", b""),
            "btf header needs 24 bytes at offset 0, 0 are there"
        );
        let elf = said("elf", b"\x7fELF and no more");
        assert!(elf.starts_with("not an elf file: "), "{elf}");
        let missing = from_file(&dir.path().join("missing")).unwrap_err();
        assert!(matches!(missing, TargetError::Read { .. }), "{missing}");
    }

    #[test]
    fn the_error_names_the_release() {
        let error = from_images("0.0.0-none").unwrap_err();
        assert_eq!(
            error.to_string(),
            "the kernel has no types: there is no /sys/kernel/btf/vmlinux, and no image of linux \
             0.0.0-none with types was found"
        );
    }
}
