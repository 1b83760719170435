//! TASK_FD_QUERY.

#![allow(unsafe_code, reason = "makes bpf() calls")]

use super::count32;
use crate::error::{ErrorKind, Refusal, SysError};
use crate::ids::ProgId;
use crate::sys::bpf::bpf_unit;
use crate::uapi::UserPtr;
use crate::uapi::attr::TaskFdQueryAttr;
use crate::uapi::enums::{Cmd, TaskFdType};

/// BPF_TASK_FD_QUERY: tells which program is behind a perf event or raw tracepoint descriptor of
/// a process. Since Linux 4.18.
///
/// Errors: `ENOTSUPP` when the descriptor is of another kind, `ENOENT` when there is no such
/// process or the event has no program, `EBADF` when there is no such descriptor, `EPERM` without
/// `CAP_SYS_ADMIN`.
#[doc(alias = "BPF_TASK_FD_QUERY")]
#[derive(Clone, Copy, Debug)]
pub struct TaskFdQuery {
    pid: u32,
    fd: u32,
    flags: u32,
}

/// What is behind a descriptor of a process.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct TaskFd {
    /// The program.
    pub prog_id: Option<ProgId>,
    /// What it is attached to.
    pub fd_type: TaskFdType,
    /// Name of the tracepoint or kernel function, or path of the file; empty for an address.
    pub name: Vec<u8>,
    /// Offset in the function or file.
    pub probe_offset: u64,
    /// Address of a kprobe, where the kernel tells.
    pub probe_addr: u64,
}

/// Longer than any name and most paths.
const FIRST_GUESS: usize = 256;
/// The longest paths there are.
const LARGEST: usize = 4096;

impl TaskFdQuery {
    /// Asks about descriptor `fd` of process `pid`.
    #[must_use]
    pub fn new(pid: u32, fd: u32) -> Self {
        Self { pid, fd, flags: 0 }
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
    pub fn run(&self) -> Result<TaskFd, SysError> {
        match self.call(FIRST_GUESS) {
            Err(error) if error.kind() == ErrorKind::NoSpace => self.call(LARGEST),
            result => result,
        }
    }

    fn call(&self, room: usize) -> Result<TaskFd, SysError> {
        let cmd = Cmd::TASK_FD_QUERY;
        let mut name = vec![0; room];
        let mut attr = TaskFdQueryAttr {
            pid: self.pid,
            fd: self.fd,
            flags: self.flags,
            buf_len: count32(cmd, room)?,
            buf: UserPtr::from_mut_slice(&mut name),
            ..Default::default()
        };
        // SAFETY: `buf` is backed by a local, to which the kernel writes `buf_len` bytes at most.
        // It returns 0.
        unsafe { bpf_unit(cmd, &mut attr) }?;
        if attr.buf_len as usize >= room {
            return Err(SysError::cmd(cmd, Refusal::BadAnswer));
        }
        name.truncate(attr.buf_len as usize);
        Ok(TaskFd {
            prog_id: ProgId::new(attr.prog_id),
            fd_type: TaskFdType(attr.fd_type),
            name,
            probe_offset: attr.probe_offset,
            probe_addr: attr.probe_addr,
        })
    }
}
