//! Looking up a function of a large program.
//!
//! `rbpf-bench --symbol FILE NAME` does what the program of the same name in `xtask/bench` does
//! with libbpf, and prints the same: a time in milliseconds, then the offset.

use std::ffi::OsString;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, Result};
use loader::symbols::Binary;

/// How large the program is, and how many functions it has: as a browser's.
const SIZE: u64 = 100 << 20;
const FUNCTIONS: u64 = 600_000;
/// The function that is looked for.
const WANTED: u64 = 450_123;

/// What `--symbol FILE NAME` does.
pub(crate) fn find(args: &[OsString]) -> Result<String> {
    let [file, name] = args else {
        anyhow::bail!("--symbol needs a file and a name");
    };
    let name = name.to_str().context("a name")?;
    let start = Instant::now();
    let place = Binary::open(Path::new(file))?.offset(name)?;
    let took = start.elapsed().as_secs_f64() * 1e3;
    Ok(format!("{took:.4} {}", place.offset))
}

/// A name as a compiler of C++ makes them.
fn name(number: u64) -> String {
    let class = number % 977;
    format!("_ZN7browser9component{class}6Widget12handle_event{number}EPKcj")
}

/// Makes the program; its path and the name to look for.
pub(crate) fn program(dir: &Path) -> Result<(PathBuf, String)> {
    let path = dir.join("large");
    let mut out = BufWriter::new(File::create(&path).context("make a file")?);
    let mut names = vec![0u8];
    let mut symbols = vec![0u8; 24];
    let text_at = 0x1000u64;
    for number in 0..FUNCTIONS {
        let at = u32::try_from(names.len()).context("many names")?;
        names.extend(name(number).as_bytes());
        names.push(0);
        symbols.extend(at.to_le_bytes());
        // a global function in section 1
        symbols.extend([0x12, 0, 1, 0]);
        symbols.extend((text_at + number * 64).to_le_bytes());
        symbols.extend(64u64.to_le_bytes());
    }
    let text = SIZE - text_at - names.len() as u64 - symbols.len() as u64;
    let section_names = b"\0.text\0.symtab\0.strtab\0.shstrtab\0";
    let symbols_at = text_at + text;
    let names_at = symbols_at + symbols.len() as u64;
    let section_names_at = names_at + names.len() as u64;
    let table_at = (section_names_at + section_names.len() as u64).next_multiple_of(8);

    let mut head = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0\x3e\0\x01\0\0\0".to_vec();
    for word in [text_at, 64, table_at] {
        head.extend(word.to_le_bytes());
    }
    head.extend([0; 4]);
    for half in [64u16, 56, 1, 64, 5, 4] {
        head.extend(half.to_le_bytes());
    }
    // one segment of code
    head.extend([1, 0, 0, 0, 5, 0, 0, 0]);
    for word in [text_at, text_at, text_at, text, text, 0x1000] {
        head.extend(word.to_le_bytes());
    }
    head.resize(usize::try_from(text_at)?, 0);
    out.write_all(&head)?;
    let filler = vec![0x90u8; 1 << 20];
    let mut left = text;
    while left > 0 {
        let some = usize::try_from(left.min(filler.len() as u64))?;
        out.write_all(filler.get(..some).unwrap_or_default())?;
        left -= some as u64;
    }
    out.write_all(&symbols)?;
    out.write_all(&names)?;
    out.write_all(section_names)?;
    let pad = table_at - section_names_at - section_names.len() as u64;
    out.write_all(&vec![0; usize::try_from(pad)?])?;
    // name, type, flags, address, offset, size, link, info, alignment, size of an entry
    let sections: [[u64; 10]; 5] = [
        [0; 10],
        [1, 1, 6, text_at, text_at, text, 0, 0, 16, 0],
        [7, 2, 0, 0, symbols_at, symbols.len() as u64, 3, 1, 8, 24],
        [15, 3, 0, 0, names_at, names.len() as u64, 0, 0, 1, 0],
        [
            23,
            3,
            0,
            0,
            section_names_at,
            section_names.len() as u64,
            0,
            0,
            1,
            0,
        ],
    ];
    for [
        name,
        kind,
        flags,
        address,
        offset,
        size,
        link,
        info,
        align,
        entry,
    ] in sections
    {
        let half = |value: u64| u32::try_from(value).unwrap_or_default().to_le_bytes();
        out.write_all(&[half(name), half(kind)].concat())?;
        for word in [flags, address, offset, size] {
            out.write_all(&word.to_le_bytes())?;
        }
        out.write_all(&[half(link), half(info)].concat())?;
        out.write_all(&[align.to_le_bytes(), entry.to_le_bytes()].concat())?;
    }
    out.flush().context("write the program")?;
    Ok((path, name(WANTED)))
}
