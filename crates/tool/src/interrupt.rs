//! Ending what would go on for ever: SIGINT, SIGHUP and SIGTERM as something to wait for.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::Instant;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use crate::failure::{Failure, Result};

/// While this lives, the signals that end programs are only looked at when it waits.
#[derive(Debug)]
pub struct Interrupt {
    signals: SignalFd,
    before: SigSet,
}

/// What a wait ended with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wake {
    /// There is something to read.
    Readable,
    /// A signal came.
    Interrupted,
}

impl Interrupt {
    /// Takes the signals.
    pub fn catch() -> Result<Self> {
        let fail = |errno| Failure::because("can't catch signals", errno);
        let mut set = SigSet::empty();
        for signal in [Signal::SIGINT, Signal::SIGHUP, Signal::SIGTERM] {
            set.add(signal);
        }
        let before = set.thread_swap_mask(SigmaskHow::SIG_BLOCK).map_err(fail)?;
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        match SignalFd::with_flags(&set, flags) {
            Ok(signals) => Ok(Self { signals, before }),
            Err(errno) => {
                let _restored = before.thread_set_mask();
                Err(fail(errno))
            }
        }
    }

    /// Waits until `fd` can be read, or a signal comes.
    pub fn wait(&self, fd: BorrowedFd<'_>) -> Result<Wake> {
        let mut fds = [
            PollFd::new(self.signals.as_fd(), PollFlags::POLLIN),
            PollFd::new(fd, PollFlags::POLLIN),
        ];
        loop {
            match poll(&mut fds, PollTimeout::NONE) {
                Err(Errno::EINTR) => continue,
                Err(errno) => return Err(Failure::because("can't wait", errno)),
                Ok(_ready) => {}
            }
            let any = |fd: &PollFd<'_>| fd.any().unwrap_or(true);
            let [signals, fd] = &fds;
            if any(signals) {
                return Ok(Wake::Interrupted);
            }
            if any(fd) {
                return Ok(Wake::Readable);
            }
        }
    }

    /// Waits until a signal comes, or until then.
    pub fn wait_until(&self, end: Option<Instant>) -> Result<()> {
        loop {
            let left = end.map(|end| end.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Ok(());
            }
            // rounded up, so that the last millisecond is not spent asking
            let timeout = left.map_or(PollTimeout::NONE, |left| {
                let millis = left.as_millis().saturating_add(1);
                PollTimeout::try_from(millis).unwrap_or(PollTimeout::MAX)
            });
            let mut fds = [PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
            match poll(&mut fds, timeout) {
                Ok(0) | Err(Errno::EINTR) => {}
                Ok(_signal) => return Ok(()),
                Err(errno) => return Err(Failure::because("can't wait", errno)),
            }
        }
    }
}

impl Drop for Interrupt {
    fn drop(&mut self) {
        // A signal that was waited for is spent; one that comes now is for who comes next.
        while let Ok(Some(_signal)) = self.signals.read_signal() {}
        let _restored = self.before.thread_set_mask();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_signal_ends_a_wait_and_is_spent() {
        // Signals of this thread alone: other tests run beside it.
        let interrupt = Interrupt::catch().unwrap();
        let (reader, mut writer) = std::io::pipe().unwrap();
        writer.write_all(b"x").unwrap();
        assert_eq!(interrupt.wait(reader.as_fd()).unwrap(), Wake::Readable);
        let me = nix::sys::pthread::pthread_self();
        nix::sys::pthread::pthread_kill(me, Signal::SIGTERM).unwrap();
        assert_eq!(interrupt.wait(reader.as_fd()).unwrap(), Wake::Interrupted);
        drop(interrupt);
        let now = SigSet::thread_get_mask().unwrap();
        assert!(!now.contains(Signal::SIGTERM));
    }
}
