//! Infrared receivers: programs that decode what they hear.

use super::legacy::{self, Options};
use super::{AttachError, Link};
use bpfsys::cmd::Target;
use bpfsys::{AttachType, ProgFd};
use std::os::fd::BorrowedFd;

/// A receiver that gives pulses and spaces. Since Linux 4.18.
#[derive(Clone, Copy, Debug)]
#[doc(alias = "BPF_LIRC_MODE2")]
pub struct Lirc<'a>(BorrowedFd<'a>);

impl<'a> Lirc<'a> {
    /// The device (`/dev/lirc0`), open for reading and writing.
    #[must_use]
    pub fn new(device: BorrowedFd<'a>) -> Self {
        Self(device)
    }

    /// Attaches a program: it stays when this process ends, as long as the device does. There are
    /// no links of this kind.
    ///
    /// # Errors
    /// It is no such device, has too many programs or this one already.
    pub fn attach(&self, prog: &ProgFd) -> Result<Link, AttachError> {
        let target = Target::Fd(self.0);
        let what = "an infrared receiver".to_owned();
        legacy::attach(
            what,
            target,
            AttachType::LIRC_MODE2,
            prog,
            Options::default(),
        )
    }
}
