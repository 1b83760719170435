//! Program types.

use super::programs::{RETURN_1, request};
use super::{Key, Support, cached};
use crate::cmd::LogLevel;
use crate::error::ENOTSUPP;
use crate::fd::TokenFd;
use crate::uapi::enums::ProgType;

/// Whether programs of this type can be loaded.
#[must_use]
pub fn prog_type(prog_type: ProgType) -> Support {
    prog_type_with(prog_type, None)
}

/// As [`prog_type`], with the rights of a token; answers to it are not kept.
#[must_use]
pub fn prog_type_with(prog_type: ProgType, token: Option<&TokenFd>) -> Support {
    match token {
        None => cached(Key::ProgType(prog_type.0), || probe(prog_type, None)),
        Some(_) => probe(prog_type, token),
    }
}

fn probe(prog_type: ProgType, token: Option<&TokenFd>) -> Support {
    let load = request(prog_type, &RETURN_1).maybe_token(token);
    match prog_type {
        ProgType::UNSPEC => Support::No,
        // Refused for the type they are to attach to, in words of their own.
        ProgType::TRACING | ProgType::LSM | ProgType::EXT => {
            match load.log_level(LogLevel::Level(1)).run() {
                Ok(_) => Support::Yes,
                Err(error) => {
                    let log = error.log().as_str();
                    if log.contains("attach_btf_id 1 ") || log.contains("Cannot replace kernel") {
                        Support::Yes
                    } else {
                        Support::of::<(), _>(Err(error))
                    }
                }
            }
        }
        // Refused because no operation to implement is named.
        ProgType::STRUCT_OPS => Support::judge(load.run(), &[ENOTSUPP], &[libc::EINVAL]),
        _ => Support::of(load.run()),
    }
}
