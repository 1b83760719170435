//! When there is a log, and what is read in it.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use bpfsys::cmd::LogLevel;
use loader::kernel::{Cause, KernelError, ProgramError};
use rbpftool_tests::{ensure_eq, skip};

use crate::support::{Bench, older_than, open, options};

pub(crate) fn add(bench: &mut Bench) {
    bench.one("log::is_kept_when_it_is_asked_for", kept);
    bench.one("log::says_where_the_verifier_stopped", position);
    bench.one("log::says_by_which_calls_it_came_there", calls);
    bench.one("log::is_whole_however_long", long);
    bench.one("log::is_off_when_it_is_told_so", off);
    bench.one("log::tells_what_of_the_object_was_missing", causes);
}

fn kept(dir: &Path) -> Result<()> {
    let mut object = open("minimal")?;
    let loaded = object.load(&options(dir))?;
    ensure!(
        loaded
            .programs()
            .iter()
            .all(|program| program.log().is_empty())
    );
    let loaded = object.load(&options(dir).log(LogLevel::Level(2)))?;
    let log = loaded
        .program("pass")
        .context("the program")?
        .log()
        .as_str();
    ensure!(log.contains("exit") && log.contains("processed "), "{log}");
    // One program may ask for its own.
    for program in object.programs_mut() {
        program.log_level = Some(4);
    }
    let loaded = object.load(&options(dir))?;
    let log = loaded
        .program("pass")
        .context("the program")?
        .log()
        .as_str();
    ensure!(log.contains("processed ") && !log.contains("exit"), "{log}");
    Ok(())
}

/// The refusal of the program that a fixture is about.
fn refused(name: &str, dir: &Path, level: LogLevel) -> Result<(ProgramError, String)> {
    let error = open(name)?
        .load(&options(dir).log(level))
        .err()
        .context("it was loaded")?;
    let text = format!("{error:#}");
    match error.kernel() {
        Some(KernelError::Program(refused)) => Ok(((**refused).clone(), text)),
        _ => anyhow::bail!("{text}"),
    }
}

fn position(dir: &Path) -> Result<()> {
    let (error, text) = refused("err_verifier", dir, LogLevel::OnFailure)?;
    ensure_eq!(error.program, "broken");
    let at = error.at.as_ref().context("no position")?;
    ensure_eq!(at.function, "picks");
    let line = at.line.as_ref().context("no source line")?;
    ensure!(line.file.ends_with("err_verifier.bpf.c"), "{line}");
    ensure_eq!(line.text, "return entry->list[at];");
    ensure!(error.cause.is_none(), "{:?}", error.cause);
    ensure!(!error.message.is_empty());
    ensure!(!error.to_string().contains('\n'), "{error}");
    ensure!(text.contains("processed "), "{text}");
    Ok(())
}

fn calls(dir: &Path) -> Result<()> {
    for (program, since, callers, alone) in [
        (
            "after_others",
            (5, 10),
            &["finds", "after_others"][..],
            None,
        ),
        ("second_way", (5, 10), &["second_way"], None),
        (
            "called_back",
            (5, 17),
            &["finds", "each", "called_back"],
            None,
        ),
        ("on_timer", (5, 15), &["finds", "on_time"], None),
        ("of_global", (5, 10), &["finds", "global"], Some("global")),
    ] {
        if older_than(since)? {
            continue;
        }
        for level in [LogLevel::OnFailure, LogLevel::Level(1), LogLevel::Level(2)] {
            let mut object = open("err_calls")?;
            object.select_only(&[program])?;
            let error = object.load(&options(dir).log(level)).err();
            let error = error.with_context(|| format!("{program} was loaded"))?;
            let Some(KernelError::Program(error)) = error.kernel() else {
                anyhow::bail!("{program}: {error:#}");
            };
            let found: Vec<&str> = error.callers.iter().map(|at| &*at.function).collect();
            ensure!(
                found == callers && error.alone.as_deref() == alone,
                "{program} at {level:?}: {error:#}"
            );
            ensure_eq!(error.at.as_ref().context("no position")?.function, "picks");
        }
    }
    Ok(())
}

fn long(dir: &Path) -> Result<()> {
    let (error, _) = refused("err_log", dir, LogLevel::OnFailure)?;
    ensure!(!error.log.is_truncated());
    ensure!(
        error.log.as_str().len() > 64 << 10,
        "{}",
        error.log.as_str().len()
    );
    ensure!(error.log.as_str().contains("processed "));
    ensure!(
        error.message.starts_with("R9 invalid mem access"),
        "{}",
        error.message
    );
    Ok(())
}

fn off(dir: &Path) -> Result<()> {
    let (error, text) = refused("err_null", dir, LogLevel::Off)?;
    ensure!(error.log.is_empty() && error.at.is_none());
    ensure!(
        text.contains("program 'broken' (tc) was refused: BPF_PROG_LOAD"),
        "{text}"
    );
    Ok(())
}

fn causes(dir: &Path) -> Result<()> {
    if older_than((6, 1))? {
        return Err(skip("the programs that lack something need Linux 6.1"));
    }
    let (error, text) = refused("err_core", dir, LogLevel::OnFailure)?;
    let Some(Cause::CoreRelo { what, why }) = &error.cause else {
        anyhow::bail!("{text}");
    };
    ensure!(what.contains("task_struct.of_no_kernel"), "{what}");
    ensure!(why.contains("has no member 'of_no_kernel'"), "{why}");
    let at = error.at.as_ref().context("no position")?;
    ensure_eq!(at.function, "reads");
    let (error, text) = refused("err_kfunc_weak", dir, LogLevel::OnFailure)?;
    ensure_eq!(
        error.cause,
        Some(Cause::Kfunc("bpf_function_of_no_kernel".into())),
        "{text}"
    );
    // A map that the load was told not to make.
    let mut object = open("legacy_maps")?;
    object.map_mut("counts").context("the map")?.autocreate = false;
    let error = object.load(&options(dir)).err().context("it was loaded")?;
    let Some(KernelError::Program(error)) = error.kernel() else {
        anyhow::bail!("{error:#}");
    };
    ensure_eq!(error.cause, Some(Cause::Map("counts".into())));
    ensure!(
        error
            .to_string()
            .contains("uses map 'counts', which was not made, at instruction "),
        "{error}"
    );
    Ok(())
}
