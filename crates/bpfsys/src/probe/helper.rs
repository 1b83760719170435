//! Helper functions by program type.

use super::prog_type::prog_type_with;
use super::programs::request;
use super::{Key, Support, cached};
use crate::cmd::LogLevel;
use crate::error::{Op, Refusal, SysError};
use crate::fd::TokenFd;
use crate::insn::asm;
use crate::uapi::enums::{Cmd, ProgType};
use crate::uapi::helpers::HelperId;

/// Whether programs of this type may call this helper.
///
/// Unknown for types that must name something to attach to, since which helpers they may call
/// depends on it: `tracing`, `ext`, `lsm`, `struct_ops`.
#[must_use]
pub fn helper(prog_type: ProgType, helper: HelperId) -> Support {
    helper_with(prog_type, helper, None)
}

/// As [`helper`], with the rights of a token; answers to it are not kept.
#[must_use]
pub fn helper_with(prog_type: ProgType, helper: HelperId, token: Option<&TokenFd>) -> Support {
    let ask = || probe(prog_type, helper, token);
    match token {
        None => cached(Key::Helper(prog_type.0, helper.0), ask),
        Some(_) => ask(),
    }
}

/// What the verifier says when a helper does not exist, or not for this type. The words changed
/// over time: the second was both before 6.10, when the third came. The last is for helpers that
/// some types have but may not call.
const REFUSALS: [&str; 4] = [
    "invalid func ",
    "unknown func ",
    "program of this type cannot use helper ",
    " not supported for program type ",
];

fn probe(type_: ProgType, helper: HelperId, token: Option<&TokenFd>) -> Support {
    if matches!(
        type_,
        ProgType::TRACING | ProgType::EXT | ProgType::LSM | ProgType::STRUCT_OPS
    ) {
        return Support::Unknown(SysError::refused(
            Op::Bpf(Cmd::PROG_LOAD),
            Refusal::DependsOnTarget,
        ));
    }
    let insns = [asm::call_helper(helper), asm::exit()];
    let load = request(type_, &insns)
        .log_level(LogLevel::Level(1))
        .maybe_token(token);
    let error = match load.run() {
        Ok(_) => return Support::Yes,
        Err(error) => error,
    };
    match prog_type_with(type_, token) {
        Support::Yes => {}
        // No program, no call.
        other => return other,
    }
    let log = error.log().as_str();
    if REFUSALS.iter().any(|words| log.contains(words)) {
        return Support::No;
    }
    match error.sys().raw_os_error() {
        // Found fault with the arguments, so the call itself was fine.
        Some(libc::EINVAL | libc::EACCES) if !error.log().is_empty() => Support::Yes,
        _ => Support::Unknown(error.sys()),
    }
}
