//! BTF_LOAD.

#![allow(unsafe_code, reason = "makes bpf() calls")]

use super::log_growth::{LogLevel, LogRequest, load};
use super::{count32, signed};
use crate::error::{LoadError, SysError};
use crate::fd::{BtfFd, TokenFd};
use crate::log::VerifierLog;
use crate::sys::bpf::bpf_fd;
use crate::uapi::UserPtr;
use crate::uapi::attr::BtfLoadAttr;
use crate::uapi::enums::Cmd;
use crate::uapi::flags::BtfLoadFlags;
use std::os::fd::AsFd;

/// BPF_BTF_LOAD: verifies type information and loads it. Since Linux 4.18.
///
/// Errors: `EINVAL` when it is malformed or has a kind the kernel does not know, `E2BIG` when it is
/// larger than 16 MiB, `EPERM` without `CAP_BPF`.
#[doc(alias = "BPF_BTF_LOAD")]
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct BtfLoad<'a> {
    data: &'a [u8],
    token: Option<&'a TokenFd>,
    log: LogLevel,
}

impl<'a> BtfLoad<'a> {
    /// Loads raw BTF of this host's byte order.
    pub fn new(data: &'a [u8]) -> Self {
        Self {
            data,
            token: None,
            log: LogLevel::OnFailure,
        }
    }

    /// When to ask for the kernel's log.
    pub fn log_level(mut self, level: LogLevel) -> Self {
        self.log = level;
        self
    }

    /// Acts with the rights of a token. Since Linux 6.9.
    pub fn token(self, token: &'a TokenFd) -> Self {
        self.maybe_token(Some(token))
    }

    /// As [`token`](Self::token), if there is one.
    pub fn maybe_token(mut self, token: Option<&'a TokenFd>) -> Self {
        self.token = token;
        self
    }

    /// Loads the BTF.
    ///
    /// # Errors
    /// See the type; with the kernel's log as far as it was asked for.
    pub fn run(&self) -> Result<BtfFd, LoadError> {
        self.run_with_log().map(|(btf, _log)| btf)
    }

    /// As [`run`](Self::run), with the log of a load that succeeded: empty unless a level was
    /// set.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn run_with_log(&self) -> Result<(BtfFd, VerifierLog), LoadError> {
        load(self.log, |log| self.call(log))
    }

    fn call(&self, log: Option<LogRequest<'_>>) -> Result<BtfFd, SysError> {
        let mut attr = BtfLoadAttr {
            btf: UserPtr::from_slice(self.data),
            btf_size: count32(Cmd::BTF_LOAD, self.data.len())?,
            ..Default::default()
        };
        if let Some(token) = self.token {
            attr.btf_token_fd = signed(Some(token.as_fd()));
            attr.btf_flags |= BtfLoadFlags::TOKEN_FD.bits();
        }
        let mut true_size = None;
        if let Some(request) = log {
            attr.btf_log_level = request.level;
            attr.btf_log_size = count32(Cmd::BTF_LOAD, request.buffer.len())?;
            attr.btf_log_buf = UserPtr::from_mut_slice(request.buffer);
            true_size = Some(request.true_size);
        }
        // SAFETY: `btf` is backed by `self` and read for `btf_size` bytes; `btf_log_buf` by the
        // argument and written for `btf_log_size` bytes at most. It returns a new descriptor, of
        // a BTF object.
        let result = unsafe { bpf_fd(Cmd::BTF_LOAD, &mut attr, None) };
        if let Some(true_size) = true_size {
            *true_size = attr.btf_log_true_size;
        }
        result.map(BtfFd::from_kernel)
    }
}
