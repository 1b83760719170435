//! What becomes of the verifier's log.

use bpfsys::VerifierLog;
use bpfsys::cmd::LogLevel;
use loader::kernel::{KernelError, Loaded};

use super::args::Log;
use crate::command::Context;
use crate::failure::Result;
use crate::nouns::prog::act::write_file;
use crate::render::escape::Escaped;

/// bpftool's level for `-d`: all there is, and statistics.
const WHOLE: u32 = 7;
/// What a file gets when no level is told.
const BASIC: u32 = 1;

/// When to ask for logs, and how much.
#[must_use]
pub(super) fn level(log: &Log<'_>, debug: bool) -> LogLevel {
    match log.level {
        Some(0) => LogLevel::Off,
        Some(level) => LogLevel::Level(level),
        None if debug => LogLevel::Level(WHOLE),
        None if log.file.is_some() => LogLevel::Level(BASIC),
        None => LogLevel::OnFailure,
    }
}

/// The level as a number, for programs that load others: 0 for none.
pub(super) fn number(log: &Log<'_>, debug: bool) -> u32 {
    match level(log, debug) {
        LogLevel::Level(level) => level,
        LogLevel::Off | LogLevel::OnFailure => 0,
    }
}

/// Delivers these logs, where they are wanted.
pub(super) fn of_all(
    context: &mut Context<'_, '_>,
    log: &Log<'_>,
    logs: &[(&str, &VerifierLog)],
) -> Result<()> {
    if !wanted(log, context) {
        return Ok(());
    }
    let mut text = String::new();
    for (what, said) in logs {
        add(&mut text, what, said);
    }
    deliver(context, log, &text)
}

/// Whether whole logs are wanted, not just a line of them.
fn wanted(log: &Log<'_>, context: &Context<'_, '_>) -> bool {
    context.options.debug || log.level.is_some() || log.file.is_some()
}

/// Delivers the logs of everything that was loaded.
pub(super) fn of_success(
    context: &mut Context<'_, '_>,
    log: &Log<'_>,
    loaded: &Loaded,
) -> Result<()> {
    if !wanted(log, context) {
        return Ok(());
    }
    let mut text = String::new();
    add(&mut text, "types", loaded.btf_log());
    for program in loaded.programs() {
        let (name, section) = (program.name(), program.section());
        add(
            &mut text,
            &format!("program {name} ({section})"),
            program.log(),
        );
    }
    deliver(context, log, &text)
}

/// Delivers what the kernel said of what it refused; whether there was anything.
pub(super) fn of_failure(
    context: &mut Context<'_, '_>,
    log: &Log<'_>,
    error: &KernelError,
) -> Result<bool> {
    let Some(said) = error.log() else {
        return Ok(false);
    };
    if !wanted(log, context) {
        return Ok(true);
    }
    let mut text = String::new();
    let what = match error {
        KernelError::Program(error) => format!("program {} ({})", error.program, error.section),
        KernelError::Map { map, .. } => format!("map {map}"),
        _ => "types".to_owned(),
    };
    add(&mut text, &what, said);
    deliver(context, log, &text)?;
    Ok(false)
}

fn add(text: &mut String, what: &str, log: &VerifierLog) {
    if log.is_empty() {
        return;
    }
    text.push_str(&format!("-- log of {} --\n", Escaped(what.as_bytes())));
    for line in log.lines() {
        text.push_str(&format!("{}\n", Escaped(line.as_bytes())));
    }
    if log.is_truncated() {
        text.push_str(&format!("-- cut: it has {} bytes --\n", log.true_size()));
    }
}

fn deliver(context: &mut Context<'_, '_>, log: &Log<'_>, text: &str) -> Result<()> {
    match log.file {
        Some(path) => write_file(path, text.as_bytes(), 0o666),
        None => {
            if !text.is_empty() {
                context.output.remark(text.trim_end());
            }
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn levels_follow_from_words_and_options() {
        let of = |level, file: Option<&'static str>, debug| {
            let file = file.map(Path::new);
            super::level(&Log { level, file }, debug)
        };
        assert_eq!(of(None, None, false), LogLevel::OnFailure);
        assert_eq!(of(None, None, true), LogLevel::Level(7));
        assert_eq!(of(None, Some("f"), false), LogLevel::Level(1));
        assert_eq!(of(Some(2), Some("f"), true), LogLevel::Level(2));
        assert_eq!(of(Some(0), None, true), LogLevel::Off);
    }
}
