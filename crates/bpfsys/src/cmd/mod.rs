//! One structure per command of the `bpf()` system call: `new` takes what the command cannot do
//! without, setters take the rest, `run` makes the call.
//!
//! The structures borrow every buffer and descriptor they are given, so all of them outlive the
//! call; attribute structures, with addresses in them, are made inside `run` and never leave it.
//!
//! # Safety
//! Each command has one unsafe call, and its comment answers three questions: which pointer
//! fields there are and which borrow backs them; what bounds the kernel's reads and writes
//! through them; what the return value means.

pub mod btf;
pub mod ids;
pub mod iter;
pub(crate) mod known;
pub mod link;
pub mod loader_run;
pub(crate) mod log_growth;
pub mod map;
pub mod map_batch;
pub mod map_elem;
pub mod object;
pub mod prog_attach;
pub mod prog_load;
pub mod prog_misc;
pub mod prog_run;
pub mod raw_tracepoint;
pub mod stats;
pub mod task_fd;
pub mod token;

pub use btf::BtfLoad;
pub use iter::IterCreate;
pub use link::{IterTargetSpec, KprobeFunctions, LinkCreate, LinkDetach, LinkTarget, LinkUpdate};
pub use loader_run::{LoaderMapInput, LoaderOutcome, LoaderRun};
pub use log_growth::LogLevel;
pub use map::{MapCreate, MapFreeze};
pub use map_batch::{
    BatchCursor, BatchStep, MapDeleteBatch, MapLookupAndDeleteBatch, MapLookupBatch, MapUpdateBatch,
};
pub use map_elem::{
    MapDeleteElem, MapGetNextKey, MapLookupAndDelete, MapLookupElem, MapUpdateElem,
};
pub use object::{
    BtfDetails, IterTarget, LinkDetails, LinkKind, ObjGet, ObjPin, PerfEventLink, ProgDetails,
    ProgParts,
};
pub use prog_attach::{
    Anchor, ProgAttach, ProgDetach, ProgQuery, QueriedProg, QueryResult, Target,
};
pub use prog_load::ProgLoad;
pub use prog_misc::{ProgAssocStructOps, ProgBindMap, ProgStreamRead};
pub use prog_run::{ProgTestRun, TestRun};
pub use raw_tracepoint::RawTracepointOpen;
pub use stats::EnableStats;
pub use task_fd::{TaskFd, TaskFdQuery};
pub use token::TokenCreate;

use crate::error::{Refusal, SysError};
use crate::uapi::enums::Cmd;
use std::ffi::CString;
use std::os::fd::BorrowedFd;
use std::path::Path;

/// A count or length as the kernel's 32 bits.
fn count32(cmd: Cmd, len: usize) -> Result<u32, SysError> {
    u32::try_from(len).map_err(|_too_large| SysError::cmd(cmd, Refusal::TooMany))
}

/// A path as a C string.
fn c_path(cmd: Cmd, path: &Path) -> Result<CString, SysError> {
    c_string(cmd, path.as_os_str().as_encoded_bytes())
}

/// A string as a C string.
fn c_string(cmd: Cmd, text: &[u8]) -> Result<CString, SysError> {
    CString::new(text).map_err(|_zero_inside| SysError::cmd(cmd, Refusal::Nul))
}

/// A descriptor as a signed field, 0 for none.
fn signed(fd: Option<BorrowedFd<'_>>) -> i32 {
    use std::os::fd::AsRawFd;
    fd.map_or(0, |fd| fd.as_raw_fd())
}

/// A descriptor as an unsigned field, 0 for none.
fn unsigned(fd: Option<BorrowedFd<'_>>) -> u32 {
    signed(fd).unsigned_abs()
}
