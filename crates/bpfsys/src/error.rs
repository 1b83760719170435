//! Errors of system calls and of loads.

use crate::log::VerifierLog;
use crate::uapi::enums::Cmd;
use core::fmt;
use nix::errno::Errno;

/// What was being done.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Op {
    /// A command of the `bpf()` system call.
    Bpf(Cmd),
    /// `perf_event_open`.
    PerfEventOpen,
    /// An ioctl of a perf event.
    PerfIoctl,
    /// Mapping memory.
    Mmap,
    /// Duplicating a file descriptor.
    Dup,
    /// Asking `/proc/self/fd` what a file descriptor is.
    FdKind,
    /// Reading `/sys/devices/system/cpu/possible`.
    PossibleCpus,
    /// Reading `/proc/kallsyms`.
    Symbols,
    /// Adding a key to a keyring.
    AddKey,
    /// The system call of user probes.
    Uprobe,
    /// Setting an option of a socket.
    SocketOption,
    /// Opening, writing to and reading from a netlink socket, and what the kernel answers there.
    Netlink,
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bpf(cmd) => match cmd.kernel_name() {
                Some(name) => f.write_str(name),
                None => write!(f, "bpf command {}", cmd.0),
            },
            Self::PerfEventOpen => f.write_str("perf_event_open"),
            Self::PerfIoctl => f.write_str("perf event ioctl"),
            Self::Mmap => f.write_str("mmap"),
            Self::Dup => f.write_str("dup"),
            Self::FdKind => f.write_str("/proc/self/fd"),
            Self::PossibleCpus => f.write_str("/sys/devices/system/cpu/possible"),
            Self::Symbols => f.write_str("/proc/kallsyms"),
            Self::AddKey => f.write_str("add_key"),
            Self::Uprobe => f.write_str("uprobe"),
            Self::SocketOption => f.write_str("setsockopt"),
            Self::Netlink => f.write_str("netlink"),
        }
    }
}

/// Classes of failure that callers treat differently.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The object, key or file does not exist (any more).
    NotFound,
    /// Privileges or policy forbid it.
    Denied,
    /// The kernel, or this object, cannot do it.
    Unsupported,
    /// It exists already.
    Exists,
    /// More than fits: a map that is full, an attribute larger than the kernel knows.
    TooBig,
    /// In use, or frozen.
    Busy,
    /// A buffer given to the kernel is too small.
    NoSpace,
    /// A signal came first, or the kernel asks to try again.
    Interrupted,
    /// The kernel refuses the arguments, or the command does before the call.
    Invalid,
    /// Out of memory, or over the memory limit.
    NoMemory,
    /// A file descriptor that is not open or not of the right kind.
    BadFd,
    /// Anything else.
    Other,
}

/// Why a command was refused before, or in spite of, the kernel's answer.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Refusal {
    /// The key is not as long as the map's keys.
    KeySize,
    /// The value is not as long as the kernel will read or write.
    ValueSize,
    /// Keys and values of a batch are not whole elements of the same number.
    BatchSize,
    /// A name longer than 15 bytes, or with other bytes than letters, digits, `_` and `.`.
    Name,
    /// A zero byte inside a path or string.
    Nul,
    /// More bytes or elements than the kernel's 32-bit counts hold.
    TooMany,
    /// Arrays that must be of equal length are not.
    ArrayLength,
    /// The fd is of another kind.
    WrongKind,
    /// The map's type is unknown to this build, so the size of its values is too.
    UnknownMapType,
    /// The object kept growing between the calls that ask for size and content.
    KeepsChanging,
    /// A descriptor that a program hands over and did not make.
    NotNew,
    /// A test run whose context would hold addresses for the kernel to write to.
    ContextPointers,
    /// An answer that breaks the kernel's own rules.
    BadAnswer,
    /// The possible CPUs could not be read.
    NoCpuList,
    /// A probe of ours is broken.
    BadProbe,
    /// A probe cannot tell without something to attach to.
    DependsOnTarget,
}

impl Refusal {
    const fn text(self) -> &'static str {
        match self {
            Self::KeySize => "key is not of the map's key size",
            Self::ValueSize => "value buffer is not of the map's value size",
            Self::BatchSize => "batch buffers do not hold the same number of whole elements",
            Self::Name => {
                "name is longer than 15 bytes or has other characters than letters, digits, '_' and '.'"
            }
            Self::Nul => "string contains a zero byte",
            Self::TooMany => "more elements than the kernel can count",
            Self::ArrayLength => "arrays differ in length",
            Self::WrongKind => "file descriptor is of another kind",
            Self::UnknownMapType => "map type is unknown to this build",
            Self::KeepsChanging => "object keeps growing while it is read",
            Self::NotNew => "the program hands over a descriptor that it did not make",
            Self::ContextPointers => "the kernel would write to addresses inside this context",
            Self::BadAnswer => "unexpected answer",
            Self::NoCpuList => "cannot tell the possible cpus",
            Self::BadProbe => "the probe itself is broken",
            Self::DependsOnTarget => "depends on what the program attaches to",
        }
    }

    const fn kind(self) -> ErrorKind {
        match self {
            Self::WrongKind | Self::NotNew => ErrorKind::BadFd,
            Self::UnknownMapType => ErrorKind::Unsupported,
            Self::ContextPointers => ErrorKind::Unsupported,
            Self::TooMany => ErrorKind::TooBig,
            Self::KeepsChanging => ErrorKind::Interrupted,
            Self::BadAnswer | Self::NoCpuList | Self::BadProbe | Self::DependsOnTarget => {
                ErrorKind::Other
            }
            Self::KeySize
            | Self::ValueSize
            | Self::BatchSize
            | Self::Name
            | Self::Nul
            | Self::ArrayLength => ErrorKind::Invalid,
        }
    }
}

/// The kernel's own "operation not supported", which has no name in C libraries.
pub const ENOTSUPP: i32 = 524;

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Cause {
    Errno(i32),
    Refused(Refusal),
}

/// A failed system call: what was asked and what the answer was.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct SysError {
    op: Op,
    cause: Cause,
}

impl SysError {
    /// An error the kernel answered with.
    #[must_use]
    pub const fn from_raw(op: Op, errno: i32) -> Self {
        Self {
            op,
            cause: Cause::Errno(errno),
        }
    }

    /// An error from `nix`.
    #[must_use]
    pub const fn from_errno(op: Op, errno: Errno) -> Self {
        Self::from_raw(op, errno as i32)
    }

    /// An error from the standard library; one without a number becomes `EIO`.
    #[must_use]
    pub fn from_io(op: Op, error: &std::io::Error) -> Self {
        Self::from_raw(op, error.raw_os_error().unwrap_or(libc::EIO))
    }

    pub(crate) const fn refused(op: Op, refusal: Refusal) -> Self {
        Self {
            op,
            cause: Cause::Refused(refusal),
        }
    }

    pub(crate) const fn cmd(cmd: Cmd, refusal: Refusal) -> Self {
        Self::refused(Op::Bpf(cmd), refusal)
    }

    /// What was being done.
    #[must_use]
    pub const fn op(&self) -> Op {
        self.op
    }

    /// The kernel's answer, or `None` when the call was not made.
    #[must_use]
    pub fn errno(&self) -> Option<Errno> {
        self.raw_os_error().map(Errno::from_raw)
    }

    /// The kernel's answer as a number; unlike [`errno`](Self::errno) it tells 524 (`ENOTSUPP`)
    /// from other numbers without a name.
    #[must_use]
    pub const fn raw_os_error(&self) -> Option<i32> {
        match self.cause {
            Cause::Errno(errno) => Some(errno),
            Cause::Refused(_) => None,
        }
    }

    /// Why the command itself refused.
    #[must_use]
    pub const fn refusal(&self) -> Option<Refusal> {
        match self.cause {
            Cause::Errno(_) => None,
            Cause::Refused(refusal) => Some(refusal),
        }
    }

    /// Whether the kernel answered with this error.
    #[must_use]
    pub fn is(&self, errno: Errno) -> bool {
        self.cause == Cause::Errno(errno as i32)
    }

    /// The class of the failure.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        let raw = match self.cause {
            Cause::Errno(raw) => raw,
            Cause::Refused(refusal) => return refusal.kind(),
        };
        match raw {
            libc::ENOENT | libc::ENODEV | libc::ENXIO | libc::ESRCH => ErrorKind::NotFound,
            libc::EPERM | libc::EACCES => ErrorKind::Denied,
            libc::EOPNOTSUPP | libc::ENOSYS | ENOTSUPP => ErrorKind::Unsupported,
            libc::EEXIST => ErrorKind::Exists,
            libc::E2BIG => ErrorKind::TooBig,
            libc::EBUSY | libc::ETXTBSY => ErrorKind::Busy,
            libc::ENOSPC => ErrorKind::NoSpace,
            libc::EINTR | libc::EAGAIN => ErrorKind::Interrupted,
            libc::EINVAL | libc::ERANGE | libc::EDOM | libc::EFAULT => ErrorKind::Invalid,
            libc::ENOMEM => ErrorKind::NoMemory,
            libc::EBADF => ErrorKind::BadFd,
            _ => ErrorKind::Other,
        }
    }

    /// The answer in words, without what was asked: `no such file or directory (ENOENT)`.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        Reason(self.cause)
    }
}

impl fmt::Display for SysError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.op, self.reason())
    }
}

impl core::error::Error for SysError {}

/// The part of a [`SysError`] after the colon.
#[derive(Clone, Copy, Debug)]
pub struct Reason(Cause);

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Cause::Refused(refusal) => f.write_str(refusal.text()),
            Cause::Errno(ENOTSUPP) => f.write_str("operation not supported (ENOTSUPP)"),
            // the C library's words name sockets, which have nothing to do with it here
            Cause::Errno(libc::EOPNOTSUPP) => f.write_str("operation not supported (EOPNOTSUPP)"),
            Cause::Errno(raw) => match Errno::from_raw(raw) {
                Errno::UnknownErrno => write!(f, "error {raw}"),
                errno => {
                    // "No such file": lower only a capital that starts an ordinary word.
                    let text = errno.desc();
                    let mut chars = text.chars();
                    match (chars.next(), chars.next()) {
                        (Some(a), Some(b)) if b.is_lowercase() || b == ' ' => {
                            write!(f, "{}{}", a.to_lowercase(), text.get(1..).unwrap_or(""))?;
                        }
                        _ => f.write_str(text)?,
                    }
                    write!(f, " ({errno:?})")
                }
            },
        }
    }
}

/// A failed PROG_LOAD, BTF_LOAD or MAP_CREATE: the answer, and what the kernel wrote about it.
#[derive(Clone, Debug)]
pub struct LoadError(Box<(SysError, VerifierLog)>);

impl LoadError {
    pub(crate) fn new(error: SysError, log: VerifierLog) -> Self {
        Self::with_log(error, log)
    }

    /// An answer with the log that goes with it.
    #[must_use]
    pub fn with_log(error: SysError, log: VerifierLog) -> Self {
        Self(Box::new((error, log)))
    }

    /// The answer of the last call.
    #[must_use]
    pub fn sys(&self) -> SysError {
        self.0.0
    }

    /// What the kernel wrote; empty when it wrote nothing.
    #[must_use]
    pub fn log(&self) -> &VerifierLog {
        &self.0.1
    }

    /// The class of the failure.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.sys().kind()
    }
}

impl From<SysError> for LoadError {
    fn from(error: SysError) -> Self {
        Self::new(error, VerifierLog::default())
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let summary = self.log().summary();
        if f.alternate() && !self.log().is_empty() {
            write!(f, "{}:\n{}", self.sys(), self.log())
        } else if summary.is_empty() {
            fmt::Display::fmt(&self.sys(), f)
        } else {
            write!(f, "{}: {summary}", self.sys())
        }
    }
}

impl core::error::Error for LoadError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_is_one_lower_case_line() {
        let error = |raw| SysError::from_raw(Op::Bpf(Cmd::MAP_LOOKUP_ELEM), raw).to_string();
        assert_eq!(
            error(libc::ENOENT),
            "BPF_MAP_LOOKUP_ELEM: no such file or directory (ENOENT)"
        );
        assert_eq!(
            error(524),
            "BPF_MAP_LOOKUP_ELEM: operation not supported (ENOTSUPP)"
        );
        assert_eq!(error(9999), "BPF_MAP_LOOKUP_ELEM: error 9999");
        assert_eq!(error(libc::EIO), "BPF_MAP_LOOKUP_ELEM: I/O error (EIO)");
        assert_eq!(
            SysError::cmd(Cmd(77), Refusal::KeySize).to_string(),
            "bpf command 77: key is not of the map's key size"
        );
    }

    #[test]
    fn kinds_group_answers() {
        let kind = |raw| SysError::from_raw(Op::Mmap, raw).kind();
        assert_eq!(kind(524), ErrorKind::Unsupported);
        assert_eq!(kind(libc::EOPNOTSUPP), ErrorKind::Unsupported);
        assert_eq!(kind(libc::EPERM), ErrorKind::Denied);
        assert_eq!(kind(libc::ENOSPC), ErrorKind::NoSpace);
        assert_eq!(kind(libc::EPIPE), ErrorKind::Other);
        let refused = SysError::cmd(Cmd::MAP_CREATE, Refusal::WrongKind);
        assert_eq!(refused.kind(), ErrorKind::BadFd);
        assert_eq!(refused.errno(), None);
        assert!(SysError::from_raw(Op::Dup, libc::EPERM).is(Errno::EPERM));
    }

    #[test]
    fn errors_stay_small() {
        assert!(size_of::<SysError>() <= 16);
        assert_eq!(size_of::<LoadError>(), size_of::<usize>());
    }
}
