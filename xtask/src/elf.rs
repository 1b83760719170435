//! Just enough ELF to see whether a program needs shared libraries, and to find a section.

use anyhow::{Context as _, Result, bail};

/// What makes a program need the dynamic loader.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Dynamic {
    /// The program asks for an interpreter (`PT_INTERP`).
    pub(crate) interpreter: bool,
    /// How many `DT_NEEDED` entries it has.
    pub(crate) needed: usize,
}

const PT_DYNAMIC: u32 = 2;
const PT_INTERP: u32 = 3;
const DT_NEEDED: u64 = 1;

/// Reads the program headers of a 64-bit little-endian ELF file.
pub(crate) fn dynamic(bytes: &[u8]) -> Result<Dynamic> {
    if bytes.get(..6) != Some(b"\x7fELF\x02\x01") {
        bail!("not a 64-bit little-endian ELF file");
    }
    let at = usize::try_from(u64_at(bytes, 0x20)?)?;
    let size = usize::from(u16_at(bytes, 0x36)?);
    let count = usize::from(u16_at(bytes, 0x38)?);
    let mut out = Dynamic::default();
    for i in 0..count {
        let header = at + i * size;
        match u32_at(bytes, header)? {
            PT_INTERP => out.interpreter = true,
            PT_DYNAMIC => {
                let start = usize::try_from(u64_at(bytes, header + 8)?)?;
                let len = usize::try_from(u64_at(bytes, header + 32)?)?;
                for entry in (start..start + len).step_by(16) {
                    out.needed += usize::from(u64_at(bytes, entry)? == DT_NEEDED);
                }
            }
            _ => {}
        }
    }
    Ok(out)
}

/// The content of a section of a 64-bit little-endian ELF file, if there is one of that name.
pub(crate) fn section<'b>(bytes: &'b [u8], name: &str) -> Result<Option<&'b [u8]>> {
    if bytes.get(..6) != Some(b"\x7fELF\x02\x01") {
        bail!("not a 64-bit little-endian ELF file");
    }
    let at = usize::try_from(u64_at(bytes, 0x28)?)?;
    let size = usize::from(u16_at(bytes, 0x3a)?);
    let count = usize::from(u16_at(bytes, 0x3c)?);
    let names = usize::from(u16_at(bytes, 0x3e)?);
    let content = |index: usize| -> Result<&[u8]> {
        let header = index.checked_mul(size).and_then(|off| off.checked_add(at));
        let header = header.context("a section header beyond all files")?;
        let start = usize::try_from(u64_at(bytes, header + 0x18)?)?;
        let len = usize::try_from(u64_at(bytes, header + 0x20)?)?;
        let end = start.checked_add(len);
        end.and_then(|end| bytes.get(start..end))
            .with_context(|| format!("section {index} goes past the end of the file"))
    };
    let strings = content(names)?;
    for index in 1..count {
        let offset = usize::try_from(u32_at(bytes, at + index * size)?)?;
        let rest = strings.get(offset..).unwrap_or_default();
        if rest.split(|b| *b == 0).next() == Some(name.as_bytes()) {
            return content(index).map(Some);
        }
    }
    Ok(None)
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N]> {
    bytes
        .get(at..)
        .and_then(|b| b.first_chunk::<N>())
        .copied()
        .with_context(|| format!("the file ends before byte {at}"))
}

fn u16_at(bytes: &[u8], at: usize) -> Result<u16> {
    array(bytes, at).map(u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Result<u32> {
    array(bytes, at).map(u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> Result<u64> {
    array(bytes, at).map(u64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::{dynamic, section};

    #[test]
    fn this_test_is_dynamic_and_a_cut_file_is_refused() {
        let me = std::fs::read("/proc/self/exe").expect("our own program can be read");
        let found = dynamic(&me).expect("our own program is ELF");
        assert!(found.interpreter == (found.needed > 0));
        assert!(dynamic(&me[..80]).is_err());
        assert!(dynamic(b"#!/bin/sh").is_err());
    }

    #[test]
    fn a_section_is_found_by_its_name() {
        let me = std::fs::read("/proc/self/exe").expect("our own program can be read");
        let names = section(&me, ".shstrtab").expect("our own program is ELF");
        let names = names.expect("it names its sections");
        assert!(names.windows(9).any(|w| w == b".shstrtab"));
        assert_eq!(section(&me, ".nowhere").expect("it is ELF"), None);
        assert!(section(&me[..80], ".shstrtab").is_err());
    }
}
