//! Machine code of programs: listed with functions, source lines and bytes, and saved.

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt as _;

use anyhow::{Context as _, Result, ensure};
use bpfsys::cmd::{MapCreate, ProgParts};
use bpfsys::{MapType, ProgFd, ProgType};
use rbpftool_tests::state::progs::{described, simple_of};
use rbpftool_tests::state::types::Types;
use rbpftool_tests::{Private, Suite, ensure_eq, requires};
use serde_json::Value;

use crate::Place;
use crate::tool::{all_forms, list, ok, refused, string};

type Test = fn(&Private) -> Result<()>;

pub(crate) fn add(suite: &mut Suite, place: &Place) {
    let tests: [(&str, Test); 4] = [
        ("jited::functions_and_lines_are_shown", functions_and_lines),
        ("jited::every_byte_is_shown_once", every_byte),
        ("jited::several_programs_have_headers", several),
        ("jited::saved_bytes_are_those_shown", saved),
    ];
    for (name, test) in tests {
        crate::add(suite, name, place, test);
    }
}

/// A program of two functions with types and source lines; where the kernel compiles programs.
fn compiled() -> Result<ProgFd> {
    let types = Types::load()?;
    let map = MapCreate::new(MapType::ARRAY, 4, 8, 4).run()?;
    let prog = described(&types, &map)?;
    requires!(
        prog.info()?.jited_prog_len > 0,
        "programs are interpreted here (net.core.bpf_jit_enable)"
    );
    Ok(prog)
}

fn id(prog: &ProgFd) -> Result<u32> {
    Ok(prog.info()?.id().context("no id")?.get())
}

fn functions_and_lines(_: &Private) -> Result<()> {
    let prog = compiled()?;
    let dump = format!("prog dump jited id {}", id(&prog)?);
    let (text, json) = all_forms(&dump)?;
    let functions = json.as_array().context("no list of functions")?;
    ensure_eq!(functions.len(), 2);
    for function in functions {
        let (proto, name) = (string(function, "proto")?, string(function, "name")?);
        ensure!(name.starts_with("bpf_prog_"), "{name}");
        ensure!(text.contains(&format!("{proto}:\n{name}:\n")), "{text}");
        let insns = list(function, "insns")?;
        let first = insns.first().context("no instruction")?;
        ensure_eq!(string(first, "pc")?, "0x0");
        ensure!(
            insns.iter().any(|insn| insn.get("src").is_some()),
            "no source line: {function}"
        );
        for insn in insns {
            ensure!(!string(insn, "operation")?.is_empty(), "{insn}");
            ensure!(!list(insn, "operands")?.is_empty(), "{insn}");
            ensure!(insn.get("opcodes").is_none(), "{insn}");
            ensure!(insn.get("line_num").is_none(), "{insn}");
        }
    }
    // every function saves the frame of its caller
    let begins = match std::env::consts::ARCH {
        "x86_64" => "\tpushq\t%rbp\n",
        "aarch64" => "\tstp\tx29, x30, [sp",
        _ => "\t.byte\t",
    };
    ensure_eq!(text.matches(begins).count(), 2, "{text}");
    ensure!(!text.contains("(bad)"), "{text}");

    let (text, json) = all_forms(&format!("{dump} linum"))?;
    ensure!(text.contains(" line_num:7 line_col:9]\n"), "{text}");
    ensure!(text.contains(" line_num:3 line_col:2]\n"), "{text}");
    let numbers: Vec<_> = instructions(&json)?
        .filter_map(|insn| insn.get("line_num").and_then(Value::as_u64))
        .collect();
    ensure_eq!(numbers, [7, 3]);
    Ok(())
}

/// The instructions of all functions.
fn instructions(json: &Value) -> Result<impl Iterator<Item = &Value>> {
    let functions = json.as_array().context("no list of functions")?;
    let lists: Vec<_> = functions
        .iter()
        .map(|function| list(function, "insns"))
        .collect::<Result<_>>()?;
    Ok(lists.into_iter().flatten())
}

/// The bytes of all instructions.
fn opcodes(json: &Value) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for insn in instructions(json)? {
        for byte in list(insn, "opcodes")? {
            let digits = byte.as_str().and_then(|text| text.strip_prefix("0x"));
            bytes.push(u8::from_str_radix(digits.context("no byte")?, 16)?);
        }
    }
    Ok(bytes)
}

fn every_byte(_: &Private) -> Result<()> {
    let prog = compiled()?;
    let image = prog.details(ProgParts::JITED)?.jited;
    requires!(!image.is_empty(), "the kernel hides machine code");
    let dump = format!("prog dump jited id {} opcodes", id(&prog)?);
    let (text, json) = all_forms(&dump)?;
    ensure_eq!(opcodes(&json)?, image);
    let mut said = String::new();
    for line in text.lines().filter_map(|line| line.strip_prefix('\t')) {
        said.push_str(line);
    }
    let mut wanted = String::new();
    for byte in &image {
        write!(wanted, "{byte:02x} ")?;
    }
    ensure_eq!(said, wanted);
    Ok(())
}

fn several(_: &Private) -> Result<()> {
    let (first, second) = (compiled()?, compiled()?);
    let tag: String = first
        .info()?
        .tag
        .iter()
        .fold(String::new(), |tag, byte| format!("{tag}{byte:02x}"));
    let dump = format!("prog dump jited tag {tag}");
    let (text, json) = all_forms(&dump)?;
    let shown = json.as_array().context("no list of programs")?;
    for prog in [&first, &second] {
        let id = id(prog)?;
        ensure!(text.contains(&format!("{id}: sched_cls  name ")), "{text}");
        let found = shown
            .iter()
            .find(|entry| entry.get("id").and_then(Value::as_u64) == Some(id.into()));
        ensure_eq!(list(found.context("not listed")?, "insns")?.len(), 2);
    }
    refused(&format!("{dump} file x"), "several programs matched")
}

fn saved(private: &Private) -> Result<()> {
    let prog = compiled()?;
    let dump = format!("prog dump jited id {}", id(&prog)?);
    let (_, json) = all_forms(&format!("{dump} opcodes"))?;
    let file = private.dir().join("code");
    let save = format!("{dump} file {}", file.display());
    ensure_eq!(ok(&save)?.out(), "");
    ensure_eq!(std::fs::read(&file).context("read it")?, opcodes(&json)?);
    let mode = std::fs::metadata(&file)
        .context("look at it")?
        .permissions();
    ensure_eq!(mode.mode() & 0o7777, 0o600);
    ensure_eq!(ok(&format!("-j {save}"))?.out().trim_end(), "null");

    let incompatible = "'file' is not compatible with 'opcodes', 'visual', or 'linum'";
    refused(&format!("{save} opcodes"), incompatible)?;
    refused(&format!("{dump} linum file x"), incompatible)?;
    refused(&format!("{dump} file"), "expected file path, got nothing")?;
    refused(&format!("{dump} visual"), "what is 'visual'?")?;
    refused(&format!("{dump} nope"), "what is 'nope'?")?;
    refused("prog dump jited id 4000000000", "4000000000")?;
    let gone = private.dir().join("none/code");
    refused(
        &format!("{dump} file {}", gone.display()),
        &gone.display().to_string(),
    )?;
    // what has no types and no lines is one function as well
    let bare = simple_of(ProgType::XDP)?;
    let (_, json) = all_forms(&format!("prog dump jited id {}", id(&bare)?))?;
    let functions = json.as_array().context("no list of functions")?;
    ensure_eq!(functions.len(), 1);
    ensure!(functions.iter().all(|f| f.get("proto").is_none()), "{json}");
    Ok(())
}
