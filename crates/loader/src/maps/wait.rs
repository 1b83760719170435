//! Waiting for descriptors to become ready.

use bpfsys::{Op, SysError};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

/// Milliseconds, rounded up so that a short wait is not none; `None` is for ever.
fn timeout(time: Option<Duration>) -> PollTimeout {
    let Some(time) = time else {
        return PollTimeout::NONE;
    };
    let millis = time.as_nanos().div_ceil(1_000_000);
    i32::try_from(millis)
        .ok()
        .and_then(|millis| PollTimeout::try_from(millis).ok())
        .unwrap_or(PollTimeout::MAX)
}

fn failed(errno: Errno) -> SysError {
    SysError::from_errno(Op::Epoll, errno)
}

/// Waits until a descriptor can be read; whether it can. A signal ends the wait as time does.
pub(super) fn readable(fd: BorrowedFd<'_>, time: Option<Duration>) -> Result<bool, SysError> {
    let mut fds = [PollFd::new(fd, PollFlags::POLLIN)];
    match poll(&mut fds, timeout(time)) {
        Ok(count) => Ok(count > 0),
        Err(Errno::EINTR) => Ok(false),
        Err(errno) => Err(failed(errno)),
    }
}

/// Several descriptors that are waited for together, known by their index.
#[derive(Debug)]
pub(super) struct Waiter {
    epoll: Epoll,
    events: Vec<EpollEvent>,
}

impl Waiter {
    pub(super) fn new() -> Result<Self, SysError> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map_err(failed)?;
        Ok(Self {
            epoll,
            events: Vec::new(),
        })
    }

    /// Adds a descriptor that is readable while there is something in it.
    pub(super) fn add_readable(&mut self, fd: impl AsFd, index: usize) -> Result<(), SysError> {
        self.add(fd, index, EpollFlags::EPOLLIN)
    }

    /// Adds a descriptor that is told of each time it becomes writable.
    pub(super) fn add_writable_edges(
        &mut self,
        fd: impl AsFd,
        index: usize,
    ) -> Result<(), SysError> {
        self.add(fd, index, EpollFlags::EPOLLOUT | EpollFlags::EPOLLET)
    }

    fn add(&mut self, fd: impl AsFd, index: usize, flags: EpollFlags) -> Result<(), SysError> {
        // An index is never larger than 64 bits.
        let data = u64::try_from(index).unwrap_or(u64::MAX);
        self.epoll
            .add(fd, EpollEvent::new(flags, data))
            .map_err(failed)?;
        self.events.push(EpollEvent::empty());
        Ok(())
    }

    /// Waits; the indices that are ready. None when the time is up or a signal came.
    pub(super) fn wait(
        &mut self,
        time: Option<Duration>,
    ) -> Result<impl Iterator<Item = usize> + use<'_>, SysError> {
        if self.events.is_empty() {
            // The kernel refuses to wait for nothing.
            self.events.push(EpollEvent::empty());
        }
        let count = match self.epoll.wait(&mut self.events, timeout(time)) {
            Ok(count) => count,
            Err(Errno::EINTR) => 0,
            Err(errno) => return Err(failed(errno)),
        };
        let ready = self.events.iter().take(count);
        Ok(ready.filter_map(|event| usize::try_from(event.data()).ok()))
    }
}

impl AsFd for Waiter {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.0.as_fd()
    }
}

/// What is left of a time that began at `start`; `None` is for ever.
pub(super) fn remaining(start: Instant, time: Option<Duration>) -> Option<Duration> {
    time.map(|time| time.saturating_sub(start.elapsed()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rounded_up_to_milliseconds() {
        let check = |time, expect: i32| {
            assert_eq!(timeout(Some(time)), PollTimeout::try_from(expect).unwrap());
        };
        check(Duration::ZERO, 0);
        check(Duration::from_nanos(1), 1);
        check(Duration::from_millis(7), 7);
        check(Duration::from_micros(7001), 8);
        check(Duration::from_secs(1 << 40), i32::MAX);
        assert_eq!(timeout(None), PollTimeout::NONE);
    }

    #[test]
    fn only_what_is_ready_is_told() {
        let mut waiter = Waiter::new().unwrap();
        assert_eq!(waiter.wait(Some(Duration::ZERO)).unwrap().count(), 0);
        let (quiet, _writer) = std::io::pipe().unwrap();
        let (ready, mut writer) = std::io::pipe().unwrap();
        waiter.add_readable(&quiet, 0).unwrap();
        waiter.add_readable(&ready, 1).unwrap();
        assert!(!readable(ready.as_fd(), Some(Duration::ZERO)).unwrap());
        std::io::Write::write_all(&mut writer, b"x").unwrap();
        let found: Vec<_> = waiter.wait(None).unwrap().collect();
        assert_eq!(found, [1]);
        assert!(readable(waiter.as_fd(), None).unwrap());
        assert!(readable(ready.as_fd(), None).unwrap());
    }
}
