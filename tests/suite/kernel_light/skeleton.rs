//! Loader programs of the reference, from the light skeletons that it writes.

use std::process::Command;

use anyhow::{Context as _, Result, bail};
use bpfsys::insn::{ByteOrder, stream};
use loader::light::LightProgram;
use rbpftool_tests::{oracle, run};

/// The object as the reference can read it: it takes what is behind the slash in a section's name
/// for the name of a raw tracepoint, and ends where there is none. Ordinary tracepoints of no name
/// that matters do as well.
pub(crate) fn readable(mut object: Vec<u8>) -> Vec<u8> {
    let (from, to) = (b"raw_tp\0", b"tp/x/y\0");
    let places: Vec<usize> = (0..object.len())
        .filter(|at| object.get(*at..).is_some_and(|rest| rest.starts_with(from)))
        .collect();
    for at in places {
        if let Some(room) = object.get_mut(at..at + to.len()) {
            room.copy_from_slice(to);
        }
    }
    object
}

/// The loader program that libbpf makes of an object; of its programs, these are loaded.
pub(crate) fn loader(object: &[u8], name: &str, loaded: &[&str]) -> Result<LightProgram> {
    let oracle = oracle()?;
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("object.o");
    std::fs::write(&path, object)?;
    let mut command = Command::new(oracle);
    command.args(["gen", "skeleton", "-L"]).arg(path);
    let output = run(command.args(["name", name]), b"")?;
    if output.status != 0 {
        bail!(
            "the reference makes no skeleton of {name}: status {}, {}",
            output.status,
            output.err()
        );
    }
    let text = output.out();
    let insns = stream::decode(&bytes(&text, "opts_insn")?, ByteOrder::NATIVE)?;
    let data = bytes(&text, "opts_data")?;
    let maps = names(&text, "struct bpf_map_desc ");
    // It lists those that are not loaded too, and then takes one for another.
    let mut progs = names(&text, "struct bpf_prog_desc ");
    progs.retain(|prog| loaded.contains(prog));
    Ok(LightProgram::foreign(name, insns, data, &maps, &progs))
}

/// Names of the fields of a type.
fn names<'t>(text: &'t str, of: &str) -> Vec<&'t str> {
    let lines = text.lines();
    lines
        .filter_map(|line| line.trim().strip_prefix(of)?.strip_suffix(';'))
        .collect()
}

/// The bytes of a variable: a string of escapes over many lines.
fn bytes(text: &str, variable: &str) -> Result<Vec<u8>> {
    let start = format!("{variable}[] __attribute__((__aligned__(8))) = \"");
    let (_, rest) = text.split_once(&start).context("no such variable")?;
    let (string, _) = rest.split_once("\";").context("a string without end")?;
    let string: String = string.split("\\\n").map(str::trim_start).collect();
    let escapes = string.split('\\').skip(1);
    escapes
        .map(|escape| match escape.strip_prefix('x') {
            Some(digits) => Ok(u8::from_str_radix(digits, 16)?),
            None if escape == "0" => Ok(0),
            None => bail!("unknown escape {escape}"),
        })
        .collect()
}
