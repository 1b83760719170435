//! PROG_TEST_RUN of a loader program.

#![allow(unsafe_code, reason = "makes bpf() calls and takes descriptors over")]

use super::count32;
use crate::error::{Op, Refusal, SysError};
use crate::fd::{MapFd, ProgFd};
use crate::log::VerifierLog;
use crate::sys::bpf::bpf_unit;
use crate::sys::fd::{adopt, is_open, open_numbers};
use crate::uapi::UserPtr;
use crate::uapi::attr::ProgTestRunAttr;
use crate::uapi::enums::{Cmd, ProgType};
use crate::uapi::skeleton::{LoaderCtx, LoaderMap, LoaderProg};
use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use zerocopy::{FromBytes, IntoBytes};

const CMD: Cmd = Cmd::PROG_TEST_RUN;

/// BPF_PROG_TEST_RUN of the program of a light skeleton: it makes maps, loads programs, and hands
/// their descriptors over. Since Linux 5.14.
///
/// Errors: those of [`ProgTestRun`](super::ProgTestRun). What the program itself met is in
/// [`LoaderOutcome::retval`].
#[doc(alias = "bpf_load_and_run")]
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct LoaderRun<'a> {
    prog: &'a ProgFd,
    maps: &'a [LoaderMapInput<'a>],
    progs: usize,
    log_level: u32,
    log_len: usize,
}

/// What a loader program is told about one of its maps.
#[derive(Clone, Copy, Debug, Default)]
pub struct LoaderMapInput<'a> {
    /// Entries at most, instead of what the program says.
    pub max_entries: Option<u32>,
    /// The value of key 0, instead of what the program says. The program reads as many bytes as
    /// the map's value has.
    pub value: Option<&'a [u8]>,
}

/// What a loader program did.
#[derive(Debug)]
#[non_exhaustive]
pub struct LoaderOutcome {
    /// 0, or the number of an error, negative.
    pub retval: i32,
    /// The maps it made; `None` for those it did not.
    pub maps: Vec<Option<MapFd>>,
    /// The programs it loaded.
    pub progs: Vec<Option<ProgFd>>,
    /// What the kernel wrote about the last load; empty unless a level was set.
    pub log: VerifierLog,
}

impl<'a> LoaderRun<'a> {
    /// Runs `prog`, which makes these maps and loads so many programs.
    pub fn new(prog: &'a ProgFd, maps: &'a [LoaderMapInput<'a>], progs: usize) -> Self {
        Self {
            prog,
            maps,
            progs,
            log_level: 0,
            log_len: 0,
        }
    }

    /// The level of the log of every load, and room for it.
    pub fn log(mut self, level: u32, len: usize) -> Self {
        (self.log_level, self.log_len) = (level, len);
        self
    }

    /// Runs the program.
    ///
    /// Descriptors it hands over are taken over when they are of the right kind and were not open
    /// before.
    ///
    /// # Errors
    /// See the type; refused when the program is of another type, or hands over what it did not
    /// make.
    pub fn run(&self) -> Result<LoaderOutcome, SysError> {
        if self.prog.info()?.type_() != ProgType::SYSCALL {
            return Err(SysError::cmd(CMD, Refusal::WrongKind));
        }
        let mut log = vec![0; if self.log_level == 0 { 0 } else { self.log_len }];
        let size = size_of::<LoaderCtx>()
            + self.maps.len() * size_of::<LoaderMap>()
            + self.progs * size_of::<LoaderProg>();
        let head = LoaderCtx {
            sz: count32(CMD, size)?,
            flags: 0,
            log_level: self.log_level,
            log_size: count32(CMD, log.len())?,
            log_buf: UserPtr::from_mut_slice(&mut log),
        };
        let mut ctx = head.as_bytes().to_vec();
        for map in self.maps {
            let map = LoaderMap {
                map_fd: 0,
                max_entries: map.max_entries.unwrap_or(0),
                initial_value: map.value.map_or(UserPtr::NULL, UserPtr::from_slice),
            };
            ctx.extend_from_slice(map.as_bytes());
        }
        ctx.resize(size, 0);
        let before = open_numbers()?;
        let mut attr = ProgTestRunAttr {
            prog_fd: self.prog.number(),
            ctx_size_in: count32(CMD, size)?,
            ctx_in: UserPtr::from_mut_slice(&mut ctx),
            ..Default::default()
        };
        // SAFETY: `ctx_in` is backed by a local and is read and written for the size beside it.
        // The addresses in it are those of `log`, a local, which loads write `log_size` bytes to
        // at most, and of values that `self` borrows, which are only read. It returns 0.
        unsafe { bpf_unit(CMD, &mut attr) }?;
        let retval = attr.retval.cast_signed();
        let mut outcome = LoaderOutcome {
            retval,
            maps: Vec::new(),
            progs: Vec::new(),
            log: VerifierLog::from_buffer(&log, 0, false),
        };
        if retval < 0 {
            return Ok(outcome);
        }
        let mut taken = Taken { before };
        let mut rest = ctx.get(size_of::<LoaderCtx>()..).unwrap_or_default();
        for _ in self.maps {
            let (map, behind) = read::<LoaderMap>(rest)?;
            rest = behind;
            let fd = taken.take(map.map_fd)?;
            outcome.maps.push(fd.map(MapFd::try_from).transpose()?);
        }
        for _ in 0..self.progs {
            let (prog, behind) = read::<LoaderProg>(rest)?;
            rest = behind;
            let fd = taken.take(prog.prog_fd)?;
            outcome.progs.push(fd.map(ProgFd::try_from).transpose()?);
        }
        Ok(outcome)
    }
}

fn read<T: FromBytes>(bytes: &[u8]) -> Result<(T, &[u8]), SysError> {
    T::read_from_prefix(bytes).map_err(|_short| SysError::cmd(CMD, Refusal::BadAnswer))
}

/// Descriptors that are owned already.
struct Taken {
    before: BTreeSet<i32>,
}

impl Taken {
    /// Takes a descriptor over that the program made; `None` for 0, which is none.
    fn take(&mut self, number: i32) -> Result<Option<OwnedFd>, SysError> {
        if number <= 0 {
            return Ok(None);
        }
        if !self.before.insert(number) || !is_open(number) {
            return Err(SysError::refused(Op::Bpf(CMD), Refusal::NotNew));
        }
        // SAFETY: the number is that of an open descriptor which was not open before the program
        // ran, and is taken once: programs hand over only what they made for that.
        unsafe { adopt(number) }.map(Some)
    }
}
