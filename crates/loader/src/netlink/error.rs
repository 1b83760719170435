//! What can go wrong between a question to the kernel's routing tables and its answer.

use bpfsys::{Op, SysError};
use nix::errno::Errno;

/// A question was not answered, or refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetlinkError {
    /// The kernel refused, and says what was wrong.
    #[error("{message}")]
    Told {
        /// Its words.
        message: String,
        /// Its answer.
        source: SysError,
    },
    /// The kernel refused, or the socket cannot be used.
    #[error(transparent)]
    Refused(SysError),
    /// The kernel's answer is no such message.
    #[error("malformed answer: {0}")]
    Malformed(String),
    /// What was listed changed as often as it was read.
    #[error("the list keeps changing while it is read")]
    KeepsChanging,
    /// A message would be longer than its length can say.
    #[error("too long a message")]
    TooLong,
    /// The kernel did as it was asked, but does not tell what it made.
    #[error("the kernel does not tell what it made")]
    NotTold,
}

impl NetlinkError {
    pub(super) fn errno(errno: Errno) -> Self {
        Self::Refused(SysError::from_errno(Op::Netlink, errno))
    }

    /// The kernel's answer, if it gave one.
    #[must_use]
    pub fn sys(&self) -> Option<SysError> {
        match self {
            Self::Told { source, .. } | Self::Refused(source) => Some(*source),
            _ => None,
        }
    }

    /// Whether the kernel answered with this error.
    #[must_use]
    pub fn is(&self, errno: Errno) -> bool {
        self.sys().is_some_and(|error| error.is(errno))
    }
}
