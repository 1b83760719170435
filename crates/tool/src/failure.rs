//! What a command ends with when it does not succeed: a message, maybe a hint, an exit status.

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::io;

use bpfsys::{LoadError, Op, SysError};

/// The exit status bpftool uses for nearly every failure (-1).
pub const FAILED: u8 = 255;
/// bpftool's exit status for most wrong words: -EINVAL.
pub const EINVAL_STATUS: u8 = 234;
/// bpftool's exit status for most things that are not there: -ENOENT.
pub const ENOENT_STATUS: u8 = 254;

/// A command that did not do what was asked.
///
/// The message says which object and what the kernel answered; the hint, where one is known,
/// says what the user can do about it.
#[derive(Debug)]
pub struct Failure {
    kind: Kind,
    hint: Option<String>,
    status: u8,
}

#[derive(Debug)]
enum Kind {
    /// Printed as `Error: …` or `{"error": …}`.
    Message(anyhow::Error),
    /// The command already showed what there is to see (a failed look-up, a failed batch line).
    Shown,
    /// The words on the command line fit no rule: show the usage of the noun.
    Usage(String),
    /// The reader of standard output went away: not an error.
    BrokenPipe,
}

/// The result of everything in this crate that can fail.
pub type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    /// A failure with the usual status 255.
    pub fn new(message: impl fmt::Display) -> Self {
        Self {
            kind: Kind::Message(anyhow::anyhow!("{message}")),
            hint: None,
            status: FAILED,
        }
    }

    /// `what` failed because of `cause`; the hint is derived from the kernel's answer.
    pub fn because<E>(what: impl fmt::Display, cause: E) -> Self
    where
        E: Error + Send + Sync + 'static,
    {
        let hint = crate::hints::for_error(&cause);
        let mut message = what.to_string();
        // what was tried is said already: the name of the system call adds nothing to it
        match sys_error(&cause).map(|error| error.reason()) {
            Some(reason) => message.push_str(&format!(": {reason}")),
            None => {
                let mut next: Option<&dyn Error> = Some(&cause);
                while let Some(error) = next {
                    next = error.source();
                    if let Some(error) = error.downcast_ref::<SysError>() {
                        message.push_str(&format!(": {}", error.reason()));
                    } else if let Some(error) = error.downcast_ref::<LoadError>() {
                        message.push_str(&format!(": {}", error.sys().reason()));
                        let said = error.log().summary();
                        if !said.is_empty() {
                            message.push_str(&format!(": {said}"));
                        }
                        next = None;
                    } else {
                        message.push_str(&format!(": {error}"));
                    }
                }
            }
        }
        let error = anyhow::anyhow!(message);
        Self {
            kind: Kind::Message(error),
            hint,
            status: FAILED,
        }
    }

    /// The words given do not form a command.
    pub fn usage(message: impl fmt::Display) -> Self {
        Self {
            kind: Kind::Usage(message.to_string()),
            hint: None,
            status: FAILED,
        }
    }

    /// The output already says it; only the status is left to tell.
    #[must_use]
    pub fn shown(status: u8) -> Self {
        Self {
            kind: Kind::Shown,
            hint: None,
            status,
        }
    }

    /// The same failure with another exit status.
    #[must_use]
    pub fn with_status(mut self, status: u8) -> Self {
        self.status = status;
        self
    }

    /// The same failure with advice for the user.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The exit status, 0 when the reader of our output merely went away.
    #[must_use]
    pub fn status(&self) -> u8 {
        match self.kind {
            Kind::BrokenPipe => 0,
            _ => self.status,
        }
    }

    /// One line for the user, unless everything was already shown.
    #[must_use]
    pub fn message(&self) -> Option<String> {
        match &self.kind {
            Kind::Message(error) => Some(format!("{error:#}")),
            Kind::Usage(message) => Some(message.clone()),
            Kind::Shown | Kind::BrokenPipe => None,
        }
    }

    /// Advice, apart from the message.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// Whether the usage of the noun should follow the message.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        matches!(self.kind, Kind::Usage(_))
    }
}

/// The kernel's answer in an error of any library, so that all of them read alike.
fn sys_error(cause: &dyn Any) -> Option<SysError> {
    if let Some(error) = cause.downcast_ref::<SysError>() {
        return Some(*error);
    }
    let errno = match cause.downcast_ref::<nix::errno::Errno>() {
        Some(errno) => *errno as i32,
        None => cause.downcast_ref::<io::Error>()?.raw_os_error()?,
    };
    // which call it was is not told
    Some(SysError::from_raw(Op::FdKind, errno))
}

/// The exit status bpftool derives from a kernel error: -errno, cut to a byte.
#[must_use]
pub fn errno_status(error: &SysError) -> u8 {
    error
        .raw_os_error()
        .and_then(|errno| u8::try_from(errno & 0xff).ok())
        .filter(|low| *low != 0)
        .map_or(FAILED, u8::wrapping_neg)
}

impl From<io::Error> for Failure {
    /// Only for writing the output; other I/O says what it was doing with [`Failure::because`].
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self {
                kind: Kind::BrokenPipe,
                hint: None,
                status: 0,
            };
        }
        Self::because("cannot write the output", error)
    }
}

#[cfg(test)]
mod tests {
    use bpfsys::Cmd;

    use super::*;

    #[test]
    fn statuses_are_those_of_bpftool() {
        let status = |errno| errno_status(&SysError::from_raw(Op::Bpf(Cmd::MAP_FREEZE), errno));
        assert_eq!(status(2), 254);
        assert_eq!(status(22), 234);
        assert_eq!(status(524), 244);
        // an error must never look like success
        assert_eq!(status(512), FAILED);
    }

    #[test]
    fn a_system_call_is_told_by_its_answer_only() {
        let error = SysError::from_raw(Op::Bpf(Cmd::MAP_FREEZE), 2);
        let failure = Failure::because("get by id (5)", error);
        let message = failure.message().unwrap();
        assert!(message.starts_with("get by id (5): "), "{message}");
        assert!(!message.contains("MAP_FREEZE"), "{message}");
    }

    #[test]
    fn an_errno_reads_the_same_whoever_tells_it() {
        let expected = "read x: no such file or directory (ENOENT)";
        let message = |failure: Failure| failure.message().unwrap();
        let errno = nix::errno::Errno::ENOENT;
        assert_eq!(message(Failure::because("read x", errno)), expected);
        let error = io::Error::from(errno);
        assert_eq!(message(Failure::because("read x", error)), expected);
        let error = SysError::from_raw(Op::Dup, 2);
        assert_eq!(message(Failure::because("read x", error)), expected);
        let error = io::Error::other("not from the kernel");
        let own = message(Failure::because("read x", error));
        assert_eq!(own, "read x: not from the kernel");
    }
}
