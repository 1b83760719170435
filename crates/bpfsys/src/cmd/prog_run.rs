//! PROG_TEST_RUN.

#![allow(unsafe_code, reason = "makes bpf() calls")]

use super::count32;
use crate::error::{ErrorKind, Refusal, SysError};
use crate::fd::ProgFd;
use crate::sys::bpf::bpf_unit;
use crate::uapi::UserPtr;
use crate::uapi::attr::ProgTestRunAttr;
use crate::uapi::enums::{Cmd, ProgType};
use crate::uapi::flags::TestRunFlags;

/// BPF_PROG_TEST_RUN, also called BPF_PROG_RUN: runs a program on data and context given here.
/// Since Linux 4.12; context since 5.2.
///
/// Errors: `ENOTSUPP` when the program's type cannot be run so, `EINVAL` for data the type does
/// not take, such as packets shorter than an Ethernet header, `EINTR` when a signal came between
/// two runs.
#[doc(alias = "BPF_PROG_TEST_RUN")]
#[doc(alias = "BPF_PROG_RUN")]
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct ProgTestRun<'a> {
    prog: &'a ProgFd,
    data_in: &'a [u8],
    data_out_len: usize,
    ctx_in: &'a [u8],
    ctx_out_len: usize,
    repeat: u32,
    flags: TestRunFlags,
    cpu: u32,
    batch_size: u32,
}

/// What a test run gave.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct TestRun {
    /// What the program returned, the last time if it ran more than once.
    pub retval: u32,
    /// Time of one run on average, in nanoseconds.
    pub duration_ns: u32,
    /// The data after the run, as much as there was room for.
    pub data_out: Vec<u8>,
    /// The context after the run, as much as there was room for.
    pub ctx_out: Vec<u8>,
    /// The context given, as the program left it: `syscall` programs write to it.
    pub ctx_in: Vec<u8>,
    /// How long the data after the run really was.
    pub data_size: u32,
    /// How long the context after the run really was.
    pub ctx_size: u32,
    /// Whether the room was too small for one of them.
    pub truncated: bool,
}

impl<'a> ProgTestRun<'a> {
    /// Runs `prog` once, without data.
    pub fn new(prog: &'a ProgFd) -> Self {
        Self {
            prog,
            data_in: &[],
            data_out_len: 0,
            ctx_in: &[],
            ctx_out_len: 0,
            repeat: 0,
            flags: TestRunFlags::empty(),
            cpu: 0,
            batch_size: 0,
        }
    }

    /// The packet.
    pub fn data_in(mut self, data: &'a [u8]) -> Self {
        self.data_in = data;
        self
    }

    /// Room for the packet after the run.
    pub fn data_out_len(mut self, len: usize) -> Self {
        self.data_out_len = len;
        self
    }

    /// The context, whose form depends on the type.
    pub fn ctx_in(mut self, ctx: &'a [u8]) -> Self {
        self.ctx_in = ctx;
        self
    }

    /// Room for the context after the run.
    pub fn ctx_out_len(mut self, len: usize) -> Self {
        self.ctx_out_len = len;
        self
    }

    /// How often to run; 0 is once.
    pub fn repeat(mut self, repeat: u32) -> Self {
        self.repeat = repeat;
        self
    }

    /// Flags. Since Linux 5.10.
    pub fn flags(mut self, flags: TestRunFlags) -> Self {
        self.flags |= flags;
        self
    }

    /// The CPU to run on, for raw tracepoint programs. Since Linux 5.10.
    pub fn cpu(mut self, cpu: u32) -> Self {
        self.cpu = cpu;
        self.flags(TestRunFlags::RUN_ON_CPU)
    }

    /// Frames to send at a time with [`TestRunFlags::XDP_LIVE_FRAMES`]. Since Linux 5.18.
    pub fn batch_size(mut self, frames: u32) -> Self {
        self.batch_size = frames;
        self
    }

    /// Runs the program.
    ///
    /// Data or context that does not fit the room given is cut and marked so, since the run itself
    /// has happened.
    ///
    /// # Errors
    /// See the type.
    pub fn run(&self) -> Result<TestRun, SysError> {
        let cmd = Cmd::PROG_TEST_RUN;
        // The context of a struct_ops program is a list of arguments, and a test run of
        // bpf_dummy_ops takes the first for the address of a structure, which it writes back.
        if !self.ctx_in.is_empty() && self.prog.info()?.type_() == ProgType::STRUCT_OPS {
            return Err(SysError::cmd(cmd, Refusal::ContextPointers));
        }
        let mut data_out = vec![0; self.data_out_len];
        let mut ctx_out = vec![0; self.ctx_out_len];
        // The kernel writes the context of `syscall` programs back to where it was read from.
        let mut ctx_in = self.ctx_in.to_vec();
        let mut attr = ProgTestRunAttr {
            prog_fd: self.prog.number(),
            data_size_in: count32(cmd, self.data_in.len())?,
            data_size_out: count32(cmd, data_out.len())?,
            data_in: UserPtr::from_slice(self.data_in),
            data_out: UserPtr::from_mut_slice(&mut data_out),
            repeat: self.repeat,
            ctx_size_in: count32(cmd, ctx_in.len())?,
            ctx_size_out: count32(cmd, ctx_out.len())?,
            ctx_in: UserPtr::from_mut_slice(&mut ctx_in),
            ctx_out: UserPtr::from_mut_slice(&mut ctx_out),
            flags: self.flags.bits(),
            cpu: self.cpu,
            batch_size: self.batch_size,
            ..Default::default()
        };
        // SAFETY: `data_in` is backed by `self` and only read; the other three by locals. Each is
        // read or written for the size beside it at most. No address inside the context is
        // followed: the only type whose test run does so was refused. It returns 0.
        let result = unsafe { bpf_unit(cmd, &mut attr) };
        let room = (data_out.len(), ctx_out.len());
        let truncated = match result {
            Ok(()) => false,
            // Told after the run, with the sizes and results filled in.
            Err(error)
                if error.kind() == ErrorKind::NoSpace
                    && (attr.data_size_out as usize > room.0
                        || attr.ctx_size_out as usize > room.1) =>
            {
                true
            }
            Err(error) => return Err(error),
        };
        data_out.truncate(attr.data_size_out as usize);
        ctx_out.truncate(attr.ctx_size_out as usize);
        Ok(TestRun {
            retval: attr.retval,
            duration_ns: attr.duration,
            data_out,
            ctx_out,
            ctx_in,
            data_size: attr.data_size_out,
            ctx_size: attr.ctx_size_out,
            truncated,
        })
    }
}
