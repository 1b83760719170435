//! Program types.

use super::programs::{RETURN_1, request};
use super::{Key, Support, cached};
use crate::cmd::LogLevel;
use crate::error::ENOTSUPP;
use crate::uapi::enums::ProgType;

/// Whether programs of this type can be loaded.
#[must_use]
pub fn prog_type(prog_type: ProgType) -> Support {
    cached(Key::ProgType(prog_type.0), || probe(prog_type))
}

fn probe(prog_type: ProgType) -> Support {
    let load = request(prog_type, &RETURN_1);
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
