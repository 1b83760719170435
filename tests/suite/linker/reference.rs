//! Beside bpftool, and read by other tools.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use rbpftool_tests::compile::is_there;
use rbpftool_tests::{ensure_eq, fixture, oracle, requires, run};

use crate::describe::{self, Described};
use crate::{Case, linked};

/// What bpftool makes of two objects.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Beside {
    /// The same.
    Same,
    /// The same, but for the offsets and sizes of these in their section of `.BTF`: they stay
    /// where a declaration or a weak definition was, and lose what is behind the last member.
    /// Loaders do not find them.
    Misplaces(&'static [&'static str]),
    /// The same, and one more of each type that begins like this: it changes some types before
    /// it looks for equal ones.
    Twice(&'static [&'static str]),
    /// Nothing, and it says this.
    Refuses(&'static str),
}

/// What bpftool says and makes.
fn gen_object(dir: &Path, inputs: &[PathBuf]) -> Result<(i32, String, Vec<u8>)> {
    let out = dir.join("theirs.o");
    let mut cmd = Command::new(oracle()?);
    let said = run(cmd.args(["gen", "object"]).arg(&out).args(inputs), b"")?;
    let made = std::fs::read(&out).unwrap_or_default();
    Ok((said.status, said.err(), made))
}

/// Our result beside bpftool's, and what bpftool makes of ours.
pub(crate) fn check(case: &Case, order: &str, pair: [&str; 2], turn: usize) -> Result<()> {
    let made = linked(case, order, pair)?;
    let ours = describe::object(&made)?;
    let dir = tempfile::tempdir().context("make a directory")?;
    let inputs = pair.map(|n| fixture("link").join(format!("{}.{n}.{order}.o", case.name)));
    let (status, said, theirs) = gen_object(dir.path(), &inputs)?;
    let beside = case.beside.get(turn).context("two orders")?;
    if let Beside::Refuses(why) = beside {
        ensure!(status != 0 && said.contains(why), "bpftool says: {said}");
    } else {
        ensure!(status == 0, "bpftool says: {said}");
        let mut theirs = describe::object(&theirs)?;
        let (misplaced, twice): (&[&str], &[&str]) = match beside {
            Beside::Misplaces(names) => (names, &[]),
            Beside::Twice(types) => (&[], types),
            _ => (&[], &[]),
        };
        place(&ours, &mut theirs, misplaced)?;
        for begin in twice {
            let begin = format!("type {begin}");
            let more = |line: &&String| line.starts_with(&begin) && !ours.lines.contains(*line);
            let line = theirs.lines.iter().find(more).cloned();
            theirs
                .lines
                .remove(&line.context("a type that is there twice")?);
            theirs.types -= 1;
        }
        describe::same(&ours, &theirs, "bpftool")?;
    }
    if case.name == "plain" || case.name == "ksyms" {
        // what bpftool refuses for itself it does not take from us
        return Ok(());
    }
    let own = dir.path().join("ours.o");
    std::fs::write(&own, &made)?;
    let (status, said, again) = gen_object(dir.path(), &[own])?;
    ensure!(status == 0, "bpftool does not take the result: {said}");
    describe::same(&ours, &describe::object(&again)?, "bpftool from it")
}

/// Puts variables of bpftool's where ours are; exactly those named must need it.
fn place(ours: &Described, theirs: &mut Described, names: &[&str]) -> Result<()> {
    let mut moved = BTreeSet::new();
    let mut placed = BTreeSet::new();
    for mut variable in std::mem::take(&mut theirs.variables) {
        let own = ours.variables.iter().find(|own| own.name == variable.name);
        if let Some(own) = own
            && !ours.variables.contains(&variable)
            && !theirs.variables.contains(own)
        {
            moved.insert(variable.name.clone());
            variable.section = own.section.clone();
            (variable.offset, variable.size) = (own.offset, own.size);
        }
        placed.insert(variable);
    }
    theirs.variables = placed;
    let names: BTreeSet<String> = names.iter().map(|name| (*name).to_owned()).collect();
    ensure_eq!(moved, names, "what bpftool misplaces");
    Ok(())
}

/// Tools that read ELF files of all kinds read it without a warning.
pub(crate) fn others_read(made: &[u8]) -> Result<()> {
    let dir = tempfile::tempdir().context("make a directory")?;
    let path = dir.path().join("made.o");
    std::fs::write(&path, made)?;
    let tools: [(&str, &[&str], &str); 3] = [
        ("readelf", &["-W", "-S", "-s", "-r"], ".symtab"),
        ("llvm-readelf-19", &["-W", "-S", "-s", "-r"], ".symtab"),
        ("llvm-objdump-19", &["-d", "-r", "-t"], "Disassembly of"),
    ];
    for (tool, args, word) in tools {
        requires!(is_there(tool), "{tool} is not there");
        let said = run(Command::new(tool).args(args).arg(&path), b"")?;
        ensure!(
            said.status == 0 && said.stderr.is_empty(),
            "{tool}: {}",
            said.err()
        );
        ensure!(said.out().contains(word), "{tool} does not say {word}");
    }
    Ok(())
}
