//! From what the verifier wrote to the place in the object that it is about.

mod calls;

use super::error::{Cause, Position, ProgramError};
use crate::relocate::{Part, ProgPlan, SourceLine};
use bpfsys::{LoadError, VerifierLog};
use btf::Btf;

/// What is known of a program that was refused.
pub(super) fn explain(plan: &ProgPlan, types: Option<&[u8]>, error: &LoadError) -> ProgramError {
    let log = error.log();
    let insn = failed_insn(log);
    let cause = insn.and_then(|insn| cause(plan, log, insn));
    let calls = insn.and_then(|insn| calls::read(log, &plan.parts, insn));
    let calls = calls.unwrap_or_default();
    let outermost = calls.sites.last().copied().or(insn);
    let alone = outermost.filter(|_| calls.alone);
    ProgramError {
        program: plan.name.clone(),
        section: plan.section.clone(),
        prog_type: plan.prog_type,
        attach_type: plan.expected_attach_type,
        sys: error.sys(),
        log: log.clone(),
        message: without_stop(log.summary()),
        at: insn.and_then(|insn| position(plan, types, insn)),
        callers: calls
            .sites
            .iter()
            .filter_map(|site| position(plan, types, *site))
            .collect(),
        alone: alone.map(|insn| function(plan, insn).0.to_owned()),
        cause,
    }
}

/// Some messages are sentences.
fn without_stop(mut message: String) -> String {
    let len = message.trim_end_matches('.').len();
    message.truncate(len);
    message
}

/// The instruction that a log ends with, or that its last message names.
fn failed_insn(log: &VerifierLog) -> Option<u32> {
    if let Some(diagnosis) = log.diagnosis()
        && diagnosis.insn.is_some()
    {
        return diagnosis.insn;
    }
    let mut named = None;
    for line in log.lines().rev() {
        if let Some(insn) = insn_of_code(line) {
            // Messages above it are about what was verified before.
            return named.or(Some(insn));
        }
        if named.is_none() {
            named = insn_of_message(line);
        }
    }
    named
}

/// `17: (85) call bpf_map_lookup_elem#1`
fn insn_of_code(line: &str) -> Option<u32> {
    let (index, code) = line.trim_start().split_once(": (")?;
    let opcode = code.get(..3)?.strip_suffix(')')?;
    u8::from_str_radix(opcode, 16).ok()?;
    index.parse().ok()
}

/// `unreachable insn 5`, `back-edge from insn 7 to 3`, `infinite loop detected at insn 2`
fn insn_of_message(line: &str) -> Option<u32> {
    if line.starts_with("processed ") || line.starts_with(';') {
        return None;
    }
    let (_, after) = line.split_once("insn ")?;
    let end = after.find(|c: char| !c.is_ascii_digit());
    let digits = end.map_or(Some(after), |end| after.get(..end))?;
    digits.parse().ok()
}

/// What a call of a function that no kernel has stands for: instructions that must not be reached
/// are replaced by such calls.
fn cause(plan: &ProgPlan, log: &VerifierLog, insn: u32) -> Option<Cause> {
    if !names_unknown_function(log) {
        return None;
    }
    let found = plan
        .poisoned
        .iter()
        // Wide loads have two slots, and the verifier may stop at the second.
        .find(|poisoned| poisoned.insn == insn || poisoned.insn.checked_add(1) == Some(insn))?;
    Some(Cause::from(&found.why))
}

/// Whether the log ends with `invalid func unknown#195896080` or the like.
fn names_unknown_function(log: &VerifierLog) -> bool {
    let ending = log.lines().rev().take(32);
    ending.into_iter().any(|line| {
        ["invalid func ", "unknown func ", "call unknown#"]
            .iter()
            .any(|words| line.contains(words))
    })
}

fn position(plan: &ProgPlan, types: Option<&[u8]>, insn: u32) -> Option<Position> {
    if insn as usize >= plan.insns.len() {
        return None;
    }
    let (function, start) = function(plan, insn);
    let relocated = plan.core.iter().find(|note| note.insn == insn);
    Some(Position {
        insn,
        function: function.to_owned(),
        offset: insn.saturating_sub(start),
        line: types.and_then(|types| {
            let types = Btf::parse(types).ok()?;
            SourceLine::of(&types, &plan.line_info, insn)
        }),
        relocated: relocated.cloned(),
    })
}

/// The function that an instruction is in, and where it starts.
fn function(plan: &ProgPlan, insn: u32) -> (&str, u32) {
    let part = plan.parts.iter().rev().find(|part| part.start <= insn);
    part.map_or((&plan.name, 0), |part: &Part| (&part.function, part.start))
}

#[cfg(test)]
mod tests;
