//! Programs of many types: shown, dumped, run, pinned.

use anyhow::{Context as _, Result, ensure};
use bpfsys::{KernelVersion, ProgType};
use rbpftool_tests::state::progs::{Simple, returning, simples};
use rbpftool_tests::{Private, Suite, ensure_eq, requires};

use crate::Place;
use crate::tool::{all_forms, list, number, ok, string};

pub(crate) fn add(suite: &mut Suite, place: &Place) {
    for kind in simples() {
        crate::add(
            suite,
            format!("prog::{}", kind.prog_type),
            place,
            move |private| one(&kind, private),
        );
    }
}

fn one(kind: &Simple, private: &Private) -> Result<()> {
    let since = kind.prog_type.since().context("a type of no version")?;
    let loaded = returning(kind, kind.ret);
    requires!(
        loaded.is_ok() || KernelVersion::running()? >= since,
        "programs of type {} need Linux {since}",
        kind.prog_type
    );
    let prog = loaded?;
    let id = prog.info()?.id().context("no id")?;
    let (text, shown) = all_forms(&format!("prog show id {id}"))?;
    ensure_eq!(string(&shown, "type")?, kind.prog_type.to_string());
    ensure_eq!(string(&shown, "name")?, kind.name);
    ensure_eq!(number(&shown, "bytes_xlated")?, 16);
    ensure!(
        text.starts_with(&format!(
            "{id}: {}  name {}  tag ",
            kind.prog_type, kind.name
        )),
        "{text}"
    );
    // This process holds it, and that needs no BPF program to be found.
    let pids = list(&shown, "pids")?;
    let us = u64::from(std::process::id());
    ensure!(
        pids.iter().any(|p| number(p, "pid").is_ok_and(|n| n == us)),
        "{shown}"
    );

    let (text, dumped) = all_forms(&format!("prog dump xlated id {id}"))?;
    let first = format!("   0: (b7) r0 = {}\n", kind.ret);
    ensure!(
        text.contains(&first) && text.contains("   1: (95) exit\n"),
        "{text}"
    );
    let insns = dumped.as_array().context("a dump is a list")?;
    ensure_eq!(insns.len(), 2);
    ensure_eq!(
        string(insns.first().context("nothing")?, "disasm")?,
        first.trim_start_matches("   0: ").trim_end()
    );

    if kind.runs_on_data {
        let input = private.dir().join("packet");
        let mut frame = vec![0xff; 12];
        frame.extend_from_slice(&[0x08, 0x00, 0x45, 0]);
        frame.resize(64, 0);
        std::fs::write(&input, frame).context("write a packet")?;
        let run = format!("prog run id {id} data_in {} repeat 5", input.display());
        // Before Linux 6.1 a dissector's value was told as yes or no: BPF_OK as 1.
        let told_as_bool = kind.prog_type == ProgType::FLOW_DISSECTOR
            && KernelVersion::running()? < KernelVersion::new(6, 1, 0);
        let ret = if told_as_bool { 1 } else { kind.ret };
        let text = ok(&run)?.out();
        ensure!(
            text.contains(&format!("Return value: {ret}, duration (average): ")),
            "{text}"
        );
        let done = ok(&format!("-j {run}"))?.json()?;
        ensure_eq!(number(&done, "retval")?, u64::try_from(ret)?);
    }

    let pin = private.bpffs().join(kind.name);
    ok(&format!("prog pin id {id} {}", pin.display()))?;
    let (_, by_path) = all_forms(&format!("prog show pinned {}", pin.display()))?;
    ensure_eq!(number(&by_path, "id")?, u64::from(id.get()));
    let (text, listed) = all_forms(&format!("-f prog show id {id}"))?;
    ensure_eq!(list(&listed, "pinned")?.len(), 1);
    ensure!(
        text.contains(&format!("\tpinned {}\n", pin.display())),
        "{text}"
    );
    std::fs::remove_file(&pin).context("unpin")
}
