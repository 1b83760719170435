//! Ours where bpftool is known to be wrong.
//!
//! A comparison cannot guard these: if ours went wrong in the same way, the two would agree.
//! `tests/oracle/differences.json` names the test of each.

use std::ffi::OsString;
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use rbpftool_tests::state::world::World;
use rbpftool_tests::{Suite, ensure_eq, fixture, requires, run, run_tool, tool_path};
use serde_json::Value;

/// What the tests need to know of the world once it is let go.
#[derive(Debug, Default)]
pub(crate) struct Known {
    link: Option<u32>,
    clock: Option<u32>,
    floats: Option<u32>,
    plain: Option<u32>,
    /// Maps whose elements cannot be listed, with their types.
    opaque: Vec<(u32, String)>,
    /// Maps without BTF, by id.
    without_btf: Vec<u32>,
    /// A program that the kernel compiled, and the length of its machine code.
    compiled: Option<(u32, u32)>,
    /// (noun, id) of what this process holds.
    pub(crate) held: Vec<(&'static str, u32)>,
}

impl Known {
    pub(crate) fn of(world: &World) -> Result<Self> {
        let mut known = Self::default();
        for map in &world.maps {
            let info = map.fd.info()?;
            let Some(id) = info.id().map(bpfsys::MapId::get) else {
                continue;
            };
            if info.btf_id().is_none() {
                known.without_btf.push(id);
            }
            match map.label.as_str() {
                "typed array, floats" => known.floats = Some(id),
                "plain hash" => known.plain = Some(id),
                "plain queue" | "plain stack" | "plain ringbuf" => {
                    known.opaque.push((id, map.label.clone()));
                }
                _ => {}
            }
        }
        for prog in &world.progs {
            let info = prog.fd.info()?;
            let compiled = info.id().filter(|_| info.jited_prog_len > 0);
            let compiled = compiled.map(|id| (id.get(), info.jited_prog_len));
            known.compiled = known.compiled.or(compiled);
        }
        for held in &world.links {
            let id = held.link.info()?.id.get();
            known.link.get_or_insert(id);
            if held.label == "perf_event event" {
                known.clock = Some(id);
            }
        }
        Ok(known)
    }
}

/// Adds the tests; what they are about lives as long as `stage`, also where no other test is run.
pub(crate) fn add<S: Send + Sync + 'static>(
    suite: &mut Suite,
    known: &'static Known,
    stage: &Arc<S>,
) {
    for (name, test) in TESTS {
        let stage = Arc::clone(stage);
        suite.add(format!("bugs::{name}"), move || {
            let done = test(known);
            drop(stage);
            done
        });
    }
}

type Test = fn(&Known) -> Result<()>;

const TESTS: &[(&str, Test)] = &[
    ("link_show_of_one_ends_with_0", link_show_of_one_ends_with_0),
    (
        "maps_without_btf_have_no_btf_id",
        maps_without_btf_have_no_btf_id,
    ),
    (
        "floats_and_what_follows_are_shown",
        floats_and_what_follows_are_shown,
    ),
    (
        "unsigned_enumerators_keep_their_value",
        unsigned_enumerators_keep_their_value,
    ),
    (
        "a_batch_that_worked_ends_with_0",
        a_batch_that_worked_ends_with_0,
    ),
    (
        "maps_that_cannot_be_dumped_say_so",
        maps_that_cannot_be_dumped_say_so,
    ),
    (
        "what_is_not_found_is_said_in_json_that_parses",
        what_is_not_found_is_said_in_json_that_parses,
    ),
    ("holders_are_always_shown", holders_are_always_shown),
    ("clocks_have_names", clocks_have_names),
    (
        "jited_code_is_saved_without_a_disassembler",
        jited_code_is_saved_without_a_disassembler,
    ),
];

fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(' ')
}

fn json(line: &str) -> Result<Value> {
    let out = run_tool(words("-j").chain(words(line)))?;
    out.json().with_context(|| line.to_owned())
}

fn link_show_of_one_ends_with_0(known: &Known) -> Result<()> {
    let id = known.link.context("there is no link")?;
    for line in [
        format!("link show id {id}"),
        format!("-j link show id {id}"),
    ] {
        ensure_eq!(run_tool(words(&line))?.status, 0, "{line}");
    }
    Ok(())
}

fn maps_without_btf_have_no_btf_id(known: &Known) -> Result<()> {
    let maps = json("map show")?;
    let maps = maps.as_array().context("no list")?;
    let mut seen = 0;
    for map in maps {
        let id = map.get("id").and_then(Value::as_u64).context("no id")?;
        if known
            .without_btf
            .iter()
            .any(|known| u64::from(*known) == id)
        {
            ensure!(map.get("btf_id").is_none(), "{map}");
            seen += 1;
        }
    }
    ensure_eq!(seen, known.without_btf.len());
    // The list is a proof only if there was something to carry over.
    ensure!(
        maps.iter().any(|map| map.get("btf_id").is_some()),
        "no map has BTF"
    );
    Ok(())
}

fn floats_and_what_follows_are_shown(known: &Known) -> Result<()> {
    let id = known.floats;
    requires!(id.is_some(), "floats in BTF need Linux 5.13");
    let dump = json(&format!("map dump id {}", id.unwrap_or_default()))?;
    let text = dump.to_string();
    ensure!(text.contains("1.5") && text.contains("-0.25"), "{text}");
    Ok(())
}

fn unsigned_enumerators_keep_their_value(_: &Known) -> Result<()> {
    let kinds = fixture("btf/kinds.btf");
    let out = run_tool([
        "-j".as_ref(),
        "btf".as_ref(),
        "dump".as_ref(),
        "file".as_ref(),
        kinds.as_os_str(),
    ])?;
    let said = out.json()?.to_string();
    ensure!(
        said.contains("{\"name\":\"BIG\",\"val\":4294967295}"),
        "{said}"
    );
    ensure!(!said.contains("18446744073709551615"), "{said}");
    Ok(())
}

fn a_batch_that_worked_ends_with_0(known: &Known) -> Result<()> {
    let id = known.plain.context("there is no plain hash")?;
    // The dump ends at an error number of the kernel's, the listings at another.
    let lines = format!("map dump id {id}\nlink show\nprog show\nmap show id {id}\nbtf show\n");
    let mut cmd = Command::new(tool_path()?);
    cmd.args(["batch", "file", "-"]);
    let out = run(&mut cmd, lines.as_bytes())?;
    ensure_eq!(out.status, 0, "{}{}", out.out(), out.err());
    ensure!(
        out.out().ends_with("processed 5 commands\n"),
        "{}",
        out.out()
    );
    Ok(())
}

fn maps_that_cannot_be_dumped_say_so(known: &Known) -> Result<()> {
    ensure!(!known.opaque.is_empty(), "there is no such map");
    for (id, kind) in &known.opaque {
        let out = run_tool(words(&format!("map dump id {id}")))?;
        ensure!(
            out.status != 0 && out.stdout.is_empty(),
            "{kind}: {}",
            out.out()
        );
        ensure!(out.err().starts_with("Error: "), "{kind}: {}", out.err());
        let out = run_tool(words(&format!("-j map dump id {id}")))?;
        let said: Value = serde_json::from_slice(&out.stdout).with_context(|| out.out())?;
        ensure!(
            out.status != 0 && said.get("error").is_some(),
            "{kind}: {said}"
        );
    }
    Ok(())
}

fn what_is_not_found_is_said_in_json_that_parses(_: &Known) -> Result<()> {
    for args in [
        ["-j", "prog", "show", "name", "nope"],
        ["-j", "map", "show", "a\"b\\", "1"],
    ] {
        let out = run_tool(args)?;
        ensure_eq!(out.status, 255, "{args:?}");
        let said: Value = serde_json::from_slice(&out.stdout).with_context(|| out.out())?;
        let error = said.get("error").and_then(Value::as_str);
        ensure!(
            error.is_some_and(|e| e.contains(args[3]) || e.contains(args[4])),
            "{said}"
        );
    }
    let out = run_tool(words("prog show name nope"))?;
    ensure!(out.err().starts_with("Error: "), "{}", out.err());
    Ok(())
}

fn holders_are_always_shown(known: &Known) -> Result<()> {
    ensure!(!known.held.is_empty(), "nothing is held");
    let us = u64::from(std::process::id());
    for (noun, id) in &known.held {
        let shown = json(&format!("{noun} show id {id}"))?;
        // `btf show` is a list even of one.
        let shown = shown.get(0).unwrap_or(&shown);
        let pids = shown.get("pids").and_then(Value::as_array);
        let ours = pids
            .into_iter()
            .flatten()
            .find(|p| p.get("pid").and_then(Value::as_u64) == Some(us));
        let comm = ours.and_then(|p| p.get("comm")).and_then(Value::as_str);
        ensure!(comm.is_some(), "{noun} {id}: {shown}");
        let text = run_tool(words(&format!("{noun} show id {id}")))?.out();
        let line = format!("({us})");
        ensure!(
            text.lines()
                .any(|l| l.starts_with("\tpids ") && l.contains(&line)),
            "{text}"
        );
    }
    Ok(())
}

fn clocks_have_names(known: &Known) -> Result<()> {
    requires!(
        known.clock.is_some(),
        "links of perf events need Linux 5.15"
    );
    let id = known.clock.unwrap_or_default();
    let shown = json(&format!("link show id {id}"))?;
    // Kernels before 6.6 do not say what event it is.
    requires!(
        shown.get("event_type").is_some(),
        "the kernel tells no more of links of perf events (Linux 6.6)"
    );
    ensure_eq!(
        shown.get("event_type").and_then(Value::as_str),
        Some("software")
    );
    ensure_eq!(
        shown.get("event_config").and_then(Value::as_str),
        Some("cpu-clock")
    );
    Ok(())
}

fn jited_code_is_saved_without_a_disassembler(known: &Known) -> Result<()> {
    requires!(
        known.compiled.is_some(),
        "programs are interpreted here (net.core.bpf_jit_enable)"
    );
    let (id, length) = known.compiled.unwrap_or_default();
    let dir = tempfile::tempdir().context("make a directory")?;
    let file = dir.path().join("code");
    let line = format!("prog dump jited id {id} file");
    let args = words(&line)
        .map(OsString::from)
        .chain([file.clone().into()]);
    let out = run_tool(args)?;
    ensure_eq!(out.status, 0, "{}", out.err());
    let saved = std::fs::read(&file).context("read what was saved")?;
    // Nothing of it is taken apart: it is what the kernel told, to the last byte.
    let listed = json(&format!("prog dump jited id {id} opcodes"))?;
    let shown = opcodes(&listed)?;
    ensure_eq!(saved.len(), usize::try_from(length)?);
    ensure_eq!(saved, shown);
    Ok(())
}

/// The bytes of all instructions of a listing by functions.
fn opcodes(listed: &Value) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for function in listed.as_array().context("no list of functions")? {
        let insns = function.get("insns").and_then(Value::as_array);
        for insn in insns.context("a function without instructions")? {
            let opcodes = insn.get("opcodes").and_then(Value::as_array);
            for byte in opcodes.context("no opcodes")? {
                let digits = byte.as_str().and_then(|text| text.strip_prefix("0x"));
                bytes.push(u8::from_str_radix(digits.context("no byte")?, 16)?);
            }
        }
    }
    Ok(bytes)
}
