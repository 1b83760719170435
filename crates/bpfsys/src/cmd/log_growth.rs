//! Getting the kernel's log of a load, whatever its length.

use crate::error::{ErrorKind, LoadError, SysError};
use crate::log::VerifierLog;

/// Size of the first log buffer.
pub(crate) const LOG_START: usize = 64 << 10;
/// Size of the largest: what every supported kernel accepts (`UINT_MAX >> 8`).
const LOG_MAX: usize = (u32::MAX >> 8) as usize;
/// Calls for one load at most: doubling reaches the maximum in eight.
const ATTEMPTS: u32 = 12;

/// When to ask for a log, and how much of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum LogLevel {
    /// Load without a log; when that fails, once more with level 1. Loads that succeed, nearly
    /// all, cost nothing.
    #[default]
    OnFailure,
    /// Never ask for a log.
    Off,
    /// Ask for this level from the start: bit 0 basic, bit 1 verbose, bit 2 statistics.
    Level(u32),
}

/// A log buffer for one attempt.
pub(crate) struct LogRequest<'a> {
    pub(crate) buffer: &'a mut [u8],
    pub(crate) level: u32,
    /// Out: what the kernel says the whole log needs.
    pub(crate) true_size: &'a mut u32,
}

/// Runs a load, first without or with a log as `level` says, and grows the log buffer while the
/// kernel finds it too small.
pub(crate) fn load<T>(
    level: LogLevel,
    mut attempt: impl FnMut(Option<LogRequest<'_>>) -> Result<T, SysError>,
) -> Result<(T, VerifierLog), LoadError> {
    let (level, verdict) = match level {
        LogLevel::Level(level) if level > 0 => (level, None),
        LogLevel::Off | LogLevel::Level(_) => {
            return Ok((attempt(None)?, VerifierLog::default()));
        }
        LogLevel::OnFailure => match attempt(None) {
            Ok(loaded) => return Ok((loaded, VerifierLog::default())),
            // Refused before the call: the kernel has nothing to say.
            Err(error) if error.raw_os_error().is_none() => return Err(error.into()),
            Err(error) => (1, Some(error)),
        },
    };
    let mut len = LOG_START;
    let mut log = VerifierLog::default();
    for _ in 0..ATTEMPTS {
        let mut buffer = vec![0; len];
        let mut true_size = 0;
        let result = attempt(Some(LogRequest {
            buffer: &mut buffer,
            level,
            true_size: &mut true_size,
        }));
        let full = matches!(&result, Err(error) if error.kind() == ErrorKind::NoSpace);
        log = VerifierLog::from_buffer(&buffer, true_size, full);
        match result {
            Ok(loaded) => return Ok((loaded, log)),
            Err(error) if !full => return Err(LoadError::new(error, log)),
            Err(_) if len == LOG_MAX => break,
            Err(_) => {
                let wanted = usize::try_from(true_size).unwrap_or(LOG_MAX);
                len = wanted.max(len * 2).min(LOG_MAX);
            }
        }
    }
    // The log does not fit, which hides the verdict: the one without a log stands.
    match verdict {
        Some(error) => Err(LoadError::new(error, log)),
        None => match attempt(None) {
            Ok(loaded) => Ok((loaded, log)),
            Err(error) => Err(LoadError::new(error, log)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Op;
    use crate::uapi::enums::Cmd;

    fn error(raw: i32) -> SysError {
        SysError::from_raw(Op::Bpf(Cmd::PROG_LOAD), raw)
    }

    #[test]
    fn success_asks_for_no_log() {
        let (value, log) = load(LogLevel::OnFailure, |log| {
            assert!(log.is_none());
            Ok(7)
        })
        .unwrap();
        assert_eq!(value, 7);
        assert!(log.is_empty());
    }

    #[test]
    fn failure_asks_once_more_with_log() {
        let mut calls = 0;
        let failed = load::<()>(LogLevel::OnFailure, |log| {
            calls += 1;
            if let Some(log) = log {
                assert_eq!(log.level, 1);
                log.buffer[..4].copy_from_slice(b"why\n");
            }
            Err(error(libc::EACCES))
        })
        .unwrap_err();
        assert_eq!(calls, 2);
        assert_eq!(failed.log().summary(), "why");
        assert!(!failed.log().is_truncated());
    }

    #[test]
    fn buffer_grows_to_true_size_or_doubles() {
        let mut sizes = Vec::new();
        let (_, log) = load(LogLevel::Level(2), |log| {
            let log = log.unwrap();
            sizes.push(log.buffer.len());
            match sizes.len() {
                1 => {
                    *log.true_size = 1_000_000;
                    Err(error(libc::ENOSPC))
                }
                2 => Err(error(libc::ENOSPC)),
                _ => Ok(()),
            }
        })
        .unwrap();
        assert_eq!(sizes, [LOG_START, 1_000_000, 2_000_000]);
        assert!(!log.is_truncated());
    }

    #[test]
    fn endless_log_is_given_up() {
        let mut calls = 0;
        let failed = load::<()>(LogLevel::OnFailure, |log| {
            calls += 1;
            Err(error(if log.is_some() {
                libc::ENOSPC
            } else {
                libc::EINVAL
            }))
        })
        .unwrap_err();
        assert!(failed.sys().is(nix::errno::Errno::EINVAL));
        assert!(failed.log().is_truncated());
        assert!(calls <= 10);
        let (value, log) = load(LogLevel::Level(1), |log| match log {
            Some(_) => Err(error(libc::ENOSPC)),
            None => Ok(3),
        })
        .unwrap();
        assert_eq!(value, 3);
        assert!(log.is_truncated());
    }
}
