//! The small commands on programs.

#![allow(unsafe_code, reason = "makes bpf() calls")]

use super::count32;
use crate::error::{Refusal, SysError};
use crate::fd::{MapFd, ProgFd};
use crate::sys::bpf::{bpf_count, bpf_unit};
use crate::uapi::UserPtr;
use crate::uapi::attr::{ProgAssocStructOpsAttr, ProgBindMapAttr, ProgStreamReadAttr};
use crate::uapi::enums::{Cmd, StreamId};

/// BPF_PROG_BIND_MAP: keeps a map for as long as a program that does not use it. Since Linux 5.10.
///
/// Errors: `EINVAL` for unknown flags. Binding a map twice is no error.
#[doc(alias = "BPF_PROG_BIND_MAP")]
#[derive(Clone, Copy, Debug)]
pub struct ProgBindMap<'a> {
    prog: &'a ProgFd,
    map: &'a MapFd,
    flags: u32,
}

impl<'a> ProgBindMap<'a> {
    /// Binds `map` to `prog`.
    #[must_use]
    pub fn new(prog: &'a ProgFd, map: &'a MapFd) -> Self {
        Self {
            prog,
            map,
            flags: 0,
        }
    }

    /// Flags; no kernel has any yet.
    #[must_use]
    pub fn flags(mut self, flags: u32) -> Self {
        self.flags = flags;
        self
    }

    /// Makes the call.
    ///
    /// # Errors
    /// See the type.
    pub fn run(&self) -> Result<(), SysError> {
        let mut attr = ProgBindMapAttr {
            prog_fd: self.prog.number(),
            map_fd: self.map.number(),
            flags: self.flags,
        };
        // SAFETY: no pointer fields, so nothing but the attribute is read. It returns 0.
        unsafe { bpf_unit(Cmd::PROG_BIND_MAP, &mut attr) }
    }
}

/// BPF_PROG_STREAM_READ_BY_FD: takes what a program has printed to one of its streams. Since
/// Linux 6.17.
///
/// Errors: `ENOENT` for a stream that does not exist.
#[doc(alias = "BPF_PROG_STREAM_READ_BY_FD")]
#[derive(Clone, Copy, Debug)]
pub struct ProgStreamRead<'a> {
    prog: &'a ProgFd,
    stream: StreamId,
}

impl<'a> ProgStreamRead<'a> {
    /// Reads a stream of `prog`.
    #[must_use]
    pub fn new(prog: &'a ProgFd, stream: StreamId) -> Self {
        Self { prog, stream }
    }

    /// Moves text into the front of `buffer` and gives its length, 0 when there is none now.
    ///
    /// # Errors
    /// See the type.
    pub fn run(&self, buffer: &mut [u8]) -> Result<usize, SysError> {
        let cmd = Cmd::PROG_STREAM_READ_BY_FD;
        let room = buffer.len();
        let mut attr = ProgStreamReadAttr {
            stream_buf: UserPtr::from_mut_slice(buffer),
            stream_buf_len: count32(cmd, room)?,
            stream_id: self.stream.0,
            prog_fd: self.prog.number(),
            pad: 0,
        };
        // SAFETY: `stream_buf` is backed by the argument, to which the kernel writes
        // `stream_buf_len` bytes at most. It returns how many.
        let count = unsafe { bpf_count(cmd, &mut attr) }?;
        if count > room {
            return Err(SysError::cmd(cmd, Refusal::BadAnswer));
        }
        Ok(count)
    }
}

/// BPF_PROG_ASSOC_STRUCT_OPS: tells a program which struct_ops map its calls act on. Since Linux
/// 7.0.
///
/// Errors: `EINVAL` when the map is none of struct_ops or on older kernels, `EBUSY` when the
/// program has another one.
#[doc(alias = "BPF_PROG_ASSOC_STRUCT_OPS")]
#[derive(Clone, Copy, Debug)]
pub struct ProgAssocStructOps<'a> {
    prog: &'a ProgFd,
    map: &'a MapFd,
    flags: u32,
}

impl<'a> ProgAssocStructOps<'a> {
    /// Associates `prog` with `map`.
    #[must_use]
    pub fn new(prog: &'a ProgFd, map: &'a MapFd) -> Self {
        Self {
            prog,
            map,
            flags: 0,
        }
    }

    /// Flags; no kernel has any yet.
    #[must_use]
    pub fn flags(mut self, flags: u32) -> Self {
        self.flags = flags;
        self
    }

    /// Makes the call.
    ///
    /// # Errors
    /// See the type.
    pub fn run(&self) -> Result<(), SysError> {
        let mut attr = ProgAssocStructOpsAttr {
            map_fd: self.map.number(),
            prog_fd: self.prog.number(),
            flags: self.flags,
        };
        // SAFETY: no pointer fields, so nothing but the attribute is read. It returns 0.
        unsafe { bpf_unit(Cmd::PROG_ASSOC_STRUCT_OPS, &mut attr) }
    }
}
